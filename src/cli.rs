//! The command line: one verb, what it prints, and how it can fail.
//!
//! The daemon itself is behind `run`; nothing here serves anybody.

mod control;
mod explain;
mod help;
mod peers;
mod steps;
mod transform;
mod unit;

use crate::config::{self, Config, Words};
use crate::failure::{Exit, Failure};
use crate::framing::OnLong;
use crate::server::{Listener, Peer};
use crate::transform::{About, InvalidUtf8, OnError, OnUnmappable};
use crate::{daemon, framing};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, CommandFactory, Parser, Subcommand, ValueHint};
use log::LevelFilter;
use serde::Serialize;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Every key at its default, and what it means.
const FULL: &str = include_str!("../config/full.toml");

/// What was asked for on the command line.
#[derive(Debug, Parser)]
#[command(name = "shoutd", version = help::VERSION.as_str(), about = help::ABOUT, long_about = help::LONG_ABOUT)]
#[command(after_help = help::AFTER, after_long_help = help::AFTER_LONG, max_term_width = 100)]
pub struct Cli {
    /// The configuration file [default: /etc/shoutd/config.toml if it exists, else the built-in defaults]
    #[arg(short, long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,

    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Serve, until SIGTERM or SIGINT; this is what happens without a verb
    #[command(after_help = help::RUN)]
    Run,
    /// Tell all mistakes of the configuration, and start nothing
    #[command(after_help = help::CHECK)]
    Check,
    /// Print the values in effect, each with its origin, as a configuration file
    #[command(after_help = help::CONFIG)]
    Config {
        /// Print JSON instead: an array of objects with key, value and origin
        #[arg(long)]
        json: bool,
        /// Print instead a file with every key at its default, and what it means
        #[arg(long, conflicts_with = "json")]
        full: bool,
    },
    /// Take standard input through the steps of a transform to standard output, without any network
    #[command(after_help = help::TRANSFORM)]
    Transform(Transform),
    /// List all steps of which a transform can be made
    #[command(after_help = help::TRANSFORMS)]
    Transforms {
        /// Print JSON instead: an array of objects
        #[arg(long)]
        json: bool,
        /// Print a table of Markdown instead, with the bound of each step's growth and its rule
        #[arg(long, conflicts_with = "json")]
        markdown: bool,
    },
    /// Tell how the running daemon is: listeners, connections, rates, configuration
    #[command(after_help = help::STATUS)]
    Status {
        #[command(flatten)]
        daemon: control::Daemon,
        /// Print JSON instead: one object
        #[arg(long)]
        json: bool,
    },
    /// List the open connections of the running daemon
    #[command(after_help = help::CONNECTIONS)]
    Connections(control::Listing),
    /// Tell how the running daemon's links to its peers are
    #[command(after_help = help::PEERS)]
    Peers {
        #[command(flatten)]
        daemon: control::Daemon,
        /// Print JSON instead: an array of objects
        #[arg(long)]
        json: bool,
    },
    /// Say something to a peer of the running daemon, and print what it answers
    #[command(after_help = help::SEND)]
    Send(peers::Sending),
    /// Let the running daemon take up its edited configuration, and tell what changed
    #[command(after_help = help::RELOAD)]
    Reload {
        #[command(flatten)]
        daemon: control::Daemon,
        /// Exit with 10 where some keys need a restart
        #[arg(long)]
        strict: bool,
        /// Print JSON instead: one object
        #[arg(long)]
        json: bool,
    },
    /// Stop the running daemon once its clients have had their answers, and wait for its end
    #[command(after_help = help::STOP)]
    Stop {
        #[command(flatten)]
        daemon: control::Daemon,
        /// Close everything at once
        #[arg(long)]
        now: bool,
    },
    /// Change how much the running daemon logs, until it is reloaded
    #[command(after_help = help::LOG)]
    Log {
        #[command(flatten)]
        daemon: control::Daemon,
        /// The least important messages that are logged
        #[arg(value_parser = levels())]
        level: LevelFilter,
    },
    /// End connections of the running daemon by their numbers
    #[command(after_help = help::KILL)]
    Kill {
        #[command(flatten)]
        daemon: control::Daemon,
        /// A number that `shoutd connections` shows
        #[arg(required = true, value_name = "ID")]
        ids: Vec<u64>,
    },
    /// Print the systemd unit for this program where it lies, to install it without a package
    #[command(after_help = help::UNIT)]
    Unit,
    #[command(external_subcommand)]
    Unknown(Vec<OsString>),
}

#[derive(Debug, Args)]
struct Transform {
    /// The steps, done in order, each as in the configuration: uppercase, or '{ prefix = "> " }'
    steps: Vec<String>,
    /// Show the text after each step
    #[arg(long)]
    explain: bool,
    /// Take what is not given here from this listener of the configuration [default: its first]
    #[arg(long, value_name = "NAME")]
    listener: Option<String>,
    /// How bytes become messages [default: stream, or as the configuration says]
    #[arg(long, value_name = "NAME", value_parser = framings())]
    framing: Option<String>,
    /// How answers are framed [default: as the messages]
    #[arg(long, value_name = "NAME", value_parser = framings())]
    framing_out: Option<String>,
    /// What ends a message under the framing delimiter: a text, or '{ hex = "15" }'
    #[arg(long, value_name = "TEXT", value_parser = Delimiter::parse)]
    delimiter: Option<Delimiter>,
    /// The longest message, as 1000 or 64KiB [default: 64KiB, or as the configuration says]
    #[arg(long, value_name = "SIZE", value_parser = config::max_message)]
    max_message: Option<usize>,
    /// What becomes of a longer message
    #[arg(long, value_name = "WORD", value_parser = one_of(config::ON_LONG))]
    on_long: Option<OnLong>,
    /// What is done with bytes that are not UTF-8 [default: pass, or as the configuration says]
    #[arg(long, value_name = "WORD", value_parser = one_of(config::INVALID_UTF8))]
    invalid_utf8: Option<InvalidUtf8>,
    /// What is done with a text that a step cannot decode
    #[arg(long, value_name = "WORD", value_parser = one_of(config::ON_ERROR))]
    on_error: Option<OnError>,
    /// What is done with a character that a charset lacks
    #[arg(long, value_name = "WORD", value_parser = one_of(config::ON_UNMAPPABLE))]
    on_unmappable: Option<OnUnmappable>,
}

/// The bytes that end a message.
#[derive(Debug, Clone)]
struct Delimiter(Vec<u8>);

impl Delimiter {
    fn parse(text: &str) -> Result<Delimiter, String> {
        config::delimiter(text).map(Delimiter)
    }
}

fn levels() -> impl TypedValueParser<Value = LevelFilter> {
    PossibleValuesParser::new(["error", "warn", "info", "debug", "trace", "off"])
        .try_map(|level| level.parse::<LevelFilter>())
}

fn framings() -> PossibleValuesParser {
    PossibleValuesParser::new(framing::REGISTRY.iter().map(|framing| framing.name))
}

/// One of the words of a key, for what it means.
fn one_of<T: Copy + Send + Sync>(words: Words<T>) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(words.iter().map(|(word, _)| *word)).try_map(move |name| {
        words.iter().find(|(word, _)| *word == name).map(|(_, meaning)| *meaning).ok_or("no such word")
    })
}

impl Cli {
    /// Does what was asked for.
    ///
    /// # Errors
    ///
    /// The [`Failure`] to print, with the exit code.
    pub fn run(self) -> Result<(), Failure> {
        let path = self.config.as_deref();
        match self.verb.unwrap_or(Verb::Run) {
            Verb::Run => daemon::run(config::load(path, "nothing was started")?, self.config),
            Verb::Check => check(path),
            Verb::Config { full: true, .. } => print(FULL),
            Verb::Config { json: false, .. } => print(&config::to_toml(&read(path)?.effective)),
            Verb::Config { json: true, .. } => print_json(&read(path)?.effective),
            Verb::Transform(asked) => transform::run(&asked, path),
            Verb::Transforms { json: true, .. } => print_json(&steps::rows()),
            Verb::Transforms { markdown: true, .. } => print(&steps::markdown()),
            Verb::Transforms { .. } => print(&steps::table()),
            Verb::Status { daemon, json } => control::status(&daemon, path, json),
            Verb::Connections(asked) => control::connections(&asked, path),
            Verb::Peers { daemon, json } => peers::peers(&daemon, path, json),
            Verb::Send(asked) => peers::send(asked, path),
            Verb::Reload { daemon, strict, json } => control::reload(&daemon, path, strict, json),
            Verb::Stop { daemon, now } => control::stop(&daemon, path, now),
            Verb::Log { daemon, level } => control::log(&daemon, path, level),
            Verb::Kill { daemon, ids } => control::kill(&daemon, path, &ids),
            Verb::Unit => unit::run(path),
            Verb::Unknown(words) => Err(unknown(&words)),
        }
    }
}

/// The configuration, for those who would start nothing anyway.
fn read(path: Option<&Path>) -> Result<Config, Failure> {
    config::read(path).map_err(|mistakes| mistakes.failure(""))
}

fn check(path: Option<&Path>) -> Result<(), Failure> {
    let config = read(path)?;
    for warning in &config.warnings {
        // with nobody to tell, all is good still
        let _ = writeln!(io::stderr().lock(), "{warning}");
    }
    let tests = match config.test().map_err(|mistakes| mistakes.failure(""))? {
        0 => String::new(),
        1 => "; its test passes".to_owned(),
        count => format!("; its {count} tests pass"),
    };
    print(&format!("{}: good{tests}:{}\n", config.source, summary(&config)))
}

/// What a configuration comes to: half a line for a listener, a line for each of several, and for each peer.
fn summary(config: &Config) -> String {
    let all = &config.settings.listeners;
    let gap = if all.len() == 1 { " " } else { "\n  " };
    let one = |listener: &Listener| {
        let addresses: Vec<_> = listener.addresses.iter().map(ToString::to_string).collect();
        let steps: Vec<&str> = listener.service.pipeline.names().collect();
        let steps = if steps.is_empty() { "no transform".to_owned() } else { steps.join(" then ") };
        format!("{gap}{} on {}, {steps}", listener.service.name, config::plain(&addresses.join(" and ")))
    };
    let peer = |peer: &Peer| {
        let from = if all.len() == 1 { String::new() } else { format!(", from {}", peer.via) };
        format!("\n  peer {} at {}{from}", peer.name, config::plain(&peer.address.to_string()))
    };
    all.iter().map(one).chain(config.settings.peers.iter().map(peer)).collect()
}

/// The mistake of a verb that there is not: often a file, or one misspelt.
fn unknown(words: &[OsString]) -> Failure {
    let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
    let verb = words.first().map_or("", AsRef::as_ref);
    let command = Cli::command();
    let cure = if verb.contains(['.', '/']) || Path::new(verb).exists() {
        format!("did you mean `shoutd -c {}`?", words.join(" "))
    } else {
        match About::nearest(verb, command.get_subcommands().map(clap::Command::get_name)) {
            Some((_, near)) => format!("did you mean `{near}`?"),
            None => "`shoutd --help` lists them all".to_owned(),
        }
    };
    Failure::new(Exit::Usage, config::plain(&format!("there is no verb `{verb}`; {cure}")))
}

fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::new(Exit::OwnFault, format!("cannot write this as JSON: {error}")))?;
    print(&(text + "\n"))
}

fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).or_else(unwritten)
}

/// Nobody reading any more is no failure; all else that stops a write is.
fn unwritten(error: io::Error) -> Result<(), Failure> {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Ok(()),
        _ => Err(Failure::new(Exit::Failed, format!("cannot write the output: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_does_not_contradict_itself() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_configuration_is_summed_up_in_a_line_for_each_listener() {
        let sum = |text| summary(&config::parse("/f", text).unwrap());
        assert_eq!(sum(""), " default on localhost:5000, uppercase");
        assert_eq!(sum("transform = [\"lowercase\", \"echo\"]"), " default on localhost:5000, lowercase then echo");
        let peer = sum("[[peer]]\nname = 'x'\naddress = 'h:1'");
        assert_eq!(peer, " default on localhost:5000, uppercase\n  peer x at h:1");
        let two = "[[listener]]\nname = 'a'\nlisten = ['h:1', 'unix:x']\ntransform = []\n[[listener]]\nname = 'b'\nlisten = 'h:2'\n";
        assert_eq!(sum(two), "\n  a on h:1 and unix:/x, no transform\n  b on h:2, uppercase");
    }
}
