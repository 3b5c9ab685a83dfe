//! Properties of characters, kept small enough for the processor's cache.
//!
//! What a property means is not known here; it is asked of each character once.

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
}
