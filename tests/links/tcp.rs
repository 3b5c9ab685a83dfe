//! As much of TCP as links depend on: four-tuples, connections that are made from either end or from both at
//! once, order, windows, ends, resets, and a network that loses, delays, and is cut for a while.
//!
//! Sequence numbers there are none: each segment names the socket that it is for.

use crate::world::Event;
use fastrand::Rng;
use shoutd::deadlines::Moment;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::time::Duration;

/// A socket's number.
pub type Id = usize;
/// A host's number.
pub type HostId = usize;

/// How long a socket that nobody has any more waits for the other end.
const ORPHAN: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// SYN was sent.
    Dialling,
    /// SYN was sent, and that of the other end came.
    Crossed,
    /// SYN came to a listener.
    HalfOpen,
    Open,
    /// It was closed, and waits for what the other end has to say to that.
    Orphan,
    Gone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    Refused,
    Reset,
    Vanished,
}

#[derive(Debug)]
pub struct Socket {
    pub host: HostId,
    pub local: SocketAddr,
    pub remote: SocketAddr,
    pub state: State,
    /// Whether it was dialled from here.
    pub dialled: bool,
    pub other: Option<Id>,
    pub failure: Option<Failure>,
    pub opened: Moment,
    /// What came, and how much of it was read.
    input: Vec<u8>,
    read: usize,
    /// Whether the other end's FIN came.
    pub fin: bool,
    fin_sent: bool,
    fin_acked: bool,
    /// Bytes of ours that the other end's application has not read.
    under_way: usize,
    /// When the last thing that it sent arrives.
    arrives: Moment,
    awake: bool,
}

#[derive(Debug, Clone)]
pub enum Segment {
    Syn,
    SynAck,
    Ack,
    /// What is answered to a SYN by a connection that there is already.
    Challenge,
    Data(Vec<u8>),
    Fin,
    FinAck,
    Rst,
}

#[derive(Debug, Clone)]
pub struct Packet {
    src: SocketAddr,
    dst: SocketAddr,
    from: Option<Id>,
    to: Option<Id>,
    what: Segment,
}

/// What happens inside the network.
#[derive(Debug)]
pub enum Inside {
    Arrives(Packet),
    SynAgain(Id),
    OrphanGone(Id),
    /// The system finds out that the other end is not there, if so.
    Probe(Id),
    /// The system gives a connection up.
    Dies(Id),
}

/// What the network is like between two hosts, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Path {
    pub delay: u64,
    pub jitter: u64,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Taken;

pub struct Network {
    pub now: Moment,
    pub rng: Rng,
    pub sockets: Vec<Socket>,
    pub path: Path,
    /// Of a hundred SYNs, how many are lost.
    pub loss: u8,
    /// Bytes that a connection takes before its other end reads.
    pub window: usize,
    pub simultaneous: u32,
    pub lost: u32,
    /// What daemons said from a moment on: when, and how many bytes over which socket.
    pub talk: Vec<(Moment, Id, usize)>,
    pub listens_from: Moment,
    /// Whether all that happens is told.
    pub verbose: bool,
    queue: BTreeMap<(Moment, u64), Event>,
    scheduled: u64,
    table: HashMap<(SocketAddr, SocketAddr), Id>,
    hosts: HashMap<std::net::IpAddr, HostId>,
    listening: HashSet<SocketAddr>,
    /// Hosts of which nothing comes back.
    silent: HashSet<HostId>,
    cuts: HashMap<(HostId, HostId, bool), Moment>,
    ephemeral: u16,
}

impl Socket {
    pub fn has_input(&self) -> bool {
        !self.input.is_empty()
    }
}

impl Network {
    pub fn new(rng: Rng, path: Path, loss: u8, window: usize) -> Network {
        Network {
            now: Moment::from_millis(0),
            rng,
            sockets: Vec::new(),
            path,
            loss,
            window,
            simultaneous: 0,
            lost: 0,
            talk: Vec::new(),
            listens_from: Moment::NEVER,
            verbose: false,
            queue: BTreeMap::new(),
            scheduled: 0,
            table: HashMap::new(),
            hosts: HashMap::new(),
            listening: HashSet::new(),
            silent: HashSet::new(),
            cuts: HashMap::new(),
            ephemeral: 49_152,
        }
    }

    pub fn schedule(&mut self, at: Moment, event: Event) {
        self.scheduled += 1;
        self.queue.insert((at.max(self.now), self.scheduled), event);
    }

    /// Takes down that a daemon said so many bytes.
    pub fn note(&mut self, id: Id, bytes: usize) {
        if bytes > 0 && self.now >= self.listens_from {
            self.talk.push((self.now, id, bytes));
        }
    }

    /// Within `millis` at random.
    pub fn soon(&mut self, millis: u64, event: Event) {
        let wait = self.rng.u64(0..=millis);
        self.schedule(self.now.after(Duration::from_millis(wait)), event);
    }

    pub fn next(&mut self, end: Moment) -> Option<Event> {
        let (at, _) = *self.queue.first_key_value()?.0;
        if at > end {
            self.now = end;
            return None;
        }
        self.now = at;
        self.queue.pop_first().map(|(_, event)| event)
    }

    /// Says whose these addresses are.
    pub fn place(&mut self, host: HostId, addresses: &[SocketAddr]) {
        self.hosts.extend(addresses.iter().map(|address| (address.ip(), host)));
    }

    pub fn listen(&mut self, host: HostId, addresses: &[SocketAddr]) {
        self.silent.remove(&host);
        self.listening.extend(addresses);
    }

    /// All of a host's connections vanish.
    pub fn vanish(&mut self, host: HostId, silent: bool) {
        let hosts = &self.hosts;
        self.listening.retain(|address| hosts.get(&address.ip()) != Some(&host));
        if silent {
            self.silent.insert(host);
        }
        for id in 0..self.sockets.len() {
            if self.sockets[id].host == host && self.sockets[id].state != State::Gone {
                let other = self.sockets[id].other;
                self.remove(id);
                if let Some(other) = other {
                    self.soon(40_000, Event::Inside(Inside::Probe(other)));
                }
            }
        }
    }

    /// Nothing passes between two hosts until `until`; a connection either goes on then, or is given up.
    pub fn cut(&mut self, (a, b): (HostId, HostId), v4: bool, until: Moment) {
        self.cuts.insert((a.min(b), a.max(b), v4), until);
        for id in 0..self.sockets.len() {
            let Some(other) = self.sockets[id].other else { continue };
            let (own, far) = (&self.sockets[id], &self.sockets[other]);
            let meant = own.host == a && far.host == b && own.state == State::Open && own.local.is_ipv4() == v4;
            if meant && self.rng.bool() {
                self.soon(40_000, Event::Inside(Inside::Dies(id)));
                self.soon(40_000, Event::Inside(Inside::Dies(other)));
            }
        }
    }

    pub fn dial(&mut self, host: HostId, from: SocketAddr, any_port: bool, to: SocketAddr) -> Result<Id, Taken> {
        let mut local = from;
        if any_port {
            self.ephemeral += 1;
            local.set_port(self.ephemeral);
        }
        if self.table.contains_key(&(local, to)) {
            return Err(Taken);
        }
        let id = self.add(host, local, to, State::Dialling);
        self.send(id, None, Segment::Syn);
        self.send_again(id);
        Ok(id)
    }

    /// Has the first segment sent again and again, until it is answered.
    fn send_again(&mut self, id: Id) {
        for again in [1, 3, 7] {
            let at = self.now.after(Duration::from_secs(again));
            self.schedule(at, Event::Inside(Inside::SynAgain(id)));
        }
    }

    fn add(&mut self, host: HostId, local: SocketAddr, remote: SocketAddr, state: State) -> Id {
        let id = self.sockets.len();
        self.sockets.push(Socket {
            host,
            local,
            remote,
            state,
            dialled: state == State::Dialling,
            other: None,
            failure: None,
            opened: self.now,
            input: Vec::new(),
            read: 0,
            fin: false,
            fin_sent: false,
            fin_acked: false,
            under_way: 0,
            arrives: self.now,
            awake: false,
        });
        self.table.insert((local, remote), id);
        id
    }

    fn remove(&mut self, id: Id) {
        let socket = &mut self.sockets[id];
        socket.state = State::Gone;
        if self.table.get(&(socket.local, socket.remote)) == Some(&id) {
            self.table.remove(&(socket.local, socket.remote));
        }
    }

    fn fail(&mut self, id: Id, failure: Failure) {
        if self.sockets[id].state != State::Gone {
            self.remove(id);
            self.sockets[id].failure = Some(failure);
            self.wake(id);
        }
    }

    /// Has the socket's owner look at it, soon.
    pub fn wake(&mut self, id: Id) {
        if !std::mem::replace(&mut self.sockets[id].awake, true) {
            self.soon(2, Event::Wake(id));
        }
    }

    pub fn awoken(&mut self, id: Id) {
        self.sockets[id].awake = false;
    }

    /// How many more bytes it takes.
    pub fn room(&self, id: Id) -> usize {
        self.window.saturating_sub(self.sockets[id].under_way)
    }

    pub fn write(&mut self, id: Id, bytes: &[u8]) -> usize {
        if self.sockets[id].state != State::Open {
            return bytes.len(); // nobody is told before the next read
        }
        let taken = bytes.len().min(self.room(id));
        self.sockets[id].under_way += taken;
        let mut rest = &bytes[..taken];
        while !rest.is_empty() {
            let len = if self.rng.u8(..) < 150 { rest.len() } else { self.rng.usize(rest.len() / 4..rest.len()) + 1 };
            let (chunk, others) = rest.split_at(len);
            self.send(id, self.sockets[id].other, Segment::Data(chunk.to_vec()));
            rest = others;
        }
        taken
    }

    pub fn read(&mut self, id: Id, len: usize) -> Vec<u8> {
        let socket = &mut self.sockets[id];
        let len = len.min(socket.input.len() - socket.read);
        let bytes = socket.input[socket.read..][..len].to_vec();
        socket.read += len;
        if socket.read == socket.input.len() {
            (socket.input, socket.read) = (Vec::new(), 0);
        }
        if let Some(other) = socket.other {
            let was_full = self.room(other) == 0;
            self.sockets[other].under_way -= len.min(self.sockets[other].under_way);
            if was_full {
                let wait = self.delay();
                let awake = std::mem::replace(&mut self.sockets[other].awake, true);
                if !awake {
                    self.schedule(self.now.after(wait), Event::Wake(other));
                }
            }
        }
        bytes
    }

    pub fn shut_down(&mut self, id: Id) {
        if self.sockets[id].state == State::Open && !std::mem::replace(&mut self.sockets[id].fin_sent, true) {
            self.send(id, self.sockets[id].other, Segment::Fin);
        }
    }

    pub fn close(&mut self, id: Id, reset: bool) {
        match self.sockets[id].state {
            State::Gone | State::Orphan => {}
            State::Open if !reset && !self.sockets[id].has_input() => {
                self.shut_down(id);
                self.sockets[id].state = State::Orphan;
                self.end_orphan(id);
                self.schedule(self.now.after(ORPHAN), Event::Inside(Inside::OrphanGone(id)));
            }
            State::Dialling | State::Crossed => self.remove(id),
            State::Open | State::HalfOpen => {
                self.send(id, self.sockets[id].other, Segment::Rst);
                self.remove(id);
            }
        }
    }

    fn end_orphan(&mut self, id: Id) {
        let socket = &self.sockets[id];
        if socket.state == State::Orphan && socket.fin && socket.fin_acked {
            self.remove(id);
        }
    }

    fn delay(&mut self) -> Duration {
        Duration::from_millis(self.path.delay + self.rng.u64(0..=self.path.jitter))
    }

    fn send(&mut self, id: Id, to: Option<Id>, what: Segment) {
        let (src, dst) = (self.sockets[id].local, self.sockets[id].remote);
        self.pass(Packet { src, dst, from: Some(id), to, what });
    }

    /// Answers a packet for which there is no socket, or not the right one.
    fn refuse(&mut self, packet: &Packet) {
        self.pass(Packet { src: packet.dst, dst: packet.src, from: None, to: packet.from, what: Segment::Rst });
    }

    fn pass(&mut self, packet: Packet) {
        let ends = [packet.src, packet.dst].map(|end| self.hosts[&end.ip()]);
        let path = (ends[0].min(ends[1]), ends[0].max(ends[1]), packet.src.is_ipv4());
        let mut at = self.now.after(self.delay());
        if let Some(until) = self.cuts.get(&path).copied().filter(|until| *until > self.now) {
            if !matches!(packet.what, Segment::Data(_) | Segment::Fin | Segment::FinAck) {
                self.lost += 1;
                return;
            }
            // it is sent again and again
            at = until.after(Duration::from_millis(self.rng.u64(0..2_000)));
        }
        if matches!(packet.what, Segment::Syn | Segment::SynAck) && self.rng.u8(0..100) < self.loss {
            self.lost += 1;
            return;
        }
        if let Some(from) = packet.from {
            at = at.max(self.sockets[from].arrives);
            self.sockets[from].arrives = at;
        }
        self.schedule(at, Event::Inside(Inside::Arrives(packet)));
    }

    pub fn handle(&mut self, inside: Inside) {
        match inside {
            Inside::Arrives(packet) => self.arrive(packet),
            Inside::SynAgain(id) => match self.sockets[id].state {
                State::Dialling => self.send(id, None, Segment::Syn),
                State::Crossed | State::HalfOpen => self.send(id, self.sockets[id].other, Segment::SynAck),
                _ => {}
            },
            Inside::OrphanGone(id) => self.remove(id),
            Inside::Probe(id) => {
                let other = self.sockets[id].other;
                if other.is_some_and(|other| self.sockets[other].state == State::Gone) {
                    self.fail(id, Failure::Vanished);
                }
            }
            Inside::Dies(id) => self.fail(id, Failure::Vanished),
        }
    }

    fn arrive(&mut self, packet: Packet) {
        if self.silent.contains(&self.hosts[&packet.dst.ip()]) {
            return;
        }
        if self.verbose && !matches!(packet.what, Segment::Ack | Segment::FinAck) {
            let what = match &packet.what {
                Segment::Data(bytes) => format!("\"{}\"", bytes.get(..90).unwrap_or(bytes).escape_ascii()),
                other => format!("{other:?}"),
            };
            let Packet { src, dst, from, to, .. } = &packet;
            eprintln!("{:>8} {src} -> {dst} {what} ({from:?} -> {to:?})", self.now.as_millis());
        }
        let Some(to) = packet.to else { return self.arrive_syn(&packet) };
        let state = self.sockets[to].state;
        match (packet.what.clone(), state) {
            (Segment::Rst, State::Dialling | State::Crossed) => self.fail(to, Failure::Refused),
            (Segment::Rst, State::HalfOpen | State::Orphan) => self.remove(to),
            (Segment::Rst, _) => self.fail(to, Failure::Reset),
            (Segment::Challenge, State::Dialling | State::Crossed | State::Gone) => self.refuse(&packet),
            (Segment::Challenge | Segment::Ack, State::Open | State::Orphan) => {}
            (Segment::SynAck, State::Dialling) => {
                self.sockets[to].other = packet.from;
                self.open(to);
                self.send(to, packet.from, Segment::Ack);
            }
            (Segment::SynAck, State::Open | State::Orphan) => self.send(to, packet.from, Segment::Ack),
            (_, State::Gone | State::Dialling) => self.refuse(&packet),
            (_, _) if self.sockets[to].other != packet.from => self.refuse(&packet),
            (what, State::HalfOpen | State::Crossed) => {
                self.open(to);
                if !matches!(what, Segment::Ack | Segment::SynAck) {
                    self.arrive(packet);
                }
            }
            (Segment::Data(bytes), State::Open) => {
                self.sockets[to].input.extend_from_slice(&bytes);
                self.wake(to);
            }
            (Segment::Data(_), State::Orphan) => {
                self.refuse(&packet);
                self.remove(to);
            }
            (Segment::Fin, _) => {
                self.sockets[to].fin = true;
                self.send(to, packet.from, Segment::FinAck);
                self.wake(to);
                self.end_orphan(to);
            }
            (Segment::FinAck, _) => {
                self.sockets[to].fin_acked = true;
                self.end_orphan(to);
            }
            (Segment::Syn, _) => {}
        }
    }

    fn arrive_syn(&mut self, packet: &Packet) {
        match self.table.get(&(packet.dst, packet.src)).copied() {
            Some(id) => match self.sockets[id].state {
                State::Dialling | State::Crossed => {
                    self.sockets[id].state = State::Crossed;
                    self.sockets[id].other = packet.from;
                    self.send(id, packet.from, Segment::SynAck);
                }
                State::HalfOpen => {
                    self.sockets[id].other = packet.from;
                    self.send(id, packet.from, Segment::SynAck);
                }
                _ => self.send(id, packet.from, Segment::Challenge),
            },
            None if self.listening.contains(&packet.dst) => {
                let host = self.hosts[&packet.dst.ip()];
                let id = self.add(host, packet.dst, packet.src, State::HalfOpen);
                self.sockets[id].other = packet.from;
                self.send(id, packet.from, Segment::SynAck);
                self.send_again(id);
            }
            None => self.refuse(packet),
        }
    }

    fn open(&mut self, id: Id) {
        match std::mem::replace(&mut self.sockets[id].state, State::Open) {
            State::HalfOpen => self.soon(20, Event::Accepted(id)),
            before => {
                self.simultaneous += u32::from(before == State::Crossed);
                self.wake(id);
            }
        }
    }
}
