//! What is known of the peers: written by whoever it happens to, read by whoever asks.
//!
//! A link has few messages beside what clients send, so its counts may be shared between threads.

use crate::deadlines::Moment;
use crate::net::address::Address;
use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What came of a dial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialled {
    /// A connection.
    Linked,
    /// The other end listens on no such port.
    Refused,
    /// Nothing came back in time.
    TimedOut,
    /// The network has no way there.
    Unreachable,
    /// The name has no address.
    Unknown,
    /// This host has no free port, descriptor or memory for it.
    NoPort,
    /// There is a connection of these two ports already, which is waited for.
    Taken,
    /// It would have been this daemon itself.
    Oneself,
    /// Something else, which is told.
    Failed,
}

impl Dialled {
    /// All of them, in the order of their discriminants.
    pub const ALL: [Dialled; 9] = [
        Dialled::Linked,
        Dialled::Refused,
        Dialled::TimedOut,
        Dialled::Unreachable,
        Dialled::Unknown,
        Dialled::NoPort,
        Dialled::Taken,
        Dialled::Oneself,
        Dialled::Failed,
    ];

    /// The word for it in metrics.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Dialled::Linked => "linked",
            Dialled::Refused => "refused",
            Dialled::TimedOut => "timed_out",
            Dialled::Unreachable => "unreachable",
            Dialled::Unknown => "unknown_name",
            Dialled::NoPort => "no_port",
            Dialled::Taken => "taken",
            Dialled::Oneself => "oneself",
            Dialled::Failed => "failed",
        }
    }
}

/// How a link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkState {
    /// A connection is being made, or the name resolved.
    Dialling,
    /// The peer's own connection is waited for.
    Expecting,
    /// The next dial is waited for.
    Waiting,
    /// There is a connection.
    Linked,
    /// Its one exchange is done (`once`).
    Done,
}

impl fmt::Display for LinkState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LinkState::Dialling => "dialling",
            LinkState::Expecting => "expecting",
            LinkState::Waiting => "waiting",
            LinkState::Linked => "linked",
            LinkState::Done => "done",
        })
    }
}

/// The connection that is a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkedBy {
    /// The connection's number.
    pub connection: u64,
    /// Its other end.
    pub remote: SocketAddr,
    /// Whether this daemon dialled, and not the peer.
    pub dialled: bool,
}

/// How the link to a peer is at one moment.
#[derive(Debug, Clone)]
pub struct PeerReport {
    /// The peer's name.
    pub name: String,
    /// Where it is dialled.
    pub address: Address,
    /// The listener that answers it, and from whose port it is dialled.
    pub via: String,
    /// How the link is.
    pub state: LinkState,
    /// For how long it has been so.
    pub since: Duration,
    /// Its connection.
    pub linked: Option<LinkedBy>,
    /// How long ago something last came from the peer.
    pub seen: Option<Duration>,
    /// How long its last answer to what this daemon said took.
    pub round_trip: Option<Duration>,
    /// Messages that came from it; under `stream`, reads.
    pub messages: u64,
    /// Its answers to what this daemon said.
    pub answers: u64,
    /// Times that the loop guard held back what went round in a loop.
    pub loops: u64,
    /// How long until the next dial.
    pub next_try: Option<Duration>,
    /// The longest that the next wait may be.
    pub backoff: Duration,
    /// Why there is no link, or the last one ended.
    pub why: Option<String>,
    /// How often a dial came to what, in the order of [`Dialled::ALL`].
    pub dials: [u64; Dialled::ALL.len()],
}
