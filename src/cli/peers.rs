//! `shoutd peers` and `shoutd send`: how the links to peers are, and what is said through them.

use super::control::{self, Daemon};
use super::{print, print_json, unwritten};
use crate::admin::peers::{Peer, table};
use crate::admin::send::{self, LONGEST, LONGEST_WAIT, Outcome, Said};
use crate::config::plain;
use crate::failure::{Exit, Failure};
use clap::Args;
use hyper::StatusCode;
use std::ffi::OsString;
use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::time::Duration;

/// The kinds of answers: what is told of it, or what the peer said, byte for byte.
const TOLD: &str = "application/json";
const RAW: &str = "application/octet-stream";

/// What is said to whom.
#[derive(Debug, Args)]
#[command(override_usage = "shoutd send [OPTIONS] <PEER> <TEXT>\n       shoutd send [OPTIONS] --all <TEXT>")]
pub(super) struct Sending {
    #[command(flatten)]
    daemon: Daemon,
    /// Send to every peer, and none is named; each answer stands on a line, behind the peer's name
    #[arg(long, conflicts_with = "text")]
    all: bool,
    /// How long an answer is waited for, as 500ms or 10s
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = time)]
    timeout: Duration,
    /// Print JSON instead: one object, or with --all an array of them
    #[arg(long)]
    json: bool,
    /// The peer's name, or its address as the configuration has it
    // with --all, the only word is the text
    peer: OsString,
    /// What is said; - stands for standard input
    #[arg(required_unless_present = "all")]
    text: Option<OsString>,
}

fn time(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|_| "a time is a number and its unit, as 500ms or 10s")?;
    if time <= LONGEST_WAIT { Ok(time) } else { Err(format!("at most {} s", LONGEST_WAIT.as_secs())) }
}

/// `shoutd peers`.
pub(super) fn peers(daemon: &Daemon, config: Option<&Path>, json: bool) -> Result<(), Failure> {
    let peers: Vec<Peer> = daemon.find(config)?.read("/peers", control::WAIT)?;
    if json { print_json(&peers) } else { print(&(table(&peers).join("\n") + "\n")) }
}

/// `shoutd send`.
pub(super) fn send(asked: Sending, config: Option<&Path>) -> Result<(), Failure> {
    let client = asked.daemon.find(config)?;
    let wait = asked.timeout + control::WAIT;
    let Some(given) = asked.text else {
        let text = text(asked.peer)?;
        let answer = client.send(&send::path_of_all(asked.timeout), TOLD, text, wait)?;
        if ![StatusCode::OK, StatusCode::BAD_GATEWAY].contains(&answer.status) {
            return Err(control::said(&answer));
        }
        let all: Vec<Said> = client.parse(&answer)?;
        return if asked.json { print_json(&all).and_then(|()| sum(&all)) } else { tell_all(&all) };
    };
    let (peer, text) = (asked.peer.to_string_lossy(), text(given)?);
    let kind = if asked.json { TOLD } else { RAW };
    let answer = client.send(&send::path(&peer, asked.timeout), kind, text, wait)?;
    let said = match answer.status {
        StatusCode::OK if !asked.json => Said::answered(&peer, answer.body),
        StatusCode::PAYLOAD_TOO_LARGE | StatusCode::BAD_REQUEST | StatusCode::INTERNAL_SERVER_ERROR => {
            return Err(control::said(&answer));
        }
        _ => client.parse(&answer)?,
    };
    if asked.json {
        print_json(&said)?;
    } else if said.outcome == Outcome::Answered {
        show(&said.bytes, io::stdout().is_terminal())?;
    }
    if said.outcome == Outcome::Answered { Ok(()) } else { Err(Failure::new(Exit::Failed, said.failure())) }
}

/// What is said, of which no more is read than may be.
fn text(given: OsString) -> Result<Vec<u8>, Failure> {
    let mut text = given.into_vec();
    if text == b"-" {
        text.clear();
        let most = u64::try_from(LONGEST).unwrap_or(u64::MAX);
        let read = io::stdin().lock().take(most + 1).read_to_end(&mut text);
        read.map_err(|error| Failure::new(Exit::Failed, format!("cannot read standard input: {error}")))?;
        // as a shell does with what a command prints
        let line = text.strip_suffix(b"\n").map(|line| line.strip_suffix(b"\r").unwrap_or(line).len());
        text.truncate(line.unwrap_or(text.len()));
    }
    match text.len() {
        0 => Err(Failure::new(Exit::Usage, "there is nothing to send; an empty text says nothing")),
        1..=LONGEST => Ok(text),
        _ => Err(Failure::new(Exit::Usage, format!("a text for a peer has at most {LONGEST} bytes"))),
    }
}

/// Prints an answer, byte for byte; on a terminal, which it shall not command, as a text on a line.
fn show(answer: &[u8], on_terminal: bool) -> Result<(), Failure> {
    if on_terminal {
        return print(&readable(answer));
    }
    let mut stdout = io::stdout().lock();
    stdout.write_all(answer).and_then(|()| stdout.flush()).or_else(unwritten)
}

/// An answer in lines that command no terminal.
fn readable(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer);
    let mut shown = String::with_capacity(text.len() + 1);
    for line in text.lines() {
        shown.push_str(&whole(line));
        shown.push('\n');
    }
    shown
}

/// A text on a line that commands no terminal, all of it.
fn whole(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    // what is longer would be cut
    chars.chunks(100).map(|part| plain(&part.iter().collect::<String>())).collect()
}

/// Prints each answer behind the name of its peer, and why there is none of the others.
fn tell_all(all: &[Said]) -> Result<(), Failure> {
    for said in all {
        match &said.answer {
            Some(answer) => {
                let answer = whole(answer.trim_end_matches(['\r', '\n']));
                print(&format!("{}: {answer}\n", plain(&said.peer)))?;
            }
            // with nobody to tell, the exit code says it
            None => drop(writeln!(io::stderr().lock(), "{}", said.failure())),
        }
    }
    sum(all)
}

/// The failure that not all have answered, if that is so.
fn sum(all: &[Said]) -> Result<(), Failure> {
    let silent = all.iter().filter(|said| said.outcome != Outcome::Answered).count();
    match (silent, all.len()) {
        (_, 0) => Err(Failure::new(Exit::Failed, "there is no peer; [[peer]] in the configuration adds one")),
        (0, _) => Ok(()),
        (1, 1) => Err(Failure::new(Exit::Failed, "the only peer did not answer")),
        (silent, all) => Err(Failure::new(Exit::Failed, format!("{silent} of {all} peers did not answer"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_on_a_terminal_is_whole_and_commands_nothing() {
        assert_eq!(readable(b"HELLO"), "HELLO\n");
        assert_eq!(readable(b"A\tb\r\nC\x1b[2J\xff\n"), "A b\nC␛[2J\u{FFFD}\n");
        let long = "é".repeat(5000);
        assert_eq!(readable(long.as_bytes()), long + "\n");
    }

    #[test]
    fn all_is_good_only_where_all_have_answered() {
        let answered = Said::answered("b", b"HELLO".to_vec());
        let silent = Said { outcome: Outcome::Down, ..answered.clone() };
        let text = |all: &[Said]| sum(all).unwrap_err().text;
        assert_eq!(sum(&[answered.clone(), answered.clone()]), Ok(()));
        assert_eq!(text(&[answered, silent.clone(), silent.clone()]), "2 of 3 peers did not answer");
        assert_eq!(text(&[silent]), "the only peer did not answer");
        assert!(text(&[]).contains("[[peer]]"));
    }

    #[test]
    fn a_time_has_a_unit_and_an_end() {
        assert_eq!(time("500ms"), Ok(Duration::from_millis(500)));
        for (wrong, cure) in [("5", "as 500ms"), ("soon", "as 500ms"), ("1h", "at most 120 s")] {
            assert!(time(wrong).unwrap_err().contains(cure), "{wrong}: {}", time(wrong).unwrap_err());
        }
    }
}
