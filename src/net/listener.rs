//! Listening sockets: addresses, binding, adopting those that systemd passes.
//!
//! What is served on a listener, and who accepts from it, is not known here.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Where to listen, as it is written in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// A host name or a numeric address, with a port; port 0 lets the system choose one.
    Tcp {
        /// A name, an IPv4 address, or an IPv6 address without its brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// The path of a UNIX socket.
    Unix(PathBuf),
}

impl FromStr for Address {
    type Err = String;

    /// Reads `host:port`, `[ipv6]:port` or `unix:PATH`.
    fn from_str(text: &str) -> Result<Address, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return match path {
                "" => Err("`unix:` needs a path, as in \"unix:/run/shoutd/shoutd.sock\"".to_owned()),
                path => Ok(Address::Unix(path.into())),
            };
        }
        let Some((host, port)) = text.rsplit_once(':') else {
            return Err(format!("`{text}` has no port; write \"{text}:5000\""));
        };
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(inner) => inner,
            None if host.contains(':') => {
                return Err(format!("an IPv6 address stands in brackets: \"[{host}]:{port}\""));
            }
            None => host,
        };
        if host.is_empty() {
            return Err(format!("`{text}` has no host; \"0.0.0.0:{port}\" and \"[::]:{port}\" are all addresses"));
        }
        match port.parse() {
            Ok(port) => Ok(Address::Tcp { host: host.to_owned(), port }),
            Err(_) => Err(format!("`{port}` is not a port: a whole number from 0 to 65535")),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Address::Tcp { host, port } => write!(f, "{host}:{port}"),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Options of a listener's sockets; those it accepts inherit them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How many connections may wait to be accepted (`listen(2)`).
    pub backlog: u32,
    /// Whether small answers are sent at once (`TCP_NODELAY`).
    pub nodelay: bool,
    /// How a silent client is asked whether it is still there; `None` is never.
    pub keepalive: Option<Keepalive>,
}

/// When a silent client is probed, and when it counts as gone (`tcp(7)`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keepalive {
    /// Silence before the first probe; whole seconds.
    pub idle: Duration,
    /// Time between probes; whole seconds.
    pub interval: Duration,
    /// Unanswered probes after which the client is gone.
    pub probes: u32,
}

impl Default for Options {
    fn default() -> Self {
        Options { backlog: 1024, nodelay: true, keepalive: Some(Keepalive::default()) }
    }
}

impl Default for Keepalive {
    fn default() -> Self {
        Keepalive { idle: Duration::from_secs(60), interval: Duration::from_secs(10), probes: 6 }
    }
}
