//! A bounded channel whose receiver sleeps in epoll(7): crossbeam's channel and an eventfd as one.
//!
//! What the messages are is the business of those who exchange them.
//!
//! # The sleeping flag
//!
//! Waking a thread costs a system call, so it is done only for one that sleeps. The receiver says
//! `asleep = true`, *then* looks whether the channel is empty, and only then waits; the sender
//! sends, *then* swaps `asleep` for `false`, and rings if it was `true`. All four are sequentially
//! consistent, so of the receiver's write and the sender's swap one comes first. If the write does,
//! the sender sees it and rings. If the swap does, so did the send, and the receiver sees the
//! message when it looks. Neither waits for the other's message with nobody ringing.

use crossbeam_channel::{Receiver, Sender, TrySendError};
use rustix::event::{EventfdFlags, eventfd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

/// Wakes a thread that sleeps in epoll.
#[derive(Debug)]
pub struct Bell {
    /// Its counter is never read: it is watched edge-triggered, and each write is an edge.
    event: OwnedFd,
    asleep: AtomicBool,
}

impl Bell {
    fn new() -> io::Result<Bell> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Bell { event, asleep: AtomicBool::new(false) })
    }

    /// Wakes the thread if it sleeps.
    pub fn ring(&self) {
        if self.asleep.swap(false, SeqCst) {
            // it fails only when the counter is full, and then the bell has rung
            let _ = rustix::io::write(&self.event, &1u64.to_ne_bytes());
        }
    }
}

/// The end of a mailbox that is posted to; cheap to copy.
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
    bell: Arc<Bell>,
}

impl<T> Mailbox<T> {
    /// A mailbox for at most `capacity` messages.
    ///
    /// # Errors
    ///
    /// When the system has no more descriptors.
    pub fn new(capacity: usize) -> io::Result<(Post<T>, Mailbox<T>)> {
        let (sender, receiver) = crossbeam_channel::bounded(capacity);
        let bell = Arc::new(Bell::new()?);
        Ok((Post { sender, bell: Arc::clone(&bell) }, Mailbox { receiver, bell }))
    }

    /// Says that the thread is about to sleep; `false` when it must not, as there is mail.
    #[must_use]
    pub fn fall_asleep(&self) -> bool {
        self.bell.asleep.store(true, SeqCst);
        self.receiver.is_empty()
    }

    /// Says that the thread is awake and will look into its mailbox before it sleeps again.
    pub fn wake_up(&self) {
        self.bell.asleep.store(false, SeqCst);
    }

    /// The messages that are there now; those that come meanwhile are left for the next time.
    pub fn messages(&self) -> impl Iterator<Item = T> + use<'_, T> {
        self.receiver.try_iter().take(self.receiver.len())
    }
}

impl<T> AsFd for Mailbox<T> {
    /// What becomes readable when the bell is rung; to be watched edge-triggered.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.event.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::epoll;

    #[test]
    fn no_message_is_slept_through() {
        const MESSAGES: u32 = 100_000;
        let (post, mailbox) = Mailbox::new(16).unwrap();
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(&poll, &mailbox, epoll::EventData::new_u64(0), flags).unwrap();
        let sender = std::thread::spawn(move || {
            for n in 0..MESSAGES {
                let mut message = n;
                while let Err(back) = post.post(message) {
                    message = back;
                    std::thread::yield_now();
                }
            }
        });
        let mut expected = 0;
        let mut events = Vec::with_capacity(4);
        while expected < MESSAGES {
            if mailbox.fall_asleep() {
                events.clear();
                let wait = rustix::event::Timespec { tv_sec: 10, tv_nsec: 0 };
                let n = epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), Some(&wait)).unwrap();
                assert!(n > 0, "slept through message {expected}");
            }
            mailbox.wake_up();
            for message in mailbox.messages() {
                assert_eq!(message, expected);
                expected += 1;
            }
        }
        sender.join().unwrap();
    }

    #[test]
    fn a_full_mailbox_gives_the_message_back() {
        let (post, mailbox) = Mailbox::new(1).unwrap();
        assert_eq!(post.post("a"), Ok(()));
        assert_eq!(post.post("b"), Err("b"));
        assert_eq!(mailbox.messages().collect::<Vec<_>>(), ["a"]);
    }
}
