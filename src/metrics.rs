//! What each thread counts, and how the counts of all threads are summed.
//!
//! A counter has one writer, its thread, and any number of readers; so counting is a load and a
//! store, never a locked instruction. Nothing here knows who reads, or in which format.

use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Relaxed, fence};
use std::time::Duration;

/// A number that only its own thread raises.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Counts `n` more; only the thread that owns the counter may.
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    /// Says how many there are; only the thread that owns the counter may.
    pub fn set(&self, n: u64) {
        self.0.store(n, Relaxed);
    }

    /// What was counted so far.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// How many reasons for an end a [`Counters`] has room for.
pub const ENDS: usize = 32;

/// The bounds of a [`Histogram`]'s buckets, in nanoseconds: 1, 2 and 5 of each power of ten from a
/// microsecond to a second.
pub const BOUNDS: [u64; 19] = [
    1_000,
    2_000,
    5_000,
    10_000,
    20_000,
    50_000,
    100_000,
    200_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    50_000_000,
    100_000_000,
    200_000_000,
    500_000_000,
    1_000_000_000,
];
const BUCKETS: usize = BOUNDS.len() + 1;

/// How many times of each length there were.
#[derive(Debug, Default)]
pub struct Histogram {
    counts: [Counter; BUCKETS],
    nanos: Counter,
}

impl Histogram {
    /// Counts `times` times of this length; only the thread that owns the histogram may.
    pub fn add(&self, length: Duration, times: u64) {
        let nanos = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
        if let Some(count) = self.counts.get(BOUNDS.partition_point(|bound| *bound < nanos)) {
            count.add(times);
        }
        self.nanos.add(nanos.saturating_mul(times));
    }
}

/// The counts of histograms, summed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// How many took at most as long as the bound of the same place in [`BOUNDS`], and longer than
    /// the one before it; the last of them longer than all bounds.
    pub counts: [u64; BUCKETS],
    /// How long all of them took together, in nanoseconds.
    pub nanos: u64,
}

impl Times {
    fn add(&mut self, histogram: &Histogram) {
        for (sum, count) in self.counts.iter_mut().zip(&histogram.counts) {
            *sum += count.get();
        }
        self.nanos = self.nanos.wrapping_add(histogram.nanos.get());
    }

    fn merge(&mut self, other: &Times) {
        for (sum, count) in self.counts.iter_mut().zip(&other.counts) {
            *sum += count;
        }
        self.nanos = self.nanos.wrapping_add(other.nanos);
    }
}

/// What a worker counts for a listener; on cache lines of its own, so that workers do not slow each
/// other.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Counters {
    /// Connections taken over from the acceptor.
    pub accepted: Counter,
    /// Bytes that came from clients.
    pub bytes_in: Counter,
    /// Bytes that sockets took for clients.
    pub bytes_out: Counter,
    /// Messages that were answered, or were not to be; under `stream`, reads.
    pub messages: Counter,
    /// Messages longer than is allowed.
    pub too_long: Counter,
    /// Messages that said they were longer than what came of them.
    pub cut_short: Counter,
    /// Texts that a step could not decode, and told so.
    pub bad_input: Counter,
    /// Times that a connection had to wait for its rates.
    pub slowed: Counter,
    /// Connections that ended, by the number of their reason.
    pub closed: [Counter; ENDS],
    /// From the moment that something could be read until the socket took the answer.
    pub answer_times: Histogram,
    /// What the framing and the steps took of that.
    pub transform_times: Histogram,
}

/// What is counted for one listener: a sheet for each worker, on which no other writes.
#[derive(Debug)]
pub struct Tally {
    first: Counters,
    others: Box<[Counters]>,
}

impl Default for Tally {
    fn default() -> Self {
        Tally::new(1)
    }
}

impl Tally {
    /// A tally for so many workers, at least one.
    #[must_use]
    pub fn new(workers: usize) -> Tally {
        let others = (1..workers).map(|_| Counters::default()).collect();
        Tally { first: Counters::default(), others }
    }

    /// The sheet of the worker with this number, from 0.
    #[must_use]
    pub fn of(&self, worker: usize) -> &Counters {
        worker.checked_sub(1).and_then(|nth| self.others.get(nth)).unwrap_or(&self.first)
    }

    /// The sum over all workers.
    ///
    /// Ends are read before beginnings, so that no sum shows more of them.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let sheets = || std::iter::once(&self.first).chain(&self.others);
        let mut totals = Totals::default();
        for sheet in sheets() {
            for (total, counter) in totals.closed.iter_mut().zip(&sheet.closed) {
                *total += counter.get();
            }
        }
        fence(Acquire);
        for sheet in sheets() {
            totals.accepted += sheet.accepted.get();
            totals.bytes_in += sheet.bytes_in.get();
            totals.bytes_out += sheet.bytes_out.get();
            totals.messages += sheet.messages.get();
            totals.too_long += sheet.too_long.get();
            totals.cut_short += sheet.cut_short.get();
            totals.bad_input += sheet.bad_input.get();
            totals.slowed += sheet.slowed.get();
            totals.answer_times.add(&sheet.answer_times);
            totals.transform_times.add(&sheet.transform_times);
        }
        totals
    }
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
    /// Connections that wait until their source may have one more.
    pub waiting: Counter,
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
    /// Messages that were answered, or were not to be; under `stream`, reads.
    pub messages: u64,
    /// Messages longer than is allowed.
    pub too_long: u64,
    /// Messages that said they were longer than what came of them.
    pub cut_short: u64,
    /// Texts that a step could not decode, and told so.
    pub bad_input: u64,
    /// Times that a connection had to wait for its rates.
    pub slowed: u64,
    /// Connections that ended, by the number of their reason.
    pub closed: [u64; ENDS],
    /// From the moment that something could be read until the socket took the answer.
    pub answer_times: Times,
    /// What the framing and the steps took of that.
    pub transform_times: Times,
}

impl Totals {
    /// Connections that are open: `accepted = open + sum(closed)`.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.accepted.saturating_sub(self.closed.iter().sum())
    }

    /// Adds what was counted for another listener.
    pub fn merge(&mut self, other: &Totals) {
        self.accepted += other.accepted;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.messages += other.messages;
        self.too_long += other.too_long;
        self.cut_short += other.cut_short;
        self.bad_input += other.bad_input;
        self.slowed += other.slowed;
        for (sum, count) in self.closed.iter_mut().zip(&other.closed) {
            *sum += count;
        }
        self.answer_times.merge(&other.answer_times);
        self.transform_times.merge(&other.transform_times);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_counted_in_the_first_bucket_that_holds_it() {
        let tally = Tally::new(2);
        let times = [(0, 0, 1), (1000, 0, 1), (1001, 1, 1), (3_000_000_000, 19, 16)];
        for (nanos, _, count) in times {
            tally.of(1).answer_times.add(Duration::from_nanos(nanos), count);
        }
        let sum = tally.totals().answer_times;
        let mut expected = [0; BUCKETS];
        for (_, bucket, count) in times {
            expected[bucket] += count;
        }
        assert_eq!(sum.counts, expected);
        assert_eq!(sum.nanos, 1000 + 1001 + 16 * 3_000_000_000);
    }
}
