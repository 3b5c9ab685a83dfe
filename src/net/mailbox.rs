//! A bounded channel whose receiver sleeps in epoll(7): crossbeam's channel and a [`Bell`] as one.
//!
//! What the messages are is the business of those who exchange them.

use super::bell::Bell;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded, unbounded};
use std::sync::Arc;

/// The end of a mailbox that is posted to.
#[derive(Debug)]
pub struct Post<T> {
    sender: Sender<T>,
    bell: Arc<Bell>,
}

impl<T> Clone for Post<T> {
    fn clone(&self) -> Self {
        Post { sender: self.sender.clone(), bell: Arc::clone(&self.bell) }
    }
}

impl<T> Post<T> {
    /// Posts `message`, and wakes the receiver if it sleeps.
    ///
    /// # Errors
    ///
    /// Gives the message back when the mailbox is full or its receiver is gone.
    pub fn post(&self, message: T) -> Result<(), T> {
        match self.sender.try_send(message) {
            Ok(()) => {
                self.bell.ring();
                Ok(())
            }
            Err(TrySendError::Full(message) | TrySendError::Disconnected(message)) => Err(message),
        }
    }

    /// What wakes the receiver, for those with nothing to say.
    #[must_use]
    pub fn bell(&self) -> &Arc<Bell> {
        &self.bell
    }
}

/// The end of a mailbox that is received from.
#[derive(Debug)]
pub struct Mailbox<T> {
    receiver: Receiver<T>,
}

impl<T> Mailbox<T> {
    /// A mailbox for at most `capacity` messages to the thread that `bell` wakes.
    #[must_use]
    pub fn new(capacity: usize, bell: Arc<Bell>) -> (Post<T>, Mailbox<T>) {
        let (sender, receiver) = bounded(capacity);
        (Post { sender, bell }, Mailbox { receiver })
    }

    /// A mailbox that is never full, for messages of which there are no more than of something that is
    /// bounded itself.
    #[must_use]
    pub fn unbounded(bell: Arc<Bell>) -> (Post<T>, Mailbox<T>) {
        let (sender, receiver) = unbounded();
        (Post { sender, bell }, Mailbox { receiver })
    }

    /// The messages that are there now; those that come meanwhile are left for the next turn, and so is what
    /// is not taken of these.
    pub fn messages(&self) -> impl Iterator<Item = T> + use<T> {
        let receiver = self.receiver.clone();
        (0..receiver.len()).map_while(move |_| receiver.try_recv().ok())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.receiver.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deadlines::Clock;
    use crate::net::poll::Poll;
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
    use std::time::{Duration, Instant};

    const ROUNDS: u32 = 100_000;

    /// Turns until `done` says so; a turn that sleeps for long has slept through something.
    fn turn_until(poll: &mut Poll, mut done: impl FnMut() -> bool) {
        while !done() {
            let before = Instant::now();
            poll.turn(Some(poll.now().after(Duration::from_secs(10)))).unwrap();
            assert!(before.elapsed() < Duration::from_secs(9), "slept through a ring");
        }
    }

    #[test]
    fn no_message_is_slept_through() {
        let (bell, mut poll) = Poll::new(Clock::new(Instant::now()), Arc::default()).unwrap();
        let (post, mailbox) = Mailbox::new(16, bell);
        let sender = std::thread::spawn(move || {
            for n in 0..ROUNDS {
                let mut message = n;
                while let Err(back) = post.post(message) {
                    message = back;
                    std::thread::yield_now();
                }
            }
        });
        let mut expected = 0;
        turn_until(&mut poll, || {
            for message in mailbox.messages() {
                assert_eq!(message, expected);
                expected += 1;
            }
            expected == ROUNDS
        });
        sender.join().unwrap();
    }

    /// r-full: a ring without a message, while the thread was awake, was forgotten; a place that was
    /// given back just then was never taken, and the daemon accepted nobody any more.
    #[test]
    fn no_ring_without_a_message_is_slept_through() {
        let (bell, mut poll) = Poll::new(Clock::new(Instant::now()), Arc::default()).unwrap();
        let (told, heard) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let (tell, hear) = (Arc::clone(&told), Arc::clone(&heard));
        let ringer = std::thread::spawn(move || {
            for n in 1..=ROUNDS {
                tell.store(n, SeqCst);
                bell.ring();
                while hear.load(SeqCst) < n {
                    std::hint::spin_loop();
                    std::thread::yield_now();
                }
            }
        });
        turn_until(&mut poll, || {
            heard.store(told.load(SeqCst), SeqCst);
            heard.load(SeqCst) == ROUNDS
        });
        ringer.join().unwrap();
    }

    #[test]
    fn a_full_mailbox_gives_the_message_back() {
        let (post, mailbox) = Mailbox::new(1, Arc::new(Bell::new().unwrap()));
        assert_eq!(post.post("a"), Ok(()));
        assert_eq!(post.post("b"), Err("b"));
        assert!(mailbox.messages().eq(["a"]));
    }
}
