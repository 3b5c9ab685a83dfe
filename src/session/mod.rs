//! One connection, as a state machine that knows no socket, no clock and no thread: bytes and time
//! go in, answers and the next [`Action`] come out.
//!
//! Methods come in two kinds. `handle_*` tell the session what happened in the world, and what they
//! return is to be written at once. `poll_*` tell what the session wants of the world next; they
//! change nothing, and their answer is good until the next `handle_*`.
//!
//! The session is in one stage at a time:
//!
//! ```text
//!            end of input                 all sent
//!   Open ────────────────────► Answering ──────────► Ended
//!    │  it must end: a limit,            all sent             the client's end,
//!    │  a refused text                  + shut down           64 KiB, or 2 s
//!    ├────────────────────────► Ending ──────────► Lingering ──────────► Ended
//!    └─ quiet for too long, failed, reset ─────────────────────────────► Ended
//! ```
//!
//! *Ending* and *Lingering* are the staged close: closing a socket with unread input makes the
//! kernel send a reset, which may destroy an answer that is still under way (RFC 1122, 4.2.2.13).

mod answer;
mod due;
mod end_reason;
mod pace;
mod peer;
mod renewal;
mod service;

pub use answer::Desk;
pub use end_reason::EndReason;
pub use pace::Rates;
pub use service::{Limits, Service};

use crate::deadlines::Moment;
use crate::framing::{Framing, Rest};
use crate::link::Dialogue;
use crate::transform::{Context, Memories};
use pace::Pace;
use std::sync::Arc;
use std::time::Duration;

/// How long a connection that we ended is still read, so that its last answer arrives.
const LINGER: Duration = Duration::from_secs(2);
/// How many bytes are read and thrown away meanwhile.
const LINGER_BYTES: u32 = 64 * 1024;
/// What the session wants of the world next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Read when there is something to read: [`Session::handle_input`] or
    /// [`Session::handle_end_of_input`].
    Read,
    /// Write [`Session::unsent`] when the client takes it, and read nothing before:
    /// [`Session::handle_written`].
    Write,
    /// When the client takes more, answer more of what was read, and read nothing before:
    /// [`Session::handle_writable`].
    Answer,
    /// Neither read nor write, until a deadline: [`Session::handle_timeout`].
    Wait,
    /// Send FIN: [`Session::handle_shut_down`].
    ShutDown,
    /// Close, with a reset where what is still unsent shall be dropped.
    Close {
        /// Whether to reset the connection.
        reset: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    Answering,
    Ending,
    Lingering,
    Ended { reset: bool },
}

/// What an idle connection does not have.
#[derive(Debug, Default)]
struct Held {
    /// The message that has begun.
    rest: Rest,
    /// Whether there are whole messages in it, too, as those before them had long answers.
    in_hand: bool,
    /// What the steps remember.
    memories: Memories,
    /// When the message began, or the steps' wait for the rest of a character.
    begun: Option<Moment>,
    /// How it is to be served from the next message on.
    next: Option<Arc<Service>>,
    /// Answers that the socket did not take, and how much of them it took since.
    unsent: Vec<u8>,
    sent: usize,
    /// Bytes of answers that were under way when it was last quiet for long.
    under_way: Option<usize>,
    /// Whether the client's end of input waits behind what is not read, if that was looked for since it took
    /// something last.
    ended: Option<bool>,
    /// Since when it is to end once it is quiet, how long quiet lasts, and why.
    drain: Option<(Moment, Duration, EndReason)>,
    /// What there is beside, where the other end is a peer.
    dialogue: Option<Box<Dialogue>>,
    /// What was used of the rates that it is held to.
    pace: Option<Box<Pace>>,
    /// What the steps may say of the connection, where they ask for it.
    context: Option<Box<Context>>,
}

impl Held {
    fn is_empty(&self) -> bool {
        self.rest.is_empty()
            && self.memories.are_at_rest()
            && self.next.is_none()
            && self.unsent.is_empty()
            && self.under_way.is_none()
            && self.drain.is_none()
            && self.dialogue.is_none()
            && self.pace.is_none()
            && self.context.is_none()
    }
}

/// One connection.
#[derive(Debug)]
pub struct Session {
    service: Arc<Service>,
    held: Option<Box<Held>>,
    opened: Moment,
    /// When the last byte came in or went out.
    moved: Moment,
    received: u64,
    sent: u64,
    messages: u64,
    /// Bytes that the next read asks for; once it lingers, all that are still read.
    read_size: u32,
    stage: Stage,
    end: Option<EndReason>,
}

impl Session {
    /// A connection that was opened at `now`; `context` is what its steps may say of it.
    #[must_use]
    pub fn new(service: Arc<Service>, context: Option<Box<Context>>, now: Moment) -> Session {
        Session {
            held: context.map(|context| Box::new(Held { context: Some(context), ..Held::default() })),
            opened: now,
            moved: now,
            received: 0,
            sent: 0,
            messages: 0,
            read_size: u32::try_from(service.limits.buffer_size).unwrap_or(u32::MAX),
            stage: Stage::Open,
            end: None,
            service,
        }
    }

    /// How it is served.
    #[must_use]
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// How it is served, to be shared.
    #[must_use]
    pub fn shared_service(&self) -> &Arc<Service> {
        &self.service
    }

    /// How many bytes the next read should ask for.
    #[must_use]
    pub fn read_size(&self) -> usize {
        let most = self.service.limits.buffer_size_max;
        let most = self.rates().map_or(most, |rates| rates.longest_read().min(most));
        (self.read_size as usize).min(most)
    }

    /// When the connection was opened.
    #[must_use]
    pub fn opened(&self) -> Moment {
        self.opened
    }

    /// Bytes that came from the client.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Bytes that the socket took for the client.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Messages that came from the client; under `stream`, reads.
    #[must_use]
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// When the last byte came in or went out.
    #[must_use]
    pub fn moved(&self) -> Moment {
        self.moved
    }

    /// What it does now, in one word for people: `open`, `reading`, `writing`, `slowed`, `holding`, `ending`.
    #[must_use]
    pub fn state(&self) -> &'static str {
        match (self.stage, self.poll_action()) {
            (Stage::Open, Action::Read | Action::Wait) => match &self.held {
                _ if self.is_slowed() => "slowed",
                Some(held) if held.dialogue.as_ref().is_some_and(|dialogue| dialogue.is_holding()) => "holding",
                Some(held) if held.begun.is_some() => "reading",
                _ => "open",
            },
            (_, Action::Write | Action::Answer) => "writing",
            _ => "ending",
        }
    }

    /// Why it ended, or is about to.
    #[must_use]
    pub fn end_reason(&self) -> Option<EndReason> {
        self.end
    }

    /// Answers that the socket has not taken yet.
    #[must_use]
    pub fn unsent(&self) -> &[u8] {
        self.held.as_ref().and_then(|held| held.unsent.get(held.sent..)).unwrap_or_default()
    }

    /// Takes that the connection is open, and gives the greeting, as
    /// [`handle_input`](Self::handle_input) gives an answer.
    pub fn handle_opened<'d>(&mut self, desk: &'d mut Desk, now: Moment) -> &'d [u8] {
        let greeting = if self.stage == Stage::Open { self.greet(desk, now) } else { &[] };
        self.forget_context();
        self.release();
        greeting
    }

    /// Takes what a read gave, at most [`read_size`](Self::read_size) bytes, and gives the answer,
    /// which is to be written and reported to [`handle_answered`](Self::handle_answered).
    pub fn handle_input<'d>(&mut self, input: &'d mut [u8], desk: &'d mut Desk, now: Moment) -> &'d [u8] {
        let len = input.len();
        self.received += len as u64;
        match self.stage {
            Stage::Open => {
                self.moved = now;
                if let Some(held) = &mut self.held {
                    held.under_way = None;
                }
                let (full, before, worker) = (len >= self.read_size(), self.messages, desk.worker());
                self.adapt_read_size(len);
                let answer = self.answer(input, false, desk, now);
                self.spend(len, self.messages - before, worker, now);
                self.mind_arrival(answer, self.messages - before, full, now)
            }
            Stage::Lingering => {
                self.read_size = self.read_size.saturating_sub(u32::try_from(len).unwrap_or(u32::MAX));
                if self.read_size == 0 {
                    self.stage = Stage::Ended { reset: false };
                }
                &[]
            }
            _ => &[],
        }
    }

    /// Takes the client's end of input (FIN), and gives the last answer, as
    /// [`handle_input`](Self::handle_input) does.
    pub fn handle_end_of_input<'d>(&mut self, desk: &'d mut Desk, now: Moment) -> &'d [u8] {
        match self.stage {
            Stage::Open => self.finish(EndReason::ClientFin, desk, now),
            Stage::Lingering => {
                self.stage = Stage::Ended { reset: false };
                &[]
            }
            _ => &[],
        }
    }

    /// Takes how much of an answer the socket took; the rest is kept, and waits for
    /// [`handle_written`](Self::handle_written).
    pub fn handle_answered(&mut self, answer: &[u8], taken: usize) {
        self.sent += taken.min(answer.len()) as u64;
        if let Some(rest) = answer.get(taken..).filter(|rest| !rest.is_empty()) {
            self.held().unsent.extend_from_slice(rest);
        }
        self.release();
    }

    /// Takes how much of [`unsent`](Self::unsent) the socket took.
    pub fn handle_written(&mut self, taken: usize, now: Moment) {
        if taken > 0 {
            self.moved = now;
        }
        self.sent += taken as u64;
        if let Some(held) = &mut self.held {
            held.sent += taken;
            held.ended = None;
            if let Some(dialogue) = &mut held.dialogue {
                dialogue.handle_sent(now);
            }
            if held.sent >= held.unsent.len() {
                held.unsent = Vec::new();
                held.sent = 0;
                // while nothing was read, the rest of a message had no way to come
                held.begun = held.begun.map(|_| now);
                held.under_way = None;
            }
        }
        self.release();
    }

    /// Takes that the client takes more, and gives more answers, as
    /// [`handle_input`](Self::handle_input) does.
    pub fn handle_writable<'d>(&mut self, desk: &'d mut Desk, now: Moment) -> &'d [u8] {
        if self.poll_action() != Action::Answer {
            return &[];
        }
        self.moved = now;
        let (before, worker) = (self.messages, desk.worker());
        let answer = self.answer(&mut [], self.stage == Stage::Answering, desk, now);
        self.spend(0, self.messages - before, worker, now);
        if self.stage == Stage::Answering { answer } else { self.mind_answer(answer, self.messages - before, now) }
    }

    /// Takes that FIN was sent, as [`Action::ShutDown`] asked.
    pub fn handle_shut_down(&mut self, now: Moment) {
        if self.stage == Stage::Ending {
            self.moved = now;
            (self.stage, self.read_size) = (Stage::Lingering, LINGER_BYTES);
        }
    }

    /// Takes how many bytes of answers are still under way to the client. A connection over which
    /// they become fewer is not quiet, although nothing is read or written; the first time in a
    /// silence that this is asked, there is nothing to compare with, and it counts as not quiet.
    pub fn handle_under_way(&mut self, bytes: usize, now: Moment) {
        if self.stage == Stage::Open && self.unsent().is_empty() {
            let before = self.held.as_ref().and_then(|held| held.under_way);
            if bytes > 0 && before.is_none_or(|before| bytes < before) {
                self.moved = now;
            }
            if bytes > 0 || before.is_some() {
                self.held().under_way = (bytes > 0).then_some(bytes);
                self.release();
            }
        }
    }

    /// Takes that the connection is lost.
    pub fn handle_failure(&mut self, reason: EndReason) {
        self.end_at_once(reason, false);
    }

    /// Takes that the daemon is stopping: the connection ends when it was quiet for `idle` from
    /// `from` on.
    pub fn handle_drain(&mut self, from: Moment, idle: Duration) {
        self.speed_up();
        self.held().drain = Some((from, idle, EndReason::Drained));
    }

    /// Takes that the client is refused, for a reason that it was told at once or not at all.
    pub fn handle_refusal(&mut self, reason: EndReason) {
        self.begin_ending(reason);
    }

    /// Takes that the connection must end now, whatever is still to be sent.
    pub fn handle_stop(&mut self, reason: EndReason) {
        let reset = !self.unsent().is_empty() || self.is_in_hand();
        self.end_at_once(reason, reset);
    }

    /// What is wanted next.
    #[must_use]
    pub fn poll_action(&self) -> Action {
        match self.stage {
            Stage::Ended { reset } => Action::Close { reset },
            _ if !self.unsent().is_empty() => Action::Write,
            Stage::Open if self.is_held_up() => Action::Wait,
            Stage::Open | Stage::Answering if self.is_in_hand() => Action::Answer,
            Stage::Open | Stage::Lingering => Action::Read,
            Stage::Answering => Action::Close { reset: false },
            Stage::Ending => Action::ShutDown,
        }
    }

    /// Answers everything there is; it ends when all is sent. Good only when nothing is unread.
    fn finish<'d>(&mut self, reason: EndReason, desk: &'d mut Desk, now: Moment) -> &'d [u8] {
        self.moved = now;
        self.end = Some(reason);
        self.stage = Stage::Answering;
        self.send_held_back();
        let (before, worker) = (self.messages, desk.worker());
        let answer = self.answer(&mut [], true, desk, now);
        self.spend(0, self.messages - before, worker, now);
        self.behind_unsent(answer)
    }

    /// Reads ask for four times as much when the last one was filled, and for less again when a
    /// quarter would have done.
    fn adapt_read_size(&mut self, len: usize) {
        let limits = &self.service.limits;
        let size = self.read_size();
        let wanted = if len >= size {
            size.saturating_mul(4).min(limits.buffer_size_max)
        } else if len < size / 4 {
            (size / 4).max(limits.buffer_size)
        } else {
            return;
        };
        self.read_size = u32::try_from(wanted).unwrap_or(u32::MAX);
    }

    /// Ends it although the client may still be sending: what is queued is sent first.
    fn begin_ending(&mut self, reason: EndReason) {
        if matches!(self.stage, Stage::Open | Stage::Answering) {
            self.stage = if self.stage == Stage::Open { Stage::Ending } else { Stage::Answering };
            self.end = Some(reason);
            self.send_held_back();
            if let Some(held) = &mut self.held {
                (held.rest, held.in_hand) = (Rest::default(), false);
                held.memories = Memories::default();
                held.begun = None;
            }
        }
    }

    /// Ends it although the client may still be sending: what is held back of a text that is not framed is sent
    /// as it is, and a message that has not come whole is dropped.
    fn end_midway<'d>(&mut self, reason: EndReason, desk: &'d mut Desk, now: Moment) -> &'d [u8] {
        self.send_held_back();
        let is_text = matches!(self.service.framing, Framing::Stream);
        let tail = if is_text { self.answer(&mut [], true, desk, now) } else { &[] };
        self.begin_ending(reason);
        self.behind_unsent(tail)
    }

    fn end_at_once(&mut self, reason: EndReason, reset: bool) {
        if !matches!(self.stage, Stage::Ended { .. }) {
            // once it is ending, what happens to the rest is no longer why
            if !matches!(self.stage, Stage::Ending | Stage::Lingering) {
                self.end = Some(reason);
            }
            self.stage = Stage::Ended { reset };
            self.held = None;
        }
    }

    /// Whether nothing goes on before the rates allow it, or the loop guard lets go of what it holds.
    fn is_held_up(&self) -> bool {
        if self.is_slowed() {
            return true;
        }
        let dialogue = self.dialogue().filter(|dialogue| dialogue.is_holding());
        dialogue.is_some_and(|dialogue| dialogue.is_full() || self.is_in_hand())
    }

    fn is_in_hand(&self) -> bool {
        self.held.as_ref().is_some_and(|held| held.in_hand)
    }

    /// Lets go of what the steps may say of the connection, where none of them does.
    fn forget_context(&mut self) {
        if !self.service.pipeline.wants_context()
            && let Some(held) = &mut self.held
        {
            held.context = None;
        }
    }

    fn held(&mut self) -> &mut Held {
        self.held.get_or_insert_default()
    }

    fn release(&mut self) {
        if self.held.as_ref().is_some_and(|held| held.is_empty()) {
            self.held = None;
        }
    }
}

#[cfg(test)]
mod tests;
