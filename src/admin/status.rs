//! How the daemon is: what `GET /status` answers, and what `shoutd status` reads.
//!
//! The names here are a promise to whoever reads the JSON: fields may be added, none goes. How it is
//! laid out for people is in `lines`.

use super::Reach;
use super::http::apart;
use super::peers::Peer;
use super::rates::Rates;
use crate::board::{Reload, Stage};
use crate::config::Source;
use crate::metrics::{BOUNDS, Times, Totals};
use crate::net::address::Local;
use crate::server::{Control, ListenerReport, Report};
use crate::session::EndReason;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// How many sources of connections are told, those with the most.
const SOURCES: usize = 20;
/// How long they are remembered.
const SOURCES_FOR: Duration = Duration::from_millis(900);

/// How the daemon is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    /// Its version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// What it does.
    pub state: Stage,
    /// When it was started, in UTC (RFC 3339).
    pub started: String,
    /// How long it has run.
    pub uptime_seconds: f64,
    /// How far a stop is that has begun.
    pub drain: Option<Drain>,
    /// Its configuration.
    pub config: Config,
    /// Its connections.
    pub connections: Connections,
    /// Bytes that came and went.
    pub bytes: Bytes,
    /// Messages that came; under `stream`, reads.
    pub messages: u64,
    /// Who was not served.
    pub refused: Refused,
    /// What happens in a second, over the last ten.
    pub rates: Rates,
    /// Its listeners.
    pub listeners: Vec<Listener>,
    /// Its workers.
    pub workers: Vec<Worker>,
    /// How long answers take.
    pub latency: Latency,
    /// Where most connections come from, the most first.
    pub sources: Vec<Origin>,
    /// Its log.
    pub log: Log,
    /// Its links to peers.
    pub peers: Vec<Peer>,
}

/// How far a stop is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Drain {
    /// How long until it gives up on those who are busy.
    pub seconds_left: f64,
}

/// Which configuration runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Config {
    /// Its file; none for the built-in defaults.
    pub file: Option<String>,
    /// 1 at the start, one more for each reload that was applied.
    pub generation: u64,
    /// Whether the last reload was refused, so that an older configuration runs on.
    pub stale: bool,
    /// Keys that a reload changed and that need a restart.
    pub restart_pending: Vec<String>,
    /// What the last reload came to.
    pub reload: Option<Reload>,
}

/// How many connections there were and are.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Connections {
    /// Taken over by workers since the start.
    pub accepted: u64,
    /// Open: `accepted = open + sum(closed)`.
    pub open: u64,
    /// How many may be open at once.
    pub max: usize,
    /// Ended, by reason.
    pub closed: BTreeMap<String, u64>,
}

/// Bytes that came and went.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Bytes {
    /// From clients.
    pub received: u64,
    /// To clients.
    pub sent: u64,
}

/// Who was not served.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Refused {
    /// Closed at once, as descriptors were out for long.
    pub shed: u64,
    /// Failures of accept(2) that were the client's or the network's.
    pub accept_errors: u64,
    /// Times that accepting paused because descriptors or memory ran out.
    pub accept_pauses: u64,
    /// Those from where nobody may come.
    pub denied: u64,
    /// Those whose source had as many connections as it may, or too many of late.
    pub limit_source: u64,
    /// Those of whom nothing was known when places became few.
    pub refused_early: u64,
}

/// A listener.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Listener {
    /// Its name.
    pub name: String,
    /// `listening`, or `removed` where its last connections are served to their end.
    pub state: String,
    /// Where it listens.
    pub addresses: Vec<String>,
    /// Its framing.
    pub framing: String,
    /// Its steps.
    pub transform: Vec<String>,
    /// Connections taken over.
    pub accepted: u64,
    /// Connections open.
    pub open: u64,
    /// Bytes from clients.
    pub bytes_received: u64,
    /// Bytes to clients.
    pub bytes_sent: u64,
    /// Messages; under `stream`, reads.
    pub messages: u64,
    /// Messages longer than is allowed.
    pub too_long: u64,
    /// Messages that said they were longer than what came of them.
    pub cut_short: u64,
    /// Texts that a step could not decode, and told so.
    pub bad_input: u64,
    /// Times that a connection had to wait for its rates.
    pub slowed: u64,
}

/// A worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Worker {
    /// Its thread.
    pub name: String,
    /// Connections it has.
    pub open: usize,
    /// Connections it has taken over.
    pub accepted: u64,
    /// How long it has owed a sign of life.
    pub silent_seconds: f64,
    /// How often it has panicked; each time its connections were lost.
    pub panics: u64,
    /// Whether it rests after a panic.
    pub resting: bool,
}

/// How long answers take.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Latency {
    /// The bounds of the buckets, in seconds.
    pub le: Vec<f64>,
    /// From the moment that something could be read until the socket took the answer.
    pub answer: Buckets,
    /// What the framing and the steps took of that.
    pub transform: Buckets,
}

/// How many took how long.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Buckets {
    /// How many took at most as long as the bound and longer than the one before; the last: longer
    /// than all bounds.
    pub counts: Vec<u64>,
    /// How long all took together.
    pub sum_seconds: f64,
}

/// Where connections come from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Origin {
    /// An address, or `unix`.
    pub source: String,
    /// How many are open.
    pub open: usize,
}

/// The log.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Log {
    /// The least important messages that are logged.
    pub level: String,
    /// Lines that were dropped, as nobody read them fast enough.
    pub dropped: u64,
}

impl Status {
    /// How the daemon is now, but for the sources: whoever asks for them waits for workers.
    #[must_use]
    pub fn of(reach: &Reach) -> Status {
        let Report { listeners, totals, workers, max_connections, drain_left, .. } = reach.control.report();
        reach.control.ask_threads();
        let (now, accept) = (reach.board.read(), reach.control.accept_counters());
        let worker = |worker: crate::server::WorkerReport| Worker {
            name: worker.name,
            open: worker.open,
            accepted: worker.accepted,
            silent_seconds: worker.silence.as_secs_f64(),
            panics: worker.panics,
            resting: worker.is_resting,
        };
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            state: now.stage,
            started: humantime::format_rfc3339_seconds(reach.board.started).to_string(),
            uptime_seconds: reach.board.uptime().as_secs_f64(),
            drain: drain_left.map(|left| Drain { seconds_left: left.as_secs_f64() }),
            config: Config {
                file: match now.source {
                    Source::BuiltIn => None,
                    Source::File(path) => Some(std::path::absolute(&path).unwrap_or(path).display().to_string()),
                },
                generation: now.generation,
                stale: now.stale,
                restart_pending: now.restart_pending,
                reload: now.reload,
            },
            connections: Connections {
                accepted: totals.accepted,
                open: totals.open(),
                max: max_connections,
                closed: closed(&totals).map(|(reason, count)| (reason.word().to_owned(), count)).collect(),
            },
            bytes: Bytes { received: totals.bytes_in, sent: totals.bytes_out },
            messages: totals.messages,
            refused: Refused {
                shed: accept.shed.get(),
                accept_errors: accept.client_errors.get(),
                accept_pauses: accept.pauses.get(),
                denied: ended(&totals, EndReason::Denied),
                limit_source: ended(&totals, EndReason::LimitSource),
                refused_early: ended(&totals, EndReason::RefusedEarly),
            },
            rates: reach.rates.now(&totals),
            listeners: listeners.iter().map(listener).collect(),
            workers: workers.into_iter().map(worker).collect(),
            latency: Latency {
                le: BOUNDS.iter().map(|nanos| seconds(*nanos)).collect(),
                answer: buckets(&totals.answer_times),
                transform: buckets(&totals.transform_times),
            },
            sources: Vec::new(),
            log: Log { level: reach.log.level().as_str().to_lowercase(), dropped: reach.log.dropped() },
            peers: reach.control.peers().into_iter().map(Peer::from).collect(),
        }
    }
}

/// Each end reason with how many connections ended for it.
pub(super) fn closed(totals: &Totals) -> impl Iterator<Item = (EndReason, u64)> {
    EndReason::ALL.into_iter().map(move |reason| (reason, ended(totals, reason)))
}

/// How many connections ended for this reason.
fn ended(totals: &Totals, reason: EndReason) -> u64 {
    totals.closed.get(reason as usize).copied().unwrap_or_default()
}

pub(super) fn seconds(nanos: u64) -> f64 {
    Duration::from_nanos(nanos).as_secs_f64()
}

fn buckets(times: &Times) -> Buckets {
    Buckets { counts: times.counts.to_vec(), sum_seconds: seconds(times.nanos) }
}

fn listener(report: &ListenerReport) -> Listener {
    let (service, totals) = (&report.service, &report.totals);
    Listener {
        name: service.name.clone(),
        state: if report.addresses.is_empty() { "removed" } else { "listening" }.to_owned(),
        addresses: report.addresses.iter().map(Local::to_string).collect(),
        framing: service.framing.to_string(),
        transform: service.pipeline.names().map(str::to_owned).collect(),
        accepted: totals.accepted,
        open: totals.open(),
        bytes_received: totals.bytes_in,
        bytes_sent: totals.bytes_out,
        messages: totals.messages,
        too_long: totals.too_long,
        cut_short: totals.cut_short,
        bad_input: totals.bad_input,
        slowed: totals.slowed,
    }
}

/// Where most connections come from, remembered for a while: to list all is work for those who serve
/// them, and is done no more often for a thousand who ask than for one.
#[derive(Default)]
pub(super) struct Sources(Mutex<Option<(Instant, Vec<Origin>)>>);

impl Sources {
    /// The sources of now, or of a moment ago; all who ask meanwhile wait for one list.
    pub(super) async fn read(&self, control: &Control) -> Vec<Origin> {
        let mut last = self.0.lock().await;
        if let Some((at, sources)) = &*last
            && at.elapsed() < SOURCES_FOR
        {
            return sources.clone();
        }
        let sources = apart(control, sources).await.unwrap_or_default();
        last.insert((Instant::now(), sources)).1.clone()
    }
}

/// Where most connections come from: addresses without their ports.
fn sources(control: &Control) -> Vec<Origin> {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for connection in control.connections() {
        *counts.entry(connection.peer.host()).or_default() += 1;
    }
    let mut all: Vec<_> = counts.into_iter().map(|(source, open)| Origin { source, open }).collect();
    all.sort_by(|a, b| (b.open, &a.source).cmp(&(a.open, &b.source)));
    all.truncate(SOURCES);
    all
}
