use crate::harness::{PATIENCE, Process, SOMEWHERE, ask, connect, eventually};
use rustix::process::Signal;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

const LOOKED_AT: &str = "listen = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n";

/// Sends `request`, and gives the status and everything behind the head.
fn exchange(mut stream: impl Read + Write, request: &str) -> (u16, String, String) {
    stream.write_all(request.as_bytes()).unwrap();
    read(stream)
}

fn read(mut stream: impl Read) -> (u16, String, String) {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").expect(&answer);
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_lowercase(), body.to_owned())
}

fn request(method: &str, path: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n\r\n")
}

impl Process {
    pub fn admin(&self) -> SocketAddr {
        let line = self.await_line("a page for people: http://");
        line.rsplit("http://").next().unwrap().trim_end_matches('/').parse().unwrap()
    }

    pub fn control_socket(&self) -> PathBuf {
        self.await_line("control socket: unix:").rsplit("unix:").next().unwrap().into()
    }

    pub fn control(&self, method: &str, path: &str) -> (u16, String) {
        let stream = UnixStream::connect(self.control_socket()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let (status, _, body) = exchange(stream, &request(method, path));
        (status, body)
    }

    /// Asks by the control socket, and takes no answer yet.
    pub fn begin(&self, method: &str, path: &str, body: &[u8]) -> UnixStream {
        let mut stream = UnixStream::connect(self.control_socket()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
        stream
    }

    pub fn post(&self, path: &str, body: &[u8]) -> (u16, String) {
        // one that says too much is told so before all of it was taken
        let (status, _, body) = read(self.begin("POST", path, body));
        (status, body)
    }

    pub fn public(&self, method: &str, path: &str) -> (u16, String, String) {
        exchange(connect(self.admin()), &request(method, path))
    }

    fn status(&self) -> Value {
        let (status, body) = self.control("GET", "/status");
        assert_eq!(status, 200);
        serde_json::from_str(&body).unwrap()
    }
}

/// How many answers were timed.
fn answers(status: &Value) -> u64 {
    status["latency"]["answer"]["counts"].as_array().unwrap().iter().filter_map(Value::as_u64).sum()
}

#[test]
fn the_status_tells_what_was_served_and_by_whom() {
    let process = Process::start(SOMEWHERE);
    assert_eq!(ask(process.address(), "hello"), "HELLO");
    let mut open = connect(process.address());
    open.write_all(b"hi").unwrap();
    open.read_exact(&mut [0; 2]).unwrap();
    let mut status = Value::Null;
    // what a client has read may not have been counted yet
    eventually("all is counted, and the first connection has ended", || {
        status = process.status();
        status["connections"]["open"] == 1 && status["bytes"]["received"] == 7 && answers(&status) == 2
    });
    assert_eq!(status["state"], "serving");
    assert_eq!(status["pid"], process.child.id());
    assert_eq!(status["connections"]["accepted"], 2);
    assert_eq!(status["connections"]["closed"]["client_fin"], 1);
    assert_eq!(status["bytes"]["sent"], 7);
    assert_eq!(status["config"]["file"], process.folder.path().join("config.toml").to_str().unwrap());
    assert_eq!((&status["config"]["generation"], &status["config"]["stale"]), (&Value::from(1), &Value::from(false)));
    let listener = &status["listeners"][0];
    assert_eq!(listener["name"], "default");
    assert_eq!(listener["addresses"][0], process.address().to_string());
    assert_eq!((&listener["accepted"], &listener["messages"]), (&Value::from(2), &Value::from(2)));
    assert_eq!(status["sources"][0]["source"], "127.0.0.1");
    let (code, body) = process.control("GET", "/connections");
    let connections: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((code, connections.as_array().unwrap().len()), (200, 1));
    assert_eq!(connections[0]["peer"], open.local_addr().unwrap().to_string());
    assert_eq!(connections[0]["messages"], 1);
    drop(open);
    process.end();
}

#[test]
fn orders_come_by_the_control_socket_alone_which_is_for_its_owner() {
    let mut process = Process::start(LOOKED_AT);
    let mode = std::fs::metadata(process.control_socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    for path in ["/reload", "/stop", "/log/debug", "/kill/1", "/send/b", "/send", "/status", "/", "/nothing"] {
        for method in ["POST", "PUT", "DELETE", "BREW"] {
            let (status, head, _) = process.public(method, path);
            assert_eq!(status, 405, "{method} {path}");
            assert!(head.contains("allow: get, head"), "{head}");
        }
    }
    for path in ["/reload", "/stop", "/connections", "/send", "/nothing", "/../../etc/passwd", "//", "/%2e%2e/"] {
        assert_eq!(process.public("GET", path).0, 404, "{path}");
    }
    assert_eq!(process.control("GET", "/reload").0, 405);
    assert_eq!(process.control("POST", "/log/loud").0, 400);
    assert_eq!(process.control("POST", "/kill/1000").0, 404);
    assert_eq!(process.control("POST", "/kill/x").0, 400);

    let mut client = connect(process.address());
    client.write_all(b"a").unwrap();
    client.read_exact(&mut [0]).unwrap();
    assert_eq!(process.control("POST", "/kill/1"), (200, "ended\n".to_owned()));
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    assert_eq!(process.control("POST", "/log/debug").0, 200);
    ask(process.address(), "hello");
    process.await_line("DEBUG end");
    let (code, body) = process.control("POST", "/reload");
    let reload: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((code, &reload["outcome"], &reload["generation"]), (200, &Value::from("applied"), &Value::from(2)));
    std::fs::write(process.folder.path().join("config.toml"), "lisen = 1").unwrap();
    let (code, body) = process.control("POST", "/reload");
    let reload: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((code, &reload["outcome"]), (409, &Value::from("refused")));
    assert!(reload["error"].as_str().unwrap().contains("did you mean `listen`?"));
    let status = process.status();
    assert_eq!((&status["config"]["stale"], &status["config"]["generation"]), (&Value::from(true), &Value::from(2)));

    let socket = process.control_socket();
    assert_eq!(process.control("POST", "/stop").0, 202);
    assert_eq!(process.wait().code(), Some(0));
    assert!(!socket.exists(), "its path is gone");
}

#[test]
fn while_it_stops_it_can_be_looked_at_and_is_not_ready() {
    let mut process = Process::start(&format!("{LOOKED_AT}[shutdown]\ndrain_idle = \"1min\"\n"));
    let silent = connect(process.address());
    ask(process.address(), "hello");
    assert_eq!(process.public("GET", "/readyz").0, 200);
    // a client may have its answer before its place is given back
    eventually("only the silent one is there", || process.status()["connections"]["open"] == 1);
    process.kill(Signal::TERM);
    process.await_line("SIGTERM: stopping, ");
    let status = process.status();
    assert_eq!(status["state"], "draining");
    let left = status["drain"]["seconds_left"].as_f64().unwrap();
    assert!(left > 20.0 && left <= 30.0, "{left}");
    assert_eq!(process.public("GET", "/readyz").0, 503);
    assert_eq!(process.public("GET", "/healthz").0, 200);
    drop(silent);
    assert_eq!(process.wait().code(), Some(0));
}

#[test]
fn accepted_is_open_and_closed_at_every_scrape() {
    let process = Process::start(LOOKED_AT);
    let (address, done) = (process.address(), std::sync::atomic::AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    assert_eq!(ask(address, "hello"), "HELLO");
                }
            });
        }
        for _ in 0..50 {
            let (code, _, text) = process.public("GET", "/metrics");
            assert_eq!(code, 200);
            let sum = |name: &str| {
                let values = text.lines().filter(|line| line.starts_with(name));
                values.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum::<u64>()
            };
            let open = sum("shoutd_connections_open");
            let (accepted, closed) =
                (sum("shoutd_connections_accepted_total{"), sum("shoutd_connections_closed_total{"));
            assert_eq!(accepted, open + closed);
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    process.end();
}

#[test]
fn the_readme_lists_every_metric() {
    let process = Process::start(LOOKED_AT);
    let (_, _, text) = process.public("GET", "/metrics");
    let names = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let readme = include_str!("../../README.md");
    let mut count = 0;
    for name in names {
        assert!(readme.contains(&format!("`{name}`")), "the README does not name {name}");
        count += 1;
    }
    assert!(count > 25, "{count}");
    process.end();
}

/// A page from elsewhere, whose name was made to lead here, could have read in a browser what is shown here.
#[test]
fn a_loopback_address_answers_for_this_host_alone() {
    let process = Process::start(LOOKED_AT);
    let asked = |host: &str| exchange(connect(process.admin()), &format!("GET /status HTTP/1.1\r\n{host}\r\n")).0;
    for host in ["host: evil.example\r\n", "host: evil.example:5080\r\n", "host: 127.0.0.1.evil.example\r\n"] {
        assert_eq!(asked(host), 421, "{host}");
    }
    for host in ["host: 127.0.0.1:5080\r\n", "host: localhost\r\n", "host: LOCALHOST:1\r\n", "host: [::1]:5080\r\n", ""]
    {
        assert!([200, 400].contains(&asked(host)), "{host}");
    }
    assert_eq!(
        exchange(connect(process.admin()), "GET http://evil.example/ HTTP/1.1\r\nhost: localhost\r\n\r\n").0,
        421
    );
    assert_eq!(exchange(connect(process.admin()), "GET / HTTP/1.0\r\n\r\n").0, 200);
    process.end();
}

/// f54: whoever looks, slowly or with malice, costs clients nothing.
#[test]
fn hostile_scrapers_cost_clients_nothing_and_good_ones_are_answered() {
    let process = Process::start(LOOKED_AT);
    let admin = process.admin();
    let mut slow: Vec<TcpStream> = (0..200).map(|_| connect(admin)).collect();
    for (nth, stream) in slow.iter_mut().enumerate() {
        // some say nothing, some begin, some never read what they asked for
        let part = [&b""[..], b"GET /metr", b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"][nth % 3];
        stream.write_all(part).unwrap();
    }
    let begun = Instant::now();
    for _ in 0..200 {
        assert_eq!(ask(process.address(), "hello"), "HELLO");
    }
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    drop(slow);
    assert_eq!(process.public("GET", "/healthz").0, 200);

    let large =
        format!("GET /status HTTP/1.1\r\nhost: localhost\r\n{}\r\n", "x-large: yes and more\r\n".repeat(50_000));
    let mut stream = connect(admin);
    // it may be sent away before all of it was sent
    let _ = stream.write_all(large.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let many = format!("GET /status HTTP/1.1\r\nhost: localhost\r\n{}\r\n", "x: 1\r\n".repeat(40));
    assert_eq!(exchange(connect(admin), &many).0, 431);
    for garbage in ["\x16\x03\x01\x02\x00\x01\x00", "hello\r\n\r\n", "GET / HTTP/9.9\r\n\r\n"] {
        let mut stream = connect(admin);
        stream.write_all(garbage.as_bytes()).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    }
    let mut silent = connect(admin);
    let begun = Instant::now();
    let _ = silent.read_to_end(&mut Vec::new());
    assert!(begun.elapsed() < Duration::from_secs(3), "one that says nothing is not waited for");
    assert_eq!(process.public("GET", "/status").0, 200);
    process.end();
}

/// A thousand who were slow took a second each, sixteen at a time, and a scraper that gives up after ten
/// seconds was not answered.
#[test]
fn a_scraper_is_answered_while_a_thousand_others_are_slow() {
    let process = Process::start(LOOKED_AT);
    let slow: Vec<TcpStream> = (0..1000)
        .map(|_| {
            let mut stream = connect(process.admin());
            stream.write_all(b"GET /metr").unwrap();
            stream
        })
        .collect();
    let begun = Instant::now();
    assert_eq!(process.public("GET", "/metrics").0, 200);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    drop(slow);
    process.end();
}

/// The list of connections, for which workers are waited for, held up all who looked, and the main
/// thread at SIGUSR1.
#[test]
fn a_worker_that_is_long_at_work_keeps_nobody_waiting_but_who_asks_for_its_connections() {
    let process = Process::start(&format!(
        "workers = 1\nframing = \"line\"\nmax_message = \"1MiB\"\n\
         transform = [{{ replace = {{ pattern = \"<.*>|<\", with = \"x\" }} }}]\n{LOOKED_AT}"
    ));
    let mut client = connect(process.address());
    client.write_all(&[[b'<'; 400_000].as_slice(), b"\n"].concat()).unwrap();
    eventually("the worker is at work", || process.public("GET", "/healthz").0 == 503);
    let mut asks = connect(process.admin());
    asks.write_all(request("GET", "/status").as_bytes()).unwrap();
    let begun = Instant::now();
    assert_eq!(process.public("GET", "/readyz").0, 200);
    process.kill(Signal::USR1);
    process.await_line("SILENT for ");
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    let mut answer = String::new();
    asks.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[test]
fn requests_are_counted_by_what_they_were_answered_also_those_that_were_none() {
    let process = Process::start(LOOKED_AT);
    process.public("GET", "/nothing");
    process.public("POST", "/");
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "x: 1\r\n".repeat(40));
    assert_eq!(exchange(connect(process.admin()), &many).0, 431);
    assert_eq!(exchange(connect(process.admin()), "nothing at all\r\n\r\n").0, 400);
    eventually("each of them is counted", || {
        let (_, _, text) = process.public("GET", "/metrics");
        let is_counted = |code| text.contains(&format!("shoutd_admin_requests_total{{code=\"{code}\"}} 1\n"));
        [400, 404, 405, 431].into_iter().all(is_counted)
    });
    process.end();
}

#[test]
fn two_daemons_do_not_share_a_control_socket() {
    let first = Process::start(SOMEWHERE);
    let second = Process::spawn(SOMEWHERE, |command| command.env("RUNTIME_DIRECTORY", first.folder.path()));
    second.await_line("listening on ");
    assert_ne!(first.control_socket(), second.control_socket());
    assert_eq!(first.status()["pid"], first.child.id());
    assert_eq!(second.status()["pid"], second.child.id());

    let path = first.control_socket();
    let named = format!("{SOMEWHERE}[admin]\nsocket = \"{}\"\n", path.display());
    let mut third = Process::spawn(&named, |command| command);
    assert_eq!(third.wait().code(), Some(71));
    third.await_line("another process listens there");
    assert_eq!(first.status()["pid"], first.child.id(), "and the first is still there");
    second.end();
    first.end();
}

#[test]
fn with_no_control_socket_there_is_none() {
    let process = Process::start(&format!("{SOMEWHERE}[admin]\nsocket = \"off\"\n"));
    let files: Vec<_> =
        std::fs::read_dir(process.folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(files, ["config.toml"]);
    process.end();
}

#[test]
fn the_page_asks_for_nothing_from_elsewhere() {
    let process = Process::start(LOOKED_AT);
    let (code, head, page) = process.public("GET", "/");
    assert_eq!(code, 200);
    assert!(head.contains("content-security-policy: default-src 'none'"), "{head}");
    // the name of SVG looks like an address, and nobody asks for it
    let page = page.replace("http://www.w3.org/2000/svg", "");
    for elsewhere in ["http:", "https:", "src=\"//", "href=\"//", "@import", "url(//"] {
        assert!(!page.contains(elsewhere), "{elsewhere} in the page");
    }
    process.end();
}

#[test]
#[ignore = "needs Debian's python3-prometheus-client"]
fn an_independent_parser_reads_the_metrics() {
    let process = Process::start(LOOKED_AT);
    assert_eq!(ask(process.address(), "hello"), "HELLO");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/metrics.py");
    let output =
        // the one for which Debian packages the parser
        Command::new("/usr/bin/python3").arg(script).arg(format!("http://{}/metrics", process.admin())).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("families"), "{said}");
    process.end();
}

#[test]
#[ignore = "needs python3, chromium and chromium-driver"]
fn the_page_shows_the_figures_of_the_status_in_a_browser() {
    let process = Process::start(LOOKED_AT);
    let open: Vec<_> = (0..5).map(|_| connect(process.address())).collect();
    for nth in 0..20 {
        assert_eq!(ask(process.address(), &"hello ".repeat(nth)), "HELLO ".repeat(nth));
    }
    std::fs::write(process.folder.path().join("config.toml"), format!("transform = \"lowercase\"\n{LOOKED_AT}"))
        .unwrap();
    assert_eq!(process.control("POST", "/reload").0, 200);
    eventually("all that has gone is counted", || process.status()["connections"]["open"] == 5);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/page.py");
    let pictures =
        std::env::var_os("SHOUTD_PICTURES").map_or_else(|| process.folder.path().join("pictures"), PathBuf::from);
    let output = Command::new("python3")
        .args([script, &format!("http://{}/", process.admin())])
        .arg(&pictures)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    drop(open);
    process.end();
}
