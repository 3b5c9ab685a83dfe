use crate::harness::{Client, Daemon, eventually, take_errors};
use fail::FailScenario;
use shoutd::server::{LinkState, Listener, Peer};
use shoutd::session::EndReason;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

/// How many clients are served while a worker panics, and how many rounds each of them has.
const CLIENTS: usize = 20;
const ROUNDS: usize = 50;

/// Lets the next turn of `worker` panic.
fn panic_once(worker: &'static str) {
    let is_ordered = AtomicBool::new(true);
    let fault = move || {
        if thread::current().name() == Some(worker) && is_ordered.swap(false, SeqCst) {
            panic!("ordered");
        }
    };
    fail::cfg_callback("turn", fault).unwrap();
}

/// The errors that were logged, which the harness takes for faults if they are left.
#[track_caller]
fn expect_errors(part: &str, count: usize) {
    let errors = take_errors();
    assert!(errors.len() == count && errors.iter().all(|error| error.contains(part)), "{errors:?}");
}

#[test]
fn a_step_that_panics_ends_its_connection_behind_what_was_answered_before_and_no_other() {
    let _scenario = FailScenario::setup();
    let daemon = Daemon::with(|plan| {
        plan.framing = "line";
        plan.workers(1);
    });
    let (mut poisoned, mut other) = (daemon.connect(), daemon.connect());
    other.send("before\n").expect("BEFORE\n");
    fail::cfg("step", "1*off->1*panic->off").unwrap();
    assert_eq!(poisoned.send("one\ntwo\nthree\n").rest(), b"ONE\n");
    other.send("after\n").expect("AFTER\n");
    daemon.connect().send("new\n").expect("NEW\n");
    eventually("it is counted", || daemon.closed(EndReason::StepPanic) == 1);
}

#[test]
fn a_step_that_panics_in_a_stream_answers_nothing_of_that_text() {
    let _scenario = FailScenario::setup();
    let daemon = Daemon::start();
    let mut client = daemon.connect();
    client.send("one").expect("ONE");
    fail::cfg("step", "1*panic->off").unwrap();
    assert_eq!(client.send("two").rest(), b"");
    eventually("it is counted", || daemon.closed(EndReason::StepPanic) == 1);
}

#[test]
fn a_worker_that_panics_under_load_loses_its_own_connections_and_goes_on_after_a_rest() {
    let _scenario = FailScenario::setup();
    let daemon = Daemon::with(|plan| plan.workers(2));
    let clients: Vec<Client> = (0..CLIENTS).map(|_| daemon.connect()).collect();
    let open = || daemon.control().report().workers.iter().map(|worker| worker.open).collect::<Vec<_>>();
    eventually("each worker has half of them", || open() == [CLIENTS / 2; 2]);
    let begun = Arc::new(Barrier::new(CLIENTS + 1));
    let serve = |(nth, mut client): (usize, Client)| {
        let begun = Arc::clone(&begun);
        thread::spawn(move || {
            for round in 0..ROUNDS {
                if round == ROUNDS / 2 {
                    begun.wait();
                    begun.wait();
                }
                let text = format!("client {nth} round {round} ").repeat(200);
                let mut answer = vec![0; text.len()];
                if client.0.write_all(text.as_bytes()).and_then(|()| client.0.read_exact(&mut answer)).is_err() {
                    return false;
                }
                assert!(answer == text.to_uppercase().as_bytes(), "{nth} {round}");
            }
            true
        })
    };
    let serving: Vec<_> = clients.into_iter().enumerate().map(serve).collect();
    begun.wait();
    panic_once("worker-0");
    begun.wait();
    let served = serving.into_iter().map(|client| client.join().unwrap()).filter(|served| *served).count();
    assert_eq!(served, CLIENTS / 2, "those of the other worker are not harmed");
    eventually("the lost ones are counted", || daemon.closed(EndReason::WorkerPanic) == CLIENTS as u64 / 2);

    eventually("it goes on", || daemon.control().resting_workers().is_empty());
    let before = daemon.control().report().workers[0].accepted;
    let mut clients: Vec<Client> = (0..4).map(|_| daemon.connect()).collect();
    for client in &mut clients {
        client.send("hello").expect("HELLO");
    }
    let worker = daemon.control().report().workers.swap_remove(0);
    assert!(worker.accepted > before && worker.panics == 1, "{worker:?}");
    expect_errors("worker-0 panicked; connections lost with it: 10; it rests for 1 s", 1);
}

#[test]
fn while_a_worker_rests_new_connections_go_to_another() {
    let _scenario = FailScenario::setup();
    let daemon = Daemon::with(|plan| plan.workers(2));
    panic_once("worker-0");
    daemon.control().ask_threads();
    eventually("it rests", || daemon.control().resting_workers() == ["worker-0"]);
    for _ in 0..4 {
        daemon.connect().send("hello").expect("HELLO");
    }
    let workers = daemon.control().report().workers;
    assert_eq!(workers.iter().map(|worker| worker.accepted).collect::<Vec<_>>(), [0, 4]);
    expect_errors("lost with it: 0;", 1);
}

#[test]
fn who_waits_for_a_worker_that_rests_is_served_after_it_also_in_a_drain() {
    let _scenario = FailScenario::setup();
    for drains in [false, true] {
        let daemon = Daemon::with(|plan| plan.workers(1));
        panic_once("worker-0");
        daemon.control().ask_threads();
        eventually("it rests", || !daemon.control().resting_workers().is_empty());
        let mut client = daemon.connect();
        client.send("hello").finish();
        eventually("it is in the mailbox", || daemon.control().report().workers[0].open == 1);
        if drains {
            daemon.control().drain();
        }
        assert_eq!(client.rest(), b"HELLO");
        expect_errors("lost with it: 0;", 1);
    }
}

#[test]
fn who_is_behind_the_one_that_a_worker_panics_over_is_served_after_the_rest() {
    let _scenario = FailScenario::setup();
    let daemon = Daemon::with(|plan| plan.workers(1));
    let (held, release) = (Arc::new(Barrier::new(2)), AtomicBool::new(true));
    let hold = Arc::clone(&held);
    let fault = move || {
        if release.swap(false, SeqCst) {
            hold.wait();
        }
    };
    fail::cfg_callback("turn", fault).unwrap();
    daemon.control().ask_threads();
    let mut clients: Vec<Client> = (0..3).map(|_| daemon.connect()).collect();
    eventually("all wait in the mailbox", || daemon.control().report().workers[0].open == 3);
    fail::cfg("welcome", "1*panic->off").unwrap();
    held.wait();
    let first = clients.remove(0);
    assert!((&first.0).read(&mut [0]).is_err(), "it is reset");
    for client in &mut clients {
        client.send("hello").expect("HELLO");
    }
    assert_eq!(daemon.closed(EndReason::WorkerPanic), 1);
    expect_errors("lost with it: 1;", 1);
}

#[test]
fn a_stop_does_not_wait_for_a_worker_that_rests() {
    let _scenario = FailScenario::setup();
    let daemon = Daemon::with(|plan| plan.workers(1));
    let mut client = daemon.connect();
    client.send("hello").expect("HELLO");
    panic_once("worker-0");
    daemon.control().ask_threads();
    eventually("it rests", || !daemon.control().resting_workers().is_empty());
    assert!(client.0.read(&mut [0]).is_err(), "it is reset");
    daemon.control().stop();
    eventually("it ends", || daemon.server().running() == 0);
    assert_eq!(daemon.control().open(), 0, "its place is given back");
    expect_errors("lost with it: 1;", 1);
}

#[test]
fn a_link_of_a_worker_that_panics_is_dialled_again_and_served_by_another() {
    let _scenario = FailScenario::setup();
    let somebody = TcpListener::bind("127.0.0.1:0").unwrap();
    let daemon = Daemon::with(|plan| {
        plan.workers(2);
        let service = plan.service("default");
        plan.settings.listeners.push(Listener::new("127.0.0.1:0".parse().unwrap(), service));
        let mut peer = Peer::new("peer", somebody.local_addr().unwrap().to_string().parse().unwrap(), "default");
        peer.retry.min = Duration::from_millis(5);
        peer.retry.max = Duration::from_millis(20);
        plan.settings.peers = vec![peer];
    });
    let linked = || {
        let peer = daemon.control().peers().remove(0);
        peer.linked.filter(|_| peer.state == LinkState::Linked)
    };
    let mut served_by = Vec::new();
    for _ in 0..2 {
        let mut link = Client(somebody.accept().unwrap().0);
        link.send("hello").expect("HELLO");
        eventually("it is a link", || linked().is_some());
        let (worker, connection) = (linked().unwrap().worker, linked().unwrap().connection);
        served_by.push(worker);
        panic_once(["worker-0", "worker-1"][worker]);
        daemon.control().ask_threads();
        eventually("it is told of", || linked().is_none_or(|link| link.connection != connection));
    }
    assert!(served_by == [0, 1] || served_by == [1, 0], "{served_by:?}");
    eventually("both are counted", || daemon.closed(EndReason::WorkerPanic) == 2);
    expect_errors("lost with it: 1;", 2);
}
