//! The bytes of a connection on their way to messages: what a read gave, joined to what is left of
//! the one before.
//!
//! Of a message never more is kept than is allowed, whatever its sender says of it: of one that is
//! too long, [`OnLong`] says what becomes of its bytes as they come, in linear time. What is
//! answered is not known here.

use super::{Cut, Messages, OnLong, Skim};

/// What a connection keeps of a message that has only begun.
#[derive(Debug, Default)]
pub struct Rest {
    bytes: Vec<u8>,
    /// How many of them were searched for the message's end.
    scanned: usize,
    long: Option<Box<Long>>,
}

impl Rest {
    /// Whether no message has begun.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.long.is_none()
    }

    /// Whether the message that has begun is too long, so that parts of it may have been given.
    #[must_use]
    pub fn is_long(&self) -> bool {
        self.long.is_some()
    }
}

/// A message that is too long, of which not all has come.
#[derive(Debug, Default)]
struct Long {
    stage: Stage,
    /// Its first bytes, where these are to be answered.
    kept: Vec<u8>,
}

#[derive(Debug, Clone, Copy, Default)]
enum Stage {
    /// So many bytes of its text are still to come, and then its trailer.
    Counted(u64),
    /// Its text goes on up to an end that is to be searched for.
    #[default]
    Searched,
    /// Its text is over; so many bytes, which are there, are its ending.
    Ended(usize),
}

/// One thing found in the input.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'p> {
    /// A message.
    Message {
        /// Its text.
        body: &'p mut [u8],
        /// The frame behind its text; nothing where the input ended it.
        ending: &'p [u8],
        /// Whether these are only the first bytes of a message that is too long.
        cut_off: bool,
    },
    /// A message has begun that is too long; it has so many bytes, where its frame tells.
    TooLong(Option<u64>),
    /// The next part of it, under [`OnLong::Pass`].
    Part(&'p [u8]),
    /// Its end, under [`OnLong::Pass`], with the frame behind its text.
    End(&'p [u8]),
    /// Its end, where nothing of it was wanted.
    Dropped,
    /// The input ended within a message that said it was longer.
    CutShort,
    /// What comes now is no message, and where one begins again cannot be known.
    Malformed,
}

impl Piece<'_> {
    /// Whether a message ends with it, so that another begins.
    #[must_use]
    pub fn is_last(&self) -> bool {
        matches!(self, Piece::Message { .. } | Piece::End(_) | Piece::Dropped)
    }
}

/// What a read gave and what was left before it, from which pieces are taken.
#[derive(Debug)]
pub struct Input<'b> {
    /// All bytes, where some were left; otherwise `read` is all.
    joined: Vec<u8>,
    read: &'b mut [u8],
    /// How many bytes are done with.
    at: usize,
    scanned: usize,
    long: Option<Box<Long>>,
    /// The text of a piece that does not lie in the bytes.
    kept: Vec<u8>,
    end: bool,
}

impl<'b> Input<'b> {
    /// `read` behind what was left; `end` says that no more bytes will come.
    pub fn new(rest: Rest, read: &'b mut [u8], end: bool) -> Input<'b> {
        let Rest { bytes: mut joined, scanned, long } = rest;
        if !joined.is_empty() {
            joined.extend_from_slice(read);
        }
        Input { joined, read, at: 0, scanned, long, kept: Vec::new(), end }
    }

    /// The next piece; nothing when more bytes must come before there is one.
    pub fn next(&mut self, messages: &Messages) -> Option<Piece<'_>> {
        while let Some(long) = &mut self.long {
            let bytes = unread(&self.joined, self.read, self.at);
            match long.advance(bytes, messages, self.end) {
                Advance::Wait => return None,
                Advance::Part(len) => {
                    self.at += len;
                    if messages.on_long == OnLong::Pass && len > 0 {
                        return Some(Piece::Part(self.last(len)));
                    }
                }
                Advance::End(len) => {
                    self.at += len;
                    let long = self.long.take();
                    match messages.on_long {
                        OnLong::Pass => return Some(Piece::End(self.last(len))),
                        OnLong::Truncate => return Some(self.cut_off(long.unwrap_or_default().kept, len)),
                        OnLong::Close | OnLong::Drop => return Some(Piece::Dropped),
                    }
                }
                Advance::CutShort => return Some(self.give_up(Piece::CutShort)),
                Advance::Malformed => return Some(self.give_up(Piece::Malformed)),
            }
        }
        let bytes = unread(&self.joined, self.read, self.at);
        if bytes.is_empty() {
            return None;
        }
        match messages.cuts.cut(bytes, self.scanned, self.end) {
            Cut::Message { body, taken } => {
                let from = self.at;
                self.at += taken;
                self.scanned = 0;
                let bytes = if self.joined.is_empty() { &mut *self.read } else { &mut *self.joined };
                let frame = bytes.get_mut(from..self.at)?;
                let (head, ending) = frame.split_at_mut_checked(body.end)?;
                Some(Piece::Message { body: head.get_mut(body.start..)?, ending, cut_off: false })
            }
            Cut::Unfinished if self.end => Some(self.give_up(Piece::CutShort)),
            Cut::Unfinished => {
                self.scanned = bytes.len();
                None
            }
            Cut::TooLong { head, len } => {
                self.at += head;
                self.scanned = 0;
                let stage = len.map_or(Stage::Searched, Stage::Counted);
                self.long = Some(Box::new(Long { stage, kept: Vec::new() }));
                Some(Piece::TooLong(len))
            }
            Cut::Malformed => Some(self.give_up(Piece::Malformed)),
        }
    }

    /// What is left for the next read.
    #[must_use]
    pub fn into_rest(mut self) -> Rest {
        let bytes = if self.joined.is_empty() {
            unread(&self.joined, self.read, self.at).to_vec()
        } else {
            self.joined.drain(..self.at.min(self.joined.len()));
            if self.joined.capacity() > 4 * self.joined.len() {
                self.joined.shrink_to_fit(); // what is left of a long message may wait for long
            }
            self.joined
        };
        Rest { bytes, scanned: self.scanned, long: self.long }
    }

    /// The last `len` bytes that were done with.
    fn last(&self, len: usize) -> &[u8] {
        unread(&self.joined, self.read, self.at - len).get(..len).unwrap_or_default()
    }

    /// The message that `kept` begins, whose last `ending` bytes were done with.
    fn cut_off(&mut self, kept: Vec<u8>, ending: usize) -> Piece<'_> {
        self.kept = kept;
        let ending = unread(&self.joined, self.read, self.at - ending).get(..ending).unwrap_or_default();
        Piece::Message { body: &mut self.kept, ending, cut_off: true }
    }

    /// Nothing of the input is of use any more, as `piece` says.
    fn give_up<'p>(&mut self, piece: Piece<'p>) -> Piece<'p> {
        self.long = None;
        self.at = self.joined.len().max(self.read.len());
        piece
    }
}

/// What is not done with of all bytes.
fn unread<'x>(joined: &'x [u8], read: &'x [u8], at: usize) -> &'x [u8] {
    if joined.is_empty() { read } else { joined }.get(at..).unwrap_or_default()
}

/// What the next bytes of a message that is too long are.
enum Advance {
    /// More must come before that can be said.
    Wait,
    /// So many bytes of its text.
    Part(usize),
    /// Its end: so many bytes, its ending.
    End(usize),
    CutShort,
    Malformed,
}

impl Long {
    fn advance(&mut self, bytes: &[u8], messages: &Messages, end: bool) -> Advance {
        let part = match self.stage {
            Stage::Ended(len) => return Advance::End(len),
            Stage::Counted(0) => {
                let trailer = messages.cuts.trailer();
                match bytes.get(..trailer.len()) {
                    Some(there) if there == trailer => return Advance::End(trailer.len()),
                    Some(_) => return Advance::Malformed,
                    None => 0,
                }
            }
            Stage::Counted(left) => {
                let part = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                self.stage = Stage::Counted(left - part as u64);
                part
            }
            Stage::Searched => {
                let Skim { body, taken, ended } = messages.cuts.skim(bytes, end);
                if ended {
                    self.stage = Stage::Ended(taken - body);
                }
                body
            }
        };
        if part == 0 && !matches!(self.stage, Stage::Ended(_)) {
            return if end { Advance::CutShort } else { Advance::Wait };
        }
        if messages.on_long == OnLong::Truncate {
            let room = messages.max.saturating_sub(self.kept.len()).min(part);
            self.kept.extend_from_slice(bytes.get(..room).unwrap_or_default());
        }
        Advance::Part(part)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{self as framing, Framing, Options};
    use super::*;

    const LONG: [OnLong; 4] = [OnLong::Close, OnLong::Truncate, OnLong::Drop, OnLong::Pass];

    /// The pieces of `reads`, each in a few words.
    fn pieces(name: &str, on_long: OnLong, reads: &[&[u8]]) -> Vec<String> {
        let about = framing::named(name).unwrap();
        let options = Options { max_message: 4, on_long, delimiter: b"<>".to_vec() };
        let Ok(Framing::Messages(messages)) = framing::build(about, about, &options) else { panic!("{name}") };
        let (mut found, mut rest) = (Vec::<String>::new(), Rest::default());
        for (nth, read) in reads.iter().enumerate() {
            let mut read = read.to_vec();
            let mut input = Input::new(rest, &mut read, nth + 1 == reads.len());
            while let Some(piece) = input.next(&messages) {
                let shown = |bytes: &[u8]| bytes.escape_ascii().to_string();
                match piece {
                    Piece::Message { body, ending, cut_off } => {
                        let end = if cut_off { " cut off" } else { "" };
                        found.push(format!("{}|{}{end}", shown(body), shown(ending)));
                    }
                    Piece::TooLong(_) => found.push("too long".to_owned()),
                    Piece::Part(part) => match found.last_mut().filter(|last| last.starts_with("part ")) {
                        Some(last) => *last += &shown(part),
                        None => found.push(format!("part {}", shown(part))),
                    },
                    Piece::End(ending) => found.push(format!("end {}", shown(ending))),
                    Piece::Dropped => found.push("dropped".to_owned()),
                    Piece::CutShort => found.push("cut short".to_owned()),
                    Piece::Malformed => found.push("malformed".to_owned()),
                }
                // what a session does not go on after
                let last = found.last().unwrap();
                if last == "malformed" || (on_long == OnLong::Close && last == "too long") {
                    return found;
                }
            }
            rest = input.into_rest();
            assert!(rest.bytes.len() <= 4 + 4, "{}", rest.bytes.escape_ascii());
        }
        assert!(rest.is_empty());
        found
    }

    /// As [`pieces`], and the same whatever the cuts.
    #[track_caller]
    fn check(name: &str, on_long: OnLong, bytes: &[u8], expected: &[&str]) {
        let message = format!("{name} {on_long:?} {}", bytes.escape_ascii());
        assert_eq!(pieces(name, on_long, &[bytes]), expected, "{message}");
        for at in 0..=bytes.len() {
            let (first, second) = bytes.split_at(at);
            assert_eq!(pieces(name, on_long, &[first, second]), expected, "{message} cut at {at}");
        }
        let dripped: Vec<&[u8]> = bytes.chunks(1).chain([&b""[..]]).collect();
        assert_eq!(pieces(name, on_long, &dripped), expected, "{message} byte by byte");
    }

    #[test]
    fn messages_are_found_whatever_the_cuts() {
        for on_long in LONG {
            check("line", on_long, b"ab\r\n\nc\rd\nlast", &[r"ab|\r\n", r"|\n", r"c\rd|\n", "last|"]);
            check("delimiter", on_long, b"ab<><>c<d<>e<", &["ab|<>", "|<>", "c<d|<>", "e<|"]);
            check("length32", on_long, b"\0\0\0\x02ab\0\0\0\0\0\0\0\x01c", &["ab|", "|", "c|"]);
            check("netstring", on_long, b"2:ab,0:,1:c,", &["ab|,", "|,", "c|,"]);
        }
    }

    #[test]
    fn a_message_that_is_too_long_is_what_on_long_says() {
        for (name, bytes, last, ending) in [
            ("line", &b"a\nbcdefg\r\nh\n"[..], r"h|\n", r"\r\n"),
            ("line", b"a\r\nbcdefg\nh", "h|", r"\n"),
            ("delimiter", b"a<>bcdefg<>h<>", "h|<>", "<>"),
            ("length32", b"\0\0\0\x01a\0\0\0\x06bcdefg\0\0\0\x01h", "h|", ""),
            ("netstring", b"1:a,6:bcdefg,1:h,", "h|,", ","),
        ] {
            let first = pieces(name, OnLong::Close, &[bytes]).remove(0);
            check(name, OnLong::Close, bytes, &[&first, "too long"]);
            check(name, OnLong::Drop, bytes, &[&first, "too long", "dropped", last]);
            check(name, OnLong::Truncate, bytes, &[&first, "too long", &format!("bcde|{ending} cut off"), last]);
            check(name, OnLong::Pass, bytes, &[&first, "too long", "part bcdefg", &format!("end {ending}"), last]);
        }
    }

    #[test]
    fn the_input_may_end_within_a_message() {
        for (name, bytes) in [("line", &b"bcdefg"[..]), ("line", b"bcdef\r"), ("delimiter", b"bcdef<")] {
            let text = bytes.escape_ascii();
            check(name, OnLong::Truncate, bytes, &["too long", "bcde| cut off"]);
            check(name, OnLong::Pass, bytes, &["too long", &format!("part {text}"), "end "]);
            check(name, OnLong::Drop, bytes, &["too long", "dropped"]);
        }
        for on_long in LONG {
            check("length32", on_long, b"\0\0\0", &["cut short"]);
            check("length32", on_long, b"\0\0\0\x02a", &["cut short"]);
            check("netstring", on_long, b"2:ab", &["cut short"]);
        }
        for (name, bytes) in [("length32", &b"\0\0\0\x06bcd"[..]), ("netstring", b"6:bcd"), ("netstring", b"5:bcdef")] {
            for on_long in [OnLong::Truncate, OnLong::Drop] {
                check(name, on_long, bytes, &["too long", "cut short"]);
            }
        }
        check("length32", OnLong::Pass, b"\xFF\xFF\xFF\xFFbcd", &["too long", "part bcd", "cut short"]);
    }

    #[test]
    fn what_is_no_netstring_is_told() {
        for on_long in LONG {
            check("netstring", on_long, b"1:a,x1:b,", &["a|,", "malformed"]);
            check("netstring", on_long, b"1:ab1:c,", &["malformed"]);
        }
        check("netstring", OnLong::Drop, b"5:abcdef,", &["too long", "malformed"]);
        check("netstring", OnLong::Truncate, b"5:abcdef,", &["too long", "malformed"]);
        check("netstring", OnLong::Pass, b"5:abcdef,", &["too long", "part abcde", "malformed"]);
    }
}
