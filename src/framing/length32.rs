//! `length32`: a message's length, in four bytes of which the first is the highest, and then its text.

use super::{About, Cut, Cuts, Ending, Frames, Skim};

pub(super) const ABOUT: About = About {
    name: "length32",
    summary: "its length in 4 bytes, the highest first, and then its text",
    source: "unsigned int of RFC 4506 (XDR), 4.2, and then so many bytes",
    cuts: Some(|options| Box::new(Length32 { max: options.max_message })),
    frames: |options| Box::new(Length32 { max: options.max_message }),
};

/// Messages of at most so many bytes.
#[derive(Debug)]
pub struct Length32 {
    max: usize,
}

impl Cuts for Length32 {
    fn cut(&self, bytes: &[u8], _: usize, _: bool) -> Cut {
        let Some((head, text)) = bytes.split_first_chunk::<4>() else { return Cut::Unfinished };
        let len = u32::from_be_bytes(*head);
        match usize::try_from(len) {
            Ok(len) if len <= self.max && text.len() >= len => {
                let end = head.len() + len;
                Cut::Message { body: head.len()..end, taken: end }
            }
            Ok(len) if len <= self.max => Cut::Unfinished,
            _ => Cut::TooLong { head: head.len(), len: Some(len.into()) },
        }
    }

    fn skim(&self, bytes: &[u8], _: bool) -> Skim {
        // its length was told, so no end is searched for
        Skim { body: bytes.len(), taken: bytes.len(), ended: false }
    }
}

impl Frames for Length32 {
    fn begin(&self, len: u64, to: &mut Vec<u8>) {
        // whoever frames an answer minds the longest
        to.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
    }

    fn finish(&self, _: Ending<'_>, _: &mut Vec<u8>) {}

    fn longest(&self) -> Option<u64> {
        Some(u32::MAX.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_as_long_as_it_says() {
        for (bytes, expected) in [
            (&b"\0\0\0"[..], Cut::Unfinished),
            (b"\0\0\0\0", Cut::Message { body: 4..4, taken: 4 }),
            (b"\0\0\0\x02ab\0", Cut::Message { body: 4..6, taken: 6 }),
            (b"\0\0\0\x02a", Cut::Unfinished),
            (b"\0\0\0\x04abcd", Cut::Message { body: 4..8, taken: 8 }),
            (b"\0\0\0\x05", Cut::TooLong { head: 4, len: Some(5) }),
            (b"\xFF\xFF\xFF\xFFab", Cut::TooLong { head: 4, len: Some(u64::from(u32::MAX)) }),
        ] {
            assert_eq!(Length32 { max: 4 }.cut(bytes, 0, false), expected, "{}", bytes.escape_ascii());
        }
    }
}
