use crate::harness::{Client, Daemon, eventually};
use shoutd::session::EndReason;
use std::io::{ErrorKind, Read, Write};
use std::num::NonZero;
use std::time::{Duration, Instant};

#[test]
fn a_silent_client_is_closed_after_idle_timeout_and_not_before() {
    let timeout = Duration::from_millis(300);
    let daemon = Daemon::with(|plan| plan.limits.idle_timeout = Some(timeout));
    let mut client = daemon.connect();
    client.send("hello").expect("HELLO");
    let quiet = Instant::now();
    assert_eq!(client.rest(), b"");
    let waited = quiet.elapsed();
    assert!(waited + Duration::from_millis(5) >= timeout && waited < timeout + Duration::from_secs(1), "{waited:?}");
    eventually("it is counted", || daemon.closed(EndReason::IdleTimeout) == 1);
}

#[test]
fn a_line_that_never_ends_is_not_waited_for() {
    let daemon = Daemon::with(|plan| {
        plan.framing = "line";
        plan.limits.message_timeout = Some(Duration::from_millis(100));
    });
    let mut client = daemon.connect();
    client.send("whole\nbegun").expect("WHOLE\n");
    assert_eq!(client.rest(), b"");
    drop(client);
    eventually("it is counted", || daemon.closed(EndReason::MessageTimeout) == 1);
}

#[test]
fn half_a_character_is_given_back_when_its_rest_does_not_come() {
    let daemon = Daemon::with(|plan| plan.limits.message_timeout = Some(Duration::from_millis(100)));
    let mut client = daemon.connect();
    client.send(b"a\xE2\x82").expect(b"A\xE2\x82");
    client.send("still here").expect("STILL HERE");
}

#[test]
fn a_client_that_does_not_read_is_neither_read_nor_kept() {
    let daemon = Daemon::with(|plan| plan.limits.write_timeout = Some(Duration::from_millis(300)));
    let mut client = daemon.connect();
    client.0.set_nonblocking(true).unwrap();
    let chunk = vec![b'x'; 64 * 1024];
    let mut sent = 0_u64;
    eventually("it is closed", || {
        match client.0.write(&chunk) {
            Ok(n) => sent += n as u64,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return true,
        }
        daemon.closed(EndReason::WriteTimeout) == 1
    });
    // what was read and not sent is one turn's answer at most
    let totals = daemon.control().totals();
    assert!(totals.bytes_in <= totals.bytes_out + 64 * 1024, "{totals:?}");
    assert!(totals.bytes_in <= sent);
}

#[test]
fn a_reader_that_pauses_loses_nothing() {
    let daemon = Daemon::start();
    let mut client = daemon.connect();
    let text = "read me later\n".repeat(400_000);
    let mut sender = client.0.try_clone().unwrap();
    let sent = text.clone();
    let sending = std::thread::spawn(move || {
        sender.write_all(sent.as_bytes()).unwrap();
        sender.shutdown(std::net::Shutdown::Write).unwrap();
    });
    let stalled = || daemon.control().totals().bytes_in;
    let mut last = 0;
    eventually("the daemon stops reading", || {
        let now = stalled();
        let same = now > 0 && now == last;
        last = now;
        same && now < text.len() as u64
    });
    assert!(client.rest() == text.to_uppercase().into_bytes());
    sending.join().unwrap();
}

#[test]
fn those_over_the_limit_wait_in_the_backlog() {
    let daemon = Daemon::with(|plan| plan.settings.max_connections = NonZero::new(2));
    let mut first = daemon.connect();
    let mut second = daemon.connect();
    first.send("one").expect("ONE");
    second.send("two").expect("TWO");
    let mut third = daemon.connect();
    third.send("three");
    third.0.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let early = third.0.read(&mut [0; 8]).unwrap_err();
    assert!(matches!(early.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
    third.0.set_read_timeout(Some(crate::harness::PATIENCE)).unwrap();
    drop(first);
    third.expect("THREE");
}

#[test]
fn a_limit_that_the_system_cannot_give_is_refused() {
    use shoutd::server::{Refused, Server, Settings};
    let mut settings = Settings::new(Vec::new());
    settings.max_connections = NonZero::new(usize::MAX);
    assert!(matches!(Server::start(settings), Err(Refused::TooManyConnections { .. })));
}

/// r-full: a place that was given back while the acceptor was awake and full was never taken again.
#[test]
fn a_place_that_is_given_back_is_taken_again_at_whatever_moment() {
    let daemon = Daemon::with(|plan| plan.settings.max_connections = NonZero::new(2));
    let address = daemon.addresses()[0];
    let crowd: Vec<_> = (0..8)
        .map(|_| {
            std::thread::spawn(move || {
                for _ in 0..500 {
                    Client::connect(address).send("hello").expect("HELLO");
                }
            })
        })
        .collect();
    for client in crowd {
        client.join().unwrap();
    }
}

/// r-begun: the time in which we read nothing counted against the client, and the character that the
/// last read had cut was given back as bytes that are no text.
#[test]
fn a_character_cut_before_a_pause_in_reading_stays_whole() {
    let daemon = Daemon::with(|plan| {
        plan.limits.buffer_size_max = 1023; // an odd number cuts a character in two, each time
        plan.limits.buffer_size = 1023;
        plan.limits.message_timeout = Some(Duration::from_millis(50));
    });
    let mut client = daemon.connect();
    let text = "é".repeat(4_000_000);
    let mut sender = Client(client.0.try_clone().unwrap());
    let sent = text.clone();
    let sending = std::thread::spawn(move || {
        sender.send(&sent).finish();
    });
    let mut last = 0;
    eventually("the daemon stops reading", || {
        let now = daemon.control().totals().bytes_in;
        let same = now > 0 && now == last;
        last = now;
        // for longer than a message may take
        std::thread::sleep(Duration::from_millis(100));
        same
    });
    assert!(client.rest() == text.to_uppercase().into_bytes());
    sending.join().unwrap();
}
