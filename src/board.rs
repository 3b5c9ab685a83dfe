//! What the main thread writes up for whoever looks: what the daemon does, which configuration it
//! runs, and what the last reload came to.
//!
//! Who looks, and in which form it is shown, is not known here.

use crate::config::{Change, Source};
use serde::{Deserialize, Serialize};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// The board; one writes, many read.
#[derive(Debug)]
pub struct Board {
    /// When the daemon was started, by the clock on the wall.
    pub started: SystemTime,
    since: Instant,
    now: Mutex<Now>,
}

/// What is written on it.
#[derive(Debug, Clone)]
pub struct Now {
    /// What the daemon does.
    pub stage: Stage,
    /// Where its configuration comes from.
    pub source: Source,
    /// 1 at the start, and one more for each reload that was applied.
    pub generation: u64,
    /// When that was.
    pub since: SystemTime,
    /// Whether the last reload was refused, so that an older configuration runs on.
    pub stale: bool,
    /// The keys that have another value in the configuration than in the running process, until that
    /// is restarted.
    pub restart_pending: Vec<String>,
    /// What the last reload came to.
    pub reload: Option<Reload>,
    /// How many reloads were applied, and how many refused.
    pub reloads: (u64, u64),
}

/// What the daemon does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// It serves.
    Serving,
    /// It serves those who are connected to their end.
    Draining,
    /// It ends at once.
    Stopping,
}

/// What a reload came to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Reload {
    /// When it was asked for, in UTC (RFC 3339).
    pub at: String,
    /// By what it was asked for: a signal, or the control socket.
    pub by: String,
    /// The generation that runs now.
    pub generation: u64,
    /// Whether it was applied.
    pub outcome: Outcome,
    /// How long it took, in seconds.
    pub took_seconds: f64,
    /// What it changed.
    pub changes: Vec<Change>,
    /// What is allowed and hardly meant, each with its place.
    pub warnings: Vec<String>,
    /// Why it was refused, in lines.
    pub error: Option<String>,
}

/// Whether a reload was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// All of it is in effect, but for what needs a restart.
    Applied,
    /// Nothing of it is; the configuration of before runs on.
    Refused,
}

impl Board {
    /// The board of a daemon that has just started with a configuration from `source`.
    #[must_use]
    pub fn new(source: Source) -> Board {
        let started = SystemTime::now();
        let now = Now {
            stage: Stage::Serving,
            source,
            generation: 1,
            since: started,
            stale: false,
            restart_pending: Vec::new(),
            reload: None,
            reloads: (0, 0),
        };
        Board { started, since: Instant::now(), now: Mutex::new(now) }
    }

    /// How long the daemon has run.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.since.elapsed()
    }

    /// What is written on it.
    #[must_use]
    pub fn read(&self) -> Now {
        self.now().clone()
    }

    /// Writes what the daemon does.
    pub fn set_stage(&self, stage: Stage) {
        self.now().stage = stage;
    }

    /// Writes what a reload came to; where it was applied, from which source, and which keys still
    /// wait for a restart.
    pub fn set_reload(&self, reload: Reload, applied: Option<(Source, Vec<String>)>) {
        let mut now = self.now();
        now.stale = applied.is_none();
        match applied {
            Some((source, restart_pending)) => {
                (now.source, now.restart_pending) = (source, restart_pending);
                (now.generation, now.since) = (reload.generation, SystemTime::now());
                now.reloads.0 += 1;
            }
            None => now.reloads.1 += 1,
        }
        now.reload = Some(reload);
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
