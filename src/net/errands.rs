//! What a worker is asked to do between two turns: to tell of its connections, to end one, to say
//! something to a peer.
//!
//! Whoever leaves an errand waits for its answer, and may find the worker too busy; orders, which
//! must arrive, are [`orders`](super::orders).

use super::links::Linkage;
use super::stream::Peer;
use crate::link::Unsayable;
use crate::session::{EndReason, Service};
use crossbeam_channel::Sender;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Something to do.
#[derive(Debug)]
pub enum Errand {
    /// Tell of each connection.
    List(Sender<Vec<Listed>>),
    /// End the connection with this number, and answer whether it was there.
    Kill(u64, Sender<bool>),
    /// Say a text to the peer that the connection with this number is the link to, and tell what comes
    /// of it.
    Say(u64, Vec<u8>, Sender<Reply>),
    /// From now on the connection from this address is a link.
    Adopt(SocketAddr, Box<Linkage>),
    /// The link with this number is none any more, for a reason.
    Unlink(u64, EndReason),
}

/// What came of a text that was said to a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// The answer.
    Answer {
        /// The answer's text.
        text: Vec<u8>,
        /// How long it took.
        round_trip: Duration,
    },
    /// Something else, or its beginning, that came meanwhile.
    Other(Vec<u8>),
    /// The link ended, and there will be no answer.
    Ended(EndReason),
    /// It was not said, or its answer is not awaited any more.
    Unsayable(Unsayable),
}

/// What is told of a connection.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Its number.
    pub id: u64,
    /// Who is at its other end.
    pub peer: Peer,
    /// How it is served.
    pub service: Arc<Service>,
    /// How long it has been open.
    pub age: Duration,
    /// How long nothing has come in or gone out.
    pub quiet: Duration,
    /// Bytes that came from the client.
    pub received: u64,
    /// Bytes that the socket took for the client.
    pub sent: u64,
    /// Messages that came from the client; under `stream`, reads.
    pub messages: u64,
    /// What it does, in one word.
    pub state: &'static str,
    /// The name of the peer that it is the link to, if it is one.
    pub link: Option<String>,
}
