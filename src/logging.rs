//! The log: lines for people on a terminal or in a file, for the journal under systemd, for programs.
//!
//! What is logged, and when, is the business of those who log.
//!
//! A thread that logs never waits for whoever reads the log: its line goes into a bounded channel,
//! which a thread of its own empties to stderr. When the channel is full, because nobody reads the
//! pipe that stderr is, lines are dropped and counted.

mod line;

use crate::deadlines::Clock;
use crate::failure::{Exit, Failure};
use crate::net::plain;
use crate::net::throttle::Throttle;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use env_logger::fmt::Formatter;
use line::one_line;
use log::{Level, LevelFilter, Record};
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The environment variable that says what is logged, before the configuration does.
pub const VARIABLE: &str = "SHOUTD_LOG";
/// How many lines may wait to be written.
const LINES: usize = 8192;
/// How long the end of the program waits for the last lines to be written.
const FAREWELL: Duration = Duration::from_millis(500);

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The least important messages that are still logged.
    pub level: LevelFilter,
    /// How they are written.
    pub format: Format,
}

/// How a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum Format {
    /// For the journal, which knows the time itself, as its priority (`sd-daemon(3)`) and a text; for
    /// all others as [`Text`](Format::Text).
    #[default]
    Auto,
    /// A time, a level, which a terminal shows in colour, and a text.
    Text,
    /// A JSON object, behind its priority where the journal reads it.
    Json,
}

/// The running log. Keep it until the end of the program: dropped, it waits for the last lines.
#[derive(Debug)]
pub struct Log {
    queue: Sender<Entry>,
    handle: Handle,
}

/// What is said to a running log, and asked of it, from any thread.
#[derive(Debug, Clone)]
pub struct Handle {
    /// The level that `SHOUTD_LOG` asked for.
    asked_for: Option<LevelFilter>,
    /// A [`Format`], by its number.
    format: Arc<AtomicU8>,
    dropped: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Entry {
    Line(Vec<u8>),
    /// Answers when all before it was written.
    Flush(Sender<()>),
}

/// Starts the log as `settings` say, unless `SHOUTD_LOG` says otherwise; a second call changes nothing.
///
/// # Errors
///
/// When `SHOUTD_LOG` is no level, or the system refuses a thread.
pub fn start(settings: &Settings) -> Result<Log, Failure> {
    let asked_for = level_asked_for()?;
    let (queue, entries) = bounded(LINES);
    let dropped = Arc::<AtomicU64>::default();
    let handle = Handle { asked_for, format: Arc::default(), dropped: Arc::clone(&dropped) };
    let log = Log { queue: queue.clone(), handle: handle.clone() };
    let writer = Writer { queue, dropped: Arc::clone(&dropped) };
    std::thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || drain(&entries, &dropped))
        .map_err(|error| Failure::new(Exit::System, format!("cannot start the log: {}", plain(error))))?;

    let stderr = io::stderr();
    let (is_journal, format) = (is_journal(&stderr), Arc::clone(&handle.format));
    let mut builder = env_logger::Builder::new();
    builder.format(move |to, record| write_line(to, record, Format::numbered(format.load(Relaxed)), is_journal));
    builder.write_style(if stderr.is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        env_logger::WriteStyle::Always
    } else {
        env_logger::WriteStyle::Never
    });
    builder.target(env_logger::Target::Pipe(Box::new(writer)));
    // the filter lets everything through, so that the level can be changed later by one store
    if builder.filter_level(LevelFilter::Trace).try_init().is_ok() {
        handle.configure(settings);
    }
    let (throttle, clock) = (Mutex::<Throttle>::default(), Clock::new(Instant::now()));
    std::panic::set_hook(Box::new(move |panic| {
        let now = clock.moment(Instant::now());
        let Some(kept_back) = throttle.lock().unwrap_or_else(PoisonError::into_inner).pass(now) else { return };
        let more = if kept_back > 0 { format!(" ({kept_back} more before it)") } else { String::new() };
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("without a name");
        log::error!("fault in the thread {name}: {panic}; please report it{more}");
    }));
    Ok(log)
}

impl Log {
    /// What other threads need of it.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Handle {
    /// Takes `settings` from the next line on; a level that `SHOUTD_LOG` asked for stays.
    pub fn configure(&self, settings: &Settings) {
        self.format.store(settings.format as u8, Relaxed);
        self.set_level(self.asked_for.unwrap_or(settings.level));
    }

    /// Logs what is as important as `level`, from now on and until it is said anew, whoever asked for another.
    pub fn set_level(&self, level: LevelFilter) {
        log::set_max_level(level);
    }

    /// Whether `SHOUTD_LOG` says what is logged, whatever the settings say.
    #[must_use]
    pub fn is_overruled(&self) -> bool {
        self.asked_for.is_some()
    }

    /// The least important messages that are logged now.
    #[must_use]
    pub fn level(&self) -> LevelFilter {
        log::max_level()
    }

    /// How many lines were dropped since the start, as nobody read fast enough.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }
}

impl Format {
    fn numbered(number: u8) -> Format {
        match number {
            0 => Format::Auto,
            1 => Format::Text,
            _ => Format::Json,
        }
    }
}

/// The level that `SHOUTD_LOG` names.
fn level_asked_for() -> Result<Option<LevelFilter>, Failure> {
    let asked = std::env::var(VARIABLE).unwrap_or_default();
    if asked.is_empty() {
        return Ok(None);
    }
    asked.parse().map(Some).map_err(|_| {
        let asked = one_line(&asked);
        Failure::new(
            Exit::Usage,
            format!("{VARIABLE}={asked} is no level; one of error, warn, info, debug, trace, off"),
        )
    })
}

impl Drop for Log {
    fn drop(&mut self) {
        let (done, wait) = bounded(1);
        if self.queue.send_timeout(Entry::Flush(done), FAREWELL).is_ok() {
            // whoever does not read their log by then has lost its end
            let _ = wait.recv_timeout(FAREWELL);
        }
    }
}

/// What env_logger writes to: one call for each line.
struct Writer {
    queue: Sender<Entry>,
    dropped: Arc<AtomicU64>,
}

impl Write for Writer {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Err(TrySendError::Full(_)) = self.queue.try_send(Entry::Line(line.to_vec())) {
            self.dropped.fetch_add(1, Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn drain(entries: &Receiver<Entry>, dropped: &AtomicU64) {
    let (mut waiting, mut told) = (None, 0);
    for entry in entries {
        match entry {
            Entry::Line(line) => {
                if write_out(&line).is_err() {
                    // as on a disk that is full: whoever asks is told, as nobody can be told here
                    dropped.fetch_add(1, Relaxed);
                    told += 1;
                }
            }
            Entry::Flush(done) => waiting = Some(done),
        }
        if entries.is_empty() {
            let lost = dropped.load(Relaxed) - told;
            if lost > 0 {
                told += lost;
                log::warn!("{lost} lines of this log were dropped: they came faster than they were read");
            }
            // that line, too, is to be written before the end
            if entries.is_empty()
                && let Some(done) = waiting.take()
            {
                let _ = done.send(());
            }
        }
    }
}

fn write_out(line: &[u8]) -> io::Result<()> {
    failpoint!("log", |errno| Err(io::Error::from_raw_os_error(errno)));
    io::stderr().write_all(line)
}

/// Whether `file` is the journal: systemd says in `JOURNAL_STREAM` which file is (`systemd.exec(5)`).
fn is_journal(file: impl AsFd) -> bool {
    let named = std::env::var("JOURNAL_STREAM").unwrap_or_default();
    rustix::fs::fstat(file).is_ok_and(|stat| named == format!("{}:{}", stat.st_dev, stat.st_ino))
}

fn write_line(to: &mut Formatter, record: &Record<'_>, format: Format, is_journal: bool) -> io::Result<()> {
    let level = record.level();
    if is_journal && format != Format::Text {
        write!(to, "<{}>", priority(level))?;
    }
    match format {
        Format::Json => {
            line::json(record, to.timestamp_millis(), &mut *to)?;
            writeln!(to)
        }
        Format::Auto if is_journal => writeln!(to, "{}", line::text(record)),
        Format::Auto | Format::Text => {
            let (time, colour) = (to.timestamp_seconds(), to.default_level_style(level));
            writeln!(to, "{time} {colour}{level:<5}{colour:#} {}", line::text(record))
        }
    }
}

/// The priorities of syslog(3).
fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_that_was_asked_for_stays_when_the_settings_change() {
        let settings = Settings { level: LevelFilter::Error, format: Format::Json };
        for (asked_for, level) in [(Some(LevelFilter::Debug), LevelFilter::Debug), (None, LevelFilter::Error)] {
            let log = Handle { asked_for, format: Arc::default(), dropped: Arc::default() };
            log.configure(&settings);
            assert_eq!((log.level(), log.format.load(Relaxed)), (level, Format::Json as u8));
        }
    }

    #[test]
    fn each_format_is_found_by_its_number() {
        for format in [Format::Auto, Format::Text, Format::Json] {
            assert_eq!(Format::numbered(format as u8), format);
        }
    }

    #[test]
    fn a_log_that_nobody_reads_drops_lines_and_counts_them() {
        let (queue, entries) = bounded(2);
        let dropped = Arc::<AtomicU64>::default();
        let mut writer = Writer { queue, dropped: Arc::clone(&dropped) };
        for _ in 0..5 {
            writer.write_all(b"line\n").unwrap();
        }
        assert_eq!((entries.len(), dropped.load(Relaxed)), (2, 3));
    }
}
