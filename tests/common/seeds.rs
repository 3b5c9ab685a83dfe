//! Which seeds are tried: on all processors at once, and each that fails is told.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

/// The one in `SHOUTD_SEED`; else the first so many as `SHOUTD_SEEDS` says, or `default`.
pub fn seeds(default: u64) -> Vec<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    match number("SHOUTD_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("SHOUTD_SEEDS").unwrap_or(default)).collect(),
    }
}

/// How one is replayed.
pub fn replays(seed: u64) -> String {
    format!("SHOUTD_SEED={seed} replays it")
}

/// What `run` gives for each of `seeds`; fails when it panics for one, and says `name` of that.
pub fn try_all<T: Send>(seeds: &[u64], run: impl Fn(u64) -> T + Sync, name: impl Fn(u64) -> String + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let work = || {
        let (mut good, mut failed) = (Vec::new(), 0);
        while let Some(seed) = seeds.get(next.fetch_add(1, Relaxed)) {
            match catch_unwind(AssertUnwindSafe(|| run(*seed))) {
                Ok(result) => good.push(result),
                Err(_) => {
                    eprintln!("{}", name(*seed));
                    failed += 1;
                }
            }
        }
        (good, failed)
    };
    let (mut all, mut failed) = (Vec::new(), 0);
    thread::scope(|scope| {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            let (good, bad) = thread.join().unwrap_or_else(|panic| resume_unwind(panic));
            all.extend(good);
            failed += bad;
        }
    });
    assert_eq!(failed, 0, "of {} worlds", seeds.len());
    all
}
