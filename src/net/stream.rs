//! A connected socket: outcomes instead of error numbers.
//!
//! What is read and written, and why a connection is closed, is not known here.

use super::address::Local;
use super::under_way::under_way;
use crate::session::EndReason;
use crate::transform::Context;
use nix::sys::socket::sockopt::PeerCredentials;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, sockopt};
use std::fmt;
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// The other end of a connection; small, as each idle connection has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// An address and port of IPv4.
    Ipv4(SocketAddrV4),
    /// An address and port of IPv6, which is none of IPv4.
    Ipv6(Box<SocketAddrV6>),
    /// A process of this host.
    Unix,
}

impl Peer {
    /// Whoever is at this address; one of IPv4 that a socket of both families gives as one of IPv6 is one of IPv4.
    #[must_use]
    pub fn of(address: SocketAddr) -> Peer {
        match address {
            SocketAddr::V4(address) => Peer::Ipv4(address),
            SocketAddr::V6(address) => match address.ip().to_ipv4_mapped() {
                Some(ip) => Peer::Ipv4(SocketAddrV4::new(ip, address.port())),
                None => Peer::Ipv6(Box::new(address)),
            },
        }
    }

    /// Its address and port, where it has one.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Peer::Ipv4(address) => Some((*address).into()),
            Peer::Ipv6(address) => Some((**address).into()),
            Peer::Unix => None,
        }
    }

    /// Its address without the port.
    #[must_use]
    pub fn host(&self) -> String {
        self.address().map_or_else(|| self.to_string(), |address| address.ip().to_string())
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Ipv4(address) => address.fmt(f),
            Peer::Ipv6(address) => address.fmt(f),
            Peer::Unix => f.write_str("unix"),
        }
    }
}

/// How a read or a write went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// So many bytes were moved, at least one.
    Moved(usize),
    /// The socket is not ready.
    NotNow,
    /// The other end will send no more.
    Ended,
    /// The connection is lost.
    Failed(EndReason),
}

/// A connected, non-blocking socket; closed when dropped.
#[derive(Debug)]
pub struct Stream {
    socket: OwnedFd,
}

impl Stream {
    /// A stream over a connected, non-blocking socket.
    #[must_use]
    pub fn new(socket: OwnedFd) -> Stream {
        Stream { socket }
    }

    /// Reads once into `buffer`, which must not be empty.
    pub fn read(&self, buffer: &mut [u8]) -> Outcome {
        match retry(|| {
            failpoint!("read", |errno| Err(Errno::from_raw_os_error(errno)));
            rustix::net::recv(&self.socket, &mut *buffer, RecvFlags::empty())
        }) {
            Ok((_, 0)) => Outcome::Ended,
            Ok((_, n)) => Outcome::Moved(n),
            Err(errno) => failed(errno),
        }
    }

    /// Writes once from `bytes`, which must not be empty.
    pub fn write(&self, bytes: &[u8]) -> Outcome {
        match retry(|| {
            failpoint!("write", |errno| Err(Errno::from_raw_os_error(errno)));
            rustix::net::send(&self.socket, bytes, SendFlags::NOSIGNAL)
        }) {
            Ok(0) => Outcome::NotNow,
            Ok(n) => Outcome::Moved(n),
            Err(errno) => failed(errno),
        }
    }

    /// What steps may say of the connection with this peer, of this listener, of this number.
    #[must_use]
    pub fn context(&self, peer: &Peer, listener: &str, connection: u64) -> Context {
        let local = rustix::net::getsockname(&self.socket).map(Local::from);
        Context {
            peer: peer.to_string(),
            local: local.map_or_else(|_| String::new(), |local| local.to_string()),
            listener: listener.to_owned(),
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            connection,
        }
    }

    /// The address of this end, where it is a TCP connection; that of the other is not to be asked of one
    /// that was reset meanwhile.
    #[must_use]
    pub fn local(&self) -> Option<SocketAddr> {
        SocketAddr::try_from(rustix::net::getsockname(&self.socket).ok()?).ok()
    }

    /// The user whose process is at the other end, where that is one of this host.
    #[must_use]
    pub fn user(&self) -> Option<u32> {
        nix::sys::socket::getsockopt(&self.socket, PeerCredentials).ok().map(|credentials| credentials.uid())
    }

    /// Bytes that were written and the other end has not acknowledged.
    #[must_use]
    pub fn under_way(&self) -> usize {
        under_way(&self.socket).unwrap_or(0)
    }

    /// Whether the other end has sent FIN, though there may be something to read before it.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        let mut asked = [PollFd::new(&self.socket, PollFlags::RDHUP)];
        // it fails when the system is short of memory; then it is as if nothing were known
        let found = rustix::event::poll(&mut asked, Some(&Timespec::default()));
        found.is_ok_and(|found| found > 0)
    }

    /// Whether the other end has ended, or is lost, and there is nothing of it to read.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        match retry(|| rustix::net::recv(&self.socket, &mut [0_u8; 1][..], RecvFlags::PEEK)) {
            Ok((_, len)) => len == 0,
            Err(errno) => errno != Errno::AGAIN,
        }
    }

    /// Sends FIN behind what was written.
    pub fn shut_down(&self) {
        // it fails only when the connection is gone already, which the next read tells
        let _ = rustix::net::shutdown(&self.socket, Shutdown::Write);
    }

    /// Makes the close send a reset and drop what is still to be sent.
    pub fn reset_on_close(&self) {
        // it fails only for what has no reset, as a UNIX socket
        let _ = sockopt::set_socket_linger(&self.socket, Some(Duration::ZERO));
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn retry<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}

/// Sorts a failure by who caused it.
fn failed(errno: Errno) -> Outcome {
    match errno {
        // memory that the kernel lacks now is there again later
        Errno::AGAIN | Errno::NOBUFS | Errno::NOMEM => Outcome::NotNow,
        Errno::CONNRESET | Errno::PIPE | Errno::CONNABORTED => Outcome::Failed(EndReason::ClientReset),
        Errno::TIMEDOUT | Errno::HOSTUNREACH | Errno::NETUNREACH | Errno::HOSTDOWN | Errno::NETDOWN => {
            Outcome::Failed(EndReason::ClientVanished)
        }
        _ => Outcome::Failed(EndReason::SocketError),
    }
}
