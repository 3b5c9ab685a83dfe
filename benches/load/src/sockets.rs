//! Connections, and the epoll that waits for them.

use crate::Target;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::{setsockopt, sockopt::IpBindAddressNoPort};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::time::Duration;

pub const READ: EpollFlags = EpollFlags::EPOLLIN;
pub const WRITE: EpollFlags = EpollFlags::EPOLLOUT;
/// How long epoll sleeps at most, so that a thread sees that time is over.
const TICK: u16 = 50;
const EVENTS: usize = 256;

/// Watches sockets, level-triggered, each with its place in the caller's table.
pub struct Poll(Epoll);

impl Poll {
    pub fn new() -> io::Result<Poll> {
        Ok(Poll(Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?))
    }

    pub fn add(&self, socket: &TcpStream, place: usize, interest: EpollFlags) -> io::Result<()> {
        Ok(self.0.add(socket, EpollEvent::new(interest, place as u64))?)
    }

    pub fn modify(&self, socket: &TcpStream, place: usize, interest: EpollFlags) -> io::Result<()> {
        Ok(self.0.modify(socket, &mut EpollEvent::new(interest, place as u64))?)
    }

    /// Fills `room`, though it may be with nothing, and tells what is in it.
    pub fn wait<'a>(&self, room: &'a mut Events) -> io::Result<&'a [EpollEvent]> {
        match self.0.wait(&mut room.0, EpollTimeout::from(TICK)) {
            Ok(count) => Ok(&room.0[..count]),
            Err(Errno::EINTR) => Ok(&[]),
            Err(error) => Err(error.into()),
        }
    }
}

/// Room for what an epoll has to tell.
pub struct Events([EpollEvent; EVENTS]);

impl Events {
    pub fn new() -> Events {
        Events([EpollEvent::empty(); EVENTS])
    }
}

/// The place of the socket that an event is about.
pub fn place(event: &EpollEvent) -> usize {
    usize::try_from(event.data()).expect("a place in a table")
}

/// Where the `nth` connection comes from: one of `count` addresses in turn, if any.
fn source(nth: usize, count: u32) -> Option<Ipv4Addr> {
    let turn = u32::try_from(nth % usize::try_from(count).ok().filter(|count| *count > 0)?).ok()?;
    Some(Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 0, 0, 2)) + turn))
}

fn socket(target: &Target, nth: usize) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_tcp_nodelay(true)?;
    if let Some(source) = source(nth, target.source_ips) {
        // the port is found when it connects, when it is known what it must differ from
        setsockopt(&socket, IpBindAddressNoPort, &true)?;
        socket.bind(&SocketAddrV4::new(source, 0).into())?;
    }
    Ok(socket)
}

/// The `nth` connection, once it is there.
pub fn connect(target: &Target, nth: usize) -> io::Result<TcpStream> {
    let socket = socket(target, nth)?;
    socket.connect_timeout(&target.addr.into(), Duration::from_secs(10))?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// The `nth` connection, which may still be under way.
pub fn begin_connect(target: &Target, nth: usize) -> io::Result<TcpStream> {
    let socket = socket(target, nth)?;
    socket.set_nonblocking(true)?;
    match socket.connect(&target.addr.into()) {
        Err(error) if error.raw_os_error() != Some(Errno::EINPROGRESS as i32) => Err(error),
        _ => Ok(socket.into()),
    }
}

/// The share that a thread has of `count` connections.
pub fn connect_share(target: &Target, count: usize, thread: usize) -> io::Result<Vec<TcpStream>> {
    (thread..count).step_by(target.threads).map(|nth| connect(target, nth)).collect()
}

/// What a non-blocking call did, or `None` if there is nothing to do for now.
pub fn now(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(count) => Ok(Some(count)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

/// Allows as many descriptors as this user may have; what is too few shows where it matters.
pub fn allow_descriptors() {
    let most = std::fs::read_to_string("/proc/sys/fs/nr_open").ok().and_then(|text| text.trim().parse().ok());
    let raised = most.is_some_and(|most| setrlimit(Resource::RLIMIT_NOFILE, most, most).is_ok());
    if let (false, Ok((_, hard))) = (raised, getrlimit(Resource::RLIMIT_NOFILE)) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_come_from_each_address_in_turn() {
        assert_eq!(source(5, 0), None);
        assert_eq!([0, 1, 2, 3].map(|nth| source(nth, 3).unwrap().octets()[3]), [2, 3, 4, 2]);
        assert_eq!(source(300, 1000), Some(Ipv4Addr::new(127, 0, 1, 46)));
    }
}
