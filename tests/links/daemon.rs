//! A daemon: its links, minded as `net/links` does, and its sessions, driven as `net/worker` does. The two
//! are threads, so what one tells the other takes a moment.

use crate::tcp::{Failure, HostId, Id, Network, State};
use crate::world::{Event, breaks};
use shoutd::deadlines::Moment;
use shoutd::link::{Action, Dialogue, GREETING, Heard, Link, Manners, Retry, Stage, Suspicion};
use shoutd::session::{self, Desk, EndReason, Service, Session};
use shoutd::transform::Context;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

const PACE: Duration = Duration::from_millis(10);
const DIAL: Duration = Duration::from_secs(5);
/// What is held back at most, and two answers of a turn: the rest of the one that filled it, and the next. An
/// answer is what may be answered at once and one long message, which two steps make nine times as long.
const KEPT: usize = (16 << 20) + 2 * 6 * 2 * 1024;

/// How a daemon is configured.
#[derive(Debug, Clone)]
pub struct Setup {
    pub addresses: Vec<SocketAddr>,
    pub service: Arc<Service>,
    pub peers: Vec<PeerSetup>,
}

#[derive(Debug, Clone)]
pub struct PeerSetup {
    pub host: HostId,
    /// What its name resolves to, the lowest first.
    pub addresses: Vec<SocketAddr>,
    /// Whether that has to be asked for before each dial.
    pub named: bool,
    pub manners: Manners,
}

/// What the worker tells the thread of the links.
#[derive(Debug)]
pub enum Told {
    /// Whether it was dialled.
    Linked(usize, Id, bool),
    Ended(usize, Id, EndReason),
    /// A name was resolved.
    Found(usize),
}

/// What that asks of the worker.
#[derive(Debug)]
pub enum Errand {
    Adopt(usize, SocketAddr),
    Unlink(Id),
}

/// How often a daemon met what it is here to meet.
#[derive(Debug, Default, Clone)]
pub struct Met {
    pub linked: u32,
    pub taken: u32,
    pub adopted: u32,
    pub duplicates: u32,
    pub any_port: u32,
    pub failures: u32,
    pub loops: u32,
    pub releases: u32,
    pub answers: u32,
    pub done: u32,
}

pub struct Connection {
    pub session: Session,
    /// Which peer's link it is.
    pub peer: Option<usize>,
    pub ending: bool,
    deadline: Moment,
    heard: HashSet<u64>,
    said: u64,
    dialled: bool,
    suspicion: Option<Suspicion>,
}

pub struct Peer {
    pub setup: PeerSetup,
    pub link: Link<(SocketAddr, SocketAddr)>,
    /// The addresses that its connections come from, as far as they are known.
    known: Vec<SocketAddr>,
    attempt: Option<Attempt>,
    /// Failures in a row, as counted here.
    failures: u32,
    since: BTreeMap<Id, Moment>,
    done: bool,
    suspicion: Suspicion,
}

struct Attempt {
    any_port: bool,
    left: VecDeque<SocketAddr>,
    dial: Option<Id>,
    begun: Moment,
}

pub struct Daemon {
    pub host: HostId,
    pub setup: Setup,
    pub peers: Vec<Peer>,
    pub connections: BTreeMap<Id, Connection>,
    pub met: Met,
    /// How often it was started; who is told something from before does not hear it.
    pub life: u32,
    pub running: bool,
    /// When a peer's connection was last ended by what was said over it.
    pub broken: HashMap<usize, Moment>,
    desk: Desk,
    next_dial: Moment,
    /// When the links are looked at next.
    look: Moment,
    /// When the last mail between the two threads comes.
    mail: Moment,
}

impl Daemon {
    pub fn new(host: HostId, setup: Setup) -> Daemon {
        Daemon {
            host,
            setup,
            peers: Vec::new(),
            connections: BTreeMap::new(),
            met: Met::default(),
            life: 0,
            running: false,
            broken: HashMap::new(),
            desk: Desk::default(),
            next_dial: Moment::from_millis(0),
            look: Moment::NEVER,
            mail: Moment::from_millis(0),
        }
    }

    pub fn start(&mut self, net: &mut Network) {
        net.listen(self.host, &self.setup.addresses);
        self.running = true;
        let peer = |setup: &PeerSetup| Peer {
            setup: setup.clone(),
            link: Link::new(Retry::default(), net.rng.u64(..), net.now),
            known: if setup.named { Vec::new() } else { setup.addresses.clone() },
            attempt: None,
            failures: 0,
            since: BTreeMap::new(),
            done: false,
            suspicion: Suspicion::default(),
        };
        self.peers = self.setup.peers.iter().map(peer).collect();
        self.mind(net);
    }

    /// All that it was is gone.
    pub fn vanish(&mut self, silent: bool, net: &mut Network) {
        net.vanish(self.host, silent);
        self.running = false;
        self.life += 1;
        self.look = Moment::NEVER;
        self.connections.clear();
        self.peers.clear();
    }

    // what the thread of the links does

    pub fn mind(&mut self, net: &mut Network) {
        if !self.running {
            return;
        }
        for nth in 0..self.peers.len() {
            self.mind_peer(nth, net);
        }
        let dial = |peer: &Peer| {
            let dial = |attempt: &Attempt| attempt.dial.map_or(Moment::NEVER, |_| attempt.begun.after(DIAL));
            peer.attempt.as_ref().map_or_else(|| peer.link.poll_timeout(), dial)
        };
        if let Some(due) = self.peers.iter().map(dial).filter(|due| *due != Moment::NEVER).min() {
            let due = if due <= net.now { self.next_dial } else { due };
            if due < self.look {
                self.look = due;
                net.schedule(due, Event::Look(self.host, self.life));
            }
        }
    }

    pub fn look(&mut self, net: &mut Network) {
        self.look = Moment::NEVER;
        self.mind(net);
    }

    /// One of the two threads tells the other something, in the order in which that is done.
    fn post(&mut self, event: Event, net: &mut Network) {
        let wait = Duration::from_millis(net.rng.u64(0..=3));
        self.mail = self.mail.max(net.now.after(wait));
        net.schedule(self.mail, event);
    }

    fn mind_peer(&mut self, nth: usize, net: &mut Network) {
        let peer = &mut self.peers[nth];
        if let Some(attempt) = &mut peer.attempt
            && attempt.begun.after(DIAL) <= net.now
            && let Some(dial) = attempt.dial.take()
        {
            net.close(dial, false);
            self.try_next(nth, net);
        }
        let now = net.now;
        self.tell(nth, now, |link| _ = link.handle_timeout(now));
        loop {
            match self.peers[nth].link.poll_action(net.now) {
                Action::End(number) => {
                    self.peers[nth].link.handle_ending(number);
                    self.post(Event::Errand(self.host, self.life, Errand::Unlink(id(number))), net);
                }
                Action::Dial { from_any_port } if self.peers[nth].attempt.is_none() && self.next_dial <= net.now => {
                    self.next_dial = net.now.after(PACE);
                    let peer = &mut self.peers[nth];
                    assert!(!peer.done, "`once` is once");
                    peer.link.handle_dialling(net.now);
                    self.met.any_port += u32::from(from_any_port);
                    let left = VecDeque::new();
                    peer.attempt = Some(Attempt { any_port: from_any_port, left, dial: None, begun: net.now });
                    if peer.setup.named {
                        return net.soon(300, Event::Told(self.host, self.life, Told::Found(nth)));
                    }
                    return self.handle_addresses(nth, net);
                }
                Action::Dial { .. } | Action::Wait => return,
            }
        }
    }

    fn handle_addresses(&mut self, nth: usize, net: &mut Network) {
        let peer = &mut self.peers[nth];
        let addresses = peer.setup.addresses.clone();
        if peer.known != addresses {
            peer.known.clone_from(&addresses);
            for address in &addresses {
                self.post(Event::Errand(self.host, self.life, Errand::Adopt(nth, *address)), net);
            }
        }
        if let Some(attempt) = &mut self.peers[nth].attempt {
            attempt.left = addresses.into();
        }
        self.try_next(nth, net);
    }

    fn try_next(&mut self, nth: usize, net: &mut Network) {
        let peer = &mut self.peers[nth];
        let Some(attempt) = &mut peer.attempt else { return };
        while let Some(to) = attempt.left.pop_front() {
            let Some(from) = self.setup.addresses.iter().find(|own| own.is_ipv4() == to.is_ipv4()) else { continue };
            match net.dial(self.host, *from, attempt.any_port, to) {
                Ok(dial) => {
                    (attempt.dial, attempt.begun) = (Some(dial), net.now);
                    return;
                }
                Err(_) => {
                    peer.attempt = None;
                    self.tell(nth, net.now, |link| link.handle_taken(net.now));
                    self.met.taken += 1;
                    return self.post(Event::Errand(self.host, self.life, Errand::Adopt(nth, to)), net);
                }
            }
        }
        peer.attempt = None;
        self.met.failures += 1;
        self.tell(nth, net.now, |link| link.handle_failure(net.now));
    }

    fn handle_dialled(&mut self, nth: usize, dial: Id, net: &mut Network) {
        let Some(attempt) = &mut self.peers[nth].attempt else { return };
        match net.sockets[dial].failure {
            None if net.sockets[dial].state == State::Open => {
                let round_trip = net.now.since(attempt.begun);
                self.peers[nth].attempt = None;
                self.welcome(dial, Some((nth, Some(round_trip))), net);
            }
            None => {}
            Some(_) => {
                attempt.dial = None;
                self.try_next(nth, net);
            }
        }
    }

    pub fn hear(&mut self, told: &Told, net: &mut Network) {
        match told {
            Told::Linked(nth, id, dialled) => {
                let (local, remote) = (net.sockets[*id].local, net.sockets[*id].remote);
                let key = (local.min(remote), local.max(remote));
                self.tell(*nth, net.now, |link| link.handle_connection(*id as u64, key, *dialled, net.now));
                self.peers[*nth].since.insert(*id, net.now);
                self.met.linked += 1;
            }
            Told::Found(nth) => self.handle_addresses(*nth, net),
            Told::Ended(nth, id, reason) => {
                let peer = &mut self.peers[*nth];
                let is_good = peer.since.remove(id).is_some_and(|at| net.now.since(at) >= Duration::from_secs(60));
                if is_good {
                    peer.failures = 0;
                }
                if breaks(*reason) {
                    self.broken.insert(*nth, net.now);
                }
                let done = *reason == EndReason::ExchangeDone;
                peer.done |= done;
                self.tell(*nth, net.now, |link| link.handle_end(*id as u64, done, net.now));
                self.met.done += u32::from(*reason == EndReason::ExchangeDone);
                self.met.duplicates += u32::from(*reason == EndReason::DuplicateLink);
            }
        }
        self.mind(net);
    }

    /// Tells the link of a peer something; no wait that comes of it is longer than its ceiling, which doubles
    /// with each failure in a row.
    fn tell(&mut self, nth: usize, now: Moment, tell: impl FnOnce(&mut Link<(SocketAddr, SocketAddr)>)) {
        let peer = &mut self.peers[nth];
        let was_waiting = matches!(peer.link.stage(), Stage::Waiting(_));
        tell(&mut peer.link);
        let ceiling = |failures: u32| Duration::from_secs(3 << failures.min(8)).min(Duration::from_secs(60));
        if let Stage::Waiting(until) = peer.link.stage()
            && !was_waiting
        {
            let (wait, most) = (until.since(now), ceiling(peer.failures));
            assert!(wait <= most, "waits {wait:?} of {most:?}");
            peer.failures += 1;
        }
        assert_eq!(peer.link.ceiling(), ceiling(peer.failures), "after {} failures", peer.failures);
    }

    // what the worker does

    pub fn accept(&mut self, id: Id, net: &mut Network) {
        let from = net.sockets[id].remote;
        let known = self.peers.iter().position(|peer| peer.known.contains(&from));
        self.welcome(id, known.map(|nth| (nth, None)), net);
    }

    fn welcome(&mut self, id: Id, link: Option<(usize, Option<Duration>)>, net: &mut Network) {
        let context = Context {
            peer: "198.51.100.7:6000".into(),
            local: "198.51.100.1:5000".into(),
            listener: "default".into(),
            host: "example".into(),
            connection: 1,
        };
        let context = self.setup.service.wants_context().then(|| Box::new(context));
        let session = Session::new(Arc::clone(&self.setup.service), context, net.now);
        let mut connection = Connection {
            session,
            peer: None,
            ending: false,
            deadline: Moment::NEVER,
            heard: HashSet::new(),
            said: GREETING,
            dialled: false,
            suspicion: None,
        };
        if let Some((nth, dialled)) = link {
            self.begin_link(&mut connection, id, (nth, dialled), net);
        }
        let greeting = connection.session.handle_opened(&mut self.desk, net.now);
        answer_with(id, &mut connection.session, greeting, net);
        self.connections.insert(id, connection);
        net.wake(id);
        self.settle(id, net);
    }

    fn begin_link(
        &mut self,
        connection: &mut Connection,
        id: Id,
        (nth, dialled): (usize, Option<Duration>),
        net: &mut Network,
    ) {
        let manners = self.setup.peers[nth].manners.clone();
        connection.session.handle_link(match dialled {
            Some(round_trip) => Dialogue::dialled(manners, round_trip, self.peers[nth].suspicion, net.now),
            None => Dialogue::accepted(manners),
        });
        connection.peer = Some(nth);
        connection.dialled = dialled.is_some();
        self.post(Event::Told(self.host, self.life, Told::Linked(nth, id, dialled.is_some())), net);
    }

    pub fn run_errand(&mut self, errand: &Errand, net: &mut Network) {
        match errand {
            Errand::Adopt(nth, address) => {
                let is_meant = |(id, connection): &(&Id, &Connection)| {
                    connection.peer.is_none() && net.sockets[**id].remote == *address
                };
                let Some(id) = self.connections.iter().find(is_meant).map(|(id, _)| *id) else { return };
                let mut connection = self.connections.remove(&id).unwrap();
                self.begin_link(&mut connection, id, (*nth, None), net);
                self.connections.insert(id, connection);
                self.met.adopted += 1;
                self.settle(id, net);
            }
            Errand::Unlink(id) => {
                if let Some(connection) = self.connections.get_mut(id) {
                    connection.ending = true;
                    let quiet = Duration::from_millis(500);
                    connection.session.handle_retirement(EndReason::DuplicateLink, quiet, net.now);
                    self.settle(*id, net);
                }
            }
        }
    }

    /// Says something over the link to a peer, if there is one.
    pub fn say(&mut self, nth: usize, text: &[u8], net: &mut Network) {
        let Some(number) = self.peers.get(nth).and_then(|peer| peer.link.connection()) else { return };
        if let Some(connection) = self.connections.get_mut(&id(number)) {
            connection.said += 1;
            if let Ok(said) = connection.session.handle_say(connection.said, text, &mut self.desk, net.now) {
                answer_with(id(number), &mut connection.session, said, net);
            }
            self.settle(id(number), net);
        }
    }

    pub fn wake(&mut self, id: Id, net: &mut Network) {
        let dials = |peer: &Peer| peer.attempt.as_ref().is_some_and(|attempt| attempt.dial == Some(id));
        if let Some(nth) = self.peers.iter().position(dials) {
            self.handle_dialled(nth, id, net);
            return self.mind(net);
        }
        for _ in 0..4 {
            if !self.turn(id, net) {
                return;
            }
        }
        net.wake(id);
    }

    /// Does what one report allows; gives whether there may be more to do.
    fn turn(&mut self, id: Id, net: &mut Network) -> bool {
        let Some(Connection { session, .. }) = self.connections.get_mut(&id) else { return false };
        let socket = &net.sockets[id];
        let moved = match session.poll_action() {
            session::Action::Read if socket.has_input() => {
                let mut read = net.read(id, session.read_size());
                let was_holding = session.state() == "holding";
                let answer = session.handle_input(&mut read, &mut self.desk, net.now);
                answer_with(id, session, answer, net);
                self.met.releases += u32::from(was_holding && session.state() != "holding");
                true
            }
            // what came before can still be read
            _ if socket.failure.is_some() => {
                let vanished = socket.failure == Some(Failure::Vanished);
                session.handle_failure(if vanished { EndReason::ClientVanished } else { EndReason::ClientReset });
                true
            }
            session::Action::Read if socket.fin => {
                let answer = session.handle_end_of_input(&mut self.desk, net.now);
                answer_with(id, session, answer, net);
                true
            }
            session::Action::Write if net.room(id) > 0 => {
                let taken = net.write(id, session.unsent());
                net.note(id, taken);
                session.handle_written(taken, net.now);
                true
            }
            session::Action::Answer if net.room(id) > 0 => {
                let answer = session.handle_writable(&mut self.desk, net.now);
                answer_with(id, session, answer, net);
                true
            }
            _ => false,
        };
        assert!(session.unsent().len() <= KEPT, "{} bytes are kept", session.unsent().len());
        self.settle(id, net);
        moved
    }

    pub fn handle_deadline(&mut self, id: Id, net: &mut Network) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.deadline = Moment::NEVER;
        if connection.session.poll_timeout() <= net.now {
            while self.turn(id, net) {}
        }
        let Some(Connection { session, .. }) = self.connections.get_mut(&id) else { return };
        if session.poll_timeout() <= net.now {
            let answer = session.handle_timeout(&mut self.desk, net.now);
            answer_with(id, session, answer, net);
            if session.poll_action() == session::Action::Write {
                net.wake(id);
            }
        }
        self.settle(id, net);
    }

    fn settle(&mut self, id: Id, net: &mut Network) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if connection.dialled {
            connection.suspicion = connection.session.suspicion().or(connection.suspicion);
        }
        for heard in connection.session.take_heard() {
            match heard {
                Heard::Answer { by, .. } => {
                    self.met.answers += 1;
                    // a greeting that is several messages has as many answers
                    assert!(connection.heard.insert(by) || by == GREETING, "{by} is answered twice");
                }
                Heard::Loop { .. } => self.met.loops += 1,
                Heard::Other(_) => {}
            }
        }
        let mut action = connection.session.poll_action();
        if action == session::Action::ShutDown {
            net.shut_down(id);
            connection.session.handle_shut_down(net.now);
            action = connection.session.poll_action();
        }
        if let session::Action::Close { reset } = action {
            let reason = connection.session.end_reason().expect("an end has a reason");
            if net.verbose {
                eprintln!("{:>8} {:?} of {} ends: {}", net.now.as_millis(), id, self.host, reason.word());
            }
            net.close(id, reset);
            let peer = connection.peer;
            if let (Some(nth), Some(suspicion)) = (peer, connection.suspicion) {
                self.peers[nth].suspicion = suspicion;
            }
            self.connections.remove(&id);
            if let Some(nth) = peer {
                self.post(Event::Told(self.host, self.life, Told::Ended(nth, id, reason)), net);
            }
            return;
        }
        // what is there already is reported again, if it is of interest now
        let wants = match action {
            session::Action::Read => net.sockets[id].has_input() || net.sockets[id].fin,
            session::Action::Write | session::Action::Answer => net.room(id) > 0,
            _ => false,
        };
        if wants {
            net.wake(id);
        }
        let due = connection.session.poll_timeout();
        if due < connection.deadline {
            connection.deadline = due;
            net.schedule(due, Event::Deadline(id));
        }
    }
}

fn answer_with(id: Id, session: &mut Session, answer: &[u8], net: &mut Network) {
    if !answer.is_empty() {
        let taken = net.write(id, answer);
        net.note(id, taken);
        session.handle_answered(answer, taken);
    }
}

fn id(number: u64) -> Id {
    usize::try_from(number).unwrap()
}

impl Met {
    pub fn add(&mut self, other: &Met) {
        self.linked += other.linked;
        self.taken += other.taken;
        self.adopted += other.adopted;
        self.duplicates += other.duplicates;
        self.any_port += other.any_port;
        self.failures += other.failures;
        self.loops += other.loops;
        self.releases += other.releases;
        self.answers += other.answers;
        self.done += other.done;
    }
}
