//! What a session does otherwise where its other end is a peer: it says things by itself, does not answer
//! their answers, and holds back what goes round in a loop.
//!
//! How an answer is recognised, and a loop, is the business of `link`.

use super::{Desk, EndReason, Session, Stage};
use crate::deadlines::Moment;
use crate::link::{Dialogue, Heard};
use crate::transform::{Memories, Scratch, Text};

/// Who awaits the answer to an answer to the greeting.
const ANSWERED_BACK: u64 = u64::MAX;

impl Session {
    /// Takes that the other end is a peer, from now on.
    pub fn handle_link(&mut self, dialogue: Dialogue) {
        self.held().dialogue = Some(Box::new(dialogue));
    }

    /// Takes that the other end is no peer any more, but a client like any other.
    pub fn handle_unlink(&mut self) {
        self.send_held_back();
        if let Some(held) = &mut self.held {
            held.dialogue = None;
        }
        self.release();
    }

    /// Says `text` to the peer for somebody, and gives it as [`handle_input`](Self::handle_input) gives
    /// an answer; nothing where the connection is ending.
    pub fn handle_say<'d>(&mut self, by: u64, text: &[u8], desk: &'d mut Desk, now: Moment) -> &'d [u8] {
        if self.stage != Stage::Open || self.dialogue().is_none() {
            return &[];
        }
        self.moved = now;
        self.await_answer(by, text, now);
        let framed = self.frame_unasked(text, desk);
        self.behind_unsent(framed)
    }

    /// Takes that the connection is to end, with all that was said answered.
    pub fn handle_end(&mut self, reason: EndReason) {
        self.begin_ending(reason);
    }

    /// What came of what was said to the peer since this was asked last.
    pub fn take_heard(&mut self) -> Vec<Heard> {
        self.dialogue_mut().map_or_else(Vec::new, Dialogue::take_heard)
    }

    /// Takes that the answer to `text` is awaited, by whoever said it.
    pub(super) fn await_answer(&mut self, by: u64, text: &[u8], now: Moment) {
        if self.dialogue().is_none() {
            return;
        }
        let (mut copy, mut scratch) = (text.to_vec(), Scratch::default());
        let mut transformed = Text::new(&mut copy, &mut scratch);
        let is_refused = self.transform(&mut transformed, &mut Memories::default(), true).is_err();
        let transformed = if is_refused { Vec::new() } else { transformed.as_bytes().to_vec() };
        if let Some(dialogue) = self.dialogue_mut() {
            dialogue.say(by, text, transformed, now);
        }
    }

    /// What of a read is to be answered, where some of it may answer what was said; nothing says that all
    /// of it is.
    pub(super) fn hear(&mut self, input: &[u8], end: bool, now: Moment) -> Option<Vec<u8>> {
        if !self.held.as_ref().is_some_and(|held| held.memories.are_at_rest()) {
            return None;
        }
        let rest = self.dialogue_mut()?.hear(input, end, now);
        let begun = self.dialogue().is_some_and(Dialogue::has_begun);
        if let Some(held) = &mut self.held
            && (begun || rest.is_some())
        {
            held.begun = begun.then_some(now);
        }
        rest
    }

    /// Whether a message answers what was said, so that it is not to be answered.
    pub(super) fn hears(&mut self, message: &[u8], now: Moment) -> bool {
        self.dialogue_mut().is_some_and(|dialogue| dialogue.hears(message, now))
    }

    /// Takes that a read came, of which `answer` is the answer to so many messages; gives what of it is to
    /// be sent now.
    pub(super) fn mind_arrival<'d>(&mut self, answer: &'d [u8], messages: u64, full: bool, now: Moment) -> &'d [u8] {
        let Some(dialogue) = self.dialogue_mut() else { return answer };
        let arrived = dialogue.handle_arrival(full, now);
        if std::mem::take(&mut dialogue.answering_back) {
            self.await_answer(ANSWERED_BACK, answer, now);
        }
        if arrived.lives {
            self.send_held_back();
        }
        let answer = self.mind_answer(answer, messages, arrived.waiting, now);
        let is_over = |dialogue: &Dialogue| dialogue.is_once() && (dialogue.has_heard() || !answer.is_empty());
        if self.dialogue().is_some_and(is_over) {
            self.begin_ending(EndReason::ExchangeDone);
        }
        answer
    }

    /// Takes that `answer` is to be sent to so many messages, and gives what of it is to be sent now.
    pub(super) fn mind_answer<'d>(&mut self, answer: &'d [u8], messages: u64, waiting: bool, now: Moment) -> &'d [u8] {
        let Some(dialogue) = self.dialogue_mut() else { return answer };
        if answer.is_empty() {
            return answer;
        }
        if dialogue.handle_turn(messages, waiting, now) {
            dialogue.hold(answer);
            return &[];
        }
        dialogue.handle_sent(now);
        self.behind_unsent(answer)
    }

    /// `bytes`, if they can be sent now; otherwise they wait behind those that do.
    pub(super) fn behind_unsent<'d>(&mut self, bytes: &'d [u8]) -> &'d [u8] {
        if self.unsent().is_empty() {
            return bytes;
        }
        self.held().unsent.extend_from_slice(bytes);
        &[]
    }

    /// Lets go of answers that were held back; they are sent before all that comes.
    pub(super) fn send_held_back(&mut self) {
        if let Some(held) = &mut self.held
            && let Some(dialogue) = &mut held.dialogue
        {
            held.unsent.append(&mut dialogue.release());
        }
    }

    /// Takes that nothing came while answers were held back.
    pub(super) fn handle_silence(&mut self, now: Moment) {
        if let Some(dialogue) = self.dialogue_mut() {
            dialogue.handle_silence();
            dialogue.handle_sent(now);
        }
        self.moved = now;
        self.send_held_back();
    }

    pub(super) fn dialogue(&self) -> Option<&Dialogue> {
        self.held.as_ref()?.dialogue.as_deref()
    }

    pub(super) fn dialogue_mut(&mut self) -> Option<&mut Dialogue> {
        self.held.as_mut()?.dialogue.as_deref_mut()
    }
}
