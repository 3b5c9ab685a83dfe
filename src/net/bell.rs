//! What wakes a thread that sleeps in epoll(7), and costs a system call only if it does.
//!
//! # No ring is slept through
//!
//! A bell is *awake*, *asleep*, or *rung*; every change is one atomic swap, so that of two threads
//! one comes first. Whoever has something to tell says it, then rings: the bell becomes *rung*, and
//! if it was *asleep*, its eventfd is written. The thread looks at everything once a turn, after it
//! set the bell to *awake*; before it sleeps it sets it to *asleep*.
//!
//! A ring that comes before *awake* is set was told before the turn began, which looks at it. One
//! that comes after it finds the bell *awake*, and leaves *rung* for the thread to find when it sets
//! *asleep*: then it turns once more instead. One that comes after that finds *asleep*, and writes.

use super::sync::atomic::{AtomicU8, Ordering::SeqCst};
use rustix::event::{EventfdFlags, eventfd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

const AWAKE: u8 = 0;
const ASLEEP: u8 = 1;
const RUNG: u8 = 2;

/// Wakes one thread.
#[derive(Debug)]
pub struct Bell {
    /// Its counter is never read: it is watched edge-triggered, and each write is an edge.
    event: OwnedFd,
    state: AtomicU8,
}

impl Bell {
    /// A bell whose thread is awake.
    ///
    /// # Errors
    ///
    /// When the system has no more descriptors.
    pub fn new() -> io::Result<Bell> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Bell { event, state: AtomicU8::new(AWAKE) })
    }

    /// Wakes the thread if it sleeps; if not, it will turn once more before it does.
    pub fn ring(&self) {
        if self.state.swap(RUNG, SeqCst) == ASLEEP {
            // it fails only when the counter is full, and then the bell has rung
            let _ = rustix::io::write(&self.event, &1u64.to_ne_bytes());
        }
    }

    /// Lets the thread sleep in `wait`, which is told whether it may: not when the bell was rung. Whoever
    /// wakes from it looks at everything before it sleeps again.
    pub fn sleep<T>(&self, wait: impl FnOnce(bool) -> T) -> T {
        let waited = wait(self.state.swap(ASLEEP, SeqCst) != RUNG);
        self.state.swap(AWAKE, SeqCst);
        waited
    }
}

impl AsFd for Bell {
    /// What becomes readable when the bell is rung; to be watched edge-triggered.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}
