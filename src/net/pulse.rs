//! Whether a thread still does its work: it is asked, and answers when it has come to the next.
//!
//! Who asks, and for how long an answer may be owed, is not known here.

use crate::deadlines::Moment;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Questions asked of one thread, and the last one that it answered.
#[derive(Debug, Default)]
pub struct Pulse {
    asked: AtomicU64,
    answered: AtomicU64,
    /// When the first question was asked that may not be answered, in milliseconds.
    since: AtomicU64,
    /// Whether the thread has ended; then it is told of by other means.
    ended: AtomicBool,
    /// Since when the thread has been found to be stalled, in milliseconds; 0 is not at all.
    stalled: AtomicU64,
    /// Whether the thread rests after a panic.
    resting: AtomicBool,
    /// The number of the connection that the thread is at; 0 is none.
    attended: AtomicU64,
}

impl Pulse {
    /// Asks again at `now`; the thread must be woken for it, should it sleep.
    pub fn ask(&self, now: Moment) {
        if self.is_answered() {
            self.since.store(now.as_millis(), Relaxed);
        }
        self.asked.fetch_add(1, Relaxed);
    }

    /// Takes that no answer could be given before `now`.
    pub fn excuse(&self, now: Moment) {
        self.since.store(now.as_millis(), Relaxed);
    }

    /// Says that the thread is at the connection with this number, until it answers.
    pub fn attend(&self, connection: u64) {
        self.attended.store(connection, Relaxed);
    }

    /// The number of the connection that the thread is at, if it is at one.
    #[must_use]
    pub fn attended(&self) -> Option<u64> {
        Some(self.attended.load(Relaxed)).filter(|connection| *connection > 0)
    }

    /// Answers all questions; called by the thread itself, again and again.
    pub fn answer(&self) {
        self.attend(0);
        self.answered.store(self.asked.load(Relaxed), Relaxed);
    }

    /// Says that the thread has ended, and owes no answer any more.
    pub fn end(&self) {
        self.ended.store(true, Relaxed);
    }

    /// Takes since when the thread has been stalled, if it is.
    pub fn set_stalled(&self, since: Option<Moment>) {
        self.stalled.store(since.map_or(0, |since| since.as_millis().max(1)), Relaxed);
    }

    /// Since when the thread has been known to be stalled, if it is.
    #[must_use]
    pub fn stalled(&self) -> Option<Moment> {
        Some(self.stalled.load(Relaxed)).filter(|since| *since > 0).map(Moment::from_millis)
    }

    /// Takes whether the thread rests.
    pub fn set_resting(&self, rests: bool) {
        self.resting.store(rests, Relaxed);
    }

    /// Whether the thread rests after a panic.
    #[must_use]
    pub fn is_resting(&self) -> bool {
        self.resting.load(Relaxed)
    }

    /// Whether the thread can be given work: it is neither stalled nor does it rest.
    #[must_use]
    pub fn is_fit(&self) -> bool {
        self.stalled().is_none() && !self.is_resting()
    }

    /// Whether no answer is owed.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        self.answered.load(Relaxed) == self.asked.load(Relaxed) || self.ended.load(Relaxed)
    }

    /// How long an answer has been owed.
    #[must_use]
    pub fn silence(&self, now: Moment) -> Duration {
        if self.is_answered() {
            return Duration::ZERO;
        }
        now.since(Moment::from_millis(self.since.load(Relaxed)))
    }
}
