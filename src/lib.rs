//! A TCP service that answers with your text, transformed, and that you never have to restart.

// nothing that comes from outside may bring the daemon down
#![warn(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]
#![warn(unreachable_pub)]

pub mod deadlines;
pub mod failure;
pub mod framing;
pub mod metrics;
pub mod net;
pub mod server;
pub mod session;
pub mod transform;
