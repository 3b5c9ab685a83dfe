//! What is set on sockets: how silent clients are probed, who decides how fast is sent, and how much of a connection
//! the system keeps.
//!
//! To which sockets it is set, and when, is the business of those who open them.

use super::plain;
use nix::{getsockopt_impl, libc, setsockopt_impl, sockopt_impl};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use socket2::SockRef;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// Options of a listener's sockets; those it accepts inherit them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How many connections may wait to be accepted (`listen(2)`).
    pub backlog: u32,
    /// Whether small answers are sent at once (`TCP_NODELAY`).
    pub nodelay: bool,
    /// Who decides how fast is sent to a client (`TCP_CONGESTION`, `tcp(7)`), by its name; `None` is whom the
    /// system chose.
    pub congestion: Option<String>,
    /// How a silent client is asked whether it is still there; `None` is never.
    pub keepalive: Option<Keepalive>,
    /// Bytes that the system keeps of what a client has sent (`SO_RCVBUF`), of what it has not taken
    /// (`SO_SNDBUF`), and of that of what it was not sent yet (`TCP_NOTSENT_LOWAT`).
    pub buffers: Buffers,
    /// Who may connect to a UNIX socket, as chmod(1) has it; `None` is as the umask allows.
    pub mode: Option<u32>,
    /// Whether peers are dialled from its port, which takes `SO_REUSEPORT` on both sockets. It is set
    /// once the port is bound, so that a second daemon is refused all the same.
    pub dials: bool,
}

/// How much of a connection's bytes the system keeps, at most; `None` is as it likes, which is several MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Buffers {
    /// Bytes that came and were not read. The system counts its own needs as well, and takes twice as much
    /// (`socket(7)`).
    pub receive: Option<usize>,
    /// Bytes that were written and not acknowledged; twice as much, too.
    pub send: Option<usize>,
    /// Bytes that were written and not sent, after which no more are taken (`tcp(7)`).
    pub unsent: Option<u32>,
}

impl Default for Buffers {
    fn default() -> Self {
        // What comes is left to the system, which gives little to what is not read. Once the size is set, it drops
        // what came in many small pieces and took more memory than it is long; with that it may drop word that
        // there is room again, and both ends stand still for half a minute (Linux 6.18).
        Buffers { receive: None, send: Some(256 * 1024), unsent: Some(64 * 1024) }
    }
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
        Options {
            backlog: 1024,
            nodelay: true,
            congestion: None,
            keepalive: Some(Keepalive::default()),
            buffers: Buffers::default(),
            mode: None,
            dials: false,
        }
    }
}

impl Default for Keepalive {
    fn default() -> Self {
        Keepalive { idle: Duration::from_secs(60), interval: Duration::from_secs(10), probes: 6 }
    }
}

/// Sets the options of a TCP socket; those that it accepts inherit them, which saves each the calls.
pub(in crate::net) fn prepare(socket: &OwnedFd, options: &Options) -> Result<(), Errno> {
    sockopt::set_tcp_nodelay(socket, options.nodelay)?;
    if let Some(name) = &options.congestion {
        sockopt::set_tcp_congestion(socket, name)?;
    }
    sockopt::set_socket_keepalive(socket, options.keepalive.is_some())?;
    if let Some(keepalive) = &options.keepalive {
        sockopt::set_tcp_keepidle(socket, keepalive.idle)?;
        sockopt::set_tcp_keepintvl(socket, keepalive.interval)?;
        sockopt::set_tcp_keepcnt(socket, keepalive.probes)?;
    }
    limit(socket, options.buffers)
}

// nix has no name for it, but the macro that makes those that it has
sockopt_impl!(
    /// Which sizes the system may not change by itself (`SO_BUF_LOCK`, Linux 5.14).
    BufferLock,
    Both,
    libc::SOL_SOCKET,
    libc::SO_BUF_LOCK,
    i32
);
const SEND_LOCK: i32 = 1;
const RECEIVE_LOCK: i32 = 2;

/// Sets how much of a connection's bytes the system keeps. Where a size was set before that is not to be any more, the
/// system goes on from there.
fn limit(socket: &OwnedFd, buffers: Buffers) -> Result<(), Errno> {
    if let Some(bytes) = buffers.receive {
        sockopt::set_socket_recv_buffer_size(socket, bytes)?;
    }
    if let Some(bytes) = buffers.send {
        sockopt::set_socket_send_buffer_size(socket, bytes)?;
    }
    let locks = buffers.receive.map_or(0, |_| RECEIVE_LOCK) | buffers.send.map_or(0, |_| SEND_LOCK);
    // it fails only where the system is too old for it; then what was set once stays
    let _ = nix::sys::socket::setsockopt(socket, BufferLock, &locks);
    // zero is none of its own
    let unsent = buffers.unsent.unwrap_or(0);
    let errno = |error: io::Error| Errno::from_io_error(&error).unwrap_or(Errno::INVAL);
    SockRef::from(socket).set_tcp_notsent_lowat(unsent).map_err(errno)
}

/// Whom the system lets decide how fast is sent, where nothing else is said.
pub(in crate::net) fn default_congestion() -> Result<String, Errno> {
    sockopt::tcp_congestion(tcp_socket()?)
}

/// Tries whether whoever is called `name` may be the one that decides how fast is sent.
///
/// # Errors
///
/// Why not, with the cure.
pub fn try_congestion(name: &str) -> Result<(), String> {
    const SYSCTL: &str = "/proc/sys/net/ipv4/tcp_available_congestion_control";
    tcp_socket().and_then(|socket| sockopt::set_tcp_congestion(socket, name)).map_err(|errno| match errno {
        Errno::NOENT => {
            let others = std::fs::read_to_string(SYSCTL).unwrap_or_default();
            let others = others.split_whitespace().collect::<Vec<_>>().join(", ");
            let others = if others.is_empty() { String::new() } else { format!("; it has {others}") };
            format!("this system has no congestion control called \"{name}\"{others}")
        }
        Errno::PERM => format!(
            "this user may not choose the congestion control \"{name}\"; add it to the sysctl \
             net.ipv4.tcp_allowed_congestion_control"
        ),
        errno => format!("the congestion control \"{name}\" cannot be chosen: {}", plain(errno)),
    })
}

fn tcp_socket() -> Result<OwnedFd, Errno> {
    rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::getsockopt;

    /// A receive buffer of a set size lost word that there is room again; a reload to `auto` left it so.
    #[test]
    fn a_size_that_is_the_systems_choice_again_may_change() {
        let socket = tcp_socket().unwrap();
        let locks = |receive| {
            limit(&socket, Buffers { receive, ..Buffers::default() }).unwrap();
            getsockopt(&socket, BufferLock).unwrap()
        };
        assert_eq!([Some(256 * 1024), None].map(locks), [SEND_LOCK | RECEIVE_LOCK, SEND_LOCK]);
    }
}
