//! So many log lines a second and no more, so that clients cannot fill the log.

use crate::deadlines::Moment;
use std::time::Duration;

/// How many lines a second may have, where nothing else says so.
const LINES: u32 = 10;
const SECOND: Duration = Duration::from_secs(1);

/// Lets the first lines of each second through, and counts the others.
#[derive(Debug)]
pub(crate) struct Throttle {
    most: u32,
    second: Moment,
    lines: u32,
    kept_back: u64,
}

impl Default for Throttle {
    fn default() -> Self {
        Throttle::new(LINES)
    }
}

impl Throttle {
    /// A throttle that lets so many lines a second through.
    pub(crate) fn new(most: u32) -> Throttle {
        Throttle { most, second: Moment::from_millis(0), lines: 0, kept_back: 0 }
    }

    /// How many lines were kept back and not told of.
    pub(crate) fn kept_back(&self) -> u64 {
        self.kept_back
    }

    /// Whether a line may pass at `now`, and how many were kept back before it.
    pub(crate) fn pass(&mut self, now: Moment) -> Option<u64> {
        if now.since(self.second) >= SECOND {
            (self.second, self.lines) = (now, 0);
        }
        if self.lines == self.most {
            self.kept_back += 1;
            return None;
        }
        self.lines += 1;
        Some(std::mem::take(&mut self.kept_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_ten_lines_and_the_next_one_tells_of_the_others() {
        let mut throttle = Throttle::default();
        let at = Moment::from_millis;
        let passed = (0..100).filter(|n| throttle.pass(at(n * 10)) == Some(0)).count();
        assert_eq!(passed, 10);
        assert_eq!(throttle.pass(at(1000)), Some(90));
        assert_eq!(throttle.pass(at(1001)), Some(0));
    }
}
