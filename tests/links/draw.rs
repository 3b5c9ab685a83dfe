//! What world a seed draws.

use crate::common::{step, steps};
use crate::daemon::{Daemon, PeerSetup, Setup};
use crate::stranger::{Nature, Stranger, answers};
use crate::tcp::{HostId, Network, Path};
use crate::world::{Outside, World};
use fastrand::Rng;
use shoutd::framing;
use shoutd::link::Manners;
use shoutd::session::{Limits, Service};
use shoutd::transform::{Options, Pipeline, Template};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// Reads and messages are short, or texts that grow would keep the test busy.
pub const READ_MAX: usize = 256;
pub const MESSAGE_MAX: usize = 1024;

pub fn service(framing: &str, steps: &[&str], limits: Limits) -> Arc<Service> {
    let about = framing::named(framing).unwrap();
    let options = framing::Options { max_message: MESSAGE_MAX, ..framing::Options::default() };
    let steps = steps.iter().map(|written| step(written, Options::default())).collect();
    Arc::new(Service {
        name: "sim".to_owned(),
        framing: framing::build(about, about, &options).unwrap(),
        pipeline: Pipeline::new(steps),
        greeting: None,
        limits,
        tally: Arc::default(),
    })
}

/// A host's address in one of two families; ports lie on both sides of those that are given out to whoever
/// dials from any.
pub fn address(host: HostId, v4: bool) -> SocketAddr {
    let nth = u8::try_from(host).unwrap() + 1;
    let port = if host.is_multiple_of(2) { 5000 } else { 65_000 } + u16::from(nth);
    let ip = if v4 {
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, nth))
    } else {
        IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, nth.into()))
    };
    SocketAddr::new(ip, port)
}

pub fn text(rng: &mut Rng) -> String {
    const WORDS: [&str; 12] =
        ["Hello", "from", "Peer 1", "ΟΔΟΣ", "straße", "\n", " ", "e\u{301}", "ﬁ", "漢字", "%41", "aGVs"];
    (0..rng.usize(1..6)).map(|_| *rng.choice(WORDS.iter()).unwrap()).collect()
}

fn manners(rng: &mut Rng) -> Manners {
    let greeting = (rng.u8(..) < 200).then(|| Template::parse(&text(rng)).unwrap());
    Manners { greeting, answer_back: rng.u8(..) < 40, once: rng.u8(..) < 16, loop_guard: true }
}

fn limits(rng: &mut Rng) -> Limits {
    let buffer_size = if rng.bool() { 1024 } else { rng.usize(8..200) };
    Limits { buffer_size, buffer_size_max: READ_MAX, ..Limits::default() }
}

pub fn world(seed: u64) -> World {
    let mut rng = Rng::with_seed(seed);
    let delay = *rng.choice(&[0, 1, 5, 20, 100, 300]).unwrap();
    let path = Path { delay, jitter: rng.u64(0..=delay / 2 + 1) };
    let framing = if rng.u8(..) < 160 { "stream" } else { "line" };
    // a far network has large windows, or a long text would be under way for ever
    let window = if delay < 100 { *rng.choice(&[4 * 1024, 64 * 1024, 1024 * 1024]).unwrap() } else { 1024 * 1024 };
    let loss = if rng.u8(..) < 80 { 10 } else { 0 };
    let mut net = Network::new(rng.fork(), path, loss, window);
    net.verbose = std::env::var_os("SHOUTD_SEED").is_some();
    let mut world = if rng.u8(..) < 170 {
        network(net, framing, &mut rng)
    } else {
        net.loss = 0;
        with_a_stranger(net, framing, &mut rng)
    };
    if rng.u8(..) < 100 {
        disturb(&mut world, &mut rng);
    }
    world
}

/// Daemons alone: each pair of neighbours list one another, or one lists the other.
fn network(net: Network, framing: &str, rng: &mut Rng) -> World {
    let pairs: &[(HostId, HostId)] = match rng.u8(0..10) {
        0..6 => &[(0, 1)],
        6..8 => &[(0, 1), (1, 2), (2, 0)],
        8 => &[(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)],
        _ => &[(0, 1), (0, 2), (0, 3), (0, 4), (1, 2), (1, 3), (1, 4), (2, 3), (2, 4), (3, 4)],
    };
    let count = pairs.iter().map(|(a, b)| a.max(b) + 1).max().unwrap();
    let (both, two_families) = (rng.u8(..) < 190, rng.u8(..) < 90);
    let all = steps(framing);
    let mut setups: Vec<Setup> = (0..count)
        .map(|host| {
            let steps: Vec<_> = (0..rng.usize(1..3)).map(|_| *rng.choice(&all).unwrap()).collect();
            let mut addresses = vec![address(host, true)];
            addresses.extend(two_families.then(|| address(host, false)));
            Setup { addresses, service: service(framing, &steps, limits(rng)), peers: Vec::new() }
        })
        .collect();
    for (a, b) in pairs.iter().copied().flat_map(|(a, b)| [(a, b), (b, a)]).filter(|(a, b)| both || a < b) {
        // one knows the other by both addresses, or by one of them
        let mut addresses = setups[b].addresses.clone();
        if two_families && a > b && rng.u8(..) < 100 {
            addresses = vec![*rng.choice(&addresses).unwrap()];
        }
        setups[a].peers.push(PeerSetup {
            host: b,
            named: addresses.len() > 1 || rng.bool(),
            addresses,
            manners: manners(rng),
        });
    }
    let daemons = setups.into_iter().enumerate().map(|(host, setup)| Daemon::new(host, setup)).collect();
    let mut world = World::new(net, daemons, Vec::new());
    let at_once = rng.bool();
    for host in 0..count {
        let at = if at_once { rng.u64(0..2) } else { rng.u64(0..3_000) };
        world.plan(at, Outside::Start(host));
    }
    for _ in 0..rng.usize(0..6) {
        let host = rng.usize(0..count);
        let peers = world.daemons[host].setup.peers.len();
        if peers > 0 {
            let said = Outside::Say(host, rng.usize(0..peers), text(rng).into_bytes());
            world.plan(rng.u64(1_000..60_000), said);
        }
    }
    world
}

/// A daemon, and a peer that is none.
fn with_a_stranger(net: Network, framing: &str, rng: &mut Rng) -> World {
    let all = steps(framing);
    let (count, nature) = match rng.u8(0..6) {
        0 => (rng.usize(50..300), Nature::Burst),
        1 => (rng.usize(50..1_200), Nature::Feed),
        2 => (rng.usize(40..80), Nature::Person(rng.u64(500..4_000).max(3_000 * net.path.delay / 200 + 500))),
        // each after the 33rd waits twice as long
        3 => (rng.usize(10..if net.path.delay < 100 { 37 } else { 35 }), Nature::LockStep),
        4 => (0, Nature::Naive),
        _ => (0, Nature::Mute),
    };
    let repeats = rng.bool();
    let lines: Vec<Vec<u8>> = (0..count)
        .map(|nth| if repeats { b"ping\n".to_vec() } else { format!("line {nth} says so\n").into_bytes() })
        .collect();
    let limits = limits(rng);
    let mut answered = None;
    let mut chosen = service(framing, &[], limits.clone());
    while answered.is_none() {
        let steps: Vec<_> = (0..rng.usize(1..3)).map(|_| *rng.choice(&all).unwrap()).collect();
        chosen = service(framing, &steps, limits.clone());
        // those that speak of the connection would say something else to each
        answered = (!chosen.wants_context()).then(|| answers(&chosen, &lines)).flatten();
    }
    let mut manners = Manners { once: false, answer_back: false, ..manners(rng) };
    // nobody says that back
    manners.greeting = manners.greeting.map(|_| Template::parse(&format!("?{}", text(rng))).unwrap());
    manners.loop_guard = rng.u8(..) < 180;
    let naive = service(framing, &[*rng.choice(&all).unwrap()], Limits::default());
    let mut stranger = Stranger::new(1, address(1, true), nature, naive);
    if matches!(nature, Nature::Naive) {
        manners.loop_guard = true;
    }
    let mut greeting = Vec::new();
    if let Some(template) = &manners.greeting {
        template.write(b"", shoutd::transform::Context::nobody(), &mut greeting);
        if let framing::Framing::Messages(messages) = &chosen.framing {
            let text = std::mem::take(&mut greeting);
            messages.frame_unasked(&text, &mut greeting);
        }
    }
    stranger.greeting = greeting;
    stranger.lines = lines.into_iter().zip(answered.unwrap()).collect();
    let guarded = manners.loop_guard;
    let peer = PeerSetup { host: 1, addresses: vec![address(1, true)], named: false, manners };
    let daemon = Daemon::new(0, Setup { addresses: vec![address(0, true)], service: chosen, peers: vec![peer] });
    let mut world = World::new(net, vec![daemon], vec![stranger]);
    world.guarded = guarded;
    world.plan(rng.u64(0..1000), Outside::Start(0));
    if rng.u8(..) < 60 {
        world.plan(rng.u64(0..1000), Outside::Dial(1, 0));
    }
    // until all is said
    world.plan(180_000, Outside::Cut((0, 0), true, Duration::ZERO));
    world.disturbed = false;
    world
}

/// Two daemons with a step each, of which one dials, or both do at once.
pub fn pair(framing: &str, steps: [&str; 2], both: bool, seed: u64) -> World {
    let mut rng = Rng::with_seed(seed);
    let net = Network::new(rng.fork(), Path { delay: 5, jitter: 2 }, 0, 1024 * 1024);
    let mut daemon = |host: HostId| {
        let greeting = Some(Template::parse(&format!("Hello from {host}, ΟΔΟΣ straße e")).unwrap());
        let manners = Manners { greeting, ..Manners::default() };
        let peer = PeerSetup { host: 1 - host, addresses: vec![address(1 - host, true)], named: false, manners };
        let service = service(framing, &[steps[host]], limits(&mut rng));
        let peers = if both || host == 0 { vec![peer] } else { Vec::new() };
        Daemon::new(host, Setup { addresses: vec![address(host, true)], service, peers })
    };
    let mut world = World::new(net, vec![daemon(0), daemon(1)], Vec::new());
    world.plan(0, Outside::Start(1));
    world.plan(0, Outside::Start(0));
    world
}

fn disturb(world: &mut World, rng: &mut Rng) {
    let count = world.daemons.len();
    for _ in 0..rng.usize(1..4) {
        let at = rng.u64(500..60_000);
        if rng.bool() {
            let (host, down) = (rng.usize(0..count), rng.u64(100..30_000));
            world.plan(at, Outside::Vanish(host, rng.bool()));
            world.plan(at + down, Outside::Start(host));
        } else {
            let (a, b) = (rng.usize(0..count), rng.usize(0..count + world.strangers.len()));
            let wait = rng.u64(100..40_000);
            world.plan(at, Outside::Cut((a, b), rng.bool(), Duration::from_millis(wait)));
            world.plan(at + wait, Outside::Cut((a, a), true, Duration::ZERO));
        }
    }
}
