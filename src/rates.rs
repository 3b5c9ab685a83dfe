//! Rates, and the buckets that hold somebody to them: what is not used now may be used later, but no
//! more of it than one period gives.
//!
//! What is counted, and for whom, is not known here.

use crate::deadlines::Moment;
use std::num::NonZero;
use std::time::Duration;

/// So many in each period: as many may come at once, and the next ones as evenly as the period has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    amount: NonZero<u32>,
    /// In milliseconds.
    period: NonZero<u32>,
}

impl Rate {
    /// `amount` in each `period`, which counts in whole milliseconds, from 1 to an hour's.
    #[must_use]
    pub fn new(amount: NonZero<u32>, period: Duration) -> Rate {
        let millis = u32::try_from(period.as_millis()).unwrap_or(u32::MAX).min(HOUR);
        Rate { amount, period: NonZero::new(millis).unwrap_or(NonZero::<u32>::MIN) }
    }

    /// How many there are in each period, and so at once.
    #[must_use]
    pub fn amount(self) -> u32 {
        self.amount.get()
    }

    /// The period.
    #[must_use]
    pub fn period(self) -> Duration {
        Duration::from_millis(u64::from(self.period.get()))
    }

    /// A full bucket, in parts.
    fn whole(self) -> i64 {
        parts(self.amount.get().into())
    }

    /// How many parts come back in so many milliseconds.
    fn in_millis(self, millis: u128) -> i64 {
        let parts = u128::from(self.amount.get()) * u128::from(PARTS) * millis / u128::from(self.period.get());
        i64::try_from(parts).unwrap_or(i64::MAX)
    }

    /// How many milliseconds it takes until so many parts have come back.
    fn millis_of(self, parts: i64) -> u64 {
        let millis = u128::from(parts.max(0).unsigned_abs()) * u128::from(self.period.get());
        let millis = millis.div_ceil(u128::from(self.amount.get()) * u128::from(PARTS));
        u64::try_from(millis).unwrap_or(u64::MAX)
    }
}

/// The parts of each one that buckets count in: of any rate's period, each millisecond brings a whole number.
const PARTS: u32 = 3_600_000;
/// The milliseconds of an hour, the longest period.
const HOUR: u32 = PARTS;

fn parts(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX).saturating_mul(PARTS.into())
}

/// What somebody has used of a rate.
///
/// Whoever asks names the rate, so that another one holds from that moment on, for what was used before, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// What was used and has not come back, in parts of one.
    used: i64,
    at: Moment,
}

impl Default for Bucket {
    /// A bucket of which nothing was used.
    fn default() -> Self {
        Bucket { used: 0, at: Moment::from_millis(0) }
    }
}

impl Bucket {
    /// How many may be used at `now`.
    #[must_use]
    pub fn available(&self, rate: Rate, now: Moment) -> u32 {
        let left = rate.whole().saturating_sub(self.used_at(rate, now));
        u32::try_from(left.max(0) / i64::from(PARTS)).unwrap_or(u32::MAX)
    }

    /// Uses `count`, also where that is more than there are: then they are owed.
    pub fn take(&mut self, rate: Rate, count: u64, now: Moment) {
        self.used = self.used_at(rate, now).saturating_add(parts(count));
        // the turns of threads begin at different times
        self.at = self.at.max(now);
    }

    /// When `count`, at most a period's, may be used.
    #[must_use]
    pub fn ready(&self, rate: Rate, count: u32, now: Moment) -> Moment {
        let wanted = parts(count.into()).min(rate.whole());
        let lacking = self.used_at(rate, now).saturating_add(wanted).saturating_sub(rate.whole());
        now.after(Duration::from_millis(rate.millis_of(lacking)))
    }

    fn used_at(&self, rate: Rate, now: Moment) -> i64 {
        self.used.saturating_sub(rate.in_millis(now.since(self.at).as_millis())).max(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(amount: u32, seconds: u64) -> Rate {
        Rate::new(NonZero::new(amount).unwrap(), Duration::from_secs(seconds))
    }

    fn at(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    #[test]
    fn a_period_s_worth_comes_at_once_and_then_one_after_the_other() {
        let (rate, mut bucket) = (rate(20, 1), Bucket::default());
        assert_eq!(bucket.available(rate, at(0)), 20);
        bucket.take(rate, 20, at(0));
        assert_eq!(bucket.available(rate, at(49)), 0);
        assert_eq!(bucket.ready(rate, 1, at(0)), at(50));
        assert_eq!(bucket.available(rate, at(50)), 1);
        assert_eq!(bucket.available(rate, at(5000)), 20, "no more than a period's is saved");
    }

    #[test]
    fn what_is_owed_is_waited_for() {
        let (rate, mut bucket) = (rate(6, 60), Bucket::default());
        bucket.take(rate, 8, at(1000));
        assert_eq!(bucket.available(rate, at(1000)), 0);
        assert_eq!(bucket.ready(rate, 1, at(1000)), at(31_000));
        assert_eq!(bucket.ready(rate, 6, at(1000)), at(81_000));
        assert_eq!(bucket.ready(rate, 99, at(1000)), at(81_000), "more than a period's never comes");
    }

    /// With tokens counted in the period's own parts, ten an hour were ten thousand seconds' worth of ten a second.
    #[test]
    fn what_was_used_of_one_rate_is_as_much_of_another() {
        let mut bucket = Bucket::default();
        bucket.take(rate(3, 3600), 3, at(0));
        assert_eq!(bucket.ready(rate(3, 3600), 1, at(0)), at(1_200_000));
        assert_eq!(bucket.ready(rate(100, 1), 1, at(0)), at(0));
        bucket.take(rate(10, 3600), 9, at(0));
        assert_eq!(bucket.ready(rate(10, 1), 1, at(0)), at(300));
    }

    /// A thread whose turn began earlier gave the time between back once more.
    #[test]
    fn a_moment_that_lies_behind_gives_nothing_back_twice() {
        let mut bucket = Bucket::default();
        let mut taken = 0;
        for millis in 1..1000 {
            for now in [at(20 + millis), at(millis)] {
                while bucket.available(rate(1000, 1), now) > 0 {
                    bucket.take(rate(1000, 1), 1, now);
                    taken += 1;
                }
            }
        }
        assert!(taken <= 2020, "{taken}");
    }

    #[test]
    fn nothing_overflows() {
        let (rate, mut bucket) = (rate(u32::MAX, 3600), Bucket::default());
        bucket.take(rate, u64::MAX, at(0));
        bucket.take(rate, u64::MAX, Moment::NEVER);
        assert_eq!(bucket.available(rate, at(0)), 0);
        assert!(bucket.ready(rate, 1, at(0)) > at(1));
    }
}
