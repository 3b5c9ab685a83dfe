//! Reading bytes as UTF-8: characters that a read cut in half, and bytes that are no text at all.
//!
//! Used by the steps that read text; a step that does not (`echo`) never comes here.

use super::{Memory, Occasion, Refusal, Text};

/// What a step that reads text does with bytes that are not UTF-8.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum InvalidUtf8 {
    /// They come back unchanged: nothing is lost.
    #[default]
    Pass,
    /// U+FFFD stands for each maximal subpart, as `String::from_utf8_lossy` does it
    /// (Unicode 17, section 3.9, "Substitution of Maximal Subparts").
    Replace,
    /// What came before them is answered, then the connection is closed.
    Close,
}

impl InvalidUtf8 {
    /// Writes what becomes of `invalid`, a maximal subpart of bytes that are not UTF-8.
    ///
    /// # Errors
    ///
    /// [`Refusal::InvalidUtf8`] under [`InvalidUtf8::Close`].
    pub(super) fn treat(self, invalid: &[u8], to: &mut Vec<u8>) -> Result<(), Refusal> {
        match self {
            InvalidUtf8::Pass => to.extend_from_slice(invalid),
            InvalidUtf8::Replace => to.extend_from_slice("\u{FFFD}".as_bytes()),
            InvalidUtf8::Close => return Err(Refusal::InvalidUtf8),
        }
        Ok(())
    }
}

/// How many bytes at the end of `bytes` begin a character that more bytes could complete: 0 to 3.
pub(super) fn unfinished(bytes: &[u8]) -> usize {
    let tail = bytes.len().saturating_sub(3);
    let Some(lead) = bytes.iter().skip(tail).rposition(|byte| byte & 0xC0 != 0x80) else { return 0 };
    let (_, last) = bytes.split_at(tail + lead);
    match std::str::from_utf8(last) {
        Err(error) if error.error_len().is_none() => last.len(),
        _ => 0,
    }
}

/// `bytes` without the part of a character that they end with, as where a longer text was cut off.
pub fn without_half_a_character(bytes: &mut [u8]) -> &mut [u8] {
    let whole = bytes.len() - unfinished(bytes);
    bytes.split_at_mut(whole).0
}

/// Rewrites `text` character by character; one that the end of a read cut in half waits for its rest,
/// and bytes that are not UTF-8 are treated as `policy` says.
///
/// # Errors
///
/// [`Refusal::InvalidUtf8`] under [`InvalidUtf8::Close`]; `text` is then what came before those bytes.
pub(super) fn rewrite_chars(
    text: &mut Text<'_>,
    memory: &mut Memory,
    occasion: &Occasion<'_>,
    policy: InvalidUtf8,
    mut write: impl FnMut(char, &mut Vec<u8>),
) -> Result<(), Refusal> {
    rewrite_units(text, memory, occasion, |unit, to| match unit {
        Ok(c) => {
            write(c, to);
            Ok(())
        }
        Err(invalid) => policy.treat(invalid, to),
    })
}

/// Rewrites `text` unit by unit, a character or a maximal subpart of bytes that are none; a character
/// that the end of a read cut in half waits for its rest.
///
/// # Errors
///
/// The first that `write` gives; `text` is then what came before that unit.
pub(super) fn rewrite_units(
    text: &mut Text<'_>,
    memory: &mut Memory,
    occasion: &Occasion<'_>,
    mut write: impl FnMut(Result<char, &[u8]>, &mut Vec<u8>) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    memory.rejoin(text);
    if !occasion.end {
        memory.hold_back(text, unfinished(text.as_bytes()));
    }
    text.rewrite(|from, to| {
        for chunk in from.utf8_chunks() {
            chunk.valid().chars().try_for_each(|c| write(Ok(c), to))?;
            if !chunk.invalid().is_empty() {
                write(Err(chunk.invalid()), to)?;
            }
        }
        Ok(())
    })
}

/// Treats bytes in `text` that are not UTF-8 as `policy` says, and changes nothing else.
///
/// # Errors
///
/// [`Refusal::InvalidUtf8`] under [`InvalidUtf8::Close`]; `text` is then what came before those bytes.
pub(super) fn treat_invalid(text: &mut Text<'_>, policy: InvalidUtf8) -> Result<(), Refusal> {
    if policy == InvalidUtf8::Pass || is_utf8(text.as_bytes()) {
        return Ok(());
    }
    text.rewrite(|from, to| {
        for chunk in from.utf8_chunks() {
            to.extend_from_slice(chunk.valid().as_bytes());
            if !chunk.invalid().is_empty() {
                policy.treat(chunk.invalid(), to)?;
            }
        }
        Ok(())
    })
}

/// Whether all of `bytes` is UTF-8, as [`str::from_utf8`] says it too, but without a branch at each end
/// of a run of ASCII.
fn is_utf8(bytes: &[u8]) -> bool {
    // Zeros expect nothing, and are never expected.
    let head = [[0; 3], padded(bytes)];
    let tail = [padded(bytes.split_at(bytes.len().saturating_sub(3)).1), [0; 3]];
    !is_wrong(bytes) && !is_wrong(head.as_flattened()) && !is_wrong(tail.as_flattened())
}

/// Whether any of `bytes` but the first three is not what the three before it ask for (Unicode 17, table
/// 3-7, "Well-Formed UTF-8 Byte Sequences").
fn is_wrong(bytes: &[u8]) -> bool {
    let from = |start| bytes.get(start..).unwrap_or_default();
    let quartets = from(0).iter().zip(from(1)).zip(from(2)).zip(from(3));
    quartets.fold(false, |wrong, (((&a, &b), &c), &d)| {
        let misplaced = is_continuation(d) != (a >= 0xF0 || b >= 0xE0 || c >= 0xC0);
        let none = matches!(d, 0xC0 | 0xC1 | 0xF5..);
        let overlong = c == 0xE0 && d < 0xA0 || c == 0xF0 && d < 0x90;
        let beyond = c == 0xED && d > 0x9F || c == 0xF4 && d > 0x8F;
        wrong | misplaced | none | overlong | beyond
    })
}

pub(super) fn is_continuation(byte: u8) -> bool {
    byte & 0xC0 == 0x80
}

/// The first of `bytes`, with zeros after them where there are fewer.
pub(super) fn padded<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut padded = [0; N];
    for (to, from) in padded.iter_mut().zip(bytes) {
        *to = *from;
    }
    padded
}

/// Writes `c` as UTF-8.
pub(super) fn push(to: &mut Vec<u8>, c: char) {
    match u8::try_from(c) {
        Ok(byte) if byte.is_ascii() => to.push(byte),
        _ => to.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

/// The character that `bytes` begin with, or else the bytes that stand for none: a maximal subpart
/// (Unicode 17, section 3.9), and nothing where there are no bytes.
pub(super) fn first(bytes: &[u8]) -> Result<char, &[u8]> {
    let len = match bytes.first() {
        Some(0xC0..=0xDF) => 2,
        Some(0xE0..=0xEF) => 3,
        Some(0xF0..=0xFF) => 4,
        _ => 1,
    };
    let window = bytes.get(..len).unwrap_or(bytes);
    match std::str::from_utf8(window).map(|text| text.chars().next()) {
        Ok(Some(c)) => Ok(c),
        Ok(None) => Err(window),
        Err(error) => Err(error.error_len().and_then(|len| window.get(..len)).unwrap_or(window)),
    }
}

/// The character that `bytes` end with, or nothing where they end with bytes that stand for none.
pub(super) fn last(bytes: &[u8]) -> Option<char> {
    // A byte that begins a character is never within another one, so what stands before it, broken
    // or not, does not matter.
    let lead = bytes.iter().rev().take(4).position(|byte| byte & 0xC0 != 0x80)?;
    let (_, last) = bytes.split_at(bytes.len() - lead - 1);
    std::str::from_utf8(last).ok()?.chars().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_more_bytes_could_complete_is_unfinished() {
        for (bytes, expected) in [
            (&b""[..], 0),
            (b"a", 0),
            ("é".as_bytes(), 0),
            (b"\xC3", 1),
            (b"a\xE2\x82", 2),
            (b"\xF0\x9F\x98", 3),
            (b"\xF0\x9F\x98\x80", 0),
            (b"\x80\x80\x80", 0),
            (b"\xC0", 0),         // never begins a character
            (b"\xED\xA0", 0),     // a surrogate
            (b"\xE0\x80", 0),     // overlong
            (b"\xF4\x90", 0),     // beyond U+10FFFF
            (b"\xE2\x82\xE2", 1), // the new character is unfinished, the old one is lost
        ] {
            assert_eq!(unfinished(bytes), expected, "{bytes:x?}");
        }
    }

    #[test]
    fn the_first_and_the_last_character_are_found_among_bytes_that_are_none() {
        for (bytes, expected) in [
            (&b""[..], Err(&b""[..])),
            (b"ab", Ok('a')),
            (b"\xC3\xA9b", Ok('é')),
            (b"\xF0\x9F\x98\x80\xFF", Ok('😀')),
            (b"\xE2\x82", Err(b"\xE2\x82")),
            (b"\xE2\x82a", Err(b"\xE2\x82")),
            (b"\xF0\x9F\x98\xFF", Err(b"\xF0\x9F\x98")),
            (b"\xED\xA0\x80", Err(b"\xED")),
            (b"\xC0\x80", Err(b"\xC0")),
            (b"\x80a", Err(b"\x80")),
        ] {
            assert_eq!(first(bytes), expected, "{bytes:x?}");
        }
        for (bytes, expected) in [
            (&b""[..], None),
            (b"ab", Some('b')),
            (b"\xE2\x82\xC3\xA9", Some('é')),
            (b"\xFF\xF0\x9F\x98\x80", Some('😀')),
            (b"a\x80", None),
            (b"a\xE2\x82", None),
            (b"\xC3\xA9\x80", None),
            (b"\xED\xA0\x80", None),
            (b"\x80\x80\x80\x80\x80", None),
        ] {
            assert_eq!(last(bytes), expected, "{bytes:x?}");
        }
    }

    #[test]
    fn what_is_utf8_is_what_the_standard_library_says() {
        // The bounds of table 3-7.
        let bytes = b"\x00\x7F\x80\x8F\x90\x9F\xA0\xBF\xC0\xC1\xC2\xDF\xE0\xE1\xEC\xED\xEE\xEF\xF0\xF1\xF3\xF4\xF5\xFF";
        let mut sequences = vec![Vec::new()];
        for len in 0..=4 {
            for sequence in &sequences {
                let within = [b"aaaa".as_slice(), sequence, "éaaaa".as_bytes()].concat();
                for text in [sequence, &within] {
                    assert_eq!(is_utf8(text), str::from_utf8(text).is_ok(), "{text:x?}");
                }
            }
            if len < 4 {
                let longer =
                    sequences.iter().flat_map(|sequence| bytes.map(|byte| [sequence.as_slice(), &[byte]].concat()));
                sequences = longer.collect();
            }
        }
    }
}
