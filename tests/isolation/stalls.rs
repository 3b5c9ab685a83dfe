use crate::common::PATIENCE;
use crate::harness::{Client, Daemon, eventually};
use fail::FailScenario;
use shoutd::server::Sign;
use shoutd::session::EndReason;
use std::io::Read;
use std::sync::{Arc, Barrier};
use std::time::Duration;

/// How long a worker may owe a sign of life here.
const SHORT: Duration = Duration::from_millis(50);

/// Watches until something is seen.
fn watch(daemon: &Daemon) -> Vec<Sign> {
    let mut signs = Vec::new();
    eventually("something is seen", || {
        signs = daemon.control().watch(SHORT);
        !signs.is_empty()
    });
    signs
}

/// Lets each step wait from now on until somebody waits for it here, too.
fn stall_each_step() -> Arc<Barrier> {
    let stall = Arc::new(Barrier::new(2));
    let stalled = Arc::clone(&stall);
    fail::cfg_callback("step", move || {
        stalled.wait();
    })
    .unwrap();
    stall
}

#[test]
fn a_stalled_worker_is_noticed_with_its_connection_and_new_ones_go_to_another() {
    let _scenario = FailScenario::setup();
    let daemon = Daemon::with(|plan| plan.workers(2));
    let stall = stall_each_step();
    let mut stuck = daemon.connect();
    stuck.send("stuck");
    let signs = watch(&daemon);
    let [Sign::Stalled { name, silence, connection: Some(1) }] = signs.as_slice() else { panic!("{signs:?}") };
    assert!(*silence >= SHORT && *silence < PATIENCE);
    assert!(daemon.control().silent_threads(SHORT).contains(&name.as_str()));
    // the next ones are served although it has no more connections than the other
    fail::remove("step");
    let mut clients: Vec<Client> = (0..4).map(|_| daemon.connect()).collect();
    for client in &mut clients {
        client.send("hello").expect("HELLO");
    }
    stall.wait();
    stuck.expect("STUCK");
    let signs = watch(&daemon);
    assert!(matches!(signs.as_slice(), [Sign::Back { name: back, .. }] if back == name), "{signs:?}");
}

#[test]
fn where_all_workers_are_stalled_new_connections_wait() {
    let _scenario = FailScenario::setup();
    let daemon = Daemon::with(|plan| plan.workers(1));
    let stall = stall_each_step();
    let mut stuck = daemon.connect();
    stuck.send("stuck");
    watch(&daemon);
    fail::remove("step");
    let mut next = daemon.connect();
    next.send("hello");
    eventually("it waits", || daemon.control().report().workers[0].open == 2);
    stall.wait();
    stuck.expect("STUCK");
    next.expect("HELLO");
}

#[test]
fn calls_that_fail_end_their_connection_or_are_tried_again() {
    const EINTR: i32 = 4;
    const ECONNRESET: i32 = 104;
    const EMFILE: i32 = 24;
    let _scenario = FailScenario::setup();
    let daemon = Daemon::start();
    for call in ["read", "write"] {
        fail::cfg(call, &format!("3*return({EINTR})->off")).unwrap();
        let mut client = daemon.connect();
        client.send("hello").expect("HELLO");
        fail::cfg(call, &format!("1*return({ECONNRESET})->off")).unwrap();
        client.send("lost");
        assert!(matches!(client.0.read(&mut [0]), Ok(0) | Err(_)));
    }
    eventually("both are counted", || daemon.closed(EndReason::ClientReset) == 2);
    for (call, faults) in [("accept", format!("2*return({EMFILE})->off")), ("handoff", "5*return->off".to_owned())] {
        fail::cfg(call, &faults).unwrap();
        daemon.connect().send("hello").expect("HELLO");
    }
    assert_eq!(daemon.control().accept_counters().pauses.get(), 1);
}
