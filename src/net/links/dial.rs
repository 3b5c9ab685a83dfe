//! Dialling: a socket that connects without being waited for, and why one does not.
//!
//! When a peer is dialled, and what follows, is not known here.

use super::sheet::Dialled;
use crate::net::address::Local;
use crate::net::listener;
use crate::net::plain;
use crate::net::tuning::prepare;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::Instant;

const FLAGS: SocketFlags = SocketFlags::CLOEXEC.union(SocketFlags::NONBLOCK);

/// Which port a peer is dialled from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SourcePort {
    /// That of the listener: so the peer knows who it is, and there is one connection for each pair.
    #[default]
    Listen,
    /// Any, as behind a router that changes it anyway.
    Any,
}

/// Why a dial came to nothing, for a program and for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) result: Dialled,
    pub(super) why: String,
}

impl Failure {
    pub(super) fn new(result: Dialled, why: impl Into<String>) -> Failure {
        Failure { result, why: why.into() }
    }
}

/// A connection that is being made.
#[derive(Debug)]
pub(super) struct Dial {
    socket: OwnedFd,
    to: SocketAddr,
    bound: bool,
    begun: Instant,
}

impl Dial {
    /// Begins to connect to `to`, from `from` or from any port.
    pub(super) fn begin(
        to: SocketAddr,
        from: Option<SocketAddr>,
        options: &listener::Options,
    ) -> Result<Dial, Failure> {
        let begun = Instant::now();
        let open = || {
            let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
            let socket = rustix::net::socket_with(family, SocketType::STREAM, FLAGS, None)?;
            prepare(&socket, options)?;
            if from.is_some() {
                sockopt::set_socket_reuseaddr(&socket, true)?;
                sockopt::set_socket_reuseport(&socket, true)?;
            }
            if from.is_some_and(|from| from.is_ipv6()) {
                sockopt::set_ipv6_v6only(&socket, true)?;
            }
            Ok(socket)
        };
        let socket = open().map_err(|errno| failure(errno, to, false))?;
        if let Some(from) = from {
            rustix::net::bind(&socket, &from).map_err(|errno| cannot_bind(errno, from))?;
        }
        let dial = Dial { socket, to, bound: from.is_some(), begun };
        let connect = || {
            failpoint!("dial", |errno| Err(Errno::from_raw_os_error(errno)));
            rustix::net::connect(&dial.socket, &to)
        };
        match connect() {
            Ok(()) | Err(Errno::INPROGRESS | Errno::INTR) => Ok(dial),
            Err(errno) => Err(failure(errno, to, dial.bound)),
        }
    }

    pub(super) fn socket(&self) -> &OwnedFd {
        &self.socket
    }

    pub(super) fn to(&self) -> SocketAddr {
        self.to
    }

    /// What has become of it, once its socket can be written to.
    pub(super) fn finish(self) -> Result<Connected, Failure> {
        let failed = |errno| failure(errno, self.to, self.bound);
        sockopt::socket_error(&self.socket).and_then(|result| result).map_err(failed)?;
        let address = |name: Result<rustix::net::SocketAddrAny, Errno>| {
            name.and_then(|any| SocketAddr::try_from(any).map_err(|_| Errno::AFNOSUPPORT)).map_err(failed)
        };
        let remote = rustix::net::getpeername(&self.socket).and_then(|name| name.ok_or(Errno::NOTCONN));
        let remote = address(remote)?;
        if address(rustix::net::getsockname(&self.socket))? == remote {
            return Err(oneself(self.to));
        }
        Ok(Connected { round_trip: self.begun.elapsed(), socket: self.socket, remote })
    }
}

/// A connection that was made.
#[derive(Debug)]
pub(super) struct Connected {
    pub(super) socket: OwnedFd,
    pub(super) remote: SocketAddr,
    pub(super) round_trip: std::time::Duration,
}

/// The listening address of `via` to dial `to` from.
pub(super) fn source(via: &[Local], to: SocketAddr) -> Result<SocketAddr, Failure> {
    let addresses =
        || via.iter().filter_map(|local| if let Local::Tcp(address) = local { Some(*address) } else { None });
    let family = || addresses().filter(|own| own.is_ipv4() == to.is_ipv4());
    let fits = |own: &SocketAddr| own.ip().is_unspecified() || own.ip().is_loopback() == to.ip().is_loopback();
    let far = |own: &SocketAddr| !own.ip().is_loopback();
    family().find(fits).or_else(|| family().find(far)).ok_or_else(|| {
        let why = if family().next().is_some() {
            "its listener is on the loopback, from which no other host is reached; \
             write source_port = \"any\", or listen on another address"
                .to_owned()
        } else {
            let version = if to.is_ipv4() { 4 } else { 6 };
            format!("its listener has no IPv{version} address; write source_port = \"any\", or listen on one")
        };
        Failure::new(Dialled::Unreachable, why)
    })
}

/// Whether whoever dials `to` would reach one of `listeners` of this daemon.
pub(super) fn is_oneself(to: SocketAddr, listeners: &[Local]) -> bool {
    listeners.iter().any(|local| {
        let Local::Tcp(own) = local else { return false };
        own.port() == to.port()
            && own.is_ipv4() == to.is_ipv4()
            && (own.ip() == to.ip() || (own.ip().is_unspecified() && is_of_this_host(to.ip())))
    })
}

/// Whether the address is one of this host's: then, and only then, a socket can have it.
fn is_of_this_host(ip: IpAddr) -> bool {
    std::net::UdpSocket::bind((ip, 0)).is_ok()
}

pub(super) fn oneself(to: SocketAddr) -> Failure {
    Failure::new(Dialled::Oneself, format!("{to} is this daemon itself"))
}

fn cannot_bind(errno: Errno, from: SocketAddr) -> Failure {
    match errno {
        Errno::ADDRINUSE => {
            let why = format!(
                "cannot dial from {from}: the listening socket is another user's, as one that systemd passes; \
                 write source_port = \"any\""
            );
            Failure::new(Dialled::NoPort, why)
        }
        Errno::ACCESS | Errno::PERM => {
            let why = format!("no permission to dial from {from}; write source_port = \"any\"");
            Failure::new(Dialled::NoPort, why)
        }
        errno => Failure::new(Dialled::NoPort, format!("cannot dial from {from}: {}", plain(errno))),
    }
}

/// Sorts a failure of connect(2).
fn failure(errno: Errno, to: SocketAddr, bound: bool) -> Failure {
    let result = match errno {
        Errno::CONNREFUSED => Dialled::Refused,
        Errno::TIMEDOUT => Dialled::TimedOut,
        Errno::HOSTUNREACH
        | Errno::NETUNREACH
        | Errno::HOSTDOWN
        | Errno::NETDOWN
        | Errno::ACCESS
        | Errno::PERM
        | Errno::INVAL
        | Errno::AFNOSUPPORT => Dialled::Unreachable,
        // from a given port it says that there is such a connection already, from any that none is left
        Errno::ADDRNOTAVAIL | Errno::ADDRINUSE if bound => Dialled::Taken,
        Errno::ADDRNOTAVAIL | Errno::AGAIN | Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM => {
            Dialled::NoPort
        }
        _ => Dialled::Failed,
    };
    let why = match result {
        Dialled::Taken => "there is a connection of these two ports already".to_owned(),
        Dialled::NoPort if errno == Errno::ADDRNOTAVAIL => format!("no free port is left to dial {to} from"),
        _ => plain(errno),
    };
    Failure::new(result, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_peer_is_dialled_from_the_address_of_its_listener_that_reaches_it() {
        let via = ["127.0.0.1:5000", "[::1]:5000", "192.0.2.1:5000"].map(|text| Local::Tcp(at(text)));
        let from = |to| source(&via, at(to)).map_err(|failure| failure.why);
        assert_eq!(from("127.0.0.1:6000"), Ok(at("127.0.0.1:5000")));
        assert_eq!(from("[::1]:6000"), Ok(at("[::1]:5000")));
        assert_eq!(from("198.51.100.1:6000"), Ok(at("192.0.2.1:5000")));
        assert!(from("[2001:db8::1]:6000").unwrap_err().contains("source_port = \"any\""));
        assert!(source(&via[..1], at("[::1]:1")).unwrap_err().why.contains("no IPv6 address"));
        let all = [Local::Tcp(at("0.0.0.0:5000"))];
        assert_eq!(source(&all, at("127.0.0.1:6000")), Ok(at("0.0.0.0:5000")));
        assert_eq!(source(&all, at("192.0.2.7:6000")), Ok(at("0.0.0.0:5000")));
    }

    #[test]
    fn an_address_of_this_host_is_oneself_under_a_wildcard_too() {
        let own = |text| [Local::Tcp(at(text))];
        assert!(is_oneself(at("127.0.0.1:5000"), &own("127.0.0.1:5000")));
        assert!(is_oneself(at("127.0.0.1:5000"), &own("0.0.0.0:5000")));
        assert!(!is_oneself(at("127.0.0.1:5001"), &own("0.0.0.0:5000")));
        assert!(!is_oneself(at("192.0.2.77:5000"), &own("0.0.0.0:5000")));
        assert!(!is_oneself(at("127.0.0.1:5000"), &own("[::]:5000")));
    }
}
