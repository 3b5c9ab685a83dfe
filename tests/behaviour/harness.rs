//! A server in this process, with one listener on a port of its own, and clients for it.
//!
//! Each server that a test started is drained at the test's end; its counters must then balance,
//! and nothing may have been logged as an error.

pub use crate::common::{PATIENCE, eventually, step};

use shoutd::framing;
use shoutd::net::address::Local;
use shoutd::net::{entrance, listener};
use shoutd::server::{Control, Listener, Server, Settings};
use shoutd::session::{EndReason, Limits, Service};
use shoutd::transform::{Options, Pipeline, Template};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::num::NonZero;
use std::sync::{Arc, LazyLock, Mutex};
use std::thread;
use std::time::Duration;

/// What a test says of its server before it starts.
pub struct Plan {
    pub framing: &'static str,
    pub framing_out: Option<&'static str>,
    pub framed: framing::Options,
    pub greeting: Option<&'static str>,
    pub steps: Vec<&'static str>,
    pub options: Options,
    pub limits: Limits,
    pub entrance: entrance::Options,
    pub socket: listener::Options,
    pub settings: Settings,
}

impl Plan {
    /// The blog's service: `stream`, `uppercase`, buffer size 1024.
    pub fn new() -> Plan {
        let mut plan = Plan {
            framing: "stream",
            framing_out: None,
            framed: framing::Options::default(),
            greeting: None,
            steps: vec!["uppercase"],
            options: Options::default(),
            limits: Limits::default(),
            entrance: entrance::Options::default(),
            socket: listener::Options::default(),
            settings: Settings::new(Vec::new()),
        };
        plan.settings.drain.idle = Duration::from_millis(50);
        plan.settings.drain.spread = Duration::ZERO;
        plan.settings.drain.timeout = Duration::from_secs(5);
        plan
    }

    pub fn service(&self, name: &str) -> Service {
        let about = |name| framing::named(name).unwrap();
        let framing_out = self.framing_out.unwrap_or(self.framing);
        Service {
            name: name.to_owned(),
            framing: framing::build(about(self.framing), about(framing_out), &self.framed).unwrap(),
            pipeline: Pipeline::new(self.steps.iter().map(|written| step(written, self.options)).collect()),
            greeting: self.greeting.map(|greeting| Template::parse(greeting).unwrap()),
            limits: self.limits.clone(),
            tally: Arc::default(),
        }
    }

    pub fn workers(&mut self, workers: usize) {
        self.settings.workers = NonZero::new(workers);
    }
}

/// A running server.
pub struct Daemon {
    server: Option<Server>,
}

impl Daemon {
    /// The blog's service: `stream`, `uppercase`, buffer size 1024.
    pub fn start() -> Daemon {
        Daemon::with(|_| {})
    }

    /// The blog's service with what `change` makes of it; a listener is added if it adds none.
    pub fn with(change: impl FnOnce(&mut Plan)) -> Daemon {
        LazyLock::force(&ERRORS);
        let mut plan = Plan::new();
        change(&mut plan);
        if plan.settings.listeners.is_empty() {
            let service = plan.service("default");
            let (entrance, socket) = (plan.entrance.clone(), plan.socket.clone());
            let listener = Listener::new("127.0.0.1:0".parse().unwrap(), service);
            plan.settings.listeners.push(Listener { entrance, socket, ..listener });
        }
        Daemon { server: Some(Server::start(plan.settings).unwrap()) }
    }

    pub fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    pub fn control(&self) -> &Control {
        self.server().control()
    }

    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.control()
            .addresses()
            .iter()
            .filter_map(|local| if let Local::Tcp(address) = local { Some(*address) } else { None })
            .collect()
    }

    pub fn connect(&self) -> Client {
        Client::connect(self.addresses()[0])
    }

    /// How many connections ended for `reason`.
    pub fn closed(&self, reason: EndReason) -> u64 {
        self.control().totals().closed[reason as usize]
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let server = self.server.take().unwrap();
        if thread::panicking() {
            return;
        }
        let control = server.control().clone();
        control.drain();
        eventually("the server has ended", || server.running() == 0);
        let totals = control.totals();
        assert_eq!(totals.accepted, totals.closed.iter().sum::<u64>(), "each connection ended once");
        assert_eq!(totals.open(), 0);
        server.join().unwrap();
        let errors = take_errors();
        assert!(errors.is_empty(), "logged as errors: {errors:?}");
    }
}

/// A client that does not wait for ever.
pub struct Client(pub TcpStream);

impl Client {
    pub fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Client(stream)
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Client {
        self.0.write_all(bytes.as_ref()).unwrap();
        self
    }

    /// Sends `text` and ends, while it is read from; gives the whole answer.
    pub fn exchange(&mut self, text: &str) -> Vec<u8> {
        let (mut sender, text) = (Client(self.0.try_clone().unwrap()), text.to_owned());
        let sending = thread::spawn(move || {
            sender.send(text).finish();
        });
        let answer = self.rest();
        sending.join().unwrap();
        answer
    }

    /// Says that no more will be sent.
    pub fn finish(&mut self) -> &mut Client {
        self.0.shutdown(Shutdown::Write).unwrap();
        self
    }

    /// Reads exactly what is expected.
    #[track_caller]
    pub fn expect(&mut self, expected: impl AsRef<[u8]>) -> &mut Client {
        let expected = expected.as_ref();
        let mut answer = vec![0; expected.len()];
        self.0.read_exact(&mut answer).unwrap();
        assert!(answer == expected, "{} is not {}", answer.escape_ascii(), expected.escape_ascii());
        self
    }

    /// Reads until the server ends, and gives what came.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).unwrap();
        rest
    }
}

/// The starts and ends of connections of `listener` that the access log told of.
pub fn told_of(listener: &str) -> Vec<String> {
    let records = RECORDS.lock().unwrap();
    records.iter().filter(|(name, _)| name == listener).map(|(_, message)| message.clone()).collect()
}

/// Takes what was logged as an error.
pub fn take_errors() -> Vec<String> {
    std::mem::take(&mut *ERRORS.lock().unwrap())
}

static RECORDS: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());

/// What was logged as an error in this process, which no test here expects.
static ERRORS: LazyLock<Mutex<Vec<String>>> = LazyLock::new(|| {
    struct Log;
    impl log::Log for Log {
        fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
            metadata.level() <= log::Level::Info
        }
        fn log(&self, record: &log::Record<'_>) {
            let fields = record.key_values();
            if record.level() == log::Level::Error {
                ERRORS.lock().unwrap().push(record.args().to_string());
            } else if self.enabled(record.metadata())
                && let Some(listener) = fields.get("listener".into())
            {
                RECORDS.lock().unwrap().push((listener.to_string(), record.args().to_string()));
            }
        }
        fn flush(&self) {}
    }
    log::set_logger(&Log).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    Mutex::default()
});
