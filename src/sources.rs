//! Where connections come from: how many of each source are open, how fast they come and what they use
//! of what all of them together may.
//!
//! What a source is, an address or a user, is not known here; nor what becomes of a connection
//! that is one too many. However many sources there are, the memory is bounded: of a source without a
//! connection only what it has used is remembered, and that of the last ones only.

use crate::deadlines::Moment;
use crate::rates::{Bucket, Rate};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many sources without a connection make a generation; the one before it is remembered, too.
const GENERATION: usize = 16 * 1024;

/// A source: a number that stands for an address, a network, or a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Source(pub u128);

/// What each source may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PerSource {
    /// Connections that are open at once; `None` is any number.
    pub connections: Option<u32>,
    /// How fast they come; `None` is at any rate.
    pub arrivals: Option<Rate>,
}

/// Why a connection is one too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// As many are open as may be.
    Connections,
    /// They come too fast.
    Arrivals,
}

/// What the messages and bytes of one connection, or of a source's together, have used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Messages.
    pub messages: Bucket,
    /// Bytes that came in.
    pub bytes: Bucket,
}

/// What all connections of a source have used together.
#[derive(Debug, Default)]
pub struct Shared(Mutex<Usage>);

impl Shared {
    /// The usage, for as long as nobody else may see it.
    pub fn lock(&self) -> MutexGuard<'_, Usage> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is known of a source beside its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Past {
    arrivals: Bucket,
    usage: Usage,
    /// Whether a message of it was complete.
    has_spoken: bool,
}

#[derive(Debug, Default)]
struct Present {
    open: u32,
    past: Past,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Table {
    present: HashMap<Source, Present>,
    young: HashMap<Source, Past>,
    old: HashMap<Source, Past>,
}

impl Table {
    fn past(&self, source: Source) -> Past {
        let gone = || self.young.get(&source).or_else(|| self.old.get(&source));
        self.present.get(&source).map(|present| &present.past).or_else(gone).copied().unwrap_or_default()
    }

    fn remember(&mut self, source: Source, past: Past) {
        if past == Past::default() {
            return;
        }
        if self.young.len() >= GENERATION {
            std::mem::swap(&mut self.young, &mut self.old);
            // it keeps its room, which is never more than a generation's
            self.young.clear();
        }
        self.young.insert(source, past);
    }
}

/// The sources of one listener's connections; shared by whoever lets them in and whoever ends them.
#[derive(Debug, Default)]
pub struct Sources(Mutex<Table>);

impl Sources {
    /// Lets a connection of `source` in, until its [`Visit`] is dropped.
    ///
    /// # Errors
    ///
    /// Why it is one too many; nothing is counted for it then.
    pub fn enter(self: &Arc<Self>, source: Source, limits: &PerSource, now: Moment) -> Result<Visit, Excess> {
        let mut table = self.table();
        let mut past = table.past(source);
        let open = table.present.get(&source).map_or(0, |present| present.open);
        if limits.connections.is_some_and(|most| open >= most) {
            return Err(Excess::Connections);
        }
        if let Some(rate) = limits.arrivals {
            if past.arrivals.available(rate, now) == 0 {
                return Err(Excess::Arrivals);
            }
            past.arrivals.take(rate, 1, now);
        }
        table.young.remove(&source);
        table.old.remove(&source);
        let present = table.present.entry(source).or_insert_with(|| {
            let shared = Arc::<Shared>::default();
            *shared.lock() = past.usage;
            Present { shared, ..Present::default() }
        });
        present.open += 1;
        present.past = past;
        let shared = Arc::clone(&present.shared);
        Ok(Visit { sources: Arc::clone(self), source, shared, has_spoken: past.has_spoken })
    }

    /// Whether a message of `source` was complete, as far as it is remembered.
    #[must_use]
    pub fn has_spoken(&self, source: Source) -> bool {
        self.table().past(source).has_spoken
    }

    /// How many sources are known.
    #[must_use]
    pub fn known(&self) -> usize {
        let table = self.table();
        table.present.len() + table.young.len() + table.old.len()
    }

    fn leave(&self, source: Source) {
        let mut table = self.table();
        let Some(present) = table.present.get_mut(&source) else { return };
        present.open -= 1;
        if present.open == 0
            && let Some(present) = table.present.remove(&source)
        {
            let usage = *present.shared.lock();
            table.remember(source, Past { usage, ..present.past });
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that was let in; it leaves when this is dropped.
#[derive(Debug)]
pub struct Visit {
    sources: Arc<Sources>,
    source: Source,
    shared: Arc<Shared>,
    has_spoken: bool,
}

impl Visit {
    /// What all connections of its source use together.
    #[must_use]
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Takes that a message of it was complete.
    pub fn speak(&mut self) {
        if !std::mem::replace(&mut self.has_spoken, true)
            && let Some(present) = self.sources.table().present.get_mut(&self.source)
        {
            present.past.has_spoken = true;
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.sources.leave(self.source);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZero;
    use std::time::Duration;

    fn at(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    #[test]
    fn each_source_has_its_own_number_of_connections() {
        let (sources, limits) = (Arc::<Sources>::default(), PerSource { connections: Some(2), arrivals: None });
        let enter = |source| sources.enter(Source(source), &limits, at(0));
        let (first, _second) = (enter(1).unwrap(), enter(1).unwrap());
        assert_eq!(enter(1).unwrap_err(), Excess::Connections);
        let _other = enter(2).unwrap();
        drop(first);
        assert!(enter(1).is_ok());
    }

    #[test]
    fn a_source_that_comes_too_fast_is_remembered_when_it_is_gone() {
        let rate = Rate::new(NonZero::new(2).unwrap(), Duration::from_secs(1));
        let (sources, limits) = (Arc::<Sources>::default(), PerSource { connections: None, arrivals: Some(rate) });
        let enter = |source, now| sources.enter(Source(source), &limits, at(now)).map(drop);
        assert_eq!([enter(1, 0), enter(1, 0), enter(1, 499)], [Ok(()), Ok(()), Err(Excess::Arrivals)]);
        assert_eq!([enter(2, 0), enter(1, 500), enter(1, 501)], [Ok(()), Ok(()), Err(Excess::Arrivals)]);
    }

    #[test]
    fn what_a_source_has_used_and_whether_it_has_spoken_outlive_its_connections() {
        let rate = Rate::new(NonZero::new(10).unwrap(), Duration::from_secs(1));
        let (sources, limits) = (Arc::<Sources>::default(), PerSource::default());
        let mut visit = sources.enter(Source(1), &limits, at(0)).unwrap();
        visit.shared().lock().messages.take(rate, 10, at(0));
        assert!(!sources.has_spoken(Source(1)));
        visit.speak();
        drop(visit);
        assert!(sources.has_spoken(Source(1)));
        let visit = sources.enter(Source(1), &limits, at(0)).unwrap();
        assert_eq!(visit.shared().lock().messages.available(rate, at(100)), 1);
    }

    /// Row 7: a table without a bound is memory for whoever has many addresses.
    #[test]
    fn a_million_sources_are_not_remembered_and_those_with_connections_are_never_forgotten() {
        let rate = Rate::new(NonZero::new(1).unwrap(), Duration::from_secs(3600));
        let (sources, limits) = (Arc::<Sources>::default(), PerSource { connections: Some(1), arrivals: Some(rate) });
        let stays = sources.enter(Source(0), &limits, at(0)).unwrap();
        for source in 1..=1_000_000 {
            drop(sources.enter(Source(source), &limits, at(0)).unwrap());
        }
        assert!(sources.known() <= 2 * GENERATION + 1, "{}", sources.known());
        let room = {
            let table = sources.table();
            table.young.capacity() + table.old.capacity()
        };
        assert!(room < 8 * GENERATION, "{room}");
        assert_eq!(sources.enter(Source(0), &limits, at(0)).unwrap_err(), Excess::Connections);
        assert_eq!(sources.enter(Source(1_000_000), &limits, at(0)).unwrap_err(), Excess::Arrivals);
        drop(stays);
    }
}
