//! What systemd is told, and what it passes: the notify socket, the watchdog, listening sockets.
//!
//! Without systemd all of it is nothing at all. When the daemon is ready, and whether it is alive,
//! is not decided here.

use crate::failure::{Exit, Failure};
use listenfd::ListenFd;
use sd_notify::NotifyState;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// Every listener is bound and every worker runs.
pub fn ready(status: &str) {
    notify(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// The daemon has begun to stop.
pub fn stopping(status: &str) {
    notify(&[NotifyState::Stopping, NotifyState::Status(status)]);
}

/// What the daemon is doing, for `systemctl status`.
pub fn status(status: &str) {
    notify(&[NotifyState::Status(status)]);
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

/// A listening socket that systemd passed, with the name its unit gave it (`FileDescriptorName=`).
#[derive(Debug)]
pub struct Passed {
    /// Its name.
    pub name: String,
    /// The socket.
    pub socket: OwnedFd,
}

/// Takes the sockets that systemd passed (`sd_listen_fds(3)`).
///
/// # Errors
///
/// When one of them is not a listening stream socket.
pub fn passed_sockets() -> Result<Vec<Passed>, Failure> {
    let mut passed = ListenFd::from_env();
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    let mut sockets = Vec::new();
    for index in 0..passed.len() {
        let name = names.next().filter(|name| !name.is_empty()).unwrap_or("unknown").to_owned();
        let tcp = passed.take_tcp_listener(index).ok().flatten().map(OwnedFd::from);
        let socket = tcp.or_else(|| passed.take_unix_listener(index).ok().flatten().map(OwnedFd::from));
        let Some(socket) = socket else {
            return Err(Failure::new(
                Exit::Config,
                format!(
                    "what systemd passed as `{name}` (descriptor {}) is not a listening stream socket; \
                     use ListenStream= and Accept=no in the .socket unit",
                    index + 3
                ),
            ));
        };
        sockets.push(Passed { name, socket });
    }
    Ok(sockets)
}
