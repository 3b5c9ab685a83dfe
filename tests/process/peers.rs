use crate::common::ports::{Port, connected};
use crate::harness::{Process, eventually};
use crate::links::{accept, config, dialled, expect, listen, say};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

fn at(port: &Port) -> String {
    format!("localhost:{}", port.number)
}

/// How many messages went over the link, as its two ends have it.
fn messages(ends: [(&Process, &str); 2]) -> [u64; 2] {
    ends.map(|(process, name)| process.peer(name)["messages"].as_u64().unwrap())
}

#[test]
fn two_daemons_that_list_each_other_share_one_link_and_are_quiet_on_it() {
    let (a, b) = (Port::new(), Port::new());
    let first = Process::start(&config(&a, "greeting = \"Hello from a\"", &[("b", at(&b))]));
    let no_link = first.await_told("b", "no link", 1);
    assert_eq!((&no_link["level"], &no_link["why"]), (&json!("warn"), &json!("connection refused")));
    assert!(no_link["next_try_seconds"].as_f64().is_some_and(|seconds| (0.0..0.3).contains(&seconds)), "{no_link}");

    let second = Process::start(&config(&b, "greeting = \"Hello from b\"", &[("a", at(&a))]));
    first.await_peer("b", "linked");
    second.await_peer("a", "linked");
    assert_eq!([connected(a.number, b.number), connected(b.number, a.number)], [1, 1]);
    let who = [first.await_told("b", "linked", 1), second.await_told("a", "linked", 1)]
        .map(|told| told["dialled"].to_string());
    assert!(who.contains(&"true".to_owned()), "{who:?}");

    assert_eq!(first.send("b", "straße"), "STRASSE");
    assert_eq!(second.send("a", "hi there"), "HI THERE");
    let ends = [(&first, "b"), (&second, "a")];
    let before = messages(ends);
    assert!(before.iter().all(|count| (3..=4).contains(count)), "a greeting, two questions and answers: {before:?}");
    // a loop would go round thousands of times meanwhile
    for _ in 0..10 {
        assert_eq!(first.send("b", "once more"), "ONCE MORE");
    }
    assert_eq!(messages(ends), before.map(|count| count + 10));
    assert_eq!([connected(a.number, b.number), connected(b.number, a.number)], [1, 1]);
    first.end();
    second.end();
}

#[test]
fn in_a_ring_of_three_each_talks_to_the_next() {
    let ports = [Port::new(), Port::new(), Port::new()];
    let next = |nth: usize| (nth + 1) % 3;
    let ring: Vec<_> = (0..3)
        .map(|nth| Process::start(&config(&ports[nth], "greeting = \"Hello\"", &[("next", at(&ports[next(nth)]))])))
        .collect();
    for (nth, process) in ring.iter().enumerate() {
        process.await_peer("next", "linked");
        assert_eq!(process.await_told("next", "answered", 1)["answer"], "HELLO");
        assert_eq!(process.send("next", "hi"), "HI");
        assert_eq!(connected(ports[nth].number, ports[next(nth)].number), 1);
        assert_eq!(process.peer("next")["messages"], 2);
    }
    ring.into_iter().for_each(Process::end);
}

#[test]
fn in_a_mesh_of_five_each_pair_shares_one_link() {
    let ports: Vec<_> = (0..5).map(|_| Port::new()).collect();
    let names = ["a", "b", "c", "d", "e"];
    let others = |nth: usize| (0..5).filter(move |other| *other != nth);
    let mesh: Vec<_> = (0..5)
        .map(|nth| {
            let peers: Vec<_> = others(nth).map(|other| (names[other], at(&ports[other]))).collect();
            Process::spawn(&config(&ports[nth], "greeting = \"Hello\"", &peers), |command| command)
        })
        .collect();
    for (nth, process) in mesh.iter().enumerate() {
        process.address();
        for other in others(nth) {
            process.await_peer(names[other], "linked");
        }
    }
    for (nth, process) in mesh.iter().enumerate() {
        for other in others(nth) {
            assert_eq!(connected(ports[nth].number, ports[other].number), 1, "{nth} and {other}");
            assert_eq!(process.send(names[other], "hi"), "HI");
        }
        assert_eq!(process.shoutd(&["send", "--all", "hello"]).status.code(), Some(0));
    }
    mesh.into_iter().for_each(Process::end);
}

#[test]
fn a_daemon_is_not_its_own_peer() {
    let port = Port::new();
    for (listen, peer) in [
        ("localhost", "localhost"),
        ("127.0.0.1", "localhost"),
        ("0.0.0.0", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.9"),
        ("[::]", "[::1]"),
    ] {
        let config = format!("listen = \"{listen}:{0}\"\n[[peer]]\naddress = \"{peer}:{0}\"\n", port.number);
        let mut process = Process::spawn(&config, |command| command);
        assert_eq!(process.wait().code(), Some(78), "{config}{:?}", process.said());
        process.await_line("is this daemon itself");
        let check = process.shoutd(&["check"]);
        assert_eq!(check.status.code(), Some(78), "{config}");
    }
}

#[test]
fn a_peer_may_come_late_and_go_and_come_back() {
    let (a, b) = (Port::new(), Port::new());
    let first = Process::start(&config(&a, "", &[("b", at(&b))]));
    first.await_told("b", "no link", 1);
    let waiting = first.peer("b");
    assert_ne!(waiting["state"], "linked");
    for round in 1..=3 {
        let mut second = Process::start(&config(&b, "", &[]));
        first.await_peer("b", "linked");
        assert_eq!(first.send("b", "hello"), "HELLO");
        match round {
            1 => second.end(),
            _ => {
                second.kill(Signal::KILL);
                second.wait();
            }
        }
        let ended = first.await_told("b", "link ended", round);
        assert!(["client_fin", "client_reset"].map(Value::from).contains(&ended["reason"]), "{ended}");
        assert!(ended["next_try_seconds"].is_number(), "{ended}");
        first.await_told("b", "no link", round + 1);
    }
    first.end();
}

#[test]
fn peers_are_added_moved_and_removed_by_a_reload() {
    let (a, b, c) = (Port::new(), Port::new(), Port::new());
    let [second, third] = [&b, &c].map(|port| Process::start(&config(port, "", &[])));
    let first = Process::start(&config(&a, "", &[("b", at(&b))]));
    first.await_peer("b", "linked");
    let connection = first.await_told("b", "linked", 1)["connection"].clone();

    let line = first.reload(&config(&a, "", &[("b", at(&b)), ("c", at(&c))]));
    assert!(line.contains("reloaded"), "{line}");
    first.await_line("peer.c");
    first.await_peer("c", "linked");
    assert_eq!(first.send("c", "hello"), "HELLO");
    assert_eq!(first.await_told("b", "linked", 1)["connection"], connection);
    assert!(first.told_of("b", "link ended").is_empty(), "the other link was left alone");

    first.reload(&config(&a, "", &[("c", at(&c))]));
    assert_eq!(first.await_told("b", "link ended", 1)["reason"], "peer_removed");
    eventually("the link is gone", || connected(a.number, b.number) == 0);
    assert_eq!(first.peers().len(), 1);
    assert_eq!(first.send("c", "hello"), "HELLO");

    // by the same name elsewhere
    first.reload(&config(&a, "", &[("c", at(&b))]));
    eventually("it is linked to the other", || {
        connected(a.number, b.number) == 1 && connected(a.number, c.number) == 0
    });
    assert_eq!(first.send("c", "hello"), "HELLO");

    // a mistake changes nothing
    let line = first.reload(&config(&a, "", &[("c", at(&a))]));
    assert!(line.contains("reload refused"), "{line}");
    assert_eq!(first.send("c", "hello"), "HELLO");
    [second, third].into_iter().for_each(Process::end);
    // its log names the mistake
    first.kill(Signal::TERM);
    assert_eq!({ first }.wait().code(), Some(0));
}

/// The exchange of the blog's peer, byte for byte.
#[test]
fn answer_back_and_once_are_the_blogs_own_peer() {
    let (a, b) = (Port::new(), Port::new());
    let server = listen(&b);
    let blog = "greeting = \"Hello from Peer 1\"\nanswer_back = true\nonce = true";
    let process = Process::start(&config(&a, blog, &[("server", b.address().to_string())]));
    let (mut client, from) = accept(&server);
    assert_eq!(from, a.address(), "it comes from the port it listens on");
    expect(&mut client, "Hello from Peer 1");
    say(&mut client, "HELLO FROM PEER 1");
    let mut rest = String::new();
    client.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "HELLO FROM PEER 1", "the answer's answer, once, and the end");
    drop(client);
    process.await_peer("server", "done");
    let told = process.await_told("server", "answered", 1);
    assert_eq!(told["answer"], "HELLO FROM PEER 1");
    assert!(told["round_trip_seconds"].as_f64().is_some_and(|seconds| seconds < 20.0), "{told}");
    assert_eq!(process.await_told("server", "link ended", 1)["reason"], "exchange_done");
    assert!(dialled(&server).is_none(), "and never again");
    process.end();
}

#[test]
fn answer_back_alone_answers_once_and_keeps_the_link() {
    let (a, b) = (Port::new(), Port::new());
    let server = listen(&b);
    let process =
        Process::start(&config(&a, "greeting = \"Hello\"\nanswer_back = true", &[("server", b.address().to_string())]));
    let (mut client, _) = accept(&server);
    expect(&mut client, "Hello");
    say(&mut client, "HELLO");
    expect(&mut client, "HELLO");
    for text in ["what a client says", "hello", "Hello"] {
        say(&mut client, text);
        expect(&mut client, &text.to_uppercase());
    }
    process.await_peer("server", "linked");
    drop(client);
    process.end();
}

/// The greeting's answer is recognised, and all else is answered, also what looks like it.
#[test]
fn what_a_peer_says_is_answered_but_for_its_answer() {
    let (a, b) = (Port::new(), Port::new());
    let server = listen(&b);
    let process = Process::start(&config(&a, "greeting = \"Hello\"", &[("server", b.address().to_string())]));
    let (mut client, _) = accept(&server);
    expect(&mut client, "Hello");
    say(&mut client, "hELLO");
    assert_eq!(process.await_told("server", "answered", 1)["answer"], "hELLO");
    for text in ["hELLO", "HELLO", "the same", "the same"] {
        say(&mut client, text);
        expect(&mut client, &text.to_uppercase());
    }
    // what it is asked, it is asked as a whole
    client.shutdown(Shutdown::Write).unwrap();
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).unwrap();
    assert!(rest.is_empty(), "{}", rest.escape_ascii());
    assert_eq!(process.await_told("server", "link ended", 1)["reason"], "client_fin");
    process.end();
}

#[test]
fn a_client_from_the_peers_host_is_a_client_and_from_its_port_the_peer() {
    let (a, b) = (Port::new(), Port::new());
    let process = Process::start(&config(&a, "", &[("b", at(&b))]));
    let mut client = TcpStream::connect(a.address()).unwrap();
    client.write_all(b"hello").unwrap();
    expect(&mut client, "HELLO");
    assert_ne!(process.peer("b")["state"], "linked");
    let mut peer = b.connect(a.address());
    peer.write_all(b"hello").unwrap();
    expect(&mut peer, "HELLO");
    process.await_peer("b", "linked");
    let told = process.await_told("b", "linked", 1);
    assert!(told["dialled"].to_string().contains("false"), "{told}");
    assert_eq!(told["address"], b.address().to_string());
    drop((client, peer));
    process.await_told("b", "link ended", 1);
    process.end();
}

/// Behind NAT the ports say nothing: each has dialled the other, and neither link loops.
#[test]
fn daemons_that_dial_from_any_port_have_at_most_two_links_which_are_quiet() {
    let (a, b) = (Port::new(), Port::new());
    let any = "source_port = \"any\"\ngreeting = \"Hello\"";
    let first = Process::start(&config(&a, any, &[("b", at(&b))]));
    let second = Process::start(&config(&b, any, &[("a", at(&a))]));
    for (process, name) in [(&first, "b"), (&second, "a")] {
        process.await_peer(name, "linked");
        assert_eq!(process.await_told(name, "answered", 1)["answer"], "HELLO");
    }
    assert_eq!(connected(a.number, b.number), 0);
    for _ in 0..10 {
        assert_eq!(first.send("b", "hi"), "HI");
        assert_eq!(second.send("a", "ho"), "HO");
    }
    assert_eq!(messages([(&first, "b"), (&second, "a")]), [11, 11]);
    first.end();
    second.end();
}

/// Both are killed and started at the same instant; `tests/behaviour/pairs.rs` does so a thousand times.
#[test]
fn two_daemons_that_were_killed_at_the_same_instant_share_one_link_again() {
    let (a, b) = (Port::new(), Port::new());
    let configs = [config(&a, "", &[("peer", at(&b))]), config(&b, "", &[("peer", a.address().to_string())])];
    let start = || configs.each_ref().map(|config| Process::spawn(config, |command| command));
    let mut both = start();
    for round in 0.. {
        for process in &both {
            process.address();
            process.await_peer("peer", "linked");
        }
        eventually("there is one", || [connected(a.number, b.number), connected(b.number, a.number)] == [1, 1]);
        if round == 5 {
            break;
        }
        both.iter().for_each(|process| process.kill(Signal::KILL));
        both.iter_mut().for_each(|process| _ = process.wait());
        both = start();
    }
    both.into_iter().for_each(Process::end);
}
