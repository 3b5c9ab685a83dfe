//! What is known of the peers: written by whoever it happens to, read by whoever asks.
//!
//! A link has few messages beside what clients send, so its counts may be shared between threads.

use crate::deadlines::Moment;
use crate::net::address::Address;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
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
    /// The number of the worker that has it, from 0.
    pub worker: usize,
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

/// What is known and counted of one peer; shared by all who have to do with it.
#[derive(Debug)]
pub struct Sheet {
    /// The peer's name.
    pub name: String,
    /// Where it is dialled.
    pub address: Address,
    /// The listener that answers it.
    pub via: String,
    known: Mutex<Known>,
    /// When something last came, in milliseconds; 0 is never.
    seen: AtomicU64,
    /// How long the last answer took, in nanoseconds and one more; 0 is unknown.
    round_trip: AtomicU64,
    messages: AtomicU64,
    answers: AtomicU64,
    loops: AtomicU64,
    /// Whether answers are held back, as they go round in a loop.
    holding: AtomicBool,
    dials: [AtomicU64; Dialled::ALL.len()],
}

/// How a link is, as the thread that minds it says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Known {
    pub(super) state: LinkState,
    pub(super) since: Moment,
    pub(super) linked: Option<LinkedBy>,
    /// When it is dialled next; [`Moment::NEVER`] if nobody knows.
    pub(super) next_try: Moment,
    pub(super) backoff: Duration,
    pub(super) why: Option<String>,
}

impl Sheet {
    /// The sheet of a peer of which nothing is known yet.
    #[must_use]
    pub fn new(name: String, address: Address, via: String, now: Moment) -> Sheet {
        let known = Known {
            state: LinkState::Waiting,
            since: now,
            linked: None,
            next_try: Moment::NEVER,
            backoff: Duration::ZERO,
            why: None,
        };
        Sheet {
            name,
            address,
            via,
            known: Mutex::new(known),
            seen: AtomicU64::default(),
            round_trip: AtomicU64::default(),
            messages: AtomicU64::default(),
            answers: AtomicU64::default(),
            loops: AtomicU64::default(),
            holding: AtomicBool::default(),
            dials: Default::default(),
        }
    }

    /// How the link is at `now`.
    #[must_use]
    pub fn report(&self, now: Moment) -> PeerReport {
        let known = self.known().clone();
        let seen = Moment::from_millis(self.seen.load(Relaxed));
        PeerReport {
            name: self.name.clone(),
            address: self.address.clone(),
            via: self.via.clone(),
            state: known.state,
            since: now.since(known.since),
            linked: known.linked,
            seen: (seen > Moment::from_millis(0)).then(|| now.since(seen)),
            round_trip: self.round_trip.load(Relaxed).checked_sub(1).map(Duration::from_nanos),
            messages: self.messages.load(Relaxed),
            answers: self.answers.load(Relaxed),
            loops: self.loops.load(Relaxed),
            next_try: (known.next_try != Moment::NEVER).then(|| known.next_try.since(now)),
            backoff: known.backoff,
            why: match known.state {
                LinkState::Linked if self.holding.load(Relaxed) => Some("a loop: its answers are held back".to_owned()),
                LinkState::Done => Some("its one exchange is done (`once`)".to_owned()),
                _ => known.why,
            },
            dials: std::array::from_fn(|nth| self.dials.get(nth).map_or(0, |count| count.load(Relaxed))),
        }
    }

    pub(super) fn publish(&self, known: Known) {
        *self.known() = known;
    }

    pub(super) fn count_dial(&self, result: Dialled) {
        if let Some(count) = self.dials.get(result as usize) {
            count.fetch_add(1, Relaxed);
        }
    }

    /// Takes that so many messages came.
    pub(in crate::net) fn count_messages(&self, count: u64, now: Moment) {
        self.seen.store(now.as_millis().max(1), Relaxed);
        self.messages.fetch_add(count, Relaxed);
    }

    /// Takes that an answer came.
    pub(in crate::net) fn count_answer(&self, round_trip: Duration) {
        let nanos = u64::try_from(round_trip.as_nanos()).unwrap_or(u64::MAX);
        self.round_trip.store(nanos.saturating_add(1), Relaxed);
        self.answers.fetch_add(1, Relaxed);
    }

    /// Takes whether answers are held back.
    pub(in crate::net) fn set_holding(&self, holding: bool) {
        self.holding.store(holding, Relaxed);
    }

    /// Takes that a loop was held back.
    pub(in crate::net) fn count_loop(&self) {
        self.loops.fetch_add(1, Relaxed);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sheets of all peers, as configured last.
#[derive(Debug, Clone, Default)]
pub struct Sheets(Arc<Mutex<Vec<Arc<Sheet>>>>);

impl Sheets {
    /// The sheets of now.
    #[must_use]
    pub fn read(&self) -> Vec<Arc<Sheet>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set(&self, sheets: Vec<Arc<Sheet>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = sheets;
    }
}
