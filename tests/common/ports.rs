//! Ports for those who must know each other's before either of them listens, and what connects them.

use rustix::net::{AddressFamily, SocketType, bind, connect, getsockname, ipproto, socket, sockopt};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;

/// A port of `localhost` that the system gives to nobody while this lives: it is bound, and does not listen,
/// so that whoever binds it with `SO_REUSEADDR`, as every server does, has it nevertheless.
pub struct Port {
    pub number: u16,
    _held: [OwnedFd; 2],
}

impl Port {
    pub fn new() -> Port {
        let (v4, v6) = (IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST));
        for _ in 0..100 {
            let first = hold(v4, 0).unwrap();
            let number = SocketAddr::try_from(getsockname(&first).unwrap()).unwrap().port();
            // it may be somebody's there
            if let Ok(second) = hold(v6, number) {
                return Port { number, _held: [first, second] };
            }
        }
        panic!("no port is free on both addresses");
    }

    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.number).into()
    }

    /// Its number, for who binds it as nobody else's, as `nc -p` does.
    pub fn free(self) -> u16 {
        self.number
    }

    /// A connection from this port, as the blog's peer makes it.
    pub fn connect(&self, to: SocketAddr) -> TcpStream {
        let socket = hold(self.address().ip(), self.number).unwrap();
        connect(&socket, &to).unwrap();
        TcpStream::from(socket)
    }
}

fn hold(address: IpAddr, port: u16) -> rustix::io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket(family, SocketType::STREAM, Some(ipproto::TCP))?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    bind(&socket, &SocketAddr::new(address, port))?;
    Ok(socket)
}

/// How many ends at the port `local` are connected to the port `remote`, of whatever address, as the kernel
/// has it.
pub fn connected(local: u16, remote: u16) -> usize {
    sockets(local, remote).len()
}

/// How many bytes wait to be read at these ends.
pub fn unread(local: u16, remote: u16) -> usize {
    sockets(local, remote).into_iter().sum()
}

/// What waits to be read at each of them.
fn sockets(local: u16, remote: u16) -> Vec<usize> {
    const ESTABLISHED: &str = "01";
    let number = |field: &str| usize::from_str_radix(field.rsplit(':').next().unwrap(), 16).unwrap();
    let tables = ["/proc/self/net/tcp", "/proc/self/net/tcp6"].map(|table| std::fs::read_to_string(table).unwrap());
    let sockets = tables.iter().flat_map(|table| table.lines().skip(1));
    // its number, its two addresses, its state, and what waits to be sent and to be read
    let fields = sockets.map(|socket| socket.split_whitespace().collect::<Vec<_>>());
    let meant = fields.filter(|field| {
        field[3] == ESTABLISHED && [number(field[1]), number(field[2])] == [local, remote].map(usize::from)
    });
    meant.map(|field| number(field[4])).collect()
}
