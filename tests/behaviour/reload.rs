use crate::harness::{Client, Daemon, Plan, eventually};
use shoutd::net::address::Address;
use shoutd::server::{Listener, Refused, Settings};
use shoutd::session::EndReason;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// One listener called `default` on `address`, as `change` makes it.
fn settings(address: impl ToString, change: impl FnOnce(&mut Plan)) -> Settings {
    let mut plan = Plan::new();
    change(&mut plan);
    let service = plan.service("default");
    let address: Address = address.to_string().parse().unwrap();
    plan.settings.listeners.push(Listener::new(address, service));
    plan.settings
}

/// The same with these steps.
fn steps(address: impl ToString, steps: &[&'static str]) -> Settings {
    settings(address, |plan| plan.steps = steps.to_vec())
}

/// A worker that lists its connections has seen the orders that were given before.
fn all_have_gone_over(daemon: &Daemon) {
    assert!(!daemon.control().connections().is_empty());
}

fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn a_live_connection_takes_the_new_transform_at_its_next_read() {
    let daemon = Daemon::start();
    let mut client = daemon.connect();
    client.send("Hello").expect("HELLO");
    daemon.control().apply(steps("127.0.0.1:0", &["lowercase"])).unwrap();
    eventually("the new transform answers", || {
        client.send("Hello");
        let mut answer = [0; 5];
        std::io::Read::read_exact(&mut client.0, &mut answer).unwrap();
        &answer == b"hello"
    });
}

#[test]
fn port_0_keeps_its_port() {
    let daemon = Daemon::start();
    let before = daemon.addresses();
    let applied = daemon.control().apply(steps("127.0.0.1:0", &["lowercase"])).unwrap();
    assert_eq!((applied.opened.len(), applied.closed.len()), (0, 0));
    assert_eq!(daemon.addresses(), before);
    daemon.connect().send("New").expect("new");
}

#[test]
fn a_message_that_has_begun_is_answered_as_it_was_begun() {
    let daemon = Daemon::with(|plan| plan.framing = "line");
    let mut client = daemon.connect();
    client.send("One\nTw").expect("ONE\n");
    let lower = settings("127.0.0.1:0", |plan| {
        plan.framing = "line";
        plan.steps = vec!["lowercase"];
    });
    daemon.control().apply(lower).unwrap();
    daemon.connect().send("New\n").expect("new\n");
    all_have_gone_over(&daemon);
    client.send("o\nThree\nFo").expect("TWO\nthree\n");
    client.send("ur\n").expect("four\n");
}

#[test]
fn with_another_framing_a_live_connection_keeps_the_old_one_and_its_transform_but_not_its_limits() {
    let daemon = Daemon::start();
    let mut client = daemon.connect();
    client.send("a").expect("A");
    let lines = settings("127.0.0.1:0", |plan| {
        plan.framing = "line";
        plan.steps = vec!["reverse"];
        plan.limits.idle_timeout = Some(Duration::from_millis(300));
    });
    daemon.control().apply(lines).unwrap();
    daemon.connect().send("abc\n").expect("cba\n");
    all_have_gone_over(&daemon);
    client.send("straße").expect("STRASSE");
    assert_eq!(client.rest(), b"");
    eventually("it was silent for too long", || daemon.closed(EndReason::IdleTimeout) > 0);
}

#[test]
fn when_the_port_moves_live_connections_talk_on_and_the_old_port_is_closed() {
    let daemon = Daemon::start();
    let (old, new) = (daemon.addresses()[0], free_port());
    let mut client = daemon.connect();
    client.send("before").expect("BEFORE");
    let applied = daemon.control().apply(steps(new, &["uppercase"])).unwrap();
    assert_eq!(applied.opened.len() + applied.closed.len(), 2);
    assert!(TcpStream::connect(old).is_err(), "the old port is closed when the reload is done");
    Client::connect(new).send("new").expect("NEW");
    client.send("still here").expect("STILL HERE");
}

#[test]
fn clients_who_wait_at_a_port_that_goes_are_served() {
    let daemon = Daemon::with(|plan| plan.settings.max_connections = NonZero::new(1));
    let old = daemon.addresses()[0];
    let mut first = daemon.connect();
    first.send("first").expect("FIRST");
    let mut waiting = Client::connect(old);
    waiting.send("waiting");
    let moved = settings(free_port(), |plan| plan.settings.max_connections = NonZero::new(1));
    daemon.control().apply(moved).unwrap();
    drop(first);
    waiting.expect("WAITING");
}

#[test]
fn a_port_that_is_taken_refuses_all_of_it_and_changes_nothing() {
    let daemon = Daemon::start();
    let (before, taken) = (daemon.addresses(), TcpListener::bind("127.0.0.1:0").unwrap());
    let mut other = steps("127.0.0.1:0", &["lowercase"]);
    let service = Plan::new().service("second");
    other.listeners.push(Listener::new(taken.local_addr().unwrap().to_string().parse().unwrap(), service));
    other.max_connections = NonZero::new(1);
    let refused = daemon.control().apply(other).unwrap_err();
    assert!(refused.to_string().contains("another process listens there"), "{refused}");
    assert_eq!(daemon.addresses(), before);
    assert_ne!(daemon.control().max_connections(), 1);
    daemon.connect().send("Same").expect("SAME");
}

#[test]
fn more_connections_than_files_is_refused() {
    let daemon = Daemon::start();
    let mut other = steps("127.0.0.1:0", &["lowercase"]);
    other.max_connections = NonZero::new(usize::MAX);
    assert!(matches!(daemon.control().apply(other), Err(Refused::TooManyConnections { .. })));
    daemon.connect().send("Same").expect("SAME");
}

#[test]
fn all_addresses_take_over_from_one_of_them_on_the_same_port() {
    for (narrow, wide) in [("127.0.0.1", "0.0.0.0"), ("[::1]", "[::]")] {
        if TcpListener::bind(format!("{narrow}:0")).is_err() {
            continue; // a host without IPv6
        }
        let daemon = Daemon::with(|plan| {
            let service = plan.service("default");
            plan.settings.listeners.push(Listener::new(format!("{narrow}:0").parse().unwrap(), service));
        });
        let port = daemon.addresses()[0].port();
        let mut client = daemon.connect();
        client.send("a").expect("A");
        daemon.control().apply(steps(format!("{wide}:{port}"), &["lowercase"])).unwrap();
        assert_eq!(daemon.addresses()[0].to_string(), format!("{wide}:{port}"));
        let there: SocketAddr = format!("{narrow}:{port}").parse().unwrap();
        Client::connect(there).send("B").expect("b");
        assert!(TcpListener::bind(format!("{wide}:{port}")).is_err(), "a second daemon is refused still");
        // and back
        daemon.control().apply(steps(there, &["uppercase"])).unwrap();
        assert_eq!(daemon.addresses(), [there]);
        Client::connect(there).send("b").expect("B");
        client.send("c").expect("C");
    }
}

#[test]
fn a_listener_that_is_removed_serves_its_connections_to_their_end_and_its_counts_stay() {
    let daemon = Daemon::with(|plan| {
        for name in ["default", "second"] {
            let service = plan.service(name);
            plan.settings.listeners.push(Listener::new("127.0.0.1:0".parse().unwrap(), service));
        }
    });
    let [first, second] = daemon.addresses()[..] else { panic!("two addresses") };
    let mut client = Client::connect(second);
    client.send("hello").expect("HELLO");
    daemon.control().apply(steps(first, &["lowercase"])).unwrap();
    assert!(TcpStream::connect(second).is_err());
    client.send("Still").expect("STILL");
    let report = daemon.control().report();
    assert_eq!(report.listeners.len(), 2);
    assert!(report.listeners[1].addresses.is_empty() && report.listeners[1].totals.open() == 1);
    drop((client, report));
    eventually("nothing is left of it", || daemon.control().report().listeners.len() == 1);
    let totals = daemon.control().totals();
    assert_eq!((totals.accepted, totals.bytes_in, totals.open()), (1, 10, 0));
}

#[test]
fn a_live_connection_can_be_told_who_it_is_though_nobody_knew_before() {
    let lines = |plan: &mut Plan| plan.framing = "line";
    let daemon = Daemon::with(lines);
    let mut client = daemon.connect();
    client.send("a\n").expect("A\n");
    let (own, there) = (client.0.local_addr().unwrap(), daemon.addresses()[0]);
    let whoami = settings("127.0.0.1:0", |plan| {
        lines(plan);
        plan.steps = vec!["whoami"];
    });
    daemon.control().apply(whoami).unwrap();
    all_have_gone_over(&daemon);
    client.send("b\n").expect(format!("peer={own} local={there} listener=default host="));
}

#[test]
fn reads_may_grow_after_a_reload() {
    let daemon = Daemon::with(|plan| plan.limits.buffer_size_max = 1024);
    let mut client = daemon.connect();
    client.send("a").expect("A");
    daemon.control().apply(settings("127.0.0.1:0", |plan| plan.limits.buffer_size_max = 1 << 20)).unwrap();
    all_have_gone_over(&daemon);
    let text = "x".repeat(5_000_000);
    assert!(client.exchange(&text) == text.to_uppercase().into_bytes());
}

/// r-port0: a reload that changed nothing gave one listener's port to another.
#[test]
fn each_listener_keeps_the_port_that_was_chosen_for_it() {
    let three = |names: &[&'static str]| {
        let mut settings = Plan::new().settings;
        for name in names {
            let mut plan = Plan::new();
            plan.steps = if *name == "b" { vec!["lowercase"] } else { vec!["uppercase"] };
            settings.listeners.push(Listener::new("127.0.0.1:0".parse().unwrap(), plan.service(name)));
        }
        settings
    };
    let daemon = Daemon::with(|plan| plan.settings = three(&["a", "b", "c"]));
    let [a, b, c] = daemon.addresses()[..] else { panic!("three addresses") };
    daemon.control().apply(three(&["a", "b", "c"])).unwrap();
    assert_eq!(daemon.addresses(), [a, b, c]);
    daemon.control().apply(three(&["c", "b"])).unwrap();
    assert_eq!(daemon.addresses(), [c, b]);
    Client::connect(b).send("Hello").expect("hello");
}

/// r-leaving: with all places taken, the removed address was taken for another process's.
#[test]
fn an_address_that_was_removed_while_all_places_were_taken_can_come_back() {
    let one = |address: SocketAddr| settings(address, |plan| plan.settings.max_connections = NonZero::new(1));
    let (first, second) = (free_port(), free_port());
    let daemon = Daemon::with(|plan| plan.settings = one(first));
    let mut client = daemon.connect();
    client.send("a").expect("A");
    // it makes the acceptor see that there is no place
    let mut waiting = Client::connect(first);
    waiting.send("b");
    daemon.control().apply(one(second)).unwrap();
    daemon.control().apply(one(first)).unwrap();
    assert_eq!(daemon.addresses(), [first]);
    drop(client);
    waiting.expect("B");
}

/// r-waits: a client that hangs in half a message was out of reach of a limit that a reload had set.
#[test]
fn a_limit_reaches_connections_that_hang_in_half_a_message() {
    let lines = |wait: Option<Duration>| {
        settings("127.0.0.1:0", |plan| {
            plan.framing = "line";
            plan.limits.message_timeout = wait;
        })
    };
    let daemon = Daemon::with(|plan| plan.settings = lines(None));
    let mut client = daemon.connect();
    client.send("one\nhalf").expect("ONE\n");
    daemon.control().apply(lines(Some(Duration::from_millis(50)))).unwrap();
    client.rest();
    eventually("it was told why", || daemon.closed(EndReason::MessageTimeout) == 1);
}

/// r-room: a client that was accepted with larger reads, by a worker that had not heard of them yet, was
/// taken for one that had ended its input.
#[test]
fn clients_who_come_while_reads_grow_are_answered() {
    let daemon = Daemon::with(|plan| plan.workers(2));
    let (address, done) = (daemon.addresses()[0], AtomicBool::new(false));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !done.load(Relaxed) {
                    Client::connect(address).send("a").expect("A");
                }
            });
        }
        for round in 1..=200 {
            let larger = settings("127.0.0.1:0", |plan| {
                plan.limits.buffer_size_max = 64 * 1024 + round;
                plan.limits.buffer_size = plan.limits.buffer_size_max;
            });
            daemon.control().apply(larger).unwrap();
        }
        done.store(true, Relaxed);
    });
}

#[test]
fn fewer_places_keep_those_who_have_one_and_more_let_those_in_who_wait() {
    let daemon = Daemon::start();
    let mut clients = [daemon.connect(), daemon.connect()];
    for client in &mut clients {
        client.send("a").expect("A");
    }
    let places = |n| settings("127.0.0.1:0", |plan| plan.settings.max_connections = NonZero::new(n));
    daemon.control().apply(places(1)).unwrap();
    let mut third = daemon.connect();
    third.send("third");
    for client in &mut clients {
        client.send("b").expect("B");
    }
    daemon.control().apply(places(3)).unwrap();
    third.expect("THIRD");
}

#[test]
fn a_daemon_that_stops_takes_no_other_settings() {
    let daemon = Daemon::start();
    daemon.control().drain();
    assert!(matches!(daemon.control().apply(steps("127.0.0.1:0", &[])), Err(Refused::Stopping)));
}

#[test]
fn one_connection_can_be_ended_by_its_number() {
    let daemon = Daemon::start();
    let mut clients = [daemon.connect(), daemon.connect()];
    for client in &mut clients {
        client.send("a").expect("A");
    }
    let listed = daemon.control().connections();
    let id =
        listed.iter().find(|one| one.peer.to_string() == clients[0].0.local_addr().unwrap().to_string()).unwrap().id;
    assert!(daemon.control().kill(id));
    assert_eq!(clients[0].rest(), b"");
    clients[1].send("b").expect("B");
    assert!(!daemon.control().kill(id), "it is gone");
    assert_eq!(daemon.closed(EndReason::Killed), 1);
}

/// Streams and new connections all the while, over two ports in turn: no byte is lost, and nobody is
/// refused.
#[test]
fn a_hundred_reloads_lose_nothing_and_refuse_nobody() {
    let daemon = Daemon::with(|plan| plan.workers(2));
    let address = daemon.addresses()[0];
    let moving = [free_port(), free_port()];
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for nth in 0..20 {
            let done = &done;
            scope.spawn(move || {
                let mut client = Client::connect(address);
                let mut round = 0;
                while !done.load(Relaxed) {
                    let text = format!("stream {nth} straße {round} {}", "x".repeat(round % 3000));
                    client.send(&text).expect(text.to_uppercase());
                    round += 1;
                }
                assert!(round > 10);
            });
        }
        scope.spawn(|| {
            while !done.load(Relaxed) {
                let mut client = Client::connect(address);
                client.send("new").finish();
                assert_eq!(client.rest(), b"NEW");
            }
        });
        let begun = Instant::now();
        for round in 0u32..100 {
            let mut settings = steps(address, &["uppercase", "echo"][..1 + round as usize % 2]);
            let second =
                Listener::new(moving[round as usize % 2].to_string().parse().unwrap(), Plan::new().service("second"));
            settings.listeners.push(second);
            daemon.control().apply(settings).unwrap();
            let next = begun + Duration::from_millis(10) * (round + 1);
            thread::park_timeout(next.saturating_duration_since(Instant::now()));
        }
        done.store(true, Relaxed);
    });
    daemon.control().apply(steps(address, &["uppercase"])).unwrap();
    eventually("all have gone", || daemon.control().open() == 0);
    assert_eq!(daemon.control().totals().closed[EndReason::ClientReset as usize], 0);
}
