use crate::harness::{Process, SOMEWHERE};
use shoutd::framing;
use shoutd::transform::{About, REGISTRY};
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

/// Every step of the registry, as its example writes it, in a framing that suits it.
#[test]
#[ignore = "needs nc"]
fn every_step_answers_netcat_as_its_example_says() {
    let listener = |(nth, about): (usize, &About)| {
        let (framing, step) = (if about.streams { "stream" } else { "line" }, about.example.step);
        let step = step.replace("data/", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/"));
        let step = if step.starts_with('{') { step } else { format!("\"{step}\"") };
        format!(
            "[[listener]]\nname = \"{nth}\"\nlisten = \"127.0.0.1:0\"\nframing = \"{framing}\"\ntransform = {step}\n"
        )
    };
    let process = Process::start(&REGISTRY.iter().enumerate().map(listener).collect::<String>());
    for (about, address) in REGISTRY.iter().zip(process.addresses()) {
        let answer = client(&["nc", "-N", "127.0.0.1", &address.port().to_string()], about.example.input);
        let (answer, expected) = (answer.escape_ascii().to_string(), about.example.output.escape_ascii().to_string());
        match about.name {
            "whoami" => {
                assert!(answer.starts_with("peer=127.0.0.1:") && answer.ends_with(" message=hello"), "{answer}");
            }
            _ => assert_eq!(answer, expected, "{}", about.name),
        }
    }
    process.end();
}

/// Every framing, with netcat as its client: what a shell's printf can write.
#[test]
#[ignore = "needs nc"]
fn every_framing_answers_netcat() {
    let listener = |(nth, about): (usize, &framing::About)| {
        format!(
            "[[listener]]\nname = \"{nth}\"\nlisten = \"127.0.0.1:0\"\nframing = \"{}\"\ndelimiter = \"<>\"\n",
            about.name
        )
    };
    let process = Process::start(&framing::REGISTRY.iter().enumerate().map(listener).collect::<String>());
    for (about, address) in framing::REGISTRY.iter().zip(process.addresses()) {
        let (input, expected): (&[u8], &[u8]) = match about.name {
            "delimiter" => (b"a\n<>b<><>c", b"A\n<>B<><>C"),
            "length32" => (b"\0\0\0\x01a\0\0\0\0\0\0\0\x02bc", b"\0\0\0\x01A\0\0\0\0\0\0\0\x02BC"),
            "netstring" => (b"1:a,0:,2:bc,", b"1:A,0:,2:BC,"),
            _ => (b"a\r\nb\n\nc", b"A\r\nB\n\nC"),
        };
        let answer = client(&["nc", "-N", "127.0.0.1", &address.port().to_string()], input);
        assert_eq!(answer.escape_ascii().to_string(), expected.escape_ascii().to_string(), "{}", about.name);
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
