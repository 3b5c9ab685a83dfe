//! Case mappings that do not look at a character's neighbours, done where the text lies.
//!
//! Nearly every character becomes one that takes as many bytes, so nearly every text can be changed in
//! place from tables. [`char::to_uppercase`] and [`char::to_lowercase`] fill them, so that there is one
//! version of Unicode everywhere. Final sigma, which does look at its neighbours, is settled by
//! `lowercase` before its text comes here.
//!
//! What takes time in a text of many short words is not the tables, but each branch that the processor
//! foretold wrongly. So nothing here walks from one character to the next. In UTF-8 a lead byte begins a
//! character wherever it stands: those of a whole block are marked at once, and then only the marks are
//! followed, however many bytes lie between.

use super::utf8::{self, InvalidUtf8, is_continuation, padded};
use super::{Refusal, Text};

/// A full mapping of single characters: the Unicode Standard's `Uppercase_Mapping(C)`, say.
pub(super) struct Mapping {
    ascii: fn(&mut [u8]),
    /// What becomes of the two bytes that a character begins with: they stay what they are, or, if they
    /// are all of it, become two others. Or it is the place where the rest is said: in `unalike` for a
    /// character of two bytes, in `rows` for a longer one.
    pairs: Box<[Pair; 0x4000]>,
    /// What becomes of the characters that differ in their last byte only. For those of four bytes 64
    /// rows follow each other, one for each third byte.
    rows: Vec<[Change; 64]>,
    /// What characters become that grow longer or shorter: so many bytes of these.
    unalike: Vec<([u8; 8], usize)>,
}

/// Two bytes, or a place. The first byte begins a character with case or what becomes of one, so it has
/// one of the two highest bits, whatever the second one is; a place has neither.
#[derive(Clone, Copy)]
struct Pair(u16);

impl Pair {
    fn bytes(bytes: [u8; 2]) -> Pair {
        Pair(u16::from_le_bytes(bytes))
    }

    fn place(place: u16) -> Pair {
        Pair((place & !0x3F) << 2 | place & 0x3F)
    }

    /// The two bytes, or else the place.
    #[inline(always)] // in the middle of all
    fn get(self) -> Result<[u8; 2], u16> {
        if self.0 & 0xC0 != 0 { Ok(self.0.to_le_bytes()) } else { Err(self.0 >> 8 << 6 | self.0 & 0x3F) }
    }
}

/// What becomes of a character of three or four bytes.
#[derive(Clone, Copy)]
enum Change {
    None,
    /// As many bytes of these.
    To([u8; 4]),
    /// This place in [`Mapping::unalike`].
    Unalike(u16),
}

/// One mark for each byte fits a word.
const BLOCK: usize = 64;
/// A block and the rest of a character that begins in it.
const WINDOW: usize = BLOCK + 3;
/// The blocks that are marked before the first of them is changed: a block that is read right after its
/// neighbour was written has to wait for that.
const BLOCKS: usize = 16;
const PAGE: usize = BLOCKS * BLOCK;

impl Mapping {
    /// The mapping that writes what `full` does, and is `ascii` among ASCII.
    pub(super) fn new(ascii: fn(&mut [u8]), full: fn(char, &mut Vec<u8>)) -> Mapping {
        let mut pairs = Box::new([Pair(0); _]);
        for (pair, bytes) in pairs.iter_mut().zip(0xC000..=0xFFFF_u16) {
            *pair = Pair::bytes(bytes.to_be_bytes());
        }
        let mut mapping = Mapping { ascii, pairs, rows: Vec::new(), unalike: Vec::new() };
        // No script beyond has case, as the test of all scalar values proves.
        let mut to = Vec::new();
        for c in '\u{80}'..'\u{2_0000}' {
            let mut from = [0; 4];
            let from = c.encode_utf8(&mut from).as_bytes();
            to.clear();
            full(c, &mut to);
            if from != to {
                mapping.learn(from, &to);
            }
        }
        mapping
    }

    /// Puts into the tables that the one character `from` becomes `to`.
    fn learn(&mut self, from: &[u8], to: &[u8]) {
        let &[a, b, ref rest @ ..] = from else { return };
        let Some(entry) = self.pairs.get_mut(place([a, b])) else { return };
        let change = if from.len() == to.len() {
            Change::To(padded(to))
        } else {
            self.unalike.push((padded(to), to.len()));
            Change::Unalike(last_place(&self.unalike))
        };
        let &[ref thirds @ .., last] = rest else {
            *entry = match change {
                Change::To([a, b, ..]) => Pair::bytes([a, b]),
                Change::Unalike(place) => Pair::place(place),
                Change::None => return,
            };
            return;
        };
        let row = entry.get().err().unwrap_or_else(|| {
            let rows = if thirds.is_empty() { 1 } else { 64 };
            self.rows.push([Change::None; 64]);
            let row = last_place(&self.rows);
            self.rows.resize(usize::from(row) + rows, [Change::None; 64]);
            *entry = Pair::place(row);
            row
        });
        let row = usize::from(row) + thirds.first().map_or(0, |third| low6(*third));
        if let Some(known) = self.rows.get_mut(row).and_then(|row| row.get_mut(low6(last))) {
            *known = change;
        }
    }

    /// Maps the whole of `text`; bytes that are not UTF-8 are treated as `policy` says.
    ///
    /// # Errors
    ///
    /// [`Refusal::InvalidUtf8`] under [`InvalidUtf8::Close`]; `text` is then what came before those
    /// bytes, mapped.
    pub(super) fn apply(&self, text: &mut Text<'_>, policy: InvalidUtf8) -> Result<(), Refusal> {
        let result = utf8::treat_invalid(text, policy);
        self.map(text);
        result
    }

    /// Maps the whole of `text`, in place up to the first page with a character that becomes longer or
    /// shorter. Bytes that are not UTF-8 stay as they are.
    fn map(&self, text: &mut Text<'_>) {
        let bytes = text.as_mut_bytes();
        let (mut page, mut marks) = (0, [0; BLOCKS]);
        while page < bytes.len() && !self.map_page(bytes, page, &mut marks) {
            page += PAGE;
        }
        if page >= bytes.len() {
            return;
        }
        text.rewrite(|from, to| {
            let mut copied = 0;
            while page < from.len() {
                for (mut marks, block) in marks.into_iter().zip((page..).step_by(BLOCK)) {
                    while marks != 0 {
                        let (before, rest) = from.split_at(block + take_first(&mut marks));
                        to.extend_from_slice(before.get(copied..).unwrap_or_default());
                        copied = before.len() + self.write_unalike(rest, to);
                    }
                }
                page += PAGE;
                self.map_page(from, page, &mut marks);
            }
            to.extend_from_slice(from.get(copied..).unwrap_or_default());
        });
    }

    /// Writes what becomes of the first character of `bytes`, which is unalike, and says how long it was.
    fn write_unalike(&self, bytes: &[u8], to: &mut Vec<u8>) -> usize {
        let place = bytes.first_chunk().and_then(|pair| self.entry(*pair).get().err());
        let Some(place) = place else { return 0 };
        let (change, len) = self.change(place, bytes);
        if let Change::Unalike(place) = change
            && let Some((new, new_len)) = self.unalike.get(usize::from(place))
        {
            // Cheaper than to copy as many bytes as there are.
            let len = to.len() + new_len;
            to.extend_from_slice(new);
            to.truncate(len);
        }
        len
    }

    /// Maps a page of `bytes`, and leaves in `marks` the characters that could not be mapped where they
    /// are, as they become longer or shorter. Says whether there are any.
    fn map_page(&self, bytes: &mut [u8], page: usize, marks: &mut [u64; BLOCKS]) -> bool {
        *marks = [0; BLOCKS];
        let (blocks, rest) = bytes.get(page..).unwrap_or_default().as_chunks();
        let last = padded(rest);
        for (marks, block) in marks.iter_mut().zip(blocks.iter().chain([&last])) {
            *marks = mark(block);
        }
        let end = bytes.len().min(page + PAGE);
        (self.ascii)(bytes.get_mut(page..end).unwrap_or_default());
        let mut any = 0;
        for (marks, block) in marks.iter_mut().zip((page..bytes.len()).step_by(BLOCK)) {
            let rest = bytes.split_at_mut(block).1;
            *marks = match rest.first_chunk_mut::<WINDOW>() {
                Some(window) => self.map_marked(window, *marks),
                None => self.map_marked(rest, *marks),
            };
            any |= *marks;
        }
        any != 0
    }

    /// Maps those characters of `bytes` that begin at a mark, and gives back the marks of those that
    /// become longer or shorter.
    #[inline(always)] // for the length of a window is known, and no bounds need be checked
    fn map_marked(&self, bytes: &mut [u8], mut marks: u64) -> u64 {
        let mut unalike = 0;
        while marks != 0 {
            let at = take_first(&mut marks);
            let Some(pair) = bytes.get_mut(at..at + 2).and_then(|pair| pair.first_chunk_mut()) else { break };
            match self.entry(*pair).get() {
                Ok(new) => *pair = new,
                Err(place) if self.map_rare(place, bytes.split_at_mut(at).1) => {}
                Err(_) => unalike |= 1 << at,
            }
        }
        unalike
    }

    /// Maps the first character of `bytes`, for which `pairs` has a `place`, unless it becomes longer or
    /// shorter. Says whether it is done.
    fn map_rare(&self, place: u16, bytes: &mut [u8]) -> bool {
        match self.change(place, bytes) {
            (Change::None, _) => true,
            (Change::Unalike(_), _) => false,
            (Change::To([a, b, c, _]), 3) => {
                if let Some(bytes) = bytes.first_chunk_mut() {
                    *bytes = [a, b, c];
                }
                true
            }
            (Change::To(new), _) => {
                if let Some(bytes) = bytes.first_chunk_mut() {
                    *bytes = new;
                }
                true
            }
        }
    }

    /// What `pairs` says of a character that begins with `pair`.
    fn entry(&self, pair: [u8; 2]) -> Pair {
        self.pairs.get(place(pair)).copied().unwrap_or(Pair::bytes(pair))
    }

    /// What becomes of the first character of `bytes`, for which `pairs` has a `place`, and how long it
    /// is.
    fn change(&self, place: u16, bytes: &[u8]) -> (Change, usize) {
        let row = usize::from(place);
        let (row, last, len) = match *bytes {
            [(..0xE0), _, ..] => return (Change::Unalike(place), 2),
            [(..0xF0), _, c, ..] if is_continuation(c) => (row, c, 3),
            [0xF0..=0xFF, _, c, d, ..] if is_continuation(c) && is_continuation(d) => (row + low6(c), d, 4),
            _ => return (Change::None, 0),
        };
        let change = self.rows.get(row).and_then(|row| row.get(low6(last)));
        (change.copied().unwrap_or(Change::None), len)
    }
}

/// One bit for each byte of `block` that may begin a character with case, the lowest for the first.
fn mark(block: &[u8; BLOCK]) -> u64 {
    let mut flags = [0_u8; BLOCK];
    for (flag, &byte) in flags.iter_mut().zip(block) {
        // Between them are only kana and ideographs, which nearly fill the texts that have them.
        *flag = u8::from(matches!(byte, 0xC2..=0xE2 | 0xEA..));
    }
    let (words, _) = flags.as_chunks();
    let mut marks = 0;
    for (word, place) in words.iter().zip((0..).step_by(8)) {
        // Each flag is multiplied into the highest byte, to a bit of its own.
        let bits = u64::from_le_bytes(*word).wrapping_mul(0x0102_0408_1020_4080) & 0xFF << 56;
        marks |= bits >> (56 - place);
    }
    marks
}

/// Takes the first of `marks`, and says where it is.
fn take_first(marks: &mut u64) -> usize {
    let first = marks.trailing_zeros() as usize;
    *marks &= marks.wrapping_sub(1);
    first
}

/// Where in [`Mapping::pairs`] a character is that begins with `pair`; all lead bytes have the two highest
/// bits.
fn place(pair: [u8; 2]) -> usize {
    usize::from(u16::from_be_bytes(pair) & 0x3FFF)
}

fn last_place<T>(list: &[T]) -> u16 {
    u16::try_from(list.len() - 1).unwrap_or(u16::MAX)
}

/// The bits that a continuation byte adds.
fn low6(byte: u8) -> usize {
    usize::from(byte & 0x3F)
}

/// Writes `chars` as UTF-8.
pub(super) fn extend(to: &mut Vec<u8>, chars: impl Iterator<Item = char>) {
    for c in chars {
        to.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transform::Scratch;

    #[test]
    fn a_character_is_mapped_wherever_it_lies() {
        let upper = Mapping::new(<[u8]>::make_ascii_uppercase, |c, to| extend(to, c.to_uppercase()));
        let mut scratch = Scratch::default();
        for c in ["é", "ß", "ı", "ΐ", "語", "ა", "ﬁ", "ᾳ", "𐐨", "😀", "\u{1E943}"] {
            for before in 0..PAGE + WINDOW {
                // To the end, to the end of a block, and far beyond.
                for after in ["", "é", "ııé", "aᾳ"].into_iter().chain([&*"a".repeat(WINDOW)]) {
                    let text = ["a".repeat(before).as_str(), c, after].concat();
                    let mut read = text.clone().into_bytes();
                    let mut mapped = Text::new(&mut read, &mut scratch);
                    assert_eq!(upper.apply(&mut mapped, InvalidUtf8::Pass), Ok(()));
                    assert!(
                        mapped.into_bytes() == text.to_uppercase().as_bytes(),
                        "{c} after {before}, before {after}"
                    );
                }
            }
        }
    }

    #[test]
    fn each_byte_that_may_begin_a_character_with_case_is_marked() {
        for at in 0..BLOCK {
            for byte in 0..=0xFF {
                let mut block = [b'a'; BLOCK];
                block[at] = byte;
                let cased = (0xC2..=0xE2).contains(&byte) || byte >= 0xEA;
                assert_eq!(mark(&block), u64::from(cased) << at, "{byte:x} at {at}");
            }
        }
    }
}
