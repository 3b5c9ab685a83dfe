//! Each open connection: what `GET /connections` answers, and what `shoutd connections` reads.

use crate::net::errands::Listed;
use serde::{Deserialize, Serialize};

/// An open connection.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Connection {
    /// Its number.
    pub id: u64,
    /// Who is at its other end.
    pub peer: String,
    /// The listener that took it.
    pub listener: String,
    /// How long it has been open.
    pub age_seconds: f64,
    /// How long nothing has come in or gone out.
    pub quiet_seconds: f64,
    /// Bytes from the client.
    pub bytes_received: u64,
    /// Bytes to the client.
    pub bytes_sent: u64,
    /// Messages from the client; under `stream`, reads.
    pub messages: u64,
    /// What it does: `open`, `reading` a message that has begun, `writing`, `slowed` by a rate,
    /// `holding` back answers that go round in a loop, or `ending`.
    pub state: String,
    /// The name of the peer that it is the link to, if it is one.
    pub link: Option<String>,
}

impl From<&Listed> for Connection {
    fn from(listed: &Listed) -> Connection {
        Connection {
            id: listed.id,
            peer: listed.peer.to_string(),
            listener: listed.service.name.clone(),
            age_seconds: listed.age.as_secs_f64(),
            quiet_seconds: listed.quiet.as_secs_f64(),
            bytes_received: listed.received,
            bytes_sent: listed.sent,
            messages: listed.messages,
            state: listed.state.to_owned(),
            link: listed.link.clone(),
        }
    }
}
