use crate::harness::{Process, SOMEWHERE};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::thread;

const LOCALHOST: &str = "listen = \"localhost:0\"\n";

/// Starts a client whose keyboard and screen are pipes.
fn spawn(command: &[&str]) -> Child {
    Command::new(command[0])
        .args(&command[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", command[0]))
}

/// Runs a client to its end with `input`, and gives what it printed.
fn client(command: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = spawn(command);
    let (mut stdin, input) = (child.stdin.take().unwrap(), input.to_vec());
    let sending = thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    sending.join().unwrap().unwrap();
    assert!(output.status.success(), "{command:?}: {:?}", output.status);
    output.stdout
}

#[test]
#[ignore = "needs nc, ncat and socat"]
fn netcats_of_every_kind_get_their_answer_and_end() {
    let process = Process::start(LOCALHOST);
    let port = process.address().port().to_string();
    let (inet, big) = (format!("TCP:localhost:{port}"), "straße by straße\n".repeat(1 << 16));
    let clients: [&[&str]; 5] = [
        &["nc", "-N", "localhost", &port],
        &["nc", "-4", "-N", "localhost", &port],
        &["nc", "-6", "-N", "::1", &port],
        &["ncat", "localhost", &port],
        &["socat", "-t20", "-", &inet],
    ];
    for command in clients {
        assert_eq!(client(command, b"hello"), b"HELLO", "{command:?}");
        assert!(client(command, big.as_bytes()) == big.to_uppercase().into_bytes(), "{command:?}");
    }
    process.end();
}

#[test]
#[ignore = "needs nc, ncat and socat"]
fn netcat_typed_by_hand_is_answered_line_by_line() {
    let process = Process::start(LOCALHOST);
    let port = process.address().port().to_string();
    let inet = format!("TCP:localhost:{port}");
    let clients: [&[&str]; 3] = [&["nc", "localhost", &port], &["ncat", "localhost", &port], &["socat", "-", &inet]];
    for command in clients {
        let mut child =
            Command::new(command[0]).args(&command[1..]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut keys = child.stdin.take().unwrap();
        let mut screen = BufReader::new(child.stdout.take().unwrap());
        for n in 0..200 {
            let (typed, mut shown) = (format!("line {n}\n"), String::new());
            keys.write_all(typed.as_bytes()).unwrap();
            screen.read_line(&mut shown).unwrap();
            assert_eq!(shown, typed.to_uppercase(), "{command:?}");
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    process.end();
}

#[test]
#[ignore = "needs python3"]
fn the_blogs_own_client_gets_its_answer() {
    let process = Process::start(LOCALHOST);
    let port = process.address().port().to_string();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/blog_client.py");
    assert_eq!(client(&["python3", script, &port], b""), b"HELLO\n");
    process.end();
}

#[test]
#[ignore = "needs nc"]
fn a_unix_socket_speaks_to_netcat() {
    let process = Process::start("listen = \"unix:shoutd.sock\"\n");
    let path = process.folder.path().join("shoutd.sock").display().to_string();
    assert_eq!(client(&["nc", "-N", "-U", &path], b"hello"), b"HELLO");
    process.end();
}

#[test]
fn an_answer_needs_no_newline_and_no_end() {
    let process = Process::start(SOMEWHERE);
    let mut client = crate::harness::connect(process.address());
    client.write_all(b"hello").unwrap();
    let mut answer = [0; 5];
    std::io::Read::read_exact(&mut client, &mut answer).unwrap();
    assert_eq!(&answer, b"HELLO");
    drop(client);
    process.end();
}
