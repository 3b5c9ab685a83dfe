//! The main thread: starts everything, then turns signals, events and time into calls of the server.
//!
//! Sockets and sessions are not known here. The main thread only ever waits for its channels, so
//! a signal is answered at once whatever the other threads do.

use crate::admin::{Admin, Reach, Status};
use crate::board::{Board, Stage};
use crate::config::{Config, Source};
use crate::failure::{Exit, Failure};
use crate::logging;
use crate::net::plain;
use crate::reload::{Ask, Reloader};
use crate::server::{Control, Event, Listener, Server, Sign};
use crate::session::EndReason;
use crate::signals::{self, Signal};
use crate::systemd::{self, Store};
use crossbeam_channel::{Receiver, Sender, after, never, select, tick, unbounded};
use std::collections::VecDeque;
use std::fmt::Write;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a stop at once may take; what has not ended by then ends with the process.
const STOP_WAIT: Duration = Duration::from_secs(1);
/// How often a stop tells systemd how far it is.
const STATUS_EVERY: Duration = Duration::from_secs(1);
/// How often the threads are asked for a sign of life, and how long they may owe it.
const BEAT: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(1));
/// How many signs of life systemd is given in the time that it waits for one, so that one that comes
/// late is not the end.
const BEATS: u32 = 4;
/// How late the main thread may be before the whole process must have stood still.
const GAP: Duration = Duration::from_secs(1);
/// How many panics of workers within how long are still accidents.
const PANICS: (usize, Duration) = (5, Duration::from_secs(60));

/// Serves as `config` says, which was read from `path` if that was named, until somebody stops it.
///
/// # Errors
///
/// A [`Failure`] when it cannot start, or ends by a fault of its own.
pub fn run(config: Config, path: Option<PathBuf>) -> Result<(), Failure> {
    let system = |what: &str, error: &dyn std::fmt::Display| {
        Failure::new(Exit::System, format!("cannot {what}: {}", plain(error)))
    };
    let log = logging::start(&config.log)?;
    let another = match config.source {
        Source::BuiltIn => "shoutd -c config/config.toml names another",
        Source::File(_) => "-c FILE names another",
    };
    log::info!("configuration: {} ({another})", config.source);
    for warning in &config.warnings {
        log::warn!("{warning}");
    }
    #[cfg(feature = "failpoints")]
    order_faults()?;
    // before anything listens, so that no signal finds the process without a handler
    let (signals_in, signals) = unbounded();
    signals::listen(signals_in.clone()).map_err(|error| system("take signals", &error))?;

    let services: Vec<String> = config.settings.listeners.iter().map(describe).collect();
    let inherited = systemd::passed_sockets()?;
    let mut store = Store::new(&inherited);
    let server = Server::start_with(config.settings, inherited)?;
    let control = server.control().clone();
    store.keep(&control.sockets());
    let board = Arc::new(Board::new(config.source.clone()));
    // one that was found in its usual place must not be taken for the defaults once it is gone
    let path = path.map(|path| std::path::absolute(&path).unwrap_or(path));
    let path = path.or(if let Source::File(found) = &config.source { Some(found.clone()) } else { None });
    let reloader =
        Reloader::new(path, config.effective, control.clone(), log.handle().clone(), Arc::clone(&board), store);
    let asks = reloader.start().map_err(|error| system("start a thread", &error))?;
    let reach = Reach {
        control: control.clone(),
        board: Arc::clone(&board),
        log: log.handle().clone(),
        asks: asks.clone(),
        signals: signals_in,
        rates: Arc::default(),
    };
    let _admin = Admin::start(&config.admin, &config.source, reach.clone())?;

    for service in services {
        log::info!("serving {service}");
    }
    let listening = listening_on(&control);
    log::info!(
        "{listening}: {}, at most {}",
        counted(control.workers(), "worker"),
        counted(control.max_connections(), "connection")
    );
    systemd::ready(&listening);

    // one that has ended already has told so
    let running = server.threads();
    let terminal = io::stderr().is_terminal();
    let (asked, panics) = (Instant::now(), VecDeque::new());
    let mut daemon = Daemon { server, control, signals, asks, board, reach, running, asked, panics, terminal };
    let result = daemon.attend();
    daemon.say_goodbye();
    result
}

/// Orders the faults that the environment names, and says so: nobody is to be served by such a build unawares.
#[cfg(feature = "failpoints")]
fn order_faults() -> Result<(), Failure> {
    let orders = std::env::var("FAILPOINTS").unwrap_or_default();
    let wrong = |what| Failure::new(Exit::Usage, format!("FAILPOINTS: {what} is no order"));
    crate::failpoints::order(&orders).map_err(wrong)?;
    log::warn!("THIS BUILD IS NOT FOR USE: it has failpoints, and fails where FAILPOINTS says so ({orders:?})");
    Ok(())
}

/// Where it listens, for the log and for systemd.
pub(crate) fn listening_on(control: &Control) -> String {
    let mut addresses: Vec<String> = control.addresses().iter().map(ToString::to_string).collect();
    addresses.dedup();
    format!("listening on {}", addresses.join(", "))
}

/// The main thread's state.
struct Daemon {
    server: Server,
    control: Control,
    signals: Receiver<Signal>,
    /// Where a reload is asked for.
    asks: Sender<Ask>,
    board: Arc<Board>,
    reach: Reach,
    /// Threads that have not said that they ended.
    running: usize,
    /// When the threads were asked for a sign of life.
    asked: Instant,
    /// When workers panicked of late.
    panics: VecDeque<Instant>,
    /// Whether it was started on a terminal.
    terminal: bool,
}

impl Daemon {
    /// Waits for signals, events and time until all threads have ended.
    fn attend(&mut self) -> Result<(), Failure> {
        let events = self.server.events().clone();
        let period = systemd::watchdog().map(|watchdog| watchdog / BEATS);
        let feed = period.map_or_else(never, tick);
        let (every, patience) = period.map_or(BEAT, |period| (BEAT.0.min(period), BEAT.1.min(period)));
        let beat = tick(every);
        let mut progress = never();
        let mut deadline = never();
        while self.running > 0 {
            let stage = self.board.read().stage;
            select! {
                recv(self.signals) -> signal => match (signal, stage) {
                    (Ok(Signal::Hangup), _) if !self.is_hung_up() => self.reload(),
                    (Ok(Signal::Status), _) => self.tell_status(),
                    // the shell tells of it, and so does the kernel: that is no second order
                    (Ok(Signal::Hangup), Stage::Draining) => {}
                    (_, Stage::Stopping) => {}
                    (Ok(signal), Stage::Serving) if signal != Signal::StopNow => {
                        let timeout = self.begin_drain(signal);
                        progress = tick(STATUS_EVERY);
                        deadline = after(timeout + STOP_WAIT);
                    }
                    (_, Stage::Serving | Stage::Draining) => {
                        log::info!("stopping at once");
                        self.board.set_stage(Stage::Stopping);
                        self.control.stop();
                        deadline = after(STOP_WAIT);
                    }
                },
                recv(events) -> event => match event {
                    Ok(Event::ThreadEnded { name, fault }) => self.thread_ended(&name, fault)?,
                    Ok(Event::WorkerPanicked { name }) => self.worker_panicked(&name)?,
                    Err(_) => {}
                },
                recv(beat) -> _ => self.watch(every, patience),
                recv(feed) -> _ => if self.control.silent_threads(patience).is_empty() {
                    systemd::alive();
                },
                recv(progress) -> _ => self.tell_progress(),
                recv(deadline) -> _ => {
                    log::warn!("{} did not end in time", counted(self.running, "thread"));
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn reload(&self) {
        // its thread lives as long as the process
        let _ = self.asks.send(Ask { by: "SIGHUP", answer: Box::new(|_| {}) });
    }

    /// Begins to stop, and gives how long that may take.
    fn begin_drain(&mut self, signal: Signal) -> Duration {
        let name = match signal {
            Signal::Interrupt => "SIGINT",
            Signal::Terminate => "SIGTERM",
            Signal::Hangup => "the terminal is gone",
            Signal::Stop | Signal::StopNow | Signal::Status => "shoutd stop",
        };
        let open = counted(self.control.open(), "connection");
        log::info!("{name}: stopping, {open} open; once more stops at once");
        // before systemd hears of it, so that a reload does not say afterwards that all is ready
        self.board.set_stage(Stage::Draining);
        systemd::stopping(&format!("stopping, {open} open"));
        self.control.drain()
    }

    fn tell_progress(&self) {
        systemd::status(&format!("stopping, {} open", counted(self.control.open(), "connection")));
    }

    fn tell_status(&self) {
        for line in Status::of(&self.reach).lines() {
            log::info!("{line}");
        }
    }

    /// Whether SIGHUP says what its name does: that the terminal it was started on is closed.
    fn is_hung_up(&self) -> bool {
        self.terminal && !io::stderr().is_terminal()
    }

    fn thread_ended(&mut self, name: &str, fault: Option<String>) -> Result<(), Failure> {
        self.running = self.running.saturating_sub(1);
        let fault =
            fault.or_else(|| (self.board.read().stage == Stage::Serving).then(|| "nobody told it to".to_owned()));
        match fault {
            Some(fault) => Err(Failure::new(Exit::OwnFault, format!("the thread {name} ended: {fault}"))),
            None => Ok(()),
        }
    }

    /// Takes that a worker panicked, which is an accident as long as it does not happen again and again.
    fn worker_panicked(&mut self, name: &str) -> Result<(), Failure> {
        let (most, period) = PANICS;
        self.panics.push_back(Instant::now());
        self.panics.retain(|panic| panic.elapsed() < period);
        if self.panics.len() <= most {
            return Ok(());
        }
        let text = format!("workers panicked {} times within a minute, at last {name}", self.panics.len());
        Err(Failure::new(Exit::OwnFault, text))
    }

    /// Looks for threads that have owed a sign of life for longer than `patience`, which is done `every` so
    /// often.
    fn watch(&mut self, every: Duration, patience: Duration) {
        let gap = self.asked.elapsed().saturating_sub(every);
        self.asked = Instant::now();
        if gap > GAP {
            log::warn!("loop gap: the process stood still for {:.1} s", gap.as_secs_f64());
            self.control.excuse_threads();
        }
        for sign in self.control.watch(patience) {
            match sign {
                Sign::Stalled { name, silence, connection } => {
                    let at = connection.map_or_else(String::new, |id| format!(", at connection {id}"));
                    log::warn!(
                        "the thread {name} does not answer; the watchdog is not fed until it does, and new connections go \
                         to others (silent for {:.1} s{at})",
                        silence.as_secs_f64()
                    );
                }
                Sign::Back { name, silence } => {
                    log::info!("the thread {name} answers again, after {:.1} s", silence.as_secs_f64());
                }
            }
        }
    }

    fn say_goodbye(&self) {
        let totals = self.control.totals();
        let mut line = format!("stopped: {} served", counted(totals.accepted, "connection"));
        for reason in EndReason::ALL {
            let count = totals.closed.get(reason as usize).copied().unwrap_or_default();
            if count > 0 {
                // writing to a String does not fail
                let _ = write!(line, ", {count} {}", reason.word());
            }
        }
        let accept = self.control.accept_counters();
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

fn counted(number: impl TryInto<u64>, what: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn describe(listener: &Listener) -> String {
    let service = &listener.service;
    let steps: Vec<&str> = service.pipeline.names().collect();
    format!("{}: {} > {}", service.name, service.framing, steps.join(" > "))
}
