//! How a session goes over to another way of being served, as after a reload: between two messages.
//!
//! Which way that is, and for whom, is not known here.

use super::{Limits, Service, Session, Stage};
use crate::transform::Context;
use std::sync::Arc;

impl Session {
    /// Whether it needs a [`Context`] to be served as `service` says.
    #[must_use]
    pub fn lacks_context(&self, service: &Service) -> bool {
        self.held.as_ref().is_none_or(|held| held.context.is_none()) && service.pipeline.wants_context()
    }

    /// Takes that it is to be served as `service` says from the next message on, or, under `stream`, as
    /// soon as the steps hold nothing back, but with its waits from now on; that must [read bytes](crate::framing::Framing::reads_as) as it does now.
    /// `context` is what its steps may say of it, where it [lacks](Self::lacks_context) that.
    pub fn handle_service(&mut self, service: Arc<Service>, context: Option<Box<Context>>) {
        if matches!(self.stage, Stage::Lingering | Stage::Ended { .. }) {
            return; // it is served no more
        }
        let held = self.held();
        held.context = held.context.take().or(context);
        held.next = Some(service);
        self.speed_up(); // by other rates it may go on
        self.renew_if(self.is_between_messages());
        self.release();
    }

    /// Whether no message has begun, nor anything is held back.
    pub(super) fn is_between_messages(&self) -> bool {
        self.held.as_ref().is_none_or(|held| held.rest.is_empty() && held.memories.are_at_rest())
    }

    /// Takes over how it is to be served, if that was said and it is the moment.
    pub(super) fn renew_if(&mut self, is_between_messages: bool) {
        if is_between_messages && let Some(next) = self.held.as_mut().and_then(|held| held.next.take()) {
            let Limits { buffer_size, buffer_size_max, .. } = next.limits;
            let size = self.read_size().clamp(buffer_size, buffer_size_max);
            self.read_size = u32::try_from(size).unwrap_or(u32::MAX);
            self.service = next;
            self.forget_context();
        }
    }

    /// How long each wait may last: what was said last, also in the middle of a message, or whoever is
    /// slow with it would be out of reach.
    pub(super) fn waits(&self) -> &Limits {
        let next = self.held.as_ref().and_then(|held| held.next.as_ref());
        &next.unwrap_or(&self.service).limits
    }
}
