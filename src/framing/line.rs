//! `line`: a message ends with LF or CRLF, and is answered in kind.
//!
//! The last line needs no end: at the end of input it is answered as it came, without one.

use super::{Cut, Frames};

/// Lines of at most so many bytes.
#[derive(Debug)]
pub struct Line {
    max: usize,
}

impl Line {
    /// Lines whose text has at most `max` bytes, not counting their end.
    #[must_use]
    pub fn new(max: usize) -> Line {
        Line { max }
    }
}

impl Frames for Line {
    fn name(&self) -> &'static str {
        "line"
    }

    fn cut(&self, bytes: &[u8], scanned: usize, end: bool) -> Cut {
        let (seen, fresh) = bytes.split_at_checked(scanned).unwrap_or((bytes, &[]));
        let (line, taken) = match memchr::memchr(b'\n', fresh) {
            Some(at) => {
                let line = bytes.split_at_checked(seen.len() + at).map_or(bytes, |(line, _)| line);
                (line.strip_suffix(b"\r").unwrap_or(line), line.len() + 1)
            }
            None if end && !bytes.is_empty() => (bytes, bytes.len()),
            // a CR at the end may belong to the line's end
            None if bytes.len() - usize::from(bytes.ends_with(b"\r")) > self.max => return Cut::TooLong,
            None => return Cut::Unfinished,
        };
        if line.len() > self.max { Cut::TooLong } else { Cut::Message { body: 0..line.len(), taken } }
    }

    fn frame(&self, answer: &[u8], ending: &[u8], to: &mut Vec<u8>) {
        to.extend_from_slice(answer);
        to.extend_from_slice(ending);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], scanned: usize, end: bool, expected: Cut) {
        assert_eq!(Line::new(4).cut(bytes, scanned, end), expected, "{}", bytes.escape_ascii());
    }

    #[test]
    fn a_line_ends_with_lf_or_crlf_or_the_input() {
        check(b"ab\ncd", 0, false, Cut::Message { body: 0..2, taken: 3 });
        check(b"ab\r\ncd", 0, false, Cut::Message { body: 0..2, taken: 4 });
        check(b"\n", 0, false, Cut::Message { body: 0..0, taken: 1 });
        check(b"ab", 0, false, Cut::Unfinished);
        check(b"ab", 0, true, Cut::Message { body: 0..2, taken: 2 });
        check(b"a\rb\n", 1, false, Cut::Message { body: 0..3, taken: 4 });
        check(b"", 0, true, Cut::Unfinished);
    }

    #[test]
    fn a_line_may_have_as_many_bytes_as_allowed_and_no_more() {
        check(b"abcd\r\n", 0, false, Cut::Message { body: 0..4, taken: 6 });
        check(b"abcd\r", 0, false, Cut::Unfinished);
        check(b"abcde\n", 0, false, Cut::TooLong);
        check(b"abcde", 0, false, Cut::TooLong);
        check(b"abcd\rx", 5, false, Cut::TooLong);
    }

    #[test]
    fn what_was_scanned_is_not_searched_again() {
        check(b"a\nb", 3, false, Cut::Unfinished);
    }
}
