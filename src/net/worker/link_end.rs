//! What a worker does for a connection that is a link: who awaits an answer, and what others are told.
//!
//! What is said, and how answers are recognised, is the session's business.

use super::{Connection, Worker, answer_with};
use crate::deadlines::Moment;
use crate::link::{AWAITED, GREETING, Heard, Suspicion, Unsayable};
use crate::net::errands::Reply;
use crate::net::links::{Linkage, Told};
use crate::net::stream::Peer;
use crate::net::system::{Socket, System};
use crate::session::{EndReason, Session};
use crossbeam_channel::Sender;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How long a link that there are two of must be quiet before it is ended.
const QUIET: Duration = Duration::from_millis(500);
/// How much of what is no answer is told to who awaits one: a peer may say anything meanwhile.
const OTHERS: usize = 16;
/// How much of an answer the log shows, in bytes.
const SHOWN: usize = 200;

/// A worker's end of a link.
#[derive(Debug)]
pub(super) struct LinkEnd {
    linkage: Linkage,
    /// Texts whose answer somebody awaits, or the log does.
    awaiting: Vec<Awaited>,
    /// How many texts were said for others.
    said: u64,
    /// Messages that were counted.
    counted: u64,
    /// Whether a loop was told of.
    told: bool,
    /// What was learnt of the peer, as long as its session knew.
    suspicion: Option<Suspicion>,
}

/// A text that was said.
#[derive(Debug)]
struct Awaited {
    by: u64,
    /// To the nanosecond, as an answer takes less than the millisecond that sessions count in.
    at: Instant,
    answer: Option<Sender<Reply>>,
    /// How much else was told meanwhile.
    others: usize,
}

impl LinkEnd {
    /// Makes a session one that talks to a peer.
    pub(super) fn begin(linkage: Linkage, session: &mut Session, now: Moment) -> LinkEnd {
        session.handle_link(linkage.dialogue(now));
        let greeting = Awaited { by: GREETING, at: Instant::now(), answer: None, others: 0 };
        let counted = session.messages();
        LinkEnd { linkage, awaiting: vec![greeting], said: GREETING, counted, told: false, suspicion: None }
    }

    /// The peer's name.
    pub(super) fn peer(&self) -> &str {
        &self.linkage.sheet.name
    }

    /// Takes that a text is said for somebody, who is told what comes of it; gives the number for it.
    pub(super) fn await_answer(&mut self, answer: Sender<Reply>) -> u64 {
        self.said += 1;
        if self.awaiting.len() >= AWAITED
            && let Some(answer) = self.awaiting.remove(0).answer
        {
            let _ = answer.send(Reply::Unsayable(Unsayable::TooMuch));
        }
        self.awaiting.push(Awaited { by: self.said, at: Instant::now(), answer: Some(answer), others: 0 });
        self.said
    }

    /// Tells what came of what was said, and counts.
    pub(super) fn handle_heard(&mut self, session: &mut Session, connection: u64, now: Moment) {
        let sheet = &self.linkage.sheet;
        let messages = session.messages();
        if messages > self.counted {
            sheet.count_messages(messages - self.counted, now);
            self.counted = messages;
        }
        if self.linkage.is_dialled() {
            self.suspicion = session.suspicion().or(self.suspicion);
            sheet.set_holding(session.is_holding());
        }
        let peer = sheet.name.as_str();
        for heard in session.take_heard() {
            match heard {
                Heard::Answer { by, text, round_trip } => {
                    let at = self.awaiting.iter().position(|awaited| awaited.by == by);
                    let awaited = at.map(|at| self.awaiting.swap_remove(at));
                    let round_trip = awaited.as_ref().map_or(round_trip, |awaited| awaited.at.elapsed());
                    sheet.count_answer(round_trip);
                    let level = if by == GREETING { log::Level::Info } else { log::Level::Debug };
                    let answer = String::from_utf8_lossy(text.get(..SHOWN).unwrap_or(&text));
                    let round_trip_seconds = round_trip.as_micros() as f64 / 1e6;
                    log::log!(level, peer, round_trip_seconds, answer = answer.as_ref(); "answered");
                    if let Some(answer) = awaited.and_then(|awaited| awaited.answer) {
                        // whoever asked may have waited long enough
                        let _ = answer.send(Reply::Answer { text, round_trip });
                    }
                }
                Heard::Other(text) => {
                    let tell = |answer: &Sender<Reply>| answer.send(Reply::Other(text.clone())).is_ok();
                    self.awaiting.retain_mut(|awaited| {
                        awaited.others += 1;
                        awaited.others > OTHERS || awaited.answer.as_ref().is_none_or(tell)
                    });
                }
                Heard::Loop { next } => {
                    sheet.count_loop();
                    if !std::mem::replace(&mut self.told, true) {
                        log::warn!(
                            peer, connection;
                            "a loop: the other end says something new to each answer, and nothing without one; answers are \
                             held back, the next for {} s and then twice as long; if it is no loop but waits for each \
                             answer, write loop_guard = false, which holds from its next link on",
                            next.as_secs()
                        );
                    }
                }
            }
        }
    }
}

impl<S: System> Worker<S> {
    /// Tells the thread of the links that a connection is one.
    pub(super) fn tell_linked(&self, key: usize) {
        let Some(connection @ Connection { id, stream, peer, .. }) = self.table.get(key) else { return };
        if let (Some(link), Some(remote)) = (connection.link(), peer.address()) {
            let ends = (stream.local().unwrap_or(remote), remote);
            let dialled = link.linkage.is_dialled();
            // it ends before the workers do
            let _ = self.links.post(Told::Linked {
                key: link.linkage.key,
                connection: *id,
                ends,
                dialled,
                worker: self.number,
            });
        }
    }

    /// Tells the thread of the links, and those who await an answer, that one has ended.
    pub(super) fn tell_ended(&self, link: &LinkEnd, connection: u64, reason: EndReason) {
        for answer in link.awaiting.iter().filter_map(|awaited| awaited.answer.as_ref()) {
            let _ = answer.send(Reply::Ended(reason));
        }
        let _ = self.links.post(Told::Ended { key: link.linkage.key, connection, reason, suspicion: link.suspicion });
    }

    /// Says `text` over the link with the number `id`, if it is here; `answer` is told what comes of it.
    pub(super) fn say(&mut self, id: u64, text: &[u8], answer: Sender<Reply>) {
        let now = self.poll.now();
        let Some(key) = self.find(id) else { return };
        let Some(Connection { stream, session, beside: Some(beside), .. }) = self.table.get_mut(key) else { return };
        let Some(link) = &mut beside.link else { return };
        let by = link.await_answer(answer.clone());
        match session.handle_say(by, text, &mut self.desk, now) {
            Ok(said) => {
                answer_with(stream, session, said, self.number);
            }
            Err(why) => {
                link.awaiting.pop();
                let _ = answer.send(Reply::Unsayable(why));
            }
        }
        self.settle(key);
    }

    /// Makes a connection that came from `address` before anybody knew whose it is the link to that peer.
    pub(super) fn adopt(&mut self, address: SocketAddr, linkage: &Linkage) {
        let now = self.poll.now();
        let comes_from =
            |peer: &Peer| peer.address().is_some_and(|from| (from.ip(), from.port()) == (address.ip(), address.port()));
        let is_meant = |connection: &Connection<S::Stream>| {
            connection.link().is_none()
                && comes_from(&connection.peer)
                && connection.session.service().name == linkage.sheet.via
        };
        let Some(key) = self.table.iter().find(|(_, connection)| is_meant(connection)).map(|(key, _)| key) else {
            return;
        };
        if let Some(Connection { session, beside, .. }) = self.table.get_mut(key) {
            beside.get_or_insert_default().link = Some(LinkEnd::begin(linkage.clone(), session, now));
        }
        self.tell_linked(key);
        self.settle(key);
    }

    /// Ends the link with the number `id` for `reason`, if it is here; one that the peer made and that is no
    /// link any more goes on as any client's connection.
    pub(super) fn unlink(&mut self, id: u64, reason: EndReason) {
        let now = self.poll.now();
        let Some(key) = self.find(id) else { return };
        let Some(Connection { stream, session, beside: Some(beside), .. }) = self.table.get_mut(key) else { return };
        if beside.link.is_none() {
            return;
        }
        if reason == EndReason::DuplicateLink {
            // what is being said over it goes on over it; all else over the other
            session.handle_retirement(reason, QUIET, now);
            return self.settle(key);
        }
        // one that was dialled ends, and is told of then
        let unlinked = beside.link.take_if(|link| !link.linkage.is_dialled());
        let answer = match unlinked {
            Some(_) => session.handle_unlink(&mut self.desk, now),
            None => session.handle_end(reason, &mut self.desk, now),
        };
        answer_with(stream, session, answer, self.number);
        if let Some(link) = unlinked {
            self.tell_ended(&link, id, reason);
        }
        self.settle(key);
    }
}
