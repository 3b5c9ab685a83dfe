//! Turns that come so late that the whole process must have stood still, as when it was stopped or its machine
//! suspended.
//!
//! What is forgiven then is the session's business.

use crate::deadlines::Moment;
use std::time::Duration;

/// How late a turn is then.
const LATE: Duration = Duration::from_secs(1);
/// How often that is believed, at most: a worker that is late again and again has too much to do, and must end
/// whoever is silent all the more.
const SELDOM: Duration = Duration::from_secs(60);

/// The gaps of one worker.
#[derive(Debug)]
pub(super) struct Gaps {
    /// When the last turn was.
    turned: Moment,
    /// When the last gap was.
    last: Option<Moment>,
}

impl Default for Gaps {
    fn default() -> Self {
        Gaps { turned: Moment::from_millis(0), last: None }
    }
}

impl Gaps {
    /// Whether a turn at `now` follows a gap; `due` was the first deadline before it.
    pub(super) fn is_after_one(&mut self, due: Option<Moment>, now: Moment) -> bool {
        // one that was over already is none that was slept through
        let turned = std::mem::replace(&mut self.turned, now);
        let is_late = due.is_some_and(|due| now.since(due.max(turned)) > LATE);
        let is_gap = is_late && self.last.is_none_or(|last| now.since(last) >= SELDOM);
        if is_gap {
            self.last = Some(now);
        }
        is_gap
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_turn_follows_a_gap_unless_the_worker_is_late_again_and_again() {
        let (at, mut gaps) = (Moment::from_millis, Gaps::default());
        assert!(!gaps.is_after_one(None, at(900_000)));
        assert!(!gaps.is_after_one(Some(at(909_000)), at(910_000)));
        assert!(gaps.is_after_one(Some(at(920_000)), at(1_000_000)));
        assert!(!gaps.is_after_one(Some(at(1_050_000)), at(1_059_999)));
        assert!(gaps.is_after_one(Some(at(1_070_000)), at(1_080_000)));
    }

    #[test]
    fn a_deadline_that_was_over_when_it_was_set_is_no_gap() {
        let (at, mut gaps) = (Moment::from_millis, Gaps::default());
        assert!(!gaps.is_after_one(None, at(100_000)));
        assert!(!gaps.is_after_one(Some(at(5_000)), at(100_001)));
    }
}
