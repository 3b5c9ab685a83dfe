//! How many connections may be open at once, and who is told when there is room again.

use super::bell::Bell;
use super::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::Arc;

/// How many of those who are refused may be told why at the same time; their descriptors are of those to spare.
const ASIDE: usize = 24;

/// Counts the places that connections take up; shared by those who bring connections, who take them, and
/// the workers, who give them back.
#[derive(Debug)]
pub struct Admission {
    max: AtomicUsize,
    open: AtomicUsize,
    /// How many have stepped aside.
    aside: AtomicUsize,
    waiting: AtomicBool,
    acceptor: Arc<Bell>,
}

impl Admission {
    /// `max` places; `acceptor` is rung when one is given back that it waits for.
    #[must_use]
    pub fn new(max: usize, acceptor: Arc<Bell>) -> Admission {
        let (open, aside) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Admission { max: AtomicUsize::new(max), open, aside, waiting: AtomicBool::new(false), acceptor }
    }

    /// Takes a place. `false` when there is none; the acceptor's bell then rings at the next
    /// [`leave`](Self::leave).
    ///
    /// The flag is set before the count is read again, and `leave` lowers the count before it
    /// reads the flag: all of it is sequentially consistent, so one of the two sees the other.
    #[must_use]
    pub fn enter(&self) -> bool {
        if self.is_full() {
            self.waiting.store(true, SeqCst);
            if self.is_full() {
                return false;
            }
            self.waiting.store(false, SeqCst);
        }
        self.open.fetch_add(1, SeqCst);
        true
    }

    /// Takes a place, also where there is none: for a connection that this daemon makes itself.
    pub fn enter_anyway(&self) {
        self.open.fetch_add(1, SeqCst);
    }

    /// Gives a place back.
    pub fn leave(&self) {
        self.open.fetch_sub(1, SeqCst);
        if self.waiting.load(SeqCst) && self.waiting.swap(false, SeqCst) {
            self.acceptor.ring();
        }
    }

    /// Gives a place back for one beside them, where there are few, for those who are to be told that they are
    /// refused. `false` when there is none; the place is kept then.
    #[must_use]
    pub fn step_aside(&self) -> bool {
        if self.aside.fetch_add(1, SeqCst) >= ASIDE {
            self.leave_aside();
            return false;
        }
        self.leave();
        true
    }

    /// Gives a place beside the others back.
    pub fn leave_aside(&self) {
        self.aside.fetch_sub(1, SeqCst);
    }

    /// How many places are taken.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.load(SeqCst)
    }

    /// How many places there are.
    #[must_use]
    pub fn max(&self) -> usize {
        self.max.load(SeqCst)
    }

    /// From now on there are `max` places. Who has one keeps it, also where that is one too many.
    pub fn set_max(&self, max: usize) {
        self.max.store(max, SeqCst);
        // as if some were given back
        if self.waiting.swap(false, SeqCst) {
            self.acceptor.ring();
        }
    }

    fn is_full(&self) -> bool {
        self.open.load(SeqCst) >= self.max.load(SeqCst)
    }
}
