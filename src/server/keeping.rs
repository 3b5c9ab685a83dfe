//! Keeping workers at work: one that panics rests for a while, and goes on without the connections that it had.
//!
//! When panics are too many for that to be of use is for whoever started the server to say.

use super::Event;
use crate::deadlines::Moment;
use crate::net::worker::Worker;
use crossbeam_channel::Sender;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// How long a worker rests after its first panic, and at most.
const REST: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(64));
/// After how long without a panic the next one is a first one again.
const QUIET: Duration = Duration::from_secs(60);

/// Lets the worker of this name serve until it has come to its end, also where it panics before.
pub(super) fn keep(mut worker: Worker, name: &str, events: &Sender<Event>) -> io::Result<()> {
    let mut rests = Rests::default();
    loop {
        if let Ok(ended) = catch_unwind(AssertUnwindSafe(|| worker.run())) {
            return ended;
        }
        let lost = worker.recover();
        let rest = rests.next(worker.now());
        log::error!(
            "{name} panicked; connections lost with it: {lost}; it rests for {} s, and then goes on",
            rest.as_secs()
        );
        // nobody listens once the server was dropped
        let _ = events.send(Event::WorkerPanicked { name: name.to_owned() });
        worker.rest(rest)?;
    }
}

/// How long one worker rests, each time.
#[derive(Debug, Default)]
struct Rests {
    /// The last one, and until when it lasted.
    last: Option<(Duration, Moment)>,
}

impl Rests {
    /// How long it rests after a panic at `now`.
    fn next(&mut self, now: Moment) -> Duration {
        let rest = match self.last {
            Some((rest, until)) if now.since(until) < QUIET => (rest * 2).min(REST.1),
            _ => REST.0,
        };
        self.last = Some((rest, now.after(rest)));
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rest_is_twice_as_long_until_a_minute_has_passed_without_a_panic() {
        let (mut rests, mut now) = (Rests::default(), Moment::from_millis(0));
        let mut seconds = |quiet: u64, rests: &mut Rests| {
            now = now.after(Duration::from_secs(quiet));
            let rest = rests.next(now);
            now = now.after(rest);
            rest.as_secs()
        };
        for expected in [1, 2, 4, 8, 16, 32, 64, 64] {
            assert_eq!(seconds(59, &mut rests), expected);
        }
        assert_eq!(seconds(60, &mut rests), 1);
    }
}
