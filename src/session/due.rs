//! What a session waits for, for how long, and what happens when it waited in vain.
//!
//! What time it is, it is told.

use super::{Desk, EndReason, LINGER, Session, Stage};
use crate::deadlines::Moment;
use crate::framing::Framing;
use crate::link::Dialogue;
use std::time::Duration;

/// How long the rest of what may become an answer is waited for, where nothing else says so.
const BEGUN: Duration = Duration::from_secs(30);

/// How long a connection that is not needed any more may go on without falling quiet.
const RETIRED: Duration = Duration::from_secs(10);

/// What a deadline is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    /// What the steps hold back is given as it is; the connection goes on.
    FlushTail,
    /// What the loop guard holds back is sent.
    Release,
    /// The rates allow that more is read, or answered.
    Resume,
    /// It is answered as at the end of input.
    Finish(EndReason),
    /// It ends although the client may still be sending.
    End(EndReason),
    /// It ends, and what is unsent is dropped.
    Reset(EndReason),
    /// It is looked for the client's end of input.
    Look,
    /// The client was waited for long enough.
    Close,
}

impl Session {
    /// Takes that time has passed, and gives an answer as [`handle_input`](Self::handle_input)
    /// does; does nothing when no deadline is due.
    pub fn handle_timeout<'d>(&mut self, desk: &'d mut Desk, now: Moment) -> &'d [u8] {
        let Some((moment, due)) = self.due() else { return &[] };
        if moment > now {
            return &[];
        }
        match due {
            Due::FlushTail => {
                self.moved = now;
                let answer = self.answer(&mut [], true, desk, now);
                return self.mind_answer(answer, 1, now);
            }
            Due::Release => self.handle_silence(now),
            Due::Resume => self.handle_resume(now),
            Due::Finish(reason) => return self.finish(reason, desk, now),
            Due::End(reason) => self.begin_ending(reason),
            Due::Reset(reason) => self.end_at_once(reason, true),
            Due::Look => self.handle_end_ahead(false),
            Due::Close => self.stage = Stage::Ended { reset: false },
        }
        &[]
    }

    /// Takes that nobody has looked at the connection for long, which is not the client's fault: whatever it is
    /// waited for, it has its time once more, from `now` on.
    pub fn handle_gap(&mut self, now: Moment) {
        self.moved = now;
        if let Some(held) = &mut self.held {
            held.begun = held.begun.map(|_| now);
        }
    }

    /// Takes whether the client has ended its input, which is not read while it takes nothing of its answer.
    pub fn handle_end_ahead(&mut self, has_ended: bool) {
        if let Some(held) = &mut self.held
            && held.sent < held.unsent.len()
        {
            held.ended = Some(has_ended);
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called, if nothing happens before;
    /// [`Moment::NEVER`] when it need not be.
    #[must_use]
    pub fn poll_timeout(&self) -> Moment {
        self.due().map_or(Moment::NEVER, |(moment, _)| moment)
    }

    /// The earliest deadline, and what it is for.
    fn due(&self) -> Option<(Moment, Due)> {
        let limits = self.waits();
        let after = |since: Moment, wait: Option<Duration>, due| wait.map(|wait| (since.after(wait), due));
        // one that is not needed any more, and never quiet
        let retired = self.held.as_ref().and_then(|held| held.drain).filter(|drain| drain.2 != EndReason::Drained);
        let retired = retired.map(|(from, _, reason)| (from.after(RETIRED), Due::Reset(reason)));
        // a peer may stay, and be silent, for as long as it likes
        let is_client = self.dialogue().is_none();
        let lifetime = limits.max_lifetime.filter(|_| is_client);
        match self.stage {
            Stage::Ended { .. } => None,
            Stage::Lingering { .. } => after(self.moved, Some(LINGER), Due::Close),
            _ if !self.unsent().is_empty() || (self.is_in_hand() && !self.is_held_up()) => {
                let ended = if self.stage == Stage::Answering {
                    Some(true)
                } else {
                    self.held.as_ref().and_then(|held| held.ended)
                };
                let half_closed = match ended {
                    _ if limits.half_closed_timeout >= limits.write_timeout && limits.write_timeout.is_some() => None,
                    Some(true) => Some(Due::Reset(EndReason::HalfClosedTimeout)),
                    Some(false) => None,
                    None => Some(Due::Look),
                };
                let half_closed = half_closed.and_then(|due| after(self.moved, limits.half_closed_timeout, due));
                let overdue = lifetime.map(|lifetime| lifetime.saturating_add(RETIRED));
                [
                    retired,
                    after(self.moved, limits.write_timeout, Due::Reset(EndReason::WriteTimeout)),
                    half_closed,
                    after(self.opened, overdue, Due::Reset(EndReason::MaxLifetime)),
                ]
                .into_iter()
                .flatten()
                .min_by_key(|(moment, _)| *moment)
            }
            Stage::Answering | Stage::Ending => None,
            Stage::Open => {
                let held = self.held.as_deref();
                // while nothing is read, the rest of a message has no way to come
                let begun = held.and_then(|held| held.begun).filter(|_| !self.is_held_up());
                // what may become an answer is waited for, but not for ever
                let is_begun = self.dialogue().is_some_and(Dialogue::has_begun);
                let wait = limits.message_timeout.or(is_begun.then_some(BEGUN));
                let unfinished = match self.service.framing {
                    Framing::Stream => Due::FlushTail,
                    Framing::Messages(_) => Due::End(EndReason::MessageTimeout),
                };
                let drain = held.and_then(|held| held.drain);
                // what is not read yet would make a reset of a close
                let drained = if self.is_held_up() { Due::End } else { Due::Finish };
                // whoever is slowed has no way to be heard
                let idle = limits.idle_timeout.filter(|_| is_client && !self.is_slowed());
                let held_until = self.dialogue().map(Dialogue::held_until).filter(|until| *until != Moment::NEVER);
                [
                    retired,
                    after(self.moved, idle, Due::Finish(EndReason::IdleTimeout)),
                    after(self.opened, lifetime, Due::End(EndReason::MaxLifetime)),
                    held_until.map(|until| (until, Due::Release)),
                    self.slowed_until().map(|until| (until, Due::Resume)),
                    begun.and_then(|begun| after(begun, wait, unfinished)),
                    drain.map(|(from, idle, reason)| (from.max(self.moved).after(idle), drained(reason))),
                ]
                .into_iter()
                .flatten()
                .min_by_key(|(moment, _)| *moment)
            }
        }
    }
}
