use crate::common::ports::Port;
use crate::common::{PATIENCE, eventually};
use crate::process::{Process, SOMEWHERE, ask, connect};
use rustix::process::Signal;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::time::Duration;

const TWO_WORKERS: &str = "listen = \"127.0.0.1:0\"\nworkers = 2\n";

/// Starts it with `config` and these faults.
fn start(config: &str, faults: &str) -> Process {
    let process = Process::spawn(config, |command| command.env("FAILPOINTS", faults));
    process.await_line("THIS BUILD IS NOT FOR USE");
    process
}

/// What the control socket answers, head and all.
fn get(process: &Process, path: &str) -> String {
    let told = process.await_line("control socket: unix:");
    let mut socket = UnixStream::connect(told.rsplit("unix:").next().unwrap()).unwrap();
    socket.write_all(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

/// Waits for its end with exit code 70, of which it says this; no panic is told but by lines of the log.
#[track_caller]
fn ends_by_its_own_fault(mut process: Process, said: &str) {
    assert_eq!(process.wait().code(), Some(70), "{:?}", process.said());
    process.await_line(said);
    for line in process.said() {
        assert!(line.starts_with("error: ") || line.starts_with(|c: char| c.is_ascii_digit()), "{line:?}");
    }
}

#[test]
fn six_panics_of_workers_within_a_minute_are_exit_70() {
    let process = start("listen = \"127.0.0.1:0\"\nworkers = 6\n", "turn=panic");
    ends_by_its_own_fault(process, "error: workers panicked 6 times within a minute, at last worker-");
}

#[test]
fn health_is_503_while_a_worker_rests_and_200_again_after_it() {
    let process = start(TWO_WORKERS, "turn=1*panic->off");
    for path in ["/readyz", "/healthz"] {
        eventually("it is not well", || get(&process, path).starts_with("HTTP/1.1 503 "));
        assert!(get(&process, "/metrics").contains("\nshoutd_workers_alive 1\n"));
    }
    let resting = process.shoutd(&["status"]);
    assert!(String::from_utf8_lossy(&resting.stdout).contains(" RESTS after a panic; 1 panic"), "{resting:?}");
    assert_eq!(ask(process.address(), "hello"), "HELLO");
    for path in ["/readyz", "/healthz"] {
        eventually("it is well again", || get(&process, path).starts_with("HTTP/1.1 200 "));
    }
    let metrics = get(&process, "/metrics");
    assert!(metrics.contains("\nshoutd_workers_alive 2\n"), "{metrics}");
    let panics = metrics.lines().filter(|line| line.starts_with("shoutd_worker_panics_total{"));
    assert_eq!(panics.map(|line| line.rsplit(' ').next().unwrap()).map(|n| n.parse::<u32>().unwrap()).sum::<u32>(), 1);
    let well = process.shoutd(&["status"]);
    assert!(String::from_utf8_lossy(&well.stdout).contains("2, all alive; 1 panic"), "{well:?}");
}

/// A thread that ended before the main thread counted them was not missed, and the daemon ended as if all were well.
#[test]
fn faults_of_its_own_in_accept_epoll_and_the_other_threads_are_exit_70() {
    let process = start(SOMEWHERE, "accept=return(9)");
    drop(connect(process.address()));
    ends_by_its_own_fault(process, "error: the thread acceptor ended: bad file descriptor");
    ends_by_its_own_fault(start(SOMEWHERE, "epoll=return(9)"), "ended: bad file descriptor");
    let process = start(SOMEWHERE, "accept=panic");
    drop(connect(process.address()));
    ends_by_its_own_fault(process, "error: the thread acceptor ended: it panicked");
}

#[test]
fn a_reload_that_fails_or_panics_leaves_everything_as_it_was() {
    let process = start(SOMEWHERE, "reload=1*return->1*panic->off");
    let mut client = connect(process.address());
    for (said, code) in [("a fault that was ordered", 1), ("a fault of shoutd's own", 1), ("", 0)] {
        let output = process.shoutd(&["reload"]);
        let told = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(told.contains(said), "{told}");
        assert_eq!(output.status.success(), code == 0, "{told}");
        client.write_all(b"hello").unwrap();
        let mut answer = [0; 5];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HELLO");
    }
}

#[test]
fn a_log_that_cannot_be_written_harms_nobody_and_is_counted() {
    const DISK_FULL: i32 = 28;
    let port = Port::new();
    let config = format!("listen = \"127.0.0.1:{}\"\n", port.number);
    let process = Process::spawn(&config, |command| command.env("FAILPOINTS", format!("log=return({DISK_FULL})")));
    eventually("it listens", || TcpStream::connect(port.address()).is_ok());
    assert_eq!(ask(port.address(), "hello"), "HELLO");
    // its control socket comes after its listeners
    eventually("it tells of what is lost", || {
        String::from_utf8_lossy(&process.shoutd(&["status"]).stdout).contains(" lines dropped")
    });
    assert_eq!(process.said(), Vec::<String>::new());
}

#[test]
fn the_watchdog_is_not_fed_while_a_worker_is_stalled() {
    const STALL: Duration = Duration::from_millis(1500);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let notices = UnixDatagram::bind(&path).unwrap();
    notices.set_read_timeout(Some(PATIENCE)).unwrap();
    let faults = format!("step=1*sleep({})->off", STALL.as_millis());
    let process = Process::spawn(SOMEWHERE, |command| {
        command.env("FAILPOINTS", faults).env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "400000")
    });
    let mut client = connect(process.address());
    client.write_all(b"hello").unwrap();
    assert!(process.await_line(" does not answer; the watchdog is not fed ").ends_with(" s, at connection 1)"));
    // what was sent before the stall was noticed is there already
    notices.set_nonblocking(true).unwrap();
    while notices.recv(&mut [0; 1000]).is_ok() {}
    notices.set_nonblocking(false).unwrap();
    notices.recv(&mut [0; 1000]).unwrap();
    // the answer is written before the worker gives a sign of life
    client.set_nonblocking(true).unwrap();
    client.read_exact(&mut [0; 5]).expect("it is fed again once the stall is over, and not before");
    process.await_line(" answers again, after ");
    // nobody reads it any more, and the daemon would wait for who does
    drop(notices);
    process.end();
}

/// A process that was stopped for longer than `idle_timeout` ended all who had been quiet, as soon as it went on.
#[test]
fn nobody_is_ended_for_the_idleness_of_a_process_that_was_stopped() {
    const STOPPED: Duration = Duration::from_millis(3500);
    let process = Process::start("listen = \"127.0.0.1:0\"\n[limits]\nidle_timeout = \"2s\"\n");
    let mut client = connect(process.address());
    client.write_all(b"before").unwrap();
    client.read_exact(&mut [0; 6]).unwrap();
    process.kill(Signal::STOP);
    std::thread::sleep(STOPPED);
    process.kill(Signal::CONT);
    process.await_line("loop gap: the process stood still for ");
    client.write_all(b"after").unwrap();
    let mut answer = [0; 5];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"AFTER");
    process.end();
}
