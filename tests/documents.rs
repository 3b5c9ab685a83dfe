//! What the README lists is what there is.

use shoutd::framing;
use shoutd::session::EndReason;
use shoutd::transform::{REGISTRY, shown};

const README: &str = include_str!("../README.md");

#[track_caller]
fn row(row: &str) {
    assert!(README.lines().any(|line| line.starts_with(row)), "the README has no row {row:?}");
}

#[test]
fn the_readme_lists_every_step_with_its_example() {
    for about in REGISTRY {
        let (input, output) = (shown(about.example.input), shown(about.example.output));
        row(&format!("| `{}` | {} | `{input}` → `{output}` |", about.name, about.summary));
    }
}

#[test]
fn the_readme_lists_every_framing() {
    for about in framing::REGISTRY {
        row(&format!("| `{}`", about.name));
    }
}

#[test]
fn the_readme_lists_every_reason_for_an_end() {
    for reason in EndReason::ALL {
        row(&format!("| `{}` |", reason.word()));
    }
}
