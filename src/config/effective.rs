//! The values in effect, each with its origin, and how they are written for people and programs.

use serde::{Serialize, Serializer};
use serde_json::Value;
use std::collections::HashMap;
use std::fmt::{self, Write};
use std::sync::Arc;

/// One key, its value in effect, and where that comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The key with its tables, as `limits.idle_timeout`; of a `[[listener]]`, as
    /// `listener.NAME.limits.idle_timeout`.
    #[serde(rename = "key")]
    pub path: String,
    /// The value, worded as in the file where it comes from one.
    pub value: Value,
    /// Where the value comes from.
    pub origin: Origin,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody wrote it.
    Default,
    /// A line of a file.
    File {
        /// The file's name.
        name: Arc<str>,
        /// The line, from 1.
        line: usize,
    },
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File { name, line } => write!(f, "{name}:{line}"),
        }
    }
}

/// The table that holds the key `path`, as the header of a file, and the key there.
fn header(path: &str) -> (String, &str) {
    match path.split_once('.') {
        None => (String::new(), path),
        Some((list @ ("listener" | "peer" | "test"), rest)) => {
            let (name, key) = rest.split_once('.').unwrap_or(("", rest));
            // the name only parts one from the next; it is an entry of its own
            (format!("\n[[{list}]] # {name}\n"), key)
        }
        Some((table, key)) => (format!("\n[{table}]\n"), key),
    }
}

/// The entries in the order of a file: those of a table together, and lists last, as a
/// header ends what belongs to the one before.
pub(super) fn ordered(entries: Vec<Entry>) -> Vec<Entry> {
    let mut seen = HashMap::new();
    let place = |entry: Entry| {
        let (header, next) = (header(&entry.path).0, seen.len());
        let kind = (header.contains("[["), !header.is_empty());
        ((kind, *seen.entry(header).or_insert(next)), entry)
    };
    let mut placed: Vec<_> = entries.into_iter().map(place).collect();
    placed.sort_by_key(|(place, _)| *place);
    placed.into_iter().map(|(_, entry)| entry).collect()
}

/// `entries`, which stand in the order of a file, as one, the origin of each value behind it.
#[must_use]
pub fn to_toml(entries: &[Entry]) -> String {
    let (mut toml, mut last) = (String::new(), String::new());
    for entry in entries {
        let (header, key) = header(&entry.path);
        if header != last {
            toml.push_str(&header);
            last = header;
        }
        let _ = writeln!(toml, "{key} = {}  # {}", inline(&entry.value), entry.origin);
    }
    toml
}

/// `value` as TOML on one line.
pub(super) fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Array(values) => format!("[{}]", values.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Value::Object(pairs) => {
            let pairs: Vec<_> = pairs.iter().map(|(key, value)| format!("{} = {}", name(key), inline(value))).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        other => other.to_string(),
    }
}

fn name(key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    if bare { key.to_owned() } else { quoted(key) }
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn any_value_is_written_so_that_toml_reads_it_back() {
        let value = json!({ "a b": ["\u{7f}\"\\\n\t\u{1}é", 1, true, { "c": -2.5 }] });
        let text = format!("value = {}", inline(&value));
        let back: toml::Table = toml::from_str(&text).unwrap();
        assert_eq!(serde_json::to_value(&back["value"]).unwrap(), value, "{text}");
    }

    #[test]
    fn keys_stand_in_their_tables_and_listeners_come_last() {
        let entry = |path: &str| Entry { path: path.to_owned(), value: json!(1), origin: Origin::Default };
        let entries = [
            entry("limits.a"),
            entry("listener.x.b"),
            entry("c"),
            entry("listener.y.b"),
            entry("limits.d.e"),
            entry("listener.x.limits.f"),
        ];
        assert_eq!(
            to_toml(&ordered(entries.into())),
            "c = 1  # default\n\n[limits]\na = 1  # default\nd.e = 1  # default\n\n\
             [[listener]] # x\nb = 1  # default\nlimits.f = 1  # default\n\n[[listener]] # y\nb = 1  # default\n"
        );
    }
}
