//! Case mappings that do not look at a character's neighbours, done where the text lies.
//!
//! Nearly every character becomes one that takes as many bytes, so nearly every text can be changed in
//! place from a table. [`char::to_uppercase`] and [`char::to_lowercase`] fill the tables and do what
//! these leave out, so that there is one version of Unicode everywhere. Final sigma, which does look
//! at its neighbours, is settled by `lowercase` before its text comes here.

use super::utf8::{self, InvalidUtf8};
use super::{Refusal, Text};

/// A full mapping of single characters: the Unicode Standard's `Uppercase_Mapping(C)`, say.
pub(super) struct Mapping {
    ascii: fn(&mut [u8]),
    full: fn(char, &mut Vec<u8>),
    /// What a character of two bytes becomes, if that is two bytes too; else [`NOT_TWO`].
    twos: Box<[[u8; 2]; 0x800]>,
    /// What to add to the lower 16 bits of a longer character, if it becomes one character of the
    /// same length; else [`NOT_ALIKE`].
    shifts: Planes<u16>,
}

const NOT_TWO: [u8; 2] = [0; 2];

/// No mapping goes half a plane away; one that did would only be done more slowly.
const NOT_ALIKE: u16 = 0x8000;

impl Mapping {
    /// The mapping that writes what `full` does, and is `ascii` among ASCII.
    pub(super) fn new(ascii: fn(&mut [u8]), full: fn(char, &mut Vec<u8>)) -> Mapping {
        let mapped = |c| {
            let mut to = Vec::with_capacity(8);
            full(c, &mut to);
            to
        };
        let mut twos = Box::new([NOT_TWO; 0x800]);
        for (two, c) in twos.iter_mut().zip('\0'..) {
            *two = mapped(c).try_into().unwrap_or(NOT_TWO);
        }
        let shifts = Planes::new(NOT_ALIKE, |c| {
            let to = mapped(c);
            match utf8::first(&to) {
                Ok(one) if to.len() == c.len_utf8() && to.len() == one.len_utf8() => low16(one).wrapping_sub(low16(c)),
                _ => NOT_ALIKE,
            }
        });
        Mapping { ascii, full, twos, shifts }
    }

    /// Maps the whole of `text`; bytes that are not UTF-8 are treated as `policy` says.
    ///
    /// # Errors
    ///
    /// [`Refusal::InvalidUtf8`] under [`InvalidUtf8::Close`]; `text` is then what came before those
    /// bytes, mapped.
    pub(super) fn apply(&self, text: &mut Text<'_>, policy: InvalidUtf8) -> Result<(), Refusal> {
        (self.ascii)(text.as_mut_bytes());
        let done = self.apply_in_place(text.as_mut_bytes());
        if done == text.as_bytes().len() {
            return Ok(());
        }
        text.rewrite(|from, to| {
            let (start, mut rest) = from.split_at_mut(done);
            to.extend_from_slice(start);
            while !rest.is_empty() {
                let len = self.apply_to_first(rest, to, policy)?;
                rest = rest.split_at_mut(len).1;
                let done = self.apply_in_place(rest);
                let (start, end) = rest.split_at_mut(done);
                to.extend_from_slice(start);
                rest = end;
            }
            Ok(())
        })
    }

    /// Maps the first character of `from`, whatever it becomes, and says how long it was.
    fn apply_to_first(&self, from: &[u8], to: &mut Vec<u8>, policy: InvalidUtf8) -> Result<usize, Refusal> {
        match utf8::first(from) {
            Ok(c) => {
                (self.full)(c, to);
                Ok(c.len_utf8())
            }
            Err(invalid) => {
                policy.treat(invalid, to)?;
                Ok(invalid.len())
            }
        }
    }

    /// Maps `bytes`, in which ASCII is done already, up to what cannot be done here: a character that
    /// becomes longer or shorter, or bytes that are not UTF-8. Says how many bytes were done.
    fn apply_in_place(&self, bytes: &mut [u8]) -> usize {
        let mut done = 0;
        loop {
            // Characters of one length mostly come in runs, and a run's chunks need no bounds checks.
            let rest = bytes.split_at_mut(done).1;
            let run = match rest.first() {
                Some(0x00..=0x7F) => ascii_run(rest),
                Some(0xC2..=0xDF) => 2 * self.apply_to_twos(rest.as_chunks_mut().0),
                Some(0xE0..=0xEF) => 3 * self.apply_to_threes(rest.as_chunks_mut().0),
                Some(0xF0..=0xF4) => 4 * self.apply_to_fours(rest.as_chunks_mut().0),
                _ => 0,
            };
            if run == 0 {
                return done;
            }
            done += run;
        }
    }

    /// How many of `chars`, from the first, are characters of two bytes and could be mapped.
    fn apply_to_twos(&self, chars: &mut [[u8; 2]]) -> usize {
        let mut done = 0;
        for bytes in chars {
            let [a, b] = *bytes;
            let code = usize::from(a & 0x1F) << 6 | usize::from(b & 0x3F);
            let new = self.twos.get(code).copied().unwrap_or(NOT_TWO);
            // An overlong form stands for ASCII, which the table leaves out.
            if a & 0xE0 != 0xC0 || is_not_continuation(b) || new == NOT_TWO {
                break;
            }
            *bytes = new;
            done += 1;
        }
        done
    }

    /// How many of `chars`, from the first, are characters of three bytes and could be mapped.
    fn apply_to_threes(&self, chars: &mut [[u8; 3]]) -> usize {
        let mut done = 0;
        for bytes in chars {
            let [a, b, c] = *bytes;
            let code = u16::from(a) << 12 | u16::from(b & 0x3F) << 6 | u16::from(c & 0x3F);
            // The table leaves out the surrogates.
            let shift = self.shifts.get(code.into()).unwrap_or(NOT_ALIKE);
            if a & 0xF0 != 0xE0
                || is_not_continuation(b)
                || is_not_continuation(c)
                || code < 0x800
                || shift == NOT_ALIKE
            {
                break;
            }
            if shift != 0 {
                let [high, low] = code.wrapping_add(shift).to_be_bytes();
                *bytes = [0xE0 | high >> 4, 0x80 | (high & 0x0F) << 2 | low >> 6, 0x80 | low & 0x3F];
            }
            done += 1;
        }
        done
    }

    /// How many of `chars`, from the first, are characters of four bytes and could be mapped.
    fn apply_to_fours(&self, chars: &mut [[u8; 4]]) -> usize {
        let mut done = 0;
        for bytes in chars {
            let [a, b, c, d] = *bytes;
            let plane = (a & 0x07) << 2 | (b & 0x30) >> 4;
            let code = u16::from(b) << 12 | u16::from(c & 0x3F) << 6 | u16::from(d & 0x3F);
            let shift = match plane {
                1 => self.shifts.get(0x1_0000 + usize::from(code)).unwrap_or(NOT_ALIKE),
                2..=16 => 0,    // no script there has case, as the test of all scalar values proves
                _ => NOT_ALIKE, // overlong, or beyond U+10FFFF
            };
            if a & 0xF8 != 0xF0
                || is_not_continuation(b)
                || is_not_continuation(c)
                || is_not_continuation(d)
                || shift == NOT_ALIKE
            {
                break;
            }
            if shift != 0 {
                let [high, low] = code.wrapping_add(shift).to_be_bytes();
                *bytes = [a, b & 0xF0 | high >> 4, 0x80 | (high & 0x0F) << 2 | low >> 6, 0x80 | low & 0x3F];
            }
            done += 1;
        }
        done
    }
}

/// Writes `chars` as UTF-8.
pub(super) fn extend(to: &mut Vec<u8>, chars: impl Iterator<Item = char>) {
    for c in chars {
        to.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

/// How many bytes at the start of `bytes` are ASCII.
fn ascii_run(bytes: &[u8]) -> usize {
    let (words, last) = bytes.as_chunks::<8>();
    let mut run = 0;
    for word in words {
        let high_bits = u64::from_le_bytes(*word) & 0x8080_8080_8080_8080;
        if high_bits != 0 {
            return run + high_bits.trailing_zeros() as usize / 8;
        }
        run += 8;
    }
    run + last.iter().take_while(|byte| byte.is_ascii()).count()
}

fn is_not_continuation(byte: u8) -> bool {
    byte & 0xC0 != 0x80
}

#[expect(clippy::cast_possible_truncation, reason = "the lower 16 bits are what is asked for")]
fn low16(c: char) -> u16 {
    u32::from(c) as u16
}

/// A property of the characters of planes 0 and 1, kept once for all blocks of 64 that are alike:
/// most have no case at all, and so all of them together stay in the processor's cache.
pub(super) struct Planes<T> {
    /// Where in `values` each block is.
    starts: Box<[u32; 0x2_0000 / 64]>,
    values: Vec<T>,
}

impl<T: Copy + PartialEq> Planes<T> {
    /// What is true `of` each character, and `of_none` for the surrogates.
    pub(super) fn new(of_none: T, of: impl Fn(char) -> T) -> Planes<T> {
        let mut starts = Box::new([0; _]);
        let mut values = Vec::new();
        for (start, first) in starts.iter_mut().zip((0..).step_by(64)) {
            let mut block = [of_none; 64];
            for (value, code) in block.iter_mut().zip(first..) {
                *value = char::from_u32(code).map_or(of_none, &of);
            }
            let (known, _) = values.as_chunks();
            let place = known.iter().position(|other| *other == block).unwrap_or_else(|| {
                values.extend(block);
                values.len() / 64 - 1
            });
            *start = u32::try_from(place * 64).unwrap_or(u32::MAX);
        }
        Planes { starts, values }
    }

    /// The property of the character `code`, if it is in plane 0 or 1.
    pub(super) fn get(&self, code: usize) -> Option<T> {
        let start = *self.starts.get(code / 64)? as usize;
        self.values.get(start + code % 64).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_is_found_again_for_every_character_of_planes_0_and_1() {
        let planes = Planes::new(None, |c| Some(u32::from(c) % 97));
        for code in 0..0x2_0000_u32 {
            let expected = char::from_u32(code).map(|c| u32::from(c) % 97);
            assert_eq!(planes.get(code as usize), Some(expected), "U+{code:04X}");
        }
        assert_eq!(planes.get(0x2_0000), None);
    }

    #[test]
    fn blocks_that_are_alike_are_kept_once() {
        assert_eq!(Planes::new(false, |c| c == 'a').values.len(), 2 * 64);
    }

    #[test]
    fn a_run_of_ascii_ends_at_the_first_other_byte() {
        for len in 0..40 {
            let mut bytes = vec![b'a'; len];
            assert_eq!(ascii_run(&bytes), len);
            bytes.extend("é and more of it".as_bytes());
            assert_eq!(ascii_run(&bytes), len);
        }
    }
}
