//! The threads: started, wired, drained, joined.
//!
//! Files, signals, systemd and the command line are not known here; whoever starts a server tells
//! it everything in [`Settings`], and hears from it by [`Event`]s. So a test starts one as the
//! daemon does, on port 0.
//!
//! ```
//! use shoutd::framing::Framing;
//! use shoutd::server::{Listener, Server, Settings};
//! use shoutd::session::{Limits, Service};
//! use shoutd::transform::{Choice, Options, Pipeline};
//! use std::io::{Read, Write};
//!
//! let uppercase = Choice::named("uppercase", Options::default()).unwrap();
//! let service = Service {
//!     name: "default".to_owned(),
//!     framing: Framing::Stream,
//!     pipeline: Pipeline::new(vec![uppercase]),
//!     greeting: None,
//!     limits: Limits::default(),
//! };
//! let server = Server::start(Settings::new(vec![Listener::new("127.0.0.1:0".parse()?, service)]))?;
//!
//! let mut client = std::net::TcpStream::connect(server.addresses()[0].to_string())?;
//! client.write_all(b"hello")?;
//! client.shutdown(std::net::Shutdown::Write)?;
//! let mut answer = String::new();
//! client.read_to_string(&mut answer)?;
//! assert_eq!(answer, "HELLO");
//!
//! server.drain();
//! server.join()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::deadlines::Clock;
use crate::metrics::{AcceptCounters, Totals};
use crate::net::acceptor::{Acceptor, Door};
use crate::net::access::Access;
use crate::net::address::{Address, Local};
use crate::net::admission::Admission;
use crate::net::bell::Bell;
use crate::net::listener::{self, BindError, Listening};
use crate::net::orders::Orders;
use crate::net::poll::Poll;
use crate::net::pulse::Pulse;
use crate::net::worker::{self, Worker};
use crate::net::{descriptors, plain};
use crate::session::Service;
use crossbeam_channel::{Receiver, Sender};
use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;
use std::{fmt, io, thread};

pub use crate::net::access::AccessLog;
pub use crate::net::orders::Drain;

/// Descriptors that connections may not take, at least: listeners, loops, the log, and some to spare.
const RESERVE: usize = 64;
/// Those of them that are to spare.
const SPARE: usize = 32;

/// Everything a server needs to know.
#[derive(Debug)]
pub struct Settings {
    /// The services; at least one.
    pub listeners: Vec<Listener>,
    /// How many event-loop threads; `None` is one per CPU.
    pub workers: Option<NonZero<usize>>,
    /// How many connections may be open at once; `None` is what the limit of open files allows,
    /// less a reserve of 64, or more with many workers.
    pub max_connections: Option<NonZero<usize>>,
    /// How a stop goes.
    pub drain: Drain,
    /// Which connections have records of their own in the log.
    pub access: AccessLog,
}

impl Settings {
    /// `listeners`, and the defaults.
    #[must_use]
    pub fn new(listeners: Vec<Listener>) -> Settings {
        Settings {
            listeners,
            workers: None,
            max_connections: None,
            drain: Drain::default(),
            access: AccessLog::default(),
        }
    }
}

/// One configured service.
#[derive(Debug)]
pub struct Listener {
    /// Where it listens; at least one address, unless sockets were passed.
    pub addresses: Vec<Address>,
    /// Sockets that listen for it already; they are used instead of `addresses`.
    pub passed: Vec<OwnedFd>,
    /// Options of its sockets.
    pub socket: listener::Options,
    /// How its connections are served.
    pub service: Arc<Service>,
}

impl Listener {
    /// A service on one address, and the defaults.
    #[must_use]
    pub fn new(address: Address, service: Service) -> Listener {
        Listener {
            addresses: vec![address],
            passed: Vec::new(),
            socket: listener::Options::default(),
            service: Arc::new(service),
        }
    }
}

/// Why a server does not start.
#[derive(Debug)]
pub enum StartError {
    /// An address cannot be listened on.
    Bind(BindError),
    /// More connections are asked for than files may be open.
    TooManyConnections {
        /// `max_connections`.
        asked: usize,
        /// What the limit of open files allows.
        allowed: usize,
    },
    /// The limit of open files leaves none for connections.
    NoConnections {
        /// The limit.
        files: usize,
    },
    /// The system refused something else.
    System(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Bind(error) => error.fmt(f),
            StartError::TooManyConnections { asked, allowed } => write!(
                f,
                "max_connections = {asked} does not fit: the limit of open files allows {allowed}, less a reserve; \
                 lower it, or raise the limit (LimitNOFILE= in the unit, ulimit -n in a shell)"
            ),
            StartError::NoConnections { files } => write!(
                f,
                "the limit of open files ({files}) leaves none for connections; \
                 raise it (LimitNOFILE= in the unit, ulimit -n in a shell)"
            ),
            StartError::System(error) => f.write_str(&plain(error)),
        }
    }
}

impl std::error::Error for StartError {}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> Self {
        StartError::System(error)
    }
}

impl From<BindError> for StartError {
    fn from(error: BindError) -> Self {
        StartError::Bind(error)
    }
}

/// What a server tells whoever started it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A thread has ended: as it was told to, or by a fault, which is said.
    ThreadEnded {
        /// Its name.
        name: String,
        /// What went wrong, if anything did.
        fault: Option<String>,
    },
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    addresses: Vec<Local>,
    clock: Clock,
    orders: Arc<Orders>,
    access: Arc<Access>,
    accept_counters: Arc<AcceptCounters>,
    workers: Vec<worker::Handle>,
    admission: Arc<Admission>,
    threads: Vec<Thread>,
    events: Receiver<Event>,
    drain: Drain,
}

#[derive(Debug)]
struct Thread {
    name: String,
    handle: JoinHandle<()>,
    pulse: Arc<Pulse>,
    bell: Arc<Bell>,
}

impl Server {
    /// Binds every address and starts every thread; when it returns, all of them are at work.
    ///
    /// # Errors
    ///
    /// A [`StartError`]; nothing is left running then.
    pub fn start(settings: Settings) -> Result<Server, StartError> {
        let cpus = || thread::available_parallelism().map_or(1, NonZero::get);
        let count = settings.workers.map_or_else(cpus, NonZero::get);
        let max = places(&settings, count)?;
        let mut doors = Vec::new();
        for listener in settings.listeners {
            open_doors(listener, &mut doors)?;
        }
        let addresses = doors.iter().map(|door| door.listening.local().clone()).collect();
        let read_max = doors.iter().map(|door| door.service.limits.buffer_size_max).max().unwrap_or(1);

        let clock = Clock::new(Instant::now());
        let pulse = Arc::<Pulse>::default();
        let (bell, poll) = Poll::new(clock, Arc::clone(&pulse))?;
        let orders = Arc::<Orders>::default();
        let admission = Arc::new(Admission::new(max, Arc::clone(&bell)));
        let access = Arc::<Access>::default();
        access.set(settings.access);
        let worker = |_| Worker::new(read_max, Arc::clone(&admission), Arc::clone(&orders), Arc::clone(&access), clock);
        let workers: Vec<Worker> = (0..count).map(worker).collect::<Result<_, _>>()?;
        let handles: Vec<worker::Handle> = workers.iter().map(Worker::handle).collect();
        let accept_counters = Arc::<AcceptCounters>::default();
        let (admitted, counted) = (Arc::clone(&admission), Arc::clone(&accept_counters));
        let acceptor = Acceptor::new(poll, doors, handles.clone(), admitted, Arc::clone(&orders), counted)?;

        let (events_in, events) = crossbeam_channel::unbounded();
        let mut server = Server {
            addresses,
            clock,
            orders,
            access,
            accept_counters,
            workers: handles,
            admission,
            threads: Vec::new(),
            events,
            drain: settings.drain,
        };
        // workers first, so that whoever is accepted is served
        for (index, worker) in workers.into_iter().enumerate() {
            let worker::Handle { post, pulse, .. } = worker.handle();
            server.spawn(format!("worker-{index}"), pulse, post.bell(), &events_in, move || worker.run())?;
        }
        server.spawn("acceptor".to_owned(), pulse, &bell, &events_in, move || acceptor.run())?;
        Ok(server)
    }

    fn spawn(
        &mut self,
        name: String,
        pulse: Arc<Pulse>,
        bell: &Arc<Bell>,
        events: &Sender<Event>,
        run: impl FnOnce() -> io::Result<()> + Send + 'static,
    ) -> io::Result<()> {
        let (events, said) = (events.clone(), name.clone());
        let handle = thread::Builder::new().name(name.clone()).spawn(move || {
            let fault = match catch_unwind(AssertUnwindSafe(run)) {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(plain(error)),
                Err(_) => Some("it panicked".to_owned()),
            };
            // nobody listens once the server was dropped
            let _ = events.send(Event::ThreadEnded { name: said, fault });
        })?;
        self.threads.push(Thread { name, handle, pulse, bell: Arc::clone(bell) });
        Ok(())
    }

    /// Where it listens, in the order of the settings.
    #[must_use]
    pub fn addresses(&self) -> &[Local] {
        &self.addresses
    }

    /// How many workers it has.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// How many connections may be open at once.
    #[must_use]
    pub fn max_connections(&self) -> usize {
        self.admission.max()
    }

    /// How many connections are open, with those on their way to a worker.
    #[must_use]
    pub fn open(&self) -> usize {
        self.admission.open()
    }

    /// How many connections each worker has taken over.
    pub fn accepted_by_worker(&self) -> impl Iterator<Item = u64> {
        self.workers.iter().map(|worker| worker.counters.accepted.get())
    }

    /// What all workers have counted.
    #[must_use]
    pub fn totals(&self) -> Totals {
        Totals::sum(self.workers.iter().map(|worker| worker.counters.as_ref()))
    }

    /// What the acceptor has counted.
    #[must_use]
    pub fn accept_counters(&self) -> &AcceptCounters {
        &self.accept_counters
    }

    /// What the server has to tell.
    #[must_use]
    pub fn events(&self) -> &Receiver<Event> {
        &self.events
    }

    /// How many of its threads have not ended.
    #[must_use]
    pub fn running(&self) -> usize {
        self.threads.iter().filter(|thread| !thread.handle.is_finished()).count()
    }

    /// Stops accepting, once the backlogs are empty, and ends each connection when it is done or
    /// quiet, as [`Settings::drain`] says. Returns at once; its threads end one by one.
    pub fn drain(&self) {
        let deadline = self.clock.moment(Instant::now()).after(self.drain.timeout);
        self.orders.drain(&self.drain, deadline);
        self.ring();
    }

    /// Closes everything now, whatever is still to be sent. Returns at once.
    pub fn stop(&self) {
        self.orders.stop();
        self.ring();
    }

    /// Changes which connections have records of their own in the log, from now on.
    pub fn set_access(&self, access: AccessLog) {
        self.access.set(access);
    }

    fn ring(&self) {
        for thread in &self.threads {
            thread.bell.ring();
        }
    }

    /// Asks every thread for a sign of life, and names those that gave none since the last time.
    #[must_use]
    pub fn silent_threads(&self) -> Vec<&str> {
        // a thread that has ended is told of by its event
        let running = self.threads.iter().filter(|thread| !thread.handle.is_finished());
        let silent = running.filter(|thread| !thread.pulse.is_answered());
        let silent = silent.map(|thread| thread.name.as_str()).collect();
        for thread in &self.threads {
            thread.pulse.ask();
        }
        self.ring();
        silent
    }

    /// Waits until all threads have ended.
    ///
    /// # Errors
    ///
    /// What went wrong in a thread that ended by a fault.
    pub fn join(mut self) -> Result<(), Fault> {
        for thread in std::mem::take(&mut self.threads) {
            // a thread's panic is told by its event
            let _ = thread.handle.join();
        }
        for Event::ThreadEnded { name, fault } in self.events.try_iter() {
            if let Some(what) = fault {
                return Err(Fault { thread: name, what });
            }
        }
        Ok(())
    }
}

impl Drop for Server {
    /// Closes everything, without waiting for it.
    fn drop(&mut self) {
        self.stop();
    }
}

/// A thread ended by a fault of shoutd's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The thread.
    pub thread: String,
    /// What went wrong.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the thread {} ended: {}", self.thread, self.what)
    }
}

impl std::error::Error for Fault {}

/// How many connections may be open at once, with `workers` workers.
fn places(settings: &Settings, workers: usize) -> Result<usize, StartError> {
    let files = usize::try_from(descriptors::raise_limit()?).unwrap_or(usize::MAX);
    // a name may stand for two addresses, and each thread has an epoll and a bell
    let listeners: usize = settings.listeners.iter().map(|listener| 2 * listener.addresses.len()).sum();
    let reserve = RESERVE.max(SPARE + listeners + 2 * (workers + 1));
    match (files.saturating_sub(reserve), settings.max_connections.map(NonZero::get)) {
        (0, _) => Err(StartError::NoConnections { files }),
        (allowed, Some(asked)) if asked > allowed => Err(StartError::TooManyConnections { asked, allowed }),
        (allowed, asked) => Ok(asked.unwrap_or(allowed)),
    }
}

fn open_doors(listener: Listener, doors: &mut Vec<Door>) -> Result<(), BindError> {
    let service = listener.service;
    let mut listening = Vec::new();
    if listener.passed.is_empty() {
        for address in &listener.addresses {
            listening.extend(Listening::bind(address, &listener.socket)?);
        }
    }
    for socket in listener.passed {
        let passed = Listening::adopt(socket, &listener.socket)?;
        if !listener.addresses.iter().any(|address| address.means(passed.local())) {
            let listen: Vec<String> = listener.addresses.iter().map(ToString::to_string).collect();
            log::warn!(
                "{}: listening on {}, which was passed, and not on {}",
                service.name,
                passed.local(),
                listen.join(", ")
            );
        }
        listening.push(passed);
    }
    let backlog = listener.socket.backlog;
    doors.extend(listening.into_iter().map(|listening| Door { listening, service: Arc::clone(&service), backlog }));
    Ok(())
}
