//! `lowercase`: each character becomes its full lower-case mapping.
//!
//! One mapping looks at its neighbours: `Σ` becomes `ς` at the end of a word, elsewhere `σ`. The word
//! may go on in the next read, so such a `Σ` waits for the character that decides it, but for no more
//! than [`LOOK_AHEAD`] bytes: it is at the end of its word, too, if no character that is whole within
//! those bytes after it decides otherwise. As that is counted in the text and not in the reads, any
//! cut gives the same text.

use super::case::{self, Mapping};
use super::locale::{self, Locale};
use super::planes::Planes;
use super::registry::{Example, Listed, Site};
use super::utf8::{self, InvalidUtf8};
use super::{About, Growth, Memory, Occasion, Refusal, Step, Text};
use memchr::memmem::Finder;
use std::sync::LazyLock;

/// How many bytes after a `Σ` can decide what becomes of it.
const LOOK_AHEAD: usize = 64;

static LOWER: LazyLock<Mapping> =
    LazyLock::new(|| Mapping::new(<[u8]>::make_ascii_lowercase, |c, to| case::extend(to, c.to_lowercase())));

pub(super) static IN_WORDS: LazyLock<Planes<InWords>> = LazyLock::new(|| Planes::new(InWords::Ends, in_words));

/// What a character says of a `Σ` beside it (Unicode 17, section 3.13.1, "Cased" and "Case_Ignorable").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InWords {
    /// There the word ends.
    Ends,
    /// There the word goes on.
    GoesOn,
    /// Nothing; the character beyond it says it.
    Ignorable,
}

/// Reads the two properties, which the standard library does not show, off what it does with them.
fn in_words(c: char) -> InWords {
    let follows = |before: &str| format!("{before}{c}Σ").to_lowercase().ends_with('ς');
    if !follows("A") {
        InWords::Ends
    } else if follows("") {
        InWords::GoesOn
    } else {
        InWords::Ignorable
    }
}

pub(super) struct Lowercase {
    lower: &'static Mapping,
    in_words: &'static Planes<InWords>,
    sigma: Finder<'static>,
    locale: Option<Locale>,
    invalid_utf8: InvalidUtf8,
}

impl Listed for Lowercase {
    const ABOUT: About = About {
        name: "lowercase",
        summary: "lower case, in every script, or as the language of its option `locale` has it",
        example: Example::new("lowercase", "ΟΔΟΣ İ", "οδος i̇"),
        streams: true,
        undone_by: None,
        source: "Unicode, toLowercase (3.13.2, rule R2, with Final_Sigma), as Python's str.lower()",
    };

    type Own = locale::Own;

    fn new(own: Option<locale::Own>, site: &Site<'_>) -> Result<Lowercase, String> {
        let locale = own.map(locale::Own::lower).transpose()?;
        Ok(Lowercase { locale, ..Lowercase::of(site.options.invalid_utf8) })
    }
}

/// What is in [`Memory::note`] when the text so far ends in a word, but for ignorable characters.
const WITHIN_WORD: u64 = 1;

impl Step for Lowercase {
    fn apply(&self, text: &mut Text<'_>, memory: &mut Memory, occasion: &Occasion<'_>) -> Result<(), Refusal> {
        if let Some(locale) = &self.locale {
            return locale.apply(text, self.invalid_utf8);
        }
        memory.rejoin(text);
        let ascii = text.as_bytes().is_ascii();
        if !ascii {
            let undecided = self.decide_sigmas(text.as_mut_bytes(), memory.note == WITHIN_WORD, occasion.end);
            memory.hold_back(text, undecided);
        }
        let within = !occasion.end && self.ends_within_word(text.as_bytes(), memory.note == WITHIN_WORD);
        memory.note = if within { WITHIN_WORD } else { 0 };
        if ascii {
            text.as_mut_bytes().make_ascii_lowercase();
            return Ok(());
        }
        self.lower.apply(text, self.invalid_utf8)
    }

    fn growth(&self) -> Growth {
        Growth::times(3) // an invalid byte to U+FFFD; U+0130 and U+023A only grow from 2 bytes to 3
    }

    fn needs_messages(&self) -> bool {
        self.locale.is_some()
    }
}

impl Lowercase {
    pub(super) fn of(invalid_utf8: InvalidUtf8) -> Lowercase {
        Lowercase { lower: &LOWER, in_words: &IN_WORDS, sigma: Finder::new("Σ"), locale: None, invalid_utf8 }
    }

    /// Makes each `Σ` in `bytes` what it becomes, and says how many bytes at their end must wait for
    /// more: none if they are the `end`.
    fn decide_sigmas(&self, bytes: &mut [u8], within_word: bool, end: bool) -> usize {
        let mut from = 0;
        while let Some(at) = self.sigma.find(bytes.split_at(from).1).map(|found| from + found) {
            let (before, sigma) = bytes.split_at_mut(at);
            let (sigma, after) = sigma.split_at_mut("Σ".len());
            let word_goes_on =
                if self.ends_within_word(before, within_word) { self.goes_on(after, end) } else { Some(true) };
            let small = match word_goes_on {
                Some(true) => "σ",
                Some(false) => "ς",
                None => return bytes.len() - at,
            };
            sigma.copy_from_slice(small.as_bytes());
            from = at + "Σ".len();
        }
        if end { 0 } else { utf8::unfinished(bytes) }
    }

    pub(super) fn in_words(&self, c: char) -> InWords {
        self.in_words.get(c as usize).unwrap_or_else(|| in_words(c))
    }

    /// Whether `before`, or what came before it, ends within a word.
    fn ends_within_word(&self, mut before: &[u8], within_word: bool) -> bool {
        while !before.is_empty() {
            let Some(c) = utf8::last(before) else { return false };
            match self.in_words(c) {
                InWords::Ends => return false,
                InWords::GoesOn => return true,
                InWords::Ignorable => before = before.split_at(before.len() - c.len_utf8()).0,
            }
        }
        within_word
    }

    /// Whether a word goes on in `after`, if that can be said before more comes.
    pub(super) fn goes_on(&self, after: &[u8], end: bool) -> Option<bool> {
        let mut window = after.get(..LOOK_AHEAD).unwrap_or(after);
        let all_there = end || window.len() == LOOK_AHEAD;
        loop {
            match utf8::first(window) {
                Ok(c) => match self.in_words(c) {
                    InWords::Ends => return Some(false),
                    InWords::GoesOn => return Some(true),
                    InWords::Ignorable => window = window.split_at(c.len_utf8()).1,
                },
                // No byte at all, too, may be followed by more.
                Err(_) if !all_there && utf8::unfinished(window) == window.len() => return None,
                Err(_) => return Some(false),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transform::trial;

    /// What each read is answered with, and then the end.
    fn answers(reads: &[&str]) -> Vec<String> {
        trial::answers(&Lowercase::of(InvalidUtf8::Pass), "Σ".len() + LOOK_AHEAD - 1, reads)
    }

    #[test]
    fn a_sigma_at_the_end_of_a_word_waits_for_what_follows() {
        assert_eq!(answers(&["ΟΔΟΣ"]), ["οδο", "ς"]);
        assert_eq!(answers(&["ΟΔΟΣ", "\n"]), ["οδο", "ς\n", ""]);
        assert_eq!(answers(&["ΟΔΟΣ", "Σ", "Α"]), ["οδο", "σ", "σα", ""]);
        assert_eq!(answers(&["ΟΔΟΣ'", ".", "Α"]), ["οδο", "", "σ'.α", ""]);
        assert_eq!(answers(&["ΟΔΟΣ'", ".", " "]), ["οδο", "", "ς'. ", ""]);
    }

    #[test]
    fn a_sigma_knows_the_word_that_an_earlier_read_began() {
        assert_eq!(answers(&["A", "Σ "]), ["a", "ς ", ""]);
        assert_eq!(answers(&["A", "'", "", "Σ "]), ["a", "'", "", "ς ", ""]);
        assert_eq!(answers(&["A ", "Σ "]), ["a ", "σ ", ""]);
        assert_eq!(answers(&["é", "Σ "]), ["é", "ς ", ""]);
    }

    #[test]
    fn a_sigma_that_begins_a_word_does_not_wait() {
        assert_eq!(answers(&["Σ"]), ["σ", ""]);
        assert_eq!(answers(&[" 'Σ", "Σ"]), [" 'σ", "", "ς"]);
    }

    #[test]
    fn what_lies_beyond_the_look_ahead_does_not_decide() {
        for (ignorable, expected) in [(0, "aσ"), (LOOK_AHEAD - 1, "aσ"), (LOOK_AHEAD, "aς"), (LOOK_AHEAD + 1, "aς")]
        {
            let between = ".".repeat(ignorable);
            let text = format!("AΣ{between}B");
            let expected = format!("{expected}{between}b");
            assert_eq!(answers(&[&text]).concat(), expected);
            let characters: Vec<String> = text.chars().map(String::from).collect();
            let characters: Vec<&str> = characters.iter().map(String::as_str).collect();
            assert_eq!(answers(&characters).concat(), expected);
        }
    }

    #[test]
    fn the_standard_library_shows_what_is_part_of_a_word() {
        for (characters, expected) in [
            ("aZéßΣςЖაᲐǅⓐ𐐨", InWords::GoesOn),
            (" \n0-語😀\u{FFFD}\u{E000}\u{20000}", InWords::Ends),
            ("'.:^`\u{AD}\u{301}\u{345}ʰ\u{200B}\u{FE0F}\u{E0100}", InWords::Ignorable),
        ] {
            for c in characters.chars() {
                assert_eq!(Lowercase::of(InvalidUtf8::Pass).in_words(c), expected, "U+{:04X}", u32::from(c));
            }
        }
    }
}
