use crate::harness::{Process, SOMEWHERE, ask, connect, eventually};
use rustix::process::{Resource, Rlimit, prlimit};
use shoutd::net::descriptors;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn ten_thousand_silent_clients_and_one_worker_still_answer_at_once() {
    let process = Process::start(&format!("{SOMEWHERE}workers = 1\n"));
    // a host that allows fewer files gets fewer clients
    let allowed = usize::try_from(descriptors::raise_limit().unwrap()).unwrap_or(usize::MAX);
    let silent: Vec<TcpStream> =
        (0..allowed.saturating_sub(200).min(10_000)).map(|_| connect(process.address())).collect();
    let begun = Instant::now();
    for _ in 0..100 {
        assert_eq!(ask(process.address(), "hello"), "HELLO");
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "100 answers took {:?}", begun.elapsed());
    drop(silent);
    process.end();
}

/// f01: out of descriptors a naive server spins, fills its log, and never comes back.
#[test]
fn out_of_descriptors_clients_wait_and_the_log_stays_short() {
    let mut process = Process::start(&format!("{SOMEWHERE}workers = 1\n"));
    let mut early = connect(process.address());
    assert_eq!(ask(process.address(), "hello"), "HELLO");
    prlimit(Some(process.pid()), Resource::Nofile, Rlimit { current: Some(20), maximum: Some(4096) }).unwrap();
    let mut crowd: Vec<TcpStream> = (0..100).map(|_| connect(process.address())).collect();
    process.await_line("accepting paused: too many open files");
    early.write_all(b"still here").unwrap();
    let mut answer = [0; 10];
    early.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"STILL HERE", "those who are in are served");
    let busy = cpu_ticks(&process);
    let watched = Instant::now();
    eventually("a second has passed", || watched.elapsed() > Duration::from_secs(1));
    assert!(cpu_ticks(&process) - busy <= 5, "it waits; it does not spin");

    prlimit(Some(process.pid()), Resource::Nofile, Rlimit { current: Some(4096), maximum: Some(4096) }).unwrap();
    for client in &mut crowd {
        client.write_all(b"hello").unwrap();
        let mut answer = [0; 5];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HELLO", "those who waited are served");
    }
    process.await_line("accepting again after");
    assert!(process.said().len() <= 8, "{:?}", process.said());
    drop((crowd, early));
    process.kill(rustix::process::Signal::TERM);
    assert_eq!(process.wait().code(), Some(0));
    process.await_line(" x pause of accepting");
}

/// What the process has used of the processors, in hundredths of a second.
fn cpu_ticks(process: &Process) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.child.id())).unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let field = |n: usize| fields.split(' ').nth(n).unwrap().parse::<u64>().unwrap();
    field(11) + field(12)
}

/// f53: with a blocking logger, a full pipe on stderr stops every worker.
#[test]
fn a_log_that_nobody_reads_stalls_nobody() {
    // each leaves a line in the log; these are more than the pipe and the queue hold together
    let log = unread("level = \"debug\"\n", 12_000);
    assert!(log.contains("lines of this log were dropped"), "{} bytes of log", log.len());
}

#[test]
fn an_access_log_that_nobody_reads_stalls_nobody_and_what_it_lost_is_counted() {
    let log = unread("access = \"start+end\"\n", 6_000);
    let records = log.lines().filter(|line| line.contains(" connection=")).count();
    let lost = log.lines().filter_map(|line| {
        let (before, _) = line.split_once(" lines of this log were dropped")?;
        before.rsplit(' ').next()?.parse::<usize>().ok()
    });
    // besides the records, five lines tell of the start and the stop; one client asks whether it listens
    let (all, told) = (2 * 6_001, records + lost.sum::<usize>());
    assert!(records < all && (all..=all + 5).contains(&told), "{records} records, {told} with the lost ones");
}

/// Serves `clients` while nobody reads the log, which `keys` are about, and gives what is left of it.
fn unread(keys: &str, clients: usize) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shoutd.sock");
    std::fs::write(folder.path().join("config.toml"), format!("listen = \"unix:shoutd.sock\"\n[log]\n{keys}")).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_shoutd"))
        .arg("-c")
        .arg(folder.path().join("config.toml"))
        .env_remove("SHOUTD_LOG")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    eventually("it listens", || std::os::unix::net::UnixStream::connect(&path).is_ok());
    for _ in 0..clients {
        let mut client = std::os::unix::net::UnixStream::connect(&path).unwrap();
        client.write_all(b"hello").unwrap();
        let mut answer = [0; 5];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HELLO");
    }
    // now it is read: what was dropped is counted, and the program ends
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM).unwrap();
    let log = std::io::read_to_string(child.stderr.take().unwrap()).unwrap();
    assert!(child.wait().unwrap().success());
    log
}

#[test]
#[ignore = "needs strace, and the right to trace"]
fn failures_of_accept_that_are_the_clients_do_not_stop_accepting() {
    for errno in [
        "ECONNABORTED",
        "EPROTO",
        "EPERM",
        "ENETDOWN",
        "EHOSTUNREACH",
        "EINTR",
        "ENOBUFS",
        "ENOMEM",
        "EMFILE",
        "ENFILE",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        std::fs::write(&file, SOMEWHERE).unwrap();
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=accept4", "-e"]);
        strace.arg(format!("inject=accept4:error={errno}:when=1..5"));
        let mut process = Process::run(folder, strace.arg(env!("CARGO_BIN_EXE_shoutd")).arg("-c").arg(file));
        assert_eq!(ask(process.address(), "hello"), "HELLO", "{errno}");
        // strace ends with the program that it traces, and as it did
        let traced = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", process.child.id())).unwrap();
        let traced = rustix::process::Pid::from_raw(traced.trim().parse().unwrap()).unwrap();
        rustix::process::kill_process(traced, rustix::process::Signal::TERM).unwrap();
        assert_eq!(process.wait().code(), Some(0), "{errno}");
        let lines = process.said();
        assert!(lines.iter().all(|line| !line.contains("ERROR")), "{errno}: {lines:?}");
    }
}

/// f15: each client that does not read is kept one turn's answer, and the system a bounded part. In the worst text each
/// two bytes become six; then it is at most three times `buffer_size_max` for each, and a little for the worker.
#[test]
fn clients_that_never_read_cost_what_is_promised_and_no_more() {
    const CLIENTS: usize = 200;
    let worst = 12 * MIB + CLIENTS * (3 * 64 * 1024 + 2048);
    for (text, promised) in [("x".repeat(1 << 20), 24 * MIB), ("ΰ".repeat(1 << 19), worst)] {
        let process = Process::start(&format!("{SOMEWHERE}workers = 1\n"));
        assert_eq!(ask(process.address(), &text).len(), text.to_uppercase().len(), "its buffers are warm");
        let before = private_memory(&process);
        let mut clients: Vec<(TcpStream, usize)> = (0..CLIENTS).map(|_| (connect(process.address()), 0)).collect();
        for (client, _) in &clients {
            client.set_nonblocking(true).unwrap();
        }
        let mut last = None;
        eventually("none of them can send any more", || {
            for (client, sent) in &mut clients {
                while let Ok(more) = client.write(&text.as_bytes()[*sent % 65_536..]) {
                    *sent += more;
                }
            }
            let now: usize = clients.iter().map(|(_, sent)| sent).sum();
            last.replace(now) == Some(now)
        });
        let grown = private_memory(&process).saturating_sub(before);
        assert!(grown <= promised, "{} KiB, and {} were promised", grown / 1024, promised / 1024);
        assert_eq!(ask(process.address(), "hello"), "HELLO");
        drop(clients);
        process.end();
    }
}

const MIB: usize = 1 << 20;

/// Memory that is the process's own, in bytes.
fn private_memory(process: &Process) -> usize {
    let maps = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", process.child.id())).unwrap();
    let private = maps.lines().filter(|line| line.starts_with("Private_"));
    private.map(|line| line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024).sum()
}
