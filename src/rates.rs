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
    /// `amount` in each `period`, which counts in whole milliseconds, from 1 to 2^32 - 1.
    #[must_use]
    pub fn new(amount: NonZero<u32>, period: Duration) -> Rate {
        let millis = u32::try_from(period.as_millis()).unwrap_or(u32::MAX);
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

    fn per_period(self) -> i64 {
        i64::from(self.amount.get())
    }

    /// A full bucket.
    fn whole(self) -> i64 {
        self.per_period().saturating_mul(self.token())
    }

    /// A token in the unit that a bucket counts in, so that each millisecond brings a whole number of them.
    fn token(self) -> i64 {
        i64::from(self.period.get())
    }
}

/// What somebody has used of a rate.
///
/// Counted in tokens divided by the milliseconds of the period. Whoever asks names the rate, so that
/// another one holds from that moment on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// What was used and has not come back.
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
        u32::try_from(left.max(0) / rate.token()).unwrap_or(u32::MAX)
    }

    /// Uses `count`, also where that is more than there are: then they are owed.
    pub fn take(&mut self, rate: Rate, count: u64, now: Moment) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.used = self.used_at(rate, now).saturating_add(count.saturating_mul(rate.token()));
        self.at = now;
    }

    /// When `count`, at most a period's, may be used.
    #[must_use]
    pub fn ready(&self, rate: Rate, count: u32, now: Moment) -> Moment {
        let wanted = i64::from(count).min(rate.per_period()).saturating_mul(rate.token());
        let lacking = self.used_at(rate, now).saturating_add(wanted).saturating_sub(rate.whole());
        let millis = lacking.max(0).unsigned_abs().div_ceil(rate.per_period().unsigned_abs());
        now.after(Duration::from_millis(millis))
    }

    fn used_at(&self, rate: Rate, now: Moment) -> i64 {
        let millis = i64::try_from(now.since(self.at).as_millis()).unwrap_or(i64::MAX);
        self.used.saturating_sub(millis.saturating_mul(rate.per_period())).max(0)
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

    #[test]
    fn nothing_overflows() {
        let (rate, mut bucket) = (rate(u32::MAX, 3600), Bucket::default());
        bucket.take(rate, u64::MAX, at(0));
        bucket.take(rate, u64::MAX, Moment::NEVER);
        assert_eq!(bucket.available(rate, at(0)), 0);
        assert!(bucket.ready(rate, 1, at(0)) > at(1));
    }
}
