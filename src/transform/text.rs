//! The text on its way through the steps, and the buffers it may move to.
//!
//! A step that keeps the length works where the text lies; one that makes it longer writes it anew
//! into a spare buffer. Nothing here knows what a character is.

/// Two buffers that a thread lends to each text in turn, so that no text needs one of its own.
#[derive(Debug, Default)]
pub struct Scratch {
    first: Vec<u8>,
    second: Vec<u8>,
}

impl Scratch {
    /// Gives back what the buffers have grown to beyond `len` bytes each.
    pub fn shrink_to(&mut self, len: usize) {
        for buffer in [&mut self.first, &mut self.second] {
            if buffer.capacity() > len {
                buffer.clear();
                buffer.shrink_to(len);
            }
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Place {
    Original,
    First,
    Second,
}

/// Bytes that the steps change: first in the buffer they were read into, then in a [`Scratch`].
#[derive(Debug)]
pub struct Text<'d> {
    original: &'d mut [u8],
    scratch: &'d mut Scratch,
    place: Place,
    ending: Option<&'static [u8]>,
    withheld: bool,
}

impl<'d> Text<'d> {
    /// The text as it came; `scratch` is where it goes when it grows.
    pub fn new(original: &'d mut [u8], scratch: &'d mut Scratch) -> Text<'d> {
        Text { original, scratch, place: Place::Original, ending: None, withheld: false }
    }

    /// The text as it is now.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self.place {
            Place::Original => self.original,
            Place::First => &self.scratch.first,
            Place::Second => &self.scratch.second,
        }
    }

    /// The text as it is now, to be changed where it lies.
    pub fn as_mut_bytes(&mut self) -> &mut [u8] {
        match self.place {
            Place::Original => self.original,
            Place::First => &mut self.scratch.first,
            Place::Second => &mut self.scratch.second,
        }
    }

    /// The text as it is now, for as long as its buffers are lent.
    #[must_use]
    pub fn into_bytes(self) -> &'d [u8] {
        match self.place {
            Place::Original => self.original,
            Place::First => &self.scratch.first,
            Place::Second => &self.scratch.second,
        }
    }

    /// Replaces the text by what `write` makes of it, into an empty buffer; what it leaves of the
    /// text as it was does not matter.
    pub fn rewrite<R>(&mut self, write: impl FnOnce(&mut [u8], &mut Vec<u8>) -> R) -> R {
        let (from, to, place) = match self.place {
            Place::Original => (&mut *self.original, &mut self.scratch.first, Place::First),
            Place::First => (&mut *self.scratch.first, &mut self.scratch.second, Place::Second),
            Place::Second => (&mut *self.scratch.second, &mut self.scratch.first, Place::First),
        };
        to.clear();
        let result = write(from, to);
        self.place = place;
        result
    }

    /// Says that nothing is to be answered, not even an empty message.
    pub(super) fn withhold(&mut self) {
        self.truncate(0);
        self.withheld = true;
    }

    /// Gives up the text and its buffers, as nobody knows in which state a panic has left them.
    pub fn give_up(&mut self) {
        *self.scratch = Scratch::default();
        (self.place, self.ending) = (Place::Original, None);
        self.withhold();
    }

    /// Whether nothing is to be answered, not even an empty message.
    #[must_use]
    pub fn is_withheld(&self) -> bool {
        self.withheld
    }

    /// Asks for the line end `ending` behind the text, where its framing ends it with one.
    pub(super) fn end_with(&mut self, ending: &'static [u8]) {
        self.ending = Some(ending);
    }

    /// The line end that a step asked for.
    #[must_use]
    pub fn ending(&self) -> Option<&'static [u8]> {
        self.ending
    }

    /// Puts `tail` behind the text.
    pub fn append(&mut self, tail: &[u8]) {
        match self.place {
            Place::Original => self.rewrite(|from, to| {
                to.extend_from_slice(from);
                to.extend_from_slice(tail);
            }),
            Place::First => self.scratch.first.extend_from_slice(tail),
            Place::Second => self.scratch.second.extend_from_slice(tail),
        }
    }

    /// Puts `head` before the text.
    pub(super) fn prepend(&mut self, head: &[u8]) {
        self.rewrite(|from, to| {
            to.extend_from_slice(head);
            to.extend_from_slice(from);
        });
    }

    /// Shortens the text to its first `len` bytes; a text that is shorter stays as it is.
    pub(super) fn truncate(&mut self, len: usize) {
        match self.place {
            Place::Original => {
                let original = std::mem::take(&mut self.original);
                let len = len.min(original.len());
                self.original = original.split_at_mut(len).0;
            }
            Place::First => self.scratch.first.truncate(len),
            Place::Second => self.scratch.second.truncate(len),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_changed_in_place_until_it_is_rewritten() {
        let mut original = *b"abc";
        let mut scratch = Scratch::default();
        let mut text = Text::new(&mut original, &mut scratch);
        text.as_mut_bytes().make_ascii_uppercase();
        text.rewrite(|from, to| to.extend(from.iter().flat_map(|&b| [b, b])));
        text.prepend(b"<");
        text.truncate(6);
        text.append(b">");
        assert_eq!(text.into_bytes(), b"<AABBC>");
        assert_eq!(&original, b"ABC");
    }
}
