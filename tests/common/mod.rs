//! How tests wait: for a condition, never for a time.

use std::thread;
use std::time::{Duration, Instant};

/// Longer than anything here may take, so that a test fails rather than hangs.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `condition` holds.
#[track_caller]
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "in vain: {what}");
        thread::park_timeout(Duration::from_millis(1));
    }
}
