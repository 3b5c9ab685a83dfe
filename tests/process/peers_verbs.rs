use crate::control::{command, error, good, json, shoutd};
use crate::harness::{Process, SOMEWHERE, connect, eventually};
use rustix::net::{AddressFamily, SocketType};
use serde_json::Value;
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;

/// A daemon that has these peers.
fn daemon(peers: &[(&str, SocketAddr)]) -> Process {
    let one = |(name, address): &(&str, SocketAddr)| format!("[[peer]]\nname = \"{name}\"\naddress = \"{address}\"\n");
    let peers: String = peers.iter().map(one).collect();
    Process::start(&format!("{SOMEWHERE}[admin]\nlisten = \"127.0.0.1:0\"\n{peers}"))
}

/// An address at which nobody listens, for as long as this lives.
fn nobody() -> (OwnedFd, SocketAddr) {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    rustix::net::bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = rustix::net::getsockname(&socket).unwrap().try_into().unwrap();
    (socket, address)
}

/// Somebody who listens as netcat does, takes one connection, and says this to the first thing that comes.
fn somebody(says: &'static str, then_leaves: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut link, _) = listener.accept().unwrap();
        let read = link.read(&mut [0; 1024]).unwrap_or(0);
        if read > 0 {
            let _ = link.write_all(says.as_bytes());
        }
        // until the daemon ends
        while !then_leaves && link.read(&mut [0; 1024]).is_ok_and(|read| read > 0) {}
    });
    address
}

impl Process {
    #[track_caller]
    fn await_refused(&self, name: &str) {
        eventually(&format!("{name} was dialled"), || self.peer(name)["dials"]["refused"].as_u64() > Some(0));
    }
}

#[test]
fn what_is_said_to_a_peer_is_answered_by_it() {
    let b = daemon(&[]);
    let a = daemon(&[("b", b.address())]);
    a.await_peer("b", "linked");
    let output = shoutd(&a, &["send", "b", "hello"]);
    assert_eq!((good(&output).as_str(), error(&output).as_str()), ("HELLO", ""));
    assert_eq!(good(&shoutd(&a, &["send", &b.address().to_string(), "by its address"])), "BY ITS ADDRESS");
    assert_eq!(good(&shoutd(&a, &["send", "--timeout", "10s", "b", "straße"])), "STRASSE");
    let said = json(&shoutd(&a, &["send", "b", "hello", "--json"]));
    assert_eq!((&said["outcome"], &said["answer"]), (&Value::from("answered"), &Value::from("HELLO")));
    assert!(said["round_trip_seconds"].as_f64().unwrap() > 0.0 && said["why"].is_null(), "{said}");

    let listed = json(&shoutd(&a, &["peers", "--json"]));
    let peer = &listed[0];
    assert_eq!((&peer["name"], &peer["state"], &peer["dialled"]), (&"b".into(), &"linked".into(), &true.into()));
    assert_eq!((&peer["remote"], &peer["answers"]), (&b.address().to_string().into(), &4.into()));
    assert_eq!(peer["dials"]["linked"], 1);
    assert_eq!(peer["via"], "default");
    let text = good(&shoutd(&a, &["peers"]));
    assert!(text.starts_with("PEER  ADDRESS ") && text.contains("  linked  "), "{text}");
    assert!(good(&shoutd(&a, &["status"])).contains("peers  1 of 1 linked\n"));
    a.end();
    b.end();
}

#[test]
fn an_answer_is_printed_byte_for_byte() {
    let b = daemon(&[]);
    let a = daemon(&[("b", b.address())]);
    a.await_peer("b", "linked");
    let mut send = Command::new(env!("CARGO_BIN_EXE_shoutd"));
    send.args(["send", "b"]).arg(OsStr::from_bytes(b"h\xff\n")).arg("-c").arg(a.folder.path().join("config.toml"));
    let output = send.env("RUNTIME_DIRECTORY", a.folder.path()).output().unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), &b"H\xff\n"[..]), "{}", error(&output));

    let mut send = Command::new(env!("CARGO_BIN_EXE_shoutd"));
    send.args(["send", "b", "-", "-c"]).arg(a.folder.path().join("config.toml"));
    send.env("RUNTIME_DIRECTORY", a.folder.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut send = send.spawn().unwrap();
    send.stdin.take().unwrap().write_all(b"from a pipe\n").unwrap();
    assert_eq!(good(&send.wait_with_output().unwrap()), "FROM A PIPE");
    a.end();
    b.end();
}

#[test]
fn where_nothing_can_be_said_the_cure_is_told_and_the_exit_code_is_1() {
    let (_nobody, address) = nobody();
    let a = daemon(&[("down", address)]);
    a.await_refused("down");
    let output = shoutd(&a, &["send", "up", "hello"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(error(&output), "error: up: there is no such peer; known: down\n");
    let output = shoutd(&a, &["send", "down", "hello"]);
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b""[..]));
    let said = error(&output);
    assert!(said.starts_with("error: down: no link: connection refused"), "{said}");
    assert_eq!(json(&shoutd(&a, &["send", "down", "hello", "--json"]))["outcome"], "down");
    let status = good(&shoutd(&a, &["status"]));
    assert!(status.contains("peers  0 of 1 linked; down: connection refused"), "{status}");
    let table = good(&shoutd(&a, &["peers"]));
    assert!(table.lines().nth(1).unwrap().ends_with("connection refused"), "{table}");
    assert_eq!(a.control("POST", "/send/down").0, 400, "nothing was said");
    a.end();
}

#[test]
fn all_peers_answer_each_behind_its_name_and_one_that_does_not_is_told() {
    let (b, c) = (daemon(&[]), daemon(&[]));
    let (_nobody, address) = nobody();
    let a = daemon(&[("b", b.address()), ("c", c.address())]);
    a.await_peer("b", "linked");
    a.await_peer("c", "linked");
    assert_eq!(good(&shoutd(&a, &["send", "--all", "hello"])), "b: HELLO\nc: HELLO\n");
    let said = json(&shoutd(&a, &["send", "--all", "hello", "--json"]));
    assert_eq!((&said[0]["peer"], &said[1]["answer"]), (&"b".into(), &"HELLO".into()));

    let other = daemon(&[("b", b.address()), ("down", address)]);
    other.await_peer("b", "linked");
    other.await_refused("down");
    let output = shoutd(&other, &["send", "--all", "hello"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(output.stdout, b"b: HELLO\n");
    let said = error(&output);
    assert!(said.starts_with("down: no link: ") && said.ends_with("error: 1 of 2 peers did not answer\n"), "{said}");
    for process in [a, other, b, c] {
        process.end();
    }
}

#[test]
fn what_comes_instead_of_an_answer_is_shown() {
    let a = daemon(&[("stays", somebody("something else\n", false)), ("leaves", somebody("good bye\n", true))]);
    a.await_peer("stays", "linked");
    a.await_peer("leaves", "linked");
    let output = shoutd(&a, &["send", "stays", "hello", "--timeout", "2s"]);
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b""[..]));
    assert_eq!(error(&output), "error: stays: no answer in 2 s; meanwhile came \"something else\"\n");
    let output = shoutd(&a, &["send", "leaves", "hello", "--timeout", "20s"]);
    let said = error(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.starts_with("error: leaves: the link ended before an answer came"), "{said}");
    assert!(said.ends_with("meanwhile came \"good bye\"\n"), "{said}");
    a.end();
}

/// Those who wait for peers could have had all places of those who ask.
#[test]
fn who_waits_for_a_silent_peer_keeps_nobody_from_looking() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let a = daemon(&[("silent", silent.local_addr().unwrap())]);
    a.await_peer("silent", "linked");
    let wait = |millis: u64| format!("/send/silent?timeout_ms={millis}");
    let waiting: Vec<_> = (0..8).map(|_| a.begin("POST", &wait(60_000), b"hello")).collect();
    eventually("all places are taken", || a.post(&wait(0), b"hello").0 == 429);
    assert_eq!(a.control("GET", "/peers").0, 200);
    good(&shoutd(&a, &["status"]));
    drop(waiting);
}

#[test]
fn a_peer_is_counted_under_its_name() {
    let b = daemon(&[]);
    let (_nobody, address) = nobody();
    let a = daemon(&[("b", b.address()), ("down", address)]);
    a.await_peer("b", "linked");
    a.await_refused("down");
    good(&shoutd(&a, &["send", "b", "hello"]));
    let (_, _, text) = a.public("GET", "/metrics");
    for line in [
        "shoutd_peer_up{peer=\"b\"} 1",
        "shoutd_peer_up{peer=\"down\"} 0",
        "shoutd_peer_dials_total{peer=\"b\",result=\"linked\"} 1",
        "shoutd_peer_dials_total{peer=\"b\",result=\"refused\"} 0",
        "shoutd_peer_answers_total{peer=\"b\"} 1",
        "shoutd_peer_loops_total{peer=\"b\"} 0",
    ] {
        assert!(text.lines().any(|other| other == line), "no {line} in\n{text}");
    }
    assert!(text.contains("shoutd_peer_round_trip_seconds{peer=\"b\"} "), "{text}");
    assert!(!text.contains("shoutd_peer_round_trip_seconds{peer=\"down\"} "), "{text}");
    let (code, _, peers) = a.public("GET", "/peers");
    assert_eq!((code, peers.starts_with("[{\"name\":\"b\"")), (200, true), "{peers}");
    a.end();
    b.end();
}

#[test]
#[ignore = "needs python3, chromium and chromium-driver"]
fn the_page_shows_the_peers_in_a_browser() {
    let b = daemon(&[]);
    let (_nobody, address) = nobody();
    let a = daemon(&[("b", b.address()), ("down", address)]);
    a.await_peer("b", "linked");
    a.await_refused("down");
    good(&shoutd(&a, &["send", "b", "hello"]));
    // a plot has a line once somebody has been answered
    let client = connect(a.address());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/page.py");
    let pictures = std::env::var_os("SHOUTD_PICTURES").map_or_else(|| a.folder.path().join("pictures"), PathBuf::from);
    let page = format!("http://{}/", a.admin());
    let output = Command::new("python3").args([script, &page]).arg(&pictures).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &error(&output);
    assert!(output.status.success(), "{said}");
    drop(client);
    a.end();
    b.end();
}

#[test]
fn with_no_peers_there_is_a_line_that_says_how_to_add_one() {
    let process = Process::start(SOMEWHERE);
    let text = good(&shoutd(&process, &["peers"]));
    assert!(text.lines().count() == 1 && text.contains("[[peer]]"), "{text}");
    assert_eq!(good(&shoutd(&process, &["peers", "--json"])), "[]\n");
    assert!(!good(&shoutd(&process, &["status"])).contains("peers"));
    let output = shoutd(&process, &["send", "b", "hello"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(error(&output).contains("[[peer]] in the configuration adds one"), "{}", error(&output));
    let output = shoutd(&process, &["send", "--all", "hello"]);
    assert_eq!((output.status.code(), error(&output).contains("[[peer]]")), (Some(1), true));
    process.end();
    let none = tempfile::tempdir().unwrap();
    for words in [&["send", "b", "hello"][..], &["send", "--all", "hello"], &["peers"]] {
        let output = command(&none.path().join("c.toml"), none.path(), words);
        assert_eq!(output.status.code(), Some(69), "{}", error(&output));
    }
}

#[test]
fn what_is_sent_to_peers_is_bounded_and_comes_by_the_control_socket_alone() {
    let process = daemon(&[]);
    let (code, body) = process.post("/send/a%2Fb%20%C3%A9", b"hello");
    let said: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((code, &said["peer"], &said["outcome"]), (404, &"a/b é".into(), &"unknown".into()));
    assert_eq!(process.post("/send?timeout_ms=10", b"hello"), (200, "[]".to_owned()));
    assert_eq!(process.post("/send/b", &[b'x'; 64 * 1024]).0, 404);
    assert_eq!(process.post("/send/b", &[b'x'; 64 * 1024 + 1]).0, 413);
    for wrong in ["/send/b?timeout_ms=x", "/send/b?timeout_ms=120001", "/send/b?now"] {
        assert_eq!(process.post(wrong, b"hello").0, 400, "{wrong}");
    }
    assert_eq!(process.post("/send/b", b"").0, 400);
    assert_eq!(process.control("GET", "/send/b").0, 405);
    assert_eq!(process.public("POST", "/send/b").0, 405);
    assert_eq!(process.public("GET", "/send/b").0, 404);
    assert_eq!((process.public("GET", "/peers").2.as_str(), process.control("GET", "/peers").1.as_str()), ("[]", "[]"));
    process.end();
}
