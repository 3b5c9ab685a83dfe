//! `hex` and `unhex`: each byte as two hexadecimal digits, and back.
//!
//! `hex` writes lower case and nothing between the digits; `unhex` reads both cases. A prefix as `0x`
//! is not read.

use super::groups::{self, Groups};
use super::registry::{Example, Listed, Nothing, Site, shown};
use super::{About, Growth, Memory, Occasion, OnError, Refusal, Step, Text};
use data_encoding::{Encoding, HEXLOWER, HEXLOWER_PERMISSIVE};

pub(super) struct Hex;

impl Listed for Hex {
    const ABOUT: About = About {
        name: "hex",
        summary: "two hexadecimal digits for each byte, in lower case",
        example: Example::new("hex", "hello", "68656c6c6f"),
        streams: true,
        undone_by: Some("unhex"),
        source: "RFC 4648, section 8, in lower case",
    };

    type Own = Nothing;

    fn new(_: Option<Nothing>, _: &Site<'_>) -> Result<Hex, String> {
        Ok(Hex)
    }
}

impl Step for Hex {
    fn apply(&self, text: &mut Text<'_>, _: &mut Memory, _: &Occasion<'_>) -> Result<(), Refusal> {
        text.rewrite(|from, to| groups::encode(&HEXLOWER, from, to));
        Ok(())
    }

    fn growth(&self) -> Growth {
        Growth::times(2)
    }
}

pub(super) struct Unhex(OnError);

impl Listed for Unhex {
    const ABOUT: About = About {
        name: "unhex",
        summary: "what pairs of hexadecimal digits stand for; white space does not count",
        example: Example::new("unhex", "68 65 6C 6C 6F", "hello"),
        streams: true,
        undone_by: None,
        source: "RFC 4648, section 8, in both cases",
    };

    type Own = Nothing;

    fn new(_: Option<Nothing>, site: &Site<'_>) -> Result<Unhex, String> {
        Ok(Unhex(site.options.on_error))
    }
}

impl Step for Unhex {
    fn apply(&self, text: &mut Text<'_>, memory: &mut Memory, occasion: &Occasion<'_>) -> Result<(), Refusal> {
        groups::apply::<Pairs>(self.0, text, memory, occasion)
    }
}

struct Pairs;

impl Groups for Pairs {
    const NAME: &'static str = Unhex::ABOUT.name;
    const LEN: usize = 2;
    const UNFINISHED: &'static str = "it ends where a second digit belongs";
    const ENCODING: &'static Encoding = &HEXLOWER_PERMISSIVE;

    fn is_digit(byte: u8) -> bool {
        byte.is_ascii_hexdigit()
    }

    fn fits(_: &[u8], byte: u8) -> bool {
        byte.is_ascii_hexdigit()
    }

    fn misfit(_: &[u8], byte: u8) -> String {
        format!("\"{}\" is not a hex digit", shown(&[byte]))
    }
}

#[cfg(test)]
mod tests {
    use super::super::trial::check_error;

    #[test]
    fn what_is_no_pair_of_digits_comes_back_as_it_was_written() {
        for (text, passed, before, error) in [
            ("41z42", "AzB", "A", "\"z\" is not a hex digit, at byte 2"),
            ("4142 4", "AB4", "AB", "it ends where a second digit belongs, at byte 6"),
            ("414\"42", "A4\\\"B", "A", "\"\"\" is not a hex digit, at byte 3"),
            ("0x41", "0xA", "", "\"x\" is not a hex digit, at byte 1"),
            ("41\0", "A\\x00", "A", "\"\\u{0}\" is not a hex digit, at byte 2"),
        ] {
            check_error("unhex", text, passed, before, error);
        }
    }
}
