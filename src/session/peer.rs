//! What a session does otherwise where its other end is a peer: it says things by itself, does not answer
//! their answers, and holds back what goes round in a loop.
//!
//! How an answer is recognised, and a loop, is the business of `link`.

use super::{Desk, EndReason, Session, Stage};
use crate::deadlines::Moment;
use crate::framing::{Framing, Input, Messages, OnLong, Piece, Rest};
use crate::link::{ANSWERED_BACK, Dialogue, Heard, Suspicion, Unsayable};
use crate::transform::{Memories, Scratch, Text};
use std::time::Duration;

/// Bytes that may be unsent when something more is said.
const UNSENT: usize = 64 * 1024;

impl Session {
    /// Takes that the other end is a peer, from now on.
    pub fn handle_link(&mut self, dialogue: Dialogue) {
        self.held().dialogue = Some(Box::new(dialogue));
    }

    /// Takes that the other end is no peer any more, but a client like any other, and gives an answer as
    /// [`handle_input`](Self::handle_input) does: to what might have become one.
    pub fn handle_unlink<'d>(&mut self, desk: &'d mut Desk, now: Moment) -> &'d [u8] {
        let answer = self.answer_begun(desk, now);
        if let Some(held) = &mut self.held {
            held.dialogue = None;
        }
        self.release();
        answer
    }

    /// Says `text` to the peer for somebody, and gives it as [`handle_input`](Self::handle_input) gives
    /// an answer.
    ///
    /// # Errors
    ///
    /// Why it cannot be said.
    pub fn handle_say<'d>(
        &mut self,
        by: u64,
        text: &[u8],
        desk: &'d mut Desk,
        now: Moment,
    ) -> Result<&'d [u8], Unsayable> {
        if self.stage != Stage::Open || self.dialogue().is_none() {
            return Err(Unsayable::Ending);
        }
        if self.unsent().len() > UNSENT {
            return Err(Unsayable::TooMuch);
        }
        let is_passing =
            |framing: &Framing| matches!(framing, Framing::Messages(Messages { on_long: OnLong::Pass, .. }));
        if is_passing(&self.service.framing) && self.held.as_ref().is_some_and(|held| held.rest.is_long()) {
            return Err(Unsayable::AmidAMessage);
        }
        let framed = self.frame_unasked(text, desk);
        match &self.messages_in(framed)[..] {
            [message] if message == text => {}
            _ => return Err(Unsayable::SeveralMessages),
        }
        if self.unsent().is_empty() {
            self.moved = now;
        }
        self.await_answer(by, text, now);
        Ok(self.behind_unsent(framed))
    }

    /// Takes that the connection is to end for `reason` once it was quiet for `idle`: what is under way is
    /// answered, in both directions.
    pub fn handle_retirement(&mut self, reason: EndReason, idle: Duration, now: Moment) {
        self.held().drain = Some((now, idle, reason));
    }

    /// Takes that the connection is to end, with all that came answered, and gives an answer as
    /// [`handle_input`](Self::handle_input) does.
    pub fn handle_end<'d>(&mut self, reason: EndReason, desk: &'d mut Desk, now: Moment) -> &'d [u8] {
        let answer = self.answer_begun(desk, now);
        self.begin_ending(reason);
        answer
    }

    /// Sends what is held back, and answers what might have become an answer itself.
    fn answer_begun<'d>(&mut self, desk: &'d mut Desk, now: Moment) -> &'d [u8] {
        self.send_held_back();
        if self.stage != Stage::Open || !self.dialogue().is_some_and(Dialogue::has_begun) {
            return &[];
        }
        let answer = self.answer(&mut [], true, desk, now);
        self.behind_unsent(answer)
    }

    /// Whether answers are held back, as they go round in a loop.
    #[must_use]
    pub fn is_holding(&self) -> bool {
        self.dialogue().is_some_and(Dialogue::is_holding)
    }

    /// What was learnt of the other end, if it is a peer.
    #[must_use]
    pub fn suspicion(&self) -> Option<Suspicion> {
        self.dialogue().map(Dialogue::suspicion)
    }

    /// What came of what was said to the peer since this was asked last.
    pub fn take_heard(&mut self) -> Vec<Heard> {
        self.dialogue_mut().map_or_else(Vec::new, Dialogue::take_heard)
    }

    /// The texts of the messages that the other end reads `bytes` as, where it frames as this end does.
    pub(super) fn messages_in(&self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let messages = match &self.service.framing {
            Framing::Messages(messages) if messages.in_kind => messages,
            // what it reads is its own affair
            Framing::Messages(_) | Framing::Stream => return vec![bytes.to_vec()],
        };
        let mut copy = bytes.to_vec();
        let mut input = Input::new(Rest::default(), &mut copy, true);
        let mut texts = Vec::new();
        while let Some(piece) = input.next(messages) {
            if let Piece::Message { body, .. } = piece {
                texts.push(body.to_vec());
            }
        }
        texts
    }

    /// What the message that is being answered comes back as, if its answer is awaited in turn.
    pub(super) fn await_answer_back(&mut self, message: &[u8], now: Moment) {
        if self.dialogue_mut().is_some_and(Dialogue::take_answering_back) {
            let answer = self.transformed(message);
            self.await_answer(ANSWERED_BACK, &answer, now);
        }
    }

    /// Takes that the answer to `text` is awaited, by whoever said it.
    pub(super) fn await_answer(&mut self, by: u64, text: &[u8], now: Moment) {
        if self.dialogue().is_none() {
            return;
        }
        let transformed = self.transformed(text);
        if let Some(dialogue) = self.dialogue_mut() {
            dialogue.say(by, text, transformed, now);
        }
    }

    /// What the steps make of a whole text; nothing if they refuse it.
    fn transformed(&self, text: &[u8]) -> Vec<u8> {
        let (mut copy, mut scratch) = (text.to_vec(), Scratch::default());
        let mut transformed = Text::new(&mut copy, &mut scratch);
        let is_refused = self.transform(&mut transformed, &mut Memories::default(), true).is_err();
        if is_refused { Vec::new() } else { transformed.as_bytes().to_vec() }
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
        let lives = dialogue.handle_arrival(full, now);
        if dialogue.take_answering_back() {
            self.await_answer(ANSWERED_BACK, answer, now);
        }
        if lives {
            self.send_held_back();
        }
        let answer = self.mind_answer(answer, messages, now);
        let is_over = |dialogue: &Dialogue| dialogue.is_once() && (dialogue.has_heard() || !answer.is_empty());
        if self.dialogue().is_some_and(is_over) {
            self.begin_ending(EndReason::ExchangeDone);
        }
        answer
    }

    /// Takes that `answer` is to be sent to so many messages, and gives what of it is to be sent now.
    pub(super) fn mind_answer<'d>(&mut self, answer: &'d [u8], messages: u64, now: Moment) -> &'d [u8] {
        let Some(dialogue) = self.dialogue_mut() else { return answer };
        if answer.is_empty() {
            return answer;
        }
        if dialogue.handle_turn(messages, now) {
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
        if let Some(held) = &mut self.held {
            held.begun = held.begun.map(|_| now);
        }
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
    use super::super::tests::{START, answer, at, lines, session, stream};
    use super::*;
    use crate::link::{GREETING, Manners};
    use crate::session::{Action, Limits};
    use crate::transform::{InvalidUtf8, Template};

    /// A session that has dialled and greeted.
    fn greeted(mut session: Session, manners: Manners) -> Session {
        let greeting = Some(Template::parse("Hello").unwrap());
        let dialogue = Dialogue::dialled(Manners { greeting, ..manners }, Duration::ZERO, Suspicion::default(), START);
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
        assert_eq!(session.handle_say(1, b"ask", &mut desk, at(2)), Ok(&b""[..]));
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
    fn what_would_be_read_as_several_messages_is_not_said() {
        let mut desk = Desk::default();
        let mut say = |session: Session, text: &str| {
            let mut session = greeted(session, Manners::default());
            session.handle_say(1, text.as_bytes(), &mut desk, at(1)).map(<[u8]>::to_vec)
        };
        assert_eq!(say(lines(), "a\nb"), Err(Unsayable::SeveralMessages));
        assert_eq!(say(lines(), "a\n"), Err(Unsayable::SeveralMessages));
        assert_eq!(say(lines(), "ab"), Ok(b"ab\n".to_vec()));
        assert_eq!(say(stream(), "a\nb"), Ok(b"a\nb".to_vec()));
    }

    /// A reload, or the end of a duplicate, lost what had come and might have become an answer.
    #[test]
    fn what_might_have_become_an_answer_is_answered_at_the_end() {
        let mut desk = Desk::default();
        let mut session = greeted(stream(), Manners::default());
        answer(&mut session, b"he", at(1));
        assert_eq!(session.handle_unlink(&mut desk, at(2)), b"HE");
        assert!(session.held.is_none());
        let mut session = greeted(stream(), Manners::default());
        answer(&mut session, b"he", at(1));
        assert_eq!(session.handle_end(EndReason::DuplicateLink, &mut desk, at(2)), b"HE");
        assert_eq!(session.poll_action(), Action::ShutDown);
    }

    #[test]
    fn a_link_that_is_not_needed_any_more_ends_once_it_is_quiet_or_after_a_while() {
        let quiet = Duration::from_millis(500);
        let mut session = greeted(stream(), Manners::default());
        session.handle_retirement(EndReason::DuplicateLink, quiet, at(0));
        for now in (400..10_000).step_by(400) {
            assert_eq!(answer(&mut session, b"x", at(now)), "X");
        }
        assert_eq!(session.poll_timeout(), at(10_000));
        let mut session = greeted(stream(), Manners::default());
        session.handle_retirement(EndReason::DuplicateLink, quiet, at(0));
        assert_eq!(answer(&mut session, b"x", at(400)), "X");
        wait(&mut session, at(900));
        assert_eq!(session.end_reason(), Some(EndReason::DuplicateLink));
    }

    #[test]
    fn of_two_texts_the_first_is_answered_first() {
        let mut desk = Desk::default();
        let mut session = greeted(stream(), Manners::default());
        for (by, text) in [(1, "ping"), (2, "pi")] {
            session.handle_say(by, text.as_bytes(), &mut desk, at(1)).unwrap();
        }
        for piece in ["PI", "NGP", "I"] {
            assert_eq!(answer(&mut session, piece.as_bytes(), at(2)), "", "{piece}");
        }
        let by = |heard: Heard| if let Heard::Answer { by, .. } = heard { Some(by) } else { None };
        assert_eq!(session.take_heard().into_iter().map(by).collect::<Vec<_>>(), [Some(1), Some(2)]);
    }

    /// r-hold: the time for the rest of a message went on while nothing was read.
    #[test]
    fn a_message_whose_rest_is_not_read_is_waited_for() {
        let limits = Limits { message_timeout: Some(Duration::from_millis(1500)), ..Limits::default() };
        let mut session = greeted(session("line", "echo", InvalidUtf8::Pass, limits), Manners::default());
        for _ in 0..32 {
            answer(&mut session, b"x\n", at(1));
        }
        let mut now = at(1);
        answer(&mut session, b"l", now);
        // each read ends in the middle of a line
        let read = ["ine\n", &"line\n".repeat(200), "l"].concat();
        for _ in 0..2 {
            while session.poll_action() == Action::Read {
                answer(&mut session, read.as_bytes(), now);
            }
            now = session.poll_timeout();
            assert!(!wait(&mut session, now).is_empty());
        }
        assert_eq!(now, at(3001), "the second hold is longer than the wait");
        assert_eq!(session.end_reason(), None);
    }

    /// r-back: the answer was awaited with its frame, and so never recognised.
    #[test]
    fn the_answer_to_an_answer_is_known_in_every_framing() {
        for (make, end) in [(stream as fn() -> Session, ""), (lines, "\n")] {
            let mut session = greeted(make(), Manners { answer_back: true, ..Manners::default() });
            assert_eq!(answer(&mut session, format!("hello{end}").as_bytes(), at(1)), format!("HELLO{end}"));
            assert_eq!(answer(&mut session, format!("hello{end}").as_bytes(), at(2)), "");
        }
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
            assert_eq!(answer(&mut session, b"z\n", now.after(Duration::from_millis(700))), "");
            assert_eq!(session.unsent(), b"X\nY\nZ\n");
        }
    }

    #[test]
    fn so_much_is_held_back_and_then_nothing_is_read() {
        let mut session = greeted(stream(), Manners::default());
        for _ in 0..32 {
            answer(&mut session, b"x", at(1));
        }
        let (mut now, mut hold) = (at(1), Duration::from_secs(1));
        for room in [1, 2, 4].map(|mib| mib << 20) {
            for _ in 0..room / 65_536 {
                assert_eq!(session.poll_action(), Action::Read);
                answer(&mut session, &[b'x'; 65_536], now);
            }
            now = now.after(hold);
            assert_eq!((session.poll_action(), session.poll_timeout()), (Action::Wait, now));
            assert_eq!(wait(&mut session, now).len(), room);
            hold *= 2;
        }
        assert_eq!(session.poll_action(), Action::Read);
    }

    #[test]
    fn a_stop_that_meets_a_full_hold_sends_what_was_held_and_ends_in_stages() {
        let mut session = greeted(stream(), Manners::default());
        for _ in 0..33 {
            answer(&mut session, b"x", at(1));
        }
        answer(&mut session, &[b'x'; 1 << 20], at(1));
        session.handle_drain(at(1), Duration::from_millis(100));
        assert_eq!((session.poll_action(), session.poll_timeout()), (Action::Wait, at(101)));
        session.handle_timeout(&mut Desk::default(), at(101));
        session.handle_written(session.unsent().len(), at(101));
        assert_eq!((session.poll_action(), session.end_reason()), (Action::ShutDown, Some(EndReason::Drained)));
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
