//! Moments, and an ordered set of the moments at which somebody wants to be called.
//!
//! Nothing here knows what a deadline is for, and nothing reads a clock: whoever turns the loop
//! reads it once a turn and tells everybody.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// A point in time, in whole milliseconds since a beginning that its maker chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    /// The moment that never comes.
    pub const NEVER: Moment = Moment(u64::MAX);

    /// `millis` milliseconds after the beginning.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Moment {
        Moment(millis)
    }

    /// Milliseconds since the beginning.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to this moment; zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Moment) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// The moment `duration` later, to the millisecond.
    #[must_use]
    pub fn after(self, duration: Duration) -> Moment {
        let millis = duration.as_nanos().div_ceil(1_000_000);
        Moment(u64::try_from(millis).map_or(u64::MAX, |millis| self.0.saturating_add(millis)))
    }
}

/// Where moments come from in a running daemon: the monotonic clock, from one beginning.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    beginning: Instant,
}

impl Clock {
    /// A clock whose moments count from `beginning`.
    #[must_use]
    pub const fn new(beginning: Instant) -> Clock {
        Clock { beginning }
    }

    /// The moment of `instant`.
    #[must_use]
    pub fn moment(&self, instant: Instant) -> Moment {
        Moment::from_millis(0).after(instant.saturating_duration_since(self.beginning))
    }
}

/// At most one deadline for each key, the earliest first.
///
/// Whoever sets one remembers its moment, which is what names it when it is moved or cancelled.
#[derive(Debug, Default)]
pub struct Deadlines {
    set: BTreeSet<(Moment, u32)>,
}

impl Deadlines {
    /// Moves `key`'s deadline from `old` to `new`; [`Moment::NEVER`] stands for none.
    pub fn set(&mut self, key: u32, old: Moment, new: Moment) {
        if old != new {
            if old != Moment::NEVER {
                self.set.remove(&(old, key));
            }
            if new != Moment::NEVER {
                self.set.insert((new, key));
            }
        }
    }

    /// The earliest deadline.
    #[must_use]
    pub fn next(&self) -> Option<Moment> {
        self.set.first().map(|(moment, _)| *moment)
    }

    /// Takes out the earliest deadline that is not after `now`, and gives its key.
    pub fn pop(&mut self, now: Moment) -> Option<u32> {
        let first = *self.set.first().filter(|(moment, _)| *moment <= now)?;
        self.set.remove(&first);
        Some(first.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_come_in_order_and_only_when_due() {
        let at = Moment::from_millis;
        let mut deadlines = Deadlines::default();
        deadlines.set(1, Moment::NEVER, at(30));
        deadlines.set(2, Moment::NEVER, at(10));
        deadlines.set(3, Moment::NEVER, at(20));
        deadlines.set(3, at(20), Moment::NEVER);
        deadlines.set(1, at(30), at(15));
        assert_eq!(deadlines.next(), Some(at(10)));
        assert_eq!(deadlines.pop(at(9)), None);
        assert_eq!(deadlines.pop(at(15)), Some(2));
        assert_eq!(deadlines.pop(at(15)), Some(1));
        assert_eq!(deadlines.pop(at(99)), None);
    }

    #[test]
    fn a_moment_is_rounded_up_and_never_wraps() {
        assert_eq!(Moment::from_millis(5).after(Duration::from_micros(1)), Moment::from_millis(6));
        assert_eq!(Moment::from_millis(5).after(Duration::MAX), Moment::NEVER);
    }
}
