use crate::harness::{Client, Daemon, eventually};
use shoutd::session::EndReason;
use std::net::TcpStream;
use std::time::{Duration, Instant};

#[test]
fn whoever_connected_before_the_stop_is_answered() {
    for _ in 0..20 {
        let daemon = Daemon::with(|plan| plan.settings.drain.idle = Duration::from_millis(500));
        let mut clients: Vec<Client> = (0..50).map(|_| daemon.connect()).collect();
        daemon.server().drain();
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
    daemon.server().drain();
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
    daemon.server().drain();
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
    daemon.server().drain();
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
    daemon.server().drain();
    assert_eq!(client.rest(), b"");
    eventually("it is counted", || daemon.closed(EndReason::DrainDeadline) == 1);
}

#[test]
fn a_stop_at_once_waits_for_nobody() {
    let daemon = Daemon::with(|plan| plan.settings.drain.idle = Duration::from_secs(10));
    let mut client = daemon.connect();
    client.send("hello").expect("HELLO");
    daemon.server().drain();
    daemon.server().stop();
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
    daemon.server().drain();
    for client in &mut clients {
        assert_eq!(client.rest(), b"");
    }
    let waited = begun.elapsed();
    assert!(waited >= Duration::from_millis(450), "the last of ten closes late: {waited:?}");
}
