//! Busy polling: how long a thread goes on looking for something to do before it sleeps.
//!
//! To wake a thread that sleeps takes longer than to answer most messages, so a lone client has its answer
//! sooner from one that does not; the price is a core while there is nothing to do. What is looked at is not
//! known here.

use std::time::{Duration, Instant};

/// Longer than a look ever takes: whoever looks again only then was not running.
const AWAY: Duration = Duration::from_micros(100);
/// How long the machine's other work then has the core to itself.
const REST: Duration = Duration::from_millis(100);

/// Looks again and again for a while, unless the machine has other work.
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

    /// Calls `look` until it finds something, or it was in vain for the whole length, or the thread had to wait
    /// for its core. Gives whether something was found.
    ///
    /// # Errors
    ///
    /// That of `look`.
    pub(super) fn spin<E>(
        &mut self,
        mut clock: impl FnMut() -> Instant,
        mut look: impl FnMut() -> Result<bool, E>,
    ) -> Result<bool, E> {
        let begun = clock();
        if self.rests_until.is_some_and(|until| begun < until) {
            return Ok(false);
        }
        let mut before = begun;
        while before.duration_since(begun) < self.length {
            if look()? {
                return Ok(true);
            }
            let now = clock();
            if now.duration_since(before) > AWAY {
                self.rests_until = Some(now + REST);
                return Ok(false);
            }
            before = now;
        }
        Ok(false)
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
        let Ok(found) = spin.spin(|| clock.get(), look);
        (found, looks)
    }

    #[test]
    fn it_looks_until_it_finds_something_or_its_time_is_over() {
        let (mut fifty, clock) = (Spin::new(Duration::from_micros(50)), Cell::new(Instant::now()));
        assert_eq!(spin(&mut fifty, &clock, &[10], 3), (true, 3));
        assert_eq!(spin(&mut fifty, &clock, &[10], 99), (false, 5));
        assert_eq!(spin(&mut fifty, &clock, &[10], 1), (true, 1));
    }

    #[test]
    fn whoever_has_to_wait_for_the_core_leaves_it_to_others_for_a_while() {
        let (mut fifty, clock) = (Spin::new(Duration::from_micros(50)), Cell::new(Instant::now()));
        assert_eq!(spin(&mut fifty, &clock, &[1, 3000], 99), (false, 2));
        assert_eq!(spin(&mut fifty, &clock, &[1], 1), (false, 0), "it rests");
        clock.set(clock.get() + REST);
        assert_eq!(spin(&mut fifty, &clock, &[1], 1), (true, 1));
    }
}
