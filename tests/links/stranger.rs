//! Peers that are no daemons: somebody who speaks whether he is answered or not, somebody who waits for each
//! answer, a server that answers whatever it hears, and one that says nothing.

use crate::tcp::{HostId, Id, Network, State};
use crate::world::Event;
use shoutd::deadlines::Moment;
use shoutd::session::{Desk, Service, Session};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    /// All lines at once.
    Burst,
    /// A line every 2 ms.
    Feed,
    /// A line every so many milliseconds, long after the answer came.
    Person(u64),
    /// Each line after the answer to the one before.
    LockStep,
    /// Answers everything, as a server without any guard.
    Naive,
    Mute,
}

pub struct Stranger {
    pub host: HostId,
    pub address: SocketAddr,
    pub nature: Nature,
    /// What it says, and what it is to be answered to each.
    pub lines: Vec<(Vec<u8>, Vec<u8>)>,
    /// What it is told first, if it does not dial itself.
    pub greeting: Vec<u8>,
    pub talks: BTreeMap<Id, Talk>,
    /// What it dials itself.
    pub dial: Option<Id>,
    /// What a naive one answers with.
    pub service: Arc<Service>,
    desk: Desk,
}

/// What was said over one connection.
pub struct Talk {
    /// When each line was said.
    pub said: Vec<Moment>,
    pub heard: Vec<u8>,
    /// When how much had come.
    pub came: Vec<(Moment, usize)>,
    pub broken: bool,
    naive: Session,
    unsent: Vec<u8>,
}

/// What such a service answers to each of `lines`, where that does not depend on those before.
pub fn answers(service: &Arc<Service>, lines: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
    let begin = || Session::new(Arc::clone(service), None, Moment::from_millis(0));
    let (mut all, mut desk) = (begin(), Desk::default());
    let mut answer = |session: &mut Session, line: &Vec<u8>| {
        session.handle_input(&mut line.clone(), &mut desk, Moment::from_millis(0)).to_vec()
    };
    let alone = lines.iter().map(|line| {
        let (behind, alone) = (answer(&mut all, line), answer(&mut begin(), line));
        (behind == alone && !alone.is_empty() && all.end_reason().is_none()).then_some(alone)
    });
    let answers = alone.collect::<Option<Vec<_>>>()?;
    all.handle_end_of_input(&mut Desk::default(), Moment::from_millis(0)).is_empty().then_some(answers)
}

impl Stranger {
    pub fn new(host: HostId, address: SocketAddr, nature: Nature, service: Arc<Service>) -> Stranger {
        Stranger {
            host,
            address,
            nature,
            lines: Vec::new(),
            greeting: Vec::new(),
            talks: BTreeMap::new(),
            dial: None,
            service,
            desk: Desk::default(),
        }
    }

    pub fn begin(&mut self, id: Id, net: &mut Network) {
        let talk = Talk {
            said: Vec::new(),
            heard: Vec::new(),
            came: Vec::new(),
            broken: false,
            naive: Session::new(Arc::clone(&self.service), None, net.now),
            unsent: Vec::new(),
        };
        self.talks.insert(id, talk);
        net.wake(id);
        net.schedule(net.now.after(Duration::from_millis(700)), Event::Speak(id));
    }

    pub fn speak(&mut self, id: Id, net: &mut Network) {
        let Some(talk) = self.talks.get_mut(&id).filter(|talk| !talk.broken) else { return };
        let wait = match self.nature {
            Nature::Burst => {
                while talk.said.len() < self.lines.len() {
                    talk.say(id, &self.lines, net);
                }
                return;
            }
            Nature::Feed => 2,
            Nature::Person(wait) => wait,
            Nature::LockStep | Nature::Naive | Nature::Mute => return self.go_on(id, net),
        };
        if talk.said.len() < self.lines.len() {
            talk.say(id, &self.lines, net);
            net.schedule(net.now.after(Duration::from_millis(wait)), Event::Speak(id));
        }
    }

    /// Says the next line, if the answer to the last one has come.
    fn go_on(&mut self, id: Id, net: &mut Network) {
        let Some(talk) = self.talks.get_mut(&id) else { return };
        let answered = self.lines[..talk.said.len()].iter().map(|(_, answer)| answer.len()).sum::<usize>();
        let dialled = net.sockets[id].other.is_some_and(|other| net.sockets[other].dialled);
        let greeted = if dialled { self.greeting.len() } else { 0 };
        if talk.said.len() < self.lines.len() && talk.heard.len() >= greeted + answered {
            talk.say(id, &self.lines, net);
        }
    }

    pub fn wake(&mut self, id: Id, net: &mut Network) {
        let Some(talk) = self.talks.get_mut(&id) else {
            if self.dial == Some(id) && net.sockets[id].state == State::Open {
                self.begin(id, net);
            }
            return;
        };
        talk.flush(id, net);
        if talk.unsent.len() > net.window {
            return;
        }
        let input = net.read(id, 64 * 1024);
        if !input.is_empty() {
            let room = talk.naive.read_size().max(1);
            let len = talk.heard.len() + input.len();
            talk.came.push((net.now, len));
            if self.nature == Nature::Naive {
                for part in input.chunks(room) {
                    let mut part = part.to_vec();
                    let answer = talk.naive.handle_input(&mut part, &mut self.desk, net.now);
                    talk.unsent.extend_from_slice(answer);
                }
                talk.heard = vec![0; len];
            } else {
                talk.heard.extend(input);
            }
            talk.flush(id, net);
        }
        let socket = &net.sockets[id];
        if socket.failure.is_some() || socket.fin {
            talk.broken = true;
            net.close(id, false);
        } else if self.nature == Nature::LockStep {
            self.go_on(id, net);
        }
    }
}

impl Talk {
    fn say(&mut self, id: Id, lines: &[(Vec<u8>, Vec<u8>)], net: &mut Network) {
        let (line, _) = &lines[self.said.len()];
        self.said.push(net.now);
        self.unsent.extend_from_slice(line);
        self.flush(id, net);
    }

    fn flush(&mut self, id: Id, net: &mut Network) {
        let taken = net.write(id, &self.unsent);
        self.unsent.drain(..taken);
    }
}
