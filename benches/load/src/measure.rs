//! What the modes share: the threads, the time that is measured, and what was done in it.

use crate::{Target, process};
use clap::Args;
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use std::io;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// Faults after which a thread gives up.
const PATIENCE: u64 = 100;
/// The latencies that are reported: their names and quantiles.
const LATENCIES: [(&str, f64); 5] =
    [("p50_us", 0.5), ("p90_us", 0.9), ("p99_us", 0.99), ("p999_us", 0.999), ("max_us", 1.0)];

/// How long to measure.
#[derive(Args, Clone)]
pub struct Window {
    /// Seconds measured
    #[arg(short = 't', long, default_value = "3", value_parser = seconds)]
    duration: Duration,
    /// Seconds run first and not counted
    #[arg(long, default_value = "0.3", value_parser = seconds)]
    warmup: Duration,
}

/// Seconds from the command line.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

/// A number of threads from the command line.
pub fn threads(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|threads| (1..=64).contains(threads)).ok_or("not in 1 to 64".to_owned())
}

/// Where a run stands, for its threads.
#[derive(Default)]
pub struct Phase {
    counting: AtomicBool,
    over: AtomicBool,
}

impl Phase {
    pub fn counting(&self) -> bool {
        self.counting.load(Relaxed)
    }

    pub fn over(&self) -> bool {
        self.over.load(Relaxed)
    }
}

/// What a thread has done, and in the end the run.
pub struct Tally {
    latencies: Histogram<u64>,
    /// Replies, connections or bytes, as the mode counts them.
    pub count: u64,
    pub errors: u64,
    last_error: Option<String>,
    /// Streams that came back whole, and that did not.
    pub complete: u64,
    pub cut_short: u64,
    seconds: f64,
    cpu: Value,
}

impl Tally {
    pub fn new() -> Tally {
        let latencies = Histogram::new_with_bounds(1, 120_000_000_000, 3).expect("bounds in their order");
        let (count, errors, complete, cut_short) = (0, 0, 0, 0);
        Tally { latencies, count, errors, last_error: None, complete, cut_short, seconds: 0.0, cpu: Value::Null }
    }

    /// Counts a reply that took so long.
    pub fn record(&mut self, took: Duration) {
        self.count += 1;
        self.latencies.saturating_record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    pub fn fail(&mut self, error: &io::Error) {
        self.errors += 1;
        self.last_error = Some(error.to_string());
    }

    /// Whether so much is wrong that there is nothing to measure.
    pub fn hopeless(&self) -> bool {
        self.errors >= PATIENCE
    }

    fn add(&mut self, other: Tally) {
        self.latencies.add(&other.latencies).expect("the same bounds");
        self.count += other.count;
        self.errors += other.errors;
        self.complete += other.complete;
        self.cut_short += other.cut_short;
        self.last_error = self.last_error.take().or(other.last_error);
    }

    #[allow(clippy::cast_precision_loss, reason = "of what is counted in a run nothing is lost")]
    pub fn rate(&self) -> f64 {
        self.count as f64 / self.seconds
    }

    /// The server's seconds of CPU for each thing counted, if its process is known.
    #[allow(clippy::cast_precision_loss, reason = "of what is counted in a run nothing is lost")]
    pub fn server_each(&self) -> Option<f64> {
        self.cpu["server_s"].as_f64().filter(|_| self.count > 0).map(|seconds| seconds / self.count as f64)
    }

    /// What every mode reports.
    pub fn json(&self, mode: &str) -> Value {
        json!({
            "mode": mode,
            "seconds": self.seconds,
            "errors": self.errors,
            "error": self.last_error,
            "cpu": self.cpu,
        })
    }

    /// Adds the latencies to a report, and tells them in words.
    #[allow(clippy::cast_precision_loss, reason = "of the nanoseconds of a run nothing is lost")]
    pub fn latencies(&self, report: &mut Value) -> String {
        let [a, b, c, d, most] = LATENCIES.map(|(name, quantile)| {
            let microseconds = self.latencies.value_at_quantile(quantile) as f64 / 1e3;
            report[name] = microseconds.into();
            microseconds
        });
        format!("p50 {a:.1} p90 {b:.1} p99 {c:.1} p99.9 {d:.1} max {most:.1} us")
    }
}

/// Prepares and then does `work` on each thread, which counts while it is counted and ends when it is over; adds up
/// what they did. Time begins when all are prepared.
pub fn measure<P>(
    target: &Target,
    window: &Window,
    prepare: impl Fn(usize) -> io::Result<P> + Sync,
    work: impl Fn(P, &Phase) -> io::Result<Tally> + Sync,
) -> io::Result<Tally> {
    let (ready, phase) = (Barrier::new(target.threads + 1), Phase::default());
    let mut total = Tally::new();
    thread::scope(|scope| {
        let (ready, phase, prepare, work) = (&ready, &phase, &prepare, &work);
        let one = |nth| {
            move || {
                let prepared = prepare(nth);
                ready.wait();
                work(prepared?, phase)
            }
        };
        let threads: Vec<_> = (0..target.threads).map(|nth| scope.spawn(one(nth))).collect();
        ready.wait();
        thread::sleep(window.warmup);
        let cpu = process::Cpu::start(target.pid);
        let begun = Instant::now();
        phase.counting.store(true, Relaxed);
        thread::sleep(window.duration);
        phase.counting.store(false, Relaxed);
        total.seconds = begun.elapsed().as_secs_f64();
        total.cpu = cpu.stop();
        phase.over.store(true, Relaxed);
        for thread in threads {
            total.add(thread.join().expect("no thread panics")?);
        }
        Ok(total)
    })
}

/// What is said of a reply that is not what it must be.
pub fn wrong_reply() -> io::Error {
    io::Error::other("the reply is not the request in upper case")
}
