//! `uppercase`: each character becomes its full upper-case mapping.
//!
//! The mapping of a character does not depend on its neighbours, so any cut between characters
//! gives the same text; only a character cut in half waits for its rest.

use super::case::{self, Mapping};
use super::locale::{self, Locale};
use super::registry::{Example, Listed, Site};
use super::utf8::{self, InvalidUtf8};
use super::{About, Growth, Memory, Occasion, Refusal, Step, Text};
use std::sync::LazyLock;

static UPPER: LazyLock<Mapping> =
    LazyLock::new(|| Mapping::new(<[u8]>::make_ascii_uppercase, |c, to| case::extend(to, c.to_uppercase())));

pub(super) struct Uppercase {
    upper: &'static Mapping,
    locale: Option<Locale>,
    invalid_utf8: InvalidUtf8,
}

impl Listed for Uppercase {
    const ABOUT: About = About {
        name: "uppercase",
        summary: "upper case, in every script, or as the language of its option `locale` has it",
        example: Example::new("uppercase", "straße ﬁ", "STRASSE FI"),
        streams: true,
        undone_by: None,
        source: "Unicode, toUppercase (3.13.2, rule R1), as Python's str.upper()",
    };

    type Own = locale::Own;

    fn new(own: Option<locale::Own>, site: &Site<'_>) -> Result<Uppercase, String> {
        let locale = own.map(locale::Own::upper).transpose()?;
        Ok(Uppercase { locale, ..Uppercase::of(site.options.invalid_utf8) })
    }
}

impl Uppercase {
    fn of(invalid_utf8: InvalidUtf8) -> Uppercase {
        Uppercase { upper: &UPPER, locale: None, invalid_utf8 }
    }
}

impl Step for Uppercase {
    fn apply(&self, text: &mut Text<'_>, memory: &mut Memory, occasion: &Occasion<'_>) -> Result<(), Refusal> {
        if let Some(locale) = &self.locale {
            return locale.apply(text, self.invalid_utf8);
        }
        memory.rejoin(text);
        if text.as_bytes().is_ascii() {
            text.as_mut_bytes().make_ascii_uppercase();
            return Ok(());
        }
        if !occasion.end {
            memory.hold_back(text, utf8::unfinished(text.as_bytes()));
        }
        self.upper.apply(text, self.invalid_utf8)
    }

    fn growth(&self) -> Growth {
        Growth::times(3) // U+0390, 2 bytes to 6; an invalid byte to U+FFFD
    }

    fn needs_messages(&self) -> bool {
        self.locale.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transform::{Context, Scratch};

    fn answer(reads: &[&[u8]]) -> Vec<u8> {
        let (mut memory, mut scratch, mut answer) = (Memory::default(), Scratch::default(), Vec::new());
        for (i, read) in reads.iter().enumerate() {
            let mut read = read.to_vec();
            let mut text = Text::new(&mut read, &mut scratch);
            let occasion = Occasion { end: i + 1 == reads.len(), context: &Context::default() };
            Uppercase::of(InvalidUtf8::Pass).apply(&mut text, &mut memory, &occasion).unwrap();
            answer.extend_from_slice(text.into_bytes());
            assert!(memory.held.len() <= 3);
        }
        assert!(memory.is_at_rest());
        answer
    }

    #[test]
    fn a_character_may_become_longer_or_shorter() {
        for (text, expected) in [
            ("ŉ", "ʼN"),
            ("ΐ", "Ι\u{308}\u{301}"),
            ("ﬃ", "FFI"),
            ("ı", "I"),
            ("ᾳ", "ΑΙ"),
            ("ɐ", "Ɐ"),
            ("ß", "SS"),
            ("և", "ԵՒ"),
        ] {
            assert_eq!(String::from_utf8(answer(&[text.as_bytes()])).unwrap(), expected);
            let (among, expected) = (["aж", text, "語ა"].concat(), ["AЖ", expected, "語Ა"].concat());
            assert_eq!(String::from_utf8(answer(&[among.as_bytes()])).unwrap(), expected);
        }
    }

    #[test]
    fn a_character_cut_in_half_waits_for_its_rest_and_no_longer() {
        assert_eq!(answer(&[b"x\xF0", b"\x90", b"\x90", b"\xA8y", b""]), "X𐐀Y".as_bytes());
        assert_eq!(answer(&[b"x\xF0", b"\x90", b"", b"y", b""]), b"X\xF0\x90Y");
        assert_eq!(answer(&[b"x\xF0\x90", b""]), b"X\xF0\x90");
    }

    #[test]
    fn a_text_that_keeps_its_length_is_changed_where_it_lies() {
        let mut read = "Съешь ещё, straße, ა, 語, 𐐨, 😀".to_owned().into_bytes();
        let mut scratch = Scratch::default();
        let occasion = Occasion { end: true, context: &Context::default() };
        let mut text = Text::new(&mut read, &mut scratch);
        Uppercase::of(InvalidUtf8::Pass).apply(&mut text, &mut Memory::default(), &occasion).unwrap();
        assert_eq!(read, "СЪЕШЬ ЕЩЁ, STRASSE, Ა, 語, 𐐀, 😀".as_bytes());
    }
}
