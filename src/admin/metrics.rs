//! What `GET /metrics` answers: everything that is counted, for Prometheus and its like.
//!
//! All values of a scrape are of one moment, so that `accepted = open + sum(closed)` holds for each
//! listener. Label values come from fixed sets and from the configuration alone: no client can add a
//! series.

use super::peers::dials;
use super::process::Process;
use super::status::{closed, seconds};
use super::{Reach, Requests};
use crate::board::{Now, Stage};
use crate::metrics::{BOUNDS, Times, Totals};
use crate::net::links::sheet::{LinkState, PeerReport};
use crate::server::Report;
use crate::session::EndReason;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};
use std::fmt;
use std::time::SystemTime;

/// The listener's name under which those are counted of which nothing is left; no listener can have it.
const REMOVED: &str = "(removed)";

/// The metrics of now, as a text.
///
/// # Errors
///
/// None, as a `String` takes all that is written to it.
pub(super) fn encode(reach: &Reach, requests: &Requests, openmetrics: bool) -> Result<String, fmt::Error> {
    let scrape = Scrape {
        report: reach.control.report(),
        peers: reach.control.peers(),
        now: reach.board.read(),
        started: reach.board.started,
        accept: {
            let accept = reach.control.accept_counters();
            [accept.client_errors.get(), accept.pauses.get(), accept.shed.get(), accept.waiting.get()]
        },
        dropped: reach.log.dropped(),
        requests: requests.read(),
    };
    // whoever does not answer this shows at the next scrape
    reach.control.ask_threads();
    let mut registry = Registry::default();
    registry.register_collector(Box::new(scrape));
    let mut text = String::new();
    if openmetrics {
        prometheus_client::encoding::text::encode(&mut text, &registry)?;
    } else {
        prometheus_client::encoding::prometheus_text::encode(&mut text, &registry)?;
    }
    Ok(text)
}

/// All values of one moment.
#[derive(Debug)]
struct Scrape {
    report: Report,
    peers: Vec<PeerReport>,
    now: Now,
    started: SystemTime,
    /// Failed accepts, pauses, clients sent away, and those who wait.
    accept: [u64; 4],
    /// Lines of the log.
    dropped: u64,
    /// Requests by status code.
    requests: Vec<(u16, u64)>,
}

type Labels = Vec<(&'static str, String)>;

impl Scrape {
    /// Each listener with what was counted for it; all that are gone are one.
    fn listeners(&self) -> Vec<(String, Totals)> {
        let mut all: Vec<_> = self.report.listeners.iter().map(|one| (one.service.name.clone(), one.totals)).collect();
        if self.report.past.accepted > 0 {
            all.push((REMOVED.to_owned(), self.report.past));
        }
        all
    }
}

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut to = Families(encoder);
        let listeners = self.listeners();
        let by_listener = |value: fn(&Totals) -> u64| {
            listeners.iter().map(move |(name, totals)| (vec![("listener", name.clone())], value(totals)))
        };
        to.counters("shoutd_connections_accepted", "Connections taken over", None, by_listener(|all| all.accepted))?;
        to.gauges("shoutd_connections_open", "Connections that are open", None, by_listener(Totals::open))?;
        let ends = listeners.iter().flat_map(|(name, totals)| {
            closed(totals)
                .map(|(reason, count)| (vec![("listener", name.clone()), ("reason", reason.word().to_owned())], count))
        });
        to.counters("shoutd_connections_closed", "Connections that ended, by their end reason", None, ends)?;
        let most = [(Labels::new(), self.report.max_connections as u64)];
        to.gauges("shoutd_connections_max", "Connections that may be open at once", None, most)?;
        let bytes = Some(&Unit::Bytes);
        to.counters("shoutd_received", "Bytes that came from clients", bytes, by_listener(|all| all.bytes_in))?;
        to.counters("shoutd_sent", "Bytes that went to clients", bytes, by_listener(|all| all.bytes_out))?;
        to.counters("shoutd_messages", "Messages; under stream, reads", None, by_listener(|all| all.messages))?;
        to.counters("shoutd_messages_too_long", "Messages over max_message", None, by_listener(|all| all.too_long))?;
        let help = "Messages that said they were longer than what came of them";
        to.counters("shoutd_messages_cut_short", help, None, by_listener(|all| all.cut_short))?;
        let help = "Texts that a step could not decode, and told so";
        to.counters("shoutd_messages_bad_input", help, None, by_listener(|all| all.bad_input))?;
        let help = "Times that a connection had to wait for its rates";
        to.counters("shoutd_reads_slowed", help, None, by_listener(|all| all.slowed))?;
        let sources = self.report.listeners.iter();
        let sources = sources.map(|one| (vec![("listener", one.service.name.clone())], one.sources as u64));
        to.gauges("shoutd_sources", "Sources that are known, where they are limited", None, sources)?;
        let help = "From the moment that something could be read until the socket took the answer";
        to.histograms("shoutd_answer", help, &listeners, |all| &all.answer_times)?;
        let help = "What the framing and the steps took of an answer";
        to.histograms("shoutd_transform", help, &listeners, |all| &all.transform_times)?;

        let [errors, pauses, shed, waiting] = self.accept;
        let by_reason = |word: &str, count| (vec![("reason", word.to_owned())], count);
        let totals = &self.report.totals;
        let refused = closed(totals).filter(|(reason, _)| EndReason::REFUSALS.contains(reason));
        let refused = refused.map(|(reason, count)| by_reason(reason.word(), count)).chain([by_reason("shed", shed)]);
        to.counters("shoutd_connections_refused", "Connections that were not served, by reason", None, refused)?;
        to.gauge("shoutd_connections_waiting", "Those that wait until their source may have one more", waiting)?;
        to.counter("shoutd_accept_errors", "Failures of accept that were the client's or the network's", errors)?;
        to.counter("shoutd_accept_pauses", "Times that accepting paused for lack of descriptors or memory", pauses)?;

        let workers = || self.report.workers.iter().map(|worker| (vec![("worker", worker.name.clone())], worker));
        let open = workers().map(|(labels, worker)| (labels, worker.open as u64));
        to.gauges("shoutd_worker_connections", "Connections that a worker has", None, open)?;
        let accepted = workers().map(|(labels, worker)| (labels, worker.accepted));
        to.counters("shoutd_worker_connections_accepted", "Connections that a worker has taken over", None, accepted)?;
        let silence = workers().map(|(labels, worker)| (labels, worker.silence.as_secs_f64()));
        let help = "How long a worker has owed a sign of life";
        to.gauges("shoutd_worker_heartbeat_age", help, Some(&Unit::Seconds), silence)?;
        let panics = workers().map(|(labels, worker)| (labels, worker.panics));
        to.counters("shoutd_worker_panics", "Panics of a worker, by which its connections were lost", None, panics)?;
        let alive = self.report.workers.iter().filter(|worker| !worker.is_resting).count();
        to.gauge("shoutd_workers_alive", "Workers that do not rest after a panic", alive as u64)?;

        encode_peers(&self.peers, &mut to)?;
        let (applied, refused) = self.now.reloads;
        let reloads = [("applied", applied), ("refused", refused)];
        let reloads = reloads.map(|(result, count)| (vec![("result", result.to_owned())], count));
        to.counters("shoutd_reloads", "Reloads, by what came of them", None, reloads)?;
        let help = "1 at the start, one more for each reload that was applied";
        to.gauge("shoutd_config_generation", help, self.now.generation)?;
        let help = "1 if the last reload was refused, so that an older configuration runs on";
        to.gauge("shoutd_config_stale", help, u64::from(self.now.stale))?;
        let help = "Keys that a reload changed and that need a restart";
        to.gauge("shoutd_config_restart_pending", help, self.now.restart_pending.len() as u64)?;
        let help = "When the configuration that runs was taken up";
        to.gauge("shoutd_config_last_success_timestamp_seconds", help, since_epoch(self.now.since))?;
        let help = "1 while the daemon serves those who are connected to their end";
        to.gauge("shoutd_draining", help, u64::from(self.now.stage != Stage::Serving))?;
        to.counter("shoutd_log_dropped", "Lines of the log that nobody read fast enough", self.dropped)?;
        let requests = self.requests.iter().map(|(code, count)| (vec![("code", code.to_string())], *count));
        to.counters("shoutd_admin_requests", "HTTP requests that were answered, by status code", None, requests)?;
        let mut build = to.0.encode_descriptor("shoutd_build", "The program", None, MetricType::Info)?;
        build.encode_info(&[("version", env!("CARGO_PKG_VERSION"))])?;
        let process = Process::now();
        let seconds = [(Labels::new(), process.worked.as_secs_f64())];
        to.counters("process_cpu", "Time that processors worked for the process", Some(&Unit::Seconds), seconds)?;
        to.gauge("process_resident_memory_bytes", "Memory that the process has in use", process.resident)?;
        to.gauge("process_open_fds", "Descriptors that are open", process.open_files)?;
        to.gauge("process_max_fds", "Descriptors that may be open", process.max_files)?;
        let help = "When the process was started";
        to.gauge("process_start_time_seconds", help, since_epoch(self.started))
    }
}

/// What is known of each peer.
fn encode_peers(peers: &[PeerReport], to: &mut Families<'_>) -> fmt::Result {
    let label = |peer: &PeerReport| ("peer", peer.name.clone());
    let by_peer = |value: fn(&PeerReport) -> u64| peers.iter().map(move |peer| (vec![label(peer)], value(peer)));
    let up = by_peer(|peer| u64::from(peer.state == LinkState::Linked));
    to.gauges("shoutd_peer_up", "1 while there is a link to the peer", None, up)?;
    let dialled = peers.iter().flat_map(|peer| {
        dials(peer).map(|(result, count)| (vec![label(peer), ("result", result.word().to_owned())], count))
    });
    to.counters("shoutd_peer_dials", "Dials, by what came of them", None, dialled)?;
    let seconds = Some(&Unit::Seconds);
    let backoff = peers.iter().map(|peer| (vec![label(peer)], peer.backoff.as_secs_f64()));
    to.gauges("shoutd_peer_backoff", "The longest that the wait for the next dial may be", seconds, backoff)?;
    let trips = peers.iter().filter_map(|peer| Some((vec![label(peer)], peer.round_trip?.as_secs_f64())));
    let help = "How long the peer's last answer to what this daemon said took";
    to.gauges("shoutd_peer_round_trip", help, seconds, trips)?;
    let help = "Messages that came from the peer; under stream, reads";
    to.counters("shoutd_peer_messages", help, None, by_peer(|peer| peer.messages))?;
    let help = "Answers of the peer to what this daemon said";
    to.counters("shoutd_peer_answers", help, None, by_peer(|peer| peer.answers))?;
    let help = "Times that what went round in a loop was held back";
    to.counters("shoutd_peer_loops", help, None, by_peer(|peer| peer.loops))
}

fn since_epoch(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// Writes families of metrics.
struct Families<'e>(DescriptorEncoder<'e>);

impl Families<'_> {
    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.counters(name, help, None, [(Labels::new(), value)])
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl EncodeGaugeValue) -> fmt::Result {
        self.gauges(name, help, None, [(Labels::new(), value)])
    }

    fn counters<V: EncodeCounterValue>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        values: impl IntoIterator<Item = (Labels, V)>,
    ) -> fmt::Result {
        let family = self.0.encode_descriptor(name, help, unit, MetricType::Counter)?;
        each(family, values, |metric, value| metric.encode_counter::<NoLabelSet, V, u64>(value, None))
    }

    fn gauges<V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        values: impl IntoIterator<Item = (Labels, V)>,
    ) -> fmt::Result {
        let family = self.0.encode_descriptor(name, help, unit, MetricType::Gauge)?;
        each(family, values, |metric, value| metric.encode_gauge(value))
    }

    fn histograms(
        &mut self,
        name: &str,
        help: &str,
        listeners: &[(String, Totals)],
        times: fn(&Totals) -> &Times,
    ) -> fmt::Result {
        let family = self.0.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
        let values = listeners.iter().map(|(name, totals)| (vec![("listener", name.clone())], times(totals)));
        each(family, values, |metric, times| {
            let bounds = BOUNDS.iter().map(|nanos| seconds(*nanos)).chain([f64::INFINITY]);
            let buckets: Vec<_> = bounds.zip(times.counts).collect();
            let (sum, count) = (seconds(times.nanos), times.counts.iter().sum());
            metric.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
        })
    }
}

/// Writes the metrics of a family.
fn each<V>(
    mut family: MetricEncoder<'_>,
    values: impl IntoIterator<Item = (Labels, V)>,
    write: impl Fn(&mut MetricEncoder<'_>, &V) -> fmt::Result,
) -> fmt::Result {
    values.into_iter().try_for_each(|(labels, value)| {
        if labels.is_empty() { write(&mut family, &value) } else { write(&mut family.encode_family(&labels)?, &value) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[derive(Debug)]
    struct Peers(Vec<PeerReport>);

    impl Collector for Peers {
        fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
            encode_peers(&self.0, &mut Families(encoder))
        }
    }

    #[test]
    fn a_peer_has_all_its_series_from_the_start_but_for_the_round_trip_that_is_not_known() {
        let peer = |name: &str, state, round_trip| PeerReport {
            name: name.to_owned(),
            address: "localhost:6000".parse().unwrap(),
            via: "default".to_owned(),
            state,
            since: Duration::ZERO,
            linked: None,
            seen: None,
            round_trip,
            messages: 3,
            answers: 2,
            loops: 1,
            next_try: None,
            backoff: Duration::from_secs(6),
            why: None,
            dials: [1, 4, 0, 0, 0, 0, 0, 0, 0],
        };
        let mut registry = Registry::default();
        let known = Some(Duration::from_millis(2));
        let peers = vec![peer("a", LinkState::Waiting, None), peer("b", LinkState::Linked, known)];
        registry.register_collector(Box::new(Peers(peers)));
        let mut text = String::new();
        prometheus_client::encoding::prometheus_text::encode(&mut text, &registry).unwrap();
        for line in [
            "shoutd_peer_up{peer=\"a\"} 0",
            "shoutd_peer_up{peer=\"b\"} 1",
            "shoutd_peer_dials_total{peer=\"a\",result=\"refused\"} 4",
            "shoutd_peer_dials_total{peer=\"b\",result=\"failed\"} 0",
            "shoutd_peer_backoff_seconds{peer=\"a\"} 6.0",
            "shoutd_peer_round_trip_seconds{peer=\"b\"} 0.002",
            "shoutd_peer_messages_total{peer=\"a\"} 3",
            "shoutd_peer_answers_total{peer=\"a\"} 2",
            "shoutd_peer_loops_total{peer=\"b\"} 1",
        ] {
            assert!(text.lines().any(|other| other == line), "no {line} in\n{text}");
        }
        assert!(!text.contains("round_trip_seconds{peer=\"a\"}"), "{text}");
        assert_eq!(text.matches("dials_total{").count(), 2 * crate::net::links::sheet::Dialled::ALL.len());
    }
}
