//! A TCP service that answers with your text, transformed, and that you never have to restart.

pub mod deadlines;
pub mod failure;
pub mod framing;
pub mod net;
pub mod server;
pub mod session;
pub mod transform;
