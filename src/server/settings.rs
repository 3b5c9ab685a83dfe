//! What a server is told: its settings, and why they are refused.

use super::peers::Peer;
use crate::net::access::AccessLog;
use crate::net::address::Address;
use crate::net::entrance;
use crate::net::listener::{self, BindError, Listening};
use crate::net::orders::Drain;
use crate::net::plain;
use crate::session::Service;
use std::num::NonZero;
use std::time::Duration;
use std::{fmt, io};

/// Everything a server needs to know.
#[derive(Debug)]
pub struct Settings {
    /// The services; at least one.
    pub listeners: Vec<Listener>,
    /// How many event-loop threads; `None` is one per CPU. Only a start minds it.
    pub workers: Option<NonZero<usize>>,
    /// How long a worker goes on looking for something to do before it sleeps, for the sake of a lone client; `None`
    /// is not at all. Only a start minds it.
    pub spin: Option<Duration>,
    /// How many connections may be open at once; `None` is what the limit of open files allows,
    /// less a reserve of 64, or more with many workers.
    pub max_connections: Option<NonZero<usize>>,
    /// How a stop goes.
    pub drain: Drain,
    /// Which connections have records of their own in the log.
    pub access: AccessLog,
    /// The peers that this server links to.
    pub peers: Vec<Peer>,
}

impl Settings {
    /// `listeners`, and the defaults.
    #[must_use]
    pub fn new(listeners: Vec<Listener>) -> Settings {
        Settings {
            listeners,
            workers: None,
            spin: None,
            max_connections: None,
            drain: Drain::default(),
            access: AccessLog::default(),
            peers: Vec::new(),
        }
    }
}

/// One configured service.
#[derive(Debug)]
pub struct Listener {
    /// Where it listens; at least one address. Sockets that were [passed](super::Server::start_with)
    /// under its name are used instead.
    pub addresses: Vec<Address>,
    /// Options of its sockets.
    pub socket: listener::Options,
    /// Who is let in.
    pub entrance: entrance::Options,
    /// How its connections are served.
    pub service: Service,
}

impl Listener {
    /// A service on one address, and the defaults.
    #[must_use]
    pub fn new(address: Address, service: Service) -> Listener {
        let (socket, entrance) = Default::default();
        Listener { addresses: vec![address], socket, entrance, service }
    }
}

/// Why a server does not start, or does not take other settings.
#[derive(Debug)]
pub enum Refused {
    /// An address cannot be listened on.
    Bind(BindError),
    /// More connections are asked for than files may be open.
    TooManyConnections {
        /// `max_connections`.
        asked: usize,
        /// What the limit of open files allows.
        allowed: usize,
    },
    /// The limit of open files leaves none for connections.
    NoConnections {
        /// The limit.
        files: usize,
    },
    /// A socket was passed under a name that no listener has.
    Nobodys {
        /// The name.
        name: String,
        /// The names there are.
        known: String,
    },
    /// A peer is to be answered by a listener that there is not.
    Unanswered {
        /// The peer's name.
        peer: String,
        /// The names there are.
        known: String,
    },
    /// The server is stopping.
    Stopping,
    /// The system refused something else.
    System(io::Error),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Bind(error) => error.fmt(f),
            Refused::TooManyConnections { asked, allowed } => write!(
                f,
                "max_connections = {asked} does not fit: the limit of open files allows {allowed}, less a reserve; \
                 lower it, or raise the limit (LimitNOFILE= in the unit, ulimit -n in a shell)"
            ),
            Refused::NoConnections { files } => write!(
                f,
                "the limit of open files ({files}) leaves none for connections; \
                 raise it (LimitNOFILE= in the unit, ulimit -n in a shell)"
            ),
            Refused::Nobodys { name, known } => write!(
                f,
                "systemd passed a socket named `{name}`, and no listener has that name; \
                 say FileDescriptorName= in the .socket unit (listeners: {known})"
            ),
            Refused::Unanswered { peer, known } => write!(
                f,
                "the peer {peer} is answered by no listener that there is; say another `via` (listeners: {known})"
            ),
            Refused::Stopping => f.write_str("the daemon is stopping"),
            Refused::System(error) => f.write_str(&plain(error)),
        }
    }
}

impl std::error::Error for Refused {}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Refused::System(error)
    }
}

impl From<BindError> for Refused {
    fn from(error: BindError) -> Self {
        Refused::Bind(error)
    }
}

/// The names of `listeners`, as a list for people.
pub(super) fn names(listeners: &[Listener]) -> String {
    listeners.iter().map(|listener| listener.service.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// Sockets that listen already when a server starts.
pub type Inherited = Vec<Listening>;
