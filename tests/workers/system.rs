//! The system that workers run on here: sockets, readiness and time, as bad as they may be and no worse.

use crate::connection::{Connection, Stopping};
use fastrand::Rng;
use rustix::io::Errno;
use shoutd::deadlines::Moment;
use shoutd::metrics::{ENDS, Tally};
use shoutd::net::bell::Bell;
use shoutd::net::poll::Interest;
use shoutd::net::pulse::Pulse;
use shoutd::net::stream::{Outcome, Peer};
use shoutd::net::system::{Socket, System};
use shoutd::session::{EndReason, Service};
use shoutd::transform::Context;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

/// How much of what happened is told of a world that fails.
const TOLD: usize = 100;
/// Of so many watches, one fails.
const NO_WATCH: u32 = 1_000;
/// Of so many sleeps, one is interrupted; of so many turns, one tells of something that is not so.
const INTERRUPTED: u32 = 30;
const SPURIOUS: u32 = 30;

/// What all workers of a world share.
pub struct Net {
    pub rng: Rng,
    pub now: Moment,
    /// Those that have not been checked after their end.
    pub connections: BTreeMap<u64, Connection>,
    pub stopping: Stopping,
    /// How often a reload was ordered, and how each listener is served since the last.
    pub generation: u64,
    pub services: Vec<Option<Arc<Service>>>,
    /// Whether calls no longer fail.
    pub calm: bool,
    /// When each worker turned last but one, and last.
    pub turned: Vec<(Moment, Moment)>,
    /// When each learnt that it is to drain.
    pub drains: Vec<Moment>,
    /// What is counted for each listener, and the ends that were counted before the last one, by worker.
    pub tallies: Vec<Arc<Tally>>,
    counted: Vec<Vec<[u64; ENDS]>>,
    /// Tokens of those that have ended.
    stale: Vec<u64>,
    told: VecDeque<(Moment, u64, Happening)>,
}

pub type Shared = Rc<RefCell<Net>>;

/// Something that happened to a connection, or to a worker.
#[derive(Debug, Clone)]
#[expect(dead_code, reason = "it is read as it is shown")]
pub enum Happening {
    Turned(Vec<u64>),
    Add(Interest, bool),
    Modify(Interest, bool),
    Read(usize, Outcome),
    Write(usize, Outcome),
    ShutDown,
    Closed(EndReason),
    World(&'static str, usize),
}

impl Net {
    pub fn new(rng: Rng, workers: usize, tallies: Vec<Arc<Tally>>) -> Net {
        Net {
            rng,
            now: Moment::from_millis(0),
            connections: BTreeMap::new(),
            stopping: Stopping::default(),
            generation: 0,
            services: Vec::new(),
            calm: false,
            turned: vec![(Moment::from_millis(0), Moment::from_millis(0)); workers],
            drains: vec![Moment::NEVER; workers],
            counted: tallies.iter().map(|_| vec![[0; ENDS]; workers]).collect(),
            tallies,
            stale: Vec::new(),
            told: VecDeque::new(),
        }
    }

    pub fn tell(&mut self, who: u64, what: Happening) {
        if self.told.len() == TOLD {
            self.told.pop_front();
        }
        self.told.push_back((self.now, who, what));
    }

    /// Whether a stop has come to its end.
    pub fn is_over(&self) -> bool {
        self.stopping.stopped || self.stopping.drain.is_some_and(|(_, _, _, deadline)| deadline <= self.now)
    }

    fn chance(&mut self, of: u32) -> bool {
        self.rng.u32(0..of) == 0
    }

    fn fails(&mut self) -> bool {
        !self.calm && self.chance(NO_WATCH)
    }

    /// The connections of a worker that are open.
    pub fn open_at(&mut self, worker: usize) -> impl Iterator<Item = &mut Connection> {
        self.connections.values_mut().filter(move |one| one.worker == Some(worker) && one.reason.is_none())
    }

    /// Why the last connection of a listener at a worker ended: what was counted since.
    fn reason(&mut self, listener: usize, worker: usize) -> EndReason {
        let closed = &self.tallies[listener].of(worker).closed;
        let counted = &mut self.counted[listener][worker];
        let now: [u64; ENDS] = std::array::from_fn(|nth| closed[nth].get());
        let new: Vec<usize> = (0..ENDS).filter(|nth| now[*nth] != counted[*nth]).collect();
        assert!(new.len() == 1 && now[new[0]] == counted[new[0]] + 1, "one end has one reason: {new:?}");
        *counted = now;
        EndReason::ALL[new[0]]
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for (at, who, what) in &self.told {
                eprintln!("{:>8} {who:>4} {what:?}", at.as_millis());
            }
        }
    }
}

/// A worker's part of it.
pub struct Sleeper {
    net: Shared,
    worker: usize,
    bell: Arc<Bell>,
    pulse: Arc<Pulse>,
    now: Moment,
    began: Instant,
    tokens: Vec<u64>,
}

impl Sleeper {
    pub fn new(net: &Shared, worker: usize) -> Sleeper {
        Sleeper {
            net: Rc::clone(net),
            worker,
            bell: Arc::new(Bell::new().unwrap()),
            pulse: Arc::default(),
            now: net.borrow().now,
            began: Instant::now(),
            tokens: Vec::new(),
        }
    }
}

impl fmt::Debug for Sleeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sleeper {}", self.worker)
    }
}

impl System for Sleeper {
    type Stream = Line;

    fn bell(&self) -> &Arc<Bell> {
        &self.bell
    }

    fn pulse(&self) -> &Arc<Pulse> {
        &self.pulse
    }

    fn add(&self, line: &Line, token: u64, interest: Interest) -> Result<(), Errno> {
        let net = &mut *self.net.borrow_mut();
        let fails = net.fails();
        net.tell(line.id, Happening::Add(interest, !fails));
        let connection = net.connections.get_mut(&line.id).unwrap();
        assert!(connection.worker.replace(self.worker).is_none(), "two workers have it");
        if fails {
            connection.failed = true;
            return Err(Errno::NOMEM);
        }
        connection.registered = Some((token, interest));
        connection.open(net.now);
        connection.learn(net.generation, &net.services);
        Ok(())
    }

    fn modify(&self, line: &Line, token: u64, interest: Interest) -> Result<(), Errno> {
        let net = &mut *self.net.borrow_mut();
        let fails = net.fails();
        net.tell(line.id, Happening::Modify(interest, !fails));
        let connection = net.connections.get_mut(&line.id).unwrap();
        assert_eq!(connection.registered.map(|(token, _)| token), Some(token), "another token than before");
        if fails {
            connection.failed = true;
            return Err(Errno::NOMEM);
        }
        connection.registered = Some((token, interest));
        Ok(())
    }

    /// Fails as what would block when it would sleep; the worker has then done nothing.
    fn turn(&mut self, until: Option<Moment>) -> io::Result<()> {
        let net = &mut *self.net.borrow_mut();
        let ready: Vec<u64> =
            net.open_at(self.worker).filter(|one| one.is_ready()).map(|one| one.registered.unwrap().0).collect();
        let is_time = until.is_some_and(|until| until <= net.now) || !ready.is_empty() || net.chance(INTERRUPTED);
        if !self.bell.sleep(|may_sleep| is_time || !may_sleep) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        net.turned[self.worker] = (self.now, net.now);
        if net.stopping.drain.is_some() {
            net.drains[self.worker] = net.drains[self.worker].min(net.now);
        }
        let (generation, services) = (net.generation, net.services.clone());
        net.open_at(self.worker).for_each(|one| one.learn(generation, &services));
        self.now = net.now;
        self.began = Instant::now();
        self.tokens = ready;
        net.rng.shuffle(&mut self.tokens);
        // epoll tells of so many at once, and at times of what is not so any more
        let some = net.rng.usize(0..=self.tokens.len() * 2).max(1);
        self.tokens.truncate(some);
        if net.chance(SPURIOUS) {
            // but of each once: what is reported is taken off the list of what is to be
            let is_new = |token: &u64| !self.tokens.contains(token);
            let watched = net.open_at(self.worker).filter_map(|one| one.registered);
            let watched = watched.filter(|(_, interest)| *interest != Interest::Nothing).map(|one| one.0);
            let watched: Vec<u64> = watched.filter(is_new).collect();
            self.tokens.extend(net.rng.choice(watched));
            self.tokens.extend(net.rng.choice(&net.stale));
        }
        net.tell(self.worker as u64, Happening::Turned(self.tokens.iter().map(|token| token >> 32).collect()));
        Ok(())
    }

    fn now(&self) -> Moment {
        self.now
    }

    fn began(&self) -> Instant {
        self.began
    }

    fn events(&self) -> usize {
        self.tokens.len()
    }

    fn token(&self, nth: usize) -> Option<u64> {
        self.tokens.get(nth).copied()
    }
}

/// The socket of the connection with this number.
pub struct Line {
    pub net: Shared,
    pub id: u64,
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.id)
    }
}

impl Socket for Line {
    fn read(&self, buffer: &mut [u8]) -> Outcome {
        let net = &mut *self.net.borrow_mut();
        let connection = net.connections.get_mut(&self.id).unwrap();
        let (before, _) = net.turned[connection.worker.unwrap()];
        let outcome = connection.read(buffer, &mut net.rng, net.now, before);
        net.tell(self.id, Happening::Read(buffer.len(), outcome));
        outcome
    }

    fn write(&self, bytes: &[u8]) -> Outcome {
        let net = &mut *self.net.borrow_mut();
        let connection = net.connections.get_mut(&self.id).unwrap();
        let outcome = connection.write(bytes, &mut net.rng, net.now);
        net.tell(self.id, Happening::Write(bytes.len(), outcome));
        outcome
    }

    fn context(&self, peer: &Peer, listener: &str, connection: u64) -> Context {
        let local = self.local().map_or_else(|| "unix".to_owned(), |local| local.to_string());
        Context { peer: peer.to_string(), local, listener: listener.to_owned(), host: "sim".to_owned(), connection }
    }

    fn local(&self) -> Option<SocketAddr> {
        let net = self.net.borrow();
        let is_tcp = net.connections[&self.id].peer.address().is_some();
        is_tcp.then(|| (Ipv4Addr::new(192, 0, 2, 1), 5000).into())
    }

    fn under_way(&self) -> usize {
        let net = &mut *self.net.borrow_mut();
        net.connections.get_mut(&self.id).unwrap().look(net.now)
    }

    fn has_ended(&self) -> bool {
        self.net.borrow().connections[&self.id].client.fin
    }

    fn shut_down(&self) {
        let net = &mut *self.net.borrow_mut();
        net.tell(self.id, Happening::ShutDown);
        net.connections.get_mut(&self.id).unwrap().shut_down(net.now);
    }

    fn reset_on_close(&self) {
        self.net.borrow_mut().connections.get_mut(&self.id).unwrap().resets = true;
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let net = &mut *self.net.borrow_mut();
        let connection = &net.connections[&self.id];
        let (listener, worker) = (connection.listener, connection.worker.expect("nobody served it"));
        let reason = net.reason(listener, worker);
        net.tell(self.id, Happening::Closed(reason));
        let connection = net.connections.get_mut(&self.id).unwrap();
        net.stale.extend(connection.registered.take().map(|(token, _)| token));
        connection.reason = Some(reason);
        connection.check_end(reason, net.now, &net.stopping);
    }
}
