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

use daemon::Met;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use world::World;

/// How many worlds are tried unless told.
const SEEDS: u64 = if cfg!(debug_assertions) { 200 } else { 1_000 };

fn seeds() -> Vec<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    match number("SHOUTD_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("SHOUTD_SEEDS").unwrap_or(SEEDS)).collect(),
    }
}

/// What all worlds met together.
#[derive(Debug, Default)]
struct All {
    met: Met,
    simultaneous: u32,
    lost: u32,
    failed: u32,
}

impl All {
    fn add(&mut self, met: &Met, simultaneous: u32, lost: u32) {
        self.met.add(met);
        self.simultaneous += simultaneous;
        self.lost += lost;
    }
}

/// Runs a world for each of `seeds`, and tells which of them fail.
fn run(seeds: &[u64], draw: impl Fn(u64) -> World + Sync, name: impl Fn(u64) -> String + Sync) -> All {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut all = All::default();
        while let Some(seed) = seeds.get(next.fetch_add(1, Relaxed)) {
            let world = catch_unwind(AssertUnwindSafe(|| {
                let mut world = draw(*seed);
                world.run();
                world.check();
                world
            }));
            match world {
                Ok(world) => {
                    all.add(&Met::default(), world.net.simultaneous, world.net.lost);
                    world.daemons.iter().for_each(|daemon| all.met.add(&daemon.met));
                }
                Err(_) => {
                    eprintln!("{}", name(*seed));
                    all.failed += 1;
                }
            }
        }
        all
    };
    let mut all = All::default();
    thread::scope(|scope| {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            let part = thread.join().unwrap_or_else(|panic| resume_unwind(panic));
            all.add(&part.met, part.simultaneous, part.lost);
            all.failed += part.failed;
        }
    });
    assert_eq!(all.failed, 0, "of {} worlds", seeds.len());
    all
}

#[test]
fn whatever_happens_to_a_network_each_pair_is_linked_once_and_no_loop_goes_on() {
    let seeds = seeds();
    let all = run(&seeds, draw::world, |seed| format!("SHOUTD_SEED={seed} replays it"));
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
        let steps = draw::steps("stream");
        for (a, b) in steps.iter().flat_map(|a| steps.iter().map(move |b| (*a, *b))) {
            pairs.extend([false, true].map(|both| (framing, [a, b], both)));
        }
    }
    let of = |seed: u64| pairs[usize::try_from(seed).unwrap()];
    let draw = |seed| {
        let (framing, steps, both) = of(seed);
        draw::pair(framing, steps, both, seed)
    };
    let seeds: Vec<u64> = (0..pairs.len() as u64).collect();
    let all = run(&seeds, draw, |seed| format!("it is {:?}", of(seed)));
    // each link of those who both dialled was dialled by both
    assert!(all.simultaneous as usize >= pairs.len(), "{all:?}");
}
