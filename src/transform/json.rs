//! `json_pretty` and `json_compact`: other white space between the same tokens.
//!
//! serde_json says whether a text is JSON, but does not write it anew: it would round numbers, and
//! lose keys that are there twice. So each number, string and key stays as it was written.

use super::registry::{Example, Listed, Nothing, Site};
use super::{About, Growth, Memory, Occasion, OnError, Refusal, Step, Text};
use serde::de::IgnoredAny;

/// How many lists and objects may lie within each other; serde_json's own limit is for what it
/// builds, and here it builds nothing.
const DEEPEST: usize = 128;

pub(super) struct Pretty(OnError);

impl Listed for Pretty {
    const ABOUT: About = About {
        name: "json_pretty",
        summary: "JSON on many lines, two spaces deeper for each level",
        example: Example::new("json_pretty", r#"[1.10,{"a":{}}]"#, PRETTY),
        streams: false,
        undone_by: None,
        source: "RFC 8259, laid out as by Python's json.dumps(value, indent=2)",
    };

    type Own = Nothing;

    fn new(_: Option<Nothing>, site: &Site<'_>) -> Result<Pretty, String> {
        Ok(Pretty(site.options.on_error))
    }
}

const PRETTY: &str = "[\n  1.10,\n  {\n    \"a\": {}\n  }\n]";

impl Step for Pretty {
    fn apply(&self, text: &mut Text<'_>, _: &mut Memory, _: &Occasion<'_>) -> Result<(), Refusal> {
        apply(Self::ABOUT.name, self.0, text, write_pretty)
    }

    fn growth(&self) -> Growth {
        Growth::times(2 + 2 * DEEPEST) // each byte makes at most one line, which is indented
    }
}

pub(super) struct Compact(OnError);

impl Listed for Compact {
    const ABOUT: About = About {
        name: "json_compact",
        summary: "JSON on one line, without white space",
        example: Example::new("json_compact", r#"[1.10, { "a": { } }]"#, r#"[1.10,{"a":{}}]"#),
        streams: false,
        undone_by: None,
        source: "RFC 8259",
    };

    type Own = Nothing;

    fn new(_: Option<Nothing>, site: &Site<'_>) -> Result<Compact, String> {
        Ok(Compact(site.options.on_error))
    }
}

impl Step for Compact {
    fn apply(&self, text: &mut Text<'_>, _: &mut Memory, _: &Occasion<'_>) -> Result<(), Refusal> {
        apply(Self::ABOUT.name, self.0, text, |json, to| tokens(json).for_each(|token| to.extend_from_slice(token)))
    }
}

/// Replaces `text` by what `write` makes of it, if it is JSON.
fn apply(
    step: &str,
    on_error: OnError,
    text: &mut Text<'_>,
    write: impl FnOnce(&[u8], &mut Vec<u8>),
) -> Result<(), Refusal> {
    match check(text.as_bytes()) {
        Ok(()) => {
            text.rewrite(|json, to| write(json, to));
            Ok(())
        }
        Err((what, at)) => on_error.treat(step, &what, at as u64).inspect_err(|_| text.truncate(0)),
    }
}

/// Says why `text` is no JSON that is taken here, and at which byte.
fn check(text: &[u8]) -> Result<(), (String, usize)> {
    let json =
        str::from_utf8(text).map_err(|error| ("it is not JSON: this is not UTF-8".to_owned(), error.valid_up_to()))?;
    serde_json::from_str::<IgnoredAny>(json).map_err(|error| (wording(&error), place(text, &error)))?;
    let mut depth = 0_usize;
    for token in tokens(text) {
        match token {
            b"[" | b"{" => depth += 1,
            b"]" | b"}" => depth -= 1,
            _ => {}
        }
        if depth > DEEPEST {
            let at = token.as_ptr().addr() - text.as_ptr().addr();
            return Err((format!("it is nested more than {DEEPEST} deep"), at));
        }
    }
    Ok(())
}

/// What serde_json says, without the place, of which it speaks in lines and columns.
fn wording(error: &serde_json::Error) -> String {
    let told = error.to_string();
    let what = told.rsplit_once(" at line ").map_or(told.as_str(), |(what, _)| what);
    let what = what.replace("EOF while parsing a value", "it ends where a value belongs");
    format!("it is not JSON: {}", what.replace("EOF while parsing", "it ends within"))
}

/// The byte that serde_json speaks of: its columns are bytes too, and count from 1.
fn place(text: &[u8], error: &serde_json::Error) -> usize {
    if error.is_eof() {
        return text.len();
    }
    let lines_before = error.line().saturating_sub(1);
    let line = memchr::memchr_iter(b'\n', text).take(lines_before).last().map_or(0, |end| end + 1);
    (line + error.column()).saturating_sub(1)
}

/// The tokens of `json`, which has none that are broken.
fn tokens(json: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = json;
    std::iter::from_fn(move || {
        rest = rest.trim_ascii_start();
        let len = match rest.first()? {
            b'"' => string(rest),
            b'{' | b'}' | b'[' | b']' | b',' | b':' => 1,
            _ => rest.iter().position(|byte| b",:]} \t\r\n".contains(byte)).unwrap_or(rest.len()),
        };
        let (token, after) = rest.split_at(len);
        rest = after;
        Some(token)
    })
}

/// The length of the string that `json` begins with, with its quotes.
fn string(json: &[u8]) -> usize {
    let mut escaped = false;
    let closes = |&byte: &u8| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    };
    json.iter().skip(1).position(closes).map_or(json.len(), |inside| inside + 2)
}

fn write_pretty(json: &[u8], to: &mut Vec<u8>) {
    fn new_line(depth: usize, to: &mut Vec<u8>) {
        to.push(b'\n');
        to.resize(to.len() + 2 * depth, b' ');
    }
    let (mut depth, mut opened) = (0_usize, false);
    for token in tokens(json) {
        let closes = matches!(token, b"]" | b"}");
        if closes {
            depth = depth.saturating_sub(1);
        }
        if opened != closes {
            new_line(depth, to);
        }
        to.extend_from_slice(token);
        opened = matches!(token, b"[" | b"{");
        match token {
            b"[" | b"{" => depth += 1,
            b"," => new_line(depth, to),
            b":" => to.push(b' '),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::trial::{answer, build, check_error};
    use super::super::{NoFiles, OnError};
    use super::*;

    #[test]
    fn a_text_that_is_no_json_comes_back_whole() {
        for (text, what) in [
            ("", "it is not JSON: it ends where a value belongs, at byte 0"),
            ("{\"a\" 1}", "it is not JSON: expected `:`, at byte 5"),
            ("[1,\n 2\n x]", "it is not JSON: expected `,` or `]`, at byte 8"),
            ("[1,\n\u{e9}]", "it is not JSON: expected value, at byte 4"),
            ("[1, 2", "it is not JSON: it ends within a list, at byte 5"),
            ("{} {}", "it is not JSON: trailing characters, at byte 3"),
            ("01", "it is not JSON: invalid number, at byte 1"),
        ] {
            let passed = text.as_bytes().escape_ascii().to_string();
            check_error("json_compact", text, &passed, "", what);
            check_error("json_pretty", text, &passed, "", what);
        }
    }

    #[test]
    fn what_is_not_utf_8_or_too_deep_is_not_taken() {
        assert_eq!(check(b"[\"a\xFF\"]"), Err(("it is not JSON: this is not UTF-8".to_owned(), 3)));
        let nested = |depth| ["[".repeat(depth), "]".repeat(depth)].concat();
        assert_eq!(check(nested(DEEPEST).as_bytes()), Ok(()));
        let error = ("it is nested more than 128 deep".to_owned(), 129);
        assert_eq!(check(format!(" {}", nested(DEEPEST + 1)).as_bytes()), Err(error.clone()));
        assert_eq!(check(format!(" {}", nested(100_000)).as_bytes()), Err(error));
    }

    #[test]
    fn every_token_stays_as_it_was_written() {
        let text =
            r#"[1.10,1e400,-0,123456789012345678901234567890,"\u00e9\"]\\",{"b":1,"a":2,"b":3},"\ud800",true,null]"#;
        let spaced = text.replace(',', " ,\t").replace(':', "\r\n: ");
        for step in ["json_compact", "json_pretty"] {
            let step = build(step, OnError::Close, &NoFiles).unwrap();
            let (made, done, _) = answer(&step, &[&spaced]);
            assert_eq!(done, Ok(()));
            assert_eq!(made.replace("\\n", "").replace(' ', ""), text.as_bytes().escape_ascii().to_string());
        }
    }

    #[test]
    fn what_is_empty_stays_on_one_line() {
        let mut pretty = Vec::new();
        write_pretty(b"[[ ],{ },[{}],\"[]\"]", &mut pretty);
        let expected = "[\n  [],\n  {},\n  [\n    {}\n  ],\n  \"[]\"\n]";
        assert_eq!(String::from_utf8(pretty).unwrap(), expected);
    }

    #[test]
    fn no_growth_is_more_than_declared() {
        for inside in ["1", "[]", "{\"\":1}", "[1],[1]", "1,1,1,1,1,1,1,1"] {
            let depth = DEEPEST - 1;
            let text = ["[".repeat(depth), vec![inside; 400].join(","), "]".repeat(depth)].concat();
            let (mut text, mut scratch) = (text.into_bytes(), crate::transform::Scratch::default());
            let len = text.len();
            let mut text = Text::new(&mut text, &mut scratch);
            apply("", OnError::Close, &mut text, write_pretty).unwrap();
            assert!(text.as_bytes().len() <= Pretty(OnError::Close).growth().of(len), "{inside}");
        }
    }
}
