//! The peers of a server: what settings say of each, and what can be said to one.

use super::control::Control;
use crate::link::{Manners, Retry};
use crate::net::address::Address;
use crate::net::errands::{Errand, Reply};
use crate::net::links::SourcePort;
use crate::net::links::sheet::PeerReport;
use crossbeam_channel::{Receiver, unbounded};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A configured peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its name, which no other peer has.
    pub name: String,
    /// Where it is dialled: a host and its port.
    pub address: Address,
    /// The listener that answers it, and from whose port it is dialled.
    pub via: String,
    /// Which port it is dialled from.
    pub source_port: SourcePort,
    /// How long to wait before it is dialled again.
    pub retry: Retry,
    /// How it is treated.
    pub manners: Manners,
}

impl Peer {
    /// A peer by an address, which the listener `via` answers, and the defaults.
    #[must_use]
    pub fn new(name: &str, address: Address, via: &str) -> Peer {
        Peer {
            name: name.to_owned(),
            address,
            via: via.to_owned(),
            source_port: SourcePort::default(),
            retry: Retry::default(),
            manners: Manners::default(),
        }
    }
}

/// Why nothing could be said to a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unsaid {
    /// There is no such peer.
    NoSuchPeer {
        /// The names of those there are.
        known: Vec<String>,
    },
    /// There is no link to it.
    Down {
        /// Its name.
        name: String,
        /// Why.
        why: Option<String>,
        /// When it is dialled next.
        next_try: Option<Duration>,
    },
    /// The worker that has its link has too much to do.
    Busy,
}

impl fmt::Display for Unsaid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unsaid::NoSuchPeer { known } if known.is_empty() => {
                f.write_str("there are no peers; a [[peer]] in the configuration is one")
            }
            Unsaid::NoSuchPeer { known } => write!(f, "there is no such peer; the peers are {}", known.join(", ")),
            Unsaid::Down { name, why, next_try } => {
                write!(f, "there is no link to {name}")?;
                if let Some(why) = why {
                    write!(f, ": {why}")?;
                }
                match next_try {
                    Some(next_try) => write!(f, "; it is dialled again in {:.1} s", next_try.as_secs_f64()),
                    None => Ok(()),
                }
            }
            Unsaid::Busy => f.write_str("the daemon has too much to do; try again"),
        }
    }
}

impl std::error::Error for Unsaid {}

impl Control {
    /// How the link to each peer is, in the order of the settings.
    #[must_use]
    pub fn peers(&self) -> Vec<PeerReport> {
        let now = self.now();
        self.0.sheets.read().iter().map(|sheet| sheet.report(now)).collect()
    }

    /// Says `text` to the peer with this name, or this address as it is configured; the receiver is told
    /// what comes of it, and is disconnected when there is nothing more to tell.
    ///
    /// # Errors
    ///
    /// Why nothing was said.
    pub fn say(&self, peer: &str, text: &[u8]) -> Result<Receiver<Reply>, Unsaid> {
        let peers = self.peers();
        let is_meant = |one: &&PeerReport| one.name == peer || one.address.to_string() == peer;
        let Some(found) = peers.iter().find(is_meant) else {
            return Err(Unsaid::NoSuchPeer { known: peers.into_iter().map(|one| one.name).collect() });
        };
        let Some(linked) = found.linked else {
            let (name, why, next_try) = (found.name.clone(), found.why.clone(), found.next_try);
            return Err(Unsaid::Down { name, why, next_try });
        };
        let (tell, told) = unbounded();
        let text: Arc<[u8]> = text.into();
        let mut posted = true;
        // one of them has it
        for worker in &self.0.workers {
            posted &= worker.errands.post(Errand::Say(linked.connection, Arc::clone(&text), tell.clone())).is_ok();
        }
        if posted { Ok(told) } else { Err(Unsaid::Busy) }
    }
}
