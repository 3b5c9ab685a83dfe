use crate::harness::{Process, ask, connect, eventually};
use rustix::process::Signal;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// How many reloads the long test does; `just reloads` does a thousand.
const RELOADS: &str = "SHOUTD_RELOADS";

fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn exchange(client: &mut TcpStream, text: &str, expected: &str) {
    client.write_all(text.as_bytes()).unwrap();
    let mut answer = vec![0; expected.len()];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(String::from_utf8_lossy(&answer), expected);
}

impl Process {
    fn configure(&self, config: &str) {
        // as editors do, so that no reload meets a file that is half written
        let (file, next) = (self.folder.path().join("config.toml"), self.folder.path().join("next.toml"));
        fs::write(&next, config).unwrap();
        fs::rename(next, file).unwrap();
    }

    /// Reloads with `config`, and gives the line that says what came of it.
    pub fn reload(&self, config: &str) -> String {
        self.configure(config);
        self.hang_up()
    }

    fn hang_up(&self) -> String {
        let is_result = |line: &&String| line.contains("SIGHUP: reload");
        let before = self.said().iter().filter(is_result).count();
        self.kill(Signal::HUP);
        let mut results = Vec::new();
        eventually("the reload is told of", || {
            results = self.said().iter().filter(is_result).cloned().collect();
            results.len() > before
        });
        results.pop().unwrap()
    }

    fn count(&self, what: &str) -> usize {
        fs::read_dir(format!("/proc/{}/{what}", self.child.id())).unwrap().count()
    }

    pub fn resident_kib(&self) -> i64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

#[test]
fn hangup_takes_up_an_edited_port_and_transform_and_live_clients_talk_on() {
    let process = Process::start(&format!("listen = \"{}\"\n", free_port()));
    let (old, new) = (process.address(), free_port());
    let mut client = connect(old);
    exchange(&mut client, "Hello", "HELLO");
    let line =
        process.reload(&format!("listen = \"{new}\"\ntransform = \"lowercase\"\n[limits]\nidle_timeout = \"1h\"\n"));
    assert!(line.contains("3 keys changed, generation 2"), "{line}");
    process.await_line(&format!("listen: \"{old}\" becomes \"{new}\" (new connections)"));
    process.await_line("transform: \"uppercase\" becomes \"lowercase\" (live)");
    process.await_line("limits.idle_timeout: \"10min\" becomes \"1h\" (live)");
    exchange(&mut client, "Hello", "hello");
    assert_eq!(ask(new, "Hello"), "hello");
    assert!(TcpStream::connect(old).is_err());
    drop(client);
    process.end();
}

#[test]
fn what_needs_a_restart_is_said_and_all_else_is_applied() {
    let process = Process::start("listen = \"127.0.0.1:0\"\nworkers = 1\n");
    process.reload("listen = \"127.0.0.1:0\"\nworkers = 2\ntransform = \"lowercase\"\n");
    process.await_line("workers: 1 becomes 2 (needs restart)");
    assert_eq!(ask(process.address(), "Hello"), "hello");
    process.end();
}

#[test]
fn whatever_is_wrong_with_the_file_it_is_refused_and_the_old_one_runs_on() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let good = "listen = \"127.0.0.1:0\"\ntransform = \"lowercase\"\n";
    let process = Process::start(good);
    let mut client = connect(process.address());
    let file = process.folder.path().join("config.toml");
    let mut refused = |why: &str| {
        let before = process.said().len();
        let line = process.hang_up();
        assert!(line.contains("reload refused; the configuration of before runs on"), "{line}");
        eventually(&format!("the log says {why:?}"), || process.said()[before..].iter().any(|line| line.contains(why)));
        exchange(&mut client, "Old", "old");
        assert_eq!(ask(process.address(), "New"), "new");
    };
    for (config, why) in [
        ("", "there is nothing in it"),
        ("# listen = \"127.0.0.1:0\"\n", "there is nothing in it"),
        ("listen = \"127.0.0.1:0\"\ntransform = \"upp", "config.toml:2:"),
        ("lisen = \"127.0.0.1:0\"\n", "did you mean `listen`?"),
        ("listen = \"127.0.0.1:0\"\nworkers = \"many\"\n", "config.toml:2:11"),
        ("buffer_size = 1000\nbuffer_size_max = 1\n", "lower this"),
        ("\x00\x01\u{1b}[2J", "config.toml:1:"),
        (&format!("listen = \"{}\"\n", taken.local_addr().unwrap()), "another process listens there"),
        ("listen = \"127.0.0.1:0\"\n[[test]]\ninput = \"a\"\nexpect = \"b\"\n", "the answer is another"),
        ("listen = \"no.such.host.invalid:1\"\n", "the name is not known"),
    ] {
        fs::write(&file, config).unwrap();
        refused(why);
    }
    fs::write(&file, b"listen = \"\xff\"").unwrap();
    refused("this is not UTF-8 text");
    File::create(&file).unwrap().set_len(100 << 20).unwrap();
    refused("is larger than 1 MiB");
    fs::remove_file(&file).unwrap();
    refused("there is no file");
    fs::create_dir(&file).unwrap();
    refused("is a folder");
    fs::remove_dir(&file).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&file).status().unwrap().success());
    refused("is no regular file");
    fs::remove_file(&file).unwrap();
    let line = process.reload(good);
    assert!(line.contains("0 keys changed, generation 2"), "{line}");
    drop(client);
    process.kill(Signal::TERM);
}

#[test]
fn many_hangups_end_with_the_last_file() {
    let process = Process::start("listen = \"127.0.0.1:0\"\n");
    for nth in 0..50 {
        process.configure(&format!("listen = \"127.0.0.1:0\"\n[limits]\nidle_timeout = \"{}s\"\n", 10 + nth));
        process.kill(Signal::HUP);
    }
    process.await_line("becomes \"59s\" (live)");
    assert_eq!(ask(process.address(), "hello"), "HELLO");
    process.end();
}

#[test]
fn a_stop_wins_over_a_reload() {
    for _ in 0..5 {
        let mut process = Process::start("listen = \"127.0.0.1:0\"\n");
        for _ in 0..10 {
            process.kill(Signal::HUP);
        }
        process.kill(Signal::TERM);
        process.kill(Signal::HUP);
        assert_eq!(process.wait().code(), Some(0));
        process.await_line("stopped: ");
    }
}

/// Streams, new clients all the while, a port that moves: nothing is lost, nobody is refused, and at the
/// end descriptors, threads and memory are what they were.
#[test]
fn reloads_under_load_lose_nothing_and_leave_nothing_behind() {
    let reloads: u32 = std::env::var(RELOADS).map_or(100, |count| count.parse().unwrap());
    let (fixed, moving) = (free_port(), [free_port(), free_port()]);
    let config = |round: u32| {
        let transform = if round.is_multiple_of(2) { "\"uppercase\"" } else { "[\"uppercase\", \"echo\"]" };
        let moving = moving[round as usize % 2];
        format!(
            "[[listener]]\nlisten = \"{fixed}\"\ntransform = {transform}\n\
             [[listener]]\nname = \"moving\"\nlisten = \"{moving}\"\n"
        )
    };
    let process = Process::start(&config(0));
    let exact = AtomicBool::new(false);
    let before = thread::scope(|scope| {
        let mut before = None;
        for nth in 0..100 {
            let done = &exact;
            scope.spawn(move || {
                let mut client = connect(fixed);
                let mut round = 0;
                while !done.load(Relaxed) {
                    let text = format!("stream {nth} straße {round} {}\n", "x".repeat(round % 2000));
                    exchange(&mut client, &text, &text.to_uppercase());
                    round += 1;
                    // all of them together leave the machine some time for the reloads
                    thread::park_timeout(Duration::from_millis(10));
                }
            });
        }
        // fifty new ones a second
        scope.spawn(|| {
            let begun = Instant::now();
            for nth in 1u32.. {
                if exact.load(Relaxed) {
                    break;
                }
                assert_eq!(ask(fixed, "new"), "NEW");
                let next = begun + Duration::from_millis(20) * nth;
                thread::park_timeout(next.saturating_duration_since(Instant::now()));
            }
        });
        let begun = Instant::now();
        for round in 1..=reloads {
            let line = process.reload(&config(round));
            assert!(line.contains("reloaded"), "{line}");
            let next = begun + Duration::from_millis(10) * round;
            thread::park_timeout(next.saturating_duration_since(Instant::now()));
            if round == reloads / 2 {
                before = Some((process.count("task"), process.count("fd"), process.resident_kib()));
            }
        }
        exact.store(true, Relaxed);
        before.unwrap()
    });
    let last = process.reload(&config(0));
    assert!(last.contains(&format!("generation {}", reloads + 2)), "{last}");
    // those who streamed have gone, and their descriptors with them
    eventually("its descriptors are back", || process.count("fd") <= before.1.saturating_sub(100));
    assert_eq!(process.count("task"), before.0);
    let grown = process.resident_kib() - before.2;
    assert!(grown < 1024, "memory grew by {grown} KiB in the second half");
    process.end();
}
