//! Texts, cut into messages: which bytes each has, and which bytes its reply.

use crate::script::{PIECE, Script};
use clap::Args;
use std::io;
use std::path::{Path, PathBuf};

/// What is said.
#[derive(Args, Clone)]
#[group(skip)]
pub struct Options {
    /// Bytes in a message, its newline included; in a text, as many as end with a character
    #[arg(short, long, default_value = "32", value_parser = size)]
    size: usize,
    /// Cut the messages from this text instead of random letters and digits
    #[arg(long, conflicts_with = "request")]
    text: Option<PathBuf>,
    /// End each message with a newline; the text's own become spaces
    #[arg(long, conflicts_with = "request")]
    newline: bool,
    /// Send this, each time (\r, \n and \\ are understood)
    #[arg(long, requires = "reply")]
    request: Option<String>,
    /// The reply to --request
    #[arg(long, requires = "request")]
    reply: Option<String>,
}

/// A number of bytes from the command line, for which there is room.
pub fn size(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|size| (1..=PIECE).contains(size)).ok_or(format!("not in 1 to {PIECE}"))
}

/// The text of a file, or letters and digits by chance, though the same ones each time.
pub fn text(file: Option<&Path>) -> io::Result<String> {
    let Some(file) = file else {
        let mut chance = fastrand::Rng::with_seed(7);
        return Ok((0..PIECE).map(|_| chance.alphanumeric()).collect());
    };
    let unfit = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", file.display()));
    let text = std::fs::read_to_string(file).map_err(unfit)?;
    if text.is_empty() { Err(unfit(io::Error::other("it is empty"))) } else { Ok(text) }
}

/// Cuts a text, which goes on from its start, into messages of `size` bytes or of a few less.
fn cut(text: &str, size: usize, newline: bool) -> io::Result<Vec<String>> {
    let text = if newline { &text.replace(['\r', '\n'], " ") } else { text };
    let long = text.repeat((PIECE + size) / text.len() + 1);
    let (mut rest, mut messages, mut total) = (long.as_str(), Vec::new(), 0);
    while total < PIECE {
        let (message, after) = rest.split_at(rest.floor_char_boundary(size - usize::from(newline)));
        if message.is_empty() {
            return Err(io::Error::other(format!("{size} bytes are too few for a message of this text")));
        }
        messages.push(message.to_owned() + if newline { "\n" } else { "" });
        total += messages[messages.len() - 1].len();
        rest = after;
    }
    Ok(messages)
}

/// Turns \r, \n and \\ into what they stand for.
fn unescape(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        plain.push(match character {
            '\\' => match rest.next() {
                Some('r') => '\r',
                Some('n') => '\n',
                other => other.unwrap_or('\\'),
            },
            _ => character,
        });
    }
    plain
}

/// Messages in their order, again from the first after the last.
pub struct Messages {
    pub script: Script,
    /// Where in the script each begins, and its reply.
    starts: Vec<(usize, usize)>,
}

impl Messages {
    pub fn new(options: &Options) -> io::Result<Messages> {
        if let (Some(request), Some(reply)) = (&options.request, &options.reply) {
            return Messages::of(vec![(unescape(request), unescape(reply))]);
        }
        let requests = cut(&text(options.text.as_deref())?, options.size, options.newline)?;
        let replies: Vec<_> = requests.iter().map(|request| request.to_uppercase()).collect();
        Messages::of(requests.into_iter().zip(replies).collect())
    }

    /// Of requests and their replies.
    fn of(pairs: Vec<(String, String)>) -> io::Result<Messages> {
        let (mut request, mut reply, mut starts) = (String::new(), String::new(), Vec::new());
        for (said, answered) in pairs {
            if said.is_empty() || answered.is_empty() {
                return Err(io::Error::other("a message and its reply cannot be empty"));
            }
            starts.push((request.len(), reply.len()));
            request += &said;
            reply += &answered;
        }
        Ok(Messages { script: Script::new(&request, &reply), starts })
    }

    /// Bytes that `count` messages have, and their replies.
    pub fn bytes(&self, count: usize) -> (usize, usize) {
        let (rounds, rest) = (count / self.starts.len(), count % self.starts.len());
        let ((request, reply), (sent, due)) = (self.script.periods(), self.starts[rest]);
        (rounds * request + sent, rounds * reply + due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str, size: usize, newline: bool) -> Vec<String> {
        cut(text, size, newline).unwrap()
    }

    #[test]
    fn letters_fill_their_messages() {
        let messages = all(&text(None).unwrap(), 32, false);
        assert_eq!(messages.len(), PIECE / 32);
        assert!(messages.iter().all(|message| message.len() == 32));
    }

    #[test]
    fn a_text_is_cut_between_characters_and_goes_on_from_its_start() {
        assert_eq!(all("привет", 5, false)[..4], ["пр", "ив", "ет", "пр"]);
        assert_eq!(all("aпривет", 5, false)[..4], ["aпр", "ив", "етa", "пр"]);
        assert_eq!(all("ab", 5, false)[..2], ["ababa", "babab"]);
    }

    #[test]
    fn a_line_has_its_newline_within_its_size_and_no_other() {
        assert_eq!(all("один\nдва", 7, true)[..3], ["оди\n", "н д\n", "вао\n"]);
        assert!(all("a\r\nb\n", 64, true).iter().all(|line| line.len() == 64 && line.find('\n') == Some(63)));
    }

    #[test]
    fn a_message_with_room_for_no_character_is_refused() {
        assert!(cut("日本", 2, false).is_err());
        assert!(cut("日本", 3, true).is_err());
        assert!(cut("a", 1, true).is_err());
    }

    #[test]
    fn each_reply_is_where_its_message_is() {
        let pairs = [("aß", "ASS"), ("ŉ", "ʼN"), ("и", "И")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        let messages = Messages::of(pairs.into()).unwrap();
        assert_eq!([0, 1, 2, 3, 4].map(|count| messages.bytes(count)), [(0, 0), (3, 3), (5, 6), (7, 8), (10, 11)]);
        let (sent, due) = messages.bytes(3 * 1000 + 1);
        assert_eq!(messages.script.request(sent, 2), "ŉ".as_bytes());
        assert!(messages.script.is_reply(due, "ʼN".as_bytes()));
    }

    #[test]
    fn what_is_typed_for_control_characters_becomes_them() {
        assert_eq!(unescape(r"mn\r\n"), "mn\r\n");
        assert_eq!(unescape(r"a\\n\"), "a\\n\\");
    }
}
