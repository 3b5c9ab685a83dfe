//! `ascii_uppercase` and `ascii_lowercase`: the case of the 26 letters, and of nothing else.
//!
//! No byte of a longer character of UTF-8 is ASCII, so here nobody asks what the other bytes are.

use super::registry::{Example, Listed, Nothing, Site};
use super::{About, Memory, Occasion, Refusal, Step, Text};

pub(super) struct AsciiUppercase;

impl Listed for AsciiUppercase {
    const ABOUT: About = About {
        name: "ascii_uppercase",
        summary: "the letters a-z become A-Z, whatever the other bytes are",
        example: Example::new("ascii_uppercase", "straße", "STRAßE"),
        streams: true,
        undone_by: None,
        source: "ASCII, as Python's bytes.upper()",
    };

    type Own = Nothing;

    fn new(_: Option<Nothing>, _: &Site<'_>) -> Result<AsciiUppercase, String> {
        Ok(AsciiUppercase)
    }
}

impl Step for AsciiUppercase {
    fn apply(&self, text: &mut Text<'_>, _: &mut Memory, _: &Occasion<'_>) -> Result<(), Refusal> {
        text.as_mut_bytes().make_ascii_uppercase();
        Ok(())
    }
}

pub(super) struct AsciiLowercase;

impl Listed for AsciiLowercase {
    const ABOUT: About = About {
        name: "ascii_lowercase",
        summary: "the letters A-Z become a-z, whatever the other bytes are",
        example: Example::new("ascii_lowercase", "ÉCOLE", "École"),
        streams: true,
        undone_by: None,
        source: "ASCII, as Python's bytes.lower()",
    };

    type Own = Nothing;

    fn new(_: Option<Nothing>, _: &Site<'_>) -> Result<AsciiLowercase, String> {
        Ok(AsciiLowercase)
    }
}

impl Step for AsciiLowercase {
    fn apply(&self, text: &mut Text<'_>, _: &mut Memory, _: &Occasion<'_>) -> Result<(), Refusal> {
        text.as_mut_bytes().make_ascii_lowercase();
        Ok(())
    }
}
