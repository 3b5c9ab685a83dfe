//! What is done about connections whose deadline has come.
//!
//! What a deadline is for is the session's business.

use super::{Connection, Worker, answer_with, key_of, token};
use crate::net::system::{Socket, System};
use crate::session::Action;

/// How often, at most, a connection is read before a deadline ends it.
const LAST_READS: usize = 16;

impl<S: System> Worker<S> {
    /// Ends what is overdue; who it is has more time, if the whole process `stood_still`.
    pub(super) fn handle_deadlines(&mut self, stood_still: bool) {
        let now = self.poll.now();
        while let Some(key) = self.deadlines.pop(now) {
            let key = key as usize;
            let Some(connection) = self.table.get_mut(key) else { continue };
            let token = token(key, connection.id);
            if connection.session.poll_timeout() <= now {
                self.catch_up(token);
                if stood_still && let Some(connection) = self.table.get_mut(key).filter(|c| c.is_meant(token)) {
                    connection.session.handle_gap(now);
                }
                self.handle_timeout(token);
            } else {
                self.settle(key);
            }
        }
    }

    /// Does what a connection can do before it is ended for not having done it: epoll may not have
    /// come to it yet, and reports room to write only when there is much of it.
    fn catch_up(&mut self, token: u64) {
        let key = key_of(token);
        let mut before = None;
        for _ in 0..LAST_READS {
            let can_do = |c: &&Connection<S::Stream>| c.is_meant(token) && c.session.poll_action() != Action::Wait;
            let connection = self.table.get(key).filter(can_do);
            let moved = connection.map(|c| (c.session.received(), c.session.sent()));
            if moved.is_none() || moved == before {
                return;
            }
            before = moved;
            self.handle_event(token);
            self.answer_reads();
        }
    }

    fn handle_timeout(&mut self, token: u64) {
        let now = self.poll.now();
        let key = key_of(token);
        let Some(connection) = self.table.get_mut(key).filter(|c| c.is_meant(token)) else { return };
        if connection.session.poll_timeout() <= now {
            connection.session.handle_under_way(connection.stream.under_way(), now);
            connection.session.handle_end_ahead(connection.stream.has_ended());
            let answer = connection.session.handle_timeout(&mut self.desk, now);
            answer_with(&connection.stream, &mut connection.session, answer, self.number);
        }
        self.settle(key);
    }
}
