//! Framings: how bytes become messages, and answers become bytes.
//!
//! A framing is shared by all connections and remembers nothing; what a connection remembers of a
//! message that has only begun is kept by its [`Input`]. Nothing here knows what a text means.

mod delimiter;
mod input;
mod length32;
mod line;
mod netstring;
mod stream;

use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

pub use delimiter::Delimiter;
pub use input::{Input, Piece, Rest};
pub use length32::Length32;
pub use line::Line;
pub use netstring::Netstring;
pub use stream::Unframed;

/// How the bytes of a connection are read, and its answers written.
#[derive(Debug, Clone)]
pub enum Framing {
    /// There are no messages: what each read gave is answered at once.
    Stream,
    /// Whole messages, answered one by one in their order.
    Messages(Messages),
}

impl Framing {
    /// Whether bytes mean the same under `other`, so that a connection can go over to it between two
    /// messages; how long these may be is no part of that.
    #[must_use]
    pub fn reads_as(&self, other: &Framing) -> bool {
        match (self, other) {
            (Framing::Stream, Framing::Stream) => true,
            (Framing::Messages(own), Framing::Messages(other)) => {
                own.names == other.names && own.delimiter == other.delimiter
            }
            _ => false,
        }
    }
}

impl std::fmt::Display for Framing {
    /// Its name in the configuration, and that of its answers where it is another.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Framing::Stream => f.write_str(stream::ABOUT.name),
            Framing::Messages(Messages { names: (read, write), in_kind: false, .. }) => write!(f, "{read} to {write}"),
            Framing::Messages(Messages { names: (read, _), .. }) => f.write_str(read),
        }
    }
}

/// How messages are found, and their answers framed.
#[derive(Debug, Clone)]
pub struct Messages {
    /// Finds the messages.
    pub cuts: Arc<dyn Cuts>,
    /// Frames the answers.
    pub frames: Arc<dyn Frames>,
    /// The names of the two.
    pub names: (&'static str, &'static str),
    /// What ends a message under `delimiter`, where one of the two is that.
    pub delimiter: Option<Arc<[u8]>>,
    /// Whether answers are framed as the messages are, and so in kind.
    pub in_kind: bool,
    /// What becomes of a message that is longer than is allowed.
    pub on_long: OnLong,
    /// The longest message allowed, in bytes of text.
    pub max: usize,
}

impl Messages {
    /// Writes `answer` to a message whose frame ended in `came`; `wanted` is the line end that a
    /// step asked for.
    pub fn frame(&self, answer: &[u8], came: &[u8], wanted: Option<&'static [u8]>, to: &mut Vec<u8>) {
        self.frames.frame(answer, self.ending(came, wanted), to);
    }

    /// How an answer ends, for a message that ended in `came`.
    #[must_use]
    pub fn ending<'e>(&self, came: &'e [u8], wanted: Option<&'static [u8]>) -> Ending<'e> {
        Ending { came: self.in_kind.then_some(came), wanted }
    }

    /// Writes `text`, which answers no message, as a message that ends as all do.
    pub fn frame_unasked(&self, text: &[u8], to: &mut Vec<u8>) {
        self.frames.frame(text, Ending { came: None, wanted: None }, to);
    }
}

/// What becomes of a message that is longer than `max_message`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnLong {
    /// The connection is closed, after the messages before it were answered.
    #[default]
    Close,
    /// Its first `max_message` bytes are answered as if they were all.
    Truncate,
    /// It is not answered.
    Drop,
    /// It comes back as it is: unchanged by any step, however long.
    Pass,
}

/// Finds messages in bytes.
pub trait Cuts: Send + Sync + Debug {
    /// Finds the message that `bytes`, of which there is at least one, begin with. `scanned` bytes
    /// have been looked at before without finding its end; `end` says that no more bytes will come.
    fn cut(&self, bytes: &[u8], scanned: usize, end: bool) -> Cut;

    /// Goes on with a message that is too long and whose end is to be searched for: how much of
    /// `bytes` is its text, and where its frame ends.
    fn skim(&self, bytes: &[u8], end: bool) -> Skim;

    /// What follows a text whose length was told before it.
    fn trailer(&self) -> &'static [u8] {
        b""
    }
}

/// Frames answers.
pub trait Frames: Send + Sync + Debug {
    /// Writes what stands before an answer of `len` bytes.
    fn begin(&self, len: u64, to: &mut Vec<u8>);

    /// Writes what stands behind an answer.
    fn finish(&self, ending: Ending<'_>, to: &mut Vec<u8>);

    /// Writes an answer of which all is there.
    fn frame(&self, answer: &[u8], ending: Ending<'_>, to: &mut Vec<u8>) {
        self.begin(answer.len() as u64, to);
        to.extend_from_slice(answer);
        self.finish(ending, to);
    }

    /// The longest answer whose length it can tell, if it tells that before the answer.
    fn longest(&self) -> Option<u64> {
        None
    }
}

/// How an answer may end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending<'e> {
    /// How the message ended, if it was framed as its answer is; nothing where the input ended it.
    pub came: Option<&'e [u8]>,
    /// The line end that a step asked for.
    pub wanted: Option<&'static [u8]>,
}

/// What the first bytes of the input are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cut {
    /// A message: its text is `body`, and its frame ends at `taken`.
    Message {
        /// Where its text lies.
        body: Range<usize>,
        /// How many bytes it has with its frame.
        taken: usize,
    },
    /// A message has begun and its end has not come.
    Unfinished,
    /// A message longer than is allowed, whose text begins after `head` bytes and has `len` bytes,
    /// or as many as come before its end.
    TooLong {
        /// How much of the frame stands before the text.
        head: usize,
        /// How long the text is, where its frame tells.
        len: Option<u64>,
    },
    /// Bytes that cannot begin a message.
    Malformed,
}

/// A part of a message that is too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Skim {
    /// How many bytes are its text.
    pub body: usize,
    /// How many bytes are done with; if the message ends there, those behind `body` are its ending.
    pub taken: usize,
    /// Whether the message ends there.
    pub ended: bool,
}

/// What finds messages, for a listener's options.
pub type CutsFor = fn(&Options) -> Box<dyn Cuts>;

/// What a framing of the registry declares.
#[derive(Debug, Clone, Copy)]
pub struct About {
    /// Its name in the configuration.
    pub name: &'static str,
    /// What a message is, in one line.
    pub summary: &'static str,
    /// Where its rule comes from.
    pub source: &'static str,
    /// What finds its messages, for a listener's `options`; `stream` has none.
    pub cuts: Option<CutsFor>,
    /// What frames answers so.
    pub frames: fn(&Options) -> Box<dyn Frames>,
}

/// What a listener's own keys say to its framing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The longest message allowed, in bytes of text.
    pub max_message: usize,
    /// What becomes of a longer one.
    pub on_long: OnLong,
    /// What ends a message under `delimiter`; at least one byte.
    pub delimiter: Vec<u8>,
}

impl Default for Options {
    fn default() -> Self {
        Options { max_message: 64 * 1024, on_long: OnLong::default(), delimiter: b"\n".to_vec() }
    }
}

/// The framing of a listener that names none.
pub const DEFAULT: &About = &stream::ABOUT;

/// All framings, by name; the first is the default.
pub const REGISTRY: &[About] = &[stream::ABOUT, line::ABOUT, delimiter::ABOUT, length32::ABOUT, netstring::ABOUT];

/// Why two framings do not go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mismatch {
    /// Without messages there are no answers to frame.
    NoMessages,
    /// What is passed on before its end has come has no length that could be told before it.
    UnknownLength,
}

/// The framing that reads as `read` and writes as `write`, for a listener's `options`.
///
/// # Errors
///
/// A [`Mismatch`] of the two.
pub fn build(read: &About, write: &About, options: &Options) -> Result<Framing, Mismatch> {
    let in_kind = read.name == write.name;
    let Some(cuts) = read.cuts else {
        return if in_kind { Ok(Framing::Stream) } else { Err(Mismatch::NoMessages) };
    };
    let (cuts, frames): (Arc<dyn Cuts>, Arc<dyn Frames>) = (cuts(options).into(), (write.frames)(options).into());
    let tells_length = (read.frames)(options).longest().is_some();
    if options.on_long == OnLong::Pass && frames.longest().is_some() && !tells_length {
        return Err(Mismatch::UnknownLength);
    }
    let names = (read.name, write.name);
    let delimited = [names.0, names.1].contains(&delimiter::ABOUT.name);
    let delimiter = delimited.then(|| options.delimiter.as_slice().into());
    let (on_long, max) = (options.on_long, options.max_message);
    Ok(Framing::Messages(Messages { cuts, frames, names, delimiter, in_kind, on_long, max }))
}

/// The framing called `name`.
#[must_use]
pub fn named(name: &str) -> Option<&'static About> {
    REGISTRY.iter().find(|about| about.name == name)
}
