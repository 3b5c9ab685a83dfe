//! What bash, zsh and fish offer behind `shoutd`.

use clap::CommandFactory;
use clap::builder::{PossibleValue, PossibleValuesParser};
use clap_complete::{Generator, Shell, generate};
use shoutd::cli::Cli;
use shoutd::transform::REGISTRY;

pub fn all() -> impl Iterator<Item = (String, String)> {
    [Shell::Bash, Shell::Zsh, Shell::Fish].into_iter().map(|shell| {
        let mut script = Vec::new();
        // the program takes more than these names, as a step may be written with its options
        let steps = REGISTRY.iter().map(|about| PossibleValue::new(about.name).help(about.summary));
        let steps = PossibleValuesParser::new(steps);
        let mut command =
            Cli::command().mut_subcommand("transform", |verb| verb.mut_arg("steps", |arg| arg.value_parser(steps)));
        generate(shell, &mut command, "shoutd", &mut script);
        (shell.file_name("shoutd"), String::from_utf8_lossy(&script).into_owned())
    })
}
