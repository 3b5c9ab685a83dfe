//! How tests wait: for a condition, never for a time; and how they write a step.

#![allow(dead_code, reason = "each test program uses its part of this")]

pub mod inputs;
pub mod ports;
pub mod seeds;

use serde::de::DeserializeSeed;
use shoutd::config::Folder;
use shoutd::transform::{Choice, Options, REGISTRY, Site, StepSeed};
use std::path::Path;

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

/// A step as it is written in the configuration; a bare name has no quotes. Its files lie in `tests`.
#[track_caller]
pub fn step(written: &str, options: Options) -> Choice {
    let files = &Folder(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests")));
    let quoted = if written.starts_with('{') { written.to_owned() } else { format!("\"{written}\"") };
    let step = toml::de::ValueDeserializer::parse(&quoted).expect(written);
    StepSeed(Site { options, files }).deserialize(step).unwrap_or_else(|error| panic!("{written}: {}", error.message()))
}

/// All steps that a framing allows, each as its example has it.
pub fn steps(framing: &str) -> Vec<&'static str> {
    let all = REGISTRY.iter().map(|about| about.example.step);
    all.filter(|written| framing != "stream" || !step(written, Options::default()).needs_messages()).collect()
}
