//! `rot13`: each ASCII letter becomes the one thirteen places on, in its case, in place.

use super::registry::{Example, Listed, Nothing, Site};
use super::{About, Memory, Occasion, Refusal, Step, Text};

pub(super) struct Rot13;

impl Listed for Rot13 {
    const ABOUT: About = About {
        name: "rot13",
        summary: "each of the letters A-Z a-z turned thirteen places",
        example: Example::new("rot13", "Hello", "Uryyb"),
        streams: true,
        undone_by: Some("rot13"),
        source: "as Python's codec rot13",
    };

    type Own = Nothing;

    fn new(_: Option<Nothing>, _: &Site<'_>) -> Result<Rot13, String> {
        Ok(Rot13)
    }
}

impl Step for Rot13 {
    fn apply(&self, text: &mut Text<'_>, _: &mut Memory, _: &Occasion<'_>) -> Result<(), Refusal> {
        for byte in text.as_mut_bytes() {
            *byte = match *byte {
                b'A'..=b'M' | b'a'..=b'm' => *byte + 13,
                b'N'..=b'Z' | b'n'..=b'z' => *byte - 13,
                other => other,
            };
        }
        Ok(())
    }
}
