//! Names become addresses on threads of their own, as a resolver may take as long as it likes.
//!
//! What the addresses are for is not known here.

use crate::net::address::known_addresses;
use crate::net::plain;
use std::collections::VecDeque;
use std::net::{SocketAddr, ToSocketAddrs};
use std::thread;

/// How many names may be asked for at once.
const THREADS: usize = 8;

/// What was found out about a name.
pub(super) type Found = Result<Vec<SocketAddr>, String>;

/// The addresses of `host`, the lowest first, where no resolver need be asked.
pub(super) fn literal(host: &str, port: u16) -> Option<Vec<SocketAddr>> {
    let ips = known_addresses(host);
    (!ips.is_empty()).then(|| ips.into_iter().map(|ip| SocketAddr::new(ip, port)).collect())
}

/// Names that are being asked for, and those that wait for it.
#[derive(Debug, Default)]
pub(super) struct Resolver {
    running: usize,
    waiting: VecDeque<(u64, String, u16)>,
}

impl Resolver {
    /// Asks for the addresses of `host`, which `tell` is told together with `key`.
    pub(super) fn ask<T>(&mut self, key: u64, host: &str, port: u16, tell: &T)
    where
        T: Fn(u64, Found) + Clone + Send + 'static,
    {
        self.waiting.push_back((key, host.to_owned(), port));
        self.go_on(tell);
    }

    /// Takes that an answer came, and asks for the next name.
    pub(super) fn handle_found<T>(&mut self, tell: &T)
    where
        T: Fn(u64, Found) + Clone + Send + 'static,
    {
        self.running = self.running.saturating_sub(1);
        self.go_on(tell);
    }

    fn go_on<T>(&mut self, tell: &T)
    where
        T: Fn(u64, Found) + Clone + Send + 'static,
    {
        while self.running < THREADS
            && let Some((key, host, port)) = self.waiting.pop_front()
        {
            let told = tell.clone();
            let ask = move || told(key, resolve(&host, port));
            self.running += 1;
            if let Err(error) = thread::Builder::new().name("resolve".to_owned()).spawn(ask) {
                tell(key, Err(format!("the name cannot be asked for: {}", plain(error))));
            }
        }
    }
}

fn resolve(host: &str, port: u16) -> Found {
    let found = (host, port).to_socket_addrs().map_err(|error| format!("the name is not known ({})", plain(error)))?;
    let mut all: Vec<SocketAddr> = found.collect();
    // the lowest first, so that both ends of a link try the same family first
    all.sort();
    all.dedup();
    if all.is_empty() { Err("the name has no address".to_owned()) } else { Ok(all) }
}
