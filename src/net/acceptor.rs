//! The acceptor: accepts from all listeners, and hands each connection to the worker with the
//! fewest.
//!
//! Framing, transforms and sessions are not known here.
//!
//! Who cannot be served yet is left in the backlog: at the limit of connections, when all
//! mailboxes are full, and when descriptors or memory run out, nothing is accepted, and epoll is
//! not asked about the listeners, so that they do not keep the thread awake.

use super::entrance::Entrance;
use super::intake::{BUSY_RETRY, Intake};
use super::links::Directory;
use super::listener::Listening;
use super::mailbox::Mailbox;
use super::orders::Orders;
use super::plain;
use super::poll::{Interest, Poll};
use super::reception::Reception;
use super::stream::{Peer, Stream};
use super::worker::Arrival;
use crate::deadlines::Moment;
use crate::metrics::AcceptCounters;
use crate::session::Service;
use crossbeam_channel::Sender;
use rustix::io::Errno;
use rustix::net::{SocketAddrAny, SocketFlags};
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

/// How many connections a listener may bring in one turn, so that others get theirs.
const BATCH: usize = 64;
/// How soon descriptors that ran out are tried again: clients wait no longer than this for one.
const DESCRIPTORS_RETRY: Duration = Duration::from_millis(100);
/// How soon memory that ran out is tried again, at first and at most.
const MEMORY_RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));
/// How soon a listener that gives nothing but failures is tried again.
const FAILURES_RETRY: Duration = Duration::from_millis(10);
/// How long descriptors may be out before clients that wait are sent away instead.
const SHED_AFTER: Duration = Duration::from_secs(5);
/// How often, at most, it is logged that clients must wait.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// A listener with what is served on it.
#[derive(Debug, Clone)]
pub struct Door {
    /// The socket.
    pub listening: Arc<Listening>,
    /// Who is let in.
    pub entrance: Arc<Entrance>,
    /// How its connections are served.
    pub service: Arc<Service>,
    /// How many connections its backlog holds, at most.
    pub backlog: u32,
}

/// Other doors, in place of those there are.
#[derive(Debug)]
pub struct Change {
    /// The new ones; a socket that is a door already goes on as one.
    pub doors: Vec<Door>,
    /// Told when they are open, and those that are none any more are closed, unless clients who wait
    /// at these cannot be served yet.
    pub done: Sender<()>,
}

/// The accepting thread's whole state.
#[derive(Debug)]
pub struct Acceptor {
    poll: Poll,
    doors: Vec<Door>,
    changes: Mailbox<Change>,
    /// Doors of before a change, at which clients may still wait.
    leaving: Vec<Door>,
    /// Which door is looked at first; each in its turn, so that none keeps the others out.
    first: usize,
    intake: Intake,
    reception: Reception,
    orders: Arc<Orders>,
    counters: Arc<AcceptCounters>,
    gate: Gate,
    watching: bool,
    /// A descriptor to give up when there are no others, so that a client can be sent away.
    reserve: Option<OwnedFd>,
    in_hand: Option<Arrival>,
    tell_next: Moment,
}

/// Why nothing is accepted now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gate {
    /// It is.
    Open,
    /// All places are taken; the one who gives one back rings.
    Full,
    /// All mailboxes are full, or all that came were failures.
    Busy { retry: Moment },
    /// Descriptors or memory are out.
    Paused { since: Moment, retry: Moment, delay: Duration, told: bool },
}

/// Whose fault it is that accept(2) failed.
#[derive(Debug, PartialEq, Eq)]
enum Fault {
    /// Nobody's: nothing waits.
    None,
    /// The client's, or its network's: the next one is tried at once.
    Client,
    /// The system's, which is short of something: later.
    Shortage,
    /// Our own.
    Ours,
}

impl Acceptor {
    /// An acceptor for `doors`, which sleeps in `poll` and hands over to `intake`.
    ///
    /// # Errors
    ///
    /// When the system is short of memory or watches.
    pub fn new(
        poll: Poll,
        doors: Vec<Door>,
        changes: Mailbox<Change>,
        intake: Intake,
        directory: Arc<Directory>,
        orders: Arc<Orders>,
        counters: Arc<AcceptCounters>,
    ) -> io::Result<Acceptor> {
        for (token, door) in (0..).zip(&doors) {
            poll.add(&door.listening, token, Interest::Read)?;
        }
        let reception = Reception::new(directory, Arc::clone(&counters), intake.workers().len());
        Ok(Acceptor {
            poll,
            doors,
            changes,
            leaving: Vec::new(),
            first: 0,
            intake,
            reception,
            orders,
            counters,
            gate: Gate::Open,
            watching: true,
            reserve: spare_descriptor(),
            in_hand: None,
            tell_next: Moment::from_millis(0),
        })
    }

    /// Accepts until it is told to end.
    ///
    /// # Errors
    ///
    /// When epoll or accept fail in a way that is a fault of shoutd's own.
    pub fn run(mut self) -> io::Result<()> {
        loop {
            self.poll.turn(self.next_look())?;
            if self.orders.is_stop() {
                return Ok(());
            }
            // asked once a turn: an order that comes in the middle of one is for the next, or a backlog
            // of which only a batch was accepted would be closed
            let give_up = self.orders.draining().map(|(_, deadline)| *deadline);
            let changes = self.change_doors()?;
            self.accept_all(give_up.is_some())?;
            self.close_leaving()?;
            for done in changes {
                // whoever ordered it may have waited long enough
                let _ = done.send(());
            }
            if give_up.is_some_and(|deadline| self.is_empty() || self.poll.now() >= deadline) {
                // closing a listener resets whoever waits in its backlog, so it comes last
                self.doors.clear();
                self.leaving.clear();
                self.orders.one_way_closed();
                self.intake.ring();
                return Ok(());
            }
            self.watch()?;
        }
    }

    /// Takes new doors in place of the old ones; gives who is to be told of it.
    fn change_doors(&mut self) -> io::Result<Vec<Sender<()>>> {
        let mut told = Vec::new();
        for Change { doors, done } in self.changes.messages() {
            for door in &self.doors {
                self.poll.remove(&door.listening)?;
            }
            let before = std::mem::replace(&mut self.doors, doors);
            for (token, door) in (0..).zip(&self.doors) {
                self.poll.add(&door.listening, token, self.interest())?;
            }
            let stays = |door: &Door| self.doors.iter().any(|new| Arc::ptr_eq(&new.listening, &door.listening));
            // one that finds no room is to be served anew, too
            if let Some(arrival) = &mut self.in_hand
                && let Some(door) = self.doors.iter().find(|door| door.service.name == arrival.service.name)
            {
                arrival.renew(door);
            }
            self.reception.change_doors(&self.doors);
            self.leaving.extend(before);
            self.leaving.retain(|door| !stays(door));
            told.push(done);
        }
        Ok(told)
    }

    /// Accepts whoever waits at doors that are none any more, and closes these, as long as there are
    /// places.
    fn close_leaving(&mut self) -> io::Result<()> {
        while self.is_open()
            && let Some(door) = self.leaving.pop()
        {
            self.accept_from(&door, true)?;
            if !self.is_open() {
                self.leaving.push(door);
            }
        }
        Ok(())
    }

    /// When to look again, if nobody rings before.
    fn next_look(&self) -> Option<Moment> {
        let retry = match self.gate {
            Gate::Open | Gate::Full => None,
            Gate::Busy { retry } | Gate::Paused { retry, .. } => Some(retry),
        };
        let give_up = self.orders.draining().map(|(_, deadline)| *deadline);
        retry.into_iter().chain(give_up).chain(self.reception.next_look(self.poll.now())).min()
    }

    /// Accepts from the doors that epoll reported, or from all when it was not asked about them.
    fn accept_all(&mut self, draining: bool) -> io::Result<()> {
        if let Gate::Busy { retry } | Gate::Paused { retry, .. } = self.gate
            && self.poll.now() < retry
        {
            return Ok(());
        }
        if let Some(arrival) = self.in_hand.take() {
            self.hand_over(arrival);
            if self.in_hand.is_some() {
                return Ok(());
            }
        }
        while let Some(arrival) = self.reception.next(draining, self.intake.admission(), self.poll.now()) {
            self.hand_over(arrival);
            if self.in_hand.is_some() {
                return Ok(());
            }
        }
        // one batch from each, also while draining, when it is a backlog: no flood delays the end
        let asked = self.watching && !draining;
        let reported: Vec<u64> = (0..).map_while(|nth| self.poll.token(nth)).collect();
        let doors = self.doors.len().max(1);
        self.first = (self.first + 1) % doors;
        for index in (self.first..self.first + doors).map(|index| index % doors) {
            if (!asked || reported.contains(&(index as u64)))
                && let Some(door) = self.doors.get(index).cloned()
            {
                self.accept_from(&door, draining)?;
                if !self.is_open() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Accepts what waits at a door, at most a batch of it; `to_the_end`, a whole backlog.
    fn accept_from(&mut self, door: &Door, to_the_end: bool) -> io::Result<()> {
        // the kernel lets one more wait than it was told
        let batch = if to_the_end { door.backlog as usize + 1 } else { BATCH };
        let mut failures = 0;
        for _ in 0..batch {
            if !self.intake.admission().enter() {
                self.fill();
                return Ok(());
            }
            match accept(&door.listening) {
                Ok((socket, from)) => {
                    let peer = from.and_then(|from| SocketAddr::try_from(from).ok()).map_or(Peer::Unix, Peer::of);
                    let (id, stream) = (self.intake.number(), Stream::new(socket));
                    self.resume();
                    let (admission, now) = (self.intake.admission(), self.poll.now());
                    if let Some(arrival) = self.reception.receive(door, id, stream, peer, admission, now) {
                        self.hand_over(arrival);
                    }
                    if self.in_hand.is_some() {
                        return Ok(());
                    }
                }
                Err(errno) => {
                    self.intake.admission().leave();
                    match fault(errno) {
                        Fault::None => {
                            self.resume();
                            return Ok(());
                        }
                        Fault::Client => {
                            self.counters.client_errors.add(1);
                            failures += 1;
                        }
                        Fault::Shortage => {
                            self.pause(errno);
                            return Ok(());
                        }
                        Fault::Ours => return Err(errno.into()),
                    }
                }
            }
        }
        if failures == batch && !to_the_end {
            // as when a firewall's refusal (EPERM) does not take the client out of the queue
            self.gate = Gate::Busy { retry: self.poll.now().after(FAILURES_RETRY) };
        }
        Ok(())
    }

    /// All places are taken.
    fn fill(&mut self) {
        self.gate = Gate::Full;
        if self.poll.now() >= self.tell_next {
            self.tell_next = self.poll.now().after(TELL_EVERY);
            log::warn!("all {} connections are taken; new clients wait in the backlog", self.intake.admission().max());
        }
    }

    /// Gives a connection to a worker, or keeps it in hand when all are full.
    fn hand_over(&mut self, arrival: Arrival) {
        match self.intake.hand_over(arrival) {
            Ok(()) => self.gate = Gate::Open,
            Err(back) => {
                self.in_hand = Some(back);
                self.gate = Gate::Busy { retry: self.poll.now().after(BUSY_RETRY) };
            }
        }
    }

    fn is_open(&self) -> bool {
        self.gate == Gate::Open
    }

    /// Whether nobody waits any more, in a backlog or here.
    fn is_empty(&self) -> bool {
        self.is_open() && self.reception.is_empty()
    }

    fn pause(&mut self, errno: Errno) {
        let (since, last, told) = match self.gate {
            Gate::Paused { since, delay, told, .. } => (since, Some(delay), told),
            _ => {
                self.counters.pauses.add(1);
                (self.poll.now(), None, false)
            }
        };
        let descriptors = matches!(errno, Errno::MFILE | Errno::NFILE);
        let delay = match last {
            _ if descriptors => DESCRIPTORS_RETRY,
            None => MEMORY_RETRY.0,
            Some(last) => last.saturating_mul(2).min(MEMORY_RETRY.1),
        };
        let tell = !told && self.poll.now() >= self.tell_next;
        if tell {
            self.tell_next = self.poll.now().after(TELL_EVERY);
            log::warn!(
                "accepting paused: {}; {} connections are open, new clients wait in the backlog",
                plain(errno),
                self.intake.admission().open()
            );
        }
        if descriptors && self.poll.now().since(since) >= SHED_AFTER {
            self.shed();
        }
        self.gate = Gate::Paused { since, retry: self.poll.now().after(delay), delay, told: told || tell };
    }

    fn resume(&mut self) {
        if let Gate::Paused { since, told: true, .. } = self.gate {
            log::info!("accepting again after {:.1} s", self.poll.now().since(since).as_secs_f64());
        }
        self.gate = Gate::Open;
    }

    /// Sends one client away that has waited for long, so that it need not wait for ever.
    fn shed(&mut self) {
        drop(self.reserve.take());
        if let Some(socket) = self.doors.iter().find_map(|door| rustix::net::accept(&door.listening).ok()) {
            drop(socket);
            self.counters.shed.add(1);
        }
        self.reserve = spare_descriptor();
    }

    /// Asks epoll about the listeners while connections are accepted, and only then.
    fn watch(&mut self) -> io::Result<()> {
        let watching = self.is_open();
        if watching != self.watching {
            self.watching = watching;
            for (token, door) in (0..).zip(&self.doors) {
                self.poll.modify(&door.listening, token, self.interest())?;
            }
        }
        Ok(())
    }

    fn interest(&self) -> Interest {
        if self.watching { Interest::Read } else { Interest::Nothing }
    }
}

/// Accepts whoever waits first.
fn accept(listening: &Listening) -> Result<(OwnedFd, Option<SocketAddrAny>), Errno> {
    failpoint!("accept", |errno| Err(Errno::from_raw_os_error(errno)));
    rustix::net::acceptfrom_with(listening, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)
}

/// Sorts a failure of accept(2) by who caused it. The client's are those that accept(2), section
/// "Error handling", says to treat like `EAGAIN`, and those of a firewall (`EPERM`).
fn fault(errno: Errno) -> Fault {
    match errno {
        Errno::AGAIN => Fault::None,
        Errno::INTR
        | Errno::CONNABORTED
        | Errno::PROTO
        | Errno::PERM
        | Errno::NETDOWN
        | Errno::NOPROTOOPT
        | Errno::HOSTDOWN
        | Errno::NONET
        | Errno::HOSTUNREACH
        | Errno::OPNOTSUPP
        | Errno::NETUNREACH
        | Errno::CONNRESET
        | Errno::TIMEDOUT => Fault::Client,
        Errno::BADF | Errno::INVAL | Errno::NOTSOCK | Errno::FAULT => Fault::Ours,
        // descriptors (EMFILE, ENFILE), memory (ENOBUFS, ENOMEM), or something else that may pass
        _ => Fault::Shortage,
    }
}

fn spare_descriptor() -> Option<OwnedFd> {
    rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_of_accept_are_sorted_by_who_caused_them() {
        for errno in [Errno::CONNABORTED, Errno::PROTO, Errno::INTR, Errno::PERM, Errno::NETDOWN, Errno::HOSTUNREACH] {
            assert_eq!(fault(errno), Fault::Client, "{errno}");
        }
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM] {
            assert_eq!(fault(errno), Fault::Shortage, "{errno}");
        }
        for errno in [Errno::BADF, Errno::INVAL, Errno::NOTSOCK, Errno::FAULT] {
            assert_eq!(fault(errno), Fault::Ours, "{errno}");
        }
        assert_eq!(fault(Errno::AGAIN), Fault::None);
    }
}
