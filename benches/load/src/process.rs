//! What the system says of the server, of this program and of the machine: CPU and memory.
//!
//! CPU is read from the clocks of processes, to the nanosecond and with the threads that have ended. Of descendants
//! that have ended, there is only what their parents were told, in ticks of 10 ms.

use nix::time::{ClockId, clock_getcpuclockid};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::fs;

/// Of the times in /proc, whatever the kernel's own tick is.
const TICKS_PER_SECOND: f64 = 100.0;

/// A process and every descendant of it that lives.
fn family(pid: i32) -> Vec<i32> {
    let mut all = vec![pid];
    let mut next = 0;
    while let Some(pid) = all.get(next) {
        for thread in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
            let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            all.extend(children.split_whitespace().filter_map(|child| child.parse::<i32>().ok()));
        }
        next += 1;
    }
    all
}

fn clock(id: ClockId) -> Option<f64> {
    #[allow(clippy::cast_precision_loss, reason = "of the seconds of a run nothing is lost")]
    id.now().ok().map(|time| time.tv_sec() as f64 + time.tv_nsec() as f64 / 1e9)
}

/// Seconds that the children of a process used, of those it has waited for, from its /proc/PID/stat.
fn of_waited_for(stat: &str) -> f64 {
    // its second field is a name, which may have anything in it, and is in parentheses
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace();
    fields.skip(13).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS_PER_SECOND
}

/// Seconds of CPU that these processes have used, and the children they have waited for.
fn used(processes: &[i32]) -> f64 {
    let of = |pid: &i32| {
        let own = clock_getcpuclockid(Pid::from_raw(*pid)).ok().and_then(clock).unwrap_or(0.0);
        own + fs::read_to_string(format!("/proc/{pid}/stat")).map_or(0.0, |stat| of_waited_for(&stat))
    };
    processes.iter().map(of).sum()
}

/// Seconds since the start of the machine that its cores were busy, and that they were kept from it by its host.
fn busy_and_stolen(stat: &str) -> (f64, f64) {
    let first = stat.lines().next().unwrap_or_default().split_whitespace().skip(1);
    let seconds: Vec<f64> = first.filter_map(|ticks| ticks.parse::<f64>().ok()).map(|n| n / TICKS_PER_SECOND).collect();
    let [user, nice, system, _idle, _waiting, interrupts, soft_interrupts, stolen, ..] = seconds[..] else {
        return (0.0, 0.0);
    };
    (user + nice + system + interrupts + soft_interrupts, stolen)
}

struct Reading {
    server: f64,
    own: f64,
    busy: f64,
    stolen: f64,
}

impl Reading {
    fn take(server: &[i32]) -> Reading {
        let (busy, stolen) = busy_and_stolen(&fs::read_to_string("/proc/stat").unwrap_or_default());
        Reading { server: used(server), own: clock(ClockId::CLOCK_PROCESS_CPUTIME_ID).unwrap_or(0.0), busy, stolen }
    }
}

/// CPU that is used from here on.
pub struct Cpu {
    pid: Option<i32>,
    server: Vec<i32>,
    before: Reading,
}

impl Cpu {
    pub fn start(pid: Option<i32>) -> Cpu {
        let server = pid.map(family).unwrap_or_default();
        let before = Reading::take(&server);
        Cpu { pid, server, before }
    }

    /// By the server, by this program, by all else, and stolen. Descendants that are new are looked for after the
    /// others were read: it takes long for a server of many threads, and it works on meanwhile.
    pub fn stop(&self) -> Value {
        let (now, before) = (Reading::take(&self.server), &self.before);
        let mut new = self.pid.map(family).unwrap_or_default();
        new.retain(|pid| !self.server.contains(pid));
        let server = (now.server + used(&new) - before.server).max(0.0);
        let own = now.own - before.own;
        json!({
            "server_s": self.pid.map(|_| server),
            "load_s": own,
            "other_s": (now.busy - before.busy - own - server).max(0.0),
            "stolen_s": now.stolen - before.stolen,
        })
    }
}

/// Bytes of memory: of a process and its descendants, and what the machine has left.
#[derive(Clone, Copy, Default)]
pub struct Memory {
    pub rss: i64,
    pub pss: i64,
    pub private: i64,
    pub available: i64,
}

/// The sum of the lines of these names in a file of /proc that counts in KiB.
fn sum(text: &str, names: &[&str]) -> i64 {
    let lines = text.lines().filter_map(|line| line.split_once(':')).filter(|(name, _)| names.contains(name));
    lines.filter_map(|(_, rest)| rest.split_whitespace().next()?.parse::<i64>().ok()).sum::<i64>() * 1024
}

impl Memory {
    pub fn now(pid: Option<i32>) -> Memory {
        let machine = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let mut memory = Memory { available: sum(&machine, &["MemAvailable"]), ..Memory::default() };
        for pid in pid.map(family).unwrap_or_default() {
            let maps = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
            memory.rss += sum(&maps, &["Rss"]);
            memory.pss += sum(&maps, &["Pss"]);
            memory.private += sum(&maps, &["Private_Clean", "Private_Dirty"]);
        }
        memory
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 2 3 4 11 12 250 150 20 0 1 0";
        assert!((of_waited_for(stat) - 4.0).abs() < 1e-9);
        assert!(of_waited_for("") < 1e-9);
    }

    #[test]
    fn the_machine_is_busy_with_all_but_waiting() {
        let (busy, stolen) = busy_and_stolen("cpu  100 200 300 9999 9999 400 500 600 0 0\ncpu0 1 2 3");
        assert!((busy - 15.0).abs() < 1e-9 && (stolen - 6.0).abs() < 1e-9);
    }

    #[test]
    fn lines_are_summed_by_their_whole_names() {
        let maps = "Rss:  100 kB\nPss:   40 kB\nPss_Dirty:  9 kB\nPrivate_Clean:  1 kB\nPrivate_Dirty:  2 kB\n";
        assert_eq!(sum(maps, &["Pss"]), 40 * 1024);
        assert_eq!(sum(maps, &["Private_Clean", "Private_Dirty"]), 3 * 1024);
    }

    #[test]
    fn this_process_has_used_time_and_memory() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(used(&family(own)) > 0.0);
        assert!(Memory::now(Some(own)).private > 0);
    }
}
