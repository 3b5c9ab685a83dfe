use crate::harness::{Process, SOMEWHERE, ask, connect};
use rustix::process::Signal;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

#[test]
fn ctrl_c_with_one_silent_client_ends_in_about_a_second() {
    for signal in [Signal::INT, Signal::TERM] {
        let mut process = Process::start(SOMEWHERE);
        let mut silent = connect(process.address());
        ask(process.address(), "hello");
        let begun = Instant::now();
        process.kill(signal);
        assert_eq!(process.wait().code(), Some(0));
        let took = begun.elapsed();
        assert!(took > Duration::from_millis(900) && took < Duration::from_secs(3), "{took:?}");
        assert_eq!(silent.read(&mut [0; 8]).unwrap(), 0, "it is told by FIN");
        process.await_line("stopped: 2 connections served, 1 client_fin, 1 drained; 5 bytes in, 5 out");
    }
}

#[test]
fn a_second_signal_stops_at_once() {
    let mut process = Process::start(&format!("{SOMEWHERE}[shutdown]\ndrain_idle = \"1min\"\n"));
    let silent = connect(process.address());
    ask(process.address(), "hello");
    process.kill(Signal::INT);
    process.await_line("SIGINT: stopping");
    let begun = Instant::now();
    process.kill(Signal::INT);
    assert_eq!(process.wait().code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(1));
    drop(silent);
}

#[test]
fn a_client_that_talks_through_the_stop_is_served_to_its_end() {
    let mut process = Process::start(SOMEWHERE);
    let mut client = connect(process.address());
    exchange(&mut client);
    process.kill(Signal::TERM);
    process.await_line("SIGTERM: stopping, 1 connection open");
    // for longer than it would be given if it were quiet
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(1500) {
        exchange(&mut client);
    }
    drop(client);
    assert_eq!(process.wait().code(), Some(0));
}

/// f35: after a stop and a continue, timeouts that were overdue came before what clients had sent;
/// these are more than one turn of the loop hears of.
#[test]
fn clients_that_spoke_while_the_process_was_stopped_are_answered() {
    let process = Process::start(&format!("{SOMEWHERE}workers = 1\n[limits]\nidle_timeout = \"3s\"\n"));
    // the first of them must not have been silent for so long when the last has spoken
    let mut clients: Vec<_> = (0..1500).map(|_| connect(process.address())).collect();
    for client in &mut clients {
        exchange(client);
    }
    process.kill(Signal::STOP);
    for client in &mut clients {
        client.write_all(b"hello").unwrap();
    }
    // longer than a client may be silent
    std::thread::sleep(Duration::from_millis(3500));
    process.kill(Signal::CONT);
    for client in &mut clients {
        hear(client);
    }
    drop(clients);
    process.end();
}

/// r-batch: an order to drain that came in the middle of a turn closed a backlog of which only a batch
/// had been accepted.
#[test]
fn a_crowd_that_has_just_connected_is_served_through_the_stop() {
    for _ in 0..5 {
        let mut process = Process::start(&format!("{SOMEWHERE}[shutdown]\ndrain_idle = \"20s\"\n"));
        let mut crowd: Vec<_> = (0..400).map(|_| connect(process.address())).collect();
        process.kill(Signal::TERM);
        for client in &mut crowd {
            exchange(client);
        }
        drop(crowd);
        assert_eq!(process.wait().code(), Some(0));
        process.await_line("stopped: 400 connections served, 400 client_fin");
    }
}

fn exchange(client: &mut std::net::TcpStream) {
    client.write_all(b"hello").unwrap();
    hear(client);
}

fn hear(client: &mut std::net::TcpStream) {
    let mut answer = [0; 5];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HELLO");
}
