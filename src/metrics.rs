//! What each thread counts, and how the counts of all threads are summed.
//!
//! A counter has one writer, its thread, and any number of readers; so counting is a load and a
//! store, never a locked instruction. Nothing here knows who reads, or in which format.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A number that only its own thread raises.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Counts `n` more; only the thread that owns the counter may.
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    /// What was counted so far.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// How many reasons for an end a [`Counters`] has room for.
pub const ENDS: usize = 24;

/// What a worker counts; on cache lines of its own, so that workers do not slow each other.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Counters {
    /// Connections taken over from the acceptor.
    pub accepted: Counter,
    /// Bytes that came from clients.
    pub bytes_in: Counter,
    /// Bytes that sockets took for clients.
    pub bytes_out: Counter,
    /// Messages that were answered, or were not to be.
    pub messages: Counter,
    /// Messages longer than is allowed.
    pub too_long: Counter,
    /// Messages that said they were longer than what came of them.
    pub cut_short: Counter,
    /// Texts that a step could not decode, and told so.
    pub bad_input: Counter,
    /// Connections that ended, by the number of their reason.
    pub closed: [Counter; ENDS],
}

/// What the acceptor counts.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct AcceptCounters {
    /// Failures of accept(2) that were the client's or the network's.
    pub client_errors: Counter,
    /// Times that accepting paused because descriptors or memory ran out.
    pub pauses: Counter,
    /// Connections closed at once because descriptors were out for long.
    pub shed: Counter,
}

/// Counts summed over threads.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Connections that workers took over.
    pub accepted: u64,
    /// Bytes that came from clients.
    pub bytes_in: u64,
    /// Bytes that sockets took for clients.
    pub bytes_out: u64,
    /// Messages that were answered, or were not to be.
    pub messages: u64,
    /// Messages longer than is allowed.
    pub too_long: u64,
    /// Messages that said they were longer than what came of them.
    pub cut_short: u64,
    /// Texts that a step could not decode, and told so.
    pub bad_input: u64,
    /// Connections that ended, by the number of their reason.
    pub closed: [u64; ENDS],
}

impl Totals {
    /// The sum over `threads`.
    ///
    /// Ends are read before beginnings, so that no sum shows more of them.
    pub fn sum<'c>(threads: impl Iterator<Item = &'c Counters> + Clone) -> Totals {
        let mut totals = Totals::default();
        for thread in threads.clone() {
            for (total, counter) in totals.closed.iter_mut().zip(&thread.closed) {
                *total += counter.get();
            }
        }
        std::sync::atomic::fence(std::sync::atomic::Ordering::Acquire);
        for thread in threads {
            totals.accepted += thread.accepted.get();
            totals.bytes_in += thread.bytes_in.get();
            totals.bytes_out += thread.bytes_out.get();
            totals.messages += thread.messages.get();
            totals.too_long += thread.too_long.get();
            totals.cut_short += thread.cut_short.get();
            totals.bad_input += thread.bad_input.get();
        }
        totals
    }

    /// Connections that are open: `accepted = open + sum(closed)`.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.accepted.saturating_sub(self.closed.iter().sum())
    }
}
