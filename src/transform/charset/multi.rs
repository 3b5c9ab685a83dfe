//! Reading the charsets in which a character takes several bytes, by `encoding_rs`.
//!
//! A character that a read cut in half is held back and read anew, so there is no decoder to keep;
//! but for ISO-2022-JP, where what a byte means depends on all that came before it.

use super::super::{Memory, Refusal};
use encoding_rs::{Decoder, DecoderResult, Encoding, ISO_2022_JP};

/// What is kept of ISO-2022-JP between two reads.
pub(super) struct Kept {
    decoder: Decoder,
    /// The last bytes that the decoder saw, of which it may yet say that they mean nothing.
    pub(super) recent: Vec<u8>,
}

/// So many bytes the decoder of ISO-2022-JP may look back: an escape that is none.
const LOOK_BACK: usize = 3;

/// Bytes that a decoder writes at once.
const ROOM: usize = 2048;

/// Reads all of `from`, which begins with what was kept; `bad` is told where bytes stand that mean
/// nothing, and how many. Says how many bytes, at the end, the next call needs again.
pub(super) fn read(
    encoding: &'static Encoding,
    kept: Option<Box<Kept>>,
    (from, end): (&[u8], bool),
    to: &mut Vec<u8>,
    memory: &mut Memory,
    bad: impl FnMut(usize, usize, &mut Vec<u8>) -> Result<(), Refusal>,
) -> Result<usize, Refusal> {
    let was_kept = kept.is_some();
    let (mut decoder, seen) = match kept.map(|kept| *kept) {
        Some(Kept { decoder, recent }) => (decoder, recent.len()),
        None => (encoding.new_decoder_without_bom_handling(), 0),
    };
    run(&mut decoder, (from, seen, end), to, bad)?;
    if end {
        return Ok(0);
    }
    if encoding == ISO_2022_JP {
        if !is_shifted(from, was_kept) {
            return Ok(0);
        }
        let recent = last(from, LOOK_BACK).to_vec();
        let again = recent.len();
        memory.keep_state(Box::new(Kept { decoder, recent }));
        return Ok(again);
    }
    // A decoder that is told that nothing follows says how many bytes it waited with.
    let (result, _, _) = decoder.decode_to_utf8_without_replacement(b"", &mut [0; 16], true);
    let DecoderResult::Malformed(len, after) = result else { return Ok(0) };
    let waiting = last(from, usize::from(len) + usize::from(after));
    memory.held.extend_from_slice(waiting);
    Ok(waiting.len())
}

fn run(
    decoder: &mut Decoder,
    (from, seen, end): (&[u8], usize, bool),
    to: &mut Vec<u8>,
    mut bad: impl FnMut(usize, usize, &mut Vec<u8>) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let mut buffer = [0; ROOM];
    let mut at = seen;
    loop {
        let rest = from.get(at..).unwrap_or_default();
        let (result, read, written) = decoder.decode_to_utf8_without_replacement(rest, &mut buffer, end);
        at += read;
        to.extend_from_slice(buffer.get(..written).unwrap_or_default());
        match result {
            DecoderResult::InputEmpty => return Ok(()),
            DecoderResult::OutputFull => {}
            // ISO-2022-JP: an escape after an escape. It hides nothing here, and texts that were
            // written one by one and read as one are full of them.
            DecoderResult::Malformed(3, 3) => {}
            DecoderResult::Malformed(len, after) => {
                let len = usize::from(len);
                bad(at.saturating_sub(usize::from(after) + len), len, to)?;
            }
        }
    }
}

/// Whether ISO-2022-JP is anywhere but in ASCII at the end of `from`.
fn is_shifted(from: &[u8], was_shifted: bool) -> bool {
    match memchr::memrchr(0x1B, from).and_then(|escape| from.get(escape + 1..)) {
        Some(behind) => !behind.starts_with(b"(B"),
        None => was_shifted,
    }
}

fn last(bytes: &[u8], len: usize) -> &[u8] {
    bytes.get(bytes.len().saturating_sub(len)..).unwrap_or_default()
}
