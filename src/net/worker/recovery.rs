//! How a worker goes on after a panic: without its connections, with its mailbox, and not at once.
//!
//! Who catches the panic, and how long the rest is, is not known here.

use super::{ROOM, Worker};
use crate::deadlines::{Deadlines, Moment};
use crate::net::system::System;
use crate::session::{Desk, EndReason};
use slab::Slab;
use std::io;
use std::sync::Arc;
use std::time::Duration;

impl<S: System> Worker<S> {
    /// Takes that it panicked: resets its connections, as what it was doing for one of them is half done, and
    /// gives up all that it worked with. Who waits in its mailbox waits on. Gives how many connections were lost.
    pub fn recover(&mut self) -> usize {
        self.handle.panics.add(1);
        self.desk = Desk::new(self.number);
        self.deadlines = Deadlines::with_capacity(self.admission.max().min(ROOM));
        self.input = vec![0; self.input.len()];
        self.reads = Vec::new();
        let keys: Vec<usize> = self.table.iter().map(|(key, _)| key).collect();
        let mut lost = 0;
        for key in &keys {
            if let Some(connection) = self.table.get_mut(*key) {
                // some were about to end anyway
                lost += usize::from(connection.session.end_reason().is_none());
                connection.session.handle_stop(EndReason::WorkerPanic);
            }
            // that closes the socket, too, so that epoll has nothing left of it
            self.close(*key, true);
        }
        self.table = Slab::with_capacity(self.admission.max().min(ROOM));
        lost
    }

    /// Does nothing for so long but give signs of life. It ends before when all is to end, or when nobody waits
    /// and nobody comes any more.
    ///
    /// # Errors
    ///
    /// When epoll fails, which is a fault of shoutd's own.
    pub fn rest(&mut self, pause: Duration) -> io::Result<()> {
        let pulse = Arc::clone(&self.handle.pulse);
        let until = self.poll.now().after(pause);
        pulse.set_resting(true);
        while !self.is_rested(until) {
            let give_up = self.orders.draining().map(|(_, deadline)| *deadline);
            self.poll.turn(give_up.into_iter().chain([until]).min())?;
        }
        pulse.set_resting(false);
        // what came meanwhile has rung already
        self.poll.bell().ring();
        Ok(())
    }

    fn is_rested(&self, until: Moment) -> bool {
        let (now, orders) = (self.poll.now(), &self.orders);
        now >= until
            || orders.is_stop()
            || orders.draining().is_some_and(|(_, deadline)| *deadline <= now)
            || (orders.does_nobody_come() && self.mailbox.is_empty())
    }

    /// When its last turn began.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.poll.now()
    }
}
