//! What a connection's start and end look like in the log, and which of them are told.
//!
//! When connections start and end is the business of the workers; where the log goes, nobody's here.

use super::stream::Peer;
use super::throttle::Throttle;
use crate::deadlines::Moment;
use crate::session::{EndReason, Session};
use log::Level;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// Which connections have records of their own in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum AccessLog {
    /// None: those that end as connections do every day are for who debugs, the others are told at
    /// `info`, as far as a throttle lets them.
    #[default]
    Off,
    /// Each, at `info`, when it ends.
    End,
    /// Each, at `info`, when it starts and when it ends.
    StartAndEnd,
}

/// The access log as all workers share it; it may be changed while they work.
#[derive(Debug, Default)]
pub struct Access(AtomicU8);

impl Access {
    /// Takes `access` for the starts and ends that come.
    pub fn set(&self, access: AccessLog) {
        self.0.store(access as u8, Relaxed);
    }

    fn get(&self) -> AccessLog {
        match self.0.load(Relaxed) {
            0 => AccessLog::Off,
            1 => AccessLog::End,
            _ => AccessLog::StartAndEnd,
        }
    }
}

/// What a worker tells of its connections.
#[derive(Debug)]
pub(super) struct Records {
    access: Arc<Access>,
    ends: Throttle,
}

impl Records {
    pub(super) fn new(access: Arc<Access>) -> Records {
        Records { access, ends: Throttle::default() }
    }

    /// Tells that the connection with the number `connection` started.
    pub(super) fn start(&self, connection: u64, peer: &Peer, session: &Session) {
        if self.access.get() == AccessLog::StartAndEnd {
            let listener = session.service().name.as_str();
            log::info!(connection, listener, peer:%; "start");
        }
    }

    /// Tells that the connection with the number `connection` ended for `reason`.
    pub(super) fn end(&mut self, connection: u64, peer: &Peer, session: &Session, reason: EndReason, now: Moment) {
        let level = if self.access.get() != AccessLog::Off {
            Level::Info
        } else if reason.is_ordinary() {
            Level::Debug
        } else {
            let Some(kept_back) = self.ends.pass(now) else { return };
            tell_kept_back(kept_back);
            Level::Info
        };
        log::log!(
            level,
            connection,
            listener = session.service().name.as_str(),
            peer:%,
            // as a quotient it is the number that is written with three decimals
            seconds = now.since(session.opened()).as_millis() as f64 / 1000.0,
            received = session.received(),
            sent = session.sent(),
            messages = session.messages(),
            reason = reason.word();
            "end"
        );
    }
}

impl Drop for Records {
    fn drop(&mut self) {
        tell_kept_back(self.ends.kept_back());
    }
}

fn tell_kept_back(ends: u64) {
    if ends > 0 {
        log::info!("{ends} more connections ended in such ways than this log has lines for");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_set_last_holds() {
        let access = Access::default();
        assert_eq!(access.get(), AccessLog::default());
        for mode in [AccessLog::StartAndEnd, AccessLog::End, AccessLog::Off] {
            access.set(mode);
            assert_eq!(access.get(), mode);
        }
    }
}
