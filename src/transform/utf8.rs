//! Reading bytes as UTF-8: characters that a read cut in half, and bytes that are no text at all.
//!
//! Used by the steps that read text; a step that does not (`echo`) never comes here.

use super::Refusal;

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

/// Gives the parts of `from` that are text to `text`, and treats the others as `policy` says.
///
/// # Errors
///
/// [`Refusal::InvalidUtf8`] at the first byte that is not text, under [`InvalidUtf8::Close`].
pub(super) fn read<'t>(
    from: &'t [u8],
    to: &mut Vec<u8>,
    policy: InvalidUtf8,
    mut text: impl FnMut(&'t str, &mut Vec<u8>),
) -> Result<(), Refusal> {
    for chunk in from.utf8_chunks() {
        text(chunk.valid(), to);
        if !chunk.invalid().is_empty() {
            match policy {
                InvalidUtf8::Pass => to.extend_from_slice(chunk.invalid()),
                InvalidUtf8::Replace => to.extend_from_slice("\u{FFFD}".as_bytes()),
                InvalidUtf8::Close => return Err(Refusal::InvalidUtf8),
            }
        }
    }
    Ok(())
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
}
