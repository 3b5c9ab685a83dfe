//! Moments, and an ordered set of the moments at which somebody wants to be called.
//!
//! Nothing here knows what a deadline is for, and nothing reads a clock: whoever turns the loop
//! reads it once a turn and tells everybody.

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
        let millis = u64::from(duration.subsec_nanos().div_ceil(1_000_000));
        Moment(duration.as_secs().saturating_mul(1000).saturating_add(millis).saturating_add(self.0))
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

/// Of two entries the earlier one is less. There are many, so nothing is lost between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(Rust, packed(4))]
struct Entry {
    moment: Moment,
    key: u32,
}

/// At most one deadline for each key, the earliest first: a binary heap that knows where in it each key is.
///
/// Keys are small, as places in a table are: there are four bytes for each up to the largest.
#[derive(Debug, Default)]
pub struct Deadlines {
    /// No entry is later than the two that it is the parent of.
    heap: Vec<Entry>,
    /// Where in the heap each key is, from 1; 0 is nowhere.
    places: Vec<u32>,
}

impl Deadlines {
    /// None yet, with room for so many.
    #[must_use]
    pub fn with_capacity(count: usize) -> Deadlines {
        Deadlines { heap: Vec::with_capacity(count), places: Vec::with_capacity(count) }
    }

    /// Sets `key`'s deadline, in place of the one that it had; [`Moment::NEVER`] stands for none.
    pub fn set(&mut self, key: u32, moment: Moment) {
        match self.place(key) {
            None if moment == Moment::NEVER => {}
            None => {
                self.heap.push(Entry { moment, key });
                self.sift(self.heap.len() - 1, Entry { moment, key });
            }
            Some(place) if moment == Moment::NEVER => self.remove(place),
            Some(place) => self.sift(place, Entry { moment, key }),
        }
    }

    /// `key`'s deadline; [`Moment::NEVER`] where it has none.
    #[must_use]
    pub fn of(&self, key: u32) -> Moment {
        let entry = self.place(key).and_then(|place| self.heap.get(place));
        entry.map_or(Moment::NEVER, |entry| entry.moment)
    }

    /// The earliest deadline.
    #[must_use]
    pub fn next(&self) -> Option<Moment> {
        self.heap.first().map(|entry| entry.moment)
    }

    /// Takes out the earliest deadline that is not after `now`, and gives its key.
    pub fn pop(&mut self, now: Moment) -> Option<u32> {
        let Entry { moment, key } = *self.heap.first()?;
        if moment > now {
            return None;
        }
        self.remove(0);
        Some(key)
    }

    fn place(&self, key: u32) -> Option<usize> {
        let place = *self.places.get(key as usize)?;
        (place as usize).checked_sub(1)
    }

    fn remove(&mut self, place: usize) {
        let Some(last) = self.heap.pop() else { return };
        let removed = self.heap.get(place).copied().unwrap_or(last);
        self.note(removed.key, 0);
        if place < self.heap.len() {
            self.sift(place, last);
        }
    }

    /// Takes `entry` from `place`, where it overwrites what there is, up or down to where it belongs.
    fn sift(&mut self, mut place: usize, entry: Entry) {
        while let Some(above) = place.checked_sub(1)
            && let Some(parent) = self.heap.get(above / 2).copied()
            && entry < parent
        {
            self.put(place, parent);
            place = above / 2;
        }
        while let Some((child, first)) = self.first_child(place)
            && first < entry
        {
            self.put(place, first);
            place = child;
        }
        self.put(place, entry);
    }

    fn first_child(&self, place: usize) -> Option<(usize, Entry)> {
        let children = (2 * place + 1..).zip(self.heap.get(2 * place + 1..)?.iter().copied());
        children.take(2).min_by_key(|(_, entry)| *entry)
    }

    fn put(&mut self, place: usize, entry: Entry) {
        if let Some(there) = self.heap.get_mut(place) {
            *there = entry;
            self.note(entry.key, place + 1);
        }
    }

    /// Notes where `key` is, from 1.
    fn note(&mut self, key: u32, place: usize) {
        let key = key as usize;
        if self.places.len() <= key {
            self.places.resize(key + 1, 0);
        }
        if let (Some(noted), Ok(place)) = (self.places.get_mut(key), u32::try_from(place)) {
            *noted = place;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn deadlines_come_in_order_and_only_when_due() {
        let at = Moment::from_millis;
        let mut deadlines = Deadlines::default();
        deadlines.set(1, at(30));
        deadlines.set(2, at(10));
        deadlines.set(3, at(20));
        deadlines.set(3, Moment::NEVER);
        deadlines.set(1, at(15));
        assert_eq!([1, 2, 3, 4].map(|key| deadlines.of(key)), [at(15), at(10), Moment::NEVER, Moment::NEVER]);
        assert_eq!(deadlines.next(), Some(at(10)));
        assert_eq!(deadlines.pop(at(9)), None);
        assert_eq!(deadlines.pop(at(15)), Some(2));
        assert_eq!(deadlines.pop(at(15)), Some(1));
        assert_eq!(deadlines.pop(at(99)), None);
    }

    /// Beside a set that is searched from end to end.
    #[test]
    fn deadlines_are_those_that_were_set_last_whatever_happened_before() {
        let (mut rng, mut deadlines, mut model) = (fastrand::Rng::with_seed(7), Deadlines::default(), BTreeMap::new());
        for now in 0..20_000 {
            let (key, moment) = (rng.u32(..100), Moment::from_millis(now + rng.u64(..200)));
            if rng.u8(..) < 50 {
                deadlines.set(key, Moment::NEVER);
                model.remove(&key);
            } else {
                deadlines.set(key, moment);
                model.insert(key, moment);
            }
            assert_eq!(deadlines.of(key), model.get(&key).copied().unwrap_or(Moment::NEVER));
            assert_eq!(deadlines.next(), model.values().min().copied());
            let now = Moment::from_millis(now);
            while let Some(key) = deadlines.pop(now) {
                assert!(model.remove(&key).is_some_and(|moment| moment <= now), "{key} was not due");
            }
            assert!(model.values().all(|moment| *moment > now), "one was not given");
        }
    }

    #[test]
    fn a_moment_is_rounded_up_and_never_wraps() {
        assert_eq!(Moment::from_millis(5).after(Duration::from_micros(1)), Moment::from_millis(6));
        assert_eq!(Moment::from_millis(5).after(Duration::MAX), Moment::NEVER);
    }
}
