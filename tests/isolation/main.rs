//! Faults of shoutd's own, which failpoints order: who is harmed by them, and who is not.
//!
//! Needs the feature `failpoints`; `just isolation` gives it.

#[path = "../common/mod.rs"]
mod common;
#[path = "../behaviour/harness.rs"]
#[allow(dead_code, reason = "the other tests use all of it")]
mod harness;
#[path = "../process/harness.rs"]
#[allow(dead_code, reason = "the other tests use all of it")]
mod process;

mod daemon; // the program: exit codes, health, the watchdog
mod panics; // steps and workers that panic
mod stalls; // workers that stall, calls that fail
