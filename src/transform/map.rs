//! `map`: a table that says what each message becomes.
//!
//! Keys and values are bytes, and a message is a key only if it is equal to it. The file is read when
//! the step is built, and not again.

use super::registry::{Example, Listed, Site, shown};
use super::{About, Growth, Memory, Occasion, Refusal, Step, Text};
use serde::Deserialize;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

type Table = HashMap<Box<[u8]>, Box<[u8]>>;

pub(super) struct Map {
    values: Table,
    default: Option<String>,
    longest: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table, as { file = \"colors.tsv\" }")]
pub(super) struct Own {
    file: String,
    default: Option<String>,
}

impl Listed for Map {
    const ABOUT: About = About {
        name: "map",
        summary: "what a table says of the whole message, or its default, or the message itself",
        example: Example::new(r#"{ map = { file = "data/colors.tsv" } }"#, "red", "#ff0000"),
        streams: false,
        undone_by: None,
        source: "shoutd; each line of the file is a key, a tab and a value, empty or begins with #",
    };

    type Own = Own;

    fn new(own: Option<Own>, site: &Site<'_>) -> Result<Map, String> {
        let Own { file, default } = Self::needed(own)?;
        let values = read(&file, &site.files.read(&file)?)?;
        let longest = values.values().map(|value| value.len()).chain(default.as_ref().map(String::len)).max();
        Ok(Map { values, default, longest: longest.unwrap_or(0) })
    }
}

impl Step for Map {
    fn apply(&self, text: &mut Text<'_>, _: &mut Memory, _: &Occasion<'_>) -> Result<(), Refusal> {
        let default = self.default.as_ref().map(String::as_bytes);
        if let Some(value) = self.values.get(text.as_bytes()).map(AsRef::as_ref).or(default) {
            text.rewrite(|_, to| to.extend_from_slice(value));
        }
        Ok(())
    }

    fn growth(&self) -> Growth {
        Growth { times: usize::from(self.default.is_none()), plus: self.longest }
    }
}

/// The table that `contents`, which lie in `file`, write down.
fn read(file: &str, contents: &[u8]) -> Result<Table, String> {
    let (mut values, mut lines) = (Table::new(), HashMap::new());
    // some editors put a byte order mark before the first key
    let contents = contents.strip_prefix("\u{FEFF}".as_bytes()).unwrap_or(contents);
    for (line, number) in contents.split(|&byte| byte == b'\n').zip(1_usize..) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let Some(tab) = memchr::memchr(b'\t', line) else {
            return Err(format!("{file}:{number} has no tab; write a key, a tab and a value, or # before a comment"));
        };
        let (key, value) = line.split_at(tab);
        match lines.entry(key) {
            Entry::Occupied(first) => {
                let (key, first) = (shown(key), first.get());
                return Err(format!("{file}:{number} has the key \"{key}\" of line {first} again; remove one of them"));
            }
            Entry::Vacant(free) => free.insert(number),
        };
        values.insert(key.into(), value.get(1..).unwrap_or_default().into());
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::super::trial::{Only, answer, build};
    use super::super::{Growth, NoFiles, OnError};
    use serde_json::json;

    const FILE: &[u8] = b"# colors\n\nred\t#ff0000\r\n\tnothing\nRed\ta\tb\nnone\t\n\xFF\t\xFE";

    #[test]
    fn a_message_that_is_a_key_becomes_its_value() {
        let build = |own| build(json!({ "map": own }), OnError::Pass, &Only(FILE)).unwrap();
        let (bare, default) = (build(json!({ "file": "f" })), build(json!({ "file": "f", "default": "unknown" })));
        for (message, value) in [("red", "#ff0000"), ("", "nothing"), ("Red", "a\\tb"), ("none", "")] {
            assert_eq!(answer(&bare, &[message]).0, value);
            assert_eq!(answer(&default, &[message]).0, value);
        }
        for message in ["red ", "# colors", "re", "ÿ"] {
            assert_eq!(answer(&bare, &[message]).0, message.as_bytes().escape_ascii().to_string());
            assert_eq!(answer(&default, &[message]).0, "unknown");
        }
        assert_eq!(bare.growth(), Growth { times: 1, plus: 7 });
        assert_eq!(default.growth(), Growth { times: 0, plus: 7 });
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_first_key() {
        let step = build(json!({ "map": { "file": "f" } }), OnError::Pass, &Only(b"\xEF\xBB\xBFa\tb\n")).unwrap();
        assert_eq!(answer(&step, &["a"]).0, "b");
    }

    #[test]
    fn a_mistake_in_the_file_is_told_with_its_line() {
        for (file, error) in [
            (&b"a\tb\r\n\nc d\n"[..], "f:3 has no tab; write a key, a tab and a value, or # before a comment"),
            (b"a\tb\n#\n\xFF\tc\n\xFF\tc\n", "f:4 has the key \"\\xff\" of line 3 again; remove one of them"),
            (b" \n", "f:1 has no tab; write a key, a tab and a value, or # before a comment"),
        ] {
            let built = build(json!({ "map": { "file": "f" } }), OnError::Pass, &Only(file));
            assert_eq!(built.unwrap_err(), error);
        }
        assert!(build(json!({ "map": { "file": "f" } }), OnError::Pass, &NoFiles).is_err());
        let error = build(json!({ "map": "f" }), OnError::Pass, &NoFiles).unwrap_err();
        assert!(error.ends_with("expected a table, as { file = \"colors.tsv\" }"), "{error}");
        assert!(build("map", OnError::Pass, &NoFiles).unwrap_err().contains("needs an option"));
    }
}
