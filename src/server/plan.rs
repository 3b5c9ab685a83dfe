//! From settings to doors: which sockets stay, which are opened, which go, and how many connections
//! there may be.
//!
//! Nothing is changed here but that sockets are opened; whoever drops a plan has changed nothing.

use super::peers::Peer;
use super::settings::{self, Listener, Refused, Settings};
use crate::metrics::Tally;
use crate::net::acceptor::Door;
use crate::net::address::{Address, Local};
use crate::net::entrance::{Entrance, OnLimit};
use crate::net::links::{Peering, SourcePort};
use crate::net::listener::{self, BindError, Listening, Origin, Pool, try_congestion};
use crate::net::{descriptors, plain, reception};
use crate::session::Service;
use crate::sources::Sources;
use std::num::NonZero;
use std::sync::Arc;

/// Descriptors that connections may not take, at least: listeners, loops, the log, and some to spare.
const RESERVE: usize = 64;
/// Those of them that are to spare, and for whoever looks at the daemon.
const SPARE: usize = 48;

/// What of a listener outlives its settings.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    /// What is counted for it.
    pub(super) tally: Arc<Tally>,
    /// Where its connections come from.
    pub(super) sources: Arc<Sources>,
}

impl Kept {
    /// What a listener that is new has, with so many workers.
    pub(super) fn new(workers: usize) -> Kept {
        // the acceptor has a sheet, too: the last
        Kept { tally: Arc::new(Tally::new(workers + 1)), sources: Arc::default() }
    }
}

/// What is to be.
#[derive(Debug)]
pub(super) struct Plan {
    /// Every socket with what is served on it.
    pub(super) doors: Vec<Door>,
    /// The options of each of these sockets; those that listened before have other ones still.
    options: Vec<listener::Options>,
    /// Each listener, in the order of the settings.
    pub(super) services: Vec<Arc<Service>>,
    /// What was passed by systemd and serves no listener.
    pub(super) idle: Pool,
    /// What listens and shall not any more.
    leaving: Pool,
    /// How many connections may be open at once.
    pub(super) max_connections: usize,
    /// Each peer, in the order of the settings.
    pub(super) peers: Vec<Peering>,
}

impl Plan {
    /// The plan for `settings` with `workers` workers, where the sockets of `pool` listen already;
    /// `kept` gives what outlives other settings of the listener of a name.
    pub(super) fn new(
        settings: Settings,
        workers: usize,
        mut pool: Pool,
        mut kept: impl FnMut(&str) -> Kept,
    ) -> Result<Plan, Refused> {
        let max_connections = places(&settings, workers)?;
        let known = settings::names(&settings.listeners);
        let dials =
            |name: &str| settings.peers.iter().any(|peer| peer.via == name && peer.source_port == SourcePort::Listen);
        let (mut doors, mut options, mut services) = (Vec::new(), Vec::new(), Vec::new());
        for Listener { addresses, mut socket, entrance, mut service } in settings.listeners {
            socket.dials = dials(&service.name);
            // of which UNIX sockets have none
            let is_tcp = addresses.iter().any(|address| matches!(address, Address::Tcp { .. }));
            if let Some(name) = socket.congestion.as_ref().filter(|_| is_tcp) {
                try_congestion(name).map_err(|why| BindError::told(format!("{}: {why}", service.name)))?;
            }
            let is_passed =
                |found: &Arc<Listening>| matches!(found.origin(), Origin::Passed(name) if *name == service.name);
            let (mut sockets, others): (Pool, Pool) = pool.into_iter().partition(is_passed);
            pool = others;
            for passed in &sockets {
                if !addresses.iter().any(|address| address.means(passed.local())) {
                    let listen: Vec<String> = addresses.iter().map(ToString::to_string).collect();
                    let (name, local) = (&service.name, passed.local());
                    log::warn!("{name}: listening on {local}, which was passed, and not on {}", listen.join(", "));
                }
            }
            if sockets.is_empty() {
                for address in &addresses {
                    sockets.extend(Listening::open(&service.name, address, &socket, &mut pool)?);
                }
            }
            let Kept { tally, sources } = kept(&service.name);
            service.tally = tally;
            let entrance = Arc::new(Entrance::new(entrance, sources, service.limits.rates.are_shared()));
            let service = Arc::new(service);
            for listening in sockets {
                let (entrance, service) = (Arc::clone(&entrance), Arc::clone(&service));
                doors.push(Door { listening, entrance, service, backlog: socket.backlog });
                options.push(socket.clone());
            }
            services.push(service);
        }
        let (idle, leaving) = pool.into_iter().partition(|found| matches!(found.origin(), Origin::Passed(_)));
        let answered = |peer: &Peer| {
            let unanswered = || Refused::Unanswered { peer: peer.name.clone(), known: known.clone() };
            peering(peer, &doors, &options).ok_or_else(unanswered)
        };
        let peers = settings.peers.iter().map(answered).collect::<Result<_, _>>()?;
        Ok(Plan { doors, options, services, idle, leaving, max_connections, peers })
    }

    /// All addresses that this daemon listens on.
    pub(super) fn listeners(&self) -> Vec<Local> {
        self.doors.iter().flat_map(|door| door.listening.addresses()).collect()
    }

    /// Where the connections that `service` serves come from.
    pub(super) fn sources(&self, service: &Arc<Service>) -> Arc<Sources> {
        let door = self.doors.iter().find(|door| Arc::ptr_eq(&door.service, service));
        door.map(|door| Arc::clone(door.entrance.sources())).unwrap_or_default()
    }

    /// Sets the options of all sockets, and lets go of those that are not listened on any more, with
    /// their paths; from this point on things are changed.
    pub(super) fn begin(&mut self) {
        for old in self.leaving.drain(..) {
            old.set_stays(false);
        }
        for (door, options) in self.doors.iter().zip(&self.options) {
            if let Err(errno) = door.listening.tune(options) {
                log::warn!("cannot set the options of {}: {}", door.listening.local(), plain(errno));
            }
        }
    }
}

/// What a peer comes to, if there is a listener that answers it.
fn peering(peer: &Peer, doors: &[Door], options: &[listener::Options]) -> Option<Peering> {
    let Address::Tcp { host, port } = peer.address.clone() else { return None };
    let own = || doors.iter().zip(options).filter(|(door, _)| door.service.name == peer.via);
    let (door, options) = own().next()?;
    Some(Peering {
        name: peer.name.clone(),
        host,
        port,
        service: Arc::clone(&door.service),
        sockets: own().flat_map(|(door, _)| door.listening.addresses()).collect(),
        options: options.clone(),
        source_port: peer.source_port,
        retry: peer.retry.clone(),
        manners: peer.manners.clone(),
    })
}

/// How many connections may be open at once, with `workers` workers.
fn places(settings: &Settings, workers: usize) -> Result<usize, Refused> {
    let files = usize::try_from(descriptors::raise_limit()?).unwrap_or(usize::MAX);
    // a name may stand for two addresses, and each thread has an epoll and a bell
    let listeners: usize = settings.listeners.iter().map(|listener| 2 * listener.addresses.len()).sum();
    // a link that is made while there is one already, and the loops of the acceptor and of the links
    let waits = settings.listeners.iter().any(|listener| listener.entrance.on_limit == OnLimit::Wait);
    let reserve = RESERVE.max(SPARE + listeners + 2 * (workers + 2))
        + 2 * settings.peers.len()
        + if waits { reception::WAITING.0 } else { 0 };
    match (files.saturating_sub(reserve), settings.max_connections.map(NonZero::get)) {
        (0, _) => Err(Refused::NoConnections { files }),
        (allowed, Some(asked)) if asked > allowed => Err(Refused::TooManyConnections { asked, allowed }),
        (allowed, asked) => Ok(asked.unwrap_or(allowed)),
    }
}
