//! The thread that reloads: reads and checks the whole configuration, and goes over to it or leaves
//! everything as it is.
//!
//! It may take as long as resolving a name does, and nobody waits for it but who asked. What was
//! asked for while it was at work is done by the next run, which reads the file after all of it.

use crate::board::{Board, Outcome, Reload, Stage};
use crate::config::{self, Entry, Source};
use crate::daemon::listening_on;
use crate::failure::{Exit, Failure};
use crate::logging;
use crate::server::{Applied, Control};
use crate::systemd::{self, Store};
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Instant, SystemTime};
use std::{fs, io, thread};

/// What follows where a reload is refused.
const UNTOUCHED: &str = "the configuration of before runs on";
/// How many changed keys the log names.
const LOGGED: usize = 20;

/// Somebody asks for a reload.
pub struct Ask {
    /// By what: a signal, or the control socket.
    pub by: &'static str,
    /// Who is told what it came to.
    pub answer: Box<dyn FnOnce(Reload) + Send>,
}

/// What the thread has to do with.
pub struct Reloader {
    /// The file that was named on the command line.
    path: Option<PathBuf>,
    control: Control,
    log: logging::Handle,
    board: Arc<Board>,
    store: Store,
    /// The values in effect, and those of the start.
    current: Vec<Entry>,
    started: Vec<Entry>,
}

impl Reloader {
    /// A reloader of the file at `path`, which made the values `started`.
    #[must_use]
    pub fn new(
        path: Option<PathBuf>,
        started: Vec<Entry>,
        control: Control,
        log: logging::Handle,
        board: Arc<Board>,
        store: Store,
    ) -> Reloader {
        Reloader { path, control, log, board, store, current: started.clone(), started }
    }

    /// Starts the thread, and gives where to ask it.
    ///
    /// # Errors
    ///
    /// When the system refuses a thread.
    pub fn start(mut self) -> io::Result<Sender<Ask>> {
        let (asks_in, asks): (_, Receiver<Ask>) = unbounded();
        thread::Builder::new().name("reload".to_owned()).spawn(move || {
            while let Ok(first) = asks.recv() {
                let all: Vec<Ask> = std::iter::once(first).chain(asks.try_iter()).collect();
                let by = all.first().map_or("", |ask| ask.by);
                let reload = self.reload(by);
                for ask in all {
                    (ask.answer)(reload.clone());
                }
            }
        })?;
        Ok(asks_in)
    }

    fn reload(&mut self, by: &'static str) -> Reload {
        let (at, begun) = (SystemTime::now(), Instant::now());
        systemd::reloading();
        let mut reload = Reload {
            at: humantime::format_rfc3339_seconds(at).to_string(),
            by: by.to_owned(),
            generation: self.board.read().generation,
            outcome: Outcome::Refused,
            took_seconds: 0.0,
            changes: Vec::new(),
            warnings: Vec::new(),
            error: None,
        };
        let gone_over = catch_unwind(AssertUnwindSafe(|| self.go_over(&mut reload)));
        let fault = |_| Err(Failure::new(Exit::OwnFault, "a fault of shoutd's own; please report it"));
        let applied = match gone_over.unwrap_or_else(fault) {
            Ok(source) => Some((source, config::restart_pending(&self.started, &self.current))),
            Err(mut failure) => {
                if !failure.text.ends_with(UNTOUCHED) {
                    failure.text += &format!("; {UNTOUCHED}");
                }
                log::error!("{by}: reload refused; {UNTOUCHED}");
                for line in failure.text.lines().filter(|line| !line.is_empty()) {
                    log::error!("{line}");
                }
                reload.error = Some(failure.text);
                None
            }
        };
        reload.took_seconds = begun.elapsed().as_secs_f64();
        self.board.set_reload(reload.clone(), applied);
        // a stop that was begun meanwhile is what systemd is to hear of
        if self.board.read().stage == Stage::Serving {
            systemd::ready(&listening_on(&self.control));
        }
        reload
    }

    /// Goes over to what the file says now, and fills in what `reload` tells of it.
    fn go_over(&mut self, reload: &mut Reload) -> Result<Source, Failure> {
        failpoint!("reload", |_| Err(Failure::new(Exit::System, "a fault that was ordered")));
        // a pipe, as a shell makes it, was read at the start, and would be waited for now
        if let Some(path) = &self.path
            && fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir())
        {
            let text = format!("{} is no regular file; start the daemon anew, or name a file", path.display());
            return Err(Failure::new(Exit::Config, text));
        }
        let config = config::load(self.path.as_deref(), UNTOUCHED)?;
        if config.is_empty() && !config::is_empty(&self.current) {
            let text = format!("{}: there is nothing in it, as while it is written; {UNTOUCHED}", config.source);
            return Err(Failure::new(Exit::Config, text));
        }
        let applied = self.control.apply(config.settings)?;
        self.store.keep(&applied.sockets);
        self.log.configure(&config.log);
        reload.generation += 1;
        reload.outcome = Outcome::Applied;
        reload.changes = config::changes(&self.current, &config.effective);
        reload.warnings = config.warnings;
        if self.log.is_overruled() && reload.changes.iter().any(|change| change.key == "log.level") {
            reload.warnings.push(format!("`log.level` has no effect while {} says another", logging::VARIABLE));
        }
        self.current = config.effective;
        tell_applied(reload, &config.source, &applied);
        if let Source::File(found) = &config.source {
            // once there is a file, its absence is a mistake
            self.path.get_or_insert_with(|| found.clone());
        }
        Ok(config.source)
    }
}

fn tell_applied(reload: &Reload, source: &Source, applied: &Applied) {
    for warning in &reload.warnings {
        log::warn!("{warning}");
    }
    let count = reload.changes.len();
    let keys = if count == 1 { "1 key" } else { &format!("{count} keys") };
    log::info!("{}: reloaded {source}: {keys} changed, generation {}", reload.by, reload.generation);
    for change in reload.changes.iter().take(LOGGED) {
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
        log::info!("{}: {} becomes {} ({})", change.key, shown(&change.old), shown(&change.new), change.effect);
    }
    if count > LOGGED {
        log::info!("and {} more", count - LOGGED);
    }
    for local in &applied.opened {
        log::info!("listening on {local}");
    }
    for local in &applied.closed {
        log::info!("not listening on {local} any more");
    }
}
