//! What a connection to a peer has beside any other: what this end said and awaits the answer to, and
//! the loop guard with the answers that it holds back.
//!
//! Which bytes are messages, and how they are answered, is the session's business.

use super::guard::{Guard, Suspicion};
use super::said::{Match, Said};
use crate::deadlines::Moment;
use crate::transform::Template;
use std::collections::VecDeque;
use std::time::Duration;

/// How many texts may await their answers; those before are forgotten.
pub const AWAITED: usize = 64;
/// How long an answer is awaited; what comes later is a message, whatever it says.
const AWAITED_FOR: Duration = Duration::from_secs(120);
/// How many bytes these may have.
const AWAITED_BYTES: usize = 256 * 1024;
/// Bytes of answers that are held back before nothing more is read: at first, and at most, as each time that
/// so many come it is twice as much, so that whoever sends a whole file at once is not slow for long.
const HELD: (usize, usize) = (1 << 20, 16 << 20);
/// Bytes of a message that is told to those who await an answer.
const TOLD: usize = 4096;

/// Who awaits the answer to a greeting.
pub const GREETING: u64 = 0;
/// Who awaits the answer to an answer to the greeting's answer.
pub(crate) const ANSWERED_BACK: u64 = u64::MAX;

/// How a peer is treated once there is a connection that this end dialled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manners {
    /// What it is told first.
    pub greeting: Option<Template>,
    /// Whether the answer to the greeting is answered, once.
    pub answer_back: bool,
    /// Whether the connection ends after one exchange.
    pub once: bool,
    /// Whether answers that go round in a loop are slowed down.
    pub loop_guard: bool,
}

impl Default for Manners {
    fn default() -> Self {
        Manners { greeting: None, answer_back: false, once: false, loop_guard: true }
    }
}

/// Why something cannot be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsayable {
    /// The connection is ending.
    Ending,
    /// Too much that was said before is not taken, or not answered, yet.
    TooMuch,
    /// A long message is just being passed on.
    AmidAMessage,
    /// The other end would read it as several messages.
    SeveralMessages,
}

/// What came of what this end said, or of the guard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// The answer to what was said by somebody.
    Answer {
        /// By whom.
        by: u64,
        /// The answer.
        text: Vec<u8>,
        /// How long it took.
        round_trip: Duration,
    },
    /// Something else, or its beginning, while an answer is awaited by others than the greeting.
    Other(Vec<u8>),
    /// Nothing came while answers were held back, as in a loop, so that they were sent.
    Loop {
        /// How long the next will be held back.
        next: Duration,
    },
}

/// One end of a connection to a peer.
#[derive(Debug)]
pub struct Dialogue {
    manners: Manners,
    dialled: bool,
    guard: Option<Guard>,
    /// Answers that are held back.
    held: Vec<u8>,
    /// How many bytes of them there may be.
    room: usize,
    said: VecDeque<Said>,
    /// What came and may become an answer.
    begun: Vec<u8>,
    /// Whether what is read next was there already, as the last read was full.
    waiting: bool,
    /// Whether something came in lock-step and is not answered yet, as a long message is read in pieces.
    in_step: bool,
    heard: Vec<Heard>,
    /// Whether the answer to the greeting is being answered.
    answering_back: bool,
}

impl Dialogue {
    /// The end that dialled, in `round_trip`, and knows so much of the other from before.
    #[must_use]
    pub fn dialled(manners: Manners, round_trip: Duration, suspicion: Suspicion, now: Moment) -> Dialogue {
        let guard = manners.loop_guard.then(|| Guard::new(round_trip, suspicion, now));
        Dialogue { dialled: true, guard, ..Dialogue::accepted(manners) }
    }

    /// The end that accepted.
    #[must_use]
    pub fn accepted(manners: Manners) -> Dialogue {
        Dialogue {
            manners,
            dialled: false,
            guard: None,
            held: Vec::new(),
            room: HELD.0,
            said: VecDeque::new(),
            begun: Vec::new(),
            waiting: false,
            in_step: false,
            heard: Vec::new(),
            answering_back: false,
        }
    }

    /// What the peer is told first; `listeners` is what any client is told.
    pub(crate) fn greeting<'t>(&'t self, listeners: Option<&'t Template>) -> Option<&'t Template> {
        if self.dialled { self.manners.greeting.as_ref() } else { listeners }
    }

    /// Whether the connection ends after one exchange.
    pub(crate) fn is_once(&self) -> bool {
        self.dialled && self.manners.once
    }

    /// Takes that `text` is said by somebody; our own transform makes `transformed` of it.
    pub(crate) fn say(&mut self, by: u64, text: &[u8], transformed: Vec<u8>, now: Moment) {
        self.said.push_back(Said::new(by, text, transformed, now));
        let bytes = |said: &VecDeque<Said>| said.iter().map(Said::len).sum::<usize>();
        while self.said.len() > AWAITED || (self.said.len() > 1 && bytes(&self.said) > AWAITED_BYTES) {
            self.said.pop_front();
        }
        self.handle_sent(now);
    }

    /// Takes that bytes went out.
    pub(crate) fn handle_sent(&mut self, now: Moment) {
        if let Some(guard) = &mut self.guard {
            guard.handle_sent(now);
        }
    }

    /// Takes out of a text what answers something that was said, from the beginning on; gives what is
    /// left to be answered, which is nothing while it may become an answer, unless this is the `end`.
    pub(crate) fn hear(&mut self, text: &[u8], end: bool, now: Moment) -> Option<Vec<u8>> {
        self.forget(now);
        if self.said.is_empty() && self.begun.is_empty() {
            return None;
        }
        let mut whole = std::mem::take(&mut self.begun);
        whole.extend_from_slice(text);
        let mut rest = &whole[..];
        while !rest.is_empty() {
            let (nth, found) = self.find(rest, end);
            match found {
                Match::Whole(len) => {
                    let (answer, others) = rest.split_at(len);
                    self.said.iter_mut().for_each(Said::reset);
                    if self.take(nth, answer, now) {
                        break;
                    }
                    rest = others;
                }
                Match::Begun => {
                    self.begun = if rest.len() == whole.len() { whole } else { rest.to_vec() };
                    return Some(Vec::new());
                }
                Match::Other => {
                    self.said.iter_mut().for_each(Said::reset);
                    self.tell(rest);
                    break;
                }
            }
        }
        Some(rest.to_vec())
    }

    /// Whether a whole message answers something that was said, and is not to be answered.
    pub(crate) fn hears(&mut self, message: &[u8], now: Moment) -> bool {
        self.forget(now);
        match self.said.iter_mut().position(|said| said.is_answered_by(message)) {
            Some(nth) => !self.take(nth, message, now),
            None => {
                self.tell(message);
                false
            }
        }
    }

    fn forget(&mut self, now: Moment) {
        self.said.retain(|said| now.since(said.at) < AWAITED_FOR);
    }

    /// The first of what was said whose answer `text` begins with, or may become unless this is the `end`.
    fn find(&mut self, text: &[u8], end: bool) -> (usize, Match) {
        let found = self.said.iter_mut().map(|said| said.begins(text)).enumerate();
        let is_it = |found: Match| matches!(found, Match::Whole(_)) || (found == Match::Begun && !end);
        // each is asked, as each has to know how far it has come
        let found: Vec<_> = found.filter(|(_, found)| is_it(*found)).collect();
        found.first().copied().unwrap_or((0, Match::Other))
    }

    /// Takes the answer to the `nth` text that was said; gives whether it is to be answered in its turn.
    fn take(&mut self, nth: usize, answer: &[u8], now: Moment) -> bool {
        // what was said before it has none
        let Some(said) = self.said.drain(..=nth).next_back() else { return false };
        let round_trip = now.since(said.at);
        if let Some(guard) = &mut self.guard {
            guard.handle_round_trip(round_trip);
        }
        self.heard.push(Heard::Answer { by: said.by, text: answer.to_vec(), round_trip });
        self.answering_back = said.by == GREETING && self.dialled && self.manners.answer_back;
        // the answer to that is awaited in turn, but not answered again
        self.manners.answer_back &= !self.answering_back;
        self.answering_back
    }

    /// Whether the answer to the greeting is being answered, so that the answer to that is awaited; said once.
    pub(crate) fn take_answering_back(&mut self) -> bool {
        std::mem::take(&mut self.answering_back)
    }

    /// Tells those who await an answer what came instead.
    fn tell(&mut self, text: &[u8]) {
        // nobody asks in between, so what came is all that this has for an answer
        self.said.retain(|said| said.by != ANSWERED_BACK);
        if self.said.iter().any(|said| said.by != GREETING) {
            self.heard.push(Heard::Other(text.get(..TOLD).unwrap_or(text).to_vec()));
        }
    }

    /// Whether something came that may become an answer.
    pub(crate) fn has_begun(&self) -> bool {
        !self.begun.is_empty()
    }

    /// Takes that a read came, which was `full`; gives whether that shows that the other end lives, so that what
    /// is held back is to be sent.
    pub(crate) fn handle_arrival(&mut self, full: bool, now: Moment) -> bool {
        self.in_step |= !std::mem::replace(&mut self.waiting, full);
        let lives = self.guard.as_mut().is_some_and(|guard| guard.handle_arrival(now));
        if lives {
            self.room = HELD.0;
        }
        lives
    }

    /// Takes that so many messages were answered; gives whether the answers are to be held back.
    pub(crate) fn handle_turn(&mut self, messages: u64, now: Moment) -> bool {
        let waiting = !std::mem::take(&mut self.in_step);
        self.guard.as_mut().is_some_and(|guard| guard.handle_turn(messages, waiting, now))
    }

    /// Holds `answer` back, behind those before it.
    pub(crate) fn hold(&mut self, answer: &[u8]) {
        self.held.extend_from_slice(answer);
    }

    /// Whether answers are held back.
    pub(crate) fn is_holding(&self) -> bool {
        self.guard.as_ref().is_some_and(Guard::is_holding)
    }

    /// Whether so much is held back that nothing more is to be read.
    pub(crate) fn is_full(&self) -> bool {
        self.held.len() >= self.room && self.is_holding()
    }

    /// Until when answers are held back.
    pub(crate) fn held_until(&self) -> Moment {
        self.guard.as_ref().map_or(Moment::NEVER, Guard::until)
    }

    /// Takes that nothing came while answers were held back.
    pub(crate) fn handle_silence(&mut self) {
        if self.is_full() {
            self.room = self.room.saturating_mul(2).min(HELD.1);
        }
        if let Some(guard) = &mut self.guard {
            guard.handle_silence();
            self.heard.push(Heard::Loop { next: guard.next_hold() });
        }
    }

    /// What the guard has learnt of the other end.
    pub(crate) fn suspicion(&self) -> Suspicion {
        self.guard.as_ref().map_or_else(Suspicion::default, Guard::suspicion)
    }

    /// What was held back, which is to be sent.
    pub(crate) fn release(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }

    /// Whether an answer came that nobody was told of yet.
    pub(crate) fn has_heard(&self) -> bool {
        self.heard.iter().any(|heard| matches!(heard, Heard::Answer { .. }))
    }

    /// What came of what was said, and of the guard, since this was asked last.
    pub(crate) fn take_heard(&mut self) -> Vec<Heard> {
        std::mem::take(&mut self.heard)
    }
}
