//! The main thread: starts the server, then turns signals, events and time into calls of it.
//!
//! Sockets and sessions are not known here. The main thread only ever waits for its channels, so
//! a signal is answered at once whatever the other threads do.

use crate::config::{Config, Source};
use crate::failure::{Exit, Failure};
use crate::logging;
use crate::net::plain;
use crate::server::{Event, Listener, Server, StartError};
use crate::session::EndReason;
use crate::signals::{self, Signal};
use crate::systemd::{self, Passed};
use crossbeam_channel::{Receiver, after, never, select, tick};
use std::fmt::Write;
use std::io::{self, IsTerminal};
use std::time::Duration;

/// How long a stop at once may take; what has not ended by then ends with the process.
const STOP_WAIT: Duration = Duration::from_secs(1);
/// How often a stop tells systemd how far it is.
const STATUS_EVERY: Duration = Duration::from_secs(1);
/// How many signs of life are asked for in the time that systemd waits for one, so that one
/// that comes late is not the end.
const BEATS: u32 = 4;

/// Serves as `config` says until a signal stops it.
///
/// # Errors
///
/// A [`Failure`] when it cannot start, or ends by a fault of its own.
pub fn run(config: Config) -> Result<(), Failure> {
    let system = |what: &str, error: &dyn std::fmt::Display| {
        Failure::new(Exit::System, format!("cannot {what}: {}", plain(error)))
    };
    let _log = logging::start(&config.log)?;
    let another = match config.source {
        Source::BuiltIn => "shoutd -c config/config.toml names another",
        Source::File(_) => "-c FILE names another",
    };
    log::info!("configuration: {} ({another})", config.source);
    for warning in &config.warnings {
        log::warn!("{warning}");
    }
    // before anything listens, so that no signal finds the process without a handler
    let signals = signals::listen().map_err(|error| system("take signals", &error))?;

    let mut settings = config.settings;
    hand_out(systemd::passed_sockets()?, &mut settings.listeners)?;
    let services: Vec<String> = settings.listeners.iter().map(describe).collect();
    let drain_timeout = settings.drain.timeout;
    let server = Server::start(settings).map_err(refused)?;
    for service in services {
        log::info!("serving {service}");
    }
    let mut addresses: Vec<String> = server.addresses().iter().map(ToString::to_string).collect();
    addresses.dedup();
    let addresses = addresses.join(", ");
    log::info!(
        "listening on {addresses}: {}, at most {}",
        counted(server.workers(), "worker"),
        counted(server.max_connections(), "connection")
    );
    systemd::ready(&format!("listening on {addresses}"));

    let running = server.running();
    let terminal = io::stderr().is_terminal();
    let mut daemon = Daemon { server, signals, running, stage: Stage::Serving, silent: Vec::new(), terminal };
    let result = daemon.attend(drain_timeout);
    daemon.say_goodbye();
    result
}

/// The main thread's state.
struct Daemon {
    server: Server,
    signals: Receiver<Signal>,
    /// Threads that have not said that they ended.
    running: usize,
    stage: Stage,
    /// The threads that owe a sign of life.
    silent: Vec<String>,
    /// Whether it was started on a terminal.
    terminal: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Serving,
    Draining,
    Stopping,
}

impl Daemon {
    /// Waits for signals, events and time until all threads have ended.
    fn attend(&mut self, drain_timeout: Duration) -> Result<(), Failure> {
        let events = self.server.events().clone();
        let beat = systemd::watchdog().map_or_else(never, |period| tick(period / BEATS));
        let mut progress = never();
        let mut deadline = never();
        while self.running > 0 {
            select! {
                recv(self.signals) -> signal => match (signal, self.stage) {
                    (Ok(Signal::Hangup), _) if !self.is_hung_up() => {
                        log::warn!("SIGHUP: reload is not there yet; restart to use a changed configuration");
                    }
                    // the shell tells of it, and so does the kernel: that is no second order
                    (Ok(Signal::Hangup), Stage::Draining) => {}
                    (Ok(signal), Stage::Serving) => {
                        self.begin_drain(signal);
                        progress = tick(STATUS_EVERY);
                        deadline = after(drain_timeout + STOP_WAIT);
                    }
                    (_, Stage::Stopping) => {}
                    (_, Stage::Serving | Stage::Draining) => {
                        log::info!("stopping at once");
                        self.stage = Stage::Stopping;
                        self.server.stop();
                        deadline = after(STOP_WAIT);
                    }
                },
                recv(events) -> event => self.thread_ended(event.ok())?,
                recv(beat) -> _ => self.check_pulses(),
                recv(progress) -> _ => systemd::status(&format!("stopping, {} open", counted(self.server.open(), "connection"))),
                recv(deadline) -> _ => {
                    log::warn!("{} did not end in time", counted(self.running, "thread"));
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn begin_drain(&mut self, signal: Signal) {
        let name = match signal {
            Signal::Interrupt => "SIGINT",
            Signal::Terminate => "SIGTERM",
            Signal::Hangup => "the terminal is gone",
        };
        let open = counted(self.server.open(), "connection");
        log::info!("{name}: stopping, {open} open; once more stops at once");
        systemd::stopping(&format!("stopping, {open} open"));
        self.stage = Stage::Draining;
        self.server.drain();
    }

    /// Whether SIGHUP says what its name does: that the terminal it was started on is closed.
    fn is_hung_up(&self) -> bool {
        self.terminal && !io::stderr().is_terminal()
    }

    fn thread_ended(&mut self, event: Option<Event>) -> Result<(), Failure> {
        let Some(Event::ThreadEnded { name, fault }) = event else { return Ok(()) };
        self.running = self.running.saturating_sub(1);
        let fault = fault.or_else(|| (self.stage == Stage::Serving).then(|| "nobody told it to".to_owned()));
        match fault {
            Some(fault) => Err(Failure::new(Exit::OwnFault, format!("the thread {name} ended: {fault}"))),
            None => Ok(()),
        }
    }

    /// Gives systemd a sign of life if every thread has given one since the last time.
    fn check_pulses(&mut self) {
        let silent: Vec<String> = self.server.silent_threads().into_iter().map(str::to_owned).collect();
        if silent.is_empty() {
            systemd::alive();
        }
        for name in silent.iter().filter(|name| !self.silent.contains(name)) {
            log::warn!("the thread {name} does not answer; the watchdog is not fed until it does");
        }
        self.silent = silent;
    }

    fn say_goodbye(&self) {
        let totals = self.server.totals();
        let mut line = format!("stopped: {} served", counted(totals.accepted, "connection"));
        for reason in EndReason::ALL {
            let count = totals.closed.get(reason as usize).copied().unwrap_or_default();
            if count > 0 {
                // writing to a String does not fail
                let _ = write!(line, ", {count} {}", reason.word());
            }
        }
        let accept = self.server.accept_counters();
        let troubles = [
            (accept.client_errors.get(), "failed accept"),
            (accept.pauses.get(), "pause of accepting"),
            (accept.shed.get(), "client sent away"),
        ];
        let _ = write!(line, "; {} bytes in, {} out", totals.bytes_in, totals.bytes_out);
        for (count, what) in troubles.into_iter().filter(|(count, _)| *count > 0) {
            let _ = write!(line, "; {count} x {what}");
        }
        log::info!("{line}");
    }
}

/// Gives each listener the sockets that were passed under its name.
fn hand_out(passed: Vec<Passed>, listeners: &mut [Listener]) -> Result<(), Failure> {
    let known = listeners.iter().map(|listener| listener.service.name.as_str()).collect::<Vec<_>>().join(", ");
    for Passed { name, socket } in passed {
        let Some(listener) = listeners.iter_mut().find(|listener| listener.service.name == name) else {
            return Err(Failure::new(
                Exit::Config,
                format!(
                    "systemd passed a socket named `{name}`, and no listener has that name; \
                     say FileDescriptorName= in the .socket unit (listeners: {known})"
                ),
            ));
        };
        listener.passed.push(socket);
    }
    Ok(())
}

fn counted(number: impl TryInto<u64>, what: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn describe(listener: &Listener) -> String {
    let service = &listener.service;
    let steps: Vec<&str> = service.pipeline.names().collect();
    format!("{}: {} > {}", service.name, service.framing, steps.join(" > "))
}

fn refused(error: StartError) -> Failure {
    let exit = match &error {
        StartError::Bind(error) if error.permission => Exit::Permission,
        StartError::Bind(_) | StartError::System(_) | StartError::NoConnections { .. } => Exit::System,
        StartError::TooManyConnections { .. } => Exit::Config,
    };
    Failure::new(exit, error.to_string())
}
