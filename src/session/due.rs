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

/// How long a connection that is over its time, or not needed any more, may go on without falling quiet.
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
            Due::End(reason) => return self.end_midway(reason, desk, now),
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
        let earliest = |all: &[Option<(Moment, Due)>]| all.iter().flatten().min_by_key(|(moment, _)| *moment).copied();
        match self.stage {
            Stage::Ended { .. } => None,
            Stage::Lingering => after(self.moved, Some(LINGER), Due::Close),
            _ if !self.unsent().is_empty() || (self.is_in_hand() && !self.is_held_up()) => earliest(&self.due_unsent()),
            Stage::Answering | Stage::Ending => None,
            Stage::Open if self.held.is_none() => earliest(&self.due_idle(self.service.limits.idle_timeout)),
            Stage::Open => earliest(&self.due_open()),
        }
    }

    /// The deadlines while something is to be sent, and nothing is read.
    fn due_unsent(&self) -> [Option<(Moment, Due)>; 4] {
        let limits = self.waits();
        let has_ended = match self.end {
            Some(EndReason::ClientFin | EndReason::MessageCutShort) => Some(true),
            _ => self.held.as_ref().and_then(|held| held.ended),
        };
        let half_closed = match has_ended {
            // it would come no sooner than the other
            _ if limits.write_timeout.is_some_and(|wait| limits.half_closed_timeout >= Some(wait)) => None,
            Some(true) => Some(Due::Reset(EndReason::HalfClosedTimeout)),
            None if !self.unsent().is_empty() => Some(Due::Look),
            _ => None,
        };
        let overdue = self.lifetime().map(|lifetime| lifetime.saturating_add(RETIRED));
        [
            self.due_retired(),
            after(self.moved, limits.write_timeout, Due::Reset(EndReason::WriteTimeout)),
            half_closed.and_then(|due| after(self.moved, limits.half_closed_timeout, due)),
            after(self.opened, overdue, Due::Reset(EndReason::MaxLifetime)),
        ]
    }

    /// The deadlines of a connection that may be silent for so long.
    fn due_idle(&self, idle: Option<Duration>) -> [Option<(Moment, Due)>; 2] {
        [
            after(self.moved, idle, Due::Finish(EndReason::IdleTimeout)),
            after(self.opened, self.lifetime(), Due::End(EndReason::MaxLifetime)),
        ]
    }

    /// The deadlines while it is read.
    fn due_open(&self) -> [Option<(Moment, Due)>; 7] {
        let (limits, held, dialogue) = (self.waits(), self.held.as_deref(), self.dialogue());
        // while nothing is read, the rest of a message has no way to come
        let begun = held.and_then(|held| held.begun).filter(|_| !self.is_held_up());
        // what may become an answer is waited for, but not for ever
        let wait = limits.message_timeout.or(dialogue.is_some_and(Dialogue::has_begun).then_some(BEGUN));
        let unfinished = match self.service.framing {
            Framing::Stream => Due::FlushTail,
            Framing::Messages(_) => Due::End(EndReason::MessageTimeout),
        };
        let drain = held.and_then(|held| held.drain);
        // what is not read yet would make a reset of a close
        let drained = if self.is_held_up() { Due::End } else { Due::Finish };
        // a peer may be silent for as long as it likes, and whoever is slowed has no way to be heard
        let idle = limits.idle_timeout.filter(|_| dialogue.is_none() && !self.is_slowed());
        let held_until = dialogue.map(Dialogue::held_until).filter(|until| *until != Moment::NEVER);
        let [silent, old] = self.due_idle(idle);
        [
            self.due_retired(),
            silent,
            old,
            held_until.map(|until| (until, Due::Release)),
            self.slowed_until().map(|until| (until, Due::Resume)),
            begun.and_then(|begun| after(begun, wait, unfinished)),
            drain.map(|(from, idle, reason)| (from.max(self.moved).after(idle), drained(reason))),
        ]
    }

    /// When a connection ends that is not needed any more, and never quiet.
    fn due_retired(&self) -> Option<(Moment, Due)> {
        let (from, _, reason) = self.held.as_ref()?.drain?;
        (reason != EndReason::Drained).then(|| (from.after(RETIRED), Due::Reset(reason)))
    }

    /// How long it may last; a link to a peer, for ever.
    fn lifetime(&self) -> Option<Duration> {
        self.waits().max_lifetime.filter(|_| self.dialogue().is_none())
    }
}

fn after(since: Moment, wait: Option<Duration>, due: Due) -> Option<(Moment, Due)> {
    wait.map(|wait| (since.after(wait), due))
}
