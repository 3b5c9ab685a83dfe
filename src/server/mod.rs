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
//! use std::sync::Arc;
//!
//! let uppercase = Choice::named("uppercase", Options::default()).unwrap();
//! let service = Service {
//!     name: "default".to_owned(),
//!     framing: Framing::Stream,
//!     pipeline: Pipeline::new(vec![uppercase]),
//!     greeting: None,
//!     limits: Limits::default(),
//!     tally: Arc::default(),
//! };
//! let server = Server::start(Settings::new(vec![Listener::new("127.0.0.1:0".parse()?, service)]))?;
//!
//! let mut client = std::net::TcpStream::connect(server.control().addresses()[0].to_string())?;
//! client.write_all(b"hello")?;
//! client.shutdown(std::net::Shutdown::Write)?;
//! let mut answer = String::new();
//! client.read_to_string(&mut answer)?;
//! assert_eq!(answer, "HELLO");
//!
//! server.control().drain();
//! server.join()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod control;
mod keeping;
mod peers;
mod plan;
mod say;
mod settings;
mod watch;

pub use control::{Applied, Control, ListenerReport, Report, WorkerReport};
pub use peers::Peer;
pub use say::Unsaid;
pub use settings::{Inherited, Listener, Refused, Settings};
pub use watch::Sign;

use crate::deadlines::Clock;
use crate::metrics::AcceptCounters;
use crate::net::acceptor::Acceptor;
use crate::net::access::Access;
use crate::net::admission::Admission;
use crate::net::intake::Intake;
use crate::net::links::sheet::Sheets;
use crate::net::links::{Directory, Links};
use crate::net::listener::{Origin, Pool};
use crate::net::mailbox::Mailbox;
use crate::net::orders::Orders;
use crate::net::plain;
use crate::net::poll::Poll;
use crate::net::pulse::Pulse;
use crate::net::worker::{self, Worker};
use control::{Beat, Inner, State};
use crossbeam_channel::{Receiver, Sender};
use plan::{Kept, Plan};
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Instant;
use std::{fmt, io, thread};

pub use crate::link::{Manners, Retry, Unsayable};
pub use crate::net::access::AccessLog;
pub use crate::net::errands::Reply;
pub use crate::net::links::SourcePort;
pub use crate::net::links::sheet::{Dialled, LinkState, LinkedBy, PeerReport};
pub use crate::net::orders::Drain;

/// How many changes of doors may wait for the acceptor; there is one at a time.
const CHANGES: usize = 4;

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
    /// A worker has panicked: its connections are lost, and it goes on after a rest.
    WorkerPanicked {
        /// Its thread's name.
        name: String,
    },
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    control: Control,
    threads: Vec<JoinHandle<()>>,
    events: Receiver<Event>,
}

impl Server {
    /// Binds every address and starts every thread; when it returns, all of them are at work.
    ///
    /// # Errors
    ///
    /// Why it is [`Refused`]; nothing is left running then.
    pub fn start(settings: Settings) -> Result<Server, Refused> {
        Server::start_with(settings, Inherited::new())
    }

    /// As [`Server::start`], where some sockets listen already: those that systemd passed under a
    /// listener's name are used in place of its addresses, those that were ours before where an
    /// address means them; what then is left of these is closed.
    ///
    /// # Errors
    ///
    /// Why it is [`Refused`]; nothing is left running then.
    pub fn start_with(settings: Settings, inherited: Inherited) -> Result<Server, Refused> {
        let cpus = || thread::available_parallelism().map_or(1, NonZero::get);
        let count = settings.workers.map_or_else(cpus, NonZero::get);
        let (known, drain) = (settings::names(&settings.listeners), settings.drain.clone());
        let (access_log, spin) = (settings.access, settings.spin);
        let pool: Pool = inherited.into_iter().map(Arc::new).collect();
        let mut plan = Plan::new(settings, count, pool, |_| Kept::new(count))?;
        if let Some(Origin::Passed(name)) = plan.idle.first().map(|idle| idle.origin()) {
            return Err(Refused::Nobodys { name: name.clone(), known });
        }
        plan.begin();

        let clock = Clock::new(Instant::now());
        let (accepting, accept_poll) = Beat::new("acceptor", clock)?;
        let (linking, link_poll) = Beat::new("links", clock)?;
        let orders = Arc::<Orders>::default();
        let (tell_links, told) = Mailbox::unbounded(Arc::clone(&linking.bell));
        let admission = Arc::new(Admission::new(plan.max_connections, Arc::clone(&accepting.bell)));
        let access = Arc::<Access>::default();
        access.set(access_log);
        let read_max = plan.services.iter().map(|service| service.limits.buffer_size_max).max().unwrap_or(1);
        let worker = |n| {
            let (admission, orders, access) = (Arc::clone(&admission), Arc::clone(&orders), Arc::clone(&access));
            let (_, mut poll) = Poll::new(clock, Arc::default())?;
            poll.set_spin(spin);
            Ok(Worker::new(poll, n, read_max, admission, orders, access, tell_links.clone()))
        };
        let workers: Vec<Worker> = (0..count).map(worker).collect::<io::Result<_>>()?;
        let handles: Vec<worker::Handle> = workers.iter().map(Worker::handle).collect();
        let accept_counters = Arc::<AcceptCounters>::default();
        let (changes_in, changes) = Mailbox::new(CHANGES, Arc::clone(&accepting.bell));
        let intake = Intake::new(handles.clone(), Arc::clone(&admission));
        let (directory, sheets) = (Arc::<Directory>::default(), Sheets::default());
        let acceptor = Acceptor::new(
            accept_poll,
            plan.doors.clone(),
            changes,
            intake.clone(),
            Arc::clone(&directory),
            Arc::clone(&orders),
            Arc::clone(&accept_counters),
        )?;

        let mut state = State::new(drain.clone());
        state.take_over(&plan, drain);
        let listening = plan.listeners();
        let way = (tell_links.clone(), told);
        let mut links = Links::new(link_poll, way, intake, directory, sheets.clone(), Arc::clone(&orders));
        // before anybody is accepted, so that peers are known
        links.set_peers(std::mem::take(&mut plan.peers), listening);
        let beat = |(n, handle): (usize, &worker::Handle)| Beat {
            name: format!("worker-{n}"),
            pulse: Arc::clone(&handle.pulse),
            bell: Arc::clone(handle.post.bell()),
        };
        let (accept_pulse, link_pulse) = (Arc::clone(&accepting.pulse), Arc::clone(&linking.pulse));
        let control = Control(Arc::new(Inner {
            clock,
            orders,
            access,
            admission,
            accept_counters,
            beats: handles.iter().enumerate().map(beat).chain([accepting, linking]).collect(),
            workers: handles,
            acceptor: changes_in,
            links: tell_links,
            sheets,
            changing: Mutex::default(),
            state: Mutex::new(state),
        }));
        // it is the acceptor who keeps the sockets, and closes them
        drop(plan);

        let (events_in, events) = crossbeam_channel::unbounded();
        let mut server = Server { control, threads: Vec::new(), events };
        // workers first, so that whoever is accepted is served
        for (n, worker) in workers.into_iter().enumerate() {
            let (name, pulse, tell) = (format!("worker-{n}"), worker.handle().pulse, events_in.clone());
            server.spawn(name.clone(), pulse, &events_in, move || keeping::keep(worker, &name, &tell))?;
        }
        server.spawn("acceptor".to_owned(), accept_pulse, &events_in, move || acceptor.run())?;
        server.spawn("links".to_owned(), link_pulse, &events_in, move || links.run())?;
        Ok(server)
    }

    fn spawn(
        &mut self,
        name: String,
        pulse: Arc<Pulse>,
        events: &Sender<Event>,
        run: impl FnOnce() -> io::Result<()> + Send + 'static,
    ) -> io::Result<()> {
        let (events, said) = (events.clone(), name.clone());
        let thread = thread::Builder::new().name(name).spawn(move || {
            let fault = match catch_unwind(AssertUnwindSafe(run)) {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(plain(error)),
                Err(_) => Some("it panicked".to_owned()),
            };
            pulse.end();
            // nobody listens once the server was dropped
            let _ = events.send(Event::ThreadEnded { name: said, fault });
        });
        self.threads
            .push(thread.map_err(|error| io::Error::other(format!("cannot start a thread: {}", plain(error))))?);
        Ok(())
    }

    /// What can be asked of it, from any thread.
    #[must_use]
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// What the server has to tell.
    #[must_use]
    pub fn events(&self) -> &Receiver<Event> {
        &self.events
    }

    /// How many threads it has started; each tells when it has ended.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads.len()
    }

    /// How many of its threads have not ended.
    #[must_use]
    pub fn running(&self) -> usize {
        self.threads.iter().filter(|thread| !thread.is_finished()).count()
    }

    /// Waits until all threads have ended.
    ///
    /// # Errors
    ///
    /// What went wrong in a thread that ended by a fault.
    pub fn join(mut self) -> Result<(), Fault> {
        for thread in std::mem::take(&mut self.threads) {
            // a thread's panic is told by its event
            let _ = thread.join();
        }
        for event in self.events.try_iter() {
            if let Event::ThreadEnded { name, fault: Some(what) } = event {
                return Err(Fault { thread: name, what });
            }
        }
        Ok(())
    }
}

impl Drop for Server {
    /// Closes everything, without waiting for it.
    fn drop(&mut self) {
        self.control.stop();
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
