//! `titlecase`, `capitalize` and `swapcase`: upper and lower case in one text, as Python mixes them.
//!
//! What becomes lower does so as under `lowercase`, whose reading of words and whose look-ahead settle
//! a `Σ` here too, so any cut gives the same text.

use super::case;
use super::lowercase::{InWords, Lowercase};
use super::registry::{Example, Listed, Nothing, Site};
use super::utf8::{self, InvalidUtf8};
use super::{About, Growth, Memory, Occasion, Refusal, Step, Text};

/// U+0390, 2 bytes to 6; an invalid byte to U+FFFD.
const GROWTH: Growth = Growth::times(3);

/// What is to become of a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    Lower,
    Upper,
    Title,
    Itself,
}

/// What the characters so far say of the next one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Before {
    /// Whether the last one is cased.
    cased: bool,
    /// Whether they end in a word, but for ignorable characters.
    within_word: bool,
}

impl Before {
    fn of_note(note: u64) -> Before {
        Before { cased: note & 1 != 0, within_word: note & 2 != 0 }
    }

    fn note(self) -> u64 {
        u64::from(self.cased) | u64::from(self.within_word) << 1
    }

    fn then(self, c: char, in_words: InWords) -> Before {
        match in_words {
            InWords::Ends => Before::default(),
            InWords::GoesOn => Before { cased: true, within_word: true },
            // Some modifiers and marks are both cased and ignorable.
            InWords::Ignorable => Before { cased: c.is_lowercase() || c.is_uppercase(), ..self },
        }
    }
}

/// Maps each character as `choose` says of it and of what comes before it.
fn mix(
    lower: &Lowercase,
    policy: InvalidUtf8,
    text: &mut Text<'_>,
    memory: &mut Memory,
    occasion: &Occasion<'_>,
    choose: impl Fn(char, Before) -> Case,
) -> Result<(), Refusal> {
    memory.rejoin(text);
    let mut before = Before::of_note(memory.note);
    let mut done = Ok(());
    if text.as_bytes().is_ascii() {
        for byte in text.as_mut_bytes() {
            let c = char::from(*byte);
            match choose(c, before) {
                Case::Lower => byte.make_ascii_lowercase(),
                Case::Upper | Case::Title => byte.make_ascii_uppercase(),
                Case::Itself => {}
            }
            before = before.then(c, lower.in_words(c));
        }
    } else {
        done = text.rewrite(|from, to| {
            let mut rest = &*from;
            while !rest.is_empty() {
                let c = match utf8::first(rest) {
                    Ok(c) => c,
                    Err(_) if !occasion.end && utf8::unfinished(rest) == rest.len() => break,
                    Err(invalid) => {
                        policy.treat(invalid, to)?;
                        before = Before::default();
                        rest = rest.split_at(invalid.len()).1;
                        continue;
                    }
                };
                let after = rest.split_at(c.len_utf8()).1;
                match choose(c, before) {
                    Case::Lower if c == 'Σ' && before.within_word => match lower.goes_on(after, occasion.end) {
                        Some(true) => to.extend_from_slice("σ".as_bytes()),
                        Some(false) => to.extend_from_slice("ς".as_bytes()),
                        None => break,
                    },
                    Case::Lower => case::extend(to, c.to_lowercase()),
                    Case::Upper => case::extend(to, c.to_uppercase()),
                    Case::Title => title(c, to),
                    Case::Itself => case::extend(to, [c].into_iter()),
                }
                before = before.then(c, lower.in_words(c));
                rest = after;
            }
            memory.held.extend_from_slice(rest);
            Ok(())
        });
    }
    memory.note = if occasion.end { 0 } else { before.note() };
    done
}

/// Writes the full title case of `c` (Unicode's `Titlecase_Mapping`, which the standard library does
/// not show): its upper case, but for the characters that are several letters, and for Georgian, which
/// has capitals for whole words only.
fn title(c: char, to: &mut Vec<u8>) {
    let one = match c {
        'Ǆ'..='ǆ' => 'ǅ',
        'Ǉ'..='ǉ' => 'ǈ',
        'Ǌ'..='ǌ' => 'ǋ',
        'Ǳ'..='ǳ' => 'ǲ',
        'ა'..='ჺ' | 'ჽ'..='ჿ' => c,
        'ᾀ'..='ᾯ' => char::from_u32(u32::from(c) | 8).unwrap_or(c),
        'ᾳ' | 'ᾼ' => 'ᾼ',
        'ῃ' | 'ῌ' => 'ῌ',
        'ῳ' | 'ῼ' => 'ῼ',
        'ᾲ' | 'ᾴ' | 'ᾷ' | 'ῂ' | 'ῄ' | 'ῇ' | 'ῲ' | 'ῴ' | 'ῷ' => {
            let iota_below = |upper| if upper == 'Ι' { '\u{345}' } else { upper };
            return case::extend(to, c.to_uppercase().map(iota_below));
        }
        'ß' | 'և' | 'ﬀ'..='ﬆ' | 'ﬓ'..='ﬗ' => {
            let mut letters = c.to_uppercase();
            case::extend(to, letters.next().into_iter());
            return case::extend(to, letters.flat_map(char::to_lowercase));
        }
        _ => return case::extend(to, c.to_uppercase()),
    };
    case::extend(to, [one].into_iter());
}

pub(super) struct Titlecase {
    lower: Lowercase,
    invalid_utf8: InvalidUtf8,
}

impl Listed for Titlecase {
    const ABOUT: About = About {
        name: "titlecase",
        summary: "each word begins with a capital and goes on in lower case, in every script",
        example: Example::new("titlecase", "ǆEZVA o'neil ΟΔΟΣ", "ǅezva O'Neil Οδος"),
        streams: true,
        undone_by: None,
        source: "Python's str.title()",
    };

    type Own = Nothing;

    fn new(_: Option<Nothing>, site: &Site<'_>) -> Result<Titlecase, String> {
        let invalid_utf8 = site.options.invalid_utf8;
        Ok(Titlecase { lower: Lowercase::of(invalid_utf8), invalid_utf8 })
    }
}

impl Step for Titlecase {
    fn apply(&self, text: &mut Text<'_>, memory: &mut Memory, occasion: &Occasion<'_>) -> Result<(), Refusal> {
        mix(&self.lower, self.invalid_utf8, text, memory, occasion, |_, before| match before.cased {
            true => Case::Lower,
            false => Case::Title,
        })
    }

    fn growth(&self) -> Growth {
        GROWTH
    }
}

pub(super) struct Capitalize {
    lower: Lowercase,
}

impl Listed for Capitalize {
    const ABOUT: About = About {
        name: "capitalize",
        summary: "a message begins with a capital and goes on in lower case, in every script",
        example: Example::new("capitalize", "éCOLE DE ΛΌΓΟΣ", "École de λόγος"),
        streams: false,
        undone_by: None,
        source: "Python's str.capitalize()",
    };

    type Own = Nothing;

    fn new(_: Option<Nothing>, site: &Site<'_>) -> Result<Capitalize, String> {
        Ok(Capitalize { lower: Lowercase::of(site.options.invalid_utf8) })
    }
}

impl Step for Capitalize {
    fn apply(&self, text: &mut Text<'_>, memory: &mut Memory, occasion: &Occasion<'_>) -> Result<(), Refusal> {
        let first = utf8::first(text.as_bytes());
        let first = first.ok();
        let done = self.lower.apply(text, memory, occasion);
        if let Some(first) = first {
            let lower: usize = first.to_lowercase().map(char::len_utf8).sum();
            let mut capital = Vec::new();
            title(first, &mut capital);
            match text.as_mut_bytes().split_at_mut_checked(lower) {
                Some((start, _)) if lower == capital.len() => start.copy_from_slice(&capital),
                _ => text.rewrite(|from, to| {
                    to.extend_from_slice(&capital);
                    to.extend(from.iter().skip(lower));
                }),
            }
        }
        done
    }

    fn growth(&self) -> Growth {
        GROWTH
    }
}

pub(super) struct Swapcase {
    lower: Lowercase,
    invalid_utf8: InvalidUtf8,
}

impl Listed for Swapcase {
    const ABOUT: About = About {
        name: "swapcase",
        summary: "upper case becomes lower, and lower upper, in every script",
        example: Example::new("swapcase", "Straße ΟΔΟΣ", "sTRASSE οδος"),
        streams: true,
        undone_by: None,
        source: "Python's str.swapcase()",
    };

    type Own = Nothing;

    fn new(_: Option<Nothing>, site: &Site<'_>) -> Result<Swapcase, String> {
        let invalid_utf8 = site.options.invalid_utf8;
        Ok(Swapcase { lower: Lowercase::of(invalid_utf8), invalid_utf8 })
    }
}

impl Step for Swapcase {
    fn apply(&self, text: &mut Text<'_>, memory: &mut Memory, occasion: &Occasion<'_>) -> Result<(), Refusal> {
        mix(&self.lower, self.invalid_utf8, text, memory, occasion, |c, _| {
            if c.is_uppercase() {
                Case::Lower
            } else if c.is_lowercase() {
                Case::Upper
            } else {
                Case::Itself
            }
        })
    }

    fn growth(&self) -> Growth {
        GROWTH
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transform::trial;

    /// What each read is answered with by `step`, and then the end.
    fn answers(step: &dyn Step, reads: &[&str]) -> Vec<String> {
        trial::answers(step, 128, reads)
    }

    fn titlecase() -> Titlecase {
        Titlecase { lower: Lowercase::of(InvalidUtf8::Pass), invalid_utf8: InvalidUtf8::Pass }
    }

    #[test]
    fn a_word_knows_what_an_earlier_read_began() {
        assert_eq!(answers(&titlecase(), &["sh", "OUT", " L", "OUD"]), ["Sh", "out", " L", "oud", ""]);
        assert_eq!(answers(&titlecase(), &["é", "É", "'", "É"]), ["É", "é", "'", "É", ""]);
        assert_eq!(answers(&titlecase(), &["ΟΔΟΣ", "\n"]), ["Οδο", "ς\n", ""]);
        assert_eq!(answers(&titlecase(), &["ΟΔΟΣ", "Α"]), ["Οδο", "σα", ""]);
        // Cased and ignorable, it goes on with a word for the capital, and begins none for the sigma.
        assert_eq!(answers(&titlecase(), &["ʰ", "Σ "]), ["ʰ", "σ ", ""]);
    }

    #[test]
    fn a_character_of_several_letters_has_a_title_case_of_its_own() {
        for (c, expected) in [
            ('ǆ', "ǅ"),
            ('Ǆ', "ǅ"),
            ('ß', "Ss"),
            ('ﬃ', "Ffi"),
            ('և', "Եւ"),
            ('ﬓ', "Մն"),
            ('ᾀ', "ᾈ"),
            ('ᾷ', "Α\u{342}\u{345}"),
            ('ŉ', "ʼN"),
            ('ა', "ა"),
        ] {
            let mut to = Vec::new();
            title(c, &mut to);
            assert_eq!(String::from_utf8(to).unwrap(), expected);
        }
    }
}
