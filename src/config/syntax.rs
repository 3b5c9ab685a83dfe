//! Mistakes of TOML itself, told in the words of somebody who has not read its specification.

use super::report::{Mistake, SHOWN, Text};
use crate::net::address::Address;
use std::ops::Range;
use toml::de::{DeTable, DeValue, Error};

/// The mistakes that `errors` mean, of which `file` is what was understood.
///
/// What was understood of such a file would only give false mistakes of meaning.
pub(super) fn mistakes(errors: &[Error], file: &DeTable<'_>, text: &Text<'_>) -> Vec<Mistake> {
    let mut mistakes: Vec<Mistake> = Vec::new();
    // the line after whose first mistake the parser is lost
    let mut lost = None;
    let mut errors: Vec<_> = errors.iter().map(|error| (error.span().unwrap_or(0..0), error.message())).collect();
    errors.sort_by_key(|(span, _)| span.start);
    for (span, message) in errors {
        let line = text.line(span.start);
        if mistakes.len() >= SHOWN {
            // the rest is only counted
            mistakes.push(Mistake::new(span, message, ""));
            continue;
        }
        if lost == Some(line) {
            continue;
        }
        let (mistake, follows) = one(message, span, file, text);
        lost = follows.then_some(line);
        mistakes.push(mistake);
    }
    mistakes
}

/// One mistake, and whether what follows in its line is only its consequence.
fn one(message: &str, span: Range<usize>, file: &DeTable<'_>, text: &Text<'_>) -> (Mistake, bool) {
    let all = text.contents();
    let shown = all.get(span.clone()).unwrap_or_default();
    let line = line(all, span.start);
    let (what, expected) = message.split_once(", expected ").unwrap_or((message, ""));
    if let Some(colon) = colon(all, &line).filter(|colon| *colon <= span.start) {
        return (Mistake::new(colon..colon + 1, "a key and its value are parted by `=`", "TOML uses `=`"), true);
    }
    if let Some(value) = value(all, &line)
        && value.contains(&span.start)
        && let Some(address) = all.get(value.clone()).filter(|value| value.parse::<Address>().is_ok())
    {
        return (unquoted(value, address), true);
    }
    let mistake = match what {
        // the parser takes what follows a `=` for a string without quotes, even if nothing does
        "string values must be quoted" if shown.is_empty() => {
            Mistake::new(span, "there is no value", "expected one after the `=`")
        }
        "string values must be quoted" => unquoted(span, shown),
        "duplicate key" => {
            let cure = first(file, all, &line, &span)
                .map_or_else(String::new, |at| format!("the first is at {}; ", text.place(at)));
            Mistake::new(span.clone(), format!("`{shown}` is written twice"), cure + "take one out")
        }
        what if expected.is_empty() => Mistake::new(span, what, ""),
        what => Mistake::new(span, what, format!("expected {expected}")),
    };
    (mistake, false)
}

fn unquoted(span: Range<usize>, text: &str) -> Mistake {
    Mistake::new(span, "a string stands in quotes", format!("write \"{text}\""))
}

/// The line that holds the byte `at`, without its end.
fn line(text: &str, at: usize) -> Range<usize> {
    let (before, after) = text.split_at_checked(at).unwrap_or((text, ""));
    let start = before.rfind('\n').map_or(0, |end| end + 1);
    start..before.len() + after.find('\n').unwrap_or(after.len())
}

/// Where a line has a colon in place of the `=` after its key.
fn colon(text: &str, line: &Range<usize>) -> Option<usize> {
    let text = text.get(line.clone())?.trim_start();
    let rest = text.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || "-_.".contains(c));
    let colon = rest.trim_start().starts_with(':') && rest.len() < text.len();
    colon.then(|| line.end - rest.trim_start().len())
}

/// Where the value of a line stands, without the comment behind it.
fn value(text: &str, line: &Range<usize>) -> Option<Range<usize>> {
    let (key, value) = text.get(line.clone())?.split_once('=')?;
    let start = line.start + key.len() + 1 + (value.len() - value.trim_start().len());
    let value = value.trim_start().split('#').next()?.trim_end();
    Some(start..start + value.len())
}

/// Where the key at `again` was written before: the same header, or else the key's last one.
fn first(file: &DeTable<'_>, text: &str, line: &Range<usize>, again: &Range<usize>) -> Option<usize> {
    if let Some(own) = header(text.get(line.clone())?) {
        let mut at = line.start;
        for line in text.get(..line.start)?.split_inclusive('\n').rev() {
            at -= line.len();
            if header(line) == Some(own) {
                return Some(at);
            }
        }
    }
    let mut keys = Vec::new();
    collect(file, text.get(again.clone())?, &mut keys);
    keys.into_iter().filter(|at| *at < again.start).max()
}

/// The header that a line is, but for its end.
fn header(line: &str) -> Option<&str> {
    line.trim().split(']').next().filter(|line| line.starts_with('['))
}

/// Where keys called `name` stand, in `table` and all that it holds.
fn collect(table: &DeTable<'_>, name: &str, to: &mut Vec<usize>) {
    for (key, value) in table {
        if key.get_ref() == name {
            to.push(key.span().start);
        }
        match value.get_ref() {
            DeValue::Table(inner) => collect(inner, name, to),
            DeValue::Array(list) => {
                list.iter().filter_map(|item| item.get_ref().as_table()).for_each(|table| collect(table, name, to));
            }
            _ => {}
        }
    }
}
