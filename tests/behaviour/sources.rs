//! Who is let in, and what becomes of those who are not; sources are addresses of the loopback network.

use crate::harness::{Client, Daemon, PATIENCE, eventually};
use rustix::net::{AddressFamily, SocketType};
use shoutd::framing;
use shoutd::net::blocks::Blocks;
use shoutd::net::entrance::OnLimit;
use shoutd::rates::Rate;
use shoutd::session::{EndReason, Rates};
use shoutd::sources::PerSource;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZero;
use std::time::{Duration, Instant};

/// A client that connects from this address.
fn from(source: &str, daemon: &Daemon) -> Client {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    rustix::net::bind(&socket, &SocketAddr::new(source.parse().unwrap(), 0)).unwrap();
    rustix::net::connect(&socket, &daemon.addresses()[0]).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    Client(stream)
}

fn blocks(texts: &[&str]) -> Blocks {
    texts.iter().map(|text| text.parse::<shoutd::net::blocks::Block>().unwrap()).collect()
}

fn rate(amount: u32, millis: u64) -> Option<Rate> {
    Some(Rate::new(NonZero::new(amount).unwrap(), Duration::from_millis(millis)))
}

/// What a client is told that is not let in.
fn told(mut client: Client) -> String {
    String::from_utf8(client.rest()).unwrap()
}

/// Whether the connection was reset, or closed without a word.
fn is_cut(mut client: Client) -> bool {
    client.0.read_to_end(&mut Vec::new()).is_ok_and(|len| len == 0) || client.0.take_error().is_ok()
}

/// Row 8: a deny list that is only looked at after the first bytes has let them in.
#[test]
fn who_is_denied_is_told_so_and_everybody_else_is_served() {
    let daemon = Daemon::with(|plan| {
        plan.entrance.allow = blocks(&["127.0.0.0/24"]);
        plan.entrance.deny = blocks(&["127.0.0.7"]);
    });
    from("127.0.0.1", &daemon).send("hello").expect("HELLO");
    assert_eq!(told(from("127.0.0.7", &daemon)), "shoutd: 127.0.0.7 may not connect here\n");
    assert_eq!(told(from("127.0.1.1", &daemon)), "shoutd: 127.0.1.1 may not connect here\n");
    eventually("both are counted", || daemon.closed(EndReason::Denied) == 2);
    assert_eq!(daemon.control().totals().bytes_in, 5);
}

/// Row 6: one client with many connections kept all others out.
#[test]
fn a_source_has_as_many_connections_as_it_may_and_two_hundred_others_have_theirs() {
    let daemon = Daemon::with(|plan| plan.entrance.per_source.connections = Some(2));
    let mut first = from("127.0.0.1", &daemon);
    let mut second = from("127.0.0.1", &daemon);
    first.send("one").expect("ONE");
    second.send("two").expect("TWO");
    let third = from("127.0.0.1", &daemon);
    assert_eq!(told(third), "shoutd: 127.0.0.1 has as many connections as it may have: 2\n");
    let mut others: Vec<_> = (1..=200).map(|n| from(&format!("127.0.1.{n}"), &daemon)).collect();
    for other in &mut others {
        other.send("hello").expect("HELLO");
    }
    assert_eq!(daemon.control().report().listeners[0].sources, 201);
    drop(first);
    eventually("one is over", || daemon.closed(EndReason::ClientFin) == 1);
    from("127.0.0.1", &daemon).send("three").expect("THREE");
    assert_eq!(daemon.closed(EndReason::LimitSource), 1);
}

#[test]
fn what_is_told_is_not_destroyed_by_what_the_client_sends_meanwhile() {
    let daemon = Daemon::with(|plan| plan.entrance.per_source.connections = Some(1));
    let mut first = from("127.0.0.1", &daemon);
    first.send("hello").expect("HELLO");
    for _ in 0..20 {
        let mut client = from("127.0.0.1", &daemon);
        client.send(vec![b'x'; 60_000]);
        assert!(told(client).starts_with("shoutd: 127.0.0.1 has as many"));
    }
}

#[test]
fn who_comes_too_often_is_told_and_may_come_again_later() {
    let daemon = Daemon::with(|plan| plan.entrance.per_source.arrivals = rate(2, 400));
    for _ in 0..2 {
        from("127.0.0.1", &daemon).send("hello").expect("HELLO");
    }
    assert_eq!(told(from("127.0.0.1", &daemon)), "shoutd: 127.0.0.1 connects too often; try again later\n");
    from("127.0.0.2", &daemon).send("hello").expect("HELLO");
    eventually("it may again", || {
        let mut client = from("127.0.0.1", &daemon);
        client.send("hello").finish();
        client.0.read_to_end(&mut Vec::new()).is_ok_and(|len| len == 5)
    });
}

#[test]
fn with_reset_nobody_is_told_anything() {
    let daemon = Daemon::with(|plan| {
        plan.entrance.per_source.connections = Some(1);
        plan.entrance.on_limit = OnLimit::Reset;
    });
    let mut first = from("127.0.0.1", &daemon);
    first.send("hello").expect("HELLO");
    assert!(is_cut(from("127.0.0.1", &daemon)));
    eventually("it is counted", || daemon.closed(EndReason::LimitSource) == 1);
    assert_eq!(daemon.control().open(), 1, "its place is free");
}

#[test]
fn with_wait_they_are_served_when_their_source_may_have_one_more() {
    let daemon = Daemon::with(|plan| {
        plan.entrance.per_source = PerSource { connections: Some(1), arrivals: None };
        plan.entrance.on_limit = OnLimit::Wait;
    });
    let mut first = from("127.0.0.1", &daemon);
    first.send("hello").expect("HELLO");
    let mut waiting: Vec<_> = (0..3).map(|_| from("127.0.0.1", &daemon)).collect();
    for client in &mut waiting {
        client.send("later");
    }
    from("127.0.0.2", &daemon).send("other").expect("OTHER");
    assert_eq!(daemon.control().totals().bytes_in, 10, "nothing of those who wait is read");
    drop(first);
    for mut client in waiting {
        client.expect("LATER");
    }
    assert_eq!(daemon.closed(EndReason::LimitSource), 0);
}

/// Those who waited had a place each, so that one source kept all others out; and the dead among them were kept, too.
#[test]
fn who_waits_takes_no_place_and_who_goes_meanwhile_is_forgotten() {
    let daemon = Daemon::with(|plan| {
        plan.settings.max_connections = NonZero::new(3);
        plan.entrance.per_source.connections = Some(1);
        plan.entrance.on_limit = OnLimit::Wait;
    });
    let waiting = || daemon.control().accept_counters().waiting.get();
    let mut first = from("127.0.0.1", &daemon);
    first.send("hello").expect("HELLO");
    let gone: Vec<_> = (0..16).map(|_| from("127.0.0.1", &daemon)).collect();
    eventually("they wait", || waiting() == 16);
    for source in ["127.0.0.2", "127.0.0.3"] {
        from(source, &daemon).send("other").expect("OTHER");
    }
    drop(gone);
    eventually("they are gone", || waiting() == 0);
    let mut stays = from("127.0.0.1", &daemon);
    stays.send("me").finish();
    eventually("it waits", || waiting() == 1);
    drop(first);
    assert_eq!(stays.rest(), b"ME");
}

#[test]
fn who_waits_when_the_daemon_stops_is_served() {
    let daemon = Daemon::with(|plan| {
        plan.entrance.per_source.connections = Some(1);
        plan.entrance.on_limit = OnLimit::Wait;
    });
    let mut first = from("127.0.0.1", &daemon);
    first.send("hello").expect("HELLO");
    let mut second = from("127.0.0.1", &daemon);
    second.send("last").finish();
    eventually("it waits", || daemon.control().accept_counters().waiting.get() == 1);
    daemon.control().drain();
    assert_eq!(second.rest(), b"LAST");
}

#[test]
fn under_a_framing_with_lengths_nothing_is_told_that_would_be_no_frame() {
    let daemon = Daemon::with(|plan| {
        plan.framing = "length32";
        plan.framed = framing::Options::default();
        plan.entrance.deny = blocks(&["127.0.0.0/8"]);
    });
    assert!(is_cut(from("127.0.0.1", &daemon)));
    eventually("it is counted", || daemon.closed(EndReason::Denied) == 1);
}

/// A flood of those who are refused must neither take the places of others nor be told by a worker each.
#[test]
fn a_flood_of_refused_clients_takes_no_place_of_anybody() {
    let daemon = Daemon::with(|plan| {
        plan.settings.max_connections = NonZero::new(4);
        plan.entrance.deny = blocks(&["127.0.0.9"]);
    });
    // they neither read nor end
    let flood: Vec<_> = (0..100).map(|_| from("127.0.0.9", &daemon)).collect();
    let mut served: Vec<_> = (0..4).map(|_| from("127.0.0.1", &daemon)).collect();
    for client in &mut served {
        client.send("hello").expect("HELLO");
    }
    eventually("all of them are refused", || daemon.closed(EndReason::Denied) == 100);
    drop(flood);
}

#[test]
fn messages_of_one_connection_are_slowed_to_their_rate_and_all_are_answered() {
    let daemon = Daemon::with(|plan| {
        plan.framing = "line";
        plan.limits.rates = Rates { messages: rate(10, 100), ..Rates::default() };
    });
    let mut slow = daemon.connect();
    let begun = Instant::now();
    slow.send("x\n".repeat(40)).finish();
    assert_eq!(slow.rest(), "X\n".repeat(40).as_bytes());
    assert!(begun.elapsed() >= Duration::from_millis(295), "{:?}", begun.elapsed());
    assert!(daemon.control().totals().slowed >= 3);
    assert_eq!(daemon.closed(EndReason::ClientFin), 1);
}

#[test]
fn bytes_of_all_connections_of_a_source_are_slowed_together_and_those_of_others_are_not() {
    let daemon = Daemon::with(|plan| {
        plan.limits.rates = Rates { source_bytes: rate(4_000, 100), ..Rates::default() };
    });
    let begun = Instant::now();
    let both: Vec<_> = (0..2)
        .map(|_| {
            let mut client = from("127.0.0.1", &daemon);
            std::thread::spawn(move || assert_eq!(client.exchange(&"x".repeat(10_000)).len(), 10_000))
        })
        .collect();
    let mut other = from("127.0.0.2", &daemon);
    assert_eq!(other.exchange(&"x".repeat(4_000)).len(), 4_000);
    for client in both {
        client.join().unwrap();
    }
    assert!(begun.elapsed() >= Duration::from_millis(395), "{:?}", begun.elapsed());
}

#[test]
fn when_places_become_few_those_who_have_spoken_come_first() {
    let daemon = Daemon::with(|plan| {
        plan.settings.max_connections = NonZero::new(20);
        plan.entrance.early_refusal = true;
        plan.settings.workers = NonZero::new(1);
    });
    let mut known = from("127.0.0.1", &daemon);
    known.send("hello").expect("HELLO");
    // strangers who say nothing, from many addresses
    let flood: Vec<_> = (0..150).map(|n| from(&format!("127.0.2.{}", n + 1), &daemon)).collect();
    eventually("some of them are refused", || daemon.closed(EndReason::RefusedEarly) > 20);
    let mut again = from("127.0.0.1", &daemon);
    again.send("me").expect("ME");
    drop(flood);
}

#[test]
fn a_connection_ends_after_its_lifetime_with_all_answered() {
    let lifetime = Duration::from_millis(300);
    let daemon = Daemon::with(|plan| plan.limits.max_lifetime = Some(lifetime));
    let begun = Instant::now();
    let mut client = daemon.connect();
    let mut answers: Vec<u8> = Vec::new();
    let mut sent = 0;
    client.0.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    while begun.elapsed() < PATIENCE {
        sent += client.0.write(b"x").unwrap_or(0);
        let mut piece = [0; 64];
        match client.0.read(&mut piece) {
            Ok(0) => break,
            Ok(len) => answers.extend(&piece[..len]),
            Err(_) => {}
        }
    }
    assert!(
        begun.elapsed() + Duration::from_millis(5) >= lifetime && !answers.is_empty() && answers.len() <= sent,
        "{:?}",
        begun.elapsed()
    );
    eventually("it is counted", || daemon.closed(EndReason::MaxLifetime) == 1);
}

/// Row 12: who had sent everything and never read was kept for ever. Its end is not even read while it takes
/// nothing of its answer.
#[test]
fn who_has_ended_and_never_reads_is_cut_off_and_who_has_not_ended_is_not() {
    let daemon = Daemon::with(|plan| {
        plan.limits.half_closed_timeout = Some(Duration::from_millis(200));
        plan.limits.write_timeout = None;
        plan.steps = vec!["hex"; 6];
    });
    let ends = |has_ended: bool| {
        let mut client = daemon.connect();
        client.0.set_nonblocking(true).unwrap();
        // it is sent as far as the buffers go
        let mut sent = 0;
        while sent < 64_000 {
            sent += client.0.write(&[b'x'; 1000]).unwrap_or_default();
        }
        if has_ended {
            client.finish();
        }
        client
    };
    let _stays = ends(false);
    let _is_cut_off = ends(true);
    eventually("it is counted", || daemon.closed(EndReason::HalfClosedTimeout) == 1);
    assert_eq!(daemon.control().open(), 1);
    daemon.control().stop();
}
