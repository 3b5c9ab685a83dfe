//! Everything that owns a file descriptor: readiness in, calls of the floors below out.
//!
//! - [`address`]: where to listen, as it is written
//! - [`blocks`]: addresses in CIDR notation
//! - [`listener`]: listening sockets, bound or adopted
//! - [`acceptor`]: the thread that accepts, and hands over by
//! - [`mailbox`]: a channel whose receiver sleeps in epoll, to the
//! - [`worker`]: the threads that serve, each over its own table of
//! - [`stream`]: connected sockets
//! - [`poll`], [`bell`]: what these threads sleep in, and what wakes them; [`system`]: as much of it as a worker needs
//! - [`admission`], [`orders`], [`errands`], [`pulse`]: what they share: places, orders, questions, signs of life
//! - [`intake`]: the way from those who bring connections to the workers
//! - [`entrance`], `reception`: who is let in, and what becomes of those who are not
//! - [`links`]: the thread that dials peers
//! - [`access`]: what of connections stands in the log
//! - [`descriptors`]: the limit of open files

pub mod acceptor;
pub mod access;
pub mod address;
pub mod admission;
pub mod bell;
pub mod blocks;
pub mod descriptors;
pub mod entrance;
pub mod errands;
pub mod intake;
pub mod links;
pub mod listener;
pub mod mailbox;
pub mod orders;
pub mod poll;
pub mod pulse;
pub mod reception;
mod spin;
mod stopwatch;
pub mod stream;
mod sync;
pub mod system;
pub(crate) mod throttle;
mod tuning;
mod under_way;
pub mod worker;

/// An error in words, without the system's number for it.
pub(crate) fn plain(error: impl std::fmt::Display) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}
