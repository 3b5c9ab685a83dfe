//! Framings: how bytes become messages, and answers become bytes.
//!
//! A framing is shared by all connections and remembers nothing; the session keeps the bytes of
//! a message that has only begun. Nothing here knows what a message's text means.

mod line;

use std::ops::Range;

pub use line::Line;

/// How the bytes of a connection are read.
#[derive(Debug)]
pub enum Framing {
    /// There are no messages: what each read gave is answered at once.
    Stream,
    /// Whole messages, answered one by one in their order.
    Messages(Box<dyn Frames>),
}

impl Framing {
    /// Its name in the configuration.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Framing::Stream => "stream",
            Framing::Messages(frames) => frames.name(),
        }
    }
}

/// Finds messages in bytes and frames their answers.
pub trait Frames: Send + Sync + std::fmt::Debug {
    /// Its name in the configuration.
    fn name(&self) -> &'static str;

    /// Finds the message that `bytes` begin with. `scanned` bytes have been looked at before
    /// without finding its end; `end` says that no more bytes will come.
    fn cut(&self, bytes: &[u8], scanned: usize, end: bool) -> Cut;

    /// Writes `answer` as the message that answers one whose frame ended in `ending`.
    fn frame(&self, answer: &[u8], ending: &[u8], to: &mut Vec<u8>);
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
    /// A message longer than is allowed.
    TooLong,
}

/// What a framing of the registry declares.
#[derive(Clone, Copy)]
pub struct About {
    /// Its name in the configuration.
    pub name: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// The framing, for a listener's `options`.
    pub build: fn(Options) -> Framing,
}

/// What a listener's own keys say to its framing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// The longest message allowed, in bytes of text.
    pub max_message: usize,
}

/// All framings, by name; the first is the default.
pub const REGISTRY: &[About] = &[
    About {
        name: "stream",
        summary: "no messages: whatever a read gave is answered at once",
        build: |_| Framing::Stream,
    },
    About {
        name: "line",
        summary: "a message is a line, ended by LF or CRLF and answered in kind",
        build: |options| Framing::Messages(Box::new(Line::new(options.max_message))),
    },
];
