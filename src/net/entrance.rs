//! Who is let in: by address, by how many of the same source there are and how fast they come, and,
//! once places become few, by chance.
//!
//! What becomes of those who are not is the business of the reception.

use super::admission::Admission;
use super::blocks::Blocks;
use super::stream::{Peer, Stream};
use crate::deadlines::Moment;
use crate::session::EndReason;
use crate::sources::{Excess, PerSource, Source, Sources, Visit};
use fastrand::Rng;
use std::net::Ipv6Addr;
use std::sync::Arc;

/// What becomes of those who are not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnLimit {
    /// They are told why in one line, where the framing has lines or nothing between messages, and closed.
    #[default]
    Tell,
    /// They are reset.
    Reset,
    /// They wait until their source may have one more; who may not come in at all is told.
    Wait,
}

/// Who is let in by a listener.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// Where clients may come from; from anywhere, if empty. Processes of this host, over a UNIX socket, are
    /// not meant.
    pub allow: Blocks,
    /// Where they may not come from, though it is allowed.
    pub deny: Blocks,
    /// What each source may have: an IPv4 address, the first half of an IPv6 address, or a user of this host.
    pub per_source: PerSource,
    /// What becomes of those who are not let in.
    pub on_limit: OnLimit,
    /// Whether, once half of all places are taken, sources of which no message was complete are let in by
    /// chance: the fuller, the less likely (as `MaxStartups` of sshd_config(5) has it).
    pub early_refusal: bool,
}

/// The entrance of one listener.
#[derive(Debug)]
pub struct Entrance {
    options: Options,
    sources: Arc<Sources>,
    /// Whether anybody has to be known by its source.
    counts: bool,
}

/// Why somebody is not let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The one word for it.
    pub reason: EndReason,
    /// What the client is told, without an end.
    pub line: String,
}

/// What is said at the entrance.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It is let in.
    Enter(Option<Box<Visit>>),
    /// It may be later, when its source has fewer connections, or had them longer ago.
    Later(Source, Refusal),
    /// It is not.
    Refuse(Refusal),
}

impl Entrance {
    /// An entrance as `options` says, where `sources` are known; `shares_rates`, if connections of a source are
    /// held to rates together.
    #[must_use]
    pub fn new(options: Options, sources: Arc<Sources>, shares_rates: bool) -> Entrance {
        let counts = options.per_source != PerSource::default() || options.early_refusal || shares_rates;
        Entrance { options, sources, counts }
    }

    /// Where connections come from.
    #[must_use]
    pub fn sources(&self) -> &Arc<Sources> {
        &self.sources
    }

    /// What becomes of those who are not let in.
    #[must_use]
    pub fn on_limit(&self) -> OnLimit {
        self.options.on_limit
    }

    /// Whether a client may come in, of which `chance` decides where it has to.
    pub(super) fn ask(
        &self,
        stream: &Stream,
        peer: &Peer,
        admission: &Admission,
        now: Moment,
        chance: &mut Rng,
    ) -> Verdict {
        let is_stranger = || !self.sources.has_spoken(source_of(stream, peer).0);
        if self.options.early_refusal && is_unlucky(admission, chance) && is_stranger() && !self.denies(peer) {
            let line = "too many connections; try again later".to_owned();
            return Verdict::Refuse(Refusal { reason: EndReason::RefusedEarly, line });
        }
        self.ask_again(stream, peer, now)
    }

    /// Whether a client may come in of which chance has decided before.
    pub(super) fn ask_again(&self, stream: &Stream, peer: &Peer, now: Moment) -> Verdict {
        if self.denies(peer) {
            let line = format!("{} may not connect here", peer.host());
            return Verdict::Refuse(Refusal { reason: EndReason::Denied, line });
        }
        if !self.counts {
            return Verdict::Enter(None);
        }
        let (source, name) = source_of(stream, peer);
        let per_source = &self.options.per_source;
        let excess = match self.sources.enter(source, per_source, now) {
            Ok(visit) => return Verdict::Enter(Some(Box::new(visit))),
            Err(excess) => excess,
        };
        let line = match (excess, per_source) {
            (Excess::Connections, PerSource { connections: Some(most), .. }) => {
                format!("{name} has as many connections as it may have: {most}")
            }
            _ => format!("{name} connects too often; try again later"),
        };
        Verdict::Later(source, Refusal { reason: EndReason::LimitSource, line })
    }

    fn denies(&self, peer: &Peer) -> bool {
        let Options { allow, deny, .. } = &self.options;
        let is_denied = |ip| deny.contain(ip) || !(allow.is_empty() || allow.contain(ip));
        peer.address().is_some_and(|address| is_denied(address.ip()))
    }
}

/// Whether a stranger is to be refused: nobody while half of the places are free, everybody for the last one of
/// three or more.
fn is_unlucky(admission: &Admission, chance: &mut Rng) -> bool {
    // it has a place itself already
    let (open, max) = (admission.open().saturating_sub(1), admission.max());
    let half = max / 2;
    open > half && chance.usize(0..max.saturating_sub(half + 1).max(1)) < open - half
}

/// The source of a connection, and its name for people.
fn source_of(stream: &Stream, peer: &Peer) -> (Source, String) {
    match peer {
        Peer::Ipv4(address) => {
            let ip = address.ip();
            (Source(ip.to_ipv6_mapped().to_bits()), ip.to_string())
        }
        Peer::Ipv6(address) => {
            let network = address.ip().to_bits() & !u128::from(u64::MAX);
            (Source(network), format!("{}/64", Ipv6Addr::from_bits(network)))
        }
        Peer::Unix => {
            // a multicast network is nobody's source
            const USERS: u128 = 0xff << 120;
            let user = stream.user().unwrap_or(u32::MAX);
            (Source(USERS | u128::from(user)), format!("user {user}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::bell::Bell;
    use std::os::unix::net::UnixStream;

    fn source(peer: &str) -> (Source, String) {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let peer = peer.parse().map_or(Peer::Unix, Peer::of);
        source_of(&Stream::new(ours.into()), &peer)
    }

    #[test]
    fn a_source_is_an_ipv4_address_half_of_an_ipv6_address_or_a_user() {
        assert_eq!(source("10.1.2.3:1").1, "10.1.2.3");
        assert_eq!(source("[::ffff:10.1.2.3]:7"), source("10.1.2.3:1"));
        assert_ne!(source("10.1.2.4:1").0, source("10.1.2.3:1").0);
        assert_eq!(source("[2001:db8::1]:1"), source("[2001:db8::ffff:1]:2"));
        assert_eq!(source("[2001:db8::1]:1").1, "2001:db8::/64");
        assert_ne!(source("[2001:db8:0:1::1]:1").0, source("[2001:db8::1]:1").0);
        assert_eq!(source("unix").1, format!("user {}", rustix::process::getuid().as_raw()));
    }

    #[test]
    fn strangers_are_refused_the_more_likely_the_fewer_places_are_left() {
        let admission = Admission::new(100, Arc::new(Bell::new().unwrap()));
        let mut chance = Rng::with_seed(7);
        let mut refused_at = |open: usize| {
            while admission.open() < open {
                admission.enter_anyway();
            }
            (0..1000).filter(|_| is_unlucky(&admission, &mut chance)).count()
        };
        assert_eq!(refused_at(51), 0);
        let (some, many) = (refused_at(61), refused_at(91));
        assert!((150..250).contains(&some) && (750..850).contains(&many), "{some} {many}");
        assert_eq!(refused_at(100), 1000, "the last place is for those who are known");
        let only = Admission::new(1, Arc::new(Bell::new().unwrap()));
        assert!(only.enter() && !is_unlucky(&only, &mut chance), "the only place is for a stranger, too");
    }
}
