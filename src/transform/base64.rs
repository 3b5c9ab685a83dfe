//! `base64` and `unbase64`: three bytes as four characters of the standard alphabet, and back.
//!
//! `base64` writes no line ends. `unbase64` reads any number of base64 texts behind each other, and
//! only what it would have written itself: an unused bit that is set is an error. The alphabet for
//! URLs is not read.

use super::groups::{self, Groups};
use super::registry::{Example, Listed, Nothing, Site, shown};
use super::{About, Growth, Memory, Occasion, OnError, Refusal, Step, Text};
use data_encoding::{BASE64, Encoding};

pub(super) struct Base64;

impl Listed for Base64 {
    const ABOUT: About = About {
        name: "base64",
        summary: "base64, on one line",
        example: Example::new("base64", "hello", "aGVsbG8="),
        streams: true,
        undone_by: Some("unbase64"),
        source: "RFC 4648, section 4",
    };

    type Own = Nothing;

    fn new(_: Option<Nothing>, _: &Site<'_>) -> Result<Base64, String> {
        Ok(Base64)
    }
}

impl Step for Base64 {
    fn apply(&self, text: &mut Text<'_>, memory: &mut Memory, occasion: &Occasion<'_>) -> Result<(), Refusal> {
        memory.rejoin(text);
        if !occasion.end {
            memory.hold_back(text, text.as_bytes().len() % 3);
        }
        text.rewrite(|from, to| groups::encode(&BASE64, from, to));
        Ok(())
    }

    fn growth(&self) -> Growth {
        Growth { times: 2, plus: 2 } // four for each three that have begun, which one byte may have
    }
}

pub(super) struct Unbase64(OnError);

impl Listed for Unbase64 {
    const ABOUT: About = About {
        name: "unbase64",
        summary: "what base64 stands for; white space does not count",
        example: Example::new("unbase64", "aGVs bG8=", "hello"),
        streams: true,
        undone_by: None,
        source: "RFC 4648, section 4",
    };

    type Own = Nothing;

    fn new(_: Option<Nothing>, site: &Site<'_>) -> Result<Unbase64, String> {
        Ok(Unbase64(site.options.on_error))
    }
}

impl Step for Unbase64 {
    fn apply(&self, text: &mut Text<'_>, memory: &mut Memory, occasion: &Occasion<'_>) -> Result<(), Refusal> {
        groups::apply::<Quanta>(self.0, text, memory, occasion)
    }
}

struct Quanta;

impl Groups for Quanta {
    const NAME: &'static str = Unbase64::ABOUT.name;
    const LEN: usize = 4;
    const UNFINISHED: &'static str = "it ends within a group of four";
    const ENCODING: &'static Encoding = &BASE64;

    fn is_digit(byte: u8) -> bool {
        byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/'
    }

    fn fits(group: &[u8], byte: u8) -> bool {
        match (group, byte) {
            // whose bits that no byte takes are 0
            ([_, last], b'=') => b"AQgw".contains(last),
            ([_, _, last], b'=') => b"=AEIMQUYcgkosw048".contains(last),
            ([_, _, b'='], _) => false,
            _ => Self::is_digit(byte),
        }
    }

    fn misfit(group: &[u8], byte: u8) -> String {
        let found = shown(&[byte]);
        match (group, byte) {
            ([_, last] | [_, _, last], b'=') => {
                format!("\"=\" behind \"{}\", whose last bits are lost", shown(&[*last]))
            }
            (_, b'=') => "\"=\" among the first two of a group of four".to_owned(),
            (_, byte) if Self::is_digit(byte) => format!("\"{found}\" where a second \"=\" belongs"),
            _ => format!("\"{found}\" is not a base64 character"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::NoFiles;
    use super::super::trial::{answer, build, check_error};
    use super::*;

    #[test]
    fn what_fits_is_what_can_be_decoded() {
        for byte in 0..=u8::MAX {
            for group in [[b'Q', byte, b'=', b'='], [b'Q', b'U', byte, b'='], [b'Q', b'U', b'J', byte]] {
                let fits = (0..4).all(|nth| Quanta::fits(&group[..nth], group[nth]));
                assert_eq!(fits, BASE64.decode_mut(&group, &mut [0; 3]).is_ok(), "{}", group.escape_ascii());
            }
        }
    }

    #[test]
    fn what_is_no_base64_comes_back_as_it_was_written() {
        for (text, passed, before, error) in [
            ("QUJD-QUJD", "ABC-ABC", "ABC", "\"-\" is not a base64 character, at byte 4"),
            ("QUJDQU-JD", "ABCQU-JD", "ABC", "\"-\" is not a base64 character, at byte 6"),
            ("\u{e9}", "\\xc3\\xa9", "", "\"\\xc3\" is not a base64 character, at byte 0"),
            ("QUJDQUI", "ABCQUI", "ABC", "it ends within a group of four, at byte 7"),
            ("QUJD=QUJD", "ABC=ABC", "ABC", "\"=\" among the first two of a group of four, at byte 4"),
            ("Q=QUJD", "Q=ABC", "", "\"=\" among the first two of a group of four, at byte 1"),
            ("QQ=QUJD", "QQ=ABC", "", "\"Q\" where a second \"=\" belongs, at byte 3"),
            ("QR==", "QR==", "", "\"=\" behind \"R\", whose last bits are lost, at byte 2"),
            ("QUJ=", "QUJ=", "", "\"=\" behind \"J\", whose last bits are lost, at byte 3"),
        ] {
            check_error("unbase64", text, passed, before, error);
        }
    }

    #[test]
    fn texts_behind_each_other_are_read_as_one() {
        let step = build("unbase64", OnError::Reply, &NoFiles).unwrap();
        let (text, done, _) = answer(&step, &["QQ==QUI=\r\nQUJD Q Q = ="]);
        assert_eq!((text.as_str(), done), ("AABABCA", Ok(())));
    }

    #[test]
    fn at_most_two_bytes_wait_for_the_third() {
        let step = build("base64", OnError::Pass, &NoFiles).unwrap();
        assert_eq!(answer(&step, &["A", "B", "C", "A", ""]), ("QUJDQQ==".to_owned(), Ok(()), true));
        assert_eq!(answer(&step, &["ABC", "ABCABC", ""]), ("QUJDQUJDQUJD".to_owned(), Ok(()), false));
    }
}
