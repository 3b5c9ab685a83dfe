//! `ascii`: every script in Latin letters without marks, as well as ASCII can.
//!
//! The library `any_ascii` knows how; it goes by single characters and knows no languages.

use super::registry::{Example, Listed, Nothing, Site};
use super::utf8::{self, InvalidUtf8};
use super::{About, Growth, Memory, Occasion, Refusal, Step, Text};
use any_ascii::any_ascii_char;

pub(super) struct Ascii(InvalidUtf8);

impl Listed for Ascii {
    const ABOUT: About = About {
        name: "ascii",
        summary: "every script in Latin letters without marks; what has no such letters goes",
        example: Example::new("ascii", "Žluťoučký kůň, Ελλάδα, 北京", "Zlutoucky kun, Ellada, BeiJing"),
        streams: true,
        undone_by: None,
        source: "any_ascii",
    };

    type Own = Nothing;

    fn new(_: Option<Nothing>, site: &Site<'_>) -> Result<Ascii, String> {
        Ok(Ascii(site.options.invalid_utf8))
    }
}

impl Step for Ascii {
    fn apply(&self, text: &mut Text<'_>, memory: &mut Memory, occasion: &Occasion<'_>) -> Result<(), Refusal> {
        memory.rejoin(text);
        if text.as_bytes().is_ascii() {
            return Ok(());
        }
        utf8::rewrite_chars(text, memory, occasion, self.0, |c, to| match u8::try_from(c) {
            Ok(byte) if byte.is_ascii() => to.push(byte),
            _ => to.extend_from_slice(any_ascii_char(c).as_bytes()),
        })
    }

    fn growth(&self) -> Growth {
        Growth::times(11) // U+1FAF0, 4 bytes to 43
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_character_grows_more_than_is_declared() {
        let times = |c: &char| (any_ascii_char(*c).len().div_ceil(c.len_utf8()), *c);
        let (most, c) = ('\u{80}'..=char::MAX).map(|c| times(&c)).max().unwrap();
        assert_eq!(most, Ascii(InvalidUtf8::Pass).growth().times, "U+{:04X}", u32::from(c));
    }

    #[test]
    fn a_mark_goes_whether_it_is_part_of_its_letter_or_stands_behind_it() {
        for mark in '\u{300}'..'\u{370}' {
            assert!(any_ascii_char(mark).len() <= 1, "U+{:04X} {:?}", u32::from(mark), any_ascii_char(mark));
        }
    }
}
