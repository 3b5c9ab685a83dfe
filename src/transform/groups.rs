//! How `unbase64` and `unhex` read: groups of a few characters, with white space anywhere between them.
//!
//! Only the characters of an unfinished group wait for the next read, never the white space between
//! them. What stands for no bytes comes back as it was written. What a group means is in `base64` and `hex`.

use super::{Memory, Occasion, OnError, Refusal, Text};
use data_encoding::Encoding;

/// A way to write bytes in groups of characters.
pub(super) trait Groups {
    /// The step that decodes them.
    const NAME: &'static str;
    /// How many characters a group has.
    const LEN: usize;
    /// What is wrong with a text that ends within a group.
    const UNFINISHED: &'static str;
    /// What decodes whole groups.
    const ENCODING: &'static Encoding;

    /// Whether a group may have `byte` in any place.
    fn is_digit(byte: u8) -> bool;

    /// Whether `byte` may follow the beginning of a group.
    fn fits(group: &[u8], byte: u8) -> bool;

    /// What is wrong with a `byte` that does not fit.
    fn misfit(group: &[u8], byte: u8) -> String;
}

/// Puts `bytes`, encoded, behind `to`.
pub(super) fn encode(encoding: &Encoding, bytes: &[u8], to: &mut Vec<u8>) {
    let start = to.len();
    to.resize(start + encoding.encode_len(bytes.len()), 0);
    encoding.encode_mut(bytes, to.get_mut(start..).unwrap_or_default());
}

/// Puts what `groups` stand for behind `to`: whole groups in which everything fits.
fn decode(encoding: &Encoding, groups: &[u8], to: &mut Vec<u8>) {
    let start = to.len();
    to.resize(start + encoding.decode_len(groups.len()).unwrap_or(0), 0);
    let room = to.get_mut(start..).unwrap_or_default();
    let written = encoding.decode_mut(groups, room).unwrap_or_else(|partial| partial.written);
    to.truncate(start + written);
}

/// How many digits `bytes` begin with.
fn digits<G: Groups>(bytes: &[u8]) -> usize {
    // Without a branch for each byte the compiler looks at a whole chunk at once, many times as fast.
    let all = |chunk: &&[u8]| chunk.iter().fold(true, |all, &byte| all & G::is_digit(byte));
    let sure = 32 * bytes.chunks_exact(32).take_while(all).count();
    sure + bytes.iter().skip(sure).take_while(|&&byte| G::is_digit(byte)).count()
}

/// Decodes `text`.
///
/// # Errors
///
/// A [`Refusal`] of what is no group, unless `on_error` passes it.
pub(super) fn apply<G: Groups>(
    on_error: OnError,
    text: &mut Text<'_>,
    memory: &mut Memory,
    occasion: &Occasion<'_>,
) -> Result<(), Refusal> {
    let (begin, len) = (memory.note, text.as_bytes().len());
    let mut group = std::mem::take(&mut memory.held);
    text.rewrite(|from, to| {
        let mut rest = &*from;
        while !rest.is_empty() {
            if group.is_empty() {
                let digits = digits::<G>(rest);
                let (groups, after) = rest.split_at(digits - digits % G::LEN);
                if !groups.is_empty() {
                    decode(G::ENCODING, groups, to);
                    rest = after;
                }
            }
            let at = len - rest.len();
            let Some((&byte, after)) = rest.split_first() else { break };
            rest = after;
            if byte.is_ascii_whitespace() {
                continue;
            }
            if !G::fits(&group, byte) {
                // the words cost more than the byte, and nobody reads them under `pass`
                if on_error != OnError::Pass {
                    on_error.treat(G::NAME, &G::misfit(&group, byte), begin + at as u64)?;
                }
                to.append(&mut group);
                if !G::fits(&group, byte) {
                    to.push(byte);
                    continue;
                }
            }
            group.push(byte);
            if group.len() == G::LEN {
                decode(G::ENCODING, &group, to);
                group.clear();
            }
        }
        if occasion.end && !group.is_empty() {
            on_error.treat(G::NAME, G::UNFINISHED, begin + len as u64)?;
            to.append(&mut group);
        }
        Ok(())
    })?;
    memory.held = group;
    memory.note = on_error.note(begin + len as u64, occasion);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::trial::{answer, build};
    use super::super::{NoFiles, Refusal};
    use super::*;

    #[test]
    fn what_waits_is_a_group_that_has_begun_and_nothing_else() {
        for (step, read, waits) in [
            ("unhex", "68 65", false),
            ("unhex", "68 6", true),
            ("unhex", "zz", false),
            ("unbase64", "aGVs bG8=\r\n", false),
            ("unbase64", "aGVs bG8", true),
            ("unbase64", "-", false),
        ] {
            let step = build(step, OnError::Pass, &NoFiles).unwrap();
            assert_eq!(answer(&step, &[read, ""]).2, waits, "{read}");
        }
    }

    #[test]
    fn an_error_is_told_with_its_place_in_the_text_and_not_in_the_read() {
        for (step, reads, at) in [
            ("unhex", &["6865", " ", "6", "\n8 ", "z"][..], 9),
            ("unhex", &["6865", " 6 ", ""][..], 7),
            ("unbase64", &["aGVs", " b", "\n", "-"][..], 7),
            ("unbase64", &["aGVs", " b\n", "=", "8="][..], 7),
        ] {
            let step = build(step, OnError::Reply, &NoFiles).unwrap();
            let (_, Err(Refusal::Reply(told)), _) = answer(&step, reads) else { panic!("no error in {reads:?}") };
            assert!(told.ends_with(&format!(", at byte {at}")), "{told}");
        }
    }
}
