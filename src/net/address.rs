//! Addresses: how they are written, and what is wrong with those that are not.
//!
//! Nothing here binds or resolves anything.

use rustix::net::{SocketAddrAny, SocketAddrUnix};
use std::ffi::OsStr;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// How many bytes the path of a UNIX socket may have (`unix(7)`).
pub(super) const LONGEST_PATH: usize = 107;

/// The addresses of `localhost`, whatever the resolver says (RFC 6761, 6.3).
pub const LOCALHOST: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

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

    /// Reads `host:port`, `[ipv6]:port` or `unix:PATH`. An error is one sentence, in which `; `
    /// parts what is wrong from the cure.
    fn from_str(text: &str) -> Result<Address, String> {
        let bare = text.trim();
        if bare != text && !bare.is_empty() {
            return instead(format!("there is a space around `{bare}`"), bare);
        }
        if let Some(path) = bare.strip_prefix("unix:") {
            return unix(path);
        }
        if let Some((scheme, rest)) = bare.split_once("://") {
            return instead(format!("an address has no `{scheme}://`"), rest.trim_end_matches('/'));
        }
        if bare.starts_with(['/', '.', '~']) || bare.ends_with(".sock") {
            return instead("a path stands behind `unix:`".to_owned(), &format!("unix:{bare}"));
        }
        let (host, port) = split(bare)?;
        let Some(port) = port.parse().ok().filter(|_| port.bytes().all(|b| b.is_ascii_digit())) else {
            return Err(format!("`{port}` is not a port; a port is a whole number from 0 to 65535"));
        };
        if host.is_empty() || host == "*" {
            return Err(format!("`{bare}` has no host; \"0.0.0.0:{port}\" and \"[::]:{port}\" are all addresses"));
        }
        if host.bytes().all(|b| b.is_ascii_digit() || b == b'.') && host.parse::<Ipv4Addr>().is_err() {
            return Err(format!("`{host}` is not an IPv4 address; that is four numbers from 0 to 255"));
        }
        if !is_ipv6(host) && !host.chars().all(|c| c.is_alphanumeric() || "-._".contains(c)) {
            return Err(format!("`{host}` is not the name of a host; such as \"localhost:{port}\""));
        }
        Ok(Address::Tcp { host: host.to_owned(), port })
    }
}

/// The host, without its brackets, and the port.
fn split(text: &str) -> Result<(&str, &str), String> {
    let pair = text.rsplit_once(':');
    let brackets = || "an IPv6 address stands in brackets".to_owned();
    let (host, port) = match (text.strip_prefix('[').and_then(|inner| inner.split_once(']')), pair) {
        (Some((host, _)), _) if !is_ipv6(host) => {
            return instead("only an IPv6 address stands in brackets".to_owned(), &text.replace(['[', ']'], ""));
        }
        (Some((host, rest)), _) => (host, rest.strip_prefix(':').unwrap_or_default()),
        (None, Some((host, port))) if is_ipv6(host) => return instead(brackets(), &format!("[{host}]:{port}")),
        (None, _) if is_ipv6(text) => return instead(brackets(), &format!("[{text}]:5000")),
        (None, Some(pair)) => pair,
        (None, None) if text.is_empty() => return Err("an address is missing; such as \"localhost:5000\"".to_owned()),
        (None, None) if text.bytes().all(|b| b.is_ascii_digit()) => {
            return instead(format!("`{text}` has no host"), &format!("localhost:{text}"));
        }
        (None, None) => (text, ""),
    };
    match port {
        "" if host.contains(':') => instead(format!("`{text}` has no port"), &format!("[{host}]:5000")),
        "" => instead(format!("`{text}` has no port"), &format!("{host}:5000")),
        port => Ok((host, port)),
    }
}

fn unix(path: &str) -> Result<Address, String> {
    let example = "\"unix:/run/shoutd/shoutd.sock\"";
    match path.chars().next() {
        None => Err(format!("`unix:` needs a path; as in {example}")),
        Some(' ') => instead("there is a space before the path".to_owned(), &format!("unix:{}", path.trim())),
        Some('~') => Err("`~` stands for no folder here; write the full path".to_owned()),
        Some('@') => Err(format!("abstract sockets are not supported; name a path, as in {example}")),
        Some(_) if path.contains('\0') => Err("a path has no NUL in it; take it out".to_owned()),
        Some(_) => Ok(Address::Unix(path.into())),
    }
}

/// The mistake `what` with `cure` as its cure; if that would not do either, then why.
fn instead<T>(what: String, cure: &str) -> Result<T, String> {
    cure.parse::<Address>().and_then(|_| Err(format!("{what}; write \"{cure}\"")))
}

/// Whether it is an IPv6 address, with or without its scope (`%eth0`).
fn is_ipv6(text: &str) -> bool {
    unscoped(text).parse::<Ipv6Addr>().is_ok()
}

fn unscoped(host: &str) -> &str {
    host.split_once('%').map_or(host, |(ip, _)| ip)
}

impl Address {
    /// The same address, with `folder` as the place where a relative path starts.
    ///
    /// # Errors
    ///
    /// When the whole path is too long for a socket.
    pub fn within(self, folder: &Path) -> Result<Address, String> {
        let Address::Unix(path) = self else { return Ok(self) };
        // taken apart and put together, `./a` is `a`
        let path: PathBuf = folder.join(path).components().collect();
        match path.as_os_str().len() {
            ..=LONGEST_PATH => Ok(Address::Unix(path)),
            long => {
                Err(format!("the path has {long} bytes, and a socket's at most {LONGEST_PATH}; choose a shorter one"))
            }
        }
    }

    /// Whether only this host reaches it, as far as that can be seen without resolving a name.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self {
            Address::Tcp { host, .. } => {
                is_localhost(host) || unscoped(host).parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
            }
            Address::Unix(_) => true,
        }
    }

    /// Whether a socket at `local` is one that binding this address gives.
    #[must_use]
    pub fn means(&self, local: &Local) -> bool {
        match (self, local) {
            (Address::Tcp { host, port }, Local::Tcp(at)) => {
                let named = is_localhost(host) && at.ip().is_loopback();
                (*port == at.port() || *port == 0) && (named || unscoped(host).parse() == Ok(at.ip()))
            }
            (Address::Unix(path), Local::Unix(at)) => path == at,
            _ => false,
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

/// Where a socket listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Local {
    /// An address and port.
    Tcp(SocketAddr),
    /// The path of a UNIX socket.
    Unix(PathBuf),
}

impl From<SocketAddrAny> for Local {
    fn from(any: SocketAddrAny) -> Local {
        match SocketAddr::try_from(any.clone()) {
            Ok(address) => Local::Tcp(address),
            Err(_) => {
                let path = SocketAddrUnix::try_from(any).ok();
                let path = path.and_then(|unix| unix.path_bytes().map(|path| OsStr::from_bytes(path).into()));
                Local::Unix(path.unwrap_or_default())
            }
        }
    }
}

impl fmt::Display for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Local::Tcp(address) => address.fmt(f),
            Local::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// The addresses of `host` that are known without asking a resolver: of a number, or of `localhost`.
#[must_use]
pub fn known_addresses(host: &str) -> Vec<IpAddr> {
    if is_localhost(host) { LOCALHOST.to_vec() } else { host.parse().into_iter().collect() }
}

/// Whether it is the name of the loopback.
pub(super) fn is_localhost(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_it_is_written() {
        for text in ["localhost:5000", "127.0.0.1:0", "[::1]:5000", "[fe80::1%lo]:1", "unix:/run/shoutd.sock"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }
}
