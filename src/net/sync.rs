//! What the threads of this floor tell each other by: std's, or, under the feature `shuttle`, its doubles, whose
//! scheduler tries what order threads may come in (`tests/threads.rs`).
//!
//! Channels are not here: nobody waits in one, so that each of their calls happens at once. Nor are counts, on which
//! nothing depends. All flags are sequentially consistent, as shuttle takes everything to be.

#[cfg(feature = "shuttle")]
pub(super) use shuttle::sync::{Mutex, atomic};
#[cfg(not(feature = "shuttle"))]
pub(super) use std::sync::{Mutex, atomic};
