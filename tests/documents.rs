//! What the README lists is what there is.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use shoutd::framing;
use shoutd::session::EndReason;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

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

/// Every file of tests, as one text.
fn tests_as_text(folder: &Path) -> String {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let text = |path: std::path::PathBuf| {
        if path.is_dir() { tests_as_text(&path) } else { fs::read_to_string(path).unwrap_or_default() }
    };
    entries.map(text).collect()
}

/// A row that nothing shows is a promise, and a check that no row has is one that nobody looks for.
#[test]
fn every_fault_of_the_list_is_shown_by_a_check_and_every_check_has_its_row() {
    let faults = include_str!("../docs/FAULTS.md");
    let checks = tests_as_text(Path::new("tests/faults/checks"));
    let numbers = |text: &str, before: &str| -> std::collections::BTreeSet<String> {
        let after = text.split(before).skip(1).filter_map(|rest| rest.get(..2));
        after.filter(|number| number.bytes().all(|byte| byte.is_ascii_digit())).map(str::to_owned).collect()
    };
    let mut shown = 0;
    for row in faults.lines().filter(|line| line.starts_with("| ") && line.as_bytes()[2].is_ascii_digit()) {
        let by = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        for one in by.split(", ").map(|one| one.trim_matches('`')) {
            let path = one.trim_end_matches('/');
            let exists = match path.split_once("::") {
                Some(("process", room)) => Path::new("tests/process").join(format!("{room}.rs")).exists(),
                Some((room, "tests")) => {
                    ["src", "src/net"].iter().any(|at| Path::new(at).join(format!("{room}.rs")).exists())
                }
                _ if path.starts_with("tests/") => Path::new(path).exists(),
                _ => checks.contains(&format!("\ndef {path}_")),
            };
            assert!(exists, "nothing is called {one}, which is to show {row}");
        }
        shown += 1;
    }
    assert!(shown >= 52, "{shown}");
    let lacking: Vec<_> =
        numbers(&checks, "\ndef f").into_iter().filter(|number| !faults.contains(&format!("f{number}"))).collect();
    assert!(lacking.is_empty(), "no row has the checks of {lacking:?}");
}

/// The blocks of the README in this language, each with the one before it.
fn blocks(language: &str) -> Vec<(&'static str, &'static str)> {
    let (mut blocks, mut before) = (Vec::new(), "");
    for block in README.split("\n```").skip(1).step_by(2) {
        let (kind, text) = block.split_once('\n').unwrap();
        if kind == language {
            blocks.push((before, text));
        }
        before = text;
    }
    blocks
}

/// What stands behind each `$` is typed into a shell, and what it prints is what the README shows.
#[test]
fn the_readmes_transforms_and_tests_print_what_it_shows() {
    let program = Path::new(env!("CARGO_BIN_EXE_shoutd")).parent().unwrap().display().to_string();
    let mut typed = 0;
    for (before, block) in blocks("console") {
        if !block.contains("shoutd transform") && !block.contains("hues.toml") {
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("hues.toml"), before).unwrap();
        for command in block.strip_prefix("$ ").unwrap().split("\n$ ") {
            let (command, shown) = command.split_once('\n').unwrap();
            let path = format!("{program}:{}", env::var("PATH").unwrap());
            let mut shell = Command::new("sh");
            let output = shell.args(["-c", command]).env("PATH", path).current_dir(&folder).output().unwrap();
            let printed = [output.stdout, output.stderr].concat();
            assert_eq!(String::from_utf8(printed).unwrap().trim_end(), shown.trim_end(), "{command}");
            typed += 1;
        }
    }
    assert_eq!(typed, 4);
}
