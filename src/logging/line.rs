//! How a record becomes a line: a text for people, or a JSON object for programs.
//!
//! What came over the wire may be in a record: it cannot forge a line or a field, nor steer the
//! terminal on which the log is read.

use log::Record;
use log::kv::{Error, Key, Value, VisitSource};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::ser::Formatter;
use std::fmt::{Display, Write as _};
use std::io::{self, Write};

/// The message and its fields, as `message key=value key="a value"`.
pub(super) fn text(record: &Record<'_>) -> String {
    let mut text = one_line(&record.args().to_string());
    // writing to a String does not fail
    let _ = record.key_values().visit(&mut Words(&mut text));
    text
}

/// Writes the record as one JSON object; numbers are numbers there.
pub(super) fn json(record: &Record<'_>, time: impl Display, to: impl Write) -> io::Result<()> {
    let mut serializer = serde_json::Serializer::with_formatter(to, Harmless);
    let mut object = serializer.serialize_map(None)?;
    object.serialize_entry("time", &format_args!("{time}"))?;
    object.serialize_entry("level", &record.level().as_str().to_ascii_lowercase())?;
    object.serialize_entry("message", record.args())?;
    record.key_values().visit(&mut Members(&mut object)).map_err(io::Error::other)?;
    Ok(object.end()?)
}

/// `text` on one line, and harmless to a terminal.
pub(super) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    push(text, is_harmful, &mut line);
    line
}

fn push(text: &str, is_escaped: fn(char) -> bool, to: &mut String) {
    for c in text.chars() {
        if is_escaped(c) {
            to.extend(c.escape_default());
        } else {
            to.push(c);
        }
    }
}

/// Whether it ends a line, steers a terminal, or turns the direction of what stands behind it.
fn is_harmful(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}

/// Fields behind a message.
struct Words<'t>(&'t mut String);

impl<'kvs> VisitSource<'kvs> for Words<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        write!(self.0, " {key}=")?;
        let value = value.to_string();
        let is_special = |c: char| c.is_whitespace() || matches!(c, '"' | '\\' | '=') || is_harmful(c);
        if value.is_empty() || value.contains(is_special) {
            self.0.push('"');
            push(&value, |c| matches!(c, '"' | '\\') || is_harmful(c), self.0);
            self.0.push('"');
        } else {
            self.0.push_str(&value);
        }
        Ok(())
    }
}

/// Fields of an object.
struct Members<'o, M>(&'o mut M);

impl<'kvs, M: SerializeMap<Error: Send + Sync + 'static>> VisitSource<'kvs> for Members<'_, M> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        self.0.serialize_entry(key.as_str(), &Member(value)).map_err(Error::boxed)
    }
}

struct Member<'v>(Value<'v>);

impl Serialize for Member<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Member(value) = self;
        if let Some(flag) = value.to_bool() {
            to.serialize_bool(flag)
        } else if let Some(number) = value.to_u64() {
            to.serialize_u64(number)
        } else if let Some(number) = value.to_i64() {
            to.serialize_i64(number)
        } else if let Some(number) = value.to_f64() {
            to.serialize_f64(number)
        } else {
            to.collect_str(value)
        }
    }
}

/// JSON on one line. What JSON itself lets pass is escaped, too, where it is harmful.
struct Harmless;

impl Formatter for Harmless {
    fn write_string_fragment<W: Write + ?Sized>(&mut self, to: &mut W, fragment: &str) -> io::Result<()> {
        for piece in fragment.split_inclusive(is_harmful) {
            to.write_all(piece.trim_end_matches(is_harmful).as_bytes())?;
            if let Some(harmful) = piece.chars().next_back().filter(|c| is_harmful(*c)) {
                // none of them needs a pair of surrogates
                write!(to, "\\u{:04x}", u32::from(harmful))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use log::Level;
    use serde_json::json;

    /// What harms a reader: ends of lines, a terminal's commands, in one byte or two, a turned direction.
    const HOSTILE: &str = "a\nb\r\x1b[31mc\u{202E}d\u{9b}é\u{2028} k=\"v\\\"";

    fn object(record: &Record<'_>) -> String {
        let mut line = Vec::new();
        json(record, "2026-11-24T13:48:57.123Z", &mut line).unwrap();
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn fields_follow_the_message_and_keep_their_kind() {
        let fields = [
            ("connection", Value::from(u64::MAX)),
            ("listener", Value::from("default")),
            ("below", Value::from(-7)),
            ("seconds", Value::from(0.123)),
            ("dialled", Value::from(true)),
            ("empty", Value::from("")),
            ("words", Value::from("a b")),
        ];
        let mut builder = Record::builder();
        builder.level(Level::Info).key_values(&fields);
        assert_eq!(
            text(&builder.args(format_args!("end")).build()),
            "end connection=18446744073709551615 listener=default below=-7 seconds=0.123 dialled=true empty=\"\" words=\"a b\""
        );
        assert_eq!(
            object(&builder.args(format_args!("end")).build()),
            "{\"time\":\"2026-11-24T13:48:57.123Z\",\"level\":\"info\",\"message\":\"end\",\
             \"connection\":18446744073709551615,\"listener\":\"default\",\"below\":-7,\"seconds\":0.123,\"dialled\":true,\
             \"empty\":\"\",\"words\":\"a b\"}"
        );
    }

    #[test]
    fn what_came_over_the_wire_cannot_forge_a_line_or_a_field_or_steer_a_terminal() {
        assert_eq!(one_line("a\nb\r\x1b[31mc\u{202E}d\u{9b}é"), "a\\nb\\r\\u{1b}[31mc\\u{202e}d\\u{9b}é");
        for value in [Value::from(HOSTILE), Value::from_display(&HOSTILE)] {
            let fields = [("peer", value), ("last", Value::from(1))];
            let mut builder = Record::builder();
            builder.key_values(&fields);
            assert_eq!(
                text(&builder.args(format_args!("end")).build()),
                r#"end peer="a\nb\r\u{1b}[31mc\u{202e}d\u{9b}é\u{2028} k=\"v\\\"" last=1"#
            );
            let line = object(&builder.args(format_args!("{HOSTILE}")).build());
            assert!(!line.contains(is_harmful), "{line:?}");
            let read: serde_json::Value = serde_json::from_str(&line).unwrap();
            assert_eq!((&read["message"], &read["peer"], &read["last"]), (&json!(HOSTILE), &json!(HOSTILE), &json!(1)));
            assert_eq!(read.as_object().unwrap().len(), 5, "{line}");
        }
    }

    #[test]
    fn values_that_would_be_read_as_something_else_are_quoted() {
        for (value, written) in
            [("a=b", "\"a=b\""), ("\"", "\"\\\"\""), ("\\", "\"\\\\\""), ("a\u{a0}b", "\"a\u{a0}b\"")]
        {
            let field = [("k", value)];
            let record = Record::builder().key_values(&field).build();
            assert_eq!(text(&record), format!(" k={written}"));
        }
    }
}
