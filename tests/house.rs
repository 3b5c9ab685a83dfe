//! The house stands: imports point down only, and each floor knows only what it may.
//!
//! The floors are those of ARCHITECTURE.md. This test reads the sources; it runs nothing.

use std::fs;
use std::path::{Path, PathBuf};

/// Each room's floor.
const FLOORS: [(&str, usize); 23] = [
    ("transform", 0),
    ("framing", 0),
    ("deadlines", 0),
    ("failpoints", 0),
    ("metrics", 0),
    ("rates", 0),
    ("link", 1),
    ("session", 1),
    ("sources", 1),
    ("net", 2),
    ("server", 3),
    ("admin", 4),
    ("board", 4),
    ("cli", 4),
    ("config", 4),
    ("daemon", 4),
    ("failure", 4),
    ("logging", 4),
    ("main", 4),
    ("offline", 4),
    ("reload", 4),
    ("signals", 4),
    ("systemd", 4),
];

/// What the lower floors live without, up to and including the floor.
const UNKNOWN: [(&str, usize); 9] = [
    ("std::net", 1),
    ("std::os::fd", 1),
    ("std::thread", 1),
    ("std::io", 1),
    ("rustix::", 1),
    ("log::", 1),
    ("Instant::now", 1),
    ("toml::", 3),
    ("std::env", 3),
];

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().find(|(name, _)| *name == room).map(|(_, floor)| *floor)
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The code of a file, without its comments and without the tests at its foot.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let text = text.split("#[cfg(test)]").next().unwrap();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn room(path: &Path, src: &Path) -> String {
    let inside = path.strip_prefix(src).unwrap();
    let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

#[test]
fn imports_point_down_only() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut checked = 0;
    for path in sources(&src).into_iter().filter(|path| !path.ends_with("lib.rs")) {
        let here = room(&path, &src);
        let own = floor(&here).unwrap_or_else(|| panic!("{here} has no floor"));
        for import in code(&path).split("crate::").skip(1) {
            let names = import.strip_prefix('{').map_or(import, |list| list.split('}').next().unwrap());
            let end = |c: char| !(c.is_alphanumeric() || c == '_');
            let rooms = if import.starts_with('{') {
                names.split(',').map(|name| name.trim().split(end).next().unwrap()).collect()
            } else {
                vec![names.split(end).next().unwrap()]
            };
            for other in rooms {
                let theirs = floor(other).unwrap_or_else(|| panic!("{}: crate::{other}?", path.display()));
                assert!(theirs <= own, "{}: floor {own} imports {other} from floor {theirs}", path.display());
                let apart = [("transform", "framing"), ("framing", "transform")];
                assert!(!apart.contains(&(here.as_str(), other)), "{}: {other}", path.display());
                checked += 1;
            }
        }
    }
    assert!(checked > 30, "only {checked} imports were found");
}

#[test]
fn no_floor_knows_more_than_it_may() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for path in sources(&src).into_iter().filter(|path| !path.ends_with("lib.rs")) {
        let own = floor(&room(&path, &src)).unwrap();
        let code = code(&path);
        for (word, highest) in UNKNOWN {
            assert!(own > highest || !code.contains(word), "{}: floor {own} speaks of {word}", path.display());
        }
    }
}
