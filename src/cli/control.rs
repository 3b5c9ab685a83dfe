//! The verbs that ask a running daemon, or tell it something, by its control socket.

use super::{print, print_json};
use crate::admin::client::{Answer, Client};
use crate::admin::connections::Connection;
use crate::admin::{Status, bytes, columns, words};
use crate::board::{Outcome, Reload};
use crate::config::{Effect, plain};
use crate::failure::{Exit, Failure};
use clap::{Args, ValueEnum, ValueHint};
use hyper::{Method, StatusCode};
use log::LevelFilter;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// How long a daemon may take to answer.
pub(super) const WAIT: Duration = Duration::from_secs(30);
/// How long a reload may take, as a name may have to be resolved.
const RELOAD_WAIT: Duration = Duration::from_secs(120);
/// How often a daemon that stops is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// How long it may take to answer then.
const GLANCE: Duration = Duration::from_secs(1);
/// How long a process may take to end once it cannot be asked any more.
const FAREWELL: Duration = Duration::from_secs(2);
/// How much of a value is shown, in characters.
const VALUE: usize = 40;

/// Which daemon.
#[derive(Debug, Args)]
pub(super) struct Daemon {
    /// The control socket of the daemon [default: that of the daemon which runs with the same configuration]
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    socket: Option<PathBuf>,
}

impl Daemon {
    pub(super) fn find(&self, config: Option<&Path>) -> Result<Client, Failure> {
        Client::find(config, self.socket.as_deref())
    }
}

/// How connections are listed.
#[derive(Debug, Args)]
pub(super) struct Listing {
    #[command(flatten)]
    daemon: Daemon,
    /// What the list is sorted by, the most first
    #[arg(long, value_name = "WORD", default_value = "age")]
    sort: Sort,
    /// Only those of this listener
    #[arg(long, value_name = "NAME")]
    listener: Option<String>,
    /// Only those whose other end begins with this, as 192.0.2. or 192.0.2.7:
    #[arg(long, value_name = "TEXT")]
    peer: Option<String>,
    /// At most so many
    #[arg(long, value_name = "NUMBER")]
    limit: Option<usize>,
    /// Print JSON instead: an array of objects
    #[arg(long)]
    json: bool,
}

/// What connections are sorted by.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Sort {
    /// How long they have been open
    Age,
    /// How long nothing has come in or gone out
    Quiet,
    /// Bytes from the client
    Received,
    /// Bytes to the client
    Sent,
    /// Messages
    Messages,
}

/// `shoutd status`.
pub(super) fn status(daemon: &Daemon, config: Option<&Path>, json: bool) -> Result<(), Failure> {
    let status: Status = daemon.find(config)?.read("/status", WAIT)?;
    if json { print_json(&status) } else { print(&(status.lines().join("\n") + "\n")) }
}

/// `shoutd connections`.
pub(super) fn connections(asked: &Listing, config: Option<&Path>) -> Result<(), Failure> {
    let all: Vec<Connection> = asked.daemon.find(config)?.read("/connections", WAIT)?;
    let count = all.len();
    let is_meant = |one: &Connection| {
        asked.listener.as_ref().is_none_or(|name| one.listener == *name)
            && asked.peer.as_ref().is_none_or(|text| one.peer.starts_with(text.as_str()))
    };
    let mut shown: Vec<Connection> = all.into_iter().filter(is_meant).collect();
    shown.sort_by(|a, b| {
        let most = match asked.sort {
            Sort::Age => b.age_seconds.total_cmp(&a.age_seconds),
            Sort::Quiet => b.quiet_seconds.total_cmp(&a.quiet_seconds),
            Sort::Received => b.bytes_received.cmp(&a.bytes_received),
            Sort::Sent => b.bytes_sent.cmp(&a.bytes_sent),
            Sort::Messages => b.messages.cmp(&a.messages),
        };
        most.then(a.id.cmp(&b.id))
    });
    shown.truncate(asked.limit.unwrap_or(usize::MAX));
    if asked.json {
        return print_json(&shown);
    }
    let head = ["ID", "LISTENER", "PEER", "STATE", "AGE", "QUIET", "MESSAGES", "RECEIVED", "SENT"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let time = |seconds: f64| words(Duration::from_secs_f64(seconds.clamp(0.0, 1e12)));
    rows.extend(shown.iter().map(|one| {
        vec![
            one.id.to_string(),
            plain(&one.listener),
            // which of them are links to peers of the configuration
            one.link
                .as_ref()
                .map_or_else(|| plain(&one.peer), |link| format!("{} ({})", plain(&one.peer), plain(link))),
            plain(&one.state),
            time(one.age_seconds),
            time(one.quiet_seconds),
            one.messages.to_string(),
            bytes(one.bytes_received as f64),
            bytes(one.bytes_sent as f64),
        ]
    }));
    let last = match shown.len() {
        1 if count == 1 => "1 connection".to_owned(),
        all if all == count => format!("{count} connections"),
        some => format!("{some} of {count} connections"),
    };
    print(&format!("{}\n\n{last}\n", columns(&rows, 4..).join("\n")))
}

/// `shoutd reload`.
pub(super) fn reload(daemon: &Daemon, config: Option<&Path>, strict: bool, json: bool) -> Result<(), Failure> {
    let client = daemon.find(config)?;
    let answer = client.ask(Method::POST, "/reload", RELOAD_WAIT)?;
    if ![StatusCode::OK, StatusCode::CONFLICT].contains(&answer.status) {
        return Err(said(&answer));
    }
    let reload: Reload = client.parse(&answer)?;
    if json {
        print_json(&reload)?;
    }
    if reload.outcome == Outcome::Refused {
        let error = reload.error.unwrap_or_else(|| "the reload was refused".to_owned());
        return Err(Failure::new(Exit::Config, if json { "the reload was refused".to_owned() } else { error }));
    }
    if !json {
        for warning in &reload.warnings {
            // with nobody to tell, all is good still
            let _ = writeln!(io::stderr().lock(), "{}", plain(warning));
        }
        print(&report(&reload))?;
    }
    if !strict {
        return Ok(());
    }
    // also what an earlier reload has left to a restart
    let pending = client.read::<Status>("/status", WAIT)?.config.restart_pending;
    if pending.is_empty() {
        return Ok(());
    }
    let text = format!("applied, but a restart is needed for {}", plain(&pending.join(", ")));
    Err(Failure::new(Exit::NeedsRestart, text))
}

/// What a reload has changed, as a table.
fn report(reload: &Reload) -> String {
    let done = format!("reloaded: generation {}\n", reload.generation);
    if reload.changes.is_empty() {
        return format!("no key has changed\n{done}");
    }
    let shown = |value: &Option<String>| value.as_deref().map_or_else(|| "nothing".to_owned(), cut);
    let mut rows = vec![["KEY", "OLD", "NEW", "EFFECT"].map(str::to_owned).to_vec()];
    rows.extend(
        reload
            .changes
            .iter()
            .map(|change| vec![plain(&change.key), shown(&change.old), shown(&change.new), change.effect.to_string()]),
    );
    let restart = reload.changes.iter().filter(|change| change.effect == Effect::NeedsRestart).count();
    let restart = if restart > 0 { "what needs a restart is not in effect before one\n" } else { "" };
    format!("{}\n\n{restart}{done}", columns(&rows, 0..0).join("\n"))
}

/// The beginning of a value, fit to be shown.
fn cut(value: &str) -> String {
    let value = plain(value);
    match value.char_indices().nth(VALUE) {
        Some((end, _)) => value.get(..end).unwrap_or_default().to_owned() + "…",
        None => value,
    }
}

/// `shoutd stop`.
pub(super) fn stop(daemon: &Daemon, config: Option<&Path>, now: bool) -> Result<(), Failure> {
    let client = daemon.find(config)?;
    let status: Status = client.read("/status", WAIT)?;
    let process = i32::try_from(status.pid).ok().and_then(Pid::from_raw);
    let process = process.and_then(|pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok());
    let answer = client.ask(Method::POST, if now { "/stop?now" } else { "/stop" }, WAIT)?;
    if answer.status != StatusCode::ACCEPTED {
        return Err(said(&answer));
    }
    let mut told = None;
    while client.is_there() {
        // one that does not answer while it ends is waited for
        if let Ok(now) = client.read::<Status>("/status", GLANCE) {
            if (now.pid, &now.started) != (status.pid, &status.started) {
                // as where a supervisor starts another at once
                break;
            }
            let open = now.connections.open;
            if io::stderr().is_terminal() && told.replace(open) != Some(open) {
                let _ = writeln!(io::stderr().lock(), "stopping, {open} open");
            }
        }
        thread::sleep(LOOK);
    }
    // the socket goes just before the process; where it has another number for us, as in a container,
    // it is not waited for
    if let Some(process) = process {
        let mut ended = [PollFd::new(&process, PollFlags::IN)];
        let _ = rustix::event::poll(&mut ended, Timespec::try_from(FAREWELL).ok().as_ref());
    }
    Ok(())
}

/// `shoutd log LEVEL`.
pub(super) fn log(daemon: &Daemon, config: Option<&Path>, level: LevelFilter) -> Result<(), Failure> {
    let path = format!("/log/{}", level.as_str().to_lowercase());
    let answer = daemon.find(config)?.ask(Method::POST, &path, WAIT)?;
    if answer.status == StatusCode::OK { Ok(()) } else { Err(said(&answer)) }
}

/// `shoutd kill ID`.
pub(super) fn kill(daemon: &Daemon, config: Option<&Path>, ids: &[u64]) -> Result<(), Failure> {
    let client = daemon.find(config)?;
    // one that has gone meanwhile does not save those behind it
    let mut failed = Vec::new();
    for id in ids {
        let answer = client.ask(Method::POST, &format!("/kill/{id}"), WAIT)?;
        if answer.status != StatusCode::OK {
            failed.push(format!("{id}: {}", said(&answer)));
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(Failure::new(Exit::Failed, failed.join("; "))) }
}

/// The failure that an answer tells of.
pub(super) fn said(answer: &Answer) -> Failure {
    Failure::new(Exit::Failed, plain(String::from_utf8_lossy(&answer.body).trim()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Change;

    #[test]
    fn a_reload_is_told_as_a_table() {
        let change = |key: &str, old: Option<&str>, new: Option<&str>, effect| Change {
            key: key.to_owned(),
            old: old.map(str::to_owned),
            new: new.map(str::to_owned),
            effect,
        };
        let long = format!("\"{}\"", "x".repeat(50));
        let mut reload = Reload {
            at: String::new(),
            by: String::new(),
            generation: 2,
            outcome: Outcome::Applied,
            took_seconds: 0.0,
            changes: vec![
                change("transform", Some("\"uppercase\""), Some(&long), Effect::Live),
                change("listener.b", Some("\"h:1\""), None, Effect::NewConnections),
                change("workers", Some("1"), Some("2"), Effect::NeedsRestart),
            ],
            warnings: Vec::new(),
            error: None,
        };
        let wide = format!("\"{}…", "x".repeat(39));
        assert_eq!(
            report(&reload),
            format!(
                "KEY         OLD          NEW{:width$}EFFECT\n\
                 transform   \"uppercase\"  {wide}  live\n\
                 listener.b  \"h:1\"        nothing{:less$}new connections\n\
                 workers     1            2{:most$}needs restart\n\n\
                 what needs a restart is not in effect before one\nreloaded: generation 2\n",
                "",
                "",
                "",
                width = 40,
                less = 36,
                most = 42
            )
        );
        reload.changes.clear();
        assert_eq!(report(&reload), "no key has changed\nreloaded: generation 2\n");
    }
}
