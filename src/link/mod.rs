//! One peer, as a state machine that knows no socket, no clock and no thread: when to dial it, which of
//! two connections to it is kept, and how long to wait after a failure; and, for the session of the
//! connection, how the two ends get on without a protocol ([`Dialogue`]).
//!
//! `handle_*` tell the link what happened in the world, `poll_*` what it wants of the world next.
//!
//! ```text
//!              due                taken: the peer's own connection may be under way
//!   Waiting ─────────► Dialling ─────────► Expecting
//!      ▲                │      │                │ │
//!      │     failed     │      └───► Linked ◄───┘ │ nobody came
//!      ├────────────────┘               │         │
//!      ├────────────────────────────────┘ ended   │
//!      └──────────────────────────────────────────┘
//! ```
//!
//! A connection that the peer made is as good as one that was dialled, whatever the link does meanwhile. Of two
//! connections each end ends the one that it dialled itself: at once if the other's key is lower, and
//! otherwise if the peer does not do so, as it takes this one for a client's (NAT, two families).

mod dialogue;
mod guard;
mod said;

pub(crate) use dialogue::ANSWERED_BACK;
pub use dialogue::{AWAITED, Dialogue, GREETING, Heard, Manners, Unsayable};
pub use guard::Suspicion;

use crate::deadlines::Moment;
use fastrand::Rng;
use std::cmp::Ordering;
use std::time::Duration;

/// How long a link must last for its failures to be forgotten.
const GOOD: Duration = Duration::from_secs(60);
/// How long the peer's own connection is waited for.
const EXPECT: Duration = Duration::from_secs(2);
/// How often in a row it may not come before another port is dialled from: what is in the way is then the
/// rest of an old connection.
const ORPHANS: u32 = 3;
/// How long the peer may take to end a connection that it made, because of one that was dialled.
const GRACE: Duration = Duration::from_secs(3);
/// How many times the shortest wait the first ceiling is: a thousand links that are lost at once come back
/// over three seconds.
const SPREAD: u32 = 3;

/// How long to wait before a peer is dialled again: a random part of a ceiling, which is three times
/// `min` after the first failure, twice as much after each further one, and never more than `max`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// A third of the first ceiling; more than nothing.
    pub min: Duration,
    /// The highest ceiling.
    pub max: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Retry { min: Duration::from_secs(1), max: Duration::from_secs(60) }
    }
}

impl Retry {
    /// The longest wait after so many failures in a row.
    #[must_use]
    pub fn ceiling(&self, failures: u32) -> Duration {
        let factor = 2u32.saturating_pow(failures.saturating_sub(1));
        self.min.saturating_mul(SPREAD).saturating_mul(factor).min(self.max)
    }
}

/// What the link wants of the world next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nothing, until something happens.
    Wait,
    /// Dial the peer: [`Link::handle_dialling`].
    Dial {
        /// Whether from any port, as something is in the way of the right one.
        from_any_port: bool,
    },
    /// End the connection of this number, as there is another: [`Link::handle_ending`].
    End(u64),
}

/// How the link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The next dial is due at a moment.
    Waiting(Moment),
    /// The peer is being dialled.
    Dialling,
    /// The peer's own connection is waited for until a moment.
    Expecting(Moment),
    /// There is a connection.
    Linked,
    /// Its one exchange is done.
    Done,
}

/// A connection to the peer.
#[derive(Debug, Clone)]
struct Connection<K> {
    number: u64,
    key: K,
    since: Moment,
    dialled: bool,
    ending: bool,
}

/// The link to one peer; `K` names a connection in the same order at both of its ends, as a pair of
/// addresses does.
#[derive(Debug)]
pub struct Link<K> {
    retry: Retry,
    rng: Rng,
    stage: Stage,
    since: Moment,
    connections: Vec<Connection<K>>,
    failures: u32,
    orphans: u32,
    /// Whether its one exchange is done, so that it is not dialled again.
    done: bool,
}

impl<K: Ord> Link<K> {
    /// A link that is to be dialled at `now`; `seed` decides how long it waits.
    #[must_use]
    pub fn new(retry: Retry, seed: u64, now: Moment) -> Link<K> {
        Link {
            retry,
            rng: Rng::with_seed(seed),
            stage: Stage::Waiting(now),
            since: now,
            connections: Vec::new(),
            failures: 0,
            orphans: 0,
            done: false,
        }
    }

    /// Takes that it is to wait otherwise from the next failure on, and whether it is for one exchange only.
    pub fn handle_settings(&mut self, retry: Retry, once: bool, now: Moment) {
        self.retry = retry;
        self.done &= once;
        if self.stage == Stage::Done && !self.done {
            self.enter(Stage::Waiting(now), now);
        }
    }

    /// How it is.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// Since when it has been so.
    #[must_use]
    pub fn since(&self) -> Moment {
        self.since
    }

    /// The longest that the next wait may be.
    #[must_use]
    pub fn ceiling(&self) -> Duration {
        self.retry.ceiling(self.failures + 1)
    }

    /// The connection that is kept, if there is one.
    #[must_use]
    pub fn connection(&self) -> Option<u64> {
        let kept = self.connections.iter().filter(|one| !one.ending).min_by(|a, b| a.key.cmp(&b.key));
        kept.map(|one| one.number)
    }

    /// The numbers of all its connections.
    pub fn connections(&self) -> impl Iterator<Item = u64> {
        self.connections.iter().map(|one| one.number)
    }

    /// Takes that the peer is being dialled, as [`Action::Dial`] asked.
    pub fn handle_dialling(&mut self, now: Moment) {
        if matches!(self.stage, Stage::Waiting(_)) {
            self.enter(Stage::Dialling, now);
        }
    }

    /// Takes that the dial failed.
    pub fn handle_failure(&mut self, now: Moment) {
        if self.stage == Stage::Dialling {
            self.wait(now);
        }
    }

    /// Takes that there is a connection of the same two ports already: the peer's own, which has not been
    /// accepted yet, or the rest of an old one.
    pub fn handle_taken(&mut self, now: Moment) {
        if self.stage == Stage::Dialling {
            self.enter(Stage::Expecting(now.after(EXPECT)), now);
        }
    }

    /// Takes that there is a connection to the peer, which was `dialled` or made by the peer.
    pub fn handle_connection(&mut self, number: u64, key: K, dialled: bool, now: Moment) {
        self.connections.push(Connection { number, key, since: now, dialled, ending: false });
        self.orphans = 0;
        if self.stage != Stage::Linked {
            self.enter(Stage::Linked, now);
        }
    }

    /// Takes that a connection is being ended, as [`Action::End`] asked.
    pub fn handle_ending(&mut self, number: u64) {
        if let Some(ended) = self.connections.iter_mut().find(|one| one.number == number) {
            ended.ending = true;
        }
    }

    /// Takes that a connection has ended; `done` says that it was meant to be the last.
    pub fn handle_end(&mut self, number: u64, done: bool, now: Moment) {
        let Some(at) = self.connections.iter().position(|one| one.number == number) else { return };
        let ended = self.connections.swap_remove(at);
        if now.since(ended.since) >= GOOD {
            self.failures = 0;
        }
        self.done |= done;
        if self.connections.is_empty() && self.stage == Stage::Linked {
            if self.done { self.enter(Stage::Done, now) } else { self.wait(now) }
        }
    }

    /// Takes that time has passed; gives whether the peer's own connection was waited for in vain.
    pub fn handle_timeout(&mut self, now: Moment) -> bool {
        let in_vain = matches!(self.stage, Stage::Expecting(until) if until <= now);
        if in_vain {
            self.orphans += 1;
            self.wait(now);
        }
        in_vain
    }

    /// What is wanted next.
    #[must_use]
    pub fn poll_action(&self, now: Moment) -> Action {
        if let Some((_, needless)) = self.needless().filter(|(when, _)| *when <= now) {
            return Action::End(needless);
        }
        match self.stage {
            Stage::Waiting(until) if until <= now => Action::Dial { from_any_port: self.orphans >= ORPHANS },
            _ => Action::Wait,
        }
    }

    /// When to look again, if nothing happens before; [`Moment::NEVER`] when there is no need to.
    #[must_use]
    pub fn poll_timeout(&self) -> Moment {
        match self.stage {
            Stage::Waiting(until) | Stage::Expecting(until) => until,
            Stage::Linked => self.needless().map_or(Moment::NEVER, |(when, _)| when),
            Stage::Dialling | Stage::Done => Moment::NEVER,
        }
    }

    /// The connection that is to be ended next, as there is another, and when.
    ///
    /// One that the peer made is for the peer to end, as it may know of no other. Of one that was dialled the
    /// peer may not know that it is a link, so where the other end has to go, it is given a while for that.
    fn needless(&self) -> Option<(Moment, u64)> {
        let lives = || self.connections.iter().filter(|one| !one.ending);
        let pairs = lives().filter(|one| one.dialled).flat_map(|one| lives().map(move |other| (one, other)));
        let due = pairs.filter_map(|(one, other)| match other.key.cmp(&one.key) {
            Ordering::Less => Some((Moment::from_millis(0), one.number)),
            Ordering::Greater if !other.dialled => Some((one.since.max(other.since).after(GRACE), one.number)),
            Ordering::Equal | Ordering::Greater => None,
        });
        due.min()
    }

    fn wait(&mut self, now: Moment) {
        self.failures = self.failures.saturating_add(1);
        let ceiling = u64::try_from(self.retry.ceiling(self.failures).as_millis()).unwrap_or(u64::MAX);
        let wait = Duration::from_millis(self.rng.u64(0..=ceiling));
        self.enter(Stage::Waiting(now.after(wait)), now);
    }

    fn enter(&mut self, stage: Stage, now: Moment) {
        self.stage = stage;
        self.since = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    fn link() -> Link<u32> {
        Link::new(Retry::default(), 7, at(0))
    }

    /// Dials in vain, and gives how long the next dial is waited for.
    fn fail(link: &mut Link<u32>, now: Moment) -> Duration {
        assert_eq!(link.poll_action(now), Action::Dial { from_any_port: false });
        link.handle_dialling(now);
        link.handle_failure(now);
        link.poll_timeout().since(now)
    }

    #[test]
    fn waits_are_parts_of_a_ceiling_that_doubles() {
        let mut link = link();
        let mut now = at(0);
        for ceiling in [3, 6, 12, 24, 48, 60, 60, 60].map(Duration::from_secs) {
            assert_eq!(link.ceiling(), ceiling);
            let wait = fail(&mut link, now);
            assert!(wait <= ceiling, "{wait:?} is more than {ceiling:?}");
            now = now.after(wait);
        }
    }

    #[test]
    fn failures_are_forgotten_after_a_minute_of_good_link_only() {
        let mut link = link();
        fail(&mut link, at(0));
        link.handle_connection(1, 1, true, at(0));
        link.handle_end(1, false, at(59_999));
        assert_eq!(link.ceiling(), Duration::from_secs(12));
        link.handle_connection(2, 1, true, at(60_000));
        link.handle_end(2, false, at(120_000));
        assert_eq!(link.ceiling(), Duration::from_secs(6), "the end itself is a failure");
    }

    #[test]
    fn of_two_connections_the_one_with_the_lowest_key_is_kept() {
        let mut link = link();
        link.handle_dialling(at(0));
        link.handle_connection(10, 5, true, at(1));
        assert_eq!(link.poll_action(at(1)), Action::Wait);
        link.handle_connection(11, 3, true, at(2));
        assert_eq!(link.poll_action(at(2)), Action::End(10));
        link.handle_ending(10);
        assert_eq!((link.poll_action(at(2)), link.connection()), (Action::Wait, Some(11)));
        link.handle_end(10, false, at(3));
        assert_eq!(link.stage(), Stage::Linked);
        link.handle_end(11, false, at(4));
        assert!(matches!(link.stage(), Stage::Waiting(_)));
    }

    /// r-other: a link that only this end knew was kept, and each that the peer made was ended for it, for ever.
    #[test]
    fn what_the_peer_made_is_for_the_peer_to_end() {
        let mut link = link();
        link.handle_connection(10, 3, true, at(0));
        link.handle_connection(11, 5, false, at(0));
        assert_eq!((link.poll_action(at(0)), link.connection()), (Action::Wait, Some(10)));
        assert_eq!(link.poll_timeout(), at(3000));
        assert_eq!(link.poll_action(at(3000)), Action::End(10), "the peer takes it for a client's");
        link.handle_connection(12, 2, false, at(0));
        assert_eq!((link.poll_action(at(0)), link.connection()), (Action::End(10), Some(12)));
    }

    #[test]
    fn who_expects_a_connection_in_vain_dials_from_another_port_at_last() {
        let mut link = link();
        for _ in 0..3 {
            let now = link.poll_timeout();
            assert_eq!(link.poll_action(now), Action::Dial { from_any_port: false });
            link.handle_dialling(now);
            link.handle_taken(now);
            let now = link.poll_timeout();
            assert!(link.handle_timeout(now));
        }
        let now = link.poll_timeout();
        assert_eq!(link.poll_action(now), Action::Dial { from_any_port: true });
        link.handle_connection(1, 1, true, now);
        link.handle_end(1, false, now);
        assert_eq!(link.poll_action(link.poll_timeout()), Action::Dial { from_any_port: false });
    }

    #[test]
    fn a_thousand_links_that_are_lost_at_once_come_back_over_seconds() {
        let mut windows = [0; 31];
        for seed in 0..1000 {
            let mut link: Link<u32> = Link::new(Retry::default(), seed, at(0));
            link.handle_connection(1, 1, true, at(0));
            link.handle_end(1, false, at(0));
            windows[usize::try_from(link.poll_timeout().as_millis() / 100).unwrap()] += 1;
        }
        assert!(windows.iter().all(|dials| *dials <= 50), "{windows:?}");
    }

    #[test]
    fn what_is_done_is_not_dialled_again() {
        let mut link = link();
        link.handle_dialling(at(0));
        link.handle_connection(1, 1, true, at(0));
        link.handle_end(1, true, at(1));
        assert_eq!((link.stage(), link.poll_action(at(1_000_000))), (Stage::Done, Action::Wait));
        link.handle_connection(2, 1, false, at(2));
        assert_eq!(link.stage(), Stage::Linked, "whom the peer dials");
        link.handle_end(2, false, at(3));
        assert_eq!(link.stage(), Stage::Done);
        link.handle_settings(Retry::default(), true, at(4));
        assert_eq!(link.stage(), Stage::Done);
        link.handle_settings(Retry::default(), false, at(4));
        assert_eq!(link.poll_action(at(4)), Action::Dial { from_any_port: false });
    }
}
