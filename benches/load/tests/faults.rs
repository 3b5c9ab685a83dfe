//! Servers that answer rightly, and such as do not: the first are passed, and every fault of the others is found.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

const TEXT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../texts/greek.txt");

/// A server on which each piece that came is changed: by `answer`, which is also told how many bytes were before it.
fn server(answer: fn(&mut Vec<u8>, usize)) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for client in listener.incoming() {
            thread::spawn(move || serve(client.unwrap(), answer));
        }
    });
    address
}

fn serve(mut client: TcpStream, answer: fn(&mut Vec<u8>, usize)) {
    let (mut buffer, mut before) = (vec![0; 4096], 0);
    while let Ok(count @ 1..) = client.read(&mut buffer) {
        let mut piece = buffer[..count].to_vec();
        answer(&mut piece, before);
        before += count;
        if client.write_all(&piece).is_err() {
            break;
        }
    }
}

fn load(address: SocketAddr, options: &str) -> Output {
    let common = ["-a", &address.to_string(), "-t", "0.1", "--warmup", "0", "--json"];
    Command::new(env!("CARGO_BIN_EXE_load")).args(options.split(' ')).args(common).output().unwrap()
}

#[track_caller]
fn passes(address: SocketAddr, options: &str) {
    let output = load(address, options);
    assert!(output.status.success(), "{options}: {output:?}");
    assert!(String::from_utf8(output.stdout).unwrap().ends_with("}\n"));
}

#[track_caller]
fn fails(address: SocketAddr, options: &str) {
    let output = load(address, options);
    assert_eq!(output.status.code(), Some(1), "{options}: {output:?}");
}

#[test]
fn right_answers_are_passed_in_every_mode() {
    let upper = server(|piece, _| piece.make_ascii_uppercase());
    for options in
        ["pingpong", "pingpong -s 64 -d 16 --newline", "stream", "stream -s 100", "churn", "churn --half-close"]
    {
        passes(upper, options);
    }
    passes(upper, "idle -n 20 --touch --settle 0");
    passes(upper, r"pingpong --request mn\r\n --reply MN\r\n");
    passes(server(|_, _| {}), "pingpong --request as-it-is --reply as-it-is");
}

#[test]
fn a_text_that_is_not_changed_is_found() {
    let echo = server(|_, _| {});
    for options in
        ["pingpong", "pingpong -d 16", "stream", "churn", "churn --half-close", "idle -n 5 --touch --settle 0"]
    {
        fails(echo, options);
    }
    let ascii = server(|piece, _| piece.make_ascii_uppercase());
    for mode in ["pingpong", "stream", "churn"] {
        fails(ascii, &format!("{mode} --text {TEXT}"));
    }
}

#[test]
fn one_wrong_byte_among_many_is_found() {
    let once = server(|piece, before| {
        piece.make_ascii_uppercase();
        if (before..before + piece.len()).contains(&300) {
            piece[300 - before] ^= 1;
        }
    });
    for options in ["pingpong -c 3", "pingpong -s 200", "pingpong -d 16", "stream"] {
        fails(once, options);
    }
}

#[test]
fn a_byte_that_is_missing_or_too_many_is_found() {
    let missing = server(|piece, before| {
        piece.make_ascii_uppercase();
        piece.truncate(if before == 0 { piece.len() - 1 } else { piece.len() });
    });
    for options in ["pingpong", "pingpong -d 16", "stream", "churn --half-close"] {
        fails(missing, options);
    }
    let twice = server(|piece, _| *piece = piece.to_ascii_uppercase().repeat(2));
    for options in ["pingpong", "stream", "churn", "churn --half-close"] {
        fails(twice, options);
    }
}

#[test]
fn one_connection_of_many_without_an_answer_is_found() {
    static CLIENTS: AtomicUsize = AtomicUsize::new(0);
    let silent = server(|piece, before| {
        piece.make_ascii_uppercase();
        if before == 0 && CLIENTS.fetch_add(1, Relaxed) % 30 == 7 {
            piece.clear();
        }
    });
    for options in ["pingpong", "stream --drain 0.5", "churn --timeout 0.5"] {
        fails(silent, &format!("{options} -c 20"));
    }
}

#[test]
fn a_connection_that_is_ended_is_found() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || listener.incoming().for_each(drop));
    for options in ["pingpong", "stream", "churn", "idle -n 5 --touch --settle 0 -c 0"] {
        fails(address, options);
    }
}

#[test]
fn an_idle_connection_that_is_given_up_is_found() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let mut before = None;
        for client in listener.incoming() {
            let (mut client, mut message) = (client.unwrap(), [0; 32]);
            client.read_exact(&mut message).unwrap();
            // so that its end has come before the answer has
            drop(before.take());
            client.write_all(&message.to_ascii_uppercase()).unwrap();
            before = Some(client);
        }
    });
    fails(address, "idle -n 5 --touch --settle 0 -c 0");
}

#[test]
fn wrong_use_is_told_from_wrong_answers() {
    for options in ["pingpong -a 192.0.2.1:80", "pingpong -s 0", "stream --newline", "churn --request a"] {
        let status = Command::new(env!("CARGO_BIN_EXE_load")).args(options.split(' ')).output().unwrap().status;
        assert_eq!(status.code(), Some(2), "{options}");
    }
}
