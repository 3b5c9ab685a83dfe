//! What a worker is asked to do between two turns: to tell of its connections, to end one.
//!
//! Whoever leaves an errand waits for its answer, and may find the worker too busy; orders, which
//! must arrive, are [`orders`](super::orders).

use super::stream::Peer;
use crate::session::Service;
use crossbeam_channel::Sender;
use std::sync::Arc;
use std::time::Duration;

/// Something to do.
#[derive(Debug)]
pub enum Errand {
    /// Tell of each connection.
    List(Sender<Vec<Listed>>),
    /// End the connection with this number, and answer whether it was there.
    Kill(u64, Sender<bool>),
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
}
