//! `reverse`: the last shall be first; what is one character to its reader stays whole.
//!
//! What that is, an extended grapheme cluster, the library `unicode-segmentation` knows.

use super::registry::{Example, Listed, Nothing, Site};
use super::utf8::InvalidUtf8;
use super::{About, Growth, Memory, Occasion, Refusal, Step, Text};
use unicode_segmentation::UnicodeSegmentation;

pub(super) struct Reverse(InvalidUtf8);

impl Listed for Reverse {
    const ABOUT: About = About {
        name: "reverse",
        summary: "each message backwards; what is one character to its reader stays whole",
        example: Example::new("reverse", "e\u{301}a👩‍🚀 🇨🇭", "🇨🇭 👩‍🚀ae\u{301}"),
        streams: false,
        undone_by: None,
        source: "Unicode, extended grapheme clusters (UAX #29)",
    };

    type Own = Nothing;

    fn new(_: Option<Nothing>, site: &Site<'_>) -> Result<Reverse, String> {
        Ok(Reverse(site.options.invalid_utf8))
    }
}

impl Step for Reverse {
    fn apply(&self, text: &mut Text<'_>, _: &mut Memory, _: &Occasion<'_>) -> Result<(), Refusal> {
        // CR LF is the one cluster among ASCII.
        if text.as_bytes().is_ascii() && !text.as_bytes().contains(&b'\r') {
            text.as_mut_bytes().reverse();
            return Ok(());
        }
        text.rewrite(|from, to| {
            let done = from.utf8_chunks().try_for_each(|chunk| {
                // Each unit backwards, and then all of them: so their own bytes end up in order.
                for cluster in chunk.valid().graphemes(true) {
                    to.extend(cluster.bytes().rev());
                }
                if chunk.invalid().is_empty() {
                    return Ok(());
                }
                let start = to.len();
                self.0.treat(chunk.invalid(), to)?;
                to.split_at_mut(start).1.reverse();
                Ok(())
            });
            to.reverse();
            done
        })
    }

    fn growth(&self) -> Growth {
        Growth::times(3) // an invalid byte to U+FFFD
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transform::{Context, Scratch};

    fn reversed(text: &[u8], policy: InvalidUtf8) -> (Vec<u8>, Result<(), Refusal>) {
        let (mut bytes, mut scratch) = (text.to_vec(), Scratch::default());
        let mut text = Text::new(&mut bytes, &mut scratch);
        let occasion = Occasion { end: true, context: &Context::default() };
        let done = Reverse(policy).apply(&mut text, &mut Memory::default(), &occasion);
        (text.into_bytes().to_vec(), done)
    }

    #[test]
    fn what_is_one_character_to_its_reader_stays_whole() {
        for (text, expected) in [
            ("shout", "tuohs"),
            ("a\r\nb", "b\r\na"),
            ("e\u{301}x", "xe\u{301}"),
            ("👩‍👩‍👧‍👦!", "!👩‍👩‍👧‍👦"),
            ("🇨🇭🇱🇮", "🇱🇮🇨🇭"),
            ("\u{1112}\u{1161}\u{11AB}가", "가\u{1112}\u{1161}\u{11AB}"),
            ("क्षि!", "!क्षि"),
        ] {
            assert_eq!(reversed(text.as_bytes(), InvalidUtf8::Close), (expected.as_bytes().to_vec(), Ok(())));
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_units_of_their_own() {
        let text = b"e\xCC\x81\xE2\x82\xFFz";
        assert_eq!(reversed(text, InvalidUtf8::Pass).0, b"z\xFF\xE2\x82e\xCC\x81");
        assert_eq!(reversed(text, InvalidUtf8::Replace).0, "z\u{FFFD}\u{FFFD}e\u{301}".as_bytes());
        assert_eq!(reversed(b"ab\xFFz", InvalidUtf8::Close), (b"ba".to_vec(), Err(Refusal::InvalidUtf8)));
    }
}
