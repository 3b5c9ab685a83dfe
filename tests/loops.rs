//! Loops over real sockets: each of two daemons answers the other's answers, by every two streaming steps, in
//! stream and in line framing, all at once. What they say to each other decays, and costs nothing.
//!
//! It is a program of its own, as it measures what all of it uses of the processor. Unoptimized it does an eighth of
//! the pairs. `SHOUTD_LOOP_SECONDS=N` looks on for so long before it judges; `just loops` does.

#[path = "common/mod.rs"]
mod common;
#[path = "behaviour/harness.rs"]
#[allow(dead_code, reason = "there are no clients here")]
mod harness;

use harness::Daemon;
use rustix::time::{ClockId, clock_gettime};
use shoutd::server::{Dialled, Listener, Peer, PeerReport};
use shoutd::transform::{About, REGISTRY};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

const SECONDS: &str = "SHOUTD_LOOP_SECONDS";
const FRAMINGS: [&str; 2] = ["stream", "line"];
/// What begins each loop, with something to do for each step.
const GREETING: &str = "  Wëlcome, straße ΟΔΟΣ ﬁ: hello 68656c6c6f aGVsbG8= %68\\t ";
/// Of so many pairs one is done.
const SHARE: usize = if cfg!(debug_assertions) { 8 } else { 1 };
/// How rarely what ends its own link is dialled, at most, once it counts as slow.
const RARE: Duration = Duration::from_secs(24);
/// How long the loops may take until they are judged.
const PATIENCE: Duration = Duration::from_secs(60);

fn steps() -> impl Iterator<Item = (usize, &'static About)> {
    REGISTRY.iter().filter(|about| about.streams).enumerate()
}

/// A listener for each framing and each step that `is_meant`.
fn daemon(is_meant: impl Fn(usize) -> bool, greeting: Option<&'static str>, peers: &[Peer]) -> Daemon {
    Daemon::with(|plan| {
        plan.workers(1);
        plan.greeting = greeting;
        for framing in FRAMINGS {
            for (_, about) in steps().filter(|(nth, _)| is_meant(*nth)) {
                (plan.framing, plan.steps) = (framing, vec![about.example.step]);
                let service = plan.service(&format!("{framing} {}", about.name));
                plan.settings.listeners.push(Listener::new("127.0.0.1:0".parse().unwrap(), service));
            }
        }
        plan.settings.peers = peers.to_vec();
    })
}

/// What the loops have done until now.
fn look(diallers: &[Daemon]) -> Vec<PeerReport> {
    diallers.iter().flat_map(|daemon| daemon.control().peers()).collect()
}

fn links(peer: &PeerReport) -> u64 {
    peer.dials[Dialled::Linked as usize]
}

/// Whether the loop goes round no more as quickly as it can: it is held back for many seconds; or hangs, as both
/// ends have more to say than the network takes; or has ended its link so often that it is rarely dialled, and what
/// the guard learns of a few messages each time takes its time.
fn is_settled(peer: &PeerReport) -> bool {
    peer.loops >= 3 || hangs(peer) || peer.backoff >= RARE
}

fn hangs(peer: &PeerReport) -> bool {
    peer.linked.is_some() && peer.seen.is_some_and(|seen| seen > Duration::from_secs(4))
}

fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap())
}

fn sum(of: impl Fn(&PeerReport) -> u64, peers: &[PeerReport]) -> u64 {
    peers.iter().map(of).sum()
}

#[test]
fn every_two_steps_that_answer_each_other_decay_to_a_whisper() {
    let watched = std::env::var(SECONDS).map_or(0, |seconds| seconds.parse().unwrap());
    // who accepts greets, which nobody asked for, and so is answered
    let listeners = daemon(|_| true, Some(GREETING), &[]);
    let others = FRAMINGS.iter().flat_map(|framing| steps().map(move |(_, other)| (*framing, other.name)));
    let others: Vec<((&str, &str), SocketAddr)> = others.zip(listeners.addresses()).collect();
    let peers = |own: (usize, &About)| -> Vec<Peer> {
        let chosen = others.iter().skip(own.0 % SHARE).step_by(SHARE);
        let peer = |((framing, other), address): &((&str, &str), SocketAddr)| {
            let (name, via) = (format!("{framing}: {} and {other}", own.1.name), format!("{framing} {}", own.1.name));
            Peer::new(&name, address.to_string().parse().unwrap(), &via)
        };
        chosen.map(peer).collect()
    };
    // each of them dials only so often a second
    let diallers: Vec<Daemon> = steps().map(|own| daemon(|nth| nth == own.0, None, &peers(own))).collect();

    let begun = Instant::now();
    let mut before = look(&diallers);
    assert!(before.len() * SHARE > 1000, "only {} pairs", before.len());
    while begun.elapsed() < Duration::from_secs(watched) || !before.iter().all(is_settled) {
        let late = || before.iter().filter(|peer| !is_settled(peer)).take(5).collect::<Vec<_>>();
        assert!(begun.elapsed() < PATIENCE + Duration::from_secs(watched), "these go on: {:?}", late());
        thread::park_timeout(Duration::from_millis(100));
        before = look(&diallers);
    }
    let window = Duration::from_secs(if watched >= 120 { 30 } else { 8 });
    let (since, used) = (Instant::now(), cpu());
    thread::park_timeout(window);
    let (lasted, used) = (since.elapsed(), cpu().saturating_sub(used));
    let after = look(&diallers);

    let pairs = after.len() as u64;
    println!("{pairs} pairs were judged after {:?}", since - begun);
    let messages = sum(|peer| peer.messages, &after) - sum(|peer| peer.messages, &before);
    println!("in {lasted:?} there came {messages} messages, and {used:?} of the processor were used");
    for (old, new) in before.iter().zip(&after) {
        // after three holds, the next is as long as this was looked at; or it has another link
        let most = if old.loops >= 3 && links(new) == links(old) { 1 } else { 3 };
        assert!(new.loops - old.loops <= most, "{} goes round: {old:?} {new:?}", new.name);
        assert!(new.messages - old.messages <= 400, "{} is loud: {old:?} {new:?}", new.name);
    }
    // none for those that are held back, and what a new link gives for those that cannot keep one
    assert!(messages <= 5 * pairs, "{messages} messages of {pairs} pairs");
    let most = if cfg!(debug_assertions) { lasted / 10 } else { lasted / 20 };
    assert!(used < most, "{used:?} of {lasted:?} for {pairs} pairs");
    let is_kept = |peer: &&PeerReport| links(peer) == 1 && (peer.loops > 0 || hangs(peer));
    let kept = |peers: &[PeerReport]| peers.iter().filter(is_kept).count() as u64;
    assert!(kept(&after) * 4 > pairs * 3, "only {} of {pairs} kept their link", kept(&after));
    diallers.iter().chain([&listeners]).for_each(|daemon| daemon.control().stop());
}
