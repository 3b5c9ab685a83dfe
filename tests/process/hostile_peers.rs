use crate::common::ports::{Port, connected, unread};
use crate::harness::{PATIENCE, Process, ask, eventually};
use crate::links::{accept, config, dialled, expect, listen, say};
use rustix::net::sockopt;
use rustix::process::Signal;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

/// A daemon with one peer, which the test plays.
fn linked(more: &str) -> (Process, std::net::TcpListener, TcpStream, [Port; 2]) {
    let (own, peer) = (Port::new(), Port::new());
    let listener = listen(&peer);
    let process = Process::start(&config(&own, more, &[("hostile", peer.address().to_string())]));
    let (stream, from) = accept(&listener);
    assert_eq!(from, own.address());
    (process, listener, stream, [own, peer])
}

/// It serves whoever comes, and ends well.
fn is_well(process: Process, ports: &[Port; 2]) {
    assert_eq!(ask(ports[0].address(), "hello"), "HELLO");
    process.end();
}

/// So that closing is a reset.
fn reset(stream: TcpStream) {
    sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
    drop(stream);
}

/// Writes until the other end takes no more for a while, and gives how much that was.
fn fill(stream: &mut TcpStream, text: &[u8], most: usize) -> usize {
    stream.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    let mut sent = 0;
    while sent < most {
        match stream.write(text) {
            Ok(count) => sent += count,
            Err(error)
                if [ErrorKind::WouldBlock, ErrorKind::ConnectionReset, ErrorKind::BrokenPipe]
                    .contains(&error.kind()) =>
            {
                break;
            }
            Err(error) => panic!("{error}"),
        }
    }
    sent
}

#[test]
fn garbage_for_an_answer_is_answered_and_harms_nobody() {
    let (process, _listener, mut peer, ports) = linked("greeting = \"Hello\"");
    expect(&mut peer, "Hello");
    // its last byte is no beginning of a character, which would be waited for
    let bytes = (0..1000u32).map(|nth| nth.wrapping_mul(2_654_435_761).to_be_bytes()[0] | 0x80);
    let garbage: Vec<u8> = bytes.chain([b'!']).collect();
    peer.write_all(&garbage).unwrap();
    let mut came = vec![0; garbage.len()];
    peer.read_exact(&mut came).unwrap();
    assert!(came == garbage, "what is no text comes back as it is");
    say(&mut peer, "\x1b[2J\r\n\0");
    expect(&mut peer, "\x1b[2J\r\n\0");
    assert_eq!(process.peer("hostile")["state"], "linked");
    drop(peer);
    is_well(process, &ports);
}

/// An answer of any size and any bytes is one harmless line of the log.
#[test]
fn an_answer_that_is_logged_can_neither_forge_a_line_nor_fill_the_log() {
    let text = "x".repeat(3000);
    let (process, _listener, mut peer, ports) = linked(&format!("greeting = \"\\u001B[2J\\n{text}\""));
    expect(&mut peer, &format!("\x1b[2J\n{text}"));
    say(&mut peer, &format!("\x1b[2J\n{}", text.to_uppercase()));
    let told = process.await_told("hostile", "answered", 1);
    assert!(told["answer"].as_str().unwrap().len() < 1000, "{told}");
    let lines = process.said();
    assert!(!lines.iter().any(|line| line.contains(char::is_control)), "{lines:?}");
    drop(peer);
    is_well(process, &ports);
}

#[test]
fn a_peer_that_floods_costs_little_memory_and_loses_no_answer() {
    const FLOOD: usize = 4 << 20;
    let (process, _listener, mut peer, ports) = linked("");
    let before = process.resident_kib();
    let mut reader = peer.try_clone().unwrap();
    let begun = Instant::now();
    let reading = thread::spawn(move || {
        let (mut count, mut buffer) = (0, vec![0; 1 << 16]);
        while count < FLOOD {
            let came = reader.read(&mut buffer).unwrap();
            assert!(came > 0 && buffer[..came].iter().all(|byte| *byte == b'X'), "after {count} bytes");
            count += came;
        }
    });
    let text = vec![b'x'; 1 << 16];
    for _ in 0..FLOOD / text.len() {
        peer.write_all(&text).unwrap();
    }
    // a client who comes meanwhile waits for none of it
    assert_eq!(ask(ports[0].address(), "hello"), "HELLO");
    reading.join().unwrap();
    let grown = process.resident_kib() - before;
    assert!(grown < 8 << 10, "memory grew by {grown} KiB");
    println!("{FLOOD} bytes took {:?}", begun.elapsed());
    assert_eq!(process.peer("hostile")["state"], "linked");
    drop(peer);
    is_well(process, &ports);
}

#[test]
fn a_peer_that_never_reads_is_let_go_and_dialled_again() {
    // keys of the listener come before all tables
    let (own, port) = (Port::new(), Port::new());
    let listener = listen(&port);
    let base = config(&own, "", &[("hostile", port.address().to_string())]);
    let process = Process::start(&format!("{base}[limits]\nwrite_timeout = \"500ms\"\n"));
    let (mut peer, _) = accept(&listener);
    let before = process.resident_kib();
    let sent = fill(&mut peer, &[b'x'; 1 << 16], 64 << 20);
    assert!(sent < 64 << 20, "it reads what it cannot answer");
    assert_eq!(process.await_told("hostile", "link ended", 1)["reason"], "write_timeout");
    let grown = process.resident_kib() - before;
    assert!(grown < 8 << 10, "memory grew by {grown} KiB");
    let (mut again, _) = accept(&listener);
    say(&mut again, "hello");
    expect(&mut again, "HELLO");
    drop((peer, again));
    is_well(process, &[own, port]);
}

#[test]
fn a_peer_that_resets_each_link_is_tried_again_and_again_ever_more_rarely() {
    let (own, port) = (Port::new(), Port::new());
    let listener = listen(&port);
    let config = config(&own, "", &[("hostile", port.address().to_string())]);
    let config = config.replace("200ms", "10s").replace("[log]", "[log]\nlevel = \"debug\"");
    let process = Process::start(&config);
    let (begun, mut dials) = (Instant::now(), 0);
    // 30 ms would be the mean wait if the ceiling did not grow
    while begun.elapsed() < Duration::from_secs(4) {
        if let Some(stream) = dialled(&listener) {
            dials += 1;
            if dials % 2 == 0 { reset(stream) } else { drop(stream) }
        }
        thread::park_timeout(Duration::from_millis(1));
    }
    assert!((3..=20).contains(&dials), "{dials} dials in 4 s");
    // some were reset before they were links
    let failures = || [process.told_of("hostile", "link ended"), process.told_of("hostile", "no link")].concat();
    eventually("it tells of each", || failures().len() >= dials);
    let mut failures = failures();
    failures.sort_by(|a, b| a["time"].as_str().cmp(&b["time"].as_str()));
    let mut ceiling = 0.06;
    for failure in failures {
        let wait = failure["next_try_seconds"].as_f64().unwrap();
        assert!(wait <= ceiling + 0.001, "{failure} is later than {ceiling} s");
        ceiling = (ceiling * 2.0_f64).min(10.0);
    }
    is_well(process, &[own, port]);
}

/// Each link is one line when it comes and one when it goes, however quickly it does.
#[test]
fn a_peer_that_refuses_is_told_of_once_however_often_it_dialled() {
    let (own, port) = (Port::new(), Port::new());
    let process = Process::start(&config(&own, "", &[("b", port.address().to_string())]));
    let refused = || process.peer("b")["dials"]["refused"].as_u64().unwrap();
    eventually("it was dialled ten times", || refused() >= 10);
    assert_eq!(process.told_of("b", "no link").len(), 1, "{:?}", process.said());
    let peer = process.peer("b");
    assert_eq!(peer["why"], "connection refused");
    is_well(process, &[own, port]);
}

/// The message is on its way when the peer dies: half of it is taken, and there will be no answer.
#[test]
fn a_peer_killed_in_the_middle_of_a_message_is_told_to_who_asked_and_comes_back() {
    let (a, b) = (Port::new(), Port::new());
    let first = Process::start(&config(&a, "", &[("b", b.address().to_string())]));
    let mut second = Process::start(&config(&b, "", &[]));
    first.await_peer("b", "linked");
    second.kill(Signal::STOP);
    let text = "x".repeat(60_000);
    thread::scope(|scope| {
        let asking = scope.spawn(|| first.shoutd(&["send", "b", &text]));
        eventually("the message is under way", || unread(b.number, a.number) > 0);
        second.kill(Signal::KILL);
        second.wait();
        let output = asking.join().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stdout.is_empty(), "no part of an answer is one");
    });
    first.await_told("b", "link ended", 1);
    let third = Process::start(&config(&b, "", &[]));
    first.await_peer("b", "linked");
    assert_eq!(first.send("b", "hello"), "HELLO");
    assert_eq!(connected(a.number, b.number), 1);
    first.end();
    third.end();
}

/// A link that nobody uses is kept longer than a client's would be.
#[test]
fn a_silent_peer_is_kept() {
    let (own, port) = (Port::new(), Port::new());
    let listener = listen(&port);
    let base = config(&own, "", &[("quiet", port.address().to_string())]);
    let process = Process::start(&format!("{base}[limits]\nidle_timeout = \"100ms\"\n"));
    let (mut peer, _) = accept(&listener);
    let mut client = crate::harness::connect(own.address());
    // the client's time runs from later than the link's
    assert_eq!(client.read(&mut [0]).unwrap(), 0, "the client was silent for too long");
    say(&mut peer, "hello");
    expect(&mut peer, "HELLO");
    assert!(dialled(&listener).is_none());
    drop(peer);
    process.end();
}

#[test]
fn a_peer_that_is_asked_and_says_nothing_is_waited_for_no_longer_than_was_said() {
    let (process, _listener, peer, ports) = linked("");
    process.await_peer("hostile", "linked");
    let begun = Instant::now();
    let output = process.shoutd(&["send", "hostile", "hello", "--timeout", "300ms"]);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    assert!((Duration::from_millis(300)..PATIENCE).contains(&begun.elapsed()));
    drop(peer);
    is_well(process, &ports);
}
