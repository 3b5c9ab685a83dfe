use crate::common::ports::{Port, connected};
use crate::harness::{Daemon, PATIENCE, eventually};
use shoutd::server::{LinkState, Listener, Peer, Reply, Retry};
use shoutd::transform::Template;
use std::net::SocketAddr;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

/// How many times a pair comes to be; `just pairs` does so a thousand times.
const PAIRS: &str = "SHOUTD_PAIRS";
/// Pairs that come to be side by side.
const LANES: usize = 6;

/// One of two daemons that list each other.
struct Side {
    name: &'static str,
    port: Port,
    /// The address by which it knows the other one.
    other: String,
}

impl Side {
    fn start(&self) -> Daemon {
        Daemon::with(|plan| {
            plan.workers(2);
            let address = format!("localhost:{}", self.port.number);
            let service = plan.service("default");
            plan.settings.listeners.push(Listener::new(address.parse().unwrap(), service));
            let mut peer = Peer::new("other", self.other.parse().unwrap(), "default");
            peer.retry = Retry { min: Duration::from_millis(20), max: Duration::from_millis(200) };
            peer.manners.greeting = Some(Template::parse(&format!("Hello from {}", self.name)).unwrap());
            plan.settings.peers.push(peer);
        })
    }
}

/// How each names the other: by its number, or by a name that has an address of either family.
const NAMES: [[&str; 2]; 3] = [["127.0.0.1", "127.0.0.1"], ["localhost", "127.0.0.1"], ["localhost", "localhost"]];

/// Whether both have the one link there is.
fn is_one(sides: &[Side; 2], daemons: [&Daemon; 2]) -> bool {
    let [a, b] = sides.each_ref().map(|side| side.port.number);
    let linked = daemons.map(|daemon| daemon.control().peers().remove(0));
    let states = linked.each_ref().map(|peer| peer.state);
    states == [LinkState::Linked; 2] && connected(a, b) == 1 && connected(b, a) == 1
}

#[track_caller]
fn says(daemon: &Daemon, text: &str) {
    let told = daemon.control().say("other", text.as_bytes()).unwrap();
    loop {
        match told.recv_timeout(PATIENCE).unwrap() {
            Reply::Answer { text: answer, .. } => {
                assert_eq!(String::from_utf8_lossy(&answer), text.to_uppercase());
                return;
            }
            Reply::Other(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// A pair that comes to be, again and again; gives how long each time took.
fn lane(nth: usize, rounds: usize) -> Vec<Duration> {
    let [first, second] = [Port::new(), Port::new()];
    let names = NAMES[nth % NAMES.len()];
    let (to_second, to_first) = (format!("{}:{}", names[0], second.number), format!("{}:{}", names[1], first.number));
    let sides = [Side { name: "a", port: first, other: to_second }, Side { name: "b", port: second, other: to_first }];
    let barrier = Barrier::new(2);
    let start = |side: &Side| {
        barrier.wait();
        side.start()
    };
    let at_once = || {
        thread::scope(|scope| {
            let other = scope.spawn(|| start(&sides[1]));
            (start(&sides[0]), other.join().unwrap())
        })
    };
    let (mut a, mut b) = at_once();
    let mut took = Vec::new();
    for round in 0..rounds {
        let begun = Instant::now();
        let told = || format!("{names:?}: {:?}", [&a, &b].map(|daemon| daemon.control().peers()));
        let end = begun + PATIENCE;
        while !is_one(&sides, [&a, &b]) {
            assert!(Instant::now() < end, "not one link in round {round}: {}", told());
            thread::park_timeout(Duration::from_millis(1));
        }
        took.push(begun.elapsed());
        // had another link been on its way, it would be there now
        says(&a, "from a");
        says(&b, "from b");
        // the kernel's table may change while it is read
        eventually("there is one link still", || is_one(&sides, [&a, &b]));
        let ends: [SocketAddr; 2] = [&a, &b].map(|daemon| daemon.control().peers().remove(0).linked.unwrap().remote);
        assert_eq!(ends[0].is_ipv4(), ends[1].is_ipv4(), "both ends are of one link");
        match round % 4 {
            // both at the same instant
            0 | 1 => {
                a.control().stop();
                b.control().stop();
                drop((a, b));
                (a, b) = at_once();
            }
            // one, as after a crash or with a farewell
            2 => {
                a.control().stop();
                drop(a);
                a = sides[0].start();
            }
            _ => {
                drop(b);
                b = sides[1].start();
            }
        }
    }
    eventually("they are linked at the end", || is_one(&sides, [&a, &b]));
    took
}

/// Whoever dials first, or both at the same instant, and by whatever names.
#[test]
fn two_daemons_that_list_each_other_end_with_exactly_one_link() {
    let rounds: usize = std::env::var(PAIRS).map_or(50, |count| count.parse().unwrap());
    let mut took: Vec<Duration> = thread::scope(|scope| {
        let lanes: Vec<_> = (0..LANES).map(|nth| scope.spawn(move || lane(nth, rounds.div_ceil(LANES)))).collect();
        lanes.into_iter().flat_map(|lane| lane.join().unwrap()).collect()
    });
    took.sort_unstable();
    println!(
        "{} links, the middle one in {:?}, the last in {:?}",
        took.len(),
        took[took.len() / 2],
        took[took.len() - 1]
    );
}

/// To one of them the link that the other dialled is a client's, as through NAT; the other sees that, and lets
/// that one go.
#[test]
fn a_pair_that_knows_each_other_by_addresses_of_two_families_ends_with_one_link() {
    let [first, second] = [Port::new(), Port::new()];
    let (to_second, to_first) = (format!("localhost:{}", second.number), format!("[::1]:{}", first.number));
    let sides = [Side { name: "a", port: first, other: to_second }, Side { name: "b", port: second, other: to_first }];
    let [a, b] = sides.each_ref().map(Side::start);
    let report = |daemon: &Daemon| daemon.control().peers().remove(0);
    eventually("both have a link", || [&a, &b].map(|daemon| report(daemon).state) == [LinkState::Linked; 2]);
    eventually("there is one", || {
        // meanwhile all that is said is answered
        says(&a, "from a");
        says(&b, "from b");
        connected(sides[0].port.number, sides[1].port.number) == 1
    });
    let dials = || [&a, &b].map(|daemon| report(daemon).dials.iter().sum::<u64>());
    assert!(dials().iter().all(|dials| *dials <= 3), "{:?}", dials());
}
