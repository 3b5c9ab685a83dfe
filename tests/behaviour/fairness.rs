use crate::harness::{Client, Daemon};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

#[test]
fn a_loud_client_does_not_drown_the_quiet_ones() {
    let daemon = Daemon::with(|plan| plan.workers(1));
    let loud = daemon.connect();
    let (mut mouth, mut ear) = (loud.0.try_clone().unwrap(), loud.0.try_clone().unwrap());
    let flood = std::thread::spawn(move || while mouth.write_all(&[b'x'; 256 * 1024]).is_ok() {});
    let drain = std::thread::spawn(move || while ear.read(&mut [0; 256 * 1024]).is_ok_and(|n| n > 0) {});
    let mut quiet: Vec<Client> = (0..20).map(|_| daemon.connect()).collect();
    let mut slowest = Duration::ZERO;
    for _ in 0..20 {
        for client in &mut quiet {
            let asked = Instant::now();
            client.send("ping").expect("PING");
            slowest = slowest.max(asked.elapsed());
        }
    }
    loud.0.shutdown(Shutdown::Both).unwrap();
    flood.join().unwrap();
    drain.join().unwrap();
    assert!(slowest < Duration::from_secs(2), "a ping took {slowest:?}");
}

#[test]
fn silent_clients_cost_nobody_an_answer() {
    let daemon = Daemon::with(|plan| plan.workers(1));
    let silent: Vec<Client> = (0..2_000).map(|_| daemon.connect()).collect();
    for _ in 0..100 {
        daemon.connect().send("hello").expect("HELLO");
    }
    drop(silent);
}

#[test]
fn connections_are_spread_over_the_workers() {
    let daemon = Daemon::with(|plan| plan.workers(4));
    let mut clients: Vec<Client> = (0..40).map(|_| daemon.connect()).collect();
    for client in &mut clients {
        client.send("hello").expect("HELLO");
    }
    assert_eq!(daemon.control().workers(), 4);
    let served: Vec<u64> = daemon.control().report().workers.iter().map(|worker| worker.accepted).collect();
    assert_eq!(served, [10; 4]);
}
