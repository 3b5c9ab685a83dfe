//! What all threads are told: how to serve from now on, to drain, that nobody comes any more, to stop.
//!
//! Orders are looked at once a turn, and whoever gives one rings the bells of those it concerns. So
//! they need no room in a mailbox, and are never late because one is full.

use super::sync::Mutex;
use super::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use crate::deadlines::Moment;
use crate::session::Service;
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::Duration;

/// How a stop goes: each open connection is served until its end or until it was quiet for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drain {
    /// How long a connection must be quiet before a stop closes it.
    pub idle: Duration,
    /// Over how long the closing of quiet connections is spread.
    pub spread: Duration,
    /// When a stop gives up on those that are still busy.
    pub timeout: Duration,
}

impl Default for Drain {
    fn default() -> Self {
        Drain { idle: Duration::from_secs(1), spread: Duration::from_secs(1), timeout: Duration::from_secs(30) }
    }
}

/// How many threads bring connections.
const WAYS: usize = 2;

/// Orders to all threads of a server.
#[derive(Debug, Default)]
pub struct Orders {
    /// How often it was said how to serve, and what was said last.
    generation: AtomicU64,
    services: Mutex<Arc<[Arc<Service>]>>,
    drain: OnceLock<(Drain, Moment)>,
    ways_closed: AtomicUsize,
    stop: AtomicBool,
}

impl Orders {
    /// From now on serve the connections of the listeners with these names so; what was said before
    /// counts no more.
    pub fn serve(&self, services: Arc<[Arc<Service>]>) {
        *self.services.lock().unwrap_or_else(PoisonError::into_inner) = services;
        self.generation.fetch_add(1, SeqCst);
    }

    /// How often [`serve`](Self::serve) was said.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.load(SeqCst)
    }

    /// How to serve, as was said last.
    #[must_use]
    pub fn services(&self) -> Arc<[Arc<Service>]> {
        Arc::clone(&self.services.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Accept what waits, then no more; serve each connection until it is done or quiet, and until
    /// `deadline` at most. Only the first such order counts.
    pub fn drain(&self, drain: &Drain, deadline: Moment) {
        let _ = self.drain.set((drain.clone(), deadline));
    }

    /// How to drain, and until when, if that was ordered.
    #[must_use]
    pub fn draining(&self) -> Option<&(Drain, Moment)> {
        self.drain.get()
    }

    /// One of those who bring connections, the acceptor and the thread of the links, has handed over its
    /// last one.
    pub fn one_way_closed(&self) {
        self.ways_closed.fetch_add(1, SeqCst);
    }

    /// Whether all of those who bring connections have handed over their last one.
    #[must_use]
    pub fn does_nobody_come(&self) -> bool {
        self.ways_closed.load(SeqCst) >= WAYS
    }

    /// Close everything now, and end.
    pub fn stop(&self) {
        self.stop.store(true, SeqCst);
    }

    /// Whether everything is to be closed now.
    #[must_use]
    pub fn is_stop(&self) -> bool {
        self.stop.load(SeqCst)
    }
}
