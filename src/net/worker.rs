//! A worker: one epoll, one table of connections, one read buffer, one loop.
//!
//! Other workers, signals and where settings came from are not known here.
//!
//! Readiness is level-triggered: what a read leaves in the socket is reported again, so one read
//! per report is enough, neither a FIN that came with the data nor an urgent byte that cut a read
//! short can be missed, and a connection uses at most one read buffer of each turn.

use super::admission::Admission;
use super::mailbox::{Mailbox, Post};
use super::plain;
use super::pulse::Pulse;
use super::stream::{Outcome, Peer, Stream};
use crate::deadlines::{Clock, Deadlines, Moment};
use crate::metrics::Counters;
use crate::session::{Action, Desk, EndReason, Service, Session};
use crate::transform::Context;
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use slab::Slab;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// How many messages may wait for a worker.
const MAILBOX: usize = 1024;
/// How many reports a turn takes from epoll; enough that a light connection is not left out.
const EVENTS: usize = 1024;
/// The mailbox's token; a connection's is its generation and its key.
const MAIL: u64 = u64::MAX;

/// What a worker is told.
#[derive(Debug)]
pub enum ToWorker {
    /// Serve this connection.
    Connection(Arrival),
    /// Serve each connection until it was quiet for a while, then end.
    Drain(Drain),
    /// Close everything now, and end.
    Stop,
}

/// A connection on its way from the acceptor to a worker; its place is taken.
#[derive(Debug)]
pub struct Arrival {
    /// The connected, non-blocking socket.
    pub socket: OwnedFd,
    /// Who is at its other end.
    pub peer: Peer,
    /// How it is served.
    pub service: Arc<Service>,
    /// What its steps may say of it, where they ask for it.
    pub context: Option<Box<Context>>,
}

/// How a stop goes: each open connection is served until its end or until it was quiet for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drain {
    /// How long a connection must be quiet before a stop closes it.
    pub idle: Duration,
    /// Over how long the closing of quiet connections is spread.
    pub spread: Duration,
    /// When a stop gives up on those that are still busy.
    pub timeout: Duration,
}

impl Default for Drain {
    fn default() -> Self {
        Drain { idle: Duration::from_secs(1), spread: Duration::from_secs(1), timeout: Duration::from_secs(30) }
    }
}

/// What others know of a worker.
#[derive(Debug, Clone)]
pub struct Handle {
    /// Where its messages go.
    pub post: Post<ToWorker>,
    /// What it counts.
    pub counters: Arc<Counters>,
    /// Whether it turns.
    pub pulse: Arc<Pulse>,
    /// How many connections it has, with those in its mailbox.
    pub load: Arc<AtomicUsize>,
}

/// An event-loop thread's whole state.
#[derive(Debug)]
pub struct Worker {
    epoll: OwnedFd,
    mailbox: Mailbox<ToWorker>,
    handle: Handle,
    admission: Arc<Admission>,
    clock: Clock,
    now: Moment,
    table: Slab<Connection>,
    generation: u32,
    deadlines: Deadlines,
    input: Vec<u8>,
    desk: Desk,
    ending: Option<Moment>,
}

#[derive(Debug)]
struct Connection {
    stream: Stream,
    session: Session,
    peer: Peer,
    generation: u32,
    /// What epoll is asked to report.
    waits_to_write: bool,
    /// The deadline that is set; it may come before the session's own, never after it.
    deadline: Moment,
}

impl Worker {
    /// A worker whose reads ask for at most `read_max` bytes.
    ///
    /// # Errors
    ///
    /// When the system has no more descriptors.
    pub fn new(read_max: usize, admission: Arc<Admission>, clock: Clock) -> io::Result<Worker> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let (post, mailbox) = Mailbox::new(MAILBOX)?;
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(&epoll, &mailbox, epoll::EventData::new_u64(MAIL), flags)?;
        let handle = Handle { post, counters: Arc::default(), pulse: Arc::default(), load: Arc::default() };
        Ok(Worker {
            epoll,
            mailbox,
            handle,
            admission,
            clock,
            now: clock.moment(Instant::now()),
            table: Slab::new(),
            generation: 0,
            deadlines: Deadlines::default(),
            input: vec![0; read_max],
            desk: Desk::default(),
            ending: None,
        })
    }

    /// What others need to know of it.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Serves until it was told to end and its last connection has.
    ///
    /// # Errors
    ///
    /// When epoll fails, which is a fault of shoutd's own.
    pub fn run(mut self) -> io::Result<()> {
        let mut events = Vec::with_capacity(EVENTS);
        while self.ending.is_none() || !self.table.is_empty() {
            let sleep = self.mailbox.fall_asleep();
            let timeout = if sleep { self.patience() } else { Some(Timespec::default()) };
            events.clear();
            let waited = epoll::wait(&self.epoll, spare_capacity(&mut events), timeout.as_ref());
            self.mailbox.wake_up();
            self.now = self.clock.moment(Instant::now());
            self.handle.pulse.answer();
            match waited {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
            self.handle_mail();
            for event in &events {
                self.handle_event(event.data.u64());
            }
            self.handle_deadlines();
        }
        Ok(())
    }

    /// How long epoll may wait.
    fn patience(&self) -> Option<Timespec> {
        let next = self.deadlines.next().into_iter().chain(self.ending).min()?;
        Timespec::try_from(next.since(self.now)).ok()
    }

    fn handle_mail(&mut self) {
        let mail: Vec<ToWorker> = self.mailbox.messages().collect();
        for message in mail {
            match message {
                ToWorker::Connection(arrival) => self.welcome(arrival),
                ToWorker::Drain(drain) => self.begin_drain(&drain),
                ToWorker::Stop => {
                    self.ending = Some(self.now);
                    self.stop_all(EndReason::Stopped);
                }
            }
        }
    }

    fn welcome(&mut self, arrival: Arrival) {
        self.generation = self.generation.wrapping_add(1);
        let mut session = Session::new(arrival.service, arrival.context, self.now);
        let stream = Stream::new(arrival.socket);
        let key = self.table.vacant_key();
        let data = epoll::EventData::new_u64(token(key, self.generation));
        if let Err(errno) = epoll::add(&self.epoll, &stream, data, epoll::EventFlags::IN) {
            log::warn!("cannot watch a new connection: {}", plain(errno));
            session.handle_failure(EndReason::SocketError);
        }
        self.handle.counters.accepted.add(1);
        self.table.insert(Connection {
            stream,
            session,
            peer: arrival.peer,
            generation: self.generation,
            waits_to_write: false,
            deadline: Moment::NEVER,
        });
        self.settle(key);
    }

    fn handle_event(&mut self, token: u64) {
        let Some((key, generation)) = untoken(token) else { return };
        // a report may come for a connection that an earlier one of the same turn has closed
        let Some(connection) = self.table.get_mut(key).filter(|c| c.generation == generation) else { return };
        match connection.session.poll_action() {
            Action::Read => {
                let len = connection.session.read_size();
                let buffer = self.input.get_mut(..len).unwrap_or_default();
                match connection.stream.read(buffer) {
                    Outcome::Moved(n) => {
                        self.handle.counters.bytes_in.add(n as u64);
                        let input = buffer.get_mut(..n).unwrap_or_default();
                        let answer = connection.session.handle_input(input, &mut self.desk, self.now);
                        answer_with(&connection.stream, &mut connection.session, answer, &self.handle.counters);
                    }
                    Outcome::Ended => {
                        let answer = connection.session.handle_end_of_input(&mut self.desk, self.now);
                        answer_with(&connection.stream, &mut connection.session, answer, &self.handle.counters);
                    }
                    Outcome::NotNow => {}
                    Outcome::Failed(reason) => connection.session.handle_failure(reason),
                }
            }
            Action::Write => match connection.stream.write(connection.session.unsent()) {
                Outcome::Moved(n) => {
                    self.handle.counters.bytes_out.add(n as u64);
                    connection.session.handle_written(n, self.now);
                }
                Outcome::NotNow | Outcome::Ended => {}
                Outcome::Failed(reason) => connection.session.handle_failure(reason),
            },
            Action::ShutDown | Action::Close { .. } => {}
        }
        self.settle(key);
    }

    fn handle_deadlines(&mut self) {
        if self.ending.is_some_and(|deadline| deadline <= self.now) {
            self.stop_all(EndReason::DrainDeadline);
        }
        while let Some(key) = self.deadlines.pop(self.now) {
            let key = key as usize;
            let Some(connection) = self.table.get_mut(key) else { continue };
            connection.deadline = Moment::NEVER;
            let answer = connection.session.handle_timeout(&mut self.desk, self.now);
            answer_with(&connection.stream, &mut connection.session, answer, &self.handle.counters);
            self.settle(key);
        }
    }

    /// Does what the session wants next: asks epoll for it, or closes.
    fn settle(&mut self, key: usize) {
        let Some(connection) = self.table.get_mut(key) else { return };
        let mut action = connection.session.poll_action();
        if action == Action::ShutDown {
            connection.stream.shut_down();
            connection.session.handle_shut_down(self.now);
            action = connection.session.poll_action();
        }
        if let Action::Close { reset } = action {
            return self.close(key, reset);
        }
        let waits_to_write = action == Action::Write;
        if waits_to_write != connection.waits_to_write {
            let flags = if waits_to_write { epoll::EventFlags::OUT } else { epoll::EventFlags::IN };
            let data = epoll::EventData::new_u64(token(key, connection.generation));
            if let Err(errno) = epoll::modify(&self.epoll, &connection.stream, data, flags) {
                log::warn!("cannot watch a connection: {}", plain(errno));
                connection.session.handle_failure(EndReason::SocketError);
                return self.close(key, true);
            }
            connection.waits_to_write = waits_to_write;
        }
        // a deadline that has moved away is left where it is, and looked at when it comes
        let due = connection.session.poll_timeout();
        if due < connection.deadline
            && let Ok(key) = u32::try_from(key)
        {
            self.deadlines.set(key, connection.deadline, due);
            connection.deadline = due;
        }
    }

    fn close(&mut self, key: usize, reset: bool) {
        let Some(connection) = self.table.try_remove(key) else { return };
        if let Ok(key) = u32::try_from(key) {
            self.deadlines.set(key, connection.deadline, Moment::NEVER);
        }
        if reset {
            connection.stream.reset_on_close();
        }
        let reason = connection.session.end_reason().unwrap_or(EndReason::SocketError);
        if let Some(counter) = self.handle.counters.closed.get(reason as usize) {
            counter.add(1);
        }
        log_end(&connection, reason, self.now);
        // the descriptor is free before its place is
        drop(connection);
        self.handle.load.fetch_sub(1, Relaxed);
        self.admission.leave();
    }

    fn begin_drain(&mut self, drain: &Drain) {
        self.ending = Some(self.now.after(drain.timeout));
        let keys: Vec<usize> = self.table.iter().map(|(key, _)| key).collect();
        let count = u32::try_from(keys.len()).unwrap_or(u32::MAX).max(1);
        for (nth, key) in (0u32..).zip(keys) {
            let from = self.now.after(drain.spread / count * nth);
            if let Some(connection) = self.table.get_mut(key) {
                connection.session.handle_drain(from, drain.idle);
            }
            self.settle(key);
        }
    }

    fn stop_all(&mut self, reason: EndReason) {
        let keys: Vec<usize> = self.table.iter().map(|(key, _)| key).collect();
        for key in keys {
            if let Some(connection) = self.table.get_mut(key) {
                connection.session.handle_stop(reason);
            }
            self.settle(key);
        }
    }
}

/// Writes `answer` straight from the buffer it lies in; the session keeps what the socket refuses.
fn answer_with(stream: &Stream, session: &mut Session, answer: &[u8], counters: &Counters) {
    if answer.is_empty() {
        return;
    }
    match stream.write(answer) {
        Outcome::Moved(n) => {
            counters.bytes_out.add(n as u64);
            session.handle_answered(answer, n);
        }
        Outcome::NotNow | Outcome::Ended => session.handle_answered(answer, 0),
        Outcome::Failed(reason) => session.handle_failure(reason),
    }
}

fn log_end(connection: &Connection, reason: EndReason, now: Moment) {
    let level = if reason.is_ordinary() { log::Level::Debug } else { log::Level::Info };
    let session = &connection.session;
    log::log!(
        level,
        "{reason} peer={peer} listener={listener} in={received} out={sent} seconds={seconds:.3}",
        reason = reason.word(),
        peer = connection.peer,
        listener = session.service().name,
        received = session.received(),
        sent = session.sent(),
        seconds = now.since(session.opened()).as_secs_f64(),
    );
}

fn token(key: usize, generation: u32) -> u64 {
    u64::from(generation) << 32 | (key as u64 & u64::from(u32::MAX))
}

fn untoken(token: u64) -> Option<(usize, u32)> {
    let key = usize::try_from(token & u64::from(u32::MAX)).ok()?;
    let generation = u32::try_from(token >> 32).ok()?;
    (token != MAIL).then_some((key, generation))
}
