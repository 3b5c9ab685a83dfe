//! The status in lines for people: what `shoutd status` prints, and SIGUSR1 logs.
//!
//! Nothing in it commands a terminal, whatever a file or a listener is called.

use super::peers;
use super::status::{Buckets, Config, Listener, Status};
use crate::board::{Outcome, Stage};
use crate::config::plain;
use std::ops::RangeBounds;
use std::time::Duration;

impl Status {
    /// The status in lines for people.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut facts = Facts::default();
        facts.add("state", self.state_line());
        self.config.tell(&mut facts);
        let connections = &self.connections;
        facts.add(
            "connections",
            format!(
                "{} open of {}{}, {} accepted, {} a second",
                connections.open,
                connections.max,
                if connections.open >= connections.max as u64 { " (FULL: new clients wait)" } else { "" },
                connections.accepted,
                rate(self.rates.connections)
            ),
        );
        facts.add("messages", format!("{}, {} a second", self.messages, rate(self.rates.messages)));
        let (received, sent) = (bytes(self.bytes.received as f64), bytes(self.bytes.sent as f64));
        let (in_a_second, out_a_second) = (bytes(self.rates.bytes_received), bytes(self.rates.bytes_sent));
        facts.add("received", format!("{received}, {in_a_second} a second"));
        facts.add("sent", format!("{sent}, {out_a_second} a second"));
        let quantiles = |of: &Buckets| [0.5, 0.99].map(|part| quantile(&self.latency.le, of, part));
        if let [Some(half), Some(most)] = quantiles(&self.latency.answer) {
            facts.add("answers", format!("half in {half}, 99 of 100 in {most}, since the start"));
        }
        facts.add("workers", self.workers_line());
        if let Some(line) = peers::line(&self.peers) {
            facts.add("peers", line);
        }
        let ended = connections.closed.iter().filter(|(_, count)| **count > 0);
        let ended: Vec<String> = ended.map(|(reason, count)| format!("{count} {reason}")).collect();
        if !ended.is_empty() {
            facts.add("ended", ended.join(", "));
        }
        let sum = |count: fn(&Listener) -> u64| self.listeners.iter().map(count).sum::<u64>();
        let wrong = [
            (sum(|listener| listener.too_long), "too long"),
            (sum(|listener| listener.cut_short), "cut short"),
            (sum(|listener| listener.bad_input), "that a step could not decode"),
        ];
        facts.add_counts("wrong messages", &wrong);
        facts.add_counts("slowed", &[(sum(|listener| listener.slowed), "waits for a rate")]);
        let refused = &self.refused;
        let refused = [
            (refused.shed, "sent away"),
            (refused.accept_errors, "failed to be accepted"),
            (refused.accept_pauses, "pauses of accepting"),
            (refused.denied, "not allowed"),
            (refused.limit_source, "too many of their source"),
            (refused.refused_early, "strangers when places were few"),
        ];
        facts.add_counts("refused", &refused);
        let dropped =
            if self.log.dropped > 0 { format!(", {} lines dropped", self.log.dropped) } else { String::new() };
        facts.add("log", format!("{}{dropped}", self.log.level));

        let mut lines = facts.lines();
        lines.push(String::new());
        lines.extend(self.listeners_table());
        lines
    }

    fn state_line(&self) -> String {
        let state = match (self.state, &self.drain) {
            (Stage::Serving, _) => "serving".to_owned(),
            (Stage::Draining, Some(drain)) => format!("DRAINING, {:.0} s left", drain.seconds_left),
            (Stage::Draining, None) => "DRAINING".to_owned(),
            (Stage::Stopping, _) => "STOPPING".to_owned(),
        };
        let up = words(Duration::from_secs_f64(self.uptime_seconds.clamp(0.0, 1e12)));
        format!("{state}; shoutd {}, pid {}, up {up} since {}", plain(&self.version), self.pid, plain(&self.started))
    }

    fn workers_line(&self) -> String {
        let ill = self.workers.iter().filter_map(|worker| {
            let name = plain(&worker.name);
            match worker.silent_seconds {
                _ if worker.resting => Some(format!("{name} RESTS after a panic")),
                silent if silent >= 1.0 => Some(format!("{name} SILENT for {silent:.0} s")),
                _ => None,
            }
        });
        let ill: Vec<String> = ill.collect();
        let count = self.workers.len();
        let panics = match self.workers.iter().map(|worker| worker.panics).sum() {
            0 => String::new(),
            1 => "; 1 panic".to_owned(),
            panics => format!("; {panics} panics"),
        };
        if ill.is_empty() {
            format!("{count}, all alive{panics}")
        } else {
            format!("{count}, {}{panics}", ill.join(", "))
        }
    }

    fn listeners_table(&self) -> Vec<String> {
        let head =
            ["LISTENER", "ADDRESSES", "FRAMING", "TRANSFORM", "OPEN", "ACCEPTED", "MESSAGES", "RECEIVED", "SENT"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        for listener in &self.listeners {
            let removed = listener.addresses.is_empty();
            let steps = if listener.transform.is_empty() { "-".to_owned() } else { listener.transform.join(" > ") };
            rows.push(vec![
                plain(&listener.name),
                if removed { "removed".to_owned() } else { plain(&listener.addresses.join(" ")) },
                plain(&listener.framing),
                plain(&steps),
                listener.open.to_string(),
                listener.accepted.to_string(),
                listener.messages.to_string(),
                bytes(listener.bytes_received as f64),
                bytes(listener.bytes_sent as f64),
            ]);
        }
        columns(&rows, 4..)
    }
}

impl Config {
    fn tell(&self, facts: &mut Facts) {
        let file = self.file.as_deref().map_or_else(|| "the built-in defaults".to_owned(), plain);
        let stale = if self.stale { ", STALE: the last reload was refused" } else { "" };
        facts.add("configuration", format!("{file}, generation {}{stale}", self.generation));
        if !self.restart_pending.is_empty() {
            facts.add("", format!("NEEDS A RESTART for {}", plain(&self.restart_pending.join(", "))));
        }
        if let Some(reload) = &self.reload {
            let what = match (reload.outcome, reload.error.as_deref().and_then(|error| error.lines().next())) {
                (Outcome::Applied, _) => match reload.changes.len() {
                    1 => "applied, 1 key changed".to_owned(),
                    count => format!("applied, {count} keys changed"),
                },
                (Outcome::Refused, Some(error)) => format!("REFUSED: {}", plain(error)),
                (Outcome::Refused, None) => "REFUSED".to_owned(),
            };
            facts.add("last reload", format!("{what} ({}, by {})", plain(&reload.at), plain(&reload.by)));
        }
    }
}

/// Names with what is to be said of each.
#[derive(Default)]
struct Facts(Vec<(&'static str, String)>);

impl Facts {
    fn add(&mut self, name: &'static str, fact: String) {
        self.0.push((name, fact));
    }

    /// What there was any of, if there was.
    fn add_counts(&mut self, name: &'static str, counts: &[(u64, &str)]) {
        let counts: Vec<_> = counts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        if !counts.is_empty() {
            self.add(name, counts.join(", "));
        }
    }

    fn lines(&self) -> Vec<String> {
        let width = self.0.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        self.0.iter().map(|(name, fact)| format!("{name:>width$}  {fact}")).collect()
    }
}

/// Rows of cells under each other, those of the columns `numbers` to the right.
pub(crate) fn columns(rows: &[Vec<String>], numbers: impl RangeBounds<usize>) -> Vec<String> {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |nth: usize| rows.iter().filter_map(|row| row.get(nth)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..count).map(|nth| width(nth).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate();
        let cells: Vec<String> = cells
            .map(
                |(nth, (cell, &width))| {
                    if numbers.contains(&nth) { format!("{cell:>width$}") } else { format!("{cell:width$}") }
                },
            )
            .collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// A number of bytes in a unit that leaves at most four digits.
pub(crate) fn bytes(count: f64) -> String {
    let mut count = count;
    for unit in ["B", "KiB", "MiB", "GiB", "TiB"] {
        if count < 1024.0 {
            return if unit == "B" { format!("{count:.0} B") } else { format!("{count:.1} {unit}") };
        }
        count /= 1024.0;
    }
    format!("{count:.1} PiB")
}

/// A time in its two largest units.
pub(crate) fn words(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{} s", seconds),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

/// A time that is often far below a second, in a unit that leaves few digits.
pub(crate) fn brief(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1e3;
    match millis {
        ..0.095 => format!("{:.0} µs", millis * 1e3),
        ..9.95 => format!("{millis:.1} ms"),
        ..999.5 => format!("{millis:.0} ms"),
        ..9950.0 => format!("{:.1} s", millis / 1e3),
        _ => words(time),
    }
}

fn rate(rate: f64) -> String {
    if rate < 9.95 { format!("{rate:.1}") } else { format!("{rate:.0}") }
}

/// The bound of the bucket that holds this part of all, if there is anything in them.
fn quantile(bounds: &[f64], of: &Buckets, part: f64) -> Option<String> {
    let all: u64 = of.counts.iter().sum();
    if all == 0 {
        return None;
    }
    // a count beyond 2^53 is not to be feared
    let wanted = (all as f64 * part).ceil();
    let mut sum = 0;
    let bucket = of.counts.iter().position(|count| {
        sum += count;
        sum as f64 >= wanted
    });
    Some(match bucket.and_then(|nth| bounds.get(nth)) {
        Some(bound) if *bound < 0.000_999 => format!("{:.0} µs", bound * 1e6),
        Some(bound) if *bound < 0.999 => format!("{:.0} ms", bound * 1e3),
        Some(_) => "1 s".to_owned(),
        None => "more than 1 s".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_in_units_that_people_read() {
        assert_eq!([0.0, 1023.0, 1024.0, 1.5e6, 9e15].map(bytes), ["0 B", "1023 B", "1.0 KiB", "1.4 MiB", "8.0 PiB"]);
        let time = |seconds| words(Duration::from_secs(seconds));
        assert_eq!([7, 67, 3667, 90_061].map(time), ["7 s", "1 min 7 s", "1 h 1 min", "1 d 1 h"]);
        let time = |micros| brief(Duration::from_micros(micros));
        assert_eq!([0, 40, 400, 12_345].map(time), ["0 µs", "40 µs", "0.4 ms", "12 ms"]);
        assert_eq!([999_900, 2_345_678, 61_000_000].map(time), ["1.0 s", "2.3 s", "1 min 1 s"]);
        let buckets = Buckets { counts: vec![1, 98, 0, 1], sum_seconds: 0.0 };
        let at = |part| quantile(&[1e-6, 2e-5, 1.0], &buckets, part).unwrap();
        assert_eq!([0.01, 0.5, 0.99, 1.0].map(at), ["1 µs", "20 µs", "20 µs", "more than 1 s"]);
    }

    #[test]
    fn columns_stand_under_each_other() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let lines = columns(&[row(["A", "B", "C"]), row(["äöü", "", "10"]), row(["x", "yy", "7"])], 2..);
        assert_eq!(lines, ["A    B    C", "äöü      10", "x    yy   7"]);
    }
}
