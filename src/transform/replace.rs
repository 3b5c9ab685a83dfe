//! `replace`: each match of a regular expression gives way to a text, which may repeat parts of it.
//!
//! The engine's time is linear in the message for each match, whatever the pattern; so look-around and
//! back references are not there. But each match may have looked as far as the message's end, as one of
//! `<.*>|<` does, and then many matches take the square of its length: `max_message` bounds it. Bytes that are not UTF-8 match no character and stay as they are.

use super::registry::{Example, Listed, Site};
use super::{About, Growth, Memory, Occasion, Refusal, Step, Text, utf8};
use regex::bytes::{Regex, RegexBuilder};
use serde::Deserialize;
use std::ops::Range;

/// How large a compiled pattern may be; each thread that uses one pays for it.
const LARGEST: usize = 1 << 20;
/// How large the table may grow in which the engine keeps what it has learned of a pattern.
const LARGEST_TABLE: usize = 4 << 20;

pub(super) struct Replace {
    pattern: Regex,
    with: Vec<Part>,
    growth: Growth,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table, as { pattern = 'a+', with = \"b\" }")]
pub(super) struct Own {
    pattern: String,
    with: String,
}

/// A part of what stands for a match.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    /// What the group of this number matched; 0 is the match itself.
    Group(usize),
}

impl Listed for Replace {
    const ABOUT: About = About {
        name: "replace",
        summary: "a text for each match of a pattern; $1 and ${name} stand for its groups, $$ for a dollar sign",
        example: Example::new(
            r#"{ replace = { pattern = '(\w+)@(\w+)', with = "$2 at $1" } }"#,
            "ann@home, bob@work",
            "home at ann, work at bob",
        ),
        streams: false,
        undone_by: None,
        source: "the syntax of https://docs.rs/regex",
    };

    type Own = Own;

    fn new(own: Option<Own>, _: &Site<'_>) -> Result<Replace, String> {
        let Own { pattern, with } = Self::needed(own)?;
        let pattern = compile(&pattern)?;
        let parts = parse(&with, &pattern)?;
        let groups = parts.iter().filter(|part| matches!(part, Part::Group(_))).count();
        // A message of n bytes has at most n + 1 matches, as an empty one can be between any two bytes
        // and at both ends; each brings the literals. A group lies within its match, and matches do not
        // overlap, so each reference repeats at most the message.
        let growth = Growth { times: 1 + with.len() + groups, plus: with.len() };
        Ok(Replace { pattern, with: parts, growth })
    }
}

impl Replace {
    /// Writes what comes before the match at `found` since `done`, and what stands for the match.
    fn write<'m>(
        &self,
        message: &[u8],
        done: &mut usize,
        found: Range<usize>,
        group: impl Fn(usize) -> &'m [u8],
        to: &mut Vec<u8>,
    ) {
        to.extend_from_slice(message.get(*done..found.start).unwrap_or_default());
        *done = found.end;
        for part in &self.with {
            to.extend_from_slice(match part {
                Part::Literal(text) => text.as_bytes(),
                Part::Group(number) => group(*number),
            });
        }
    }
}

impl Step for Replace {
    fn apply(&self, text: &mut Text<'_>, _: &mut Memory, _: &Occasion<'_>) -> Result<(), Refusal> {
        let finds_groups = self.with.iter().any(|part| matches!(part, Part::Group(1..)));
        text.rewrite(|message, to| {
            let (message, mut done) = (&*message, 0);
            if finds_groups {
                for captures in self.pattern.captures_iter(message) {
                    if splits_character(message, &captures.get_match().range()) {
                        continue;
                    }
                    let group = |number| captures.get(number).map_or(&b""[..], |group| group.as_bytes());
                    let found = captures.get_match();
                    self.write(message, &mut done, found.range(), group, to);
                }
            } else {
                // to find where a match lies is many times faster than to find its groups
                for found in self.pattern.find_iter(message) {
                    if splits_character(message, &found.range()) {
                        continue;
                    }
                    self.write(message, &mut done, found.range(), |_| found.as_bytes(), to);
                }
            }
            to.extend_from_slice(message.get(done..).unwrap_or_default());
        });
        Ok(())
    }

    fn growth(&self) -> Growth {
        self.growth
    }
}

/// Whether a match of nothing lies within a character, where the engine for bytes finds one, too.
fn splits_character(message: &[u8], found: &Range<usize>) -> bool {
    found.is_empty() && message.get(found.start).is_some_and(|byte| utf8::is_continuation(*byte))
}

fn compile(pattern: &str) -> Result<Regex, String> {
    let mut builder = RegexBuilder::new(pattern);
    builder.size_limit(LARGEST).dfa_size_limit(LARGEST_TABLE).build().map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => {
            "the pattern takes more than 1 MiB; let it repeat less, or write [0-9] for \\d and [a-z] for \\w".to_owned()
        }
        error => format!("the pattern has a mistake: {}; https://docs.rs/regex tells the syntax", essence(&error)),
    })
}

/// What is wrong with a pattern and where, on one line; regex draws the pattern, a mark below its
/// place, and says what is wrong on the last line.
fn essence(error: &regex::Error) -> String {
    let drawn = error.to_string();
    let what = drawn.lines().last().unwrap_or_default().trim_start_matches("error: ");
    let marks = drawn.lines().rev().nth(1).filter(|line| line.trim_matches([' ', '^']).is_empty());
    match marks.and_then(|line| line.find('^')) {
        Some(indent @ 4..) => format!("{what}, at its character {}", indent - 3),
        _ => what.to_owned(),
    }
}

/// The parts of `with`; each group to which it refers is one of `pattern`.
fn parse(with: &str, pattern: &Regex) -> Result<Vec<Part>, String> {
    let (mut parts, mut literal, mut rest) = (Vec::new(), String::new(), with);
    while let Some((before, after)) = rest.split_once('$') {
        literal.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            literal.push('$');
            rest = after;
            continue;
        }
        let word = after.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(after.len());
        let braced = after.strip_prefix('{').and_then(|inside| inside.split_once('}'));
        let (name, after) = braced.unwrap_or(after.split_at(word));
        if name.is_empty() {
            return Err("a `$` in `with` names no group; write `$$` for a dollar sign".to_owned());
        }
        let number = pattern.capture_names().enumerate().position(|(number, known)| {
            known == Some(name) || (name.bytes().all(|b| b.is_ascii_digit()) && name.parse() == Ok(number))
        });
        let Some(number) = number else { return Err(unknown(name, pattern)) };
        if !literal.is_empty() {
            parts.push(Part::Literal(std::mem::take(&mut literal)));
        }
        parts.push(Part::Group(number));
        rest = after;
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        parts.push(Part::Literal(literal));
    }
    Ok(parts)
}

fn unknown(name: &str, pattern: &Regex) -> String {
    let letters = name.find(|c: char| !c.is_ascii_digit()).unwrap_or(name.len());
    let (number, letters) = name.split_at(letters);
    let cure = if number.parse().is_ok_and(|number: usize| number < pattern.captures_len()) {
        format!("write `${{{number}}}{letters}` for group {number} and `{letters}`")
    } else {
        let all = pattern.capture_names().enumerate();
        let names = all.map(|(number, name)| name.map_or_else(|| format!("${number}"), |name| format!("${{{name}}}")));
        format!("there are {}", names.collect::<Vec<_>>().join(", "))
    };
    format!("`with` refers to the group `{name}`, which the pattern lacks; {cure}")
}

#[cfg(test)]
mod tests {
    use super::super::trial::{answer, build};
    use super::super::{NoFiles, OnError};
    use serde_json::json;

    fn made(pattern: &str, with: &str, text: &str) -> Result<String, String> {
        let step = json!({ "replace": { "pattern": pattern, "with": with } });
        let (made, done, _) = answer(&build(step, OnError::Pass, &NoFiles)?, &[text]);
        assert_eq!(done, Ok(()));
        Ok(made)
    }

    #[test]
    fn each_match_gives_way() {
        for (pattern, with, text, expected) in [
            ("a", "b", "banana", "bbnbnb"),
            ("a", "", "banana", "bnn"),
            ("", "-", "ab", "-a-b-"),
            ("x*", "-", "axb", "-a-b-"),
            ("x*", "-", "é日", "-\\xc3\\xa9-\\xe6\\x97\\xa5-"),
            ("(x*)", "$1-", "éx", "-\\xc3\\xa9x-"),
            ("^|$", "\"", "a b", "\\\"a b\\\""),
            ("an", "<$0>", "banana", "b<an><an>a"),
            ("(a)|(n)", "${2}${1}$$1", "ban", "ba$1n$1"),
            (r"(?<first>\w)(?<rest>\w*)", "${rest}${first}ay", "pig latin", "igpay atinlay"),
            ("(?i)É", "e", "é", "e"),
            (".", "x", "日本", "xx"),
            ("(?-u:.)", "x", "日", "xxx"),
        ] {
            assert_eq!(made(pattern, with, text).as_deref(), Ok(expected), "{pattern}");
        }
    }

    #[test]
    fn no_answer_is_longer_than_declared() {
        for pattern in ["", "a*", ".*", "(.*)", "."] {
            for with in ["", "long", "$0", "$0$0$0$0$0", "$0, $0, and $0"] {
                for text in ["", "a", "aba", "bbbb"] {
                    let step = json!({ "replace": { "pattern": pattern, "with": with } });
                    let growth = build(step, OnError::Pass, &NoFiles).unwrap().growth();
                    let made = made(pattern, with, text).unwrap();
                    assert!(made.len() <= growth.of(text.len()), "{pattern} {with} {text}");
                }
            }
        }
    }

    #[test]
    fn what_means_nothing_is_refused_with_its_cure() {
        const SYNTAX: &str = "; https://docs.rs/regex tells the syntax";
        for (pattern, with, error) in [
            ("a(b", "", &*format!("the pattern has a mistake: unclosed group, at its character 2{SYNTAX}")),
            (
                "é*{",
                "",
                &*format!("the pattern has a mistake: unclosed counted repetition, at its character 3{SYNTAX}"),
            ),
            (
                "[z-a]\nb",
                "",
                &*format!(
                    "the pattern has a mistake: invalid character class range, the start must be <= the end{SYNTAX}"
                ),
            ),
            (
                "(?=a)",
                "",
                &*format!(
                    "the pattern has a mistake: look-around, including look-ahead and look-behind, is not supported, at its character 1{SYNTAX}"
                ),
            ),
            (
                r"\w{900}",
                "",
                "the pattern takes more than 1 MiB; let it repeat less, or write [0-9] for \\d and [a-z] for \\w",
            ),
            ("a", "5 $", "a `$` in `with` names no group; write `$$` for a dollar sign"),
            ("a", "${", "a `$` in `with` names no group; write `$$` for a dollar sign"),
            ("a", "${}", "a `$` in `with` names no group; write `$$` for a dollar sign"),
            ("(a)", "$2", "`with` refers to the group `2`, which the pattern lacks; there are $0, $1"),
            ("(a)(?<b>b)", "${+1}", "`with` refers to the group `+1`, which the pattern lacks; there are $0, $1, ${b}"),
            (
                "(a)",
                "$1st",
                "`with` refers to the group `1st`, which the pattern lacks; write `${1}st` for group 1 and `st`",
            ),
        ] {
            assert_eq!(made(pattern, with, "").unwrap_err(), error, "{pattern}");
        }
    }
}
