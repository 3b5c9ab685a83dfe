//! `delimiter`: a message ends with the bytes that `delimiter` names, and so does its answer.
//!
//! The last message needs no end: at the end of input it is answered as it came, without one.

use super::{About, Cut, Cuts, Ending, Frames, Skim};
use memchr::memmem::Finder;

pub(super) const ABOUT: About = About {
    name: "delimiter",
    summary: "what ends with the bytes of `delimiter`, answered in kind; the last one needs no end",
    source: "shoutd",
    cuts: Some(|options| Box::new(Delimiter::new(&options.delimiter, options.max_message))),
    frames: |options| Box::new(Delimiter::new(&options.delimiter, options.max_message)),
};

/// Messages of at most so many bytes, ended by a delimiter.
#[derive(Debug)]
pub struct Delimiter {
    finder: Finder<'static>,
    max: usize,
}

impl Delimiter {
    /// Messages whose text has at most `max` bytes, ended by `delimiter`, which is not empty.
    #[must_use]
    pub fn new(delimiter: &[u8], max: usize) -> Delimiter {
        debug_assert!(!delimiter.is_empty(), "it would be found everywhere");
        Delimiter { finder: Finder::new(delimiter).into_owned(), max }
    }

    fn delimiter(&self) -> &[u8] {
        self.finder.needle()
    }

    /// How many bytes at the end of `bytes` may be the beginning of a delimiter.
    fn begun(&self, bytes: &[u8]) -> usize {
        let most = bytes.len().min(self.delimiter().len() - 1);
        let begins = |len: &usize| self.delimiter().get(..*len).is_some_and(|begin| bytes.ends_with(begin));
        (1..=most).rev().find(begins).unwrap_or(0)
    }
}

impl Cuts for Delimiter {
    fn cut(&self, bytes: &[u8], scanned: usize, end: bool) -> Cut {
        // a delimiter may have begun in what was searched
        let from = scanned.saturating_sub(self.delimiter().len() - 1);
        let found = self.finder.find(bytes.get(from..).unwrap_or_default()).map(|at| from + at);
        let (len, taken) = match found {
            Some(at) => (at, at + self.delimiter().len()),
            None if end => (bytes.len(), bytes.len()),
            None if bytes.len() - self.begun(bytes) > self.max => return Cut::TooLong { head: 0, len: None },
            None => return Cut::Unfinished,
        };
        if len > self.max { Cut::TooLong { head: 0, len: None } } else { Cut::Message { body: 0..len, taken } }
    }

    fn skim(&self, bytes: &[u8], end: bool) -> Skim {
        match self.finder.find(bytes) {
            Some(at) => Skim { body: at, taken: at + self.delimiter().len(), ended: true },
            None if end => Skim { body: bytes.len(), taken: bytes.len(), ended: true },
            None => {
                let body = bytes.len() - self.begun(bytes);
                Skim { body, taken: body, ended: false }
            }
        }
    }
}

impl Frames for Delimiter {
    fn begin(&self, _: u64, _: &mut Vec<u8>) {}

    fn finish(&self, ending: Ending<'_>, to: &mut Vec<u8>) {
        if ending.came != Some(b"") {
            to.extend_from_slice(self.delimiter());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], scanned: usize, end: bool, expected: Cut) {
        assert_eq!(Delimiter::new(b"<>", 4).cut(bytes, scanned, end), expected, "{}", bytes.escape_ascii());
    }

    const TOO_LONG: Cut = Cut::TooLong { head: 0, len: None };

    #[test]
    fn a_message_ends_with_the_delimiter_or_the_input() {
        check(b"ab<>cd", 0, false, Cut::Message { body: 0..2, taken: 4 });
        check(b"<>", 0, false, Cut::Message { body: 0..0, taken: 2 });
        check(b"ab<", 0, false, Cut::Unfinished);
        check(b"ab<>", 3, false, Cut::Message { body: 0..2, taken: 4 });
        check(b"ab<", 0, true, Cut::Message { body: 0..3, taken: 3 });
    }

    #[test]
    fn a_message_may_have_as_many_bytes_as_allowed_and_no_more() {
        check(b"abcd<>", 0, false, Cut::Message { body: 0..4, taken: 6 });
        check(b"abcd<", 0, false, Cut::Unfinished);
        check(b"abcd<x", 5, false, TOO_LONG);
        check(b"abcde<>", 0, false, TOO_LONG);
    }

    #[test]
    fn what_was_scanned_is_not_searched_again() {
        check(b"<>b", 3, false, Cut::Unfinished);
    }

    #[test]
    fn a_delimiter_cut_in_two_is_found() {
        let framing = Delimiter::new(b"aab", 100);
        assert_eq!(framing.skim(b"xaa", false), Skim { body: 1, taken: 1, ended: false });
        assert_eq!(framing.skim(b"aaab", false), Skim { body: 1, taken: 4, ended: true });
        assert_eq!(framing.skim(b"xaa", true), Skim { body: 3, taken: 3, ended: true });
    }
}
