use crate::harness::{Client, Daemon, eventually};
use shoutd::net::address::Address;
use shoutd::server::Listener;
use shoutd::session::EndReason;
use shoutd::transform::InvalidUtf8;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

#[test]
fn a_hello_is_shouted_back() {
    let daemon = Daemon::start();
    daemon.connect().send("hello").expect("HELLO").send(" again").expect(" AGAIN");
}

#[test]
fn every_script_has_its_upper_case() {
    Daemon::start().connect().send("straße ﬁ дом \u{390} 🦀").expect("STRASSE FI ДОМ \u{399}\u{308}\u{301} 🦀");
}

#[test]
fn a_character_cut_by_the_network_is_answered_whole() {
    let daemon = Daemon::start();
    let mut client = daemon.connect();
    client.0.set_nodelay(true).unwrap();
    for c in "aßﬁ🦀".chars() {
        for byte in c.to_string().bytes() {
            client.send([byte]);
        }
        client.expect(c.to_string().to_uppercase());
    }
}

#[test]
fn a_character_that_the_end_cuts_is_not_lost() {
    let daemon = Daemon::start();
    assert_eq!(daemon.connect().send(b"abc\xE2\x82").finish().rest(), b"ABC\xE2\x82");
}

#[test]
fn a_mebibyte_comes_back_whole_after_a_half_close() {
    let daemon = Daemon::start();
    let mut client = daemon.connect();
    let text = "all of it, straße by straße\n".repeat(1 << 15);
    assert!(client.exchange(&text) == text.to_uppercase().into_bytes());
}

/// r-fin: with edge-triggered readiness and "a short read is all there is", a FIN that came with
/// the data is never read, and the client waits for ever.
#[test]
fn an_end_that_came_with_the_data_is_seen() {
    let daemon = Daemon::start();
    for _ in 0..200 {
        assert_eq!(daemon.connect().send("hello").finish().rest(), b"HELLO");
    }
}

/// r-oob: the urgent mark cuts a read short although more is there; nginx then never sees the FIN.
#[test]
fn an_urgent_byte_hides_neither_the_rest_nor_the_end() {
    let daemon = Daemon::start();
    for _ in 0..20 {
        let mut client = daemon.connect();
        client.send("before");
        rustix::net::send(&client.0, b"!", rustix::net::SendFlags::OOB).unwrap();
        client.send("after").finish();
        assert_eq!(client.rest(), b"BEFOREAFTER", "the urgent byte is no part of the stream");
    }
}

#[test]
fn lines_are_answered_in_kind_and_in_order() {
    let daemon = Daemon::with(|plan| plan.framing = "line");
    let mut client = daemon.connect();
    client.send("one\ntwo\r\n\nthr").expect("ONE\nTWO\r\n\n");
    client.send("ee\nlast").expect("THREE\n");
    assert_eq!(client.finish().rest(), b"LAST", "the last line needs no newline");
}

#[test]
fn pipelined_lines_keep_their_order() {
    let daemon = Daemon::with(|plan| plan.framing = "line");
    let mut client = daemon.connect();
    let lines: String = (0..20_000).map(|n| format!("line {n}\n")).collect();
    assert!(client.exchange(&lines) == lines.to_uppercase().into_bytes());
}

#[test]
fn steps_are_done_in_order() {
    Daemon::with(|plan| plan.steps = vec!["uppercase", "lowercase"]).connect().send("HeLLo").expect("hello");
    Daemon::with(|plan| plan.steps = vec!["lowercase", "uppercase"]).connect().send("HeLLo").expect("HELLO");
    Daemon::with(|plan| plan.steps = vec!["echo"]).connect().send(b"\xFF\0Hello").expect(b"\xFF\0Hello");
}

#[test]
fn one_process_serves_several_services() {
    let daemon = Daemon::with(|plan| {
        for (name, step) in [("shout", "uppercase"), ("whisper", "lowercase")] {
            plan.steps = vec![step];
            let service = plan.service(name);
            plan.settings.listeners.push(Listener::new("127.0.0.1:0".parse().unwrap(), service));
        }
    });
    let [shout, whisper] = daemon.addresses()[..] else { panic!("two addresses") };
    Client::connect(shout).send("Hello").expect("HELLO");
    Client::connect(whisper).send("Hello").expect("hello");
}

#[test]
fn localhost_is_both_loopbacks() {
    let daemon = Daemon::with(|plan| {
        let service = plan.service("default");
        plan.settings.listeners.push(Listener::new("localhost:0".parse().unwrap(), service));
    });
    for address in daemon.addresses() {
        Client::connect(address).send("hello").expect("HELLO");
    }
    assert!(daemon.addresses().iter().any(|address| address.is_ipv4()));
}

#[test]
fn a_unix_socket_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shoutd.sock");
    let daemon = Daemon::with(|plan| {
        let service = plan.service("default");
        plan.settings.listeners.push(Listener::new(Address::Unix(path.clone()), service));
    });
    let mut client = UnixStream::connect(&path).unwrap();
    client.write_all(b"hello").unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "HELLO");
    drop(daemon);
    assert!(!path.exists());
}

#[test]
fn what_came_before_bad_bytes_is_answered_before_the_end() {
    let daemon = Daemon::with(|plan| plan.options.invalid_utf8 = InvalidUtf8::Close);
    let mut client = daemon.connect();
    client.send(b"good\xFFbad");
    assert_eq!(client.rest(), b"GOOD");
    drop(client);
    eventually("it is counted", || daemon.closed(EndReason::InvalidUtf8) == 1);
}

#[test]
fn bad_bytes_can_be_replaced() {
    Daemon::with(|plan| plan.options.invalid_utf8 = InvalidUtf8::Replace)
        .connect()
        .send(b"a\xFFb")
        .expect("A\u{FFFD}B");
}

/// r-rst: closing a socket with unread input makes the kernel reset it, which destroys the answer.
#[test]
fn an_answer_survives_the_end_that_a_limit_brings() {
    let daemon = Daemon::with(|plan| (plan.framing, plan.framed.max_message) = ("line", 1000));
    for _ in 0..20 {
        let mut client = daemon.connect();
        client.send("answered\n");
        client.send("x".repeat(50_000));
        assert_eq!(client.rest(), b"ANSWERED\n");
    }
    assert!(daemon.closed(EndReason::MessageTooLong) > 0);
}
