//! The log: lines for people on a terminal or in a file, for the journal under systemd.
//!
//! What is logged, and when, is the business of those who log.
//!
//! A thread that logs never waits for whoever reads the log: its line goes into a bounded channel,
//! which a thread of its own empties to stderr. When the channel is full, because nobody reads the
//! pipe that stderr is, lines are dropped and counted.

use crate::failure::{Exit, Failure};
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use env_logger::fmt::Formatter;
use log::{Level, LevelFilter, Record};
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// The environment variable that says what is logged, before the configuration does.
pub const VARIABLE: &str = "SHOUTD_LOG";
/// How many lines may wait to be written.
const LINES: usize = 8192;
/// How long the end of the program waits for the last lines to be written.
const FAREWELL: Duration = Duration::from_millis(500);

/// How a line is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    /// A priority for the journal, which knows the time itself (`sd-daemon(3)`).
    Journal,
    /// A time, a level in colour, the text.
    Terminal,
    /// A time, a level, the text.
    Plain,
}

/// The running log. Keep it until the end of the program: dropped, it waits for the last lines.
#[derive(Debug)]
pub struct Log {
    queue: Sender<Entry>,
}

#[derive(Debug)]
enum Entry {
    Line(Vec<u8>),
    /// Answers when all before it was written.
    Flush(Sender<()>),
}

/// Starts the log at `level`, unless `SHOUTD_LOG` says otherwise; a second call changes nothing.
///
/// # Errors
///
/// When `SHOUTD_LOG` is no level, or the system refuses a thread.
pub fn start(level: LevelFilter) -> Result<Log, Failure> {
    let level = level_asked_for()?.unwrap_or(level);
    let (queue, entries) = bounded(LINES);
    let dropped = Arc::<AtomicU64>::default();
    let writer = Writer { queue: queue.clone(), dropped: Arc::clone(&dropped) };
    std::thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || drain(&entries, &dropped))
        .map_err(|error| Failure::new(Exit::System, format!("cannot start the log: {error}")))?;

    let style = style();
    let mut builder = env_logger::Builder::new();
    builder.format(move |line, record| write_line(line, record, style));
    builder.write_style(if style == Style::Terminal && std::env::var_os("NO_COLOR").is_none() {
        env_logger::WriteStyle::Always
    } else {
        env_logger::WriteStyle::Never
    });
    builder.target(env_logger::Target::Pipe(Box::new(writer)));
    // the filter lets everything through, so that the level can be raised later by one store
    if builder.filter_level(LevelFilter::Trace).try_init().is_ok() {
        log::set_max_level(level);
    }
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        log::error!("fault in the thread {}: {panic}; please report it", thread.name().unwrap_or("without a name"));
    }));
    Ok(Log { queue })
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
    let mut waiting = None;
    for entry in entries {
        match entry {
            Entry::Line(line) => {
                // a log that cannot be written has nobody to be told to
                let _ = io::stderr().write_all(&line);
            }
            Entry::Flush(done) => waiting = Some(done),
        }
        if entries.is_empty() {
            let lost = dropped.swap(0, Relaxed);
            if lost > 0 {
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

fn style() -> Style {
    let stderr = io::stderr();
    if is_journal(&stderr) {
        Style::Journal
    } else if stderr.is_terminal() {
        Style::Terminal
    } else {
        Style::Plain
    }
}

/// Whether `file` is the journal: systemd says in `JOURNAL_STREAM` which file is (`systemd.exec(5)`).
fn is_journal(file: impl AsFd) -> bool {
    let named = std::env::var("JOURNAL_STREAM").unwrap_or_default();
    rustix::fs::fstat(file).is_ok_and(|stat| named == format!("{}:{}", stat.st_dev, stat.st_ino))
}

fn write_line(line: &mut Formatter, record: &Record<'_>, style: Style) -> io::Result<()> {
    let level = record.level();
    let text = one_line(&record.args().to_string());
    match style {
        Style::Journal => writeln!(line, "<{}>{text}", priority(level)),
        Style::Terminal => {
            let (time, colour) = (line.timestamp_seconds(), line.default_level_style(level));
            writeln!(line, "{time} {colour}{level:<5}{colour:#} {text}")
        }
        Style::Plain => {
            let time = line.timestamp_seconds();
            writeln!(line, "{time} {level:<5} {text}")
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

/// `text` on one line, and harmless to a terminal: what came over the wire may be in it.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        let harmful = c.is_control() || matches!(c, '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}');
        if harmful {
            let _ = write!(line, "{}", c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_over_the_wire_cannot_forge_a_line_or_steer_a_terminal() {
        assert_eq!(one_line("a\nb\r\x1b[31mc\u{202E}d\u{9b}é"), "a\\nb\\r\\u{1b}[31mc\\u{202e}d\\u{9b}é");
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
