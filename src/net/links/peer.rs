//! One peer of this daemon: its addresses, the dial that is under way, and what is told of its link.

use super::dial::{Dial, Failure, SourcePort, is_oneself, oneself, source};
use super::directory::{Directory, Linkage};
use super::resolver::{Found, literal};
use super::sheet::{Dialled, Known, LinkState, LinkedBy, Sheet};
use super::{Links, PACE, Peering};
use crate::deadlines::Moment;
use crate::link::{Action, Link, Stage, Suspicion};
use crate::net::address::Address;
use crate::net::errands::Errand;
use crate::net::poll::Interest;
use crate::net::stream::{self, Stream};
use crate::net::throttle::Throttle;
use crate::net::worker::Arrival;
use crate::session::EndReason;
use std::collections::VecDeque;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// How long a connection may take to be made.
const DIAL: Duration = Duration::from_secs(5);

/// A connection's two ends, the lower first: the same at both of them.
type Ends = (SocketAddr, SocketAddr);

/// One peer.
#[derive(Debug)]
pub(super) struct Peer {
    key: u64,
    peering: Peering,
    sheet: Arc<Sheet>,
    link: Link<Ends>,
    /// The addresses that its name had last.
    addresses: Vec<SocketAddr>,
    attempt: Option<Attempt>,
    linked: Vec<LinkedBy>,
    /// What was learnt of it.
    suspicion: Suspicion,
    /// Why there is no link.
    why: Option<String>,
    /// What of that was told last.
    told: Option<String>,
    /// How often it is told of that the link comes or goes.
    changes: Throttle,
    /// Whether it waits for its turn to be dialled.
    queued: bool,
}

/// The addresses of a peer, tried one after the other.
#[derive(Debug)]
struct Attempt {
    from_any_port: bool,
    left: VecDeque<SocketAddr>,
    dial: Option<Dial>,
    /// When the address that is being tried has had its time.
    deadline: Moment,
    /// Why the first address failed, which is the one that was meant most.
    failure: Option<Failure>,
}

impl Peer {
    pub(super) fn new(key: u64, peering: Peering, now: Moment) -> Peer {
        let address = Address::Tcp { host: peering.host.clone(), port: peering.port };
        let sheet = Sheet::new(peering.name.clone(), address, peering.service.name.clone(), now);
        // no two daemons, and no two peers, wait equally long
        let seed = RandomState::new().build_hasher().finish();
        Peer {
            key,
            sheet: Arc::new(sheet),
            link: Link::new(peering.retry.clone(), seed, now),
            addresses: literal(&peering.host, peering.port).unwrap_or_default(),
            peering,
            attempt: None,
            linked: Vec::new(),
            suspicion: Suspicion::default(),
            why: None,
            told: None,
            changes: Throttle::default(),
            queued: false,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.peering.name
    }

    pub(super) fn sheet(&self) -> &Arc<Sheet> {
        &self.sheet
    }

    /// The numbers of all its connections.
    pub(super) fn connections(&self) -> impl Iterator<Item = u64> {
        self.link.connections()
    }

    /// Whether `peering` means the same peer, however it is to be treated.
    pub(super) fn is_same(&self, peering: &Peering) -> bool {
        let own = &self.peering;
        (&own.name, &own.host, own.port, &own.service.name)
            == (&peering.name, &peering.host, peering.port, &peering.service.name)
    }

    /// Takes how it is to be treated from the next connection on.
    pub(super) fn renew(&mut self, peering: Peering, directory: &Directory, now: Moment) {
        self.link.handle_settings(peering.retry.clone(), peering.manners.once, now);
        self.peering = peering;
        // with other steps there may be no loop any more
        self.suspicion = Suspicion::default();
        directory.set(&self.linkage(None), &self.addresses);
    }

    /// Lets others know its addresses: the acceptor, and the workers, who may have a connection from there.
    pub(super) fn introduce(&mut self, links: &mut Links) {
        let linkage = self.linkage(None);
        links.directory.set(&linkage, &self.addresses);
        for address in self.addresses.clone() {
            links.send(|| Errand::Adopt(address, Box::new(linkage.clone())));
        }
    }

    /// Does what the link wants, and what time demands.
    pub(super) fn mind(&mut self, links: &mut Links, now: Moment) {
        if self.attempt.as_ref().is_some_and(|attempt| attempt.dial.is_some() && attempt.deadline <= now) {
            let why = format!("nothing came back in {} s", DIAL.as_secs());
            self.fail(Failure::new(Dialled::TimedOut, why), links, now);
        }
        if self.link.handle_timeout(now) {
            self.why = Some("a connection of the same two ports is in the way, and is not the peer's own".to_owned());
            self.tell_failure(now);
        }
        loop {
            match self.link.poll_action(now) {
                Action::End(connection) => {
                    self.link.handle_ending(connection);
                    links.send(|| Errand::Unlink(connection, EndReason::DuplicateLink));
                }
                Action::Dial { .. } => {
                    if self.attempt.is_none() && !std::mem::replace(&mut self.queued, true) {
                        links.queue_up(self.key);
                    }
                    return;
                }
                Action::Wait => return,
            }
        }
    }

    /// Dials it, as it is its turn, unless the peer was quicker.
    pub(super) fn dial(&mut self, links: &mut Links, now: Moment) {
        self.queued = false;
        let Action::Dial { from_any_port } = self.link.poll_action(now) else { return };
        if self.attempt.is_some() {
            return;
        }
        links.next_dial = now.after(PACE);
        self.link.handle_dialling(now);
        let attempt = Attempt {
            from_any_port: from_any_port || self.peering.source_port == SourcePort::Any,
            left: VecDeque::new(),
            dial: None,
            deadline: Moment::NEVER,
            failure: None,
        };
        self.attempt = Some(attempt);
        match literal(&self.peering.host, self.peering.port) {
            Some(addresses) => self.handle_addresses(addresses, links, now),
            None => links.resolve(self.key, &self.peering.host, self.peering.port),
        }
    }

    /// Takes what was found out about its name.
    pub(super) fn handle_found(&mut self, found: Found, links: &mut Links, now: Moment) {
        match found {
            Ok(addresses) => self.handle_addresses(addresses, links, now),
            Err(why) => self.give_up(Failure::new(Dialled::Unknown, why), now),
        }
    }

    fn handle_addresses(&mut self, addresses: Vec<SocketAddr>, links: &mut Links, now: Moment) {
        if addresses != self.addresses {
            self.addresses.clone_from(&addresses);
            self.introduce(links);
        }
        if let Some(attempt) = &mut self.attempt {
            attempt.left = addresses.into();
        }
        self.try_next(links, now);
    }

    /// Dials the next of its addresses.
    fn try_next(&mut self, links: &mut Links, now: Moment) {
        while let Some(attempt) = &mut self.attempt {
            let Some(to) = attempt.left.pop_front() else {
                let nothing = || Failure::new(Dialled::Unknown, "the name has no address");
                let failure = attempt.failure.take().unwrap_or_else(nothing);
                return self.give_up(failure, now);
            };
            match begin(to, attempt.from_any_port, &self.peering, links) {
                Ok(dial) => {
                    if let Err(errno) = links.poll.add(dial.socket(), self.key, Interest::Write) {
                        let why = format!("cannot watch the connection: {}", crate::net::plain(errno));
                        return self.give_up(Failure::new(Dialled::NoPort, why), now);
                    }
                    (attempt.dial, attempt.deadline) = (Some(dial), now.after(DIAL));
                    return;
                }
                Err(failure) if failure.result == Dialled::Taken => return self.expect(to, links, now),
                Err(failure) => {
                    attempt.failure.get_or_insert(failure);
                }
            }
        }
    }

    /// Takes that there is a connection of the two ports already: it is waited for, and looked for among
    /// those of clients.
    fn expect(&mut self, to: SocketAddr, links: &mut Links, now: Moment) {
        self.sheet.count_dial(Dialled::Taken);
        self.attempt = None;
        self.link.handle_taken(now);
        let linkage = self.linkage(None);
        links.send(|| Errand::Adopt(to, Box::new(linkage.clone())));
    }

    /// Takes that the socket which dials can be written to.
    pub(super) fn handle_connected(&mut self, links: &mut Links, now: Moment) {
        let Some(dial) = self.attempt.as_mut().and_then(|attempt| attempt.dial.take()) else { return };
        let _ = links.poll.remove(dial.socket());
        let to = dial.to();
        match dial.finish() {
            Ok(connected) => {
                self.sheet.count_dial(Dialled::Linked);
                self.attempt = None;
                let peer = stream::Peer::of(connected.remote);
                let (stream, service) = (Stream::new(connected.socket), Arc::clone(&self.peering.service));
                let id = links.intake.number();
                let greets = self.peering.manners.greeting.as_ref().is_some_and(|greeting| greeting.wants_context());
                let wants = greets || service.pipeline.wants_context();
                let context = wants.then(|| Box::new(stream.context(&peer, &service.name, id)));
                let link = Some(Box::new(self.linkage(Some((connected.round_trip, self.suspicion)))));
                links.bring(Arrival { id, stream, peer, service, context, link, visit: None, refusal: None });
            }
            Err(failure) if failure.result == Dialled::Taken => self.expect(to, links, now),
            Err(failure) => self.fail(failure, links, now),
        }
    }

    /// Takes that an address cannot be reached, and tries the next.
    fn fail(&mut self, failure: Failure, links: &mut Links, now: Moment) {
        if let Some(attempt) = &mut self.attempt {
            if let Some(dial) = attempt.dial.take() {
                let _ = links.poll.remove(dial.socket());
            }
            attempt.failure.get_or_insert(failure);
        }
        self.try_next(links, now);
    }

    /// Takes that no address can be reached.
    fn give_up(&mut self, failure: Failure, now: Moment) {
        self.sheet.count_dial(failure.result);
        self.attempt = None;
        self.link.handle_failure(now);
        if self.linked.is_empty() {
            self.why = Some(failure.why);
            self.tell_failure(now);
        }
    }

    /// Takes that a connection is its link.
    pub(super) fn handle_link(&mut self, linked: LinkedBy, ends: Ends, now: Moment) {
        let (local, remote) = ends;
        let LinkedBy { connection, dialled, .. } = linked;
        self.link.handle_connection(connection, (local.min(remote), local.max(remote)), dialled, now);
        self.linked.push(linked);
        (self.why, self.told) = (None, None);
        if self.may_tell(dialled, now) {
            log::info!(peer = self.name(), address:% = remote, connection, dialled; "linked");
        }
    }

    /// Takes that a connection has ended.
    pub(super) fn handle_end(&mut self, connection: u64, reason: EndReason, suspicion: Option<Suspicion>, now: Moment) {
        self.suspicion = suspicion.unwrap_or(self.suspicion);
        let dialled = self.linked.iter().any(|linked| linked.connection == connection && linked.dialled);
        self.linked.retain(|linked| linked.connection != connection);
        self.link.handle_end(connection, reason == EndReason::ExchangeDone, now);
        let tell = self.may_tell(dialled, now);
        let (peer, end, reason) = (self.name(), reason, reason.word());
        match self.link.stage() {
            Stage::Waiting(until) => {
                if tell {
                    log::info!(peer, connection, reason, next_try_seconds = seconds(until.since(now)); "link ended");
                }
                self.why = Some(why(end).to_owned());
            }
            _ if tell => log::info!(peer, connection, reason; "link ended"),
            _ => {}
        }
    }

    /// Whether it is told of now that the link comes or goes: a peer that makes one all the time shall not fill
    /// the log. Dials are few by themselves.
    fn may_tell(&mut self, dialled: bool, now: Moment) -> bool {
        if dialled {
            return true;
        }
        let Some(kept_back) = self.changes.pass(now) else { return false };
        if kept_back > 0 {
            log::info!(peer = self.name(); "its link came and went {kept_back} times more than this log has lines for");
        }
        true
    }

    fn tell_failure(&mut self, now: Moment) {
        let why = self.why.clone().unwrap_or_default();
        let level = if self.told.as_ref() == Some(&why) { log::Level::Debug } else { log::Level::Warn };
        let next_try_seconds = seconds(self.link.poll_timeout().since(now));
        log::log!(level, peer = self.name(), why = why.as_str(), next_try_seconds; "no link");
        self.told = Some(why);
    }

    /// Lets everybody know how it is.
    pub(super) fn publish(&self) {
        let kept = self.link.connection();
        let (state, next_try) = match self.link.stage() {
            Stage::Waiting(until) => (LinkState::Waiting, until),
            Stage::Dialling => (LinkState::Dialling, Moment::NEVER),
            Stage::Expecting(_) => (LinkState::Expecting, Moment::NEVER),
            Stage::Linked => (LinkState::Linked, Moment::NEVER),
            Stage::Done => (LinkState::Done, Moment::NEVER),
        };
        self.sheet.publish(Known {
            state,
            since: self.link.since(),
            linked: self.linked.iter().find(|linked| Some(linked.connection) == kept).copied(),
            next_try,
            backoff: self.link.ceiling(),
            why: self.why.clone(),
        });
    }

    /// When it wants to be looked at, if nothing happens before.
    pub(super) fn next_look(&self) -> Moment {
        match &self.attempt {
            // what is due waits for what is under way
            Some(attempt) => attempt.deadline,
            None if self.queued => Moment::NEVER,
            None => self.link.poll_timeout(),
        }
    }

    fn linkage(&self, dialled: Option<(Duration, Suspicion)>) -> Linkage {
        let manners = self.peering.manners.clone();
        Linkage { key: self.key, sheet: Arc::clone(&self.sheet), manners, dialled }
    }
}

fn begin(to: SocketAddr, from_any_port: bool, peering: &Peering, links: &Links) -> Result<Dial, Failure> {
    if is_oneself(to, &links.listeners) {
        return Err(oneself(to));
    }
    let from = if from_any_port { None } else { Some(source(&peering.sockets, to)?) };
    Dial::begin(to, from, &peering.options)
}

/// Why a link ended, for people.
fn why(end: EndReason) -> &'static str {
    match end {
        EndReason::ClientFin => "the peer ended it",
        EndReason::ClientReset => "the peer reset it",
        EndReason::ClientVanished => "the peer vanished",
        EndReason::WriteTimeout => "the peer took no answers",
        EndReason::Killed => "it was killed here",
        other => other.word(),
    }
}

/// As a quotient it is the number that is written with three decimals.
fn seconds(duration: Duration) -> f64 {
    duration.as_millis() as f64 / 1000.0
}
