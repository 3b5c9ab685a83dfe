//! What others have, as peers: they know nothing of peers, and so are listeners and clients.

use crate::common::ports::Port;
use crate::harness::Process;
use crate::links::config;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A program whose keyboard and screen are pipes; killed when dropped.
struct Terminal {
    child: Child,
    keys: Option<ChildStdin>,
    screen: BufReader<ChildStdout>,
}

impl Terminal {
    fn start(command: &str) -> Terminal {
        let words: Vec<_> = command.split(' ').collect();
        let mut child = Command::new(words[0])
            .args(&words[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command}: {error}"));
        let (keys, screen) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Terminal { child, keys, screen }
    }

    fn types(&mut self, text: &str) {
        self.keys.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    #[track_caller]
    fn shows(&mut self, expected: &str) {
        let mut line = String::new();
        self.screen.read_line(&mut line).unwrap();
        assert_eq!(line, expected);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn script(name: &str) -> String {
    format!("python3 {}/tests/clients/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Listeners that a daemon dials.
fn listeners(port: u16) -> [String; 3] {
    [format!("nc -l {port}"), format!("ncat -4 -l {port}"), format!("socat STDIO TCP4-LISTEN:{port},reuseaddr")]
}

/// Clients from a port of their own.
const CLIENTS: [&str; 3] = [
    "nc -4 -p OWN localhost PORT",
    "ncat -4 -p OWN localhost PORT",
    "socat STDIO TCP4:localhost:PORT,sourceport=OWN,reuseaddr",
];

#[test]
#[ignore = "needs nc, ncat and socat"]
fn netcat_that_listens_is_dialled_greeted_and_answered_line_by_line() {
    let (own, peer) = (Port::new(), Port::new());
    let netcat = ("netcat", format!("localhost:{}", peer.number));
    let process = Process::start(&config(&own, "greeting = \"Hello from Peer 1\\n\"", &[netcat]));
    for (nth, command) in listeners(peer.number).iter().enumerate() {
        let mut terminal = Terminal::start(command);
        terminal.shows("Hello from Peer 1\n");
        // what a person types, the same twice
        for line in ["hello\n", "hello\n", "straße\n", "HELLO\n", "HELLO\n", "\n"] {
            terminal.types(line);
            terminal.shows(&line.to_uppercase());
        }
        process.await_told("netcat", "linked", nth + 1);
        drop(terminal);
        process.await_told("netcat", "link ended", nth + 1);
    }
    process.end();
}

/// More than the guard lets go round at once, each waited for: a person never notices.
#[test]
#[ignore = "needs nc"]
fn a_person_who_types_at_netcat_gets_each_of_a_hundred_answers() {
    let (own, peer) = (Port::new(), Port::new());
    let netcat = ("netcat", format!("localhost:{}", peer.number));
    let process = Process::start(&config(&own, "", &[netcat]));
    let mut terminal = Terminal::start(&format!("nc -l {}", peer.number));
    process.await_told("netcat", "linked", 1);
    // a burst, and then its answers
    let lines: Vec<_> = (0..200).map(|nth| format!("line {nth}\n")).collect();
    terminal.types(&lines.concat());
    for line in lines {
        terminal.shows(&line.to_uppercase());
    }
    // lines in lock-step that the loop guard lets pass
    for _ in 0..20 {
        terminal.types("again\n");
        terminal.shows("AGAIN\n");
    }
    drop(terminal);
    process.end();
}

#[test]
#[ignore = "needs nc, ncat and socat"]
fn netcat_from_the_peers_port_is_the_peers_link() {
    for command in CLIENTS {
        // one port is for one of them: what is left of a connection is in the way of the next
        let (own, peer) = (Port::new(), Port::new().free());
        let netcat = ("netcat", format!("localhost:{peer}"));
        let process = Process::start(&config(&own, "greeting = \"only who was dialled is told\"", &[netcat]));
        let command = command.replace("OWN", &peer.to_string()).replace("PORT", &own.number.to_string());
        let mut terminal = Terminal::start(&command);
        for _ in 0..3 {
            terminal.types("hello\n");
            terminal.shows("HELLO\n");
        }
        let told = process.await_told("netcat", "linked", 1);
        assert!(told["dialled"].to_string().contains("false"), "{command}: {told}");
        process.await_peer("netcat", "linked");
        drop(terminal);
        process.await_told("netcat", "link ended", 1);
        process.end();
    }
}

/// What `shoutd send` says is on the screen, and what is typed then is its answer.
#[test]
#[ignore = "needs nc"]
fn a_person_at_netcat_is_sent_a_text_and_types_the_answer() {
    let (own, peer) = (Port::new(), Port::new());
    let netcat = ("netcat", peer.address().to_string());
    let process = Process::start(&config(&own, "", &[netcat]));
    let mut terminal = Terminal::start(&format!("nc -l {}", peer.number));
    process.await_peer("netcat", "linked");
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| process.send("netcat", "who is there?\n"));
        terminal.shows("who is there?\n");
        terminal.types("WHO IS THERE?\n");
        assert_eq!(asking.join().unwrap().trim_end(), "WHO IS THERE?");
    });
    drop(terminal);
    process.end();
}

#[test]
#[ignore = "needs python3"]
fn the_blogs_own_peer_dials_and_is_the_peers_link() {
    let (own, peer) = (Port::new(), Port::new());
    let blog = ("blog", format!("localhost:{}", peer.number));
    let process = Process::start(&config(&own, "", &[blog]));
    for nth in 1..=3 {
        let mut script = Terminal::start(&format!("{} {} {}", script("blog_peer.py"), peer.number, own.number));
        script.shows("HELLO FROM PEER 1\n");
        assert!(script.child.wait().unwrap().success());
        process.await_told("blog", "linked", nth);
        process.await_told("blog", "link ended", nth);
    }
    process.end();
}

#[test]
#[ignore = "needs python3"]
fn the_blogs_own_server_is_greeted_and_answers_and_ends() {
    for more in
        ["greeting = \"Hello from Peer 1\"", "greeting = \"Hello from Peer 1\"\nanswer_back = true\nonce = true"]
    {
        let (own, peer) = (Port::new(), Port::new());
        let process = Process::start(&config(&own, more, &[("blog", format!("localhost:{}", peer.number))]));
        let mut script = Terminal::start(&format!("{} {}", script("blog_server.py"), peer.number));
        script.shows(&format!("Hello from Peer 1 from port {}\n", own.number));
        assert!(script.child.wait().unwrap().success());
        assert_eq!(process.await_told("blog", "answered", 1)["answer"], "HELLO FROM PEER 1");
        process.await_told("blog", "link ended", 1);
        process.end();
    }
}
