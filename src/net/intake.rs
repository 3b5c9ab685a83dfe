//! Where connections go once they are there: each gets a number, and a worker.
//!
//! Who made a connection, and whether it may be, is not known here.

use super::admission::Admission;
use super::stream::Stream;
use super::worker::{Arrival, Handle};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// How soon mailboxes that were all full are tried again.
pub const BUSY_RETRY: Duration = Duration::from_millis(1);

/// The way to the workers, for whoever brings connections; clones are the same way.
#[derive(Debug)]
pub struct Intake<C = Stream> {
    workers: Vec<Handle<C>>,
    admission: Arc<Admission>,
    numbers: Arc<AtomicU64>,
}

impl<C> Clone for Intake<C> {
    fn clone(&self) -> Self {
        let Intake { workers, admission, numbers } = self;
        Intake { workers: workers.clone(), admission: Arc::clone(admission), numbers: Arc::clone(numbers) }
    }
}

impl<C> Intake<C> {
    /// A way to `workers`, by which nobody has come yet.
    #[must_use]
    pub fn new(workers: Vec<Handle<C>>, admission: Arc<Admission>) -> Intake<C> {
        Intake { workers, admission, numbers: Arc::default() }
    }

    /// The places that connections take up.
    #[must_use]
    pub fn admission(&self) -> &Admission {
        &self.admission
    }

    /// The workers.
    #[must_use]
    pub fn workers(&self) -> &[Handle<C>] {
        &self.workers
    }

    /// The number of the next connection, from 1.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Relaxed) + 1
    }

    /// Gives a connection, whose place is taken, to the worker with the fewest. Those that are stalled, or rest
    /// after a panic, get none, unless all do.
    ///
    /// # Errors
    ///
    /// Gives it back when the mailboxes of all who may get it are full.
    pub fn hand_over(&self, arrival: Arrival<C>) -> Result<(), Arrival<C>> {
        if is_jammed() {
            return Err(arrival);
        }
        let mut arrival = arrival;
        let is_fit = |worker: &&Handle<C>| worker.pulse.is_fit();
        let is_one_fit = self.workers.iter().any(|worker| is_fit(&worker));
        let takers = self.workers.iter().filter(|worker| !is_one_fit || is_fit(worker));
        let least = takers.clone().min_by_key(|worker| worker.load.load(Relaxed));
        for worker in least.into_iter().chain(takers) {
            worker.load.fetch_add(1, Relaxed);
            match worker.post.post(arrival) {
                Ok(()) => return Ok(()),
                Err(back) => {
                    worker.load.fetch_sub(1, Relaxed);
                    arrival = back;
                }
            }
        }
        Err(arrival)
    }

    /// Rings the bells of all workers.
    pub fn ring(&self) {
        for worker in &self.workers {
            worker.post.bell().ring();
        }
    }
}

/// Whether all mailboxes are to be taken for full.
fn is_jammed() -> bool {
    failpoint!("handoff", |_| true);
    false
}
