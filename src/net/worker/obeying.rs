//! Obeying orders: to serve otherwise, to drain, to stop.
//!
//! When they are looked at is for the turn to say.

use super::Worker;
use crate::net::orders::Drain;
use crate::net::system::{Socket, System};
use crate::session::{EndReason, Service};
use std::sync::Arc;

impl<S: System> Worker<S> {
    pub(super) fn obey_drain(&mut self) {
        let orders = Arc::clone(&self.orders);
        if let Some((drain, deadline)) = orders.draining() {
            if !self.draining {
                self.draining = true;
                self.begin_drain(drain);
            }
            if *deadline <= self.poll.now() {
                self.end_all(EndReason::DrainDeadline);
            }
        }
    }

    /// Lets all connections be served as was said last.
    pub(super) fn renew_all(&mut self) {
        let services = self.orders.services();
        for service in &*services {
            self.make_room(service);
        }
        // connections of a listener whose framing changed keep it; they share what that makes of the new one
        let mut known: Vec<(Arc<Service>, Arc<Service>)> = Vec::new();
        let keys: Vec<usize> = self.table.iter().map(|(key, _)| key).collect();
        for key in keys {
            let Some(connection) = self.table.get_mut(key) else { continue };
            let old = connection.session.shared_service();
            let new = match known.iter().find(|(from, _)| Arc::ptr_eq(from, old)) {
                Some((_, new)) => Arc::clone(new),
                None => {
                    // where the listener is gone, they are served as they were
                    let Some(named) = services.iter().find(|service| service.name == old.name) else { continue };
                    let new = old.renewed(named);
                    known.push((Arc::clone(old), Arc::clone(&new)));
                    new
                }
            };
            let lacking = connection.session.lacks_context(&new);
            let context = lacking.then(|| connection.stream.context(&connection.peer, &new.name, connection.id));
            connection.session.handle_service(new, context.map(Box::new));
            self.settle(key);
        }
    }

    fn begin_drain(&mut self, drain: &Drain) {
        let now = self.poll.now();
        let keys: Vec<usize> = self.table.iter().map(|(key, _)| key).collect();
        let count = u32::try_from(keys.len()).unwrap_or(u32::MAX).max(1);
        for (nth, key) in (0u32..).zip(keys) {
            let from = now.after(drain.spread / count * nth);
            if let Some(connection) = self.table.get_mut(key) {
                connection.session.handle_drain(from, drain.idle);
            }
            self.settle(key);
        }
    }

    pub(super) fn end_all(&mut self, reason: EndReason) {
        let keys: Vec<usize> = self.table.iter().map(|(key, _)| key).collect();
        for key in keys {
            if let Some(connection) = self.table.get_mut(key) {
                connection.session.handle_stop(reason);
            }
            self.settle(key);
        }
    }
}
