//! The admin thread: HTTP for whoever looks at the daemon or tells it something.

use crate::board::Board;
use crate::config::{AdminSettings, Source};
use crate::failure::Failure;
use crate::reload::Ask;
use crate::server::Control;
use crate::signals::Signal;
use crossbeam_channel::Sender;
use std::sync::Arc;

/// What the admin thread can reach of the daemon.
#[derive(Clone)]
pub struct Reach {
    /// The server.
    pub control: Control,
    /// What the main thread writes up.
    pub board: Arc<Board>,
    /// Where a reload is asked for.
    pub asks: Sender<Ask>,
    /// Where a stop is asked for.
    pub signals: Sender<Signal>,
}

/// The running admin thread.
pub struct Admin;

impl Admin {
    /// Starts it.
    ///
    /// # Errors
    ///
    /// When an address cannot be listened on.
    pub fn start(_: &AdminSettings, _: &Source, _: Reach) -> Result<Admin, Failure> {
        Ok(Admin)
    }
}

/// The status.
pub struct Status;

impl Status {
    /// How the daemon is.
    #[must_use]
    pub fn of(_: &Control, _: &Board) -> Status {
        Status
    }

    /// In lines for people.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        Vec::new()
    }
}
