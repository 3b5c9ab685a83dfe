//! Busy polling: how long a thread goes on looking for something to do before it sleeps.
//!
//! To wake a thread that sleeps takes longer than to answer most messages, so a lone client has its answer
//! sooner from one that does not; the price is a core while there is nothing to do, and where others need that
//! core, a share of it. What is looked at is not known here.

use std::time::{Duration, Instant};

/// Longer than a look ever takes: whoever looks again only then was not running.
const AWAY: Duration = Duration::from_micros(100);
/// How long the machine's other work then has the core to itself.
const REST: Duration = Duration::from_millis(100);

/// Looks again and again for a while, unless it was kept from its core just now.
#[derive(Debug)]
pub(super) struct Spin {
    length: Duration,
    /// Until when it is not tried.
    rests_until: Option<Instant>,
}

impl Spin {
    /// Spins for at most `length`.
    pub(super) fn new(length: Duration) -> Spin {
        Spin { length, rests_until: None }
    }

    /// Calls `look` until it finds something, or it was in vain for the whole length or for `at_most`, or the thread
    /// had to wait for its core. Gives whether something was found, and how long that took.
    ///
    /// # Errors
    ///
    /// That of `look`.
    pub(super) fn spin<E>(
        &mut self,
        at_most: Option<Duration>,
        mut clock: impl FnMut() -> Instant,
        mut look: impl FnMut() -> Result<bool, E>,
    ) -> Result<(bool, Duration), E> {
        let begun = clock();
        let is_resting = self.rests_until.is_some_and(|until| begun < until);
        let length = if is_resting { Duration::ZERO } else { at_most.unwrap_or(self.length).min(self.length) };
        let (mut found, mut spun) = (false, Duration::ZERO);
        while !found && spun < length {
            found = look()?;
            let now = clock().duration_since(begun);
            if now - spun > AWAY {
                self.rests_until = Some(begun + now + REST);
                return Ok((found, now));
            }
            spun = now;
        }
        Ok((found, spun))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::convert::Infallible;

    /// What comes of a spin whose looks take so many microseconds, and how many there were; the one with this
    /// number finds something.
    fn spin(spin: &mut Spin, clock: &Cell<Instant>, micros: &[u64], finds: usize) -> (bool, usize) {
        let mut looks = 0;
        let look = || {
            let took = micros.get(looks).or(micros.last()).unwrap();
            clock.set(clock.get() + Duration::from_micros(*took));
            looks += 1;
            Ok::<_, Infallible>(looks == finds)
        };
        let Ok((found, _)) = spin.spin(None, || clock.get(), look);
        (found, looks)
    }

    #[test]
    fn it_looks_until_it_finds_something_or_its_time_is_over() {
        let (mut fifty, clock) = (Spin::new(Duration::from_micros(50)), Cell::new(Instant::now()));
        assert_eq!(spin(&mut fifty, &clock, &[10], 3), (true, 3));
        assert_eq!(spin(&mut fifty, &clock, &[10], 99), (false, 5));
        assert_eq!(spin(&mut fifty, &clock, &[10], 1), (true, 1));
    }

    /// A deadline in the middle was met when the spin was over, and then once more so long.
    #[test]
    fn it_looks_no_longer_than_it_may() {
        let (mut fifty, clock) = (Spin::new(Duration::from_micros(50)), Cell::new(Instant::now()));
        let look = || {
            clock.set(clock.get() + Duration::from_micros(10));
            Ok::<_, Infallible>(false)
        };
        let Ok(spun) = fifty.spin(Some(Duration::from_micros(25)), || clock.get(), look);
        assert_eq!(spun, (false, Duration::from_micros(30)));
    }

    #[test]
    fn whoever_has_to_wait_for_the_core_leaves_it_to_others_for_a_while() {
        let (mut fifty, clock) = (Spin::new(Duration::from_micros(50)), Cell::new(Instant::now()));
        assert_eq!(spin(&mut fifty, &clock, &[1, 3000], 99), (false, 2));
        assert_eq!(spin(&mut fifty, &clock, &[1], 1), (false, 0), "it rests");
        clock.set(clock.get() + REST);
        assert_eq!(spin(&mut fifty, &clock, &[1], 1), (true, 1));
        assert_eq!(spin(&mut fifty, &clock, &[3000], 1), (true, 1), "something came meanwhile");
        assert_eq!(spin(&mut fifty, &clock, &[1], 1), (false, 0));
    }
}
