//! A worker: one epoll, one table of connections, one read buffer, one loop.
//!
//! Other workers, signals and where settings came from are not known here.
//!
//! Readiness is level-triggered: what a read leaves in the socket is reported again, so one read
//! per report is enough, neither a FIN that came with the data nor an urgent byte that cut a read
//! short can be missed, and a connection uses at most one read buffer of each turn.

mod connection;
mod errands;
mod gaps;
mod link_end;
mod obeying;
mod overdue;
mod reading;
mod recovery;

use crate::deadlines::{Deadlines, Moment};
use crate::metrics::Counter;
use crate::net::acceptor::Door;
use crate::net::access::{Access, Records};
use crate::net::admission::Admission;
use crate::net::entrance::Refusal;
use crate::net::errands::Errand;
use crate::net::links::{Linkage, Told};
use crate::net::mailbox::{Mailbox, Post};
use crate::net::orders::Orders;
use crate::net::plain;
use crate::net::poll::{Interest, Poll};
use crate::net::pulse::Pulse;
use crate::net::stopwatch::Stopwatch;
use crate::net::stream::{Outcome, Peer, Stream};
use crate::net::system::{Socket, System};
use crate::session::{Action, Desk, EndReason, Service, Session};
use crate::sources::Visit;
use crate::transform::Context;
use connection::{Beside, Connection, key_of, token};
use gaps::Gaps;
use link_end::LinkEnd;
use reading::Read;
use slab::Slab;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// How many connections may wait for a worker.
const MAILBOX: usize = 1024;
/// How many errands may.
const ERRANDS: usize = 64;
/// For how many connections, at most, there is room from the start: what has to move as it grows is left behind,
/// used, while what is reserved costs nothing.
const ROOM: usize = 64 * 1024;

/// A connection on its way from the acceptor to a worker; its place is taken.
#[derive(Debug)]
pub struct Arrival<C = Stream> {
    /// Its number, from 1: how many were accepted before it, and itself.
    pub id: u64,
    /// The connection.
    pub stream: C,
    /// Who is at its other end.
    pub peer: Peer,
    /// How it is served.
    pub service: Arc<Service>,
    /// What its steps may say of it, where they ask for it.
    pub context: Option<Box<Context>>,
    /// That it is a link, if it is.
    pub link: Option<Box<Linkage>>,
    /// That it is counted among those of its source, where these are.
    pub visit: Option<Box<Visit>>,
    /// Why it is not served, if it is not; its place is one beside the others.
    pub refusal: Option<Box<Refusal>>,
}

impl Arrival {
    /// Takes that its listener is `door` now.
    pub fn renew(&mut self, door: &Door) {
        self.service = self.service.renewed(&door.service);
        if self.context.is_none() && self.service.wants_context() {
            self.context = Some(Box::new(self.stream.context(&self.peer, &self.service.name, self.id)));
        }
    }
}

/// What others know of a worker.
#[derive(Debug)]
pub struct Handle<C = Stream> {
    /// Where its connections go.
    pub post: Post<Arrival<C>>,
    /// Where errands for it are left.
    pub errands: Post<Errand>,
    /// How many connections it has taken over.
    pub accepted: Arc<Counter>,
    /// How often it panicked.
    pub panics: Arc<Counter>,
    /// Whether it turns.
    pub pulse: Arc<Pulse>,
    /// How many connections it has, with those in its mailbox.
    pub load: Arc<AtomicUsize>,
}

impl<C> Clone for Handle<C> {
    fn clone(&self) -> Self {
        Handle {
            post: self.post.clone(),
            errands: self.errands.clone(),
            accepted: Arc::clone(&self.accepted),
            panics: Arc::clone(&self.panics),
            pulse: Arc::clone(&self.pulse),
            load: Arc::clone(&self.load),
        }
    }
}

/// An event-loop thread's whole state.
#[derive(Debug)]
pub struct Worker<S: System = Poll> {
    poll: S,
    /// Its number, from 0.
    number: usize,
    mailbox: Mailbox<Arrival<S::Stream>>,
    errands: Mailbox<Errand>,
    handle: Handle<S::Stream>,
    admission: Arc<Admission>,
    orders: Arc<Orders>,
    /// The last orders for how to serve that were carried out.
    obeyed: u64,
    table: Slab<Connection<S::Stream>>,
    /// When each connection wants to be looked at, or sooner, never later.
    deadlines: Deadlines,
    input: Vec<u8>,
    /// What was read into it and is to be answered.
    reads: Vec<Read>,
    desk: Desk,
    draining: bool,
    gaps: Gaps,
    records: Records,
    stopwatch: Stopwatch,
    /// Where it is told of links.
    links: Post<Told>,
}

impl<S: System> Worker<S> {
    /// The worker with this number, from 0, which sleeps in `poll`, and whose reads ask for at most `read_max`
    /// bytes.
    #[must_use]
    pub fn new(
        poll: S,
        number: usize,
        read_max: usize,
        admission: Arc<Admission>,
        orders: Arc<Orders>,
        access: Arc<Access>,
        links: Post<Told>,
    ) -> Worker<S> {
        let (post, mailbox) = Mailbox::new(MAILBOX, Arc::clone(poll.bell()));
        let (leave, errands) = Mailbox::new(ERRANDS, Arc::clone(poll.bell()));
        let pulse = Arc::clone(poll.pulse());
        Worker {
            poll,
            number,
            mailbox,
            errands,
            handle: Handle {
                post,
                errands: leave,
                accepted: Arc::default(),
                panics: Arc::default(),
                pulse,
                load: Arc::default(),
            },
            obeyed: orders.generation(),
            orders,
            table: Slab::with_capacity(admission.max().min(ROOM)),
            deadlines: Deadlines::with_capacity(admission.max().min(ROOM)),
            admission,
            input: vec![0; read_max],
            reads: Vec::new(),
            desk: Desk::new(number),
            draining: false,
            gaps: Gaps::default(),
            records: Records::new(access),
            stopwatch: Stopwatch::default(),
            links,
        }
    }

    /// What others need to know of it.
    #[must_use]
    pub fn handle(&self) -> Handle<S::Stream> {
        self.handle.clone()
    }

    /// Serves until it is told to stop, or nobody comes any more and its last connection has ended.
    ///
    /// # Errors
    ///
    /// When epoll fails, which is a fault of shoutd's own.
    pub fn run(&mut self) -> io::Result<()> {
        while self.turn()? {}
        Ok(())
    }

    /// Sleeps until there is something to do, and does it; `false` when there is nothing more to come.
    ///
    /// # Errors
    ///
    /// When epoll fails, which is a fault of shoutd's own.
    pub fn turn(&mut self) -> io::Result<bool> {
        let give_up = self.orders.draining().map(|(_, deadline)| *deadline);
        let due = self.deadlines.next();
        self.poll.turn(due.into_iter().chain(give_up).min())?;
        let stood_still = self.gaps.is_after_one(due, self.poll.now());
        if self.orders.is_stop() {
            for arrival in self.mailbox.messages() {
                self.welcome(arrival);
            }
            self.end_all(EndReason::Stopped);
            return Ok(false);
        }
        failpoint!("turn");
        // looked at before the mailbox: what was posted before it was said is there then
        let (nobody_comes, generation) = (self.orders.does_nobody_come(), self.orders.generation());
        for arrival in self.mailbox.messages() {
            self.welcome(arrival);
        }
        if generation != self.obeyed {
            self.obeyed = generation;
            self.renew_all();
        }
        self.obey_drain();
        for errand in self.errands.messages() {
            self.run_errand(errand);
        }
        self.handle_events();
        self.handle_deadlines(stood_still);
        Ok(!(nobody_comes && self.mailbox.is_empty() && self.table.is_empty()))
    }

    /// Makes room for the reads of connections that are served so; there is never less, as others may
    /// still be served as before.
    fn make_room(&mut self, service: &Service) {
        let len = self.input.len().max(service.limits.buffer_size_max);
        self.input.resize(len, 0);
    }

    /// How an arrival is served. Who dials may know of other settings later than this worker, and the
    /// acceptor before it.
    fn service_of(&self, arrival: &Arrival<S::Stream>) -> Arc<Service> {
        let old = &arrival.service;
        if arrival.link.as_ref().is_some_and(|link| link.is_dialled())
            && let Some(new) = self.orders.services().iter().find(|service| service.name == old.name)
        {
            return old.renewed(new);
        }
        Arc::clone(old)
    }

    fn welcome(&mut self, arrival: Arrival<S::Stream>) {
        let now = self.poll.now();
        let service = self.service_of(&arrival);
        // the acceptor may know of other settings before this worker does
        self.make_room(&service);
        let mut session = Session::new(service, arrival.context, now);
        self.records.start(arrival.id, &arrival.peer, &session);
        if let Some((drain, _)) = self.orders.draining() {
            session.handle_drain(now, drain.idle);
        }
        session.service().tally.of(self.number).accepted.add(1);
        self.handle.accepted.add(1);
        let beside = Beside {
            link: arrival.link.map(|linkage| LinkEnd::begin(*linkage, &mut session, now)),
            visit: arrival.visit,
            is_aside: arrival.refusal.is_some(),
        };
        if let Some(visit) = &beside.visit
            && session.service().limits.rates.are_shared()
        {
            session.handle_source(Arc::clone(visit.shared()), &self.desk, now);
        }
        // before more is done for it, so that a panic ends it as it does the others
        let key = self.table.insert(Connection {
            id: arrival.id,
            stream: arrival.stream,
            session,
            peer: arrival.peer,
            interest: Interest::Read,
            beside: beside.is_any().then(|| Box::new(beside)),
        });
        failpoint!("welcome");
        let Some(Connection { stream, session, .. }) = self.table.get_mut(key) else { return };
        if let Err(errno) = self.poll.add(stream, token(key, arrival.id), Interest::Read) {
            log::warn!("cannot watch a new connection: {}", plain(errno));
            session.handle_failure(EndReason::SocketError);
        }
        if let Some(refusal) = &arrival.refusal {
            session.handle_refusal(refusal.reason);
            answer_with(stream, session, format!("shoutd: {}\n", refusal.line).as_bytes(), self.number);
        }
        let greeting = session.handle_opened(&mut self.desk, now);
        answer_with(stream, session, greeting, self.number);
        self.tell_linked(key);
        self.settle(key);
    }

    /// Does what the session wants next: asks epoll for it, or closes.
    fn settle(&mut self, key: usize) {
        let now = self.poll.now();
        let Some(connection) = self.table.get_mut(key) else { return };
        if let Some(beside) = &mut connection.beside {
            beside.heed(&mut connection.session, connection.id, now);
        }
        let mut action = connection.session.poll_action();
        if action == Action::ShutDown {
            connection.stream.shut_down();
            connection.session.handle_shut_down(now);
            action = connection.session.poll_action();
        }
        if let Action::Close { reset } = action {
            return self.close(key, reset);
        }
        let interest = match action {
            Action::Write | Action::Answer => Interest::Write,
            Action::Wait => Interest::Nothing,
            _ => Interest::Read,
        };
        if interest != connection.interest {
            if let Err(errno) = self.poll.modify(&connection.stream, token(key, connection.id), interest) {
                log::warn!("cannot watch a connection: {}", plain(errno));
                connection.session.handle_failure(EndReason::SocketError);
                return self.close(key, true);
            }
            connection.interest = interest;
        }
        // a deadline that has moved away is left where it is, and looked at when it comes
        let due = connection.session.poll_timeout();
        if let Ok(key) = u32::try_from(key)
            && due < self.deadlines.of(key)
        {
            self.deadlines.set(key, due);
        }
    }

    fn close(&mut self, key: usize, reset: bool) {
        let Some(connection) = self.table.try_remove(key) else { return };
        if let Ok(key) = u32::try_from(key) {
            self.deadlines.set(key, Moment::NEVER);
        }
        if reset {
            connection.stream.reset_on_close();
        }
        let reason = connection.session.end_reason().unwrap_or(EndReason::SocketError);
        if let Some(counter) = connection.session.service().tally.of(self.number).closed.get(reason as usize) {
            counter.add(1);
        }
        if let Some(link) = connection.link() {
            self.tell_ended(link, connection.id, reason);
        }
        self.records.end(connection.id, &connection.peer, &connection.session, reason, self.poll.now());
        // the descriptor is free before its place is
        let is_aside = connection.beside.as_ref().is_some_and(|beside| beside.is_aside);
        drop(connection);
        self.handle.load.fetch_sub(1, Relaxed);
        if is_aside {
            self.admission.leave_aside();
        } else {
            self.admission.leave();
        }
    }
}

/// Writes `answer` straight from the buffer it lies in; the session keeps what the socket refuses.
/// Gives whether there was an answer and the socket took all of it.
fn answer_with(stream: &impl Socket, session: &mut Session, answer: &[u8], worker: usize) -> bool {
    if answer.is_empty() {
        return false;
    }
    match stream.write(answer) {
        Outcome::Moved(n) => {
            session.service().tally.of(worker).bytes_out.add(n as u64);
            session.handle_answered(answer, n);
            return n == answer.len();
        }
        Outcome::NotNow | Outcome::Ended => session.handle_answered(answer, 0),
        Outcome::Failed(reason) => session.handle_failure(reason),
    }
    false
}
