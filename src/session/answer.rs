//! How a session answers: what it gives to its framing and its steps, and what it makes of what they
//! give back.
//!
//! When it is asked, and what becomes of an answer that the socket refuses, is not known here.

use super::{EndReason, Session};
use crate::deadlines::Moment;
use crate::framing::{Framing, Input, Messages, OnLong, Piece};
use crate::link::GREETING;
use crate::transform::{self, Context, Memories, Occasion, Refusal, Scratch, Text};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// What a desk's buffers may keep between two connections: a whole read, grown threefold.
const DESK_BYTES: usize = 192 * 1024;

/// What a thread lends to each of its sessions in turn: buffers, and the number of the sheets that it
/// counts on.
#[derive(Debug, Default)]
pub struct Desk {
    scratch: Scratch,
    answers: Vec<u8>,
    /// What is left to be answered of a read that came from a peer.
    heard: Vec<u8>,
    worker: usize,
}

impl Desk {
    /// The desk of the worker with this number, from 0.
    #[must_use]
    pub fn new(worker: usize) -> Desk {
        Desk { worker, ..Desk::default() }
    }

    pub(super) fn worker(&self) -> usize {
        self.worker
    }

    fn tidy(&mut self) {
        self.answers.clear();
        self.answers.shrink_to(DESK_BYTES);
        self.heard = Vec::new();
        self.scratch.shrink_to(DESK_BYTES);
    }
}

impl Session {
    /// The greeting, if there is one.
    pub(super) fn greet<'d>(&mut self, desk: &'d mut Desk, now: Moment) -> &'d [u8] {
        let listeners = self.service.greeting.as_ref();
        let greeting = self.dialogue().map_or(listeners, |dialogue| dialogue.greeting(listeners));
        let Some(greeting) = greeting else { return &[] };
        let mut text = Vec::new();
        greeting.write(b"", self.context(), &mut text);
        let framed = self.frame_unasked(&text, desk);
        for message in self.messages_in(framed) {
            self.await_answer(GREETING, &message, now);
        }
        framed
    }

    /// `text`, which answers nothing, as it is sent.
    pub(super) fn frame_unasked<'d>(&self, text: &[u8], desk: &'d mut Desk) -> &'d [u8] {
        desk.tidy();
        match &self.service.framing {
            Framing::Stream => desk.answers.extend_from_slice(text),
            Framing::Messages(messages) => messages.frame_unasked(text, &mut desk.answers),
        }
        &desk.answers
    }

    /// What is answered to `input`, and to what was left of the one before; `end` says that no more comes.
    pub(super) fn answer<'d>(&mut self, input: &'d mut [u8], end: bool, desk: &'d mut Desk, now: Moment) -> &'d [u8] {
        desk.tidy();
        self.renew_if(self.is_between_messages());
        if matches!(self.service.framing, Framing::Stream) {
            return self.answer_text(input, end, desk, now);
        }
        self.answer_messages(input, end, desk, now);
        &desk.answers
    }

    fn answer_text<'d>(&mut self, input: &'d mut [u8], end: bool, desk: &'d mut Desk, now: Moment) -> &'d [u8] {
        let input = match self.hear(input, end, now) {
            None => input,
            Some(rest) => {
                desk.heard = rest;
                &mut desk.heard
            }
        };
        if input.is_empty() && !end {
            // all of it answers what was said, or may do so
            self.messages += 1;
            self.service.tally.of(desk.worker).messages.add(1);
            return &[];
        }
        let mut memories = self.held.as_mut().map(|held| std::mem::take(&mut held.memories)).unwrap_or_default();
        let count = u64::from(!input.is_empty());
        self.messages += count;
        self.service.tally.of(desk.worker).messages.add(count);
        let mut text = Text::new(input, &mut desk.scratch);
        let result = self.transform(&mut text, &mut memories, end);
        if self.held.is_some() || !memories.are_at_rest() {
            let held = self.held();
            held.begun = memories.hold_text().then_some(now);
            held.memories = memories;
        }
        if let Err(refusal) = result {
            if let Refusal::Reply(line) = &refusal {
                // there is no next message to go on with; the line is one whatever came before it
                self.service.tally.of(desk.worker).bad_input.add(1);
                text.append([b"\n", line.as_bytes(), b"\n"].concat().as_slice());
            }
            self.begin_ending(refusal.into());
        }
        self.release();
        text.into_bytes()
    }

    fn answer_messages(&mut self, read: &mut [u8], end: bool, desk: &mut Desk, now: Moment) {
        let held = self.held.as_mut().filter(|held| !held.rest.is_empty());
        let (rest, mut begun) = held.map_or_else(Default::default, |held| (std::mem::take(&mut held.rest), held.begun));
        let mut input = Input::new(rest, read, end);
        let (mut refused, mut count) = (None, 0);
        let most = self.service.limits.answers_max();
        let mut allowed = if end { u64::MAX } else { self.messages_allowed(now) };
        let mut service = Arc::clone(&self.service);
        while refused.is_none()
            && desk.answers.len() < most
            && allowed > 0
            && let Framing::Messages(messages) = &service.framing
            && let Some(piece) = input.next(messages)
        {
            let is_last = piece.is_last();
            allowed -= u64::from(is_last);
            count += u64::from(is_last);
            match piece {
                Piece::Message { body, ending, cut_off } => {
                    begun = None;
                    let body = if cut_off { transform::without_half_a_character(body) } else { body };
                    if self.hears(body, now) {
                        continue;
                    }
                    self.await_answer_back(body, now);
                    refused = self.answer_message(messages, body, ending, desk).err();
                }
                Piece::TooLong(len) => {
                    service.tally.of(desk.worker).too_long.add(1);
                    let untold = messages.frames.longest() < len;
                    match messages.on_long {
                        OnLong::Pass if messages.frames.longest().is_some() && untold => {
                            refused = Some(EndReason::MessageTooLong);
                        }
                        OnLong::Pass => messages.frames.begin(len.unwrap_or(0), &mut desk.answers),
                        OnLong::Close => refused = Some(EndReason::MessageTooLong),
                        OnLong::Truncate | OnLong::Drop => {}
                    }
                }
                Piece::Part(text) => desk.answers.extend_from_slice(text),
                Piece::End(ending) => {
                    begun = None;
                    messages.frames.finish(messages.ending(ending, None), &mut desk.answers);
                }
                Piece::Dropped => begun = None,
                Piece::CutShort => {
                    service.tally.of(desk.worker).cut_short.add(1);
                    if self.end == Some(EndReason::ClientFin) {
                        self.end = Some(EndReason::MessageCutShort);
                    }
                }
                Piece::Malformed => refused = Some(EndReason::BadFrame),
            }
            if is_last && self.held.as_ref().is_some_and(|held| held.next.is_some()) {
                self.renew_if(true);
                service = Arc::clone(&self.service);
            }
        }
        self.messages += count;
        service.tally.of(desk.worker).messages.add(count);
        let rest = input.into_rest();
        if !rest.is_empty() && refused.is_none() {
            let in_hand = desk.answers.len() >= most || allowed == 0;
            let held = self.held();
            (held.rest, held.in_hand, held.begun) = (rest, in_hand, begun.or(Some(now)));
        } else if let Some(held) = &mut self.held {
            (held.in_hand, held.begun) = (false, None);
        }
        if let Some(reason) = refused {
            self.begin_ending(reason);
        }
        self.release();
    }

    /// Answers one message on `desk`, or says why it ends the connection.
    fn answer_message(
        &self,
        messages: &Messages,
        body: &mut [u8],
        ending: &[u8],
        desk: &mut Desk,
    ) -> Result<(), EndReason> {
        let mut text = Text::new(body, &mut desk.scratch);
        match self.transform(&mut text, &mut Memories::default(), true) {
            Ok(()) if text.is_withheld() => {}
            Ok(()) if messages.frames.longest().is_some_and(|most| text.as_bytes().len() as u64 > most) => {
                return Err(EndReason::MessageTooLong);
            }
            Ok(()) => messages.frame(text.as_bytes(), ending, text.ending(), &mut desk.answers),
            Err(Refusal::Reply(line)) => {
                self.service.tally.of(desk.worker).bad_input.add(1);
                messages.frame(line.as_bytes(), ending, text.ending(), &mut desk.answers);
            }
            Err(refusal) => return Err(refusal.into()),
        }
        Ok(())
    }

    /// Takes `text` through the steps. A step that panics ends its connection, and nobody else's.
    pub(super) fn transform(&self, text: &mut Text<'_>, memories: &mut Memories, end: bool) -> Result<(), Refusal> {
        // what a panic left half done is given up
        let steps = AssertUnwindSafe(|| {
            failpoint!("step");
            self.service.pipeline.apply(text, memories, &Occasion { end, context: self.context() })
        });
        catch_unwind(steps).unwrap_or_else(|_| {
            text.give_up();
            *memories = Memories::default();
            Err(Refusal::Panic)
        })
    }

    fn context(&self) -> &Context {
        self.held.as_ref().and_then(|held| held.context.as_deref()).unwrap_or_else(|| Context::nobody())
    }
}
