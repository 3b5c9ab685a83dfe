//! shoutd(1): the command line, with what `--help` says of it and of each verb.

use crate::page::{Page, argument};
use clap::{Arg, Command, CommandFactory};
use shoutd::cli::Cli;

pub fn page() -> String {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let mut page = Page::new("shoutd", "1", "User Commands", &text(command.get_about()));

    page.section("synopsis");
    let usages: Vec<_> = std::iter::once(&command).chain(verbs(&command)).map(usage).collect();
    page.lines(usages.iter().flat_map(|usage| usage.lines().map(str::trim_start)));

    page.section("description");
    for paragraph in text(command.get_long_about()).split("\n\n") {
        page.paragraph(paragraph);
    }
    page.section("options");
    options(&mut page, command.get_arguments());
    page.section("verbs");
    for verb in verbs(&command) {
        page.subsection(&format!("shoutd {}", verb.get_name()));
        page.paragraph(&(text(verb.get_about()) + "."));
        options(&mut page, verb.get_arguments().filter(|arg| !arg.is_global_set() && arg.get_id() != "help"));
        for block in blocks(&text(verb.get_after_help())) {
            match block {
                Block::Prose(text) => page.paragraph(text),
                Block::List(heading, lines) => {
                    page.paragraph(&format!("{heading}:"));
                    page.list(&lines, gap(heading));
                }
            }
        }
    }
    let help = text(command.get_after_long_help());
    let mut blocks: Vec<_> = blocks(&help).collect();
    // the last of a manual page, and the first of a help
    blocks.sort_by_key(|block| matches!(block, Block::List(heading, _) if is_examples(heading)));
    for block in blocks {
        match block {
            Block::Prose(text) => page.paragraph(text),
            Block::List(heading, lines) => {
                page.section(if heading == "Exit codes" { "exit status" } else { heading });
                page.list(&lines, gap(heading));
            }
        }
    }
    page.see_also(&[("shoutd.toml", "5"), ("systemctl", "1"), ("journalctl", "1"), ("nc", "1")]);
    page.render()
}

/// The verbs that help shows.
fn verbs(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|verb| !verb.is_hide_set())
}

fn text(styled: Option<&clap::builder::StyledStr>) -> String {
    styled.map(ToString::to_string).unwrap_or_default()
}

fn usage(command: &Command) -> String {
    let usage = command.clone().render_usage().to_string();
    usage.trim_start_matches("Usage: ").to_owned()
}

fn options<'a>(page: &mut Page, arguments: impl Iterator<Item = &'a Arg>) {
    for arg in arguments.filter(|arg| !arg.is_hide_set()) {
        let short = arg.get_short().map(|short| format!("-{short}, ")).unwrap_or_default();
        let mut meaning = text(arg.get_long_help().or(arg.get_help()));
        let values = arg.get_possible_values();
        if arg.get_action().takes_values() && !values.is_empty() {
            let names: Vec<_> = values.iter().map(clap::builder::PossibleValue::get_name).collect();
            meaning += &format!(" [possible values: {}]", names.join(", "));
        }
        page.item([argument(&format!("{short}{arg}"))], &meaning);
    }
}

/// What a text of the help is made of.
enum Block<'h> {
    Prose(&'h str),
    /// A heading, and the lines below it.
    List(&'h str, Vec<&'h str>),
}

fn blocks(help: &str) -> impl Iterator<Item = Block<'_>> {
    help.split("\n\n").filter(|text| !text.is_empty()).map(|text| match text.split_once(":\n  ") {
        Some((heading, _)) if !heading.contains('\n') => Block::List(heading, text.lines().skip(1).collect()),
        _ => Block::Prose(text),
    })
}

fn is_examples(heading: &str) -> bool {
    heading.starts_with("Example")
}

/// How far a meaning is from its term: what is typed may have two spaces in it.
fn gap(heading: &str) -> &'static str {
    if is_examples(heading) { "   " } else { "  " }
}
