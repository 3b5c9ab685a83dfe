//! `encode`: UTF-8 becomes the bytes of a charset.

use super::super::registry::{Example, Listed, Site};
use super::super::{About, Growth, InvalidUtf8, Memory, Occasion, OnUnmappable, Options, Refusal, Step, Text, utf8};
use super::names::Charset;
use super::single::Writer;
use encoding_rs::{Encoder, EncoderResult, Encoding, GB18030, ISO_2022_JP, UTF_8, UTF_16BE, UTF_16LE, mem};
use std::fmt::Write;

pub(in super::super) struct Encode {
    to: To,
    options: Options,
}

enum To {
    Single(Writer),
    Multi(&'static Encoding),
    Utf16(fn(u16) -> [u8; 2]),
}

impl Listed for Encode {
    const ABOUT: About = About {
        name: "encode",
        summary: "text becomes bytes in this charset; what it lacks is treated as on_unmappable says",
        example: Example { step: r#"{ encode = "cp1047" }"#, input: b"Hello", output: b"\xC8\x85\x93\x93\x96" },
        streams: true,
        undone_by: None,
        source: "WHATWG Encoding Standard; IBM's code pages as CPython and glibc have them",
    };

    type Own = String;

    fn new(own: Option<String>, site: &Site<'_>) -> Result<Encode, String> {
        let to = match Charset::named(&Self::needed(own)?)? {
            Charset::Table(chars) => To::Single(Writer::new(&chars)),
            Charset::Standard(encoding) if encoding == UTF_16LE => To::Utf16(u16::to_le_bytes),
            Charset::Standard(encoding) if encoding == UTF_16BE => To::Utf16(u16::to_be_bytes),
            Charset::Standard(encoding) => To::Multi(encoding),
        };
        Ok(Encode { to, options: site.options })
    }
}

impl Encode {
    fn is_ascii_compatible(&self) -> bool {
        match &self.to {
            To::Single(writer) => writer.is_ascii_compatible,
            To::Multi(encoding) => encoding.is_ascii_compatible(),
            To::Utf16(_) => false,
        }
    }

    /// Writes all of `from`, in which no character is cut in half.
    fn write_all(&self, from: &[u8], coder: &mut Coder<'_>, to: &mut Vec<u8>) -> Result<(), Refusal> {
        for chunk in from.utf8_chunks() {
            self.write(chunk.valid(), coder, to)?;
            match self.options.invalid_utf8 {
                _ if chunk.invalid().is_empty() => {}
                InvalidUtf8::Replace => self.write("\u{FFFD}", coder, to)?,
                policy => policy.treat(chunk.invalid(), to)?,
            }
        }
        Ok(())
    }

    fn write(&self, text: &str, coder: &mut Coder<'_>, to: &mut Vec<u8>) -> Result<(), Refusal> {
        let (mut rest, mut number) = (text, String::new());
        while let Some((c, behind)) = coder.write(rest, to) {
            match self.options.on_unmappable {
                OnUnmappable::Replace => coder.write("?", to),
                OnUnmappable::Escape => {
                    number.clear();
                    // A string takes all that is written to it.
                    let _ = write!(number, "&#{};", u32::from(c));
                    coder.write(&number, to)
                }
                OnUnmappable::Close => return Err(Refusal::Unmappable),
            };
            rest = behind;
        }
        Ok(())
    }
}

impl Step for Encode {
    fn apply(&self, text: &mut Text<'_>, memory: &mut Memory, occasion: &Occasion<'_>) -> Result<(), Refusal> {
        memory.rejoin(text);
        if self.is_ascii_compatible() && text.as_bytes().is_ascii() {
            return Ok(());
        }
        if !occasion.end {
            memory.hold_back(text, utf8::unfinished(text.as_bytes()));
        }
        let mut coder = match &self.to {
            To::Single(writer) => Coder::Single(writer),
            To::Multi(encoding) => {
                Coder::Multi(memory.take_state().unwrap_or_else(|| Box::new(encoding.new_encoder())))
            }
            To::Utf16(bytes) => Coder::Utf16(*bytes),
        };
        text.rewrite(|from, to| {
            let done = self.write_all(from, &mut coder, to);
            if let Coder::Multi(mut encoder) = coder {
                if occasion.end || done.is_err() {
                    write_multi(&mut encoder, "", true, to);
                } else if encoder.has_pending_state() {
                    memory.keep_state(encoder);
                }
            }
            done
        })
    }

    fn growth(&self) -> Growth {
        let Options { invalid_utf8, on_unmappable, .. } = self.options;
        // A byte that is no text may become U+FFFD, and a character of two bytes, as the worst, a
        // number of up to four digits.
        let escaped = match (on_unmappable, invalid_utf8) {
            (OnUnmappable::Escape, InvalidUtf8::Replace) => "&#65533;".len(),
            (OnUnmappable::Escape, _) => "&#2047;".len().div_ceil(2),
            _ => 1,
        };
        match &self.to {
            To::Single(_) => Growth::times(escaped),
            To::Utf16(_) => Growth::times(2),
            To::Multi(encoding) if *encoding == UTF_8 => Growth::times(3),
            // Four bytes for any character, as for U+FFFD.
            To::Multi(encoding) if *encoding == GB18030 => Growth::times(4),
            // Each character, and the end, may need an escape of three bytes before it, and three
            // controls of ASCII are lacking.
            To::Multi(encoding) if *encoding == ISO_2022_JP => {
                Growth { times: 3 + if escaped > 1 { escaped.max("&#27;".len()) } else { 1 }, plus: 3 }
            }
            To::Multi(_) => Growth::times(escaped),
        }
    }
}

enum Coder<'s> {
    Single(&'s Writer),
    Multi(Box<Encoder>),
    Utf16(fn(u16) -> [u8; 2]),
}

/// Bytes that an encoder writes at once, or units of UTF-16.
const ROOM: usize = 256;

impl Coder<'_> {
    /// Writes `text` up to a character that the charset lacks; gives that and what follows it.
    fn write<'t>(&mut self, text: &'t str, to: &mut Vec<u8>) -> Option<(char, &'t str)> {
        match self {
            Coder::Single(writer) => writer.write(text, to),
            Coder::Multi(encoder) => write_multi(encoder, text, false, to),
            Coder::Utf16(bytes) => {
                write_utf16(text, *bytes, to);
                None
            }
        }
    }
}

fn write_multi<'t>(encoder: &mut Encoder, text: &'t str, end: bool, to: &mut Vec<u8>) -> Option<(char, &'t str)> {
    let mut buffer = [0; ROOM];
    let mut rest = text;
    loop {
        let (result, read, written) = encoder.encode_from_utf8_without_replacement(rest, &mut buffer, end);
        to.extend_from_slice(buffer.get(..written).unwrap_or_default());
        rest = rest.get(read..).unwrap_or_default();
        match result {
            EncoderResult::InputEmpty => return None,
            EncoderResult::OutputFull => {}
            // In ISO-2022-JP the encoder speaks of U+FFFD where it means an escape.
            EncoderResult::Unmappable(c) => {
                let lacking = text.strip_suffix(rest).and_then(|written| written.chars().next_back());
                return Some((lacking.unwrap_or(c), rest));
            }
        }
    }
}

fn write_utf16(text: &str, bytes: fn(u16) -> [u8; 2], to: &mut Vec<u8>) {
    let mut units = [0; ROOM];
    let mut rest = text;
    while !rest.is_empty() {
        let (piece, later) = rest.split_at(rest.floor_char_boundary(ROOM));
        let len = mem::convert_str_to_utf16(piece, &mut units);
        to.extend(units.iter().take(len).flat_map(|unit| bytes(*unit)));
        rest = later;
    }
}
