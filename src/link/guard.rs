//! The loop guard: slows down what would go round for ever, and nothing else for long.
//!
//! *A loop needs our answer to go on, and a living sender does not.* So after some turns answers are
//! held back, and it is looked whether the other end says something all the same. If it does, it lives.
//! If not, what was held is sent, as nothing is ever lost, and the next is held twice as long: a loop
//! decays to a whisper, and whoever truly waits for each answer is slow, but served.
//!
//! *One sign of life is none.* The other end's steps may have held back the end of our last answer, as half a
//! character or two thirds of a group of base64, and give it when they have waited for long enough: half a
//! minute after our last byte, and all by itself. But that comes once; who lives goes on.
//!
//! Where both ends dialled (a simultaneous open), both have a guard, and what one holds back looks to the
//! other like a sign of life. That does no harm: the other then answers at once, which tells the first
//! nothing, so the first alone goes on to hold back. Should so much go round at once that the turns of both
//! run out within it, each mistaken sign of life doubles them, until they do not.
//!
//! Where answers are kept meanwhile, and who reads and writes, is not known here.

use crate::deadlines::Moment;
use std::time::Duration;

/// A turn that was said in lock-step, in the unit of which one that already waited costs 1.
const TURN: u32 = 16;
/// Turns that are free, at first and at most.
const CREDIT: (u32, u32) = (32 * TURN, 4096 * TURN);
/// How long after our last byte what comes is no answer to it, at least; and in round trips.
const QUIET: (Duration, u32) = (Duration::from_millis(500), 3);
/// How long answers are held back, at first and at most.
const HOLD: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// What a guard has learnt of the other end, which the next connection to it begins with: else a loop that
/// ends its connection, as messages grow too long in it, would go on at full speed in the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suspicion {
    spent: u32,
    hold: Duration,
}

impl Default for Suspicion {
    fn default() -> Self {
        Suspicion { spent: 0, hold: HOLD.0 }
    }
}

/// The guard of one connection.
#[derive(Debug)]
pub(super) struct Guard {
    credit: u32,
    spent: u32,
    round_trip: Duration,
    /// When our last byte went out.
    sent: Moment,
    /// How long answers will be held back next.
    hold: Duration,
    /// Until when they are.
    until: Moment,
    /// When something came meanwhile that was no answer to our last byte.
    sign: Option<Moment>,
}

impl Guard {
    /// A guard for a connection that took `round_trip` to make.
    pub(super) fn new(round_trip: Duration, suspicion: Suspicion, now: Moment) -> Guard {
        let Suspicion { spent, hold } = suspicion;
        let mut guard =
            Guard { credit: CREDIT.0, spent, round_trip, sent: now, hold, until: Moment::NEVER, sign: None };
        guard.hold = hold.max(guard.first_hold());
        guard
    }

    /// What it has learnt.
    pub(super) fn suspicion(&self) -> Suspicion {
        // turns beyond those that are free at first came by a sign of life
        Suspicion { spent: self.spent.min(CREDIT.0), hold: self.hold }
    }

    /// Takes how long an answer took.
    pub(super) fn handle_round_trip(&mut self, round_trip: Duration) {
        self.round_trip = self.round_trip.max(round_trip.min(HOLD.1 / QUIET.1 / 2));
        self.hold = self.hold.max(self.first_hold());
    }

    /// Takes that something was sent.
    pub(super) fn handle_sent(&mut self, now: Moment) {
        (self.sent, self.sign) = (now, None);
    }

    /// Takes that something came; gives whether that shows that the other end lives, so that what is
    /// held back is to be sent.
    pub(super) fn handle_arrival(&mut self, now: Moment) -> bool {
        if now.since(self.sent) < self.quiet() {
            return false;
        }
        // its pieces may come one after the other
        if self.is_holding() && now.since(*self.sign.get_or_insert(now)) < self.quiet() / QUIET.1 {
            return false;
        }
        if self.is_holding() || self.spent >= self.credit {
            self.credit = self.credit.saturating_mul(2).min(CREDIT.1);
        }
        (self.spent, self.hold, self.until, self.sign) = (0, self.first_hold(), Moment::NEVER, None);
        true
    }

    /// Takes that so many messages were answered, at least one, of which the first was `waiting` already
    /// or came in lock-step; gives whether the answers are to be held back.
    pub(super) fn handle_turn(&mut self, messages: u64, waiting: bool, now: Moment) -> bool {
        if self.spent >= self.credit && !self.is_holding() {
            self.until = now.after(self.hold);
        }
        let first = if waiting { 1 } else { TURN };
        let rest = u32::try_from(messages.saturating_sub(1)).unwrap_or(u32::MAX);
        self.spent = self.spent.saturating_add(first).saturating_add(rest);
        self.is_holding()
    }

    /// Whether answers are held back.
    pub(super) fn is_holding(&self) -> bool {
        self.until != Moment::NEVER
    }

    /// Until when answers are held back; [`Moment::NEVER`] if they are not.
    pub(super) fn until(&self) -> Moment {
        self.until
    }

    /// Takes that nothing came while answers were held back: they are to be sent, and the next held
    /// longer.
    pub(super) fn handle_silence(&mut self) {
        self.until = Moment::NEVER;
        self.hold = self.hold.saturating_mul(2).min(HOLD.1);
    }

    /// How long answers will be held back next.
    pub(super) fn next_hold(&self) -> Duration {
        self.hold
    }

    fn quiet(&self) -> Duration {
        QUIET.0.max(self.round_trip * QUIET.1)
    }

    fn first_hold(&self) -> Duration {
        HOLD.0.max(self.quiet() * 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    fn guard() -> Guard {
        Guard::new(Duration::ZERO, Suspicion::default(), at(0))
    }

    /// Turns in lock-step at `now` until answers are held back.
    fn spend(guard: &mut Guard, now: Moment) -> u32 {
        (0..).find(|_| guard.handle_turn(1, false, now)).unwrap()
    }

    #[test]
    fn a_loop_decays_to_one_exchange_a_minute() {
        let mut guard = guard();
        assert_eq!(spend(&mut guard, at(1)), 32);
        let (mut now, mut holds) = (at(1), Vec::new());
        for _ in 0..9 {
            holds.push(guard.until().since(now).as_secs());
            now = guard.until();
            guard.handle_silence();
            guard.handle_sent(now);
            assert!(!guard.handle_arrival(now.after(Duration::from_millis(1))));
            assert!(guard.handle_turn(1, false, now));
        }
        assert_eq!(holds, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    }

    #[test]
    fn whoever_speaks_without_our_answer_lives_and_gets_twice_the_turns() {
        let mut guard = guard();
        spend(&mut guard, at(1));
        assert!(!guard.handle_arrival(at(499)), "that may be the rest of a long message");
        assert!(!guard.handle_arrival(at(500)), "that may be what its steps held back");
        assert!(!guard.handle_arrival(at(666)), "and that the rest of it");
        assert!(guard.handle_arrival(at(667)));
        assert!(!guard.is_holding());
        guard.handle_sent(at(667));
        assert_eq!(spend(&mut guard, at(668)), 64);
    }

    /// The other end's base64 gave the last byte after 30 s of silence; that was taken for a sign of life, and
    /// the loop went on at full speed, each time with twice the credit.
    #[test]
    fn what_the_other_end_held_back_for_long_is_no_sign_of_life() {
        let mut guard = guard();
        let mut now = at(1);
        spend(&mut guard, now);
        for _ in 0..20 {
            let tail = now.after(Duration::from_secs(30));
            if tail < guard.until() {
                assert!(!guard.handle_arrival(tail));
                assert!(guard.handle_turn(1, false, tail));
            }
            now = guard.until();
            guard.handle_silence();
            guard.handle_sent(now);
            assert!(!guard.handle_arrival(now.after(Duration::from_millis(1))));
            assert!(guard.handle_turn(1, false, now));
        }
        assert_eq!(guard.until().since(now), HOLD.1);
    }

    #[test]
    fn who_takes_his_time_between_two_messages_is_never_held_back() {
        let mut guard = guard();
        for nth in 1..10_000 {
            let now = at(nth * 600);
            assert!(guard.handle_arrival(now));
            assert!(!guard.handle_turn(1, false, now));
            guard.handle_sent(now);
        }
    }

    #[test]
    fn a_slow_network_takes_longer_to_show_life() {
        let mut guard = Guard::new(Duration::from_secs(1), Suspicion::default(), at(0));
        spend(&mut guard, at(1));
        assert_eq!(guard.until(), at(6001));
        assert!(!guard.handle_arrival(at(2999)));
        assert!(!guard.handle_arrival(at(3000)));
        assert!(guard.handle_arrival(at(4000)));
    }

    #[test]
    fn a_loop_that_ends_its_connection_is_known_in_the_next() {
        let (mut suspicion, mut holds) = (Suspicion::default(), Vec::new());
        for _ in 0..6 {
            // as where each message is twice as long as the one before
            let mut guard = Guard::new(Duration::ZERO, suspicion, at(0));
            for _ in 0..17 {
                if guard.handle_turn(1, false, at(1)) {
                    holds.push(guard.until().since(at(1)).as_secs());
                    guard.handle_silence();
                }
            }
            suspicion = guard.suspicion();
        }
        assert_eq!(holds[..8], [1, 2, 4, 8, 16, 32, 60, 60]);
        let mut guard = Guard::new(Duration::ZERO, suspicion, at(0));
        assert!(guard.handle_arrival(at(500)));
        assert_eq!(guard.suspicion(), Suspicion::default(), "a sign of life");
    }

    /// One message that goes round between two guards, each of which takes the other's holding for life.
    #[test]
    fn of_two_guards_one_holds_back_and_the_other_answers_at_once() {
        let mut guards = [0, 0].map(|_| guard());
        let (mut now, mut turns) = (at(0), 0);
        for nth in 0.. {
            let Some(guard) = guards.get_mut(nth % 2) else { unreachable!() };
            guard.handle_arrival(now);
            if guard.handle_turn(1, false, now) {
                now = guard.until();
                guard.handle_silence();
            }
            guard.handle_sent(now);
            turns += 1;
            if now > at(120_000) {
                break;
            }
        }
        assert!(turns < 100, "{turns} turns in two minutes");
        assert_eq!(guards.map(|guard| guard.hold.as_secs()), [60, 1]);
    }

    #[test]
    fn a_burst_costs_a_sixteenth_each() {
        let mut guard = guard();
        assert!(!guard.handle_turn(1 + 31 * 16, false, at(1)));
        assert!(guard.handle_turn(1, true, at(1)));
    }
}
