//! Links to peers.

#[allow(unused_imports, reason = "what is written into it is not here yet")]
pub mod sheet;
