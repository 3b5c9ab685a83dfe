//! What the README lists is what there is.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use shoutd::framing;
use shoutd::session::EndReason;
use std::process::Command;

const README: &str = include_str!("../README.md");

#[track_caller]
fn row(row: &str) {
    assert!(README.lines().any(|line| line.starts_with(row)), "the README has no row {row:?}");
}

#[test]
fn the_readmes_table_of_steps_is_what_the_program_prints() {
    let output = Command::new(env!("CARGO_BIN_EXE_shoutd")).args(["transforms", "--markdown"]).output().unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(README.contains(&table), "run `just readme`, and the README has this table:\n{table}");
}

#[test]
fn the_readme_lists_every_framing() {
    for about in framing::REGISTRY {
        row(&format!("| `{}` | {} |", about.name, about.summary));
    }
}

#[test]
fn the_readme_lists_every_reason_for_an_end() {
    for reason in EndReason::ALL {
        row(&format!("| `{}` |", reason.word()));
    }
}
