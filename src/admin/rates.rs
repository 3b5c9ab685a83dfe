//! What happens in a second: the differences between totals of now and of some seconds ago.

use crate::metrics::Totals;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How far back rates look.
const SPAN: Duration = Duration::from_secs(10);

/// What happens in a second.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Rates {
    /// Connections taken over.
    pub connections: f64,
    /// Messages; under `stream`, reads.
    pub messages: f64,
    /// Bytes from clients.
    pub bytes_received: f64,
    /// Bytes to clients.
    pub bytes_sent: f64,
}

/// Totals of the last seconds.
#[derive(Debug)]
pub struct Sampler {
    samples: Mutex<VecDeque<(Instant, Totals)>>,
}

impl Default for Sampler {
    /// Begins when nothing has happened yet.
    fn default() -> Sampler {
        Sampler { samples: Mutex::new(VecDeque::from([(Instant::now(), Totals::default())])) }
    }
}

impl Sampler {
    /// Remembers the totals of now, and forgets those that rates do not look back to.
    pub fn sample(&self, totals: Totals) {
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        samples.push_back((now, totals));
        // one that is older than the span is what the oldest difference begins with
        while samples.get(1).is_some_and(|(at, _)| now.duration_since(*at) >= SPAN) {
            samples.pop_front();
        }
    }

    /// The rates up to now, when these are the totals.
    #[must_use]
    pub fn now(&self, totals: &Totals) -> Rates {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((since, before)) = samples.front() else { return Rates::default() };
        let seconds = since.elapsed().as_secs_f64().max(0.001);
        // a count beyond 2^53 in ten seconds is not to be feared
        let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / seconds;
        Rates {
            connections: rate(totals.accepted, before.accepted),
            messages: rate(totals.messages, before.messages),
            bytes_received: rate(totals.bytes_in, before.bytes_in),
            bytes_sent: rate(totals.bytes_out, before.bytes_out),
        }
    }
}
