//! `shoutd transforms`: what the registry says of each step, for people, programs and documents.

use super::transform::read_step;
use crate::transform::{About, Files, Growth, Options, REGISTRY, Site, shown};
use serde::Serialize;

/// A step as programs read it.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    name: &'static str,
    /// As it may be written in the configuration.
    step: &'static str,
    summary: &'static str,
    input: String,
    output: String,
    framing: &'static str,
    /// How many bytes an answer can have for each byte of a text, and besides.
    times: usize,
    plus: usize,
    source: &'static str,
}

impl From<&About> for Row {
    fn from(about: &About) -> Row {
        let About { name, summary, example, streams, source, .. } = *about;
        let site = Site { options: Options::default(), files: &Sample };
        let Growth { times, plus } = read_step(example.step, site).map_or(Growth::NONE, |step| step.growth());
        let framing = if streams { "any framing" } else { "messages only" };
        let (input, output) = (shown(example.input), shown(example.output));
        Row { name, step: example.step, summary, input, output, framing, times, plus, source }
    }
}

/// Stands for the files that examples name.
struct Sample;

impl Files for Sample {
    fn read(&self, _: &str) -> Result<Vec<u8>, String> {
        Ok(b"rot\tred\n".to_vec())
    }
}

/// All steps.
pub(super) fn rows() -> Vec<Row> {
    REGISTRY.iter().map(Row::from).collect()
}

/// All steps, one in each line.
pub(super) fn table() -> String {
    let rows = rows();
    let wide = |cell: fn(&Row) -> &str| rows.iter().map(|row| cell(row).chars().count()).max().unwrap_or(0);
    let (steps, framings, whats) = (wide(|row| row.step), wide(|row| row.framing), wide(|row| row.summary));
    let mut table = format!("{:steps$}  {:framings$}  {:whats$}  EXAMPLE\n", "STEP", "FRAMING", "WHAT IT DOES");
    for Row { step, summary, input, output, framing, .. } in &rows {
        table.push_str(&format!("{step:steps$}  {framing:framings$}  {summary:whats$}  {input} → {output}\n"));
    }
    table
}

/// All steps as a table of Markdown.
pub(super) fn markdown() -> String {
    let mut table =
        String::from("| step | what it does | example | framing | grows to | its rule |\n|---|---|---|---|---|---|\n");
    for Row { step, summary, input, output, framing, times, plus, source, .. } in rows() {
        let cell = |text: &str| text.replace('|', "\\|");
        let code = |text: &str| if text.is_empty() { "nothing".to_owned() } else { format!("`{}`", cell(text)) };
        let (summary, source) = (cell(summary), cell(source));
        let growth = Growth { times, plus };
        table.push_str(&format!(
            "| {} | {summary} | {} → {} | {framing} | {growth} | {source} |\n",
            code(step),
            code(&input),
            code(&output)
        ));
    }
    table
}
