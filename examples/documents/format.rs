//! shoutd.toml(5): the configuration, made of the file that has every key, and of the registries.

use crate::page::Page;
use roff::{Inline, bold, roman};
use shoutd::session::EndReason;
use shoutd::{config, framing, transform};

/// What `shoutd config --full` prints.
const FULL: &str = include_str!("../../config/full.toml");
const README: &str = include_str!("../../README.md");

pub fn page() -> String {
    let mut page = Page::new("shoutd.toml", "5", "File Formats", "the configuration of shoutd");
    page.section("description");
    let mut part = Part::default();
    for line in FULL.lines() {
        match line.strip_prefix('#') {
            Some(rest) if rest.starts_with(" ---- ") => {
                part.write(&mut page);
                page.section(rest.trim_matches(['-', ' ']));
            }
            Some(text) if text.starts_with(' ') => {
                if !part.keys.is_empty() || !part.lines.is_empty() {
                    part.write(&mut page);
                }
                part.comment.push(text.trim_start());
            }
            Some(line) => part.lines.push(line),
            None if line.starts_with('[') => part.table = format!("{}.", line.trim_matches(['[', ']'])),
            None => match line.split_once('=') {
                Some(key) => part.keys.push(key),
                None => part.write(&mut page),
            },
        }
    }
    part.write(&mut page);

    page.section("steps");
    page.paragraph(
        "An option stands behind the name of its step, as here; `shoutd transforms` has an example of each.",
    );
    for about in transform::REGISTRY {
        let framing = if about.streams { "" } else { "; messages only" };
        page.item([[bold(about.example.step)]], &format!("{}{framing}", about.summary));
    }
    page.section("framings");
    for about in framing::REGISTRY {
        page.item([[bold(about.name)]], about.summary);
    }
    page.section("how connections end");
    page.paragraph("The log has one of these words for each.");
    for reason in EndReason::ALL {
        page.item([[bold(reason.word())]], meaning(reason.word()));
    }
    page.section("files");
    page.item([[bold(config::PLACE)]], "the configuration, if the option `-c` names no other");
    page.see_also(&[("shoutd", "1")]);
    page.render()
}

/// What the README's table of ends says of a word.
fn meaning(word: &str) -> &'static str {
    let (_, table) = README.split_once("| the connection ended because |").unwrap_or_default();
    let row = table.lines().find_map(|line| line.strip_prefix(&format!("| `{word}` | ")));
    row.unwrap_or_default().trim_end_matches([' ', '|'])
}

/// A comment, and the keys or the lines below that it is about.
#[derive(Default)]
struct Part {
    /// The name of the table that the keys are in, with a dot.
    table: String,
    comment: Vec<&'static str>,
    keys: Vec<(&'static str, &'static str)>,
    lines: Vec<&'static str>,
}

impl Part {
    fn write(&mut self, page: &mut Page) {
        let Part { table, comment, keys, lines } = self;
        let comment = std::mem::take(comment).join("\n");
        let key = |(key, value): (&str, &str)| -> [Inline; 2] {
            [bold(format!("{table}{}", key.trim())), roman(format!(" = {}", value.trim()))]
        };
        if !keys.is_empty() {
            page.item(keys.drain(..).map(key), &comment);
        } else if !comment.is_empty() {
            page.paragraph(&comment);
        }
        if !lines.is_empty() {
            page.example(lines.drain(..));
        }
    }
}
