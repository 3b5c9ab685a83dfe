use crate::harness::{Client, Daemon, Plan, eventually};
use shoutd::framing::OnLong;
use shoutd::session::EndReason;
use shoutd::transform::OnError;

fn framed(framing: &'static str, change: impl FnOnce(&mut Plan)) -> Daemon {
    Daemon::with(|plan| {
        plan.framing = framing;
        change(plan);
    })
}

#[test]
fn a_delimiter_ends_messages_and_answers() {
    let daemon = framed("delimiter", |plan| plan.framed.delimiter = b"<>".to_vec());
    let mut client = daemon.connect();
    client.send("one<>two<").expect("ONE<>").send(">").expect("TWO<>");
    assert_eq!(client.send("<>last<").finish().rest(), b"<>LAST<", "the last message needs no end");
}

#[test]
fn a_length_of_four_bytes_stands_before_each_answer_too() {
    let daemon = framed("length32", |_| {});
    let mut client = daemon.connect();
    client.send(b"\0\0\0\x05hello\0\0").expect(b"\0\0\0\x05HELLO");
    client.send(b"\0\0\0\0\0\x03").expect(b"\0\0\0\0");
    client.send("ß!").expect(b"\0\0\0\x03SS!");
}

#[test]
fn netstrings_are_answered_by_netstrings() {
    let daemon = framed("netstring", |_| {});
    daemon.connect().send("5:hello,0:,1").expect("5:HELLO,0:,").send("2:hello world!,").expect("12:HELLO WORLD!,");
}

/// faults row 19: the largest length that can be told is no reason to wait for it, or to reserve memory.
#[test]
fn a_length_beyond_all_bounds_ends_the_connection_after_what_came_before() {
    let daemon = framed("length32", |_| {});
    let mut client = daemon.connect();
    client.send(b"\0\0\0\x01a\xFF\xFF\xFF\xFFb");
    assert_eq!(client.rest(), b"\0\0\0\x01A");
    drop(client);
    eventually("it is counted", || daemon.closed(EndReason::MessageTooLong) == 1);
    assert_eq!(daemon.control().totals().too_long, 1);
}

/// faults row 19: what came of a message whose rest never comes is not answered, but counted.
#[test]
fn a_message_that_the_end_of_input_cuts_short_is_not_answered() {
    let daemon = framed("length32", |_| {});
    assert_eq!(daemon.connect().send(b"\0\0\0\x01a\0\0\0\x05hell").finish().rest(), b"\0\0\0\x01A");
    eventually("it is counted", || daemon.closed(EndReason::MessageCutShort) == 1);
    assert_eq!(daemon.control().totals().cut_short, 1);
}

#[test]
fn bytes_that_are_no_netstring_end_the_connection_after_what_came_before() {
    for wrong in ["x", "01:a,", "1:ab", ":", "99999999999:"] {
        let daemon = framed("netstring", |_| {});
        let mut client = daemon.connect();
        client.send("1:a,").send(wrong);
        assert_eq!(client.rest(), b"1:A,", "{wrong}");
        drop(client);
        eventually("it is counted", || daemon.closed(EndReason::BadFrame) == 1);
    }
}

#[test]
fn answers_may_be_framed_otherwise_than_messages() {
    let out = |framing, framing_out| framed(framing, |plan| plan.framing_out = Some(framing_out));
    out("line", "length32").connect().send("a\r\nbc\n").expect(b"\0\0\0\x01A\0\0\0\x02BC");
    out("netstring", "line").connect().send("1:a,2:bc,").expect("A\nBC\n");
    out("line", "stream").connect().send("a\nbc\n").expect("ABC");
    assert_eq!(out("line", "netstring").connect().send("a\nlast").finish().rest(), b"1:A,4:LAST,");
}

fn long(framing: &'static str, on_long: OnLong) -> Daemon {
    framed(framing, |plan| (plan.framed.max_message, plan.framed.on_long) = (4, on_long))
}

#[test]
fn a_long_message_may_be_cut_off() {
    let daemon = long("line", OnLong::Truncate);
    daemon.connect().send("abcdefgh\r\nab\n").expect("ABCD\r\nAB\n");
    // no half of a character is answered
    daemon.connect().send("abcß\n").expect("ABC\n");
    assert_eq!(daemon.connect().send("abcdefgh").finish().rest(), b"ABCD");
    long("length32", OnLong::Truncate).connect().send(b"\0\0\0\x06abcdef").expect(b"\0\0\0\x04ABCD");
    assert_eq!(daemon.control().totals().too_long, 3);
}

#[test]
fn a_long_message_may_be_dropped() {
    long("line", OnLong::Drop).connect().send("abcdefgh\r\nab\n").expect("AB\n");
    long("netstring", OnLong::Drop).connect().send("6:abcdef,2:ab,").expect("2:AB,");
}

#[test]
fn a_long_message_may_be_passed_on_as_it_comes() {
    let daemon = long("line", OnLong::Pass);
    let mut client = daemon.connect();
    client.send("ab\nabcdef").expect("AB\nabcdef").send("gh").expect("gh").send("\r\nab\n").expect("\r\nAB\n");
    long("netstring", OnLong::Pass).connect().send("6:abc").expect("6:abc").send("def,1:a,").expect("def,1:A,");
}

/// A message of 64 MiB that nobody keeps: the daemon's answer comes while it is sent.
#[test]
fn a_message_of_any_length_passes_in_little_memory() {
    let daemon = framed("line", |plan| plan.framed.on_long = OnLong::Pass);
    let text = "x".repeat(64 << 20) + "\n";
    assert!(daemon.connect().exchange(&text) == text.into_bytes());
}

#[test]
fn a_greeting_comes_before_anything_is_said() {
    let daemon = framed("line", |plan| plan.greeting = Some("you are {peer} at {listener}, no. {connection}"));
    for number in 1..3 {
        let mut client = daemon.connect();
        let peer = client.0.local_addr().unwrap();
        client.expect(format!("you are {peer} at default, no. {number}\n"));
        client.send("hello\n").expect("HELLO\n");
    }
    Daemon::with(|plan| plan.greeting = Some("hi ")).connect().expect("hi ").send("a").expect("A");
    framed("netstring", |plan| plan.greeting = Some("hi")).connect().expect("2:hi,");
}

#[test]
fn who_asks_is_told_who_asks() {
    let daemon = framed("line", |plan| plan.steps = vec!["whoami"]);
    let mut client = daemon.connect();
    let (peer, local) = (client.0.local_addr().unwrap(), client.0.peer_addr().unwrap());
    let host = rustix::system::uname();
    let host = host.nodename().to_str().unwrap();
    client
        .send("hello\n")
        .expect(format!("peer={peer} local={local} listener=default host={host} connection=1 message=hello\n"));
}

#[test]
fn what_is_discarded_has_no_answer_at_all() {
    for framing in ["stream", "line", "netstring"] {
        let daemon = framed(framing, |plan| plan.steps = vec!["discard"]);
        assert_eq!(daemon.connect().send("5:hello,").finish().rest(), b"", "{framing}");
    }
}

fn unhex(framing: &'static str, on_error: OnError) -> Daemon {
    framed(framing, |plan| {
        plan.steps = vec!["unhex"];
        plan.options.on_error = on_error;
    })
}

#[test]
fn a_text_that_cannot_be_decoded_may_be_told_what_and_where() {
    let daemon = unhex("line", OnError::Reply);
    let mut client = daemon.connect();
    client.send("6869\n68x9\r\n686\n21\n");
    client.expect("hi\nerror: unhex: \"x\" is not a hex digit, at byte 2\r\nerror: unhex: it ends where a second digit belongs, at byte 3\n!\n");
    // under stream there is no next message to go on with
    assert_eq!(
        unhex("stream", OnError::Reply).connect().send("6869 6").send("8x").rest(),
        b"hih\nerror: unhex: \"x\" is not a hex digit, at byte 7\n"
    );
    assert_eq!(daemon.control().totals().bad_input, 2);
}

#[test]
fn a_text_that_cannot_be_decoded_may_come_back_or_end_the_connection() {
    unhex("line", OnError::Pass).connect().send("68x69\n").expect("hxi\n");
    let daemon = unhex("line", OnError::Close);
    let mut client = daemon.connect();
    client.send("68\nx\n69\n");
    assert_eq!(client.rest(), b"h\n");
    drop(client);
    eventually("it is counted", || daemon.closed(EndReason::BadInput) == 1);
}

#[test]
fn pipelined_messages_of_every_framing_keep_their_order() {
    for (framing, frame) in [
        ("delimiter", (|text| format!("{text}<>")) as fn(&str) -> String),
        ("netstring", |text| format!("{}:{text},", text.len())),
        ("length32", |text| format!("\0\0\0{}{text}", char::from(u8::try_from(text.len()).unwrap()))),
    ] {
        let daemon = framed(framing, |plan| plan.framed.delimiter = b"<>".to_vec());
        let texts: String = (0..20_000).map(|n| frame(&format!("text {n}"))).collect();
        let mut client: Client = daemon.connect();
        assert!(client.exchange(&texts) == texts.to_uppercase().into_bytes(), "{framing}");
    }
}

/// r-amplify: 64 KiB of empty lines, each answered by 10,000 bytes, were answered at once: 640 MB for a
/// client that reads nothing.
#[test]
fn short_messages_with_long_answers_are_answered_as_they_are_read() {
    let step = format!(r#"{{ replace = {{ pattern = "^$", with = "{}" }} }}"#, "x".repeat(10_000));
    let daemon = framed("line", |plan| {
        plan.steps = vec![step.leak()];
        plan.workers(1);
    });
    let resident = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap().trim().to_owned();
        line.trim_end_matches(" kB").parse::<usize>().unwrap()
    };
    let before = resident();
    let mut deaf: Vec<Client> = (0..20).map(|_| daemon.connect()).collect();
    for client in &mut deaf {
        // reads grow
        for _ in 0..3 {
            client.send("y".repeat(60_000)).send("\n").expect("y".repeat(60_000)).expect("\n");
        }
        client.send("\n".repeat(60_000));
    }
    // one who reads is served meanwhile, and to the end; by then the worker has come to all others, too
    let answer = daemon.connect().exchange(&"\n".repeat(2000));
    assert_eq!(answer.len(), 2000 * 10_001);
    // other tests of this process take some
    assert!(resident() < before + 1_000_000, "{before} kB before, {} kB now", resident());
    for mut client in deaf {
        let mut some = [0; 20_002];
        std::io::Read::read_exact(&mut client.0, &mut some).unwrap();
        assert!(some.ends_with(b"x\n"));
        drop(client);
    }
}

#[test]
fn a_step_for_line_ends_ends_lines_so() {
    let daemon = framed("line", |plan| plan.steps = vec!["crlf"]);
    assert_eq!(daemon.connect().send("a\nb\r\nc").finish().rest(), b"a\r\nb\r\nc");
    let daemon = framed("line", |plan| plan.steps = vec!["lf"]);
    assert_eq!(daemon.connect().send("a\nb\r\nc").finish().rest(), b"a\nb\nc");
}
