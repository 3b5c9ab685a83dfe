//! Which addresses are those of peers, so that a connection that comes from one is known to be a link.

use super::sheet::Sheet;
use crate::deadlines::Moment;
use crate::link::{Dialogue, Manners, Suspicion};
use crate::net::stream::Peer;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// That a connection is a link.
#[derive(Debug, Clone)]
pub struct Linkage {
    /// The peer's key with the thread that minds the links.
    pub key: u64,
    /// The peer's sheet.
    pub sheet: Arc<Sheet>,
    /// How it is treated.
    pub manners: Manners,
    /// How long it took to dial, and what was learnt of the peer before; none if the peer dialled.
    pub dialled: Option<(Duration, Suspicion)>,
}

impl Linkage {
    /// Whether this daemon dialled.
    pub(in crate::net) fn is_dialled(&self) -> bool {
        self.dialled.is_some()
    }

    /// What the session of the connection is told.
    pub(in crate::net) fn dialogue(&self, now: Moment) -> Dialogue {
        match self.dialled {
            Some((round_trip, suspicion)) => Dialogue::dialled(self.manners.clone(), round_trip, suspicion, now),
            None => Dialogue::accepted(self.manners.clone()),
        }
    }
}

/// Looks up peers by the address and port that their connections come from.
#[derive(Debug, Default)]
pub struct Directory {
    peers: Mutex<HashMap<(IpAddr, u16), Vec<Linkage>>>,
    /// Whether there are any.
    any: AtomicBool,
}

impl Directory {
    /// That a connection from `from` to the listener `via` is a link, if it is.
    #[must_use]
    pub fn find(&self, via: &str, from: &Peer) -> Option<Box<Linkage>> {
        let from = from.address()?;
        if !self.any.load(Relaxed) {
            return None;
        }
        let peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let found = peers.get(&(from.ip().to_canonical(), from.port()))?;
        found.iter().find(|linkage| linkage.sheet.via == via).cloned().map(Box::new)
    }

    /// Takes that the peer of `linkage` has these addresses, and no others.
    pub(super) fn set(&self, linkage: &Linkage, addresses: &[SocketAddr]) {
        self.remove(linkage.key);
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        for address in addresses {
            peers.entry((address.ip(), address.port())).or_default().push(linkage.clone());
        }
        self.any.store(!peers.is_empty(), Relaxed);
    }

    /// Takes that there is no such peer any more.
    pub(super) fn remove(&self, key: u64) {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        peers.retain(|_, linkages| {
            linkages.retain(|linkage| linkage.key != key);
            !linkages.is_empty()
        });
        self.any.store(!peers.is_empty(), Relaxed);
    }
}
