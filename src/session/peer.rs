//! What a session does otherwise where its other end is a peer: it says things by itself, does not answer
//! their answers, and holds back what goes round in a loop.
//!
//! How an answer is recognised, and a loop, is the business of `link`.

use super::{Desk, EndReason, Session, Stage};
use crate::deadlines::Moment;
use crate::link::{ANSWERED_BACK, Dialogue, Heard};
use crate::transform::{Memories, Scratch, Text};

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

#[cfg(test)]
mod tests {
    use super::super::tests::{START, answer, at, lines, stream};
    use super::*;
    use crate::link::{GREETING, Manners};
    use crate::session::Action;
    use crate::transform::Template;
    use std::time::Duration;

    /// A session that has dialled and greeted.
    fn greeted(mut session: Session, manners: Manners) -> Session {
        let greeting = Some(Template::parse("Hello").unwrap());
        let dialogue = Dialogue::dialled(Manners { greeting, ..manners }, Duration::ZERO, START);
        session.handle_link(dialogue);
        let mut desk = Desk::default();
        let greeting = session.handle_opened(&mut desk, START).to_vec();
        session.handle_answered(&greeting, greeting.len());
        assert!(greeting.starts_with(b"Hello"));
        session
    }

    fn heard(session: &mut Session) -> Vec<String> {
        let text = |heard| match heard {
            Heard::Answer { by: GREETING, text, .. } => format!("answer {}", String::from_utf8_lossy(&text)),
            other => format!("{other:?}"),
        };
        session.take_heard().into_iter().map(text).collect()
    }

    /// Lets time pass, and gives what is to be sent then.
    fn wait(session: &mut Session, until: Moment) -> String {
        let mut desk = Desk::default();
        let answer = session.handle_timeout(&mut desk, until).to_vec();
        session.handle_answered(&answer, answer.len());
        let unsent = session.unsent().to_vec();
        session.handle_written(unsent.len(), until);
        String::from_utf8_lossy(&[answer, unsent].concat()).into_owned()
    }

    #[test]
    fn an_answer_is_told_and_not_answered_whatever_it_is_cut_into_and_merged_with() {
        for pieces in [&["HELLO"][..], &["hel", "LO"], &["h", "e", "l", "l", "o"], &["Hello"]] {
            let mut session = greeted(stream(), Manners::default());
            for piece in pieces {
                assert_eq!(answer(&mut session, piece.as_bytes(), at(1)), "", "{pieces:?}");
            }
            assert_eq!(heard(&mut session).len(), 1, "{pieces:?}");
            assert_eq!(answer(&mut session, b"hello", at(2)), "HELLO", "only once");
        }
        let mut session = greeted(stream(), Manners::default());
        assert_eq!(answer(&mut session, b"HELLOand more", at(1)), "AND MORE");
        assert_eq!(heard(&mut session), ["answer HELLO"]);
        let mut session = greeted(stream(), Manners::default());
        assert_eq!(answer(&mut session, b"help", at(1)), "HELP");
        assert_eq!(answer(&mut session, b"HELLO", at(2)), "", "the answer may come behind a message");
    }

    #[test]
    fn a_message_is_an_answer_as_a_whole_or_not_at_all() {
        let mut session = greeted(lines(), Manners::default());
        assert_eq!(answer(&mut session, b"hello you\nHEL", at(1)), "HELLO YOU\n");
        assert_eq!(answer(&mut session, b"LO\r\nhello\n", at(1)), "HELLO\n");
        assert_eq!(heard(&mut session), ["answer HELLO"]);
    }

    #[test]
    fn what_only_began_like_an_answer_is_answered_after_a_while() {
        let mut session = greeted(stream(), Manners::default());
        assert_eq!(answer(&mut session, b"he", at(1)), "");
        assert_eq!(session.poll_timeout(), at(30_001), "message_timeout");
        assert_eq!(wait(&mut session, at(30_001)), "HE");
        assert_eq!(answer(&mut session, b"llo", at(30_002)), "LLO");
        let mut desk = Desk::default();
        let mut session = greeted(stream(), Manners::default());
        answer(&mut session, b"he", at(1));
        assert_eq!(session.handle_end_of_input(&mut desk, at(2)), b"HE");
    }

    #[test]
    fn what_is_said_waits_behind_what_is_unsent() {
        let mut session = greeted(stream(), Manners::default());
        let mut desk = Desk::default();
        let mut input = b"x".to_vec();
        let unsent = session.handle_input(&mut input, &mut desk, at(1)).to_vec();
        session.handle_answered(&unsent, 0);
        assert_eq!(session.handle_say(1, b"ask", &mut desk, at(2)), b"");
        assert_eq!(session.unsent(), b"Xask");
    }

    #[test]
    fn an_answer_is_answered_once_where_that_is_wanted() {
        let manners = Manners { answer_back: true, ..Manners::default() };
        let mut session = greeted(stream(), manners.clone());
        assert_eq!(answer(&mut session, b"hello", at(1)), "HELLO");
        assert_eq!(answer(&mut session, b"hello", at(2)), "", "the answer to that is not");
        assert_eq!(session.poll_action(), Action::Read);
        let mut session = greeted(stream(), Manners { once: true, ..manners });
        assert_eq!(answer(&mut session, b"hello", at(1)), "HELLO");
        assert_eq!((session.poll_action(), session.end_reason()), (Action::ShutDown, Some(EndReason::ExchangeDone)));
    }

    #[test]
    fn what_goes_round_is_held_back_longer_and_longer_and_never_lost() {
        for make in [stream, lines] {
            let mut session = greeted(make(), Manners::default());
            for _ in 0..32 {
                assert_eq!(answer(&mut session, b"x\n", at(1)), "X\n");
            }
            let mut now = at(1);
            for hold in [1, 2, 4, 8] {
                assert_eq!(answer(&mut session, b"x\n", now), "");
                assert_eq!(session.state(), "holding");
                now = now.after(Duration::from_secs(hold));
                assert_eq!(session.poll_timeout(), now);
                assert_eq!(wait(&mut session, now), "X\n");
            }
            // it lives
            assert_eq!(answer(&mut session, b"x\n", now), "");
            assert_eq!(answer(&mut session, b"y\n", now.after(Duration::from_millis(500))), "");
            assert_eq!(session.unsent(), b"X\nY\n");
        }
    }

    #[test]
    fn so_much_is_held_back_and_then_nothing_is_read() {
        let mut session = greeted(stream(), Manners::default());
        for _ in 0..32 {
            answer(&mut session, b"x", at(1));
        }
        for _ in 0..64 {
            assert_eq!(session.poll_action(), Action::Read);
            answer(&mut session, &[b'x'; 1024], at(1));
        }
        assert_eq!((session.poll_action(), session.poll_timeout()), (Action::Wait, at(1001)));
        assert_eq!(wait(&mut session, at(1001)).len(), 64 * 1024);
        assert_eq!(session.poll_action(), Action::Read);
    }

    #[test]
    fn what_is_held_back_is_sent_before_the_end() {
        let mut session = greeted(stream(), Manners::default());
        for _ in 0..33 {
            answer(&mut session, b"x", at(1));
        }
        let mut desk = Desk::default();
        assert_eq!(session.handle_end_of_input(&mut desk, at(2)), b"");
        assert_eq!((session.unsent(), session.poll_action()), (&b"X"[..], Action::Write));
        session.handle_written(1, at(2));
        assert_eq!(session.poll_action(), Action::Close { reset: false });
    }
}
