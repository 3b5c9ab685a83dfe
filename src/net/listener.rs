//! Listening sockets: bound to an address, adopted from systemd, or found among those that are there
//! already, as at a reload.
//!
//! What is served on a listener, and who accepts from it, is not known here.

use super::address::{Address, LOCALHOST, LONGEST_PATH, Local, is_localhost};
use super::plain;
use super::tuning::{default_congestion, prepare};
use log::Level;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt};
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::{fmt, io};

pub use super::tuning::{Buffers, Keepalive, Options, try_congestion};

const FLAGS: SocketFlags = SocketFlags::CLOEXEC.union(SocketFlags::NONBLOCK);
/// How often port 0 is tried again when the port chosen for one address is taken on another.
const PORT_TRIES: u32 = 16;
/// Why an address cannot be listened on; the text names the address and the cure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindError {
    /// Whether a permission is missing.
    pub permission: bool,
    text: String,
}

impl BindError {
    /// Another reason that there is no socket, which names the place and the cure.
    #[must_use]
    pub fn told(text: String) -> BindError {
        BindError { permission: false, text }
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for BindError {}

/// A listening, non-blocking socket. The path of one that we bound is removed when it is dropped.
#[derive(Debug)]
pub struct Listening {
    socket: OwnedFd,
    local: Local,
    origin: Origin,
    /// The congestion control that it had when it was passed, which is its owner's choice.
    congestion: Option<String>,
    /// The path that we made, as the file system knows it.
    made: Option<(u64, u64)>,
    /// Whether the path outlives us, as somebody else keeps the socket.
    stays: AtomicBool,
}

/// Where a listening socket comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A daemon of ours bound it, this one or the one before.
    Bound {
        /// The listener for which the system chose its port; none if it had no choice.
        chosen_for: Option<String>,
    },
    /// It was passed by systemd under this name.
    Passed(String),
}

/// Sockets that listen already and may go on to; those that are taken out are in use again.
pub type Pool = Vec<Arc<Listening>>;

impl Listening {
    /// Takes from `pool`, or binds, every address that `address` stands for, for the listener called
    /// `name`; an address that this host lacks is skipped with a warning, as long as one is bound.
    ///
    /// `SO_REUSEADDR` is set, so that a restart is not refused for connections of the last run;
    /// `SO_REUSEPORT` is not, so that a second daemon is, unless a socket that is left in `pool`
    /// must be listened beside until it is closed. Port 0 is one port for all addresses.
    ///
    /// # Errors
    ///
    /// A [`BindError`] for the first address that cannot be listened on.
    pub fn open(
        name: &str,
        address: &Address,
        options: &Options,
        pool: &mut Pool,
    ) -> Result<Vec<Arc<Listening>>, BindError> {
        match address {
            // one whose path leads elsewhere by now is not found by any client
            Address::Unix(path) => match take(pool, |found| found.is_at(path)) {
                Some(found) => Ok(vec![found]),
                None => Ok(vec![Arc::new(bind_unix(path, options)?)]),
            },
            Address::Tcp { host, port } => {
                let mut all =
                    resolve(host).map_err(|error| cannot(address, &format!("the name is not known ({error})")))?;
                // everybody has the name, but not both of its addresses
                let lacking = if is_localhost(host) { Level::Info } else { Level::Warn };
                // a port that is free on one address may be taken on the next
                let tries = if *port == 0 { PORT_TRIES } else { 1 };
                let mut open = || open_all(name, &mut all, *port, lacking, options, pool);
                let mut result = open();
                for _ in 1..tries {
                    if !matches!(&result, Err((_, Errno::ADDRINUSE))) {
                        break;
                    }
                    result = open();
                }
                result.map_err(|(at, errno)| explain(&at, errno))
            }
        }
    }

    /// Adopts a socket that somebody else bound, or a daemon of ours before this one.
    ///
    /// # Errors
    ///
    /// `EINVAL` when it is not a listening stream socket; otherwise when the system refuses.
    pub fn adopt(socket: OwnedFd, origin: Origin) -> Result<Listening, Errno> {
        if !sockopt::socket_acceptconn(&socket)? || sockopt::socket_type(&socket)? != SocketType::STREAM {
            return Err(Errno::INVAL);
        }
        let local = Local::from(rustix::net::getsockname(&socket)?);
        rustix::io::ioctl_fionbio(&socket, true)?;
        let is_passed = matches!((&origin, &local), (Origin::Passed(_), Local::Tcp(_)));
        let congestion = if is_passed { Some(sockopt::tcp_congestion(&socket)?) } else { None };
        let made = match (&origin, &local) {
            (Origin::Bound { .. }, Local::Unix(path)) => identity_of(path),
            _ => None,
        };
        // whoever kept it for us keeps it further, until that is said otherwise
        let stays = AtomicBool::new(matches!(origin, Origin::Bound { .. }));
        Ok(Listening { socket, local, origin, congestion, made, stays })
    }

    fn bound(socket: OwnedFd, local: Local, chosen_for: Option<&str>) -> Listening {
        let made = if let Local::Unix(path) = &local { identity_of(path) } else { None };
        let origin = Origin::Bound { chosen_for: chosen_for.map(str::to_owned) };
        Listening { socket, local, origin, congestion: None, made, stays: AtomicBool::new(false) }
    }

    /// Sets what the connections that are accepted from now on inherit, and how many may wait.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub fn tune(&self, options: &Options) -> Result<(), Errno> {
        if let Local::Tcp(_) = self.local {
            if options.congestion.is_none() {
                // another may have been asked for before; one that was never set goes on following the system's
                let own = self.congestion.clone().map_or_else(default_congestion, Ok)?;
                if sockopt::tcp_congestion(&self.socket)? != own {
                    sockopt::set_tcp_congestion(&self.socket, &own)?;
                }
            }
            prepare(&self.socket, options)?;
            sockopt::set_socket_reuseport(&self.socket, options.dials)?;
        }
        rustix::net::listen(&self.socket, i32::try_from(options.backlog).unwrap_or(i32::MAX))
    }

    /// Where it listens.
    #[must_use]
    pub fn local(&self) -> &Local {
        &self.local
    }

    /// The addresses of both families that it stands for: one of all IPv6 addresses may take IPv4 as well, as
    /// what systemd passes does by default.
    #[must_use]
    pub fn addresses(&self) -> Vec<Local> {
        let mut all = vec![self.local.clone()];
        if let Local::Tcp(SocketAddr::V6(own)) = self.local
            && own.ip().is_unspecified()
            && sockopt::ipv6_v6only(&self.socket) == Ok(false)
        {
            all.push(Local::Tcp(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), own.port())));
        }
        all
    }

    /// Where it comes from.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The number by which the system tells it from all other sockets.
    #[must_use]
    pub fn number(&self) -> u64 {
        rustix::fs::fstat(&self.socket).map_or(0, |stat| stat.st_ino)
    }

    /// Says whether somebody else keeps the socket, so that its path must outlive this process.
    pub fn set_stays(&self, stays: bool) {
        self.stays.store(stays, Relaxed);
    }

    /// Whether it is what clients find at this path.
    fn is_at(&self, path: &Path) -> bool {
        let Local::Unix(own) = &self.local else { return false };
        own == path && self.made.is_some() && self.made == identity_of(path)
    }

    /// Whether both cannot be bound without `SO_REUSEPORT`, though they are not the same.
    fn overlaps(&self, at: &SocketAddr) -> bool {
        let Local::Tcp(own) = &self.local else { return false };
        own.port() == at.port()
            && own.is_ipv4() == at.is_ipv4()
            && (own.ip().is_unspecified() || at.ip().is_unspecified())
    }
}

fn take(pool: &mut Pool, is_meant: impl Fn(&Listening) -> bool) -> Option<Arc<Listening>> {
    let is_ours = |found: &&Arc<Listening>| matches!(found.origin, Origin::Bound { .. });
    let at = pool.iter().position(|found| is_ours(&found) && is_meant(found))?;
    Some(pool.remove(at))
}

impl AsFd for Listening {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        if let (Local::Unix(path), Some(identity), false) = (&self.local, self.made, self.stays.load(Relaxed)) {
            // another daemon may have put its own socket there since
            if identity_of(path) == Some(identity) {
                let _ = std::fs::remove_file(path);
            }
        }
    }
}

/// The addresses of a name, without a port yet; the scope of an IPv6 address is part of it.
fn resolve(host: &str) -> io::Result<Vec<SocketAddr>> {
    if is_localhost(host) {
        return Ok(LOCALHOST.map(|ip| SocketAddr::new(ip, 0)).into());
    }
    let mut all: Vec<SocketAddr> = Vec::new();
    for address in (host, 0).to_socket_addrs()? {
        if !all.contains(&address) {
            all.push(address);
        }
    }
    Ok(all)
}

/// Opens `all` on one port; those that the host lacks are told at the level `lacking`.
fn open_all(
    name: &str,
    all: &mut [SocketAddr],
    mut port: u16,
    lacking: Level,
    options: &Options,
    pool: &mut Pool,
) -> Result<Vec<Arc<Listening>>, (SocketAddr, Errno)> {
    let chosen_for = (port == 0).then_some(name);
    let origin = Origin::Bound { chosen_for: chosen_for.map(str::to_owned) };
    let (mut opened, mut taken): (Pool, Pool) = Default::default();
    let mut missing = Vec::new();
    for at in all {
        at.set_port(port);
        let found = take(pool, |found| match &found.local {
            Local::Tcp(local) if port == 0 => found.origin == origin && local.ip() == at.ip(),
            local => *local == Local::Tcp(*at),
        });
        taken.extend(found.clone());
        let result = match found {
            Some(found) => Ok(found),
            None => bind_tcp(*at, chosen_for, options, pool).map(Arc::new),
        };
        match result {
            Ok(listening) => {
                if let Local::Tcp(address) = listening.local {
                    port = address.port();
                }
                opened.push(listening);
            }
            Err(errno @ (Errno::ADDRNOTAVAIL | Errno::AFNOSUPPORT)) => missing.push((*at, errno)),
            Err(errno) => {
                // what was bound just now is closed, so that the next try is at another port
                pool.append(&mut taken);
                return Err((*at, errno));
            }
        }
    }
    match missing.first() {
        Some(first) if opened.is_empty() => Err(*first),
        _ => {
            for (at, _) in missing {
                log::log!(lacking, "not listening on {at}: this host has no such address");
            }
            Ok(opened)
        }
    }
}

fn bind_tcp(at: SocketAddr, chosen_for: Option<&str>, options: &Options, pool: &Pool) -> Result<Listening, Errno> {
    let family = if at.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = rustix::net::socket_with(family, SocketType::STREAM, FLAGS, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if at.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    let share = |yes: bool| {
        let mut others = pool.iter().filter(|other| other.overlaps(&at)).peekable();
        if others.peek().is_some() {
            sockopt::set_socket_reuseport(&socket, yes)?;
        }
        others.try_for_each(|other| sockopt::set_socket_reuseport(other, yes))
    };
    prepare(&socket, options)?;
    let backlog = i32::try_from(options.backlog).unwrap_or(i32::MAX);
    share(true)?;
    let listens = rustix::net::bind(&socket, &at).and_then(|()| rustix::net::listen(&socket, backlog));
    // once both listen nobody else shall be able to
    share(false)?;
    listens?;
    let local = Local::from(rustix::net::getsockname(&socket)?);
    Ok(Listening::bound(socket, local, chosen_for))
}

fn bind_unix(path: &Path, options: &Options) -> Result<Listening, BindError> {
    let address = Address::Unix(path.to_owned());
    let name = SocketAddrUnix::new(path)
        .map_err(|_| cannot(&address, &format!("the path is too long for a socket: at most {LONGEST_PATH} bytes")))?;
    let unexpected = |errno: Errno| match errno {
        Errno::NOENT => cannot(&address, "its folder does not exist"),
        Errno::ROFS => cannot(&address, "its folder is read-only; under systemd /run/shoutd is there to write to"),
        Errno::ACCESS | Errno::PERM => {
            BindError { permission: true, ..cannot(&address, "this user may not write to its folder") }
        }
        errno => cannot(&address, &plain(errno)),
    };
    let open = || rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, FLAGS, None);
    let socket = open().map_err(unexpected)?;
    if let Some(mode) = options.mode {
        // before the bind: on Linux the path is made with it, so that it never has another
        rustix::fs::fchmod(&socket, rustix::fs::Mode::from_raw_mode(mode)).map_err(unexpected)?;
    }
    match rustix::net::bind(&socket, &name) {
        Err(Errno::ADDRINUSE) => {
            if !std::fs::symlink_metadata(path).is_ok_and(|data| data.file_type().is_socket()) {
                return Err(cannot(&address, "a file that is not a socket lies there; move it away"));
            }
            // what answers a connection is alive; what refuses it was left by a run that was killed
            match open().and_then(|probe| rustix::net::connect(&probe, &name)) {
                Err(Errno::CONNREFUSED) => {
                    std::fs::remove_file(path)
                        .map_err(|error| cannot(&address, &format!("the stale socket stays: {}", plain(error))))?;
                    rustix::net::bind(&socket, &name).map_err(unexpected)?;
                    log::info!("replaced {address}, left by a run that was killed");
                }
                _ => return Err(cannot(&address, "another process listens there; stop it, or choose another path")),
            }
        }
        result => result.map_err(unexpected)?,
    }
    rustix::net::listen(&socket, i32::try_from(options.backlog).unwrap_or(i32::MAX)).map_err(unexpected)?;
    Ok(Listening::bound(socket, Local::Unix(path.to_owned()), None))
}

fn identity_of(path: &Path) -> Option<(u64, u64)> {
    std::fs::symlink_metadata(path).ok().map(|data| (data.dev(), data.ino()))
}

fn cannot(address: &dyn fmt::Display, why: &str) -> BindError {
    BindError { permission: false, text: format!("cannot listen on {address}: {why}") }
}

fn explain(at: &SocketAddr, errno: Errno) -> BindError {
    let port = at.port();
    match errno {
        Errno::ADDRINUSE => cannot(
            at,
            &format!(
                "another process listens there (ss -ltnp 'sport = :{port}' shows which); stop it, or choose another port"
            ),
        ),
        Errno::ADDRNOTAVAIL | Errno::AFNOSUPPORT | Errno::NODEV => {
            cannot(at, "this host has no such address (ip address lists those it has)")
        }
        Errno::ACCESS | Errno::PERM => BindError {
            permission: true,
            ..cannot(
                at,
                "this user may not; for ports below 1024 let systemd listen (set the port in shoutd.socket, then \
                 systemctl enable --now shoutd.socket), or give the service CAP_NET_BIND_SERVICE \
                 (AmbientCapabilities= and CapabilityBoundingSet=, with PrivateUsers=no)",
            )
        },
        errno => cannot(at, &plain(errno)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scope_of_an_address_is_kept() {
        let all = resolve("fe80::1%7").unwrap();
        let [SocketAddr::V6(at)] = all[..] else { panic!("{all:?}") };
        assert_eq!(at.scope_id(), 7);
        let address: Address = "[fe80::1%7]:5000".parse().unwrap();
        assert!(address.means(&Local::Tcp("[fe80::1%7]:5000".parse().unwrap())));
        let error = Listening::open("test", &address, &Options::default(), &mut Pool::new()).unwrap_err().to_string();
        assert!(error.starts_with("cannot listen on [fe80::1%7]:5000: "), "{error}");
    }

    #[test]
    fn a_name_with_two_addresses_gets_one_port() {
        let bound =
            Listening::open("test", &"localhost:0".parse().unwrap(), &Options::default(), &mut Pool::new()).unwrap();
        let ports: Vec<u16> =
            bound.iter().filter_map(|l| if let Local::Tcp(at) = l.local { Some(at.port()) } else { None }).collect();
        assert!(!ports.is_empty() && ports.iter().all(|port| *port == ports[0] && *port != 0), "{ports:?}");
    }

    #[test]
    fn a_port_that_is_taken_is_named_with_the_cure() {
        let first =
            Listening::open("test", &"127.0.0.1:0".parse().unwrap(), &Options::default(), &mut Pool::new()).unwrap();
        let Local::Tcp(at) = first[0].local else { unreachable!() };
        let address = Address::Tcp { host: at.ip().to_string(), port: at.port() };
        let error = Listening::open("test", &address, &Options::default(), &mut Pool::new()).unwrap_err();
        assert!(!error.permission);
        assert!(
            error.to_string().starts_with(&format!("cannot listen on {at}: another process listens there")),
            "{error}"
        );
    }

    #[test]
    fn only_a_stale_unix_path_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let bind = |name: &str| {
            Listening::open("test", &Address::Unix(folder.path().join(name)), &Options::default(), &mut Pool::new())
        };
        drop(std::os::unix::net::UnixListener::bind(folder.path().join("stale")).unwrap());
        let live = bind("stale").unwrap();
        assert!(bind("stale").unwrap_err().to_string().contains("another process listens there"));
        drop(live);
        assert!(!folder.path().join("stale").exists(), "our own path is removed at the end");
        std::fs::write(folder.path().join("file"), "precious").unwrap();
        assert!(bind("file").unwrap_err().to_string().contains("not a socket"));
        assert!(bind("none/such").unwrap_err().to_string().contains("folder does not exist"));
    }

    #[test]
    fn who_is_accepted_has_the_congestion_control_that_was_asked_for() {
        let congestion = |socket: &OwnedFd| sockopt::tcp_congestion(socket).unwrap();
        let asked = |name: &str| Options { congestion: Some(name.to_owned()), ..Options::default() };
        let bound = Listening::open("test", &"127.0.0.1:0".parse().unwrap(), &asked("reno"), &mut Pool::new()).unwrap();
        let Local::Tcp(at) = bound[0].local else { unreachable!() };
        let _client = std::net::TcpStream::connect(at).unwrap();
        assert_eq!(congestion(&rustix::net::accept(&bound[0].socket).unwrap()), "reno");
        // as at a reload that takes it back, where the system chose it, and where whoever passed the socket did
        bound[0].tune(&Options::default()).unwrap();
        assert_eq!(congestion(&bound[0].socket), default_congestion().unwrap());
        let passed = bound[0].socket.try_clone().unwrap();
        sockopt::set_tcp_congestion(&passed, "reno").unwrap();
        let passed = Listening::adopt(passed, Origin::Passed("test".to_owned())).unwrap();
        passed.tune(&asked(&default_congestion().unwrap())).unwrap();
        passed.tune(&Options::default()).unwrap();
        assert_eq!(congestion(&passed.socket), "reno");
        assert_eq!(try_congestion("reno"), Ok(()));
        let why = try_congestion("renno").unwrap_err();
        assert!(why.starts_with("this system has no congestion control called \"renno\"; it has reno"), "{why}");
    }
}
