use crate::harness::{Client, Daemon, eventually};
use shoutd::net::listener::Buffers;
use shoutd::session::EndReason;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::num::NonZero;
use std::time::{Duration, Instant};

#[test]
fn whoever_connected_before_the_stop_is_answered() {
    for _ in 0..20 {
        let daemon = Daemon::with(|plan| plan.settings.drain.idle = Duration::from_secs(5));
        let mut clients: Vec<Client> = (0..50).map(|_| daemon.connect()).collect();
        daemon.control().drain();
        for client in &mut clients {
            client.send("hello").expect("HELLO");
        }
        drop(clients);
    }
}

#[test]
fn transfers_that_the_stop_finds_under_way_lose_nothing() {
    let daemon = Daemon::with(|plan| plan.settings.drain.timeout = Duration::from_secs(20));
    let text = "under way\n".repeat(100_000);
    let transfers: Vec<_> = (0..20)
        .map(|_| {
            let mut client = daemon.connect();
            client.send("begin").expect("BEGIN");
            let text = text.clone();
            std::thread::spawn(move || client.exchange(&text) == text.to_uppercase().into_bytes())
        })
        .collect();
    daemon.control().drain();
    for transfer in transfers {
        assert!(transfer.join().unwrap());
    }
}

#[test]
fn a_stop_refuses_new_clients_and_closes_quiet_ones_after_drain_idle() {
    let idle = Duration::from_millis(300);
    let daemon = Daemon::with(|plan| plan.settings.drain.idle = idle);
    let mut quiet = daemon.connect();
    quiet.send("hello").expect("HELLO");
    let begun = Instant::now();
    daemon.control().drain();
    let address = daemon.addresses()[0];
    eventually("new clients are refused", || TcpStream::connect(address).is_err());
    assert_eq!(quiet.rest(), b"");
    let waited = begun.elapsed();
    assert!(waited + Duration::from_millis(5) >= idle && waited < idle + Duration::from_secs(2), "{waited:?}");
    eventually("it has ended", || daemon.server().running() == 0);
    assert_eq!(daemon.closed(EndReason::Drained), 1);
}

#[test]
fn a_line_that_has_only_begun_is_answered_when_the_stop_ends_it() {
    let daemon = Daemon::with(|plan| plan.framing = "line");
    let mut client = daemon.connect();
    client.send("one\ntw").expect("ONE\n");
    daemon.control().drain();
    assert_eq!(client.rest(), b"TW");
}

#[test]
fn a_client_that_is_never_done_is_closed_at_the_deadline() {
    let daemon = Daemon::with(|plan| {
        plan.settings.drain.idle = Duration::from_secs(10);
        plan.settings.drain.timeout = Duration::from_millis(300);
    });
    let mut client = daemon.connect();
    client.send("hello").expect("HELLO");
    daemon.control().drain();
    assert_eq!(client.rest(), b"");
    eventually("it is counted", || daemon.closed(EndReason::DrainDeadline) == 1);
}

#[test]
fn a_stop_at_once_waits_for_nobody() {
    let daemon = Daemon::with(|plan| plan.settings.drain.idle = Duration::from_secs(10));
    let mut client = daemon.connect();
    client.send("hello").expect("HELLO");
    daemon.control().drain();
    daemon.control().stop();
    assert_eq!(client.rest(), b"");
    eventually("it has ended", || daemon.server().running() == 0);
    assert_eq!(daemon.closed(EndReason::Stopped), 1);
}

#[test]
fn closings_are_spread() {
    let daemon = Daemon::with(|plan| {
        plan.workers(1);
        plan.settings.drain.idle = Duration::from_millis(50);
        plan.settings.drain.spread = Duration::from_millis(500);
    });
    let mut clients: Vec<Client> = (0..10).map(|_| daemon.connect()).collect();
    for client in &mut clients {
        client.send("hello").expect("HELLO");
    }
    let begun = Instant::now();
    daemon.control().drain();
    for client in &mut clients {
        assert_eq!(client.rest(), b"");
    }
    let waited = begun.elapsed();
    assert!(waited >= Duration::from_millis(450), "the last of ten closes late: {waited:?}");
}

/// r-drain-full: a stop waited for the backlog before it told the workers, so with all places taken
/// by silent clients nobody left, and whoever waited was reset at the deadline.
#[test]
fn a_stop_with_all_places_taken_serves_those_who_wait() {
    let daemon = Daemon::with(|plan| plan.settings.max_connections = NonZero::new(1));
    let mut silent = daemon.connect();
    silent.send("hello").expect("HELLO");
    let mut waiting: Vec<Client> = (0..3).map(|_| daemon.connect()).collect();
    for client in &mut waiting {
        client.send("waited");
    }
    daemon.control().drain();
    for client in &mut waiting {
        assert_eq!(client.rest(), b"WAITED");
    }
    assert_eq!(silent.rest(), b"");
}

/// r-late: "quiet" did not mind what the kernel still had to deliver, and one more byte from the client
/// made it a reset.
#[test]
fn an_answer_still_under_way_is_not_cut_off_by_a_late_byte() {
    // less than half of what the client takes, and longer than a busy machine lets it wait
    let daemon = Daemon::with(|plan| {
        plan.settings.drain.idle = Duration::from_millis(400);
        // all of it under way
        plan.socket.buffers = Buffers { receive: None, send: None, unsent: None };
    });
    let mut client = daemon.connect();
    let text = "x".repeat(1_500_000);
    let mut sender = Client(client.0.try_clone().unwrap());
    let sent = text.clone();
    std::thread::spawn(move || sender.0.write_all(sent.as_bytes()).unwrap()).join().unwrap();
    eventually("all is answered, as far as the daemon can", || daemon.control().totals().bytes_out == 1_500_000);
    daemon.control().drain();
    let mut answer = Vec::new();
    while answer.len() < 1_500_000 {
        if answer.len() == 750_000 {
            client.send("y");
        }
        let mut piece = vec![0; 25_000];
        client.0.read_exact(&mut piece).unwrap();
        answer.extend(piece);
        // a slow client is what this is about
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(client.rest(), b"Y");
}

#[test]
fn two_orders_at_once_are_no_riddle() {
    for _ in 0..20 {
        let daemon = Daemon::start();
        let clients: Vec<Client> = (0..50).map(|_| daemon.connect()).collect();
        daemon.control().drain();
        daemon.control().stop();
        eventually("it has ended", || daemon.server().running() == 0);
        drop(clients);
    }
}
