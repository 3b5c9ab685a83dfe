//! A connection as its worker keeps it, and the token by which epoll reports it.
//!
//! What is done with it is the business of the worker.

use super::link_end::LinkEnd;
use crate::deadlines::Moment;
use crate::net::poll::Interest;
use crate::net::stream::Peer;
use crate::session::Session;
use crate::sources::Visit;

#[derive(Debug)]
pub(super) struct Connection<C> {
    pub(super) id: u64,
    pub(super) stream: C,
    pub(super) session: Session,
    pub(super) peer: Peer,
    /// What epoll is asked to report.
    pub(super) interest: Interest,
    /// Nothing, for nearly all.
    pub(super) beside: Option<Box<Beside>>,
}

/// What few connections have.
#[derive(Debug, Default)]
pub(super) struct Beside {
    /// What there is beside, if it is a link.
    pub(super) link: Option<LinkEnd>,
    /// That it is counted among those of its source.
    pub(super) visit: Option<Box<Visit>>,
    /// Whether its place is one beside the others.
    pub(super) is_aside: bool,
}

impl Beside {
    pub(super) fn is_any(&self) -> bool {
        self.link.is_some() || self.visit.is_some() || self.is_aside
    }

    /// Takes what the session has heard.
    pub(super) fn heed(&mut self, session: &mut Session, id: u64, now: Moment) {
        if let Some(visit) = &mut self.visit
            && session.messages() > 0
        {
            visit.speak();
        }
        if let Some(link) = &mut self.link {
            link.handle_heard(session, id, now);
        }
    }
}

impl<C> Connection<C> {
    pub(super) fn link(&self) -> Option<&LinkEnd> {
        self.beside.as_ref().and_then(|beside| beside.link.as_ref())
    }

    /// Whether a report with `token`, which has this connection's key, is for it and not for one
    /// before it.
    pub(super) fn is_meant(&self, token: u64) -> bool {
        token >> 32 == self.id & u64::from(u32::MAX)
    }
}

/// A connection's token: the end of its number, which tells it from those that had its key before,
/// and its key.
pub(super) fn token(key: usize, id: u64) -> u64 {
    id << 32 | (key as u64 & u64::from(u32::MAX))
}

pub(super) fn key_of(token: u64) -> usize {
    usize::try_from(token & u64::from(u32::MAX)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::stream::Stream;

    /// Ten thousand of them are idle; with its deadline each may have 128 bytes.
    #[test]
    fn a_connection_is_small() {
        assert!(size_of::<Connection<Stream>>() <= 104, "{}", size_of::<Connection<Stream>>());
    }
}
