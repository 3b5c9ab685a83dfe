//! What the fuzzer found interesting stays checked: each file under `fuzz/corpus` is replayed.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

#[path = "../fuzz/checks.rs"]
mod checks;

use std::fs;
use std::path::Path;

#[track_caller]
fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut count = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        eprintln!("{}", path.display());
        check(&fs::read(path).unwrap());
        count += 1;
    }
    assert!(count >= 20, "{count} in {}", folder.display());
}

#[test]
fn what_was_found_of_framings_holds() {
    replay("framing", checks::framing);
}

#[test]
fn what_was_found_of_chains_holds() {
    replay("chain", checks::chain);
}

#[test]
fn what_was_found_of_configurations_holds() {
    replay("config", checks::config);
}
