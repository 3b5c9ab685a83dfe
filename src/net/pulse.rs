//! Whether a thread still does its work: it is asked, and answers when it has come to the next.

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
}

impl Pulse {
    /// Asks again at `now`; the thread must be woken for it, should it sleep.
    pub fn ask(&self, now: Moment) {
        if self.is_answered() {
            self.since.store(now.as_millis(), Relaxed);
        }
        self.asked.fetch_add(1, Relaxed);
    }

    /// Answers all questions; called by the thread itself, again and again.
    pub fn answer(&self) {
        self.answered.store(self.asked.load(Relaxed), Relaxed);
    }

    /// Says that the thread has ended, and owes no answer any more.
    pub fn end(&self) {
        self.ended.store(true, Relaxed);
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
