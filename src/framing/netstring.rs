//! `netstring`: a message's length in decimal digits, a colon, its text and a comma.
//!
//! Only the one way of writing a length that the definition allows is read: digits without a zero
//! before them. A length that no daemon of ours will ever keep is no length.

use super::{About, Cut, Cuts, Ending, Frames, Skim};

pub(super) const ABOUT: About = About {
    name: "netstring",
    summary: "its length in digits, a colon, its text and a comma",
    source: "D. J. Bernstein, Netstrings, cr.yp.to/proto/netstrings.txt",
    cuts: Some(|options| Box::new(Netstring { max: options.max_message })),
    frames: |options| Box::new(Netstring { max: options.max_message }),
};

/// Lengths have no more digits: those of 4 GiB.
const DIGITS: usize = 10;

/// Messages of at most so many bytes.
#[derive(Debug)]
pub struct Netstring {
    max: usize,
}

impl Cuts for Netstring {
    fn cut(&self, bytes: &[u8], _: usize, _: bool) -> Cut {
        let digits = bytes.iter().take(DIGITS + 1).take_while(|byte| byte.is_ascii_digit()).count();
        let (number, rest) = bytes.split_at_checked(digits).unwrap_or((bytes, &[]));
        if number.len() > DIGITS || (number.len() > 1 && number.starts_with(b"0")) {
            return Cut::Malformed;
        }
        let head = match (digits, rest.first()) {
            (1.., Some(b':')) => digits + 1,
            (1.., None) => return Cut::Unfinished,
            _ => return Cut::Malformed,
        };
        let len = number.iter().fold(0, |len, digit| len * 10 + u64::from(digit - b'0'));
        let Some(end) = usize::try_from(len).ok().filter(|len| *len <= self.max).map(|len| head + len) else {
            return Cut::TooLong { head, len: Some(len) };
        };
        match bytes.get(end) {
            Some(b',') => Cut::Message { body: head..end, taken: end + 1 },
            Some(_) => Cut::Malformed,
            None => Cut::Unfinished,
        }
    }

    fn skim(&self, bytes: &[u8], _: bool) -> Skim {
        // its length was told, so no end is searched for
        Skim { body: bytes.len(), taken: bytes.len(), ended: false }
    }

    fn trailer(&self) -> &'static [u8] {
        b","
    }
}

impl Frames for Netstring {
    fn begin(&self, len: u64, to: &mut Vec<u8>) {
        to.extend_from_slice(len.to_string().as_bytes());
        to.push(b':');
    }

    fn finish(&self, _: Ending<'_>, to: &mut Vec<u8>) {
        to.push(b',');
    }

    fn longest(&self) -> Option<u64> {
        Some(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_as_long_as_it_says_and_ends_with_a_comma() {
        for (bytes, expected) in [
            (&b"1"[..], Cut::Unfinished),
            (b"0:,", Cut::Message { body: 2..2, taken: 3 }),
            (b"2:ab,3", Cut::Message { body: 2..4, taken: 5 }),
            (b"2:ab", Cut::Unfinished),
            (b"2:abc", Cut::Malformed),
            (b"00:,", Cut::Malformed),
            (b"02:ab,", Cut::Malformed),
            (b":,", Cut::Malformed),
            (b"x", Cut::Malformed),
            (b"2x", Cut::Malformed),
            (b"-1:", Cut::Malformed),
            (b"13:abcdefghijklm,", Cut::TooLong { head: 3, len: Some(13) }),
            (b"12:abcdefghijkl,", Cut::Message { body: 3..15, taken: 16 }),
            (b"9999999999:", Cut::TooLong { head: 11, len: Some(9_999_999_999) }),
            (b"9999999999", Cut::Unfinished),
            (b"99999999999", Cut::Malformed),
        ] {
            assert_eq!(Netstring { max: 12 }.cut(bytes, 0, false), expected, "{}", bytes.escape_ascii());
        }
    }
}
