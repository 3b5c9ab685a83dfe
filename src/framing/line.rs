//! `line`: a message ends with LF or CRLF, and is answered in kind.
//!
//! The last line needs no end: at the end of input it is answered as it came, without one.

use super::{About, Cut, Cuts, Ending, Frames, Skim};

pub(super) const ABOUT: About = About {
    name: "line",
    summary: "a line ended by LF or CRLF, answered in kind; the last one needs no end",
    source: "POSIX, 3.185 Line; RFC 5198, 2 (2) for CRLF",
    cuts: Some(|options| Box::new(Line::new(options.max_message))),
    frames: |options| Box::new(Line::new(options.max_message)),
};

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

impl Cuts for Line {
    fn cut(&self, bytes: &[u8], scanned: usize, end: bool) -> Cut {
        let (seen, fresh) = bytes.split_at_checked(scanned).unwrap_or((bytes, &[]));
        let (line, taken) = match memchr::memchr(b'\n', fresh) {
            Some(at) => {
                let line = bytes.split_at_checked(seen.len() + at).map_or(bytes, |(line, _)| line);
                (without_cr(line), line.len() + 1)
            }
            None if end => (bytes, bytes.len()),
            None if without_cr(bytes).len() > self.max => return Cut::TooLong { head: 0, len: None },
            None => return Cut::Unfinished,
        };
        if line.len() > self.max {
            Cut::TooLong { head: 0, len: None }
        } else {
            Cut::Message { body: 0..line.len(), taken }
        }
    }

    fn skim(&self, bytes: &[u8], end: bool) -> Skim {
        match memchr::memchr(b'\n', bytes) {
            Some(at) => {
                let line = bytes.split_at_checked(at).map_or(bytes, |(line, _)| line);
                Skim { body: without_cr(line).len(), taken: at + 1, ended: true }
            }
            None if end => Skim { body: bytes.len(), taken: bytes.len(), ended: true },
            None => {
                let body = without_cr(bytes).len();
                Skim { body, taken: body, ended: false }
            }
        }
    }
}

impl Frames for Line {
    fn begin(&self, _: u64, _: &mut Vec<u8>) {}

    fn finish(&self, ending: Ending<'_>, to: &mut Vec<u8>) {
        to.extend_from_slice(match (ending.came, ending.wanted) {
            (Some([]), _) => b"",
            (_, Some(wanted)) => wanted,
            (Some(came), None) => came,
            (None, None) => b"\n",
        });
    }
}

/// `line` without a CR at its end, which belongs to the line's end, or may.
fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], scanned: usize, end: bool, expected: Cut) {
        assert_eq!(Line::new(4).cut(bytes, scanned, end), expected, "{}", bytes.escape_ascii());
    }

    const TOO_LONG: Cut = Cut::TooLong { head: 0, len: None };

    #[test]
    fn a_line_ends_with_lf_or_crlf_or_the_input() {
        check(b"ab\ncd", 0, false, Cut::Message { body: 0..2, taken: 3 });
        check(b"ab\r\ncd", 0, false, Cut::Message { body: 0..2, taken: 4 });
        check(b"\n", 0, false, Cut::Message { body: 0..0, taken: 1 });
        check(b"ab", 0, false, Cut::Unfinished);
        check(b"ab", 0, true, Cut::Message { body: 0..2, taken: 2 });
        check(b"a\rb\n", 1, false, Cut::Message { body: 0..3, taken: 4 });
    }

    #[test]
    fn a_line_may_have_as_many_bytes_as_allowed_and_no_more() {
        check(b"abcd\r\n", 0, false, Cut::Message { body: 0..4, taken: 6 });
        check(b"abcd\r", 0, false, Cut::Unfinished);
        check(b"abcde\n", 0, false, TOO_LONG);
        check(b"abcde", 0, false, TOO_LONG);
        check(b"abcd\rx", 5, false, TOO_LONG);
    }

    #[test]
    fn what_was_scanned_is_not_searched_again() {
        check(b"a\nb", 3, false, Cut::Unfinished);
    }

    #[test]
    fn a_cr_at_the_end_of_a_part_may_belong_to_the_end_of_the_line() {
        for (bytes, end, expected) in [
            (&b"abc"[..], false, Skim { body: 3, taken: 3, ended: false }),
            (b"abc\r", false, Skim { body: 3, taken: 3, ended: false }),
            (b"\r\nx", false, Skim { body: 0, taken: 2, ended: true }),
            (b"\nx", false, Skim { body: 0, taken: 1, ended: true }),
            (b"c\r", true, Skim { body: 2, taken: 2, ended: true }),
        ] {
            assert_eq!(Line::new(4).skim(bytes, end), expected, "{}", bytes.escape_ascii());
        }
    }
}
