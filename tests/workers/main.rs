//! Whole workers under seeded worlds: sockets that take and give what they like, whose clients end, reset,
//! vanish or never read; a clock that jumps; reloads, errands, links, stops.
//!
//! Threads there are none: what they make of each other is in `tests/threads.rs`. A failure tells what happened last
//! and prints its seed; `SHOUTD_SEED=N cargo test --test workers` replays it, and `SHOUTD_SEEDS=N` says how many
//! seeds are tried (1,000 unless told, 20 unoptimized).

#[path = "../common/mod.rs"]
mod common;
mod connection;
mod draw;
mod ideal;
mod system;
mod world;

use common::seeds::{replays, seeds, try_all};
use shoutd::session::EndReason;
use std::collections::HashMap;
use world::World;

/// How many worlds are tried unless told.
const SEEDS: u64 = if cfg!(debug_assertions) { 20 } else { 1_000 };

#[test]
fn whatever_happens_a_worker_serves_each_connection_rightly_to_its_end() {
    let seeds = seeds(SEEDS);
    let mut ends: HashMap<EndReason, usize> = HashMap::new();
    for met in try_all(&seeds, |seed| World::new(seed).run(), replays) {
        for reason in met {
            *ends.entry(reason).or_default() += 1;
        }
    }
    // a world that never meets one of its ends proves nothing about it
    let others = [EndReason::StepPanic, EndReason::WorkerPanic];
    let is_possible = |reason: &&EndReason| !EndReason::REFUSALS.contains(reason) && !others.contains(reason);
    let never: Vec<_> = EndReason::ALL.iter().filter(is_possible).filter(|reason| !ends.contains_key(reason)).collect();
    assert!(seeds.len() < 100 || never.is_empty(), "{never:?} of {ends:?}");
}
