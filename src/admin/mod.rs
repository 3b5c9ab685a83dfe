//! The admin thread: HTTP for whoever looks at the daemon or tells it something.

pub mod client;
pub mod connections;
mod lines;
pub mod place;
mod rates;
pub mod status;

pub use rates::{Rates, Sampler};
pub use status::Status;

use crate::board::Board;
use crate::config::{AdminSettings, Source};
use crate::failure::Failure;
use crate::logging;
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
    /// The log.
    pub log: logging::Handle,
    /// Where a reload is asked for.
    pub asks: Sender<Ask>,
    /// Where a stop is asked for.
    pub signals: Sender<Signal>,
    /// What happens in a second.
    pub rates: Arc<Sampler>,
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
