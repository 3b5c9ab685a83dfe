//! Links under seeded worlds: networks of daemons, and of peers that are none, that dial each other over a
//! network which loses, delays, breaks and is cut, while hosts vanish and come back.
//!
//! A failure prints its seed; `SHOUTD_SEED=N cargo test --test links` replays it and tells all that happens,
//! and `SHOUTD_SEEDS=N` says how many seeds are tried (1,000 unless told, 200 unoptimized).

#[path = "../common/mod.rs"]
mod common;
mod daemon;
mod draw;
mod stranger;
mod tcp;
mod world;

use common::seeds::{replays, seeds, try_all};
use daemon::Met;
use world::World;

/// How many worlds are tried unless told.
const SEEDS: u64 = if cfg!(debug_assertions) { 200 } else { 1_000 };

/// What all worlds met together.
#[derive(Debug, Default)]
struct All {
    met: Met,
    simultaneous: u32,
    lost: u32,
}

/// Runs a world for each of `seeds`, and tells which of them fail.
fn run(seeds: &[u64], draw: impl Fn(u64) -> World + Sync, name: impl Fn(u64) -> String + Sync) -> All {
    let one = |seed| {
        let mut world = draw(seed);
        world.run();
        world.check();
        let mut all = All { simultaneous: world.net.simultaneous, lost: world.net.lost, ..All::default() };
        world.daemons.iter().for_each(|daemon| all.met.add(&daemon.met));
        all
    };
    try_all(seeds, one, name).into_iter().fold(All::default(), |mut all, one| {
        all.met.add(&one.met);
        all.simultaneous += one.simultaneous;
        all.lost += one.lost;
        all
    })
}

#[test]
fn whatever_happens_to_a_network_each_pair_is_linked_once_and_no_loop_goes_on() {
    let seeds = seeds(SEEDS);
    let all = run(&seeds, draw::world, replays);
    // a world that never meets what it is about proves nothing
    let Met { linked, taken, adopted, duplicates, any_port: _, failures, loops, releases, answers, done } = all.met;
    let met =
        [linked, taken, adopted, duplicates, failures, loops, releases, answers, done, all.simultaneous, all.lost];
    assert!(seeds.len() < 1_000 || met.iter().all(|times| *times > 40), "{all:?}");
}

#[test]
fn whatever_two_steps_answer_each_other_the_loop_decays() {
    let mut pairs = Vec::new();
    for framing in ["stream", "line"] {
        let steps = common::steps("stream");
        for (a, b) in steps.iter().flat_map(|a| steps.iter().map(move |b| (*a, *b))) {
            pairs.extend([false, true].map(|both| (framing, [a, b], both)));
        }
    }
    let of = |seed: u64| pairs[usize::try_from(seed).unwrap()];
    let draw = |seed| {
        let (framing, steps, both) = of(seed);
        draw::pair(framing, steps, both, seed)
    };
    // all of them take a minute unoptimized
    let every = if cfg!(debug_assertions) { 5 } else { 1 };
    let seeds: Vec<u64> = (0..pairs.len() as u64).step_by(every).collect();
    let all = run(&seeds, draw, |seed| format!("it is {:?}", of(seed)));
    // each link of those who both dialled was dialled by both
    assert!(all.simultaneous as usize >= seeds.len(), "{all:?}");
}
