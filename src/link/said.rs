//! What this end said itself, and how the answer to it is told from a message: it comes first, and is
//! what our own transform makes of it, or the same but for case.
//!
//! When something is said, and what becomes of its answer, is not known here.

use crate::deadlines::Moment;

/// A text that this end said, until its answer comes.
#[derive(Debug)]
pub(super) struct Said {
    /// Who wants to know of the answer.
    pub(super) by: u64,
    pub(super) at: Moment,
    /// What our own transform makes of it.
    transformed: Vec<u8>,
    /// The text without its case.
    folded: Vec<u8>,
    /// How far what has come is the answer, so that no byte is looked at twice.
    so_far: SoFar,
}

/// How much of a beginning is known to be that of an answer.
#[derive(Debug, Clone, Copy)]
struct SoFar {
    /// Bytes that are what our own transform made.
    exactly: Option<usize>,
    /// Bytes that are the text but for case, and how many these are without their case.
    but_for_case: Option<(usize, usize)>,
}

impl Default for SoFar {
    fn default() -> Self {
        SoFar { exactly: Some(0), but_for_case: Some((0, 0)) }
    }
}

/// How a text that came compares with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Match {
    /// So many bytes at its beginning are the answer.
    Whole(usize),
    /// It may become the answer.
    Begun,
    /// It is something else.
    Other,
}

impl Said {
    pub(super) fn new(by: u64, text: &[u8], transformed: Vec<u8>, at: Moment) -> Said {
        let (mut folded, mut rest) = (Vec::with_capacity(text.len()), text);
        while let Some(unit) = Unit::first(rest) {
            unit.fold(|bytes| folded.extend_from_slice(bytes));
            rest = rest.get(unit.len()..).unwrap_or_default();
        }
        // what a text is cut off with at its end is nothing that has a case
        folded.extend_from_slice(rest);
        Said { by, at, transformed, folded, so_far: SoFar::default() }
    }

    /// How many bytes it keeps.
    pub(super) fn len(&self) -> usize {
        self.transformed.len() + self.folded.len()
    }

    /// How `text` begins, of which [`reset`](Self::reset) and what was asked since then say how much was
    /// there before.
    pub(super) fn begins(&mut self, text: &[u8]) -> Match {
        match (self.begins_exactly(text), self.begins_but_for_case(text)) {
            (whole @ Match::Whole(_), _) | (_, whole @ Match::Whole(_)) => whole,
            (Match::Begun, _) | (_, Match::Begun) => Match::Begun,
            _ => Match::Other,
        }
    }

    /// Takes that what is asked about next is another text, and not the same with more behind it.
    pub(super) fn reset(&mut self) {
        self.so_far = SoFar::default();
    }

    /// Whether `text` is the answer, and nothing else.
    pub(super) fn is_answered_by(&mut self, text: &[u8]) -> bool {
        if text.is_empty() {
            return self.folded.is_empty();
        }
        self.reset();
        let found = self.begins(text);
        self.reset();
        found == Match::Whole(text.len())
    }

    fn begins_exactly(&mut self, text: &[u8]) -> Match {
        let Some(known) = self.so_far.exactly.filter(|_| !self.transformed.is_empty()) else { return Match::Other };
        let both = self.transformed.len().min(text.len());
        let is_same = self.transformed.get(known..both) == text.get(known..both);
        self.so_far.exactly = is_same.then_some(both);
        match is_same {
            true if both == self.transformed.len() => Match::Whole(both),
            true => Match::Begun,
            false => Match::Other,
        }
    }

    fn begins_but_for_case(&mut self, text: &[u8]) -> Match {
        let Some((mut came, mut folded)) = self.so_far.but_for_case.filter(|_| !self.folded.is_empty()) else {
            return Match::Other;
        };
        while folded < self.folded.len() {
            let Some(unit) = Unit::first(text.get(came..).unwrap_or_default()) else {
                self.so_far.but_for_case = Some((came, folded));
                return Match::Begun;
            };
            let mut is_same = true;
            unit.fold(|bytes| {
                is_same &= self.folded.get(folded..).is_some_and(|rest| rest.starts_with(bytes));
                folded += bytes.len();
            });
            if !is_same {
                self.so_far.but_for_case = None;
                return Match::Other;
            }
            came += unit.len();
        }
        self.so_far.but_for_case = Some((came, folded));
        Match::Whole(came)
    }
}

/// A character, or a byte that belongs to none.
#[derive(Debug, Clone, Copy)]
enum Unit {
    Char(char),
    Byte(u8),
}

impl Unit {
    /// The first of `text`; nothing where it is empty, or has but the beginning of a character.
    fn first(text: &[u8]) -> Option<Unit> {
        let byte = *text.first()?;
        let most = text.get(..4).unwrap_or(text);
        let chunk = most.utf8_chunks().next()?;
        if let Some(c) = chunk.valid().chars().next() {
            return Some(Unit::Char(c));
        }
        let is_cut = str::from_utf8(most).is_err_and(|error| error.error_len().is_none());
        (!is_cut).then_some(Unit::Byte(byte))
    }

    fn len(self) -> usize {
        match self {
            Unit::Char(c) => c.len_utf8(),
            Unit::Byte(_) => 1,
        }
    }

    /// Gives it without its case, piece by piece.
    fn fold(self, mut each: impl FnMut(&[u8])) {
        match self {
            // the way by the upper case brings together what differs in lower case only, as both small sigmas
            Unit::Char(c) => c.to_uppercase().flat_map(char::to_lowercase).for_each(|c| {
                each(c.encode_utf8(&mut [0; 4]).as_bytes());
            }),
            Unit::Byte(byte) => each(&[byte]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str, transformed: &str) -> Said {
        Said::new(0, text.as_bytes(), transformed.as_bytes().to_vec(), Moment::from_millis(0))
    }

    #[test]
    fn the_answer_is_our_own_transform_or_the_text_but_for_case() {
        let mut hello = said("Hello from Peer 1", "1 reeP morf olleH");
        for answer in ["1 reeP morf olleH", "HELLO FROM PEER 1", "hello from peer 1", "Hello from Peer 1"] {
            assert!(hello.is_answered_by(answer.as_bytes()), "{answer}");
            let with_more = format!("{answer} and more");
            assert_eq!(hello.begins(with_more.as_bytes()), Match::Whole(answer.len()), "{answer}");
            hello.reset();
            for cut in 1..answer.len() {
                assert_eq!(hello.begins(&answer.as_bytes()[..cut]), Match::Begun, "{answer} cut at {cut}");
            }
            assert_eq!(hello.begins(answer.as_bytes()), Match::Whole(answer.len()), "{answer}");
            hello.reset();
        }
        for other in ["HELLO FROM PEER 2", "x", "1 REEP"] {
            assert_eq!(hello.begins(other.as_bytes()), Match::Other, "{other}");
            hello.reset();
        }
        assert!(!hello.is_answered_by(b"HELLO FROM PEER 1!"));
    }

    #[test]
    fn case_is_that_of_all_scripts() {
        let mut street = said("Straße ΟΔΟΣ ﬁ", "");
        let answer = "STRASSE οδος FI".as_bytes();
        assert!(street.is_answered_by(answer));
        for cut in 1..answer.len() {
            assert_eq!(street.begins(&answer[..cut]), Match::Begun, "cut at {cut}");
        }
        let mut bytes = Said::new(0, b"a\xFFb", Vec::new(), Moment::from_millis(0));
        assert!(bytes.is_answered_by(b"A\xFFB"));
        assert_eq!(bytes.begins(b"A\xFE"), Match::Other);
    }

    #[test]
    fn nothing_has_no_answer() {
        assert_eq!(said("", "").begins(b"x"), Match::Other);
        assert!(said("", "").is_answered_by(b""), "but a message without text");
        assert!(!said("x", "").is_answered_by(b""));
    }
}
