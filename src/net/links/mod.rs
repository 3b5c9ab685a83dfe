//! The thread that minds the links: dials the peers, and hands their connections to the workers.
//!
//! When a peer is dialled and which of its connections is kept is decided by [`Link`](crate::link::Link);
//! what is said over one, by its session. Here is who is who: addresses, sockets, threads.

mod dial;
mod directory;
mod peer;
mod resolver;
pub mod sheet;

pub use dial::SourcePort;
pub use directory::{Directory, Linkage};

use super::address::Local;
use super::errands::Errand;
use super::intake::{BUSY_RETRY, Intake};
use super::listener;
use super::mailbox::{Mailbox, Post};
use super::orders::Orders;
use super::poll::Poll;
use super::worker::Arrival;
use crate::deadlines::{Deadlines, Moment};
use crate::link::{Manners, Retry, Suspicion};
use crate::session::{EndReason, Service};
use peer::Peer;
use resolver::{Found, Resolver};
use sheet::{LinkedBy, Sheets};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// How soon one dial follows another: a daemon with a thousand peers does not dial them all at once.
const PACE: Duration = Duration::from_millis(10);

/// A peer that is to be linked to.
#[derive(Debug, Clone)]
pub struct Peering {
    /// The peer's name.
    pub name: String,
    /// The name or number of its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// What answers it.
    pub service: Arc<Service>,
    /// Where that listens.
    pub sockets: Vec<Local>,
    /// Options of the socket that dials.
    pub options: listener::Options,
    /// Which port is dialled from.
    pub source_port: SourcePort,
    /// How long to wait after a failure.
    pub retry: Retry,
    /// How it is treated.
    pub manners: Manners,
}

/// What the thread of the links is told.
#[derive(Debug)]
pub enum Told {
    /// Other peers, in place of those there are, and where this daemon listens.
    Peers(Vec<Peering>, Vec<Local>),
    /// The connection with this number between these two addresses is a link.
    Linked {
        /// The peer's key.
        key: u64,
        /// The connection's number.
        connection: u64,
        /// Its end here and the other one.
        ends: (SocketAddr, SocketAddr),
        /// Whether this daemon dialled.
        dialled: bool,
        /// The number of the worker that has it, from 0.
        worker: usize,
    },
    /// A link has ended.
    Ended {
        /// The peer's key.
        key: u64,
        /// The connection's number.
        connection: u64,
        /// Why.
        reason: EndReason,
        /// What was learnt of the peer, where this daemon dialled.
        suspicion: Option<Suspicion>,
    },
    /// What was found out about a peer's name.
    Found(u64, Found),
}

/// The thread's whole state.
#[derive(Debug)]
pub struct Links {
    poll: Poll,
    told: Mailbox<Told>,
    /// Where others tell it something.
    post: Post<Told>,
    intake: Intake,
    directory: Arc<Directory>,
    sheets: Sheets,
    orders: Arc<Orders>,
    resolver: Resolver,
    peers: BTreeMap<u64, Peer>,
    /// The key of the next peer.
    next_key: u64,
    /// Where this daemon listens.
    listeners: Vec<Local>,
    /// When each peer wants to be looked at.
    deadlines: Deadlines,
    /// Peers that are to be dialled, when it is their turn.
    queue: VecDeque<u64>,
    /// When the next dial may begin.
    next_dial: Moment,
    /// Errands and connections that found a mailbox full.
    errands: Vec<(usize, Errand)>,
    arrivals: Vec<Arrival>,
}

impl Links {
    /// A thread that is told by `post` and dials nobody yet.
    #[must_use]
    pub fn new(
        poll: Poll,
        (post, told): (Post<Told>, Mailbox<Told>),
        intake: Intake,
        directory: Arc<Directory>,
        sheets: Sheets,
        orders: Arc<Orders>,
    ) -> Links {
        Links {
            poll,
            told,
            post,
            intake,
            directory,
            sheets,
            orders,
            resolver: Resolver::default(),
            peers: BTreeMap::new(),
            next_key: 1,
            listeners: Vec::new(),
            deadlines: Deadlines::default(),
            queue: VecDeque::new(),
            next_dial: Moment::from_millis(0),
            errands: Vec::new(),
            arrivals: Vec::new(),
        }
    }

    /// Dials and minds the links until the server drains or stops.
    ///
    /// # Errors
    ///
    /// When epoll fails, which is a fault of shoutd's own.
    pub fn run(mut self) -> io::Result<()> {
        loop {
            self.poll.turn(self.next_look())?;
            if self.orders.is_stop() || self.orders.draining().is_some() {
                // links that are there are served to their end, as all connections are
                self.hand_over_all();
                for _ in self.arrivals.drain(..) {
                    self.intake.admission().leave();
                }
                self.orders.one_way_closed();
                self.intake.ring();
                return Ok(());
            }
            for told in self.told.messages() {
                self.hear(told);
            }
            let dialled: Vec<u64> = (0..).map_while(|nth| self.poll.token(nth)).collect();
            for key in dialled {
                self.with(key, |peer, links, now| peer.handle_connected(links, now));
            }
            while let Some(key) = self.deadlines.pop(self.poll.now()) {
                // it is looked at, and says when it wants to be looked at again
                self.with(key.into(), |_, _, _| {});
            }
            while self.poll.now() >= self.next_dial
                && let Some(key) = self.queue.pop_front()
            {
                self.with(key, Peer::dial);
            }
            self.hand_over_all();
            self.run_errands();
        }
    }

    /// Takes other peers in place of those there are.
    pub fn set_peers(&mut self, peerings: Vec<Peering>, listeners: Vec<Local>) {
        let now = self.poll.now();
        self.listeners = listeners;
        let mut before = std::mem::take(&mut self.peers);
        let mut sheets = Vec::new();
        for peering in peerings {
            let same = before.iter().find(|(_, peer)| peer.is_same(&peering)).map(|(key, _)| *key);
            let key = same.unwrap_or(self.next_key);
            let peer = match before.remove(&key) {
                Some(mut peer) => {
                    peer.renew(peering, &self.directory, now);
                    peer
                }
                None => {
                    self.next_key += 1;
                    Peer::new(key, peering, now)
                }
            };
            sheets.push(Arc::clone(peer.sheet()));
            self.peers.insert(key, peer);
            let is_new = same.is_none();
            self.with(key, |peer, links, _| {
                if is_new {
                    peer.introduce(links);
                }
            });
        }
        for (key, peer) in before {
            if let Ok(key) = u32::try_from(key) {
                self.deadlines.set(key, Moment::NEVER);
            }
            self.directory.remove(key);
            for connection in peer.connections() {
                log::info!(peer = peer.name(), connection, reason = EndReason::PeerRemoved.word(); "link ended");
                self.send(|| Errand::Unlink(connection, EndReason::PeerRemoved));
            }
        }
        self.sheets.set(sheets);
    }

    fn hear(&mut self, told: Told) {
        match told {
            Told::Peers(peerings, listeners) => self.set_peers(peerings, listeners),
            Told::Linked { key, connection, ends, dialled, worker } => {
                if !self.peers.contains_key(&key) {
                    self.send(|| Errand::Unlink(connection, EndReason::PeerRemoved));
                }
                let linked = LinkedBy { connection, remote: ends.1, dialled, worker };
                self.with(key, |peer, _, now| peer.handle_link(linked, ends, now));
            }
            Told::Ended { key, connection, reason, suspicion } => {
                self.with(key, |peer, _, now| peer.handle_end(connection, reason, suspicion, now));
            }
            Told::Found(key, found) => {
                let tell = self.tell();
                self.resolver.handle_found(&tell);
                self.with(key, |peer, links, now| peer.handle_found(found, links, now));
            }
        }
    }

    /// Lets a peer do something, and then whatever follows from that.
    fn with(&mut self, key: u64, act: impl FnOnce(&mut Peer, &mut Links, Moment)) {
        // taken out, as it has to do with all the rest
        let Some(mut peer) = self.peers.remove(&key) else { return };
        let now = self.poll.now();
        act(&mut peer, self, now);
        peer.mind(self, now);
        peer.publish();
        if let Ok(key) = u32::try_from(key) {
            self.deadlines.set(key, peer.next_look());
        }
        self.peers.insert(key, peer);
    }

    /// Takes that a peer is to be dialled, once it is its turn.
    fn queue_up(&mut self, key: u64) {
        self.queue.push_back(key);
    }

    fn next_look(&self) -> Option<Moment> {
        let retry = self.poll.now().after(BUSY_RETRY);
        let is_busy = !self.errands.is_empty() || !self.arrivals.is_empty();
        let dial = (!self.queue.is_empty()).then_some(self.next_dial);
        self.deadlines.next().into_iter().chain(dial).chain(is_busy.then_some(retry)).min()
    }

    /// Asks for the addresses of a host.
    fn resolve(&mut self, key: u64, host: &str, port: u16) {
        let tell = self.tell();
        self.resolver.ask(key, host, port, &tell);
    }

    fn tell(&self) -> impl Fn(u64, Found) + Clone + Send + 'static {
        let post = self.post.clone();
        // whoever was asked may answer after the thread has ended
        move |key, found| drop(post.post(Told::Found(key, found)))
    }

    /// Takes a place for a connection, and hands it to a worker.
    fn bring(&mut self, arrival: Arrival) {
        self.intake.admission().enter_anyway();
        self.arrivals.push(arrival);
    }

    fn hand_over_all(&mut self) {
        for arrival in std::mem::take(&mut self.arrivals) {
            self.arrivals.extend(self.intake.hand_over(arrival).err());
        }
    }

    /// Sends an errand to each worker: one of them has the connection.
    fn send(&mut self, errand: impl Fn() -> Errand) {
        self.errands.extend((0..self.intake.workers().len()).map(|worker| (worker, errand())));
    }

    fn run_errands(&mut self) {
        for (worker, errand) in std::mem::take(&mut self.errands) {
            if let Some(handle) = self.intake.workers().get(worker) {
                self.errands.extend(handle.errands.post(errand).err().map(|errand| (worker, errand)));
            }
        }
    }
}
