//! `percent` and `unpercent`: bytes as they may stand in a URL, and back.
//!
//! Everything but the characters that mean the same in every part of a URL is escaped, the slash
//! too; a plus sign is a plus sign, and no space.

use super::registry::{Example, Listed, Nothing, Site};
use super::{About, Growth, Memory, Occasion, OnError, Refusal, Step, Text};

/// How many bytes are looked at together, as most texts have runs of them in which all may stay.
const CHUNK: usize = 32;

pub(super) struct Percent {
    /// What each byte is written as, and behind it the length of that.
    written: [[u8; 4]; 256],
}

impl Listed for Percent {
    const ABOUT: About = About {
        name: "percent",
        summary: "%20 for a space, and so on for all but A-Z a-z 0-9 - . _ ~",
        example: Example::new("percent", "50 % é", "50%20%25%20%C3%A9"),
        streams: true,
        undone_by: Some("unpercent"),
        source: "RFC 3986, section 2.1, as Python's urllib.parse.quote(text, safe='')",
    };

    type Own = Nothing;

    fn new(_: Option<Nothing>, _: &Site<'_>) -> Result<Percent, String> {
        let written = |byte| match byte {
            byte if is_unreserved(byte) => [byte, 0, 0, 1],
            byte => [b'%', digit(byte >> 4), digit(byte & 0xF), 3],
        };
        let mut all = [[0; 4]; 256];
        all.iter_mut().zip(0..=u8::MAX).for_each(|(place, byte)| *place = written(byte));
        Ok(Percent { written: all })
    }
}

impl Percent {
    /// Puts what a chunk is written as behind `to`.
    fn escape(&self, chunk: &[u8], to: &mut Vec<u8>) {
        // Four bytes are written for each, whatever its length, and the next one begins where it ends:
        // a branch would be guessed wrong half of the time.
        let (mut buffer, mut end) = ([0; 3 * CHUNK + 1], 0);
        for &byte in chunk {
            let written = self.written.get(usize::from(byte)).copied().unwrap_or_default();
            if let Some(place) = buffer.get_mut(end..end + 4) {
                place.copy_from_slice(&written);
            }
            let [.., len] = written;
            end += usize::from(len);
        }
        to.extend_from_slice(buffer.get(..end).unwrap_or_default());
    }
}

impl Step for Percent {
    fn apply(&self, text: &mut Text<'_>, _: &mut Memory, _: &Occasion<'_>) -> Result<(), Refusal> {
        text.rewrite(|from, to| {
            for chunk in from.chunks(CHUNK) {
                if chunk.iter().fold(true, |all, &byte| all & is_unreserved(byte)) {
                    to.extend_from_slice(chunk);
                } else {
                    self.escape(chunk, to);
                }
            }
        });
        Ok(())
    }

    fn growth(&self) -> Growth {
        Growth::times(3)
    }
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() | (byte == b'-') | (byte == b'.') | (byte == b'_') | (byte == b'~')
}

fn digit(value: u8) -> u8 {
    if value < 10 { b'0' + value } else { b'A' - 10 + value }
}

pub(super) struct Unpercent(OnError);

impl Listed for Unpercent {
    const ABOUT: About = About {
        name: "unpercent",
        summary: "a space for %20, and so on",
        example: Example::new("unpercent", "50%20%25%20%c3%a9", "50 % é"),
        streams: true,
        undone_by: None,
        source: "RFC 3986, section 2.1, as Python's urllib.parse.unquote_to_bytes()",
    };

    type Own = Nothing;

    fn new(_: Option<Nothing>, site: &Site<'_>) -> Result<Unpercent, String> {
        Ok(Unpercent(site.options.on_error))
    }
}

impl Step for Unpercent {
    fn apply(&self, text: &mut Text<'_>, memory: &mut Memory, occasion: &Occasion<'_>) -> Result<(), Refusal> {
        memory.rejoin(text);
        let (begin, len) = (memory.note, text.as_bytes().len());
        let end = if occasion.end { len } else { len - unfinished(text.as_bytes()) };
        memory.hold_back(text, len - end);
        memory.note = self.0.note(begin + end as u64, occasion);
        if memchr::memchr(b'%', text.as_bytes()).is_none() {
            return Ok(());
        }
        text.rewrite(|from, to| {
            let mut rest = &*from;
            while let Some(next) = memchr::memchr(b'%', rest) {
                let (run, escape) = rest.split_at(next);
                to.extend_from_slice(run);
                if let [b'%', high, low, after @ ..] = escape
                    && let (Some(high), Some(low)) = (value(*high), value(*low))
                {
                    to.push(high << 4 | low);
                    rest = after;
                } else {
                    let at = begin + (end - escape.len()) as u64;
                    self.0.treat(Self::ABOUT.name, "\"%\" without two hex digits", at)?;
                    let (sign, after) = escape.split_at(1);
                    to.extend_from_slice(sign);
                    rest = after;
                }
            }
            to.extend_from_slice(rest);
            Ok(())
        })
    }
}

/// How many bytes at the end of `bytes` begin an escape that more bytes could complete: 0 to 2.
fn unfinished(bytes: &[u8]) -> usize {
    match bytes {
        [.., b'%'] => 1,
        [.., b'%', digit] if value(*digit).is_some() => 2,
        _ => 0,
    }
}

/// What a hexadecimal digit stands for.
fn value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::trial::{answer, build, check_error};
    use super::super::{NoFiles, OnError, Refusal};

    #[test]
    fn a_percent_sign_that_begins_no_escape_stays() {
        const ERROR: &str = "\"%\" without two hex digits, at byte";
        for (text, passed, before, at) in [
            ("a%zz%41", "a%zzA", "a", 1),
            ("%41%4", "A%4", "A", 3),
            ("%41%", "A%", "A", 3),
            ("%%41", "%A", "", 0),
            ("%4%41", "%4A", "", 0),
            ("%4g", "%4g", "", 0),
        ] {
            check_error("unpercent", text, passed, before, &format!("{ERROR} {at}"));
        }
    }

    #[test]
    fn an_escape_that_a_read_cuts_waits_for_its_rest_and_keeps_its_place() {
        let step = build("unpercent", OnError::Pass, &NoFiles).unwrap();
        assert_eq!(answer(&step, &["a%", "4", "1b", ""]), ("aAb".to_owned(), Ok(()), true));
        assert_eq!(answer(&step, &["a%41", "%z", ""]), ("aA%z".to_owned(), Ok(()), false));
        let step = build("unpercent", OnError::Reply, &NoFiles).unwrap();
        let refusal = Refusal::Reply("error: unpercent: \"%\" without two hex digits, at byte 4".to_owned());
        assert_eq!(answer(&step, &["a%", "4", "1%", "4", "z"]), ("aA".to_owned(), Err(refusal), true));
    }
}
