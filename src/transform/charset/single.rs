//! Charsets of one byte a character, read and written by tables; there is nothing to remember.

use super::super::Refusal;
use encoding_rs::Encoding;

/// What each byte stands for, if it stands for anything.
pub(super) type Chars = [Option<char>; 256];

/// Whether ASCII stands for itself.
fn is_ascii_compatible(chars: &Chars) -> bool {
    chars.iter().copied().zip('\0'..='\x7F').all(|(char, ascii)| char == Some(ascii))
}

/// From bytes to UTF-8.
pub(super) struct Reader {
    /// Each byte's character, and its length in the last byte; none is longer than three bytes.
    utf8: Box<[[u8; 4]; 256]>,
    pub(super) is_ascii_compatible: bool,
}

/// Bytes that are read at once.
const PIECE: usize = 64;

impl Reader {
    pub(super) fn new(chars: &Chars) -> Reader {
        let mut utf8 = Box::new([[0; 4]; 256]);
        for (place, c) in utf8.iter_mut().zip(chars) {
            let Some(c) = c else { continue };
            c.encode_utf8(place);
            let [_, _, _, len] = place;
            *len = u8::try_from(c.len_utf8()).unwrap_or(0);
        }
        Reader { utf8, is_ascii_compatible: is_ascii_compatible(chars) }
    }

    /// Reads all of `from`; `bad` is told where a byte stands that stands for nothing.
    pub(super) fn read(
        &self,
        from: &[u8],
        to: &mut Vec<u8>,
        mut bad: impl FnMut(usize, usize, &mut Vec<u8>) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let mut buffer = [0; 3 * PIECE + 1];
        let mut rest = from;
        while !rest.is_empty() {
            let run = if self.is_ascii_compatible { Encoding::ascii_valid_up_to(rest) } else { 0 };
            let (ascii, others) = rest.split_at(run);
            to.extend_from_slice(ascii);
            let (piece, later) = others.split_at(others.len().min(PIECE));
            let (mut read, mut written) = (0, 0);
            for byte in piece {
                let Some(&char @ [_, _, _, 1..=3]) = self.utf8.get(usize::from(*byte)) else { break };
                let [_, _, _, len] = char;
                // Four bytes are written, and those that were too many written over.
                if let Some(place) = buffer.get_mut(written..).and_then(<[u8]>::first_chunk_mut) {
                    *place = char;
                }
                read += 1;
                written += usize::from(len);
            }
            to.extend_from_slice(buffer.get(..written).unwrap_or_default());
            rest = later;
            if let Some((_, unread)) = others.split_at_checked(read).filter(|_| read < piece.len()) {
                bad(from.len() - unread.len(), 1, to)?;
                rest = unread.get(1..).unwrap_or_default();
            }
        }
        Ok(())
    }
}

/// From UTF-8 to bytes.
pub(super) struct Writer {
    /// Which of the rows has the characters with these upper 8 bits; row 0 is empty.
    rows: Box<[u8; 256]>,
    cells: Vec<[Option<u8>; 256]>,
    pub(super) is_ascii_compatible: bool,
}

impl Writer {
    pub(super) fn new(chars: &Chars) -> Writer {
        let (mut rows, mut cells) = (Box::new([0; 256]), vec![[None; 256]]);
        for (byte, c) in (0..=u8::MAX).zip(chars) {
            let Some([high, low]) = c.and_then(halves) else { continue };
            let Some(row) = rows.get_mut(usize::from(high)) else { continue };
            if *row == 0 {
                *row = u8::try_from(cells.len()).unwrap_or(0);
                cells.push([None; 256]);
            }
            if let Some(cell) = cells.get_mut(usize::from(*row)).and_then(|row| row.get_mut(usize::from(low))) {
                *cell = Some(byte);
            }
        }
        Writer { rows, cells, is_ascii_compatible: is_ascii_compatible(chars) }
    }

    fn byte(&self, c: char) -> Option<u8> {
        let [high, low] = halves(c)?;
        let row = *self.rows.get(usize::from(high))?;
        *self.cells.get(usize::from(row))?.get(usize::from(low))?
    }

    /// Writes `text` up to a character that has no byte; gives that and what follows it.
    pub(super) fn write<'t>(&self, text: &'t str, to: &mut Vec<u8>) -> Option<(char, &'t str)> {
        let mut rest = text;
        while !rest.is_empty() {
            let run = if self.is_ascii_compatible { Encoding::ascii_valid_up_to(rest.as_bytes()) } else { 0 };
            let (ascii, others) = rest.split_at(run);
            to.extend_from_slice(ascii.as_bytes());
            let mut chars = others.chars();
            while let Some(c) = chars.next() {
                let Some(byte) = self.byte(c) else { return Some((c, chars.as_str())) };
                to.push(byte);
                if self.is_ascii_compatible && c.is_ascii() {
                    break;
                }
            }
            rest = chars.as_str();
        }
        None
    }
}

/// The two bytes of a character of plane 0.
fn halves(c: char) -> Option<[u8; 2]> {
    u16::try_from(u32::from(c)).ok().map(u16::to_be_bytes)
}
