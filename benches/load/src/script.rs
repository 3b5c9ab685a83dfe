//! What is said on a connection and what must come back, as two streams of bytes that repeat without end.
//!
//! As they repeat, what belongs to a position is found without a look at what was before, and a read of any length
//! is compared in one go. Where messages begin is in `messages.rs`.

/// The longest piece of a stream that is had in one slice, and so the longest read and write.
pub const PIECE: usize = 256 * 1024;

struct Endless {
    bytes: Vec<u8>,
    period: usize,
}

impl Endless {
    fn new(bytes: &[u8]) -> Endless {
        let period = bytes.len();
        Endless { bytes: bytes.iter().copied().cycle().take(period + PIECE).collect(), period }
    }

    fn piece(&self, at: usize, length: usize) -> &[u8] {
        let at = at % self.period;
        &self.bytes[at..at + length]
    }
}

pub struct Script {
    request: Endless,
    reply: Endless,
}

impl Script {
    /// Of a text that is said again and again, and of the whole reply to it; neither is empty.
    pub fn new(text: &str, reply: &str) -> Script {
        Script { request: Endless::new(text.as_bytes()), reply: Endless::new(reply.as_bytes()) }
    }

    /// After how many bytes the request repeats, and the reply.
    pub fn periods(&self) -> (usize, usize) {
        (self.request.period, self.reply.period)
    }

    /// What is sent from byte `at` on; at most `PIECE` bytes.
    pub fn request(&self, at: usize, length: usize) -> &[u8] {
        self.request.piece(at, length)
    }

    /// Whether this is what must come back from byte `at` on; at most `PIECE` bytes.
    pub fn is_reply(&self, at: usize, received: &[u8]) -> bool {
        self.reply.piece(at, received.len()) == received
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(text: &str) -> Script {
        Script::new(text, &text.to_uppercase())
    }

    #[test]
    fn a_text_is_sent_again_from_its_start() {
        let script = script("abc");
        assert_eq!(script.request(2, 5), b"cabca");
        assert_eq!(script.request(3_000_000_000, 3), b"abc");
        assert_eq!(script.request(2, PIECE).len(), PIECE);
    }

    #[test]
    fn a_reply_may_be_longer_than_its_request() {
        let script = script("ŉa");
        assert_eq!(script.periods(), (3, 4));
        assert!(script.is_reply(4, "ʼNA".as_bytes()));
    }

    #[test]
    fn a_reply_is_right_at_its_own_place_only() {
        let script = script("привет");
        let reply = "ПРИВЕТ".as_bytes();
        for cut in 0..reply.len() {
            assert!(script.is_reply(0, &reply[..cut]) && script.is_reply(cut, &reply[cut..]));
        }
        assert!(script.is_reply(reply.len() * 7, reply));
        assert!(!script.is_reply(2, reply));
        assert!(!script.is_reply(0, "ПРИВет".as_bytes()));
    }

    #[test]
    fn one_wrong_bit_is_found() {
        let script = script("hello, world");
        for at in 0..12 {
            let mut reply = b"HELLO, WORLD".to_vec();
            assert!(script.is_reply(0, &reply));
            reply[at] ^= 1;
            assert!(!script.is_reply(0, &reply));
        }
    }
}
