//! What tells two configurations apart: each key with its old and its new value, and when the new one
//! takes effect.

use super::effective::{Entry, inline};
use super::keys::UNNAMED;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::fmt;

/// A key that has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The key, as in [`Entry::path`]; `listener.NAME` for a listener that has come or gone.
    pub key: String,
    /// Its value before, as TOML; none for a listener that has come.
    pub old: Option<String>,
    /// Its value now, as TOML; none for a listener that has gone.
    pub new: Option<String>,
    /// When it takes effect.
    pub effect: Effect,
}

/// When a changed key takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    /// At once, for live connections at their next message.
    #[serde(rename = "live")]
    Live,
    /// For connections that are accepted from now on.
    #[serde(rename = "new connections")]
    NewConnections,
    /// When the daemon is started anew.
    #[serde(rename = "needs restart")]
    NeedsRestart,
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Effect::Live => "live",
            Effect::NewConnections => "new connections",
            Effect::NeedsRestart => "needs restart",
        })
    }
}

/// Keys of a peer that its next link meets.
const NEXT_LINK: [&str; 5] = ["greeting", "source_port", "answer_back", "once", "loop_guard"];
/// Keys that only a start reads.
const RESTART: [&str; 4] = ["workers", "spin", "admin.socket", "admin.listen"];
/// Keys by which bytes are read; who is connected keeps what they were, and the transform with it.
const FRAMING: [&str; 3] = ["framing", "framing_out", "delimiter"];
/// Keys that go with them.
const TRANSFORM: [&str; 6] = ["transform", "invalid_utf8", "on_error", "on_unmappable", "max_message", "on_long"];
/// Other keys that only new connections meet.
const NEW: [&str; 12] = [
    "listen",
    "greeting",
    "socket",
    "limits.max_connections",
    "limits.allow",
    "limits.deny",
    "limits.max_connections_per_source",
    "limits.connection_rate_per_source",
    "limits.message_rate_per_source",
    "limits.byte_rate_per_source",
    "limits.on_limit",
    "limits.early_refusal",
];

/// The keys whose values differ, in the order of a file; tests are none of them.
#[must_use]
pub fn changes(old: &[Entry], new: &[Entry]) -> Vec<Change> {
    // the keys of a listener without a table of its own stand among those of the daemon
    let of_tables =
        old.iter().chain(new).filter(|entry| !is_of_peers(entry)).map(named).filter(|(name, _)| name.is_some());
    let keys: HashSet<&str> = of_tables.map(|(_, key)| key).collect();
    let place = |entry: &Entry| -> (Option<String>, String) {
        let (name, key) = named(entry);
        let name = name.or_else(|| keys.contains(key).then_some(UNNAMED));
        (name.map(str::to_owned), key.to_owned())
    };
    let (before, after) = (Values::of(old, place), Values::of(new, place));
    let mut seen = HashSet::new();
    let mut changes = Vec::new();
    for entry in new.iter().chain(old).filter(|entry| !is_of_peers(entry)) {
        let at = place(entry);
        let [old, new] = [&before, &after].map(|values| values.by_place.get(&at));
        let (listener, key) = &at;
        if old == new || key.starts_with("test.") || key == "name" || !seen.insert(at.clone()) {
            continue;
        }
        let [old, new] = [old, new].map(|value| value.map(|value| inline(value)));
        let is_whole = |name: &String| !before.listeners.contains(name) || !after.listeners.contains(name);
        changes.push(match listener {
            // all keys of one that has come or gone are one change
            Some(name) if is_whole(name) && key != "listen" => continue,
            Some(name) if is_whole(name) => {
                Change { key: format!("listener.{name}"), old, new, effect: Effect::NewConnections }
            }
            _ => {
                let differs = |framing: &&str| {
                    let at = (listener.clone(), (*framing).to_owned());
                    before.by_place.get(&at) != after.by_place.get(&at)
                };
                Change { key: entry.path.clone(), old, new, effect: effect(key, FRAMING.iter().any(differs)) }
            }
        });
    }
    changes.extend(peer_changes(old, new));
    changes
}

/// The same of peers; what is said for all of them is told of each.
fn peer_changes(old: &[Entry], new: &[Entry]) -> Vec<Change> {
    let [before, after] = [old, new].map(|entries| -> HashMap<(&str, &str), &Value> {
        entries.iter().filter_map(|entry| Some((of_peer(entry)?, &entry.value))).collect()
    });
    let (mut seen, mut changes) = (HashSet::new(), Vec::new());
    for (name, key) in new.iter().chain(old).filter_map(of_peer) {
        let is_there = |values: &HashMap<(&str, &str), &Value>| values.contains_key(&(name, "address"));
        let is_whole = !is_there(&before) || !is_there(&after);
        let [old, new] = [&before, &after].map(|values| values.get(&(name, key)).map(|value| inline(value)));
        if old == new || key == "name" || (is_whole && key != "address") || !seen.insert((name, key)) {
            continue;
        }
        let path = if is_whole { format!("peer.{name}") } else { format!("peer.{name}.{key}") };
        let effect = if NEXT_LINK.contains(&key) { Effect::NewConnections } else { Effect::Live };
        changes.push(Change { key: path, old, new, effect });
    }
    changes
}

/// The peer whose table an entry stands in, and its key there.
fn of_peer(entry: &Entry) -> Option<(&str, &str)> {
    entry.path.strip_prefix("peer.")?.split_once('.')
}

fn is_of_peers(entry: &Entry) -> bool {
    entry.path.starts_with("peer.") || entry.path.starts_with("peers.")
}

/// The values of a configuration, by listener and key.
struct Values<'e> {
    by_place: HashMap<(Option<String>, String), &'e Value>,
    listeners: HashSet<String>,
}

impl<'e> Values<'e> {
    fn of(entries: &'e [Entry], place: impl Fn(&Entry) -> (Option<String>, String)) -> Values<'e> {
        let by_place: HashMap<_, _> = entries.iter().map(|entry| (place(entry), &entry.value)).collect();
        let listeners = by_place.keys().filter(|(_, key)| key == "listen").filter_map(|(name, _)| name.clone());
        Values { listeners: listeners.collect(), by_place }
    }
}

/// The keys whose values only a restart brings into effect, among those that differ.
#[must_use]
pub fn restart_pending(started: &[Entry], now: &[Entry]) -> Vec<String> {
    let changes = changes(started, now).into_iter();
    changes.filter(|change| change.effect == Effect::NeedsRestart).map(|change| change.key).collect()
}

fn effect(key: &str, reads_otherwise: bool) -> Effect {
    let is_in = |keys: &[&str]| {
        keys.iter().any(|own| key.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
    };
    if is_in(&RESTART) {
        Effect::NeedsRestart
    } else if is_in(&FRAMING) || is_in(&NEW) || (reads_otherwise && is_in(&TRANSFORM)) {
        Effect::NewConnections
    } else {
        Effect::Live
    }
}

/// The listener whose table an entry stands in, and its key there.
fn named(entry: &Entry) -> (Option<&str>, &str) {
    match entry.path.strip_prefix("listener.").and_then(|rest| rest.split_once('.')) {
        Some((name, key)) => (Some(name), key),
        None => (None, &entry.path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    fn table(old: &str, new: &str) -> Vec<String> {
        let [old, new] = [old, new].map(|text| parse("f", text).unwrap().effective);
        let show = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        let line = |change: Change| {
            format!("{} | {} | {} | {}", change.key, show(change.old), show(change.new), change.effect)
        };
        changes(&old, &new).into_iter().map(line).collect()
    }

    #[test]
    fn each_key_that_differs_is_told_with_its_effect() {
        assert_eq!(table("", ""), [""; 0]);
        assert_eq!(
            table(
                "",
                "listen = 'localhost:5001'\ntransform = 'lowercase'\nworkers = 3\n[limits]\nidle_timeout = '1s'\n\
                 [socket]\nkeepalive = 'off'"
            ),
            [
                "listen | \"localhost:5000\" | \"localhost:5001\" | new connections",
                "transform | \"uppercase\" | \"lowercase\" | live",
                "workers | \"auto\" | 3 | needs restart",
                "limits.idle_timeout | \"10min\" | \"1s\" | live",
                "socket.keepalive | - | \"off\" | new connections",
                "socket.keepalive.idle | \"60s\" | - | new connections",
                "socket.keepalive.interval | \"10s\" | - | new connections",
                "socket.keepalive.probes | 6 | - | new connections",
            ]
        );
    }

    #[test]
    fn with_the_framing_the_transform_waits_for_new_connections() {
        assert_eq!(
            table("", "framing = 'line'\ntransform = 'reverse'"),
            [
                "transform | \"uppercase\" | \"reverse\" | new connections",
                "framing | \"stream\" | \"line\" | new connections",
            ]
        );
    }

    #[test]
    fn a_peer_that_comes_or_goes_is_one_change_and_links_are_made_anew_for_others() {
        let one = "[[peer]]\nname = 'b'\naddress = 'h:6000'\n";
        let other = "[peers]\ngreeting = 'hi'\n[[peer]]\nname = 'b'\naddress = 'h:6001'\n";
        assert_eq!(table("", one), ["peer.b | - | \"h:6000\" | live"]);
        assert_eq!(table(one, ""), ["peer.b | \"h:6000\" | - | live"]);
        assert_eq!(
            table(one, other),
            ["peer.b.address | \"h:6000\" | \"h:6001\" | live", "peer.b.greeting | \"\" | \"hi\" | new connections",]
        );
    }

    #[test]
    fn a_listener_that_comes_or_goes_is_one_change() {
        let two = "[[listener]]\nlisten = 'localhost:5000'\n[[listener]]\nname = 'b'\nlisten = 'h:1'\n";
        assert_eq!(table("", two), ["listener.b | - | \"h:1\" | new connections"]);
        assert_eq!(table(two, ""), ["listener.b | \"h:1\" | - | new connections"]);
        let others = "[[listener]]\nname = 'b'\nlisten = 'h:1'\n[[listener]]\nname = 'c'\nlisten = 'h:2'\n";
        assert_eq!(
            table("", others),
            [
                "listener.b | - | \"h:1\" | new connections",
                "listener.c | - | \"h:2\" | new connections",
                "listener.default | \"localhost:5000\" | - | new connections",
            ]
        );
    }
}
