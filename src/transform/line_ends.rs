//! `lf` and `crlf`: how lines end.
//!
//! A line ends with LF or with CR LF; a CR alone ends none and stays. That is said of bytes, as no
//! longer character of UTF-8 contains one of the two, so what the other bytes are does not matter.

use super::registry::{Example, Listed, Nothing, Site};
use super::{About, Growth, Memory, Occasion, Refusal, Step, Text};

pub(super) struct Lf;

impl Listed for Lf {
    const ABOUT: About = About {
        name: "lf",
        summary: "lines end with LF, also those that ended with CR LF",
        example: Example::new("lf", "a\r\nb\nc\rd", "a\nb\nc\rd"),
        streams: true,
        undone_by: None,
        source: "POSIX, line",
    };

    type Own = Nothing;

    fn new(_: Option<Nothing>, _: &Site<'_>) -> Result<Lf, String> {
        Ok(Lf)
    }
}

impl Step for Lf {
    fn apply(&self, text: &mut Text<'_>, memory: &mut Memory, occasion: &Occasion<'_>) -> Result<(), Refusal> {
        text.end_with(b"\n");
        memory.rejoin(text);
        if !occasion.end && text.as_bytes().ends_with(b"\r") {
            memory.hold_back(text, 1);
        }
        if memchr::memmem::find(text.as_bytes(), b"\r\n").is_none() {
            return Ok(());
        }
        text.rewrite(|from, to| {
            for line in from.split_inclusive(|byte| *byte == b'\n') {
                match line.strip_suffix(b"\r\n") {
                    Some(line) => to.extend(line.iter().chain(b"\n")),
                    None => to.extend_from_slice(line),
                }
            }
        });
        Ok(())
    }
}

pub(super) struct Crlf;

impl Listed for Crlf {
    const ABOUT: About = About {
        name: "crlf",
        summary: "lines end with CR LF, also those that ended with LF",
        example: Example::new("crlf", "a\r\nb\nc\rd", "a\r\nb\r\nc\rd"),
        streams: true,
        undone_by: None,
        source: "RFC 5198",
    };

    type Own = Nothing;

    fn new(_: Option<Nothing>, _: &Site<'_>) -> Result<Crlf, String> {
        Ok(Crlf)
    }
}

/// What is in [`Memory::note`] when the text so far ends with a CR.
const AFTER_CR: u64 = 1;

impl Step for Crlf {
    fn apply(&self, text: &mut Text<'_>, memory: &mut Memory, occasion: &Occasion<'_>) -> Result<(), Refusal> {
        text.end_with(b"\r\n");
        let after_cr = memory.note == AFTER_CR;
        let ends_with_cr = text.as_bytes().last().map_or(after_cr, |byte| *byte == b'\r');
        memory.note = if ends_with_cr && !occasion.end { AFTER_CR } else { 0 };
        if memchr::memchr(b'\n', text.as_bytes()).is_none() {
            return Ok(());
        }
        text.rewrite(|from, to| {
            let mut before = after_cr;
            for line in from.split_inclusive(|byte| *byte == b'\n') {
                match line.strip_suffix(b"\n") {
                    Some(line) if !line.last().map_or(before, |byte| *byte == b'\r') => {
                        to.extend_from_slice(line);
                        to.extend_from_slice(b"\r\n");
                    }
                    _ => to.extend_from_slice(line),
                }
                before = false;
            }
        });
        Ok(())
    }

    fn growth(&self) -> Growth {
        Growth::times(2) // LF
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transform::{Context, Scratch, trial};

    /// What each read is answered with by `step`, and then the end.
    fn answers(step: &dyn Step, reads: &[&str]) -> Vec<String> {
        trial::answers(step, 1, reads)
    }

    #[test]
    fn the_end_of_the_message_is_asked_for_whatever_its_text() {
        for text in ["", "a", "a\r\nb"] {
            for (step, ending) in [(&Lf as &dyn Step, b"\n".as_slice()), (&Crlf, b"\r\n")] {
                let (mut read, mut scratch) = (text.as_bytes().to_vec(), Scratch::default());
                let mut text = Text::new(&mut read, &mut scratch);
                let occasion = Occasion { end: true, context: &Context::default() };
                step.apply(&mut text, &mut Memory::default(), &occasion).unwrap();
                assert_eq!(text.ending(), Some(ending));
            }
        }
    }

    #[test]
    fn a_line_end_may_come_in_two_reads() {
        assert_eq!(answers(&Lf, &["a\r", "\nb\r", "c\r"]), ["a", "\nb", "\rc", "\r"]);
        assert_eq!(answers(&Lf, &["\r\r", "", "\r\n"]), ["\r", "", "\r\n", ""]);
        assert_eq!(answers(&Crlf, &["a\r", "\nb\n", "\n", "c\r"]), ["a\r", "\nb\r\n", "\r\n", "c\r", ""]);
        assert_eq!(answers(&Crlf, &["\n\n\r", "", "\n\n"]), ["\r\n\r\n\r", "", "\n\r\n", ""]);
    }
}
