//! One connection: the client at its other end, our socket, and what is to be said of a worker that has it.

use crate::ideal::Ideal;
use fastrand::Rng;
use shoutd::deadlines::Moment;
use shoutd::net::poll::Interest;
use shoutd::net::stream::{Outcome, Peer};
use shoutd::session::{EndReason, Limits, Service};
use std::sync::Arc;
use std::time::Duration;

/// How long a connection that the worker ended waits for the client's end.
const LINGER: Duration = Duration::from_secs(2);
/// Of so many calls that could do something, one does nothing.
const NOT_NOW: u32 = 40;

/// The other end: what it sends in all, and how it behaves.
#[derive(Debug)]
pub struct Client {
    pub script: Vec<u8>,
    /// How much of it has come to our socket.
    pub sent: usize,
    /// Whether it sends FIN behind its script, and whether it came.
    pub ends: bool,
    pub fin: bool,
    /// Whether it reads its answers, and how much of them it has.
    pub reads: bool,
    pub acked: usize,
    /// Whether it is gone: what comes to it is answered with a reset.
    pub gone: bool,
    /// How many bytes our socket takes before it reads.
    pub room: usize,
}

/// How a stop goes, as far as it was ordered.
#[derive(Debug, Clone, Default)]
pub struct Stopping {
    /// Since when, how long the closings are spread, how long quiet lasts, and when it gives up.
    pub drain: Option<(Moment, Duration, Duration, Moment)>,
    pub stopped: bool,
}

pub struct Connection {
    pub id: u64,
    pub listener: usize,
    /// How often a reload had been ordered when it was last told of one.
    pub generation: u64,
    /// Whether that is in this turn, so that what it changes has not happened in those before.
    is_new: bool,
    pub peer: Peer,
    pub client: Client,
    pub limits: Limits,
    /// What it must be answered; nothing is known of that for a link.
    pub ideal: Option<Ideal>,
    pub worker: Option<usize>,
    pub registered: Option<(u64, Interest)>,
    /// What the next call finds out, and whether a call failed or may have.
    error: Option<EndReason>,
    pub failed: bool,
    pub killed: bool,
    /// What the worker read and wrote, and how much of the last answer the socket did not take.
    pub taken: usize,
    pub out: Vec<u8>,
    pub pending: usize,
    ended: bool,
    shut: Option<Moment>,
    pub resets: bool,
    pub opened: Moment,
    /// When the worker last moved a byte, or saw that the client took some, and how many it saw under way.
    moved: Moment,
    seen: Option<usize>,
    /// When the last answer was taken whole.
    cleared: Moment,
    /// Whether the last answer was to no read, but because time had passed.
    by_time: bool,
    /// That it had lasted as long as it might when FIN was sent.
    was_over: bool,
    pub reason: Option<EndReason>,
}

impl Connection {
    pub fn new(id: u64, listener: usize, generation: u64, peer: Peer, client: Client, limits: Limits) -> Connection {
        let now = Moment::from_millis(0);
        Connection {
            id,
            listener,
            generation,
            is_new: false,
            peer,
            client,
            limits,
            ideal: None,
            worker: None,
            registered: None,
            error: None,
            failed: false,
            killed: false,
            taken: 0,
            out: Vec::new(),
            pending: 0,
            ended: false,
            shut: None,
            resets: false,
            opened: now,
            moved: now,
            seen: None,
            cleared: now,
            by_time: false,
            was_over: false,
            reason: None,
        }
    }

    /// A worker takes it over.
    pub fn open(&mut self, now: Moment) {
        (self.opened, self.moved, self.cleared) = (now, now, now);
    }

    /// Its worker learns of the last reload, in which its listener may be gone.
    pub fn learn(&mut self, generation: u64, services: &[Option<Arc<Service>>]) {
        self.is_new = std::mem::replace(&mut self.generation, generation) < generation;
        if self.is_new
            && let Some(service) = &services[self.listener]
        {
            self.limits = service.limits.clone();
            if let Some(ideal) = &mut self.ideal {
                ideal.renew(service);
            }
        }
    }

    pub fn unread(&self) -> usize {
        self.client.sent - self.taken
    }

    /// What was written and the client has not taken.
    pub fn under_way(&self) -> usize {
        self.out.len() - self.client.acked
    }

    fn free(&self) -> usize {
        self.client.room.saturating_sub(self.under_way())
    }

    pub fn is_shut(&self) -> bool {
        self.shut.is_some()
    }

    /// The network loses it.
    pub fn fail(&mut self, reason: EndReason) {
        self.error = Some(reason);
        self.failed = true;
    }

    /// The worker looks at what is under way: as long as it becomes less, the connection is not quiet.
    pub fn look(&mut self, now: Moment) -> usize {
        let bytes = self.under_way();
        if self.pending > 0 || self.is_shut() {
            return bytes;
        }
        if bytes > 0 && self.seen.is_none_or(|seen| bytes < seen) {
            self.moved = now;
        }
        self.seen = (bytes > 0).then_some(bytes);
        bytes
    }

    /// Whether epoll reports it, as it is watched now.
    pub fn is_ready(&self) -> bool {
        let readable = self.unread() > 0 || self.client.fin;
        match self.registered {
            None => false,
            _ if self.error.is_some() => true,
            Some((_, Interest::Read)) => readable,
            // the kernel tells of room only when there is much of it
            Some((_, Interest::Write)) => self.free() * 3 >= self.client.room,
            Some((_, Interest::Nothing)) => self.client.fin && self.is_shut(),
        }
    }

    /// `before` is when the worker last turned.
    pub fn read(&mut self, buffer: &mut [u8], rng: &mut Rng, now: Moment, before: Moment) -> Outcome {
        assert!(!buffer.is_empty(), "{}: a read of nothing", self.id);
        assert_eq!(self.pending, 0, "{}: it reads while an answer is unsent", self.id);
        self.catch_up(before);
        if rng.u32(0..NOT_NOW) == 0 {
            return Outcome::NotNow;
        }
        let most = self.unread().min(buffer.len());
        if most > 0 {
            let len = if rng.bool() { most } else { rng.usize(1..=most) };
            let bytes = &self.client.script[self.taken..self.taken + len];
            buffer[..len].copy_from_slice(bytes);
            if let Some(ideal) = &mut self.ideal {
                ideal.read(bytes, now);
            }
            self.taken += len;
            (self.moved, self.seen, self.by_time) = (now, None, false);
            return Outcome::Moved(len);
        }
        if let Some(reason) = self.error.take() {
            self.client.fin = true;
            return Outcome::Failed(reason);
        }
        if !self.client.fin {
            return Outcome::NotNow;
        }
        if let Some(ideal) = &mut self.ideal {
            ideal.end(now);
        }
        self.ended = true;
        Outcome::Ended
    }

    pub fn write(&mut self, bytes: &[u8], rng: &mut Rng, now: Moment) -> Outcome {
        assert!(!bytes.is_empty(), "{}: a write of nothing", self.id);
        assert!(self.shut.is_none(), "{}: a write behind FIN", self.id);
        self.explain(now);
        match &self.ideal {
            Some(ideal) => {
                let rest = &ideal.answer[self.out.len()..];
                assert_eq!(bytes.escape_ascii().to_string(), rest.escape_ascii().to_string(), "{}: said", self.id);
            }
            None => assert!(bytes.len() >= self.pending, "{}: less than what is unsent", self.id),
        }
        let was_pending = std::mem::replace(&mut self.pending, bytes.len()) > 0;
        if !was_pending {
            self.moved = now;
        }
        if let Some(reason) = self.error.take() {
            self.client.fin = true;
            return Outcome::Failed(reason);
        }
        if self.free() == 0 || rng.u32(0..NOT_NOW) == 0 {
            return Outcome::NotNow;
        }
        let most = bytes.len().min(self.free());
        let len = if rng.bool() { most } else { rng.usize(1..=most) };
        self.out.extend(&bytes[..len]);
        self.pending -= len;
        self.moved = now;
        if was_pending && self.pending == 0 {
            (self.cleared, self.seen) = (now, None);
        }
        if self.client.gone {
            self.fail(EndReason::ClientReset);
        }
        Outcome::Moved(len)
    }

    /// Lets the ideal do what it may have done unseen until `before`: answered with nothing.
    fn catch_up(&mut self, before: Moment) {
        self.go_on(before);
        let until = self.begun_until();
        let Some(ideal) = &mut self.ideal else { return };
        if until <= before && !self.is_new && ideal.flush(before) {
            self.moved = self.moved.max(before);
        }
        assert_eq!(ideal.answer.len(), self.out.len(), "{}: it has more to say", self.id);
    }

    /// Lets the ideal go on as far as there is nothing to say.
    fn go_on(&mut self, now: Moment) {
        let Some(ideal) = &mut self.ideal else { return };
        while ideal.has_more() && ideal.answer.len() == self.out.len() {
            ideal.go_on(now);
        }
    }

    /// Something is written: if no read explains it, then that there is more, or that the time has come.
    fn explain(&mut self, now: Moment) {
        self.go_on(now);
        let Some(ideal) = &mut self.ideal else { return };
        if ideal.answer.len() > self.out.len() {
            return;
        }
        self.by_time = true;
        if !ideal.flush(now) {
            ideal.end(now);
        }
    }

    pub fn shut_down(&mut self, now: Moment) {
        assert_eq!(self.pending, 0, "{}: FIN before what is unsent", self.id);
        self.go_on(now);
        let (until, is_over) = (self.begun_until(), self.is_over(now));
        if let Some(ideal) = &mut self.ideal {
            if ideal.end_reason().is_none() {
                // the rest of a message, or of a character, has not come
                assert!(until <= now || is_over, "{}: it is ended too soon", self.id);
                if until <= now {
                    ideal.flush(now);
                }
                if is_over {
                    ideal.end_text(now);
                }
            }
            assert_eq!(ideal.answer.len(), self.out.len(), "{}: FIN before the whole answer", self.id);
            ideal.leave();
        }
        (self.shut, self.was_over) = (Some(now), is_over);
    }

    /// Whether it has lasted as long as it may.
    fn is_over(&self, now: Moment) -> bool {
        self.limits.max_lifetime.is_some_and(|lifetime| now.since(self.opened) >= lifetime)
    }

    /// Until when the rest of a message that has begun is waited for.
    fn begun_until(&self) -> Moment {
        match (&self.ideal, self.limits.message_timeout) {
            (Some(ideal), Some(wait)) if ideal.due() != Moment::NEVER => ideal.due().max(self.cleared.after(wait)),
            _ => Moment::NEVER,
        }
    }

    /// What holds whenever its worker sleeps; `turned` is when it last turned, `drains` when it learnt of a drain.
    pub fn check_asleep(&mut self, now: Moment, turned: Moment, stopping: &Stopping, drains: Moment) {
        let id = self.id;
        assert!(!self.killed, "{id}: it was to be killed");
        let interest = self.registered.map(|(_, interest)| interest);
        self.is_new = false;
        if self.pending == 0 && interest == Some(Interest::Read) && !self.is_shut() {
            self.catch_up(turned);
        }
        let has_more = self.ideal.as_ref().is_some_and(Ideal::has_more);
        // nobody knows what a link has to say
        let blocked = self.pending > 0 || has_more || (self.ideal.is_none() && interest == Some(Interest::Write));
        // those of a link may be held back
        if self.ideal.is_some() || blocked {
            let wanted = if blocked { Interest::Write } else { Interest::Read };
            assert_eq!(interest, Some(wanted), "{id}: it is not watched for what it waits for");
        }
        let late = |what: &str, since: Moment, wait: Duration| {
            assert!(now < since.after(wait), "{id}: {what}: waited for {:?} of {wait:?}", now.since(since));
        };
        if let Some(shut) = self.shut {
            late("its end", shut, LINGER);
        } else if blocked {
            if let Some(wait) = self.limits.write_timeout {
                late("room to write", self.moved, wait);
            }
        } else {
            if let Some(wait) = self.limits.idle_timeout.filter(|_| self.ideal.is_some()) {
                late("anything", self.moved, wait);
            }
            assert!(now < self.begun_until(), "{id}: the rest of a message was waited for for too long");
            if self.ideal.is_some()
                && let Some(lifetime) = self.limits.max_lifetime
            {
                late("its end of life", self.opened, lifetime);
            }
            // a link that is not needed any more has its time from then on
            if self.ideal.is_some()
                && let Some((_, spread, idle, _)) = stopping.drain
            {
                late("quiet", self.moved.max(self.opened).max(drains.after(spread)), idle);
            }
        }
        if let Some((_, _, _, deadline)) = stopping.drain {
            assert!(now < deadline, "{id}: it outlived the stop");
        }
        let most = self.limits.answers_max() + 12 * (self.limits.buffer_size_max + crate::draw::MESSAGE_MAX) + 1024;
        assert!(self.ideal.is_none() || self.pending <= most, "{id}: {} bytes are kept", self.pending);
    }

    /// What holds once it has ended for `reason`.
    pub fn check_end(&mut self, reason: EndReason, now: Moment, stopping: &Stopping) {
        let id = self.id;
        // what it ended with may have been nothing
        self.go_on(now);
        if let Some(ideal) = &mut self.ideal
            && ideal.end_reason().is_none()
            && ideal.answer.len() == self.out.len()
            && !ideal.flush(now)
        {
            ideal.end(now);
        }
        let waited = |wait: Option<Duration>| {
            self.ideal.is_none() || self.by_time || wait.is_some_and(|wait| now.since(self.moved) >= wait)
        };
        let by_ideal = self.ideal.as_ref().and_then(Ideal::end_reason);
        let is_whole = self.ideal.as_ref().is_none_or(|ideal| ideal.answer.len() == self.out.len());
        match reason {
            EndReason::ClientFin | EndReason::MessageCutShort => {
                assert!(self.ended && is_whole && self.pending == 0 && !self.resets, "{id}: not all was answered");
                assert!(self.ideal.is_none() || by_ideal == Some(reason), "{id}: {reason:?}, not {by_ideal:?}");
            }
            EndReason::MessageTooLong
            | EndReason::BadFrame
            | EndReason::InvalidUtf8
            | EndReason::Unmappable
            | EndReason::BadInput => {
                assert!(self.ideal.is_none() || by_ideal == Some(reason), "{id}: {reason:?}, not {by_ideal:?}");
            }
            EndReason::IdleTimeout => {
                assert!(waited(self.limits.idle_timeout) && is_whole && !self.resets, "{id}: it was not idle");
            }
            EndReason::WriteTimeout => assert!(waited(self.limits.write_timeout), "{id}: it was not stuck"),
            EndReason::HalfClosedTimeout => {
                assert!(
                    waited(self.limits.half_closed_timeout) && self.client.fin,
                    "{id}: it was not stuck, or not ended"
                );
            }
            EndReason::MaxLifetime => {
                assert!(self.was_over || self.is_over(now), "{id}: before its time");
            }
            EndReason::MessageTimeout => assert!(self.is_shut() || self.failed, "{id}: it is not ended in stages"),
            EndReason::ClientReset | EndReason::ClientVanished | EndReason::SocketError => {
                assert!(self.failed, "{id}: {reason:?}, but nothing failed");
            }
            EndReason::Drained => {
                let idle = stopping.drain.as_ref().map(|drain| drain.2);
                assert!(waited(idle) && is_whole && !self.resets, "{id}: it was not quiet");
            }
            EndReason::DrainDeadline => {
                assert!(stopping.drain.as_ref().is_some_and(|drain| now >= drain.3), "{id}: before the deadline");
            }
            EndReason::Stopped => assert!(stopping.stopped, "{id}: nobody said so"),
            EndReason::Killed => assert!(self.killed, "{id}: nobody said so"),
            EndReason::PeerRemoved | EndReason::DuplicateLink | EndReason::ExchangeDone => {
                assert!(self.ideal.is_none(), "{id}: it is no link");
            }
            other => panic!("{id}: {other:?} is nothing that a worker does by itself"),
        }
    }
}
