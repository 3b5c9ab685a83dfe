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
        Said { by, at, transformed, folded: fold(text).map(|(folded, _)| folded).collect::<Vec<_>>().concat() }
    }

    /// How `text` begins.
    pub(super) fn begins(&self, text: &[u8]) -> Match {
        let exactly = match (&self.transformed[..], text) {
            ([], _) => Match::Other,
            (answer, text) if text.starts_with(answer) => Match::Whole(answer.len()),
            (answer, text) if answer.starts_with(text) => Match::Begun,
            _ => Match::Other,
        };
        match (exactly, self.begins_but_for_case(text)) {
            (whole @ Match::Whole(_), _) | (_, whole @ Match::Whole(_)) => whole,
            (Match::Begun, _) | (_, Match::Begun) => Match::Begun,
            _ => Match::Other,
        }
    }

    fn begins_but_for_case(&self, text: &[u8]) -> Match {
        let mut rest = &self.folded[..];
        if rest.is_empty() {
            return Match::Other;
        }
        // no character has more bytes than four times what is left of it
        let enough = text.get(..self.folded.len() * 4 + 4).unwrap_or(text);
        for (folded, end) in fold(enough) {
            match rest.strip_prefix(&folded[..]) {
                Some([]) => return Match::Whole(end),
                Some(left) => rest = left,
                None => return Match::Other,
            }
        }
        Match::Begun
    }

    /// Whether `text` is the answer, and nothing else.
    pub(super) fn is_answered_by(&self, text: &[u8]) -> bool {
        self.begins(text) == Match::Whole(text.len())
    }
}

/// The characters of `text` without their case, each with where it ends; a byte that is no text stands
/// for itself, and a character of which only the beginning is there is left out.
fn fold(text: &[u8]) -> impl Iterator<Item = (Vec<u8>, usize)> {
    let mut end = 0;
    let mut chunks = text.utf8_chunks().peekable();
    std::iter::from_fn(move || {
        let chunk = chunks.next()?;
        let is_last = chunks.peek().is_none();
        let mut folded = Vec::new();
        for c in chunk.valid().chars() {
            end += c.len_utf8();
            // the way by the upper case brings together what differs in lower case only, as both small sigmas
            let lower: String = c.to_uppercase().flat_map(char::to_lowercase).collect();
            folded.push((lower.into_bytes(), end));
        }
        let is_cut = is_last && is_beginning(chunk.invalid());
        for byte in chunk.invalid().iter().filter(|_| !is_cut) {
            end += 1;
            folded.push((vec![*byte], end));
        }
        Some(folded)
    })
    .flatten()
}

/// Whether more bytes could make a character of these.
fn is_beginning(bytes: &[u8]) -> bool {
    str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str, transformed: &str) -> Said {
        Said::new(0, text.as_bytes(), transformed.as_bytes().to_vec(), Moment::from_millis(0))
    }

    #[test]
    fn the_answer_is_our_own_transform_or_the_text_but_for_case() {
        let hello = said("Hello from Peer 1", "1 reeP morf olleH");
        for answer in ["1 reeP morf olleH", "HELLO FROM PEER 1", "hello from peer 1", "Hello from Peer 1"] {
            assert!(hello.is_answered_by(answer.as_bytes()), "{answer}");
            let with_more = format!("{answer} and more");
            assert_eq!(hello.begins(with_more.as_bytes()), Match::Whole(answer.len()), "{answer}");
            for cut in 1..answer.len() {
                assert_eq!(hello.begins(&answer.as_bytes()[..cut]), Match::Begun, "{answer} cut at {cut}");
            }
        }
        for other in ["HELLO FROM PEER 2", "x", "1 REEP"] {
            assert_eq!(hello.begins(other.as_bytes()), Match::Other, "{other}");
        }
        assert!(!hello.is_answered_by(b"HELLO FROM PEER 1!"));
    }

    #[test]
    fn case_is_that_of_all_scripts() {
        let street = said("Straße ΟΔΟΣ ﬁ", "");
        let answer = "STRASSE οδος FI".as_bytes();
        assert!(street.is_answered_by(answer));
        for cut in 1..answer.len() {
            assert_eq!(street.begins(&answer[..cut]), Match::Begun, "cut at {cut}");
        }
        let bytes = Said::new(0, b"a\xFFb", Vec::new(), Moment::from_millis(0));
        assert!(bytes.is_answered_by(b"A\xFFB"));
        assert_eq!(bytes.begins(b"A\xFE"), Match::Other);
    }

    #[test]
    fn nothing_has_no_answer() {
        assert_eq!(said("", "").begins(b"x"), Match::Other);
    }
}
