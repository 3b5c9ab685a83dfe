//! `decode`: the bytes of a charset become UTF-8.

use super::super::registry::{Example, Listed, Site};
use super::super::{About, Growth, Memory, Occasion, OnError, Refusal, Step, Text};
use super::multi::{self, Kept};
use super::names::Charset;
use super::single::Reader;
use encoding_rs::Encoding;

pub(in super::super) struct Decode {
    /// As it was written, to be told.
    name: String,
    way: Way,
    on_error: OnError,
}

enum Way {
    Single(Reader),
    Multi(&'static Encoding),
}

impl Listed for Decode {
    const ABOUT: About = About {
        name: "decode",
        summary: "bytes in this charset become text: latin1, cp1252, cp437, shift_jis, gb18030, utf-16le, cp1047 (EBCDIC) …",
        example: Example { step: r#"{ decode = "cp1252" }"#, input: b"caf\xE9 \x80", output: "café €".as_bytes() },
        streams: true,
        undone_by: Some(r#"{ encode = "cp1252" }"#),
        source: "WHATWG Encoding Standard; IBM's code pages as CPython and glibc have them",
    };

    type Own = String;

    fn new(own: Option<String>, site: &Site<'_>) -> Result<Decode, String> {
        let name = Self::needed(own)?;
        let way = match Charset::named(&name)? {
            Charset::Table(chars) => Way::Single(Reader::new(&chars)),
            Charset::Standard(encoding) => Way::Multi(encoding),
        };
        Ok(Decode { name, way, on_error: site.options.on_error })
    }
}

impl Decode {
    fn is_ascii_compatible(&self) -> bool {
        match &self.way {
            Way::Single(reader) => reader.is_ascii_compatible,
            Way::Multi(encoding) => encoding.is_ascii_compatible(),
        }
    }

    /// Gives `bytes`, which stand at `at`, back unchanged, or refuses them.
    fn treat(&self, bytes: &[u8], at: u64, to: &mut Vec<u8>) -> Result<(), Refusal> {
        let what = match self.on_error {
            OnError::Reply => {
                format!("0x{} is not {}", bytes.iter().map(|byte| format!("{byte:02X}")).collect::<String>(), self.name)
            }
            OnError::Pass | OnError::Close => String::new(),
        };
        self.on_error.treat("decode", &what, at)?;
        to.extend_from_slice(bytes);
        Ok(())
    }
}

impl Step for Decode {
    fn apply(&self, text: &mut Text<'_>, memory: &mut Memory, occasion: &Occasion<'_>) -> Result<(), Refusal> {
        let kept: Option<Box<Kept>> = memory.take_state();
        if let Some(kept) = &kept {
            text.prepend(&kept.recent);
        }
        memory.rejoin(text);
        // The bytes before this text; counted only where somebody may be told.
        let before = memory.note;
        let len = text.as_bytes().len();
        let mut again = 0;
        if !(self.is_ascii_compatible() && text.as_bytes().is_ascii()) {
            again = text.rewrite(|from, to| {
                let from = &*from;
                let bad = |at: usize, len: usize, to: &mut Vec<u8>| {
                    self.treat(from.get(at..at + len).unwrap_or_default(), before + at as u64, to)
                };
                match &self.way {
                    Way::Single(reader) => reader.read(from, to, bad).map(|()| 0),
                    Way::Multi(encoding) => multi::read(encoding, kept, (from, occasion.end), to, memory, bad),
                }
            })?;
        }
        memory.note = self.on_error.note(before + (len - again) as u64, occasion);
        Ok(())
    }

    fn growth(&self) -> Growth {
        // A byte may stand for a character of three; in no charset do two stand for more than six.
        Growth::times(3)
    }
}
