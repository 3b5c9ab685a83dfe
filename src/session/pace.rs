//! How a session is held to its rates: what came too fast is read, or answered, later. Nobody is
//! ended for it, and nothing is lost.
//!
//! Links to peers are not held to any rate, and neither is who is to be served to the end.

use super::{Desk, EndReason, Session, Stage};
use crate::deadlines::Moment;
use crate::rates::{Bucket, Rate};
use crate::sources::{Shared, Usage};
use std::sync::Arc;

/// How fast messages and bytes may come; `None` is at any rate.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rates {
    /// Messages of a connection; under `stream`, reads.
    pub messages: Option<Rate>,
    /// Bytes of a connection.
    pub bytes: Option<Rate>,
    /// Messages of all connections of a source together.
    pub source_messages: Option<Rate>,
    /// Bytes of all connections of a source together.
    pub source_bytes: Option<Rate>,
}

impl Rates {
    fn is_any(&self) -> bool {
        let Rates { messages, bytes, source_messages, source_bytes } = self;
        [messages, bytes, source_messages, source_bytes].iter().any(|rate| rate.is_some())
    }

    /// Whether connections of a source share any.
    #[must_use]
    pub fn are_shared(&self) -> bool {
        self.source_messages.is_some() || self.source_bytes.is_some()
    }

    /// How many bytes a read may ask for, so that it owes no more than a period's.
    pub(super) fn longest_read(&self) -> usize {
        let least = [self.bytes, self.source_bytes].into_iter().flatten().map(Rate::amount).min();
        least.and_then(|least| usize::try_from(least).ok()).unwrap_or(usize::MAX)
    }

    /// What a connection has used of each rate there is, itself and with those that it shares it with.
    fn each<'u>(
        &self,
        own: &'u mut Usage,
        shared: Option<&'u mut Usage>,
    ) -> impl Iterator<Item = (Rate, &'u mut Bucket, Kind)> {
        let own = [(self.messages, &mut own.messages, Kind::Messages), (self.bytes, &mut own.bytes, Kind::Bytes)];
        let (messages, bytes) = (self.source_messages, self.source_bytes);
        let shared = shared
            .map(|shared| [(messages, &mut shared.messages, Kind::Messages), (bytes, &mut shared.bytes, Kind::Bytes)]);
        let all = own.into_iter().chain(shared.into_iter().flatten());
        all.filter_map(|(rate, bucket, kind)| Some((rate?, bucket, kind)))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Messages,
    Bytes,
}

/// What a session has used of its rates.
#[derive(Debug, Default)]
pub(super) struct Pace {
    own: Usage,
    shared: Option<Arc<Shared>>,
    /// Messages and bytes that were used before they came: who waits has its turn, however many wait with it.
    reserved: (u64, u64),
    /// Until when nothing more is read or answered.
    until: Option<Moment>,
}

impl Session {
    /// Takes what all connections of its source use together.
    pub fn handle_source(&mut self, shared: Arc<Shared>, desk: &Desk, now: Moment) {
        self.held().pace.get_or_insert_default().shared = Some(shared);
        self.wait_for_rates(desk.worker(), now);
    }

    /// Whether it waits for its rates.
    pub(super) fn is_slowed(&self) -> bool {
        self.slowed_until().is_some()
    }

    pub(super) fn slowed_until(&self) -> Option<Moment> {
        self.held.as_ref()?.pace.as_ref()?.until
    }

    /// The rates that it is held to: none, where it is a link, or to be served to the end.
    pub(super) fn rates(&self) -> Option<&Rates> {
        let rates = Some(&self.service.limits.rates).filter(|rates| rates.is_any())?;
        let is_draining = |(.., reason): &(_, _, EndReason)| *reason == EndReason::Drained;
        let held = self.held.as_ref();
        let is_exempt =
            held.is_some_and(|held| held.dialogue.is_some() || held.drain.as_ref().is_some_and(is_draining));
        (!is_exempt).then_some(rates)
    }

    /// How many messages may be answered at once.
    pub(super) fn messages_allowed(&mut self, now: Moment) -> u64 {
        let mut allowed = u64::MAX;
        self.with_rates(|rate, bucket, kind, reserved| {
            if kind == Kind::Messages {
                allowed = allowed.min(reserved.saturating_add(bucket.available(rate, now).into()));
            }
        });
        allowed
    }

    /// Takes that so many bytes came, and messages were answered; what comes next waits if that was too much.
    pub(super) fn spend(&mut self, bytes: usize, messages: u64, worker: usize, now: Moment) {
        if self.rates().is_none() {
            return;
        }
        let bytes = bytes as u64;
        self.with_rates(|rate, bucket, kind, reserved| {
            let used = if kind == Kind::Bytes { bytes } else { messages };
            bucket.take(rate, used.saturating_sub(reserved), now);
        });
        if let Some(pace) = self.held.as_mut().and_then(|held| held.pace.as_mut()) {
            let (before_messages, before_bytes) = pace.reserved;
            pace.reserved = (before_messages.saturating_sub(messages), before_bytes.saturating_sub(bytes));
        }
        self.wait_for_rates(worker, now);
    }

    /// Waits for what is used up, and takes one of it in advance.
    fn wait_for_rates(&mut self, worker: usize, now: Moment) {
        let mut until = now;
        self.with_rates(|rate, bucket, _, reserved| {
            if reserved == 0 {
                until = until.max(bucket.ready(rate, 1, now));
            }
        });
        // whoever has ended, or is ended, says no more
        if until <= now || self.stage != Stage::Open {
            return;
        }
        self.with_rates(|rate, bucket, _, reserved| bucket.take(rate, 1_u64.saturating_sub(reserved), now));
        let pace = self.held().pace.get_or_insert_default();
        (pace.reserved, pace.until) = ((1, 1), Some(until));
        self.service.tally.of(worker).slowed.add(1);
    }

    /// Lets it go on at once.
    pub(super) fn speed_up(&mut self) {
        if let Some(pace) = self.held.as_mut().and_then(|held| held.pace.as_mut()) {
            pace.until = None;
        }
    }

    /// Takes that it may go on: while it waited, nothing had a way to come.
    pub(super) fn handle_resume(&mut self, now: Moment) {
        self.speed_up();
        self.moved = now;
        if let Some(held) = &mut self.held {
            held.begun = held.begun.map(|_| now);
        }
    }

    /// Calls `each` with each rate that holds, what was used of it, and how many were reserved.
    fn with_rates(&mut self, mut each: impl FnMut(Rate, &mut Bucket, Kind, u64)) {
        if self.rates().is_none() {
            return;
        }
        let service = Arc::clone(&self.service);
        let Pace { own, shared, reserved: (messages, bytes), .. } = &mut **self.held().pace.get_or_insert_default();
        let mut shared = shared.as_ref().map(|shared| shared.lock());
        for (rate, bucket, kind) in service.limits.rates.each(own, shared.as_deref_mut()) {
            each(rate, bucket, kind, if kind == Kind::Messages { *messages } else { *bytes });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{START, answer, at, session};
    use super::*;
    use crate::session::{Action, Limits};
    use crate::sources::{PerSource, Source, Sources};
    use crate::transform::InvalidUtf8;
    use std::num::NonZero;
    use std::time::Duration;

    fn rate(amount: u32) -> Option<Rate> {
        Some(Rate::new(NonZero::new(amount).unwrap(), Duration::from_secs(1)))
    }

    fn under(framing: &str, rates: &Rates) -> Session {
        session(framing, "uppercase", InvalidUtf8::Pass, Limits { rates: rates.clone(), ..Limits::default() })
    }

    /// What is answered when it may go on, and when that is.
    fn resume(session: &mut Session) -> (Moment, String) {
        assert_eq!(session.poll_action(), Action::Wait);
        let when = session.poll_timeout();
        let mut desk = Desk::default();
        assert_eq!(session.handle_timeout(&mut desk, when), b"");
        let answer = session.handle_writable(&mut desk, when).to_vec();
        session.handle_answered(&answer, answer.len());
        (when, String::from_utf8(answer).unwrap())
    }

    #[test]
    fn messages_that_come_too_fast_are_answered_later_and_nothing_is_read_meanwhile() {
        let mut session = under("line", &Rates { messages: rate(2), ..Rates::default() });
        assert_eq!(answer(&mut session, b"a\nb\nc\nd\ne", START), "A\nB\n");
        assert_eq!(resume(&mut session), (at(500), "C\n".to_owned()));
        assert_eq!(resume(&mut session), (at(1000), "D\n".to_owned()));
        assert_eq!(resume(&mut session), (at(1500), String::new()));
        assert_eq!(session.poll_action(), Action::Read);
        assert_eq!(answer(&mut session, b"\n", at(1501)), "E\n");
    }

    #[test]
    fn bytes_that_come_too_fast_are_read_later() {
        let mut session = under("stream", &Rates { bytes: rate(100), ..Rates::default() });
        assert_eq!(session.read_size(), 100, "no read owes more than a second");
        assert_eq!(answer(&mut session, &[b'a'; 100], START).len(), 100);
        assert_eq!(resume(&mut session).0, at(10));
        answer(&mut session, &[b'a'; 100], at(10));
        assert_eq!(resume(&mut session).0, at(1010), "what was owed is paid first");
        assert_eq!(session.poll_action(), Action::Read);
    }

    #[test]
    fn connections_of_a_source_wait_for_each_other() {
        let rates = Rates { source_messages: rate(2), ..Rates::default() };
        let sources = Arc::<Sources>::default();
        let visit = |source| sources.enter(Source(source), &PerSource::default(), START).unwrap();
        let visits = [1, 1, 2].map(visit);
        let [mut first, mut second, mut other] = visits.each_ref().map(|visit| {
            let mut session = under("stream", &rates);
            session.handle_source(Arc::clone(visit.shared()), &Desk::default(), START);
            session
        });
        assert_eq!(answer(&mut first, b"a", START), "A");
        assert_eq!(answer(&mut second, b"b", START), "B");
        assert_eq!((first.poll_action(), second.poll_action()), (Action::Read, Action::Wait));
        assert_eq!(answer(&mut other, b"c", START), "C");
        assert_eq!(other.poll_action(), Action::Read);
    }

    /// All who waited were ready at the same moment, and whoever was looked at first had everything, for ever.
    #[test]
    fn of_many_that_wait_each_has_its_turn() {
        let rates = Rates { source_messages: rate(10), ..Rates::default() };
        let sources = Arc::<Sources>::default();
        let visits = [(); 4].map(|()| sources.enter(Source(1), &PerSource::default(), START).unwrap());
        let mut all = visits.each_ref().map(|visit| {
            let mut session = under("line", &rates);
            session.handle_source(Arc::clone(visit.shared()), &Desk::default(), START);
            session
        });
        let mut answered = [0; 4];
        // three say much at once, the last one line at a time
        for (nth, session) in all.iter_mut().enumerate() {
            answered[nth] += answer(session, &b"a\n".repeat(if nth < 3 { 300 } else { 1 }), START).len() / 2;
        }
        let mut desk = Desk::default();
        for millis in 0..8_000 {
            for (nth, session) in all.iter_mut().enumerate() {
                session.handle_timeout(&mut desk, at(millis));
                let text = match session.poll_action() {
                    Action::Answer => session.handle_writable(&mut desk, at(millis)).to_vec(),
                    Action::Read if nth == 3 => {
                        session.handle_input(&mut b"b\n".to_vec(), &mut desk, at(millis)).to_vec()
                    }
                    _ => continue,
                };
                session.handle_answered(&text, text.len());
                answered[nth] += text.len() / 2;
            }
        }
        assert!(answered.iter().all(|count| (15..35).contains(count)), "{answered:?}");
        assert!(answered.iter().sum::<usize>() <= 91, "{answered:?}");
    }

    /// What was owed was looked at after a read only, and who came anew had one for nothing.
    #[test]
    fn who_comes_anew_waits_for_what_its_source_owes() {
        let rates = Rates { source_bytes: rate(10), ..Rates::default() };
        let sources = Arc::<Sources>::default();
        let _stays = sources.enter(Source(1), &PerSource::default(), START).unwrap();
        let come = |millis| {
            let visit = sources.enter(Source(1), &PerSource::default(), at(millis)).unwrap();
            let mut session = under("stream", &rates);
            session.handle_source(Arc::clone(visit.shared()), &Desk::default(), at(millis));
            session
        };
        assert_eq!(answer(&mut come(0), &[b'a'; 10], START).len(), 10);
        let second = come(1);
        assert_eq!((second.poll_action(), second.poll_timeout()), (Action::Wait, at(200)), "behind the first");
    }

    #[test]
    fn who_is_slowed_is_not_idle_and_a_drain_lets_it_go_on() {
        let rates = Rates { messages: rate(1), ..Rates::default() };
        let limits = Limits { rates, idle_timeout: Some(Duration::from_millis(10)), ..Limits::default() };
        let mut session = session("line", "uppercase", InvalidUtf8::Pass, limits);
        assert_eq!(answer(&mut session, b"a\nb\nc\n", START), "A\n");
        assert_eq!(session.poll_timeout(), at(1000), "the rate, and no other deadline");
        session.handle_drain(START, Duration::from_secs(1));
        let mut desk = Desk::default();
        assert_eq!(session.poll_action(), Action::Answer);
        assert_eq!(session.handle_writable(&mut desk, at(1)), b"B\nC\n");
    }
}
