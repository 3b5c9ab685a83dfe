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
#[derive(Debug, Default)]
pub(super) struct Gaps {
    last: Option<Moment>,
}

impl Gaps {
    /// Whether a turn at `now`, where the first deadline was `due`, follows a gap.
    pub(super) fn is_after_one(&mut self, due: Option<Moment>, now: Moment) -> bool {
        let is_late = due.is_some_and(|due| now.since(due) > LATE);
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
        assert!(!gaps.is_after_one(None, at(1_000_000)));
        assert!(!gaps.is_after_one(Some(at(999_000)), at(1_000_000)));
        assert!(gaps.is_after_one(Some(at(900_000)), at(1_000_000)));
        assert!(!gaps.is_after_one(Some(at(1_050_000)), at(1_059_999)));
        assert!(gaps.is_after_one(Some(at(1_050_000)), at(1_060_000)));
    }
}
