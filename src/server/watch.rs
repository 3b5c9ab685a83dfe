//! Watching the threads: each is asked for signs of life, again and again, and one that owes them is stalled.
//!
//! How often, and what is made of it, is for whoever started the server to say.

use super::Control;
use std::time::Duration;

/// What watching has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sign {
    /// A thread gives no sign of life; if it is a worker, new connections go to others.
    Stalled {
        /// Its name.
        name: String,
        /// For how long.
        silence: Duration,
        /// The number of the connection that it is at, if it is at one.
        connection: Option<u64>,
    },
    /// It does again.
    Back {
        /// Its name.
        name: String,
        /// After how long.
        silence: Duration,
    },
}

impl Control {
    /// Looks which threads have owed a sign of life for `patience` since they were asked here, and asks
    /// anew. Tells of each once when it is stalled, and once when it is back.
    #[must_use]
    pub fn watch(&self, patience: Duration) -> Vec<Sign> {
        let now = self.now();
        let mut signs = Vec::new();
        for beat in &self.0.beats {
            let (name, pulse) = (beat.name.clone(), &beat.pulse);
            let silence = pulse.silence(now);
            match pulse.stalled() {
                None if silence >= patience => {
                    pulse.set_stalled(Some(now));
                    signs.push(Sign::Stalled { name, silence, connection: pulse.attended() });
                }
                Some(since) if silence.is_zero() => {
                    pulse.set_stalled(None);
                    signs.push(Sign::Back { name, silence: now.since(since) + patience });
                }
                _ => {}
            }
        }
        self.ask_threads();
        signs
    }

    /// Takes that nobody could give a sign of life until now, as the whole process stood still.
    pub fn excuse_threads(&self) {
        let now = self.now();
        for beat in &self.0.beats {
            beat.pulse.excuse(now);
        }
    }

    /// The workers that rest after a panic.
    #[must_use]
    pub fn resting_workers(&self) -> Vec<&str> {
        self.0.beats.iter().filter(|beat| beat.pulse.is_resting()).map(|beat| beat.name.as_str()).collect()
    }
}
