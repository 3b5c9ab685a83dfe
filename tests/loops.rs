//! Loops over real sockets: each of two daemons answers the other's answers, by every two streaming steps, in
//! stream and in line framing, all at once. What they say to each other decays, and costs nothing.
//!
//! `SHOUTD_LOOP_SECONDS=N` looks on for longer; this is a program of its own, as it measures what all of it
//! uses of the processor.

#[path = "common/mod.rs"]
mod common;
#[path = "behaviour/harness.rs"]
mod harness;

use harness::Daemon;
use rustix::time::{ClockId, clock_gettime};
use shoutd::server::{Listener, Peer, PeerReport};
use shoutd::transform::{About, REGISTRY, Template};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

const FRAMINGS: [&str; 2] = ["stream", "line"];
/// Something for each step to do.
const GREETING: &str = "  Wëlcome, straße ΟΔΟΣ ﬁ: hello 68656c6c6f aGVsbG8= %68\\t ";

fn steps() -> impl Iterator<Item = (usize, &'static About)> {
    REGISTRY.iter().filter(|about| about.streams).enumerate()
}

/// A listener for each framing and each step that `is_meant`, by name.
fn daemon(is_meant: impl Fn(usize) -> bool, greeting: Option<&'static str>, peers: &[Peer]) -> Daemon {
    Daemon::with(|plan| {
        plan.workers(1);
        plan.greeting = greeting;
        for framing in FRAMINGS {
            for (nth, about) in steps().filter(|(nth, _)| is_meant(*nth)) {
                (plan.framing, plan.steps) = (framing, vec![about.example.step]);
                let service = plan.service(&format!("{framing}-{nth}"));
                plan.settings.listeners.push(Listener::new("127.0.0.1:0".parse().unwrap(), service));
            }
        }
        plan.settings.peers = peers.to_vec();
    })
}

fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap())
}

/// What one daemon says of its peers, all of which are listeners of another.
struct Seen {
    name: String,
    messages: u64,
    loops: u64,
    report: PeerReport,
}

fn look(daemons: &[Daemon]) -> Vec<Seen> {
    let reports = daemons.iter().flat_map(|daemon| daemon.control().peers());
    reports
        .map(|report| Seen { name: report.name.clone(), messages: report.messages, loops: report.loops, report })
        .collect()
}

#[test]
fn every_two_steps_that_answer_each_other_decay_to_a_whisper() {
    let count = steps().count();
    let listeners = daemon(|_| true, Some(GREETING), &[]);
    let addresses = listeners.addresses();
    let peers = |own: usize| -> Vec<Peer> {
        let named = FRAMINGS.iter().flat_map(|framing| steps().map(move |(nth, _)| (framing, nth)));
        named
            .zip(&addresses)
            .map(|((framing, nth), address): (_, &SocketAddr)| {
                Peer::new(
                    &format!("{framing}-{own}-{nth}"),
                    address.to_string().parse().unwrap(),
                    &format!("{framing}-{own}"),
                )
            })
            .collect()
    };
    let diallers: Vec<Daemon> = (0..count).map(|own| daemon(|nth| nth == own, None, &peers(own))).collect();
    let begun = Instant::now();
    for second in 1..=40 {
        thread::park_timeout((begun + Duration::from_secs(second)).saturating_duration_since(Instant::now()));
        let seen = look(&diallers);
        println!(
            "{second} s: messages {} loops {} cpu {:?} linked {}",
            seen.iter().map(|s| s.messages).sum::<u64>(),
            seen.iter().map(|s| s.loops).sum::<u64>(),
            cpu(),
            seen.iter().filter(|s| s.report.linked.is_some()).count()
        );
    }
}
