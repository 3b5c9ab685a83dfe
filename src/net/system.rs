//! What a worker needs of the system it runs on: something to sleep in, and sockets.
//!
//! The one that serves clients is [`Poll`] with its [`Stream`]s; tests run whole workers on another, in which
//! whatever can happen to a socket does.

use super::bell::Bell;
use super::poll::{Interest, Poll};
use super::pulse::Pulse;
use super::stream::{Outcome, Peer, Stream};
use crate::deadlines::Moment;
use crate::transform::Context;
use rustix::io::Errno;
use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

/// Readiness, and the time; each method is that of [`Poll`].
pub trait System: Debug {
    /// What it watches.
    type Stream: Socket;

    /// What ends its sleep.
    fn bell(&self) -> &Arc<Bell>;

    /// Where it gives its signs of life.
    fn pulse(&self) -> &Arc<Pulse>;

    /// Watches `stream`, whose events are then told by `token`; see [`Poll::add`].
    ///
    /// # Errors
    ///
    /// When the system is short of memory or watches.
    fn add(&self, stream: &Self::Stream, token: u64, interest: Interest) -> Result<(), Errno>;

    /// Watches `stream` for something else; see [`Poll::modify`].
    ///
    /// # Errors
    ///
    /// When the system is short of memory.
    fn modify(&self, stream: &Self::Stream, token: u64, interest: Interest) -> Result<(), Errno>;

    /// Sleeps until there is an event or a ring, or it is `until`; see [`Poll::turn`].
    ///
    /// # Errors
    ///
    /// When it cannot tell of events any more.
    fn turn(&mut self, until: Option<Moment>) -> io::Result<()>;

    /// When this turn began.
    fn now(&self) -> Moment;

    /// The same, to the nanosecond.
    fn began(&self) -> Instant;

    /// How many events this turn has.
    fn events(&self) -> usize;

    /// The token of this turn's `nth` event.
    fn token(&self, nth: usize) -> Option<u64>;
}

/// A connected socket, closed when dropped; each method is that of [`Stream`].
pub trait Socket: Debug {
    /// Reads once into `buffer`, which must not be empty.
    fn read(&self, buffer: &mut [u8]) -> Outcome;

    /// Writes once from `bytes`, which must not be empty.
    fn write(&self, bytes: &[u8]) -> Outcome;

    /// What steps may say of the connection with this peer, of this listener, of this number.
    fn context(&self, peer: &Peer, listener: &str, connection: u64) -> Context;

    /// The address of this end, where it is a TCP connection.
    fn local(&self) -> Option<SocketAddr>;

    /// Bytes that were written and the other end has not acknowledged.
    fn under_way(&self) -> usize;

    /// Whether the other end has sent FIN, though there may be something to read before it.
    fn has_ended(&self) -> bool;

    /// Sends FIN behind what was written.
    fn shut_down(&self);

    /// Makes the close send a reset and drop what is still to be sent.
    fn reset_on_close(&self);
}

impl System for Poll {
    type Stream = Stream;

    fn bell(&self) -> &Arc<Bell> {
        Poll::bell(self)
    }

    fn pulse(&self) -> &Arc<Pulse> {
        Poll::pulse(self)
    }

    fn add(&self, stream: &Stream, token: u64, interest: Interest) -> Result<(), Errno> {
        Poll::add(self, stream, token, interest)
    }

    fn modify(&self, stream: &Stream, token: u64, interest: Interest) -> Result<(), Errno> {
        Poll::modify(self, stream, token, interest)
    }

    fn turn(&mut self, until: Option<Moment>) -> io::Result<()> {
        Poll::turn(self, until)
    }

    fn now(&self) -> Moment {
        Poll::now(self)
    }

    fn began(&self) -> Instant {
        Poll::began(self)
    }

    fn events(&self) -> usize {
        Poll::events(self)
    }

    fn token(&self, nth: usize) -> Option<u64> {
        Poll::token(self, nth)
    }
}

impl Socket for Stream {
    fn read(&self, buffer: &mut [u8]) -> Outcome {
        Stream::read(self, buffer)
    }

    fn write(&self, bytes: &[u8]) -> Outcome {
        Stream::write(self, bytes)
    }

    fn context(&self, peer: &Peer, listener: &str, connection: u64) -> Context {
        Stream::context(self, peer, listener, connection)
    }

    fn local(&self) -> Option<SocketAddr> {
        Stream::local(self)
    }

    fn under_way(&self) -> usize {
        Stream::under_way(self)
    }

    fn has_ended(&self) -> bool {
        Stream::has_ended(self)
    }

    fn shut_down(&self) {
        Stream::shut_down(self);
    }

    fn reset_on_close(&self) {
        Stream::reset_on_close(self);
    }
}
