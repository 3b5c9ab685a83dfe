//! `strip_controls`: no character left that tells a terminal what to do.
//!
//! The bytes 0x80 to 0x9F are no such characters by themselves: they are not UTF-8.

use super::registry::{Example, Listed, Nothing, Site};
use super::utf8::{self, InvalidUtf8};
use super::{About, Growth, Memory, Occasion, Refusal, Step, Text};

pub(super) struct StripControls(InvalidUtf8);

impl Listed for StripControls {
    const ABOUT: About = About {
        name: "strip_controls",
        summary: "control characters go, but for tabs and line ends",
        example: Example::new("strip_controls", "\u{1B}[1ma\0\u{9B}\tb\u{7F}\r\n", "[1ma\tb\r\n"),
        streams: true,
        undone_by: None,
        source: "Unicode, general category Cc",
    };

    type Own = Nothing;

    fn new(_: Option<Nothing>, site: &Site<'_>) -> Result<StripControls, String> {
        Ok(StripControls(site.options.invalid_utf8))
    }
}

fn goes(c: char) -> bool {
    c.is_control() && !matches!(c, '\t' | '\n' | '\r')
}

impl Step for StripControls {
    fn apply(&self, text: &mut Text<'_>, memory: &mut Memory, occasion: &Occasion<'_>) -> Result<(), Refusal> {
        memory.rejoin(text);
        if text.as_bytes().iter().all(|byte| byte.is_ascii() && !goes(char::from(*byte))) {
            return Ok(());
        }
        utf8::rewrite_chars(text, memory, occasion, self.0, |c, to| {
            if !goes(c) {
                utf8::push(to, c);
            }
        })
    }

    fn growth(&self) -> Growth {
        Growth::times(3) // an invalid byte to U+FFFD
    }
}
