//! What systemd is told, and what it passes and keeps: the notify socket, the watchdog, listening
//! sockets.
//!
//! Without systemd all of it is nothing at all. When the daemon is ready, and whether it is alive,
//! is not decided here.

use crate::config::plain;
use crate::failure::{Exit, Failure};
use crate::net::listener::{Listening, Origin, Pool};
use listenfd::ListenFd;
use sd_notify::NotifyState;
use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// What the names of sockets begin with that systemd keeps for us; no listener has such a name.
const KEPT: &str = "kept.";

/// Every listener is bound and every worker runs.
pub fn ready(status: &str) {
    notify(&[NotifyState::Ready, NotifyState::Status(&plain(status))]);
}

/// The daemon has begun to reload; [`ready`] ends it, whatever came of it.
pub fn reloading() {
    let mut states = vec![NotifyState::Reloading];
    // what Type=notify-reload asks for; without a clock it is a reload for Type=notify still
    states.extend(NotifyState::monotonic_usec_now());
    notify(&states);
}

/// The daemon has begun to stop.
pub fn stopping(status: &str) {
    notify(&[NotifyState::Stopping, NotifyState::Status(&plain(status))]);
}

/// What the daemon is doing, for `systemctl status`.
pub fn status(status: &str) {
    notify(&[NotifyState::Status(&plain(status))]);
}

/// Every thread has given a sign of life.
pub fn alive() {
    notify(&[NotifyState::Watchdog]);
}

/// How long systemd waits for a sign of life, if it does (`WatchdogSec=`).
#[must_use]
pub fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::warn!("systemd cannot be notified: {error}");
    }
}

/// The sockets that systemd keeps for the next process (`FileDescriptorStoreMax=`), so that nobody who
/// connects meanwhile is refused.
#[derive(Debug, Default)]
pub struct Store {
    names: BTreeSet<String>,
}

impl Store {
    /// The store as the process before left it.
    #[must_use]
    pub fn new(inherited: &[Listening]) -> Store {
        Store { names: inherited.iter().filter_map(kept_name).collect() }
    }

    /// From now on these sockets are kept, and no others; those that systemd passed by a `.socket`
    /// unit it has anyway.
    pub fn keep(&mut self, sockets: &Pool) {
        if std::env::var_os("NOTIFY_SOCKET").is_none() {
            return;
        }
        let mut names = BTreeSet::new();
        for socket in sockets {
            let Some(name) = kept_name(socket) else { continue };
            if !self.names.contains(&name) {
                let states = [NotifyState::FdStore, NotifyState::FdName(&name)];
                if let Err(error) = sd_notify::notify_with_fds(&states, &[socket.as_fd()]) {
                    log::warn!("systemd cannot keep {} over a restart: {error}", socket.local());
                    continue;
                }
            }
            socket.set_stays(true);
            names.insert(name);
        }
        for gone in self.names.difference(&names) {
            notify(&[NotifyState::FdStoreRemove, NotifyState::FdName(gone)]);
        }
        self.names = names;
    }
}

/// The name under which systemd keeps a socket of ours: the listener for which the system chose its
/// port, if it did, and the system's number for it, which it has in the next process, too.
fn kept_name(socket: &Listening) -> Option<String> {
    let Origin::Bound { chosen_for } = socket.origin() else { return None };
    let chosen_for = chosen_for.as_ref().map_or_else(String::new, |name| format!("{name}."));
    Some(format!("{KEPT}{chosen_for}{}", socket.number()))
}

fn origin(name: &str) -> Origin {
    match name.strip_prefix(KEPT) {
        // the name of a listener has no dot
        Some(kept) => Origin::Bound { chosen_for: kept.split_once('.').map(|(listener, _)| listener.to_owned()) },
        None => Origin::Passed(name.to_owned()),
    }
}

/// Takes the sockets that systemd passed (`sd_listen_fds(3)`): those of `.socket` units, each under the
/// name that its unit gave it (`FileDescriptorName=`), and those that it kept for us.
///
/// # Errors
///
/// When one of them is not a listening stream socket.
pub fn passed_sockets() -> Result<Vec<Listening>, Failure> {
    let mut passed = ListenFd::from_env();
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    let mut sockets = Vec::new();
    for index in 0..passed.len() {
        let name = names.next().filter(|name| !name.is_empty()).unwrap_or("unknown");
        let tcp = passed.take_tcp_listener(index).ok().flatten().map(OwnedFd::from);
        let socket = tcp.or_else(|| passed.take_unix_listener(index).ok().flatten().map(OwnedFd::from));
        let adopted = socket.and_then(|socket| Listening::adopt(socket, origin(name)).ok());
        sockets.push(adopted.ok_or_else(|| {
            let text = format!(
                "what systemd passed as `{name}` (descriptor {}) is not a listening stream socket; \
                 use ListenStream= and Accept=no in the .socket unit",
                index + 3
            );
            Failure::new(Exit::Config, text)
        })?);
    }
    Ok(sockets)
}
