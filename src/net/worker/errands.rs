//! Running errands: what others ask a worker about its connections, between two turns.

use super::{Connection, Worker};
use crate::deadlines::Moment;
use crate::net::errands::{Errand, Listed};
use crate::net::system::System;
use crate::session::EndReason;
use std::sync::Arc;

impl<S: System> Worker<S> {
    pub(super) fn run_errand(&mut self, errand: Errand) {
        let now = self.poll.now();
        // whoever asked may have waited long enough
        match errand {
            Errand::List(answer) => {
                let _ = answer.send(self.table.iter().map(|(_, connection)| connection.listed(now)).collect());
            }
            Errand::Kill(id, answer) => {
                let key = self.find(id);
                if let Some((key, connection)) = key.and_then(|key| Some((key, self.table.get_mut(key)?))) {
                    connection.session.handle_stop(EndReason::Killed);
                    self.settle(key);
                }
                let _ = answer.send(key.is_some());
            }
            Errand::Say(id, text, answer) => self.say(id, &text, answer),
            Errand::Adopt(address, linkage) => self.adopt(address, &linkage),
            Errand::Unlink(id, reason) => self.unlink(id, reason),
        }
    }

    /// The key of the connection with this number.
    pub(super) fn find(&self, id: u64) -> Option<usize> {
        self.table.iter().find(|(_, connection)| connection.id == id).map(|(key, _)| key)
    }
}

impl<C> Connection<C> {
    fn listed(&self, now: Moment) -> Listed {
        Listed {
            id: self.id,
            peer: self.peer.clone(),
            service: Arc::clone(self.session.shared_service()),
            age: now.since(self.session.opened()),
            quiet: now.since(self.session.moved()),
            received: self.session.received(),
            sent: self.session.sent(),
            messages: self.session.messages(),
            state: self.session.state(),
            link: self.link().map(|link| link.peer().to_owned()),
        }
    }
}
