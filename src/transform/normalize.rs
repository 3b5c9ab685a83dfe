//! `normalize`: the four normal forms of Unicode, which the library `unicode-normalization` knows.
//!
//! A mark that comes next may still change the character before it, or its place, so the text is cut
//! into segments that cannot change each other, and the last one waits. It need not when nothing can
//! change its last character, as a line end: a line that was typed is answered whole. A segment has no
//! more than [`SEGMENT`] bytes; one that would have more is cut there, as counted in the text and not in
//! the reads, so that any cut of the bytes gives the same answer. Such a run of marks is in no language;
//! UAX #15 lets a "Stream-Safe" text have 30 in a row.

use super::planes::Planes;
use super::registry::{Example, Listed, Site};
use super::utf8::{self, InvalidUtf8};
use super::{About, Growth, Memory, Occasion, Refusal, Step, Text};
use serde::Deserialize;
use std::collections::HashSet;
use std::sync::LazyLock;
use unicode_normalization::char::{canonical_combining_class, decompose_canonical, decompose_compatible};
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// A character and 30 marks of four bytes fit.
const SEGMENT: usize = 128;

/// One of the forms of UAX #15.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Form {
    Nfc,
    Nfd,
    Nfkc,
    Nfkd,
}

/// What a character does to those beside it, in one of the forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kind {
    /// Nothing before it can change it, or be changed by it.
    begins: bool,
    /// And nothing after it.
    ends: bool,
    /// It stays as it is where it stands alone.
    stays: bool,
}

static NFC: LazyLock<Planes<Kind>> = LazyLock::new(|| kinds(Form::Nfc));
static NFD: LazyLock<Planes<Kind>> = LazyLock::new(|| kinds(Form::Nfd));
static NFKC: LazyLock<Planes<Kind>> = LazyLock::new(|| kinds(Form::Nfkc));
static NFKD: LazyLock<Planes<Kind>> = LazyLock::new(|| kinds(Form::Nfkd));

/// The characters that some other one behind them is composed with.
static COMPOSED: LazyLock<HashSet<char>> = LazyLock::new(|| ('\0'..='\u{1FFFF}').filter_map(head).collect());

/// What is before the last of the two that `c` is composed of, if it is composed of two.
fn head(c: char) -> Option<char> {
    let mut parts = Form::Nfd.parts(c);
    if parts.len() < 2 || !c.nfc().eq([c]) {
        return None;
    }
    parts.pop();
    parts.into_iter().nfc().next()
}

fn kinds(form: Form) -> Planes<Kind> {
    Planes::new(Kind { begins: false, ends: false, stays: false }, |c| form.kind(c))
}

impl Form {
    fn is_composed(self) -> bool {
        matches!(self, Form::Nfc | Form::Nfkc)
    }

    /// All that `c` is decomposed into.
    fn parts(self, c: char) -> Vec<char> {
        let mut parts = Vec::new();
        match self {
            Form::Nfc | Form::Nfd => decompose_canonical(c, |part| parts.push(part)),
            Form::Nfkc | Form::Nfkd => decompose_compatible(c, |part| parts.push(part)),
        }
        parts
    }

    fn kind(self, c: char) -> Kind {
        let mut parts = self.parts(c);
        let begins = parts.first().is_some_and(|first| {
            let joins = self.is_composed() && is_nfc_quick([*first].into_iter()) == IsNormalized::Maybe;
            canonical_combining_class(*first) == 0 && !joins
        });
        // A mark of a lower class would come between a letter and its mark, and take the letter.
        let marked = parts.last().is_none_or(|last| canonical_combining_class(*last) != 0);
        if self.is_composed() && parts.len() > 1 {
            parts = parts.into_iter().nfc().collect();
        }
        let joined = self.is_composed() && parts.last().is_none_or(|last| COMPOSED.contains(last));
        Kind { begins, ends: begins && !marked && !joined, stays: begins && parts == [c] }
    }

    /// Writes `segment` in this form.
    fn write(self, segment: &str, to: &mut Vec<u8>) {
        let push = |c| utf8::push(to, c);
        match self {
            Form::Nfc => segment.nfc().for_each(push),
            Form::Nfd => segment.nfd().for_each(push),
            Form::Nfkc => segment.nfkc().for_each(push),
            Form::Nfkd => segment.nfkd().for_each(push),
        }
    }
}

pub(super) struct Normalize {
    form: Form,
    kinds: &'static Planes<Kind>,
    invalid_utf8: InvalidUtf8,
}

impl Listed for Normalize {
    const ABOUT: About = About {
        name: "normalize",
        summary: "one of Unicode's normal forms: nfc, nfd, nfkc, nfkd",
        example: Example::new(r#"{ normalize = "nfc" }"#, "e\u{301}", "é"),
        streams: true,
        undone_by: None,
        source: "Unicode, normalization forms (UAX #15)",
    };

    type Own = Form;

    fn new(own: Option<Form>, site: &Site<'_>) -> Result<Normalize, String> {
        Self::needed(own).map(|form| Normalize::of(form, site.options.invalid_utf8))
    }
}

impl Step for Normalize {
    fn apply(&self, text: &mut Text<'_>, memory: &mut Memory, occasion: &Occasion<'_>) -> Result<(), Refusal> {
        memory.rejoin(text);
        // No form changes ASCII, and each of its characters begins a segment.
        if text.as_bytes().is_ascii() {
            let last = text.as_bytes().last().map(|byte| self.kind(char::from(*byte)));
            if !occasion.end && last.is_some_and(|last| !last.ends) {
                memory.hold_back(text, 1);
            }
            return Ok(());
        }
        text.rewrite(|from, to| {
            let mut rest = &*from;
            while let Some(chunk) = rest.utf8_chunks().next() {
                let (valid, invalid) = (chunk.valid(), chunk.invalid());
                let next = rest.split_at(valid.len() + invalid.len()).1;
                if next.is_empty() && !occasion.end && utf8::unfinished(invalid) == invalid.len() {
                    memory.held.extend_from_slice(self.write_decided(valid, to).as_bytes());
                    memory.held.extend_from_slice(invalid);
                } else {
                    let last = self.write_decided(valid, to);
                    self.form.write(last, to);
                    if !invalid.is_empty() {
                        self.invalid_utf8.treat(invalid, to)?;
                    }
                }
                rest = next;
            }
            Ok(())
        })
    }

    fn growth(&self) -> Growth {
        Growth::times(match self.form {
            Form::Nfc | Form::Nfd => 3, // U+0390, 2 bytes to 6, or U+1D160, 4 to 12; an invalid byte to U+FFFD
            Form::Nfkc | Form::Nfkd => 11, // U+FDFA, 3 bytes to 33
        })
    }
}

impl Normalize {
    fn of(form: Form, invalid_utf8: InvalidUtf8) -> Normalize {
        let kinds = match form {
            Form::Nfc => &NFC,
            Form::Nfd => &NFD,
            Form::Nfkc => &NFKC,
            Form::Nfkd => &NFKD,
        };
        Normalize { form, kinds, invalid_utf8 }
    }

    fn kind(&self, c: char) -> Kind {
        self.kinds.get(c as usize).unwrap_or_else(|| self.form.kind(c))
    }

    /// Writes the segments of `text`, which begins one, but for the last if more text could change it;
    /// that one is given back.
    fn write_decided<'t>(&self, text: &'t str, to: &mut Vec<u8>) -> &'t str {
        // What stays is copied in one piece, from `copied` to the segment at `start`.
        let (mut copied, mut start) = (0, 0);
        let (mut stays, mut ends) = (true, false);
        let part = |from, to| text.get(from..to).unwrap_or_default();
        for (at, c) in text.char_indices() {
            let kind = self.kind(c);
            if at > start {
                if ends || kind.begins || at + c.len_utf8() - start > SEGMENT {
                    if !stays {
                        to.extend_from_slice(part(copied, start).as_bytes());
                        self.form.write(part(start, at), to);
                        copied = at;
                    }
                    (start, stays) = (at, kind.stays);
                } else {
                    stays = false;
                }
            } else {
                stays = kind.stays;
            }
            ends = kind.ends;
        }
        to.extend_from_slice(part(copied, start).as_bytes());
        let last = part(start, text.len());
        if ends {
            self.form.write(last, to);
            return "";
        }
        last
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transform::trial;

    const FORMS: [Form; 4] = [Form::Nfc, Form::Nfd, Form::Nfkc, Form::Nfkd];

    /// What each read is answered with, and then the end.
    fn answers(form: Form, reads: &[&str]) -> Vec<String> {
        trial::answers(&Normalize::of(form, InvalidUtf8::Pass), SEGMENT, reads)
    }

    #[test]
    fn a_character_waits_for_what_may_be_composed_with_it() {
        assert_eq!(answers(Form::Nfc, &["e", "\u{301}", "x", "\n"]), ["", "", "é", "x\n", ""]);
        assert_eq!(answers(Form::Nfc, &["e\u{301}", "\u{327}\n"]), ["", "\u{229}\u{301}\n", ""]);
        assert_eq!(answers(Form::Nfc, &["\u{1112}", "\u{1161}", "\u{11AB}", "."]), ["", "", "", "한.", ""]);
        assert_eq!(answers(Form::Nfd, &["é", "\u{327}", "x"]), ["", "", "e\u{327}\u{301}x", ""]);
    }

    #[test]
    fn what_nothing_can_change_any_more_does_not_wait() {
        for form in FORMS {
            for text in ["hello\n", "é\n", "e\u{301}\u{323} ", "7", "語", "한 ", "жук?", "😀", "\u{20000}"] {
                assert_eq!(answers(form, &[text])[1], "", "{form:?} {text}");
            }
        }
        for text in ["hello", "ж", "é"] {
            assert_ne!(answers(Form::Nfc, &[text])[1], "", "{text}");
        }
        assert_eq!(answers(Form::Nfd, &["hello"]), ["hello", ""]);
    }

    #[test]
    fn a_segment_that_is_too_long_is_cut_at_the_same_place_whatever_the_reads() {
        // The mark of class 230 stays behind those of class 220 only within the segment.
        let marks = ["a", &"\u{301}".repeat(70), &"\u{323}".repeat(3), "b"].concat();
        for form in FORMS {
            let whole = answers(form, &[&marks]).concat();
            assert_ne!(whole, marks.nfc().to_string());
            for size in 1..5 {
                let characters: Vec<char> = marks.chars().collect();
                let reads: Vec<String> = characters.chunks(size).map(|chunk| chunk.iter().collect()).collect();
                let reads: Vec<&str> = reads.iter().map(String::as_str).collect();
                assert_eq!(answers(form, &reads).concat(), whole, "{form:?}");
            }
        }
    }

    #[test]
    fn a_stream_safe_text_is_cut_nowhere() {
        let marks = ["\u{1D15E}", &"\u{1D16D}\u{1D167}".repeat(14), "b"].concat();
        for form in FORMS {
            let mut expected = Vec::new();
            form.write(&marks, &mut expected);
            assert_eq!(answers(form, &[&marks]).concat().into_bytes(), expected);
        }
    }

    #[test]
    fn no_character_grows_more_than_its_form_declares() {
        for form in FORMS {
            let times = Normalize::of(form, InvalidUtf8::Pass).growth().times;
            let mut to = Vec::new();
            for c in '\0'..=char::MAX {
                to.clear();
                form.write(c.encode_utf8(&mut [0; 4]), &mut to);
                assert!(to.len() <= times * c.len_utf8(), "{form:?} U+{:04X}", u32::from(c));
            }
        }
    }

    #[test]
    fn every_scalar_value_is_its_normal_form_alone_and_between_others() {
        for form in FORMS {
            for (before, after) in [("a", "\n"), ("\u{1100}", "\u{11A8}"), ("e\u{323}", "\u{307}")] {
                let text: String = ('\0'..='\u{2FFFF}')
                    .flat_map(|c| [before, c.encode_utf8(&mut [0; 4]), after].concat().chars().collect::<Vec<_>>())
                    .collect();
                let mut expected = Vec::new();
                form.write(&text, &mut expected);
                assert!(answers(form, &[&text]).concat().into_bytes() == expected, "{form:?} {before:?}");
            }
        }
    }

    #[test]
    fn what_ends_a_segment_is_composed_with_nothing() {
        let seconds: Vec<char> =
            ('\0'..='\u{1FFFF}').filter(|c| is_nfc_quick([*c].into_iter()) == IsNormalized::Maybe).collect();
        assert!(seconds.len() > 100);
        for first in '\0'..='\u{1FFFF}' {
            let composed = seconds.iter().any(|second| unicode_normalization::char::compose(first, *second).is_some());
            assert_eq!(COMPOSED.contains(&first), composed, "U+{:04X}", u32::from(first));
        }
    }
}
