//! Case as a language has it: the option `locale` of `uppercase` and `lowercase`.
//!
//! ICU's tables do it, and they look around a character within its word, so a step with a locale works on
//! whole messages; the bare steps know nothing of this file. Without the feature `locale` the option
//! is a mistake that says so.

#[cfg(feature = "locale")]
use super::lowercase::{IN_WORDS, InWords};
use super::{InvalidUtf8, Refusal, Text};
#[cfg(feature = "locale")]
use icu_casemap::CaseMapper;
#[cfg(feature = "locale")]
use icu_locale_core::LanguageIdentifier;
use serde::Deserialize;
#[cfg(feature = "locale")]
use std::borrow::Cow;

/// What may be written behind `uppercase` and `lowercase`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table as { locale = \"tr\" }")]
pub(super) struct Own {
    #[cfg_attr(not(feature = "locale"), expect(dead_code, reason = "its mistake is to be there at all"))]
    locale: String,
}

/// A case mapping in one language.
#[cfg(feature = "locale")]
pub(super) struct Locale {
    language: LanguageIdentifier,
    map: for<'t> fn(&'t str, &LanguageIdentifier) -> Cow<'t, str>,
}

#[cfg(feature = "locale")]
impl Own {
    /// Upper case in the language asked for.
    ///
    /// # Errors
    ///
    /// That its upper case is no other than without it.
    pub(super) fn upper(self) -> Result<Locale, String> {
        let language = self.known(&["az", "el", "hy", "lt", "tr"])?;
        Ok(Locale { language, map: |text, language| CaseMapper::new().uppercase_to_string(text, language) })
    }

    /// Lower case in the language asked for.
    ///
    /// # Errors
    ///
    /// That its lower case is no other than without it.
    pub(super) fn lower(self) -> Result<Locale, String> {
        // Greek is listed, though its lower case is everyone's, so that both steps can be told the same.
        let language = self.known(&["az", "el", "lt", "tr"])?;
        Ok(Locale { language, map: |text, language| CaseMapper::new().lowercase_to_string(text, language) })
    }

    fn known(self, all: &[&str]) -> Result<LanguageIdentifier, String> {
        let Own { locale } = self;
        let known = all.iter().find(|known| **known == locale);
        known.and_then(|known| known.parse().ok()).ok_or_else(|| {
            format!("unknown locale \"{locale}\"; one of {}, or no option where none of them is meant", all.join(", "))
        })
    }
}

#[cfg(feature = "locale")]
impl Locale {
    /// Maps the whole of `text`, a message; bytes that are not UTF-8 are treated as `policy` says.
    ///
    /// # Errors
    ///
    /// [`Refusal::InvalidUtf8`] under [`InvalidUtf8::Close`].
    pub(super) fn apply(&self, text: &mut Text<'_>, policy: InvalidUtf8) -> Result<(), Refusal> {
        text.rewrite(|from, to| {
            for chunk in from.utf8_chunks() {
                let mut rest = chunk.valid();
                while !rest.is_empty() {
                    let (piece, next) = rest.split_at(piece_len(rest));
                    to.extend_from_slice((self.map)(piece, &self.language).as_bytes());
                    rest = next;
                }
                if !chunk.invalid().is_empty() {
                    policy.treat(chunk.invalid(), to)?;
                }
            }
            Ok(())
        })
    }
}

/// A piece has at least so many bytes, where the text has, so that ICU is not called for each word.
#[cfg(feature = "locale")]
const PIECE: usize = 64;

/// A piece has at most so many bytes, though a word be longer: for each mark ICU looks back over all marks
/// before it, and a message of nothing else would take the square of its length.
#[cfg(feature = "locale")]
const LONGEST_PIECE: usize = 256;

/// How many bytes at the start of `text` may be mapped by themselves.
#[cfg(feature = "locale")]
fn piece_len(text: &str) -> usize {
    // No language looks across these: no letters, or letters of scripts that have no case, and no marks.
    let is_between_words = |c: char| {
        IN_WORDS.get(c as usize) == Some(InWords::Ends) && (c.is_ascii() || c.is_alphanumeric() || c.is_whitespace())
    };
    let mut chars = text.char_indices();
    let end = chars.find(|(at, c)| (*at >= PIECE && is_between_words(*c)) || at + c.len_utf8() > LONGEST_PIECE);
    end.map_or(text.len(), |(at, _)| at)
}

/// No language is known without ICU.
#[cfg(not(feature = "locale"))]
pub(super) enum Locale {}

#[cfg(not(feature = "locale"))]
impl Own {
    pub(super) fn upper(self) -> Result<Locale, String> {
        Err("this shoutd was built without the feature `locale`; build it with --features locale".to_owned())
    }

    pub(super) fn lower(self) -> Result<Locale, String> {
        self.upper()
    }
}

#[cfg(not(feature = "locale"))]
impl Locale {
    pub(super) fn apply(&self, _: &mut Text<'_>, _: InvalidUtf8) -> Result<(), Refusal> {
        match *self {}
    }
}

#[cfg(test)]
#[cfg(feature = "locale")]
mod tests {
    use super::*;
    use crate::transform::Scratch;

    fn mapped(locale: Result<Locale, String>, text: &[u8], policy: InvalidUtf8) -> (String, Result<(), Refusal>) {
        let (mut bytes, mut scratch) = (text.to_vec(), Scratch::default());
        let mut text = Text::new(&mut bytes, &mut scratch);
        let done = locale.unwrap().apply(&mut text, policy);
        (text.into_bytes().escape_ascii().to_string(), done)
    }

    fn own(locale: &str) -> Own {
        Own { locale: locale.to_owned() }
    }

    #[test]
    fn each_language_has_its_case() {
        for (locale, text, expected) in [
            ("tr", "ılık süt içti", "ILIK SÜT İÇTİ"),
            ("az", "fi", "Fİ"),
            ("el", "Μαΐου, ή Άδης", "ΜΑΪΟΥ, Ή ΑΔΗΣ"),
            ("lt", "i\u{307}\u{300}", "I\u{300}"),
            ("hy", "և", "ԵՎ"),
        ] {
            let upper = mapped(own(locale).upper(), text.as_bytes(), InvalidUtf8::Pass);
            assert_eq!(upper, (expected.as_bytes().escape_ascii().to_string(), Ok(())), "{locale}");
        }
        for (locale, text, expected) in
            [("tr", "ILIK İÇ", "ılık iç"), ("az", "I", "ı"), ("el", "ΟΔΟΣ", "οδος"), ("lt", "Ì", "i\u{307}\u{300}")]
        {
            let lower = mapped(own(locale).lower(), text.as_bytes(), InvalidUtf8::Pass);
            assert_eq!(lower, (expected.as_bytes().escape_ascii().to_string(), Ok(())), "{locale}");
        }
    }

    #[test]
    fn a_text_in_pieces_is_mapped_as_the_whole_would_be() {
        let alphabet = [
            " ", " ", "\n", "語", "7", "-", "'", ".", "Σ", "α", "ή", "Ή", "ΐ", "ϊ", "Ά", "ι", "υ", "ό", "i", "I", "İ",
            "ı", "j", "J", "Į", "Ì", "և", "x", "\u{301}", "\u{307}", "\u{308}", "\u{328}", "\u{345}", "\u{AD}",
        ];
        let mut rng = fastrand::Rng::with_seed(1);
        for _ in 0..3_000 {
            let text: String = (0..rng.usize(..300)).map(|_| alphabet[rng.usize(..alphabet.len())]).collect();
            for (locale, whole) in [
                (own("tr").upper().unwrap(), CaseMapper::new().uppercase_to_string(&text, &"tr".parse().unwrap())),
                (own("lt").upper().unwrap(), CaseMapper::new().uppercase_to_string(&text, &"lt".parse().unwrap())),
                (own("el").upper().unwrap(), CaseMapper::new().uppercase_to_string(&text, &"el".parse().unwrap())),
                (own("tr").lower().unwrap(), CaseMapper::new().lowercase_to_string(&text, &"tr".parse().unwrap())),
                (own("lt").lower().unwrap(), CaseMapper::new().lowercase_to_string(&text, &"lt".parse().unwrap())),
            ] {
                let expected = (whole.as_bytes().escape_ascii().to_string(), Ok(()));
                assert_eq!(mapped(Ok(locale), text.as_bytes(), InvalidUtf8::Close), expected);
            }
        }
    }

    #[test]
    fn a_text_without_words_is_cut_where_a_piece_may_end() {
        assert_eq!(piece_len(&"\u{301}".repeat(200)), LONGEST_PIECE);
        assert_eq!(piece_len(&["ά", &"語".repeat(200)].concat()), 2 + 21 * 3);
        assert_eq!(piece_len("ΟΔΟΣ ΟΔΟΣ"), 17);
    }

    #[test]
    fn bytes_that_are_no_text_are_treated_as_everywhere() {
        let upper = |policy| mapped(own("tr").upper(), b"i\xFFi", policy);
        assert_eq!(upper(InvalidUtf8::Pass), (r"\xc4\xb0\xff\xc4\xb0".to_owned(), Ok(())));
        assert_eq!(upper(InvalidUtf8::Replace), (r"\xc4\xb0\xef\xbf\xbd\xc4\xb0".to_owned(), Ok(())));
        assert_eq!(upper(InvalidUtf8::Close), (r"\xc4\xb0".to_owned(), Err(Refusal::InvalidUtf8)));
    }

    #[test]
    fn a_language_without_a_case_of_its_own_is_refused_with_those_that_have_one() {
        let refused = "unknown locale \"de\"; one of az, el, hy, lt, tr, or no option where none of them is meant";
        assert_eq!(own("de").upper().err().unwrap(), refused);
        assert!(own("hy").lower().is_err());
    }
}
