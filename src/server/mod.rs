//! The threads: started, wired, drained, joined.

use crate::net::listener::{self, Address};
use crate::session::Service;
use std::num::NonZero;
use std::time::Duration;

/// Everything a server needs to know.
#[derive(Debug)]
pub struct Settings {
    /// The services; at least one.
    pub listeners: Vec<Listener>,
    /// How many event-loop threads; `None` is one per CPU.
    pub workers: Option<NonZero<usize>>,
    /// How many connections may be open at once; `None` is what the limit of open files allows.
    pub max_connections: Option<NonZero<usize>>,
    /// How a stop goes.
    pub drain: Drain,
}

/// One configured service.
#[derive(Debug)]
pub struct Listener {
    /// Its name in logs, and the name systemd passes its sockets by.
    pub name: String,
    /// Where it listens; at least one address.
    pub addresses: Vec<Address>,
    /// Options of its sockets.
    pub socket: listener::Options,
    /// How its connections are served.
    pub service: Service,
}

/// How a stop goes: each open connection is served until its end or until it was quiet for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drain {
    /// How long a connection must be quiet before a stop closes it.
    pub idle: Duration,
    /// Over how long the closing of quiet connections is spread.
    pub spread: Duration,
    /// When a stop gives up on those that are still busy.
    pub timeout: Duration,
}

impl Default for Drain {
    fn default() -> Self {
        Drain { idle: Duration::from_secs(1), spread: Duration::from_secs(1), timeout: Duration::from_secs(30) }
    }
}
