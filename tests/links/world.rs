//! A world: daemons and strangers in a network, what happens to them from outside until it is calm, and what
//! must hold then.

use crate::daemon::{Daemon, Errand, Told};
use crate::draw::READ_MAX;
use crate::stranger::{Nature, Stranger, Talk};
use crate::tcp::{HostId, Id, Inside, Network, State};
use shoutd::deadlines::Moment;
use shoutd::link::Stage;
use shoutd::session::EndReason;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a network that is left alone may take to have all its links.
const SETTLED: Duration = Duration::from_secs(150);
/// How long a loop may take to decay, and then what is said in `WINDOW` is counted.
const DECAYED: Duration = Duration::from_secs(120);
pub const WINDOW: Duration = Duration::from_secs(150);
/// What programs and threads take for an exchange at most, in milliseconds.
const SLACK: u64 = 60;
/// How long a turn lasts.
const TURN: Duration = Duration::from_secs(3);

/// How much one end said.
#[derive(Debug, Default)]
struct Said {
    turns: usize,
    times: usize,
    bytes: usize,
    last: Option<Moment>,
}

#[derive(Debug)]
pub enum Event {
    Inside(Inside),
    /// The listener hands a connection out.
    Accepted(Id),
    Wake(Id),
    Deadline(Id),
    Look(HostId, u32),
    Told(HostId, u32, Told),
    Errand(HostId, u32, Errand),
    Speak(Id),
    Outside(Outside),
}

/// What happens to the world.
#[derive(Debug, Clone)]
pub enum Outside {
    Start(HostId),
    /// A host loses all it has; nothing comes from there then, or refusals.
    Vanish(HostId, bool),
    Cut((HostId, HostId), bool, Duration),
    Say(HostId, usize, Vec<u8>),
    /// A stranger dials a daemon from the port at which it listens.
    Dial(HostId, HostId),
}

pub struct World {
    pub net: Network,
    pub daemons: Vec<Daemon>,
    pub strangers: Vec<Stranger>,
    /// When the last thing happened from outside.
    pub calm: Moment,
    /// Whether connections are broken from outside.
    pub disturbed: bool,
    /// Whether strangers are slowed down when they wait for each answer.
    pub guarded: bool,
    /// Pairs of daemons that have had two connections at once, and for how many looks.
    doubles: Vec<((HostId, HostId), u32)>,
}

impl World {
    pub fn new(mut net: Network, daemons: Vec<Daemon>, strangers: Vec<Stranger>) -> World {
        for daemon in &daemons {
            net.place(daemon.host, &daemon.setup.addresses);
        }
        for stranger in &strangers {
            net.place(stranger.host, &[stranger.address]);
            net.listen(stranger.host, &[stranger.address]);
        }
        World {
            net,
            daemons,
            strangers,
            calm: Moment::from_millis(0),
            disturbed: false,
            guarded: true,
            doubles: Vec::new(),
        }
    }

    pub fn plan(&mut self, at: u64, outside: Outside) {
        let at = Moment::from_millis(at);
        self.calm = self.calm.max(at);
        self.disturbed |= matches!(outside, Outside::Vanish(..) | Outside::Cut(..));
        self.net.schedule(at, Event::Outside(outside));
    }

    pub fn run(&mut self) {
        self.net.listens_from = self.calm.after(DECAYED);
        let end = self.calm.after(SETTLED).max(self.net.listens_from.after(WINDOW));
        let mut look = self.calm;
        while look < end {
            look = look.after(Duration::from_secs(5)).min(end);
            while let Some(event) = self.net.next(look) {
                self.handle(event);
            }
            self.look_for_doubles();
        }
    }

    fn handle(&mut self, event: Event) {
        let net = &mut self.net;
        let strangers = self.daemons.len();
        match event {
            Event::Inside(inside) => net.handle(inside),
            Event::Accepted(id) if net.sockets[id].state != State::Open => {}
            Event::Accepted(id) => match net.sockets[id].host {
                host if host < strangers => self.daemons[host].accept(id, net),
                host => self.strangers[host - strangers].begin(id, net),
            },
            Event::Wake(id) => {
                net.awoken(id);
                match net.sockets[id].host {
                    host if host < strangers => self.daemons[host].wake(id, net),
                    host => self.strangers[host - strangers].wake(id, net),
                }
            }
            Event::Deadline(id) => self.daemons[net.sockets[id].host].handle_deadline(id, net),
            Event::Speak(id) => self.strangers[net.sockets[id].host - strangers].speak(id, net),
            Event::Look(host, life) | Event::Told(host, life, _) | Event::Errand(host, life, _)
                if self.daemons[host].life != life => {}
            Event::Look(host, _) => self.daemons[host].look(net),
            Event::Told(host, _, told) => self.daemons[host].hear(&told, net),
            Event::Errand(host, _, errand) => self.daemons[host].run_errand(&errand, net),
            Event::Outside(outside) => self.happen(outside),
        }
    }

    fn happen(&mut self, outside: Outside) {
        let net = &mut self.net;
        if net.verbose {
            eprintln!("{:>8} {outside:?}", net.now.as_millis());
        }
        match outside {
            Outside::Start(host) if self.daemons[host].running => {}
            Outside::Start(host) => self.daemons[host].start(net),
            Outside::Vanish(host, silent) => self.daemons[host].vanish(silent, net),
            Outside::Cut(ends, v4, wait) => net.cut(ends, v4, net.now.after(wait)),
            Outside::Say(host, nth, text) => self.daemons[host].say(nth, &text, net),
            Outside::Dial(host, daemon) => {
                let to = self.daemons[daemon].setup.addresses[0];
                let stranger = &mut self.strangers[host - self.daemons.len()];
                // it may be linked already
                stranger.dial = net.dial(host, stranger.address, false, to).ok();
            }
        }
    }

    /// The peers of each daemon that are daemons.
    fn links(&self) -> impl Iterator<Item = (HostId, usize, HostId)> {
        self.daemons.iter().flat_map(|daemon| {
            let peers = daemon.setup.peers.iter().enumerate();
            peers.map(|(nth, peer)| (daemon.host, nth, peer.host)).filter(|(_, _, host)| *host < self.daemons.len())
        })
    }

    fn between(&self, a: HostId, b: HostId) -> Vec<Id> {
        let open = self.daemons[a].connections.iter().filter(|(id, connection)| {
            let other = self.net.sockets[**id].other;
            let there = other.filter(|other| self.net.sockets[*other].host == b);
            !connection.ending && there.is_some_and(|other| self.daemons[b].connections.contains_key(&other))
        });
        open.map(|(id, _)| *id).collect()
    }

    fn look_for_doubles(&mut self) {
        let links: Vec<_> = self.links().collect();
        for (a, _, b) in links {
            let looks = match self.doubles.iter().position(|(pair, _)| *pair == (a, b)) {
                Some(at) => &mut self.doubles[at].1,
                None => {
                    self.doubles.push(((a, b), 0));
                    &mut self.doubles.last_mut().unwrap().1
                }
            };
            *looks += 1;
            let looks = *looks;
            let between = self.between(a, b);
            if between.len() < 2 {
                self.doubles.iter_mut().filter(|(pair, _)| *pair == (a, b)).for_each(|(_, looks)| *looks = 0);
            }
            assert!(looks < 8, "{a} and {b} have kept {} connections: {between:?}", between.len());
        }
    }

    pub fn check(&self) {
        self.check_links();
        self.check_decay();
        for stranger in &self.strangers {
            for (id, talk) in &stranger.talks {
                self.check_talk(stranger, *id, talk);
            }
        }
    }

    /// Each daemon has one link to each of its peers, and both ends mean the same one.
    fn check_links(&self) {
        for (a, nth, b) in self.links() {
            let peer = &self.daemons[a].peers[nth];
            let manners = |daemon: HostId| self.daemons[daemon].setup.peers.iter().map(|peer| &peer.manners);
            if manners(a).chain(manners(b)).any(|manners| manners.once) {
                continue;
            }
            let between = self.between(a, b);
            // a text that grows for ever ends its connection at last, and the next one, and the next
            let back = self.daemons[b].setup.peers.iter().position(|peer| peer.host == a);
            let ends = [(a, Some(nth)), (b, back)];
            let broken = ends.map(|(host, nth)| nth.and_then(|nth| self.daemons[host].broken.get(&nth)));
            if broken.into_iter().flatten().any(|broken| self.net.now.since(*broken) < Duration::from_secs(70)) {
                continue;
            }
            assert_eq!(between.len(), 1, "{a} and {b} have the connections {between:?}");
            assert_eq!(peer.link.stage(), Stage::Linked);
            assert_eq!(peer.link.connection(), Some(between[0] as u64), "{a} means another connection to {b}");
            if let Some(back) = back {
                let other = self.net.sockets[between[0]].other.unwrap() as u64;
                assert_eq!(self.daemons[b].peers[back].link.connection(), Some(other), "{b} means another connection");
            }
        }
    }

    /// What nobody asked for ends: of those who have talked for two minutes, none takes a turn more often than
    /// twice a minute. The network cuts what is said in a turn.
    fn check_decay(&self) {
        let most = usize::try_from(WINDOW.as_secs() / 30).unwrap() + 1;
        let mut talks: BTreeMap<Id, Said> = BTreeMap::new();
        for (at, id, bytes) in &self.net.talk {
            if at.since(self.net.sockets[*id].opened) >= DECAYED {
                let said = talks.entry(*id).or_default();
                said.turns += usize::from(said.last.is_none_or(|last| at.since(last) > TURN));
                said.last = Some(*at);
                (said.times, said.bytes) = (said.times + 1, said.bytes + bytes);
            }
        }
        let lives = |host: HostId| {
            let stranger = host.checked_sub(self.daemons.len()).map(|nth| &self.strangers[nth]);
            stranger.is_some_and(|stranger| !stranger.lines.is_empty())
        };
        for (id, said) in talks {
            if self.net.sockets[id].other.is_some_and(|other| lives(self.net.sockets[other].host)) {
                continue;
            }
            let steps = |host: HostId| self.daemons.get(host).map(|daemon| &daemon.setup.service.pipeline);
            let socket = &self.net.sockets[id];
            let far = socket.other.map(|other| self.net.sockets[other].host);
            assert!(
                said.turns <= most + 6 && said.times <= 60 + said.bytes / (READ_MAX / 4),
                "{said:?} over {id} of {} and {far:?}: {:?} and {:?}",
                socket.host,
                steps(socket.host),
                far.map(steps),
            );
        }
    }

    /// Whoever lives is answered all he said, in order, and soon.
    fn check_talk(&self, stranger: &Stranger, id: Id, talk: &Talk) {
        if stranger.lines.is_empty() {
            return;
        }
        // who was dialled by the daemon is greeted, and meets the guard
        let daemon = self.net.sockets[id].other.unwrap();
        let dialled = self.net.sockets[daemon].dialled;
        let greeting = if dialled { &stranger.greeting } else { &[][..] };
        let answers = stranger.lines[..talk.said.len()].iter().flat_map(|(_, answer)| answer);
        let whole: Vec<u8> = greeting.iter().chain(answers).copied().collect();
        assert!(whole.starts_with(&talk.heard), "{id}: what is answered is no beginning of what is to be");
        if talk.broken {
            assert!(self.disturbed, "{id} broke");
            return;
        }
        // the guard has known it from a link before
        if stranger.nature == Nature::LockStep && stranger.talks.keys().next() != Some(&id) {
            return;
        }
        assert_eq!(talk.said.len(), stranger.lines.len(), "{id}: who waits for each answer was not answered");
        assert_eq!(talk.heard.len(), whole.len(), "{id}: an answer was lost");
        if self.disturbed {
            return;
        }
        let round_trip = 2 * (self.net.path.delay + self.net.path.jitter) + SLACK;
        let hold = 1000.max(2 * 500.max(3 * round_trip));
        let most = match stranger.nature {
            _ if !self.guarded || !dialled => round_trip,
            Nature::Person(_) => round_trip,
            Nature::LockStep => 60_000 + round_trip,
            _ => 2 * hold + round_trip,
        };
        let mut end = greeting.len();
        for ((_, answer), said) in stranger.lines.iter().zip(&talk.said) {
            end += answer.len();
            let came = talk.came.iter().find(|(_, len)| *len >= end).unwrap().0;
            let wait = came.since(*said).as_millis();
            assert!(wait <= u128::from(most), "{id}: an answer to {:?} took {wait} ms of {most}", stranger.nature);
        }
    }
}

/// Whether a connection that ended so was broken by what was said over it.
pub fn breaks(reason: EndReason) -> bool {
    matches!(
        reason,
        EndReason::WriteTimeout
            | EndReason::MessageTooLong
            | EndReason::MessageTimeout
            | EndReason::ClientFin
            | EndReason::ClientReset
    )
}
