//! What becomes of those who were accepted: they go to a worker, wait for their turn, or are sent away. Who waits takes
//! no place from anybody.
//!
//! Who may come in is said at the entrance; to which worker they go, by the intake.

use super::acceptor::Door;
use super::admission::Admission;
use super::entrance::{Entrance, OnLimit, Refusal, Verdict};
use super::links::Directory;
use super::stream::{Peer, Stream};
use super::throttle::Throttle;
use super::worker::Arrival;
use crate::deadlines::Moment;
use crate::framing::Framing;
use crate::metrics::AcceptCounters;
use crate::session::EndReason;
use crate::sources::Source;
use fastrand::Rng;
use std::sync::Arc;
use std::time::Duration;

/// How many clients may wait for their turn, on descriptors beside those of the others; and how many of them from one
/// source.
pub const WAITING: (usize, usize) = (256, 16);
/// How soon it is seen that one of them may come in.
const WAIT_RETRY: Duration = Duration::from_millis(50);
/// How many refusals for each reason are logged in a second.
const LINES: u32 = 1;

/// What the accepting thread knows of those who have been accepted.
#[derive(Debug)]
pub(super) struct Reception {
    directory: Arc<Directory>,
    counters: Arc<AcceptCounters>,
    /// The sheet that the accepting thread counts on.
    sheet: usize,
    waiting: Vec<Waiting>,
    chance: Rng,
    /// For each reason there is.
    throttles: [Throttle; EndReason::ALL.len()],
}

#[derive(Debug)]
struct Waiting {
    source: Source,
    entrance: Arc<Entrance>,
    arrival: Arrival,
}

impl Reception {
    pub(super) fn new(directory: Arc<Directory>, counters: Arc<AcceptCounters>, sheet: usize) -> Reception {
        let throttles = std::array::from_fn(|_| Throttle::new(LINES));
        Reception { directory, counters, sheet, waiting: Vec::new(), chance: Rng::new(), throttles }
    }

    /// Receives a connection that was accepted at `door` and has taken a place; gives what is to go to a
    /// worker.
    pub(super) fn receive(
        &mut self,
        door: &Door,
        id: u64,
        stream: Stream,
        peer: Peer,
        admission: &Admission,
        now: Moment,
    ) -> Option<Arrival> {
        let service = Arc::clone(&door.service);
        let link = self.directory.find(&service.name, &peer);
        let context = service.wants_context().then(|| Box::new(stream.context(&peer, &service.name, id)));
        let arrival = Arrival { id, stream, peer, service, context, link, visit: None, refusal: None };
        if arrival.link.is_some() {
            return Some(arrival);
        }
        match door.entrance.ask(&arrival.stream, &arrival.peer, admission, now, &mut self.chance) {
            Verdict::Enter(visit) => Some(Arrival { visit, ..arrival }),
            Verdict::Later(source, _) if door.entrance.on_limit() == OnLimit::Wait && self.has_room(source) => {
                admission.leave();
                self.waiting.push(Waiting { source, entrance: Arc::clone(&door.entrance), arrival });
                self.counters.waiting.set(self.waiting.len() as u64);
                None
            }
            Verdict::Later(_, refusal) | Verdict::Refuse(refusal) => {
                self.refuse(arrival, refusal, door.entrance.on_limit(), admission, now)
            }
        }
    }

    /// One of those who wait that has a place now, and may come in or is to be told that it may not; `anyway`, one that
    /// may come in but for its source.
    pub(super) fn next(&mut self, anyway: bool, admission: &Admission, now: Moment) -> Option<Arrival> {
        let mut nth = 0;
        while let Some(Waiting { entrance, arrival, .. }) = self.waiting.get(nth) {
            if arrival.stream.is_gone() {
                let gone = self.take(nth);
                self.count(&gone, EndReason::ClientFin);
                continue;
            }
            if !admission.enter() {
                return None;
            }
            let (verdict, on_limit) = (entrance.ask_again(&arrival.stream, &arrival.peer, now), entrance.on_limit());
            match verdict {
                Verdict::Enter(visit) => return Some(Arrival { visit, ..self.take(nth) }),
                Verdict::Later(..) if anyway => return Some(self.take(nth)),
                Verdict::Later(..) if on_limit == OnLimit::Wait => {
                    admission.leave();
                    nth += 1;
                }
                Verdict::Later(_, refusal) | Verdict::Refuse(refusal) => {
                    let arrival = self.take(nth);
                    let told = self.refuse(arrival, refusal, on_limit, admission, now);
                    if told.is_some() {
                        return told;
                    }
                }
            }
        }
        None
    }

    fn take(&mut self, nth: usize) -> Arrival {
        let arrival = self.waiting.remove(nth).arrival;
        self.counters.waiting.set(self.waiting.len() as u64);
        arrival
    }

    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// When to look for those who wait, if nobody rings before.
    pub(super) fn next_look(&self, now: Moment) -> Option<Moment> {
        (!self.waiting.is_empty()).then(|| now.after(WAIT_RETRY))
    }

    /// Takes other doors, by which those who wait are served from now on.
    pub(super) fn change_doors(&mut self, doors: &[Door]) {
        for Waiting { entrance, arrival, .. } in &mut self.waiting {
            if let Some(door) = doors.iter().find(|door| door.service.name == arrival.service.name) {
                *entrance = Arc::clone(&door.entrance);
                arrival.renew(door);
            }
        }
    }

    fn has_room(&self, source: Source) -> bool {
        let of_source = self.waiting.iter().filter(|waiting| waiting.source == source).count();
        self.waiting.len() < WAITING.0 && of_source < WAITING.1
    }

    /// Sends a client away: by a worker, which tells it why, or at once.
    fn refuse(
        &mut self,
        arrival: Arrival,
        refusal: Refusal,
        on_limit: OnLimit,
        admission: &Admission,
        now: Moment,
    ) -> Option<Arrival> {
        self.tell(&arrival, &refusal, now);
        let has_lines = match &arrival.service.framing {
            Framing::Stream => true,
            Framing::Messages(messages) => messages.names.1 == "line",
        };
        // its place is for those who are let in
        let is_told = on_limit != OnLimit::Reset && has_lines && admission.step_aside();
        if is_told {
            return Some(Arrival { refusal: Some(Box::new(refusal)), ..arrival });
        }
        admission.leave();
        self.count(&arrival, refusal.reason);
        arrival.stream.reset_on_close();
        None
    }

    /// Counts a connection that no worker has seen, and that has ended.
    fn count(&self, arrival: &Arrival, reason: EndReason) {
        let sheet = arrival.service.tally.of(self.sheet);
        sheet.accepted.add(1);
        if let Some(counter) = sheet.closed.get(reason as usize) {
            counter.add(1);
        }
    }

    fn tell(&mut self, arrival: &Arrival, refusal: &Refusal, now: Moment) {
        let Some(throttle) = self.throttles.get_mut(refusal.reason as usize) else { return };
        if let Some(kept_back) = throttle.pass(now) {
            let more = if kept_back > 0 { format!(" ({kept_back} more since the last line)") } else { String::new() };
            let (name, peer, reason) = (&arrival.service.name, &arrival.peer, refusal.reason.word());
            log::info!("{name}: refused {peer}, {reason}: {}{more}", refusal.line);
        }
    }
}
