//! `lowercase`: each character becomes its full lower-case mapping.
//!
//! The mapping of a character does not depend on its neighbours, so any cut between characters
//! gives the same text; only a character cut in half waits for its rest.

use super::registry::Listed;
use super::utf8::{self, InvalidUtf8};
use super::{About, Memory, Occasion, Options, Refusal, Step, Text};

pub(super) struct Lowercase {
    invalid_utf8: InvalidUtf8,
}

impl Listed for Lowercase {
    const ABOUT: About = About {
        name: "lowercase",
        summary: "lower case, in every script",
        example: ("ΟΔΟΣ İ", "οδος i̇"),
        streams: true,
        growth: 3, // U+0390, 2 bytes to 6; an invalid byte to U+FFFD
        context: false,
        source: "Unicode, toLowercase (3.13.2, rule R1), as Python's str.lower()",
    };

    fn new(options: Options) -> Self {
        Lowercase { invalid_utf8: options.invalid_utf8 }
    }
}

impl Step for Lowercase {
    fn apply(&self, text: &mut Text<'_>, memory: &mut Memory, occasion: &Occasion<'_>) -> Result<(), Refusal> {
        memory.rejoin(text);
        if text.as_bytes().is_ascii() {
            text.as_mut_bytes().make_ascii_lowercase();
            return Ok(());
        }
        if !occasion.end {
            memory.hold_back(text, utf8::unfinished(text.as_bytes()));
        }
        text.rewrite(|from, to| utf8::read(from, to, self.invalid_utf8, lower))
    }
}

fn lower(text: &str, to: &mut Vec<u8>) {
    for c in text.chars() {
        for u in c.to_lowercase() {
            to.extend_from_slice(u.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
}
