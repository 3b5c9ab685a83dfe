//! The peers of a server, as settings say them.

use crate::link::{Manners, Retry};
use crate::net::address::Address;
use crate::net::links::SourcePort;

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
