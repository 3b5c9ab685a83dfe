//! `casefold`: what differs in case only becomes the same, as for a comparison.
//!
//! The standard library has no folding, but this is its upper case made lower again; what that leaves
//! out is listed in [`fold`]. The mapping does not depend on a character's neighbours.

use super::case::{self, Mapping};
use super::registry::{Example, Listed, Nothing, Site};
use super::utf8::{self, InvalidUtf8};
use super::{About, Growth, Memory, Occasion, Refusal, Step, Text};
use std::sync::LazyLock;

static FOLDED: LazyLock<Mapping> = LazyLock::new(|| Mapping::new(<[u8]>::make_ascii_lowercase, fold));

/// Writes the full case folding of `c` (Unicode's `CaseFolding.txt`, status C and F).
fn fold(c: char, to: &mut Vec<u8>) {
    match c {
        // It would become an i with a dot.
        'ı' => case::extend(to, [c].into_iter()),
        // Cherokee had its capitals first, and folds to them.
        '\u{13A0}'..='\u{13FD}' | '\u{AB70}'..='\u{ABBF}' => case::extend(to, c.to_uppercase()),
        // Lower case at first, for the ẞ, which is its own upper case.
        _ => case::extend(to, c.to_lowercase().flat_map(char::to_uppercase).flat_map(char::to_lowercase)),
    }
}

pub(super) struct Casefold {
    folded: &'static Mapping,
    invalid_utf8: InvalidUtf8,
}

impl Listed for Casefold {
    const ABOUT: About = About {
        name: "casefold",
        summary: "texts that differ in case only become the same, in every script",
        example: Example::new("casefold", "Straße ΟΔΟΣ", "strasse οδοσ"),
        streams: true,
        undone_by: None,
        source: "Unicode, toCasefold (3.13.2, rule R4), as Python's str.casefold()",
    };

    type Own = Nothing;

    fn new(_: Option<Nothing>, site: &Site<'_>) -> Result<Casefold, String> {
        Ok(Casefold { folded: &FOLDED, invalid_utf8: site.options.invalid_utf8 })
    }
}

impl Step for Casefold {
    fn apply(&self, text: &mut Text<'_>, memory: &mut Memory, occasion: &Occasion<'_>) -> Result<(), Refusal> {
        memory.rejoin(text);
        if text.as_bytes().is_ascii() {
            text.as_mut_bytes().make_ascii_lowercase();
            return Ok(());
        }
        if !occasion.end {
            memory.hold_back(text, utf8::unfinished(text.as_bytes()));
        }
        self.folded.apply(text, self.invalid_utf8)
    }

    fn growth(&self) -> Growth {
        Growth::times(3) // U+0390, 2 bytes to 6; an invalid byte to U+FFFD
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_in_case_only_becomes_the_same() {
        let folded = |text: &str| {
            let mut to = Vec::new();
            text.chars().for_each(|c| fold(c, &mut to));
            String::from_utf8(to).unwrap()
        };
        for (text, expected) in [
            ("ß", "ss"),
            ("ẞ", "ss"),
            ("ΣΑς", "σας"),
            ("Iİıi", "ii\u{307}ıi"),
            ("Ꭰꭰᏸ", "ᎠᎠᏰ"),
            ("ᾳᾼ", "αιαι"),
            ("ᲐᲑა", "აბა"),
        ] {
            assert_eq!(folded(text), expected.replace('ς', "σ"));
        }
    }

    #[test]
    #[cfg(feature = "locale")]
    fn every_scalar_value_is_folded_as_icu_folds_it() {
        let icu = icu_casemap::CaseMapper::new();
        // ICU knows Unicode 18 already, the standard library 17.
        let differing = ('\0'..=char::MAX).filter(|c| {
            let mut to = Vec::new();
            fold(*c, &mut to);
            to != icu.fold_string(&c.to_string()).as_bytes()
        });
        let differing: Vec<String> = differing.map(|c| format!("{:04X}", u32::from(c))).collect();
        let new = "A7DD A7E2 AB6C AB6D 1DF40 1DF48 1DF4A 1DF4D 1DF51 1DF68 1DF6A 1DF6C 1DF6E 1DF72 1DF74 1DF76 1DF78 \
                   1DF7A 1DF7C 1DF7E 1DF95";
        assert_eq!(differing.join(" "), new);
    }
}
