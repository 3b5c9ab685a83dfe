//! Which answers are timed: each of a quiet turn, and some of a busy one, which stand for all of it, so
//! that reading the clock costs busy workers nothing.
//!
//! What is done with a time is the business of the worker.

use std::time::Instant;

/// In a turn of up to so many events each answer is timed; in a longer one, one of so many.
const FEW: usize = 4;
const TIMED: u32 = 16;

/// Chooses the answers that are timed.
#[derive(Debug, Default)]
pub(super) struct Stopwatch {
    skipped: u32,
}

/// An answer that is timed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timed {
    /// When it was read.
    pub(super) read: Instant,
    /// For how many answers it stands.
    pub(super) stands_for: u64,
}

impl Stopwatch {
    /// Times an answer in a turn of so many events, or not.
    pub(super) fn start(&mut self, events: usize) -> Option<Timed> {
        let mut stands_for = 1;
        if events > FEW {
            self.skipped += 1;
            if self.skipped < TIMED {
                return None;
            }
            (self.skipped, stands_for) = (0, TIMED.into());
        }
        Some(Timed { read: Instant::now(), stands_for })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_timed_stands_for_all() {
        for events in [1, FEW, FEW + 1, 1000] {
            let mut stopwatch = Stopwatch::default();
            let timed: Vec<u64> =
                (0..1600).filter_map(|_| stopwatch.start(events)).map(|timed| timed.stands_for).collect();
            assert_eq!(timed.iter().sum::<u64>(), 1600);
            assert_eq!(timed.len(), if events > FEW { 100 } else { 1600 });
        }
    }
}
