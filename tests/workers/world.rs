//! A world: workers, those who bring them connections and orders, and time.

use crate::connection::Connection;
use crate::draw;
use crate::ideal::Ideal;
use crate::system::{Happening, Line, Net, Shared, Sleeper};
use crossbeam_channel::{Receiver, unbounded};
use fastrand::Rng;
use shoutd::link::Suspicion;
use shoutd::metrics::Tally;
use shoutd::net::access::Access;
use shoutd::net::address::Address;
use shoutd::net::admission::Admission;
use shoutd::net::bell::Bell;
use shoutd::net::errands::{Errand, Listed};
use shoutd::net::intake::Intake;
use shoutd::net::links::sheet::Sheet;
use shoutd::net::links::{Linkage, Told};
use shoutd::net::mailbox::Mailbox;
use shoutd::net::orders::{Drain, Orders};
use shoutd::net::stream::Peer;
use shoutd::net::system::Socket;
use shoutd::net::worker::{Arrival, Worker};
use shoutd::session::{EndReason, Service};
use std::cell::RefMut;
use std::collections::BTreeSet;
use std::io;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

const STEPS: usize = 3_000;
/// How many connections there are at once.
const CONNECTIONS: usize = 8;
/// A worker that turns so often at one moment has nothing to do and does it again and again.
const TURNS: usize = 10_000;
const NAMES: [&str; 3] = ["a", "b", "c"];

pub struct World {
    rng: Rng,
    // before what they work on: who is dropped first is not asked what it thinks of that
    workers: Vec<Option<Worker<Sleeper>>>,
    intake: Intake<Line>,
    net: Shared,
    orders: Arc<Orders>,
    services: Vec<Arc<Service>>,
    tallies: Vec<Arc<Tally>>,
    told: Mailbox<Told>,
    /// Links that the thread of the links knows of.
    linked: BTreeSet<u64>,
    listings: Vec<Receiver<Vec<Listed>>>,
    acceptor: Arc<Bell>,
    /// Whether somebody waits for a place.
    waiting: bool,
    /// At which step the stop is ordered, and how many of those who bring connections bring no more.
    stop_at: usize,
    ways_closed: usize,
    served: u64,
    moved: (u64, u64),
    met: BTreeSet<u8>,
}

impl World {
    pub fn new(seed: u64) -> World {
        let mut rng = Rng::with_seed(seed);
        let count = rng.usize(1..3);
        let tallies: Vec<_> = NAMES.iter().map(|_| Arc::new(Tally::new(count))).collect();
        let services = NAMES.iter().zip(&tallies).map(|(name, tally)| draw::service(&mut rng, name, tally)).collect();
        let net: Shared = Rc::new(Net::new(rng.fork(), count, tallies.clone()).into());
        let acceptor = Arc::new(Bell::new().unwrap());
        let max = if rng.bool() { CONNECTIONS } else { rng.usize(1..CONNECTIONS) };
        let admission = Arc::new(Admission::new(max, Arc::clone(&acceptor)));
        let orders = Arc::<Orders>::default();
        let (tell, told) = Mailbox::unbounded(Arc::new(Bell::new().unwrap()));
        let worker = |nth| {
            let (admission, orders) = (Arc::clone(&admission), Arc::clone(&orders));
            Worker::new(Sleeper::new(&net, nth), nth, 1, admission, orders, Arc::<Access>::default(), tell.clone())
        };
        let workers: Vec<_> = (0..count).map(worker).collect();
        let intake = Intake::new(workers.iter().map(Worker::handle).collect(), admission);
        orders.serve(Arc::from(&services as &[_]));
        let stop_at = if rng.bool() { rng.usize(0..STEPS) } else { STEPS };
        World {
            rng,
            workers: workers.into_iter().map(Some).collect(),
            intake,
            net,
            orders,
            services,
            tallies,
            told,
            linked: BTreeSet::new(),
            listings: Vec::new(),
            acceptor,
            waiting: false,
            stop_at,
            ways_closed: 0,
            served: 0,
            moved: (0, 0),
            met: BTreeSet::new(),
        }
    }

    /// Runs to the end; gives the reasons for which connections ended.
    pub fn run(mut self) -> Vec<EndReason> {
        for step in 0..STEPS {
            if step == self.stop_at {
                self.order_stop();
            }
            self.act();
            self.turn_all(true);
            if self.workers.iter().all(Option::is_none) {
                break;
            }
        }
        self.conclude();
        self.met.iter().map(|reason| EndReason::ALL[usize::from(*reason)]).collect()
    }

    fn net(&self) -> RefMut<'_, Net> {
        self.net.borrow_mut()
    }

    fn tell(&self, what: &'static str, about: usize) {
        self.net().tell(0, Happening::World(what, about));
    }

    fn is_stopping(&self) -> bool {
        let net = self.net.borrow();
        net.stopping.drain.is_some() || net.stopping.stopped
    }

    /// One thing happens outside.
    fn act(&mut self) {
        match self.rng.u32(0..1000) {
            0..60 => self.arrive(),
            60..70 => self.link(),
            70..700 => self.client_acts(),
            700..900 => self.pass(60),
            // less than a gap, after which everybody has more time (`net/worker/gaps`)
            900..910 => self.pass(400),
            910..920 => self.reload(),
            920..950 => self.errand(),
            950..955 => {
                let max = self.rng.usize(1..=CONNECTIONS);
                self.intake.admission().set_max(max);
            }
            955..965 if self.is_stopping() => self.close_way(),
            _ => {}
        }
    }

    /// Time passes, less than so many milliseconds.
    fn pass(&mut self, most: u64) {
        let time = Duration::from_millis(self.rng.u64(0..most));
        let net = &mut *self.net();
        net.now = net.now.after(time);
    }

    fn peer(&mut self, id: u64) -> Peer {
        let port = 1024 + u16::try_from(id % 60_000).unwrap();
        if self.rng.u8(..) < 30 { Peer::Unix } else { Peer::of((Ipv4Addr::new(192, 0, 2, 7), port).into()) }
    }

    fn arrive(&mut self) {
        if self.ways_closed > 0 || self.waiting {
            return;
        }
        if !self.intake.admission().enter() {
            self.waiting = true;
            return;
        }
        let id = self.intake.number();
        let peer = self.peer(id);
        self.bring(id, peer, None);
    }

    /// A peer is dialled, or comes by itself.
    fn link(&mut self) {
        if self.is_stopping() || self.net.borrow().connections.len() > 2 * CONNECTIONS {
            return;
        }
        self.intake.admission().enter_anyway();
        let id = self.intake.number();
        let peer = Peer::of((Ipv4Addr::new(192, 0, 2, 8), 1024 + u16::try_from(id % 60_000).unwrap()).into());
        let dialled = self.rng.bool().then(|| (Duration::from_millis(3), Suspicion::default()));
        let listener = self.rng.usize(0..NAMES.len());
        let linkage = self.linkage(id, NAMES[listener], dialled);
        self.bring(id, peer, Some((listener, linkage)));
    }

    fn linkage(&mut self, key: u64, via: &str, dialled: Option<(Duration, Suspicion)>) -> Box<Linkage> {
        let address = Address::Tcp { host: "192.0.2.8".to_owned(), port: 5000 };
        let sheet = Arc::new(Sheet::new(format!("peer {key}"), address, via.to_owned(), self.net.borrow().now));
        Box::new(Linkage { key, sheet, manners: draw::manners(&mut self.rng), dialled })
    }

    fn bring(&mut self, id: u64, peer: Peer, link: Option<(usize, Box<Linkage>)>) {
        let listener = link.as_ref().map_or_else(|| self.rng.usize(0..NAMES.len()), |(listener, _)| *listener);
        let service = Arc::clone(&self.services[listener]);
        let client = draw::client(&mut self.rng, &service);
        let (now, generation) = {
            let net = self.net();
            (net.now, net.generation)
        };
        let limits = service.limits.clone();
        let connection = Connection::new(id, listener, generation, peer.clone(), client, limits);
        self.net().connections.insert(id, connection);
        self.tell(if link.is_some() { "link" } else { "arrival" }, usize::try_from(id).unwrap());
        let stream = Line { net: Rc::clone(&self.net), id };
        let context = stream.context(&peer, &service.name, id);
        if link.is_none() {
            let ideal = Ideal::new(&service, context.clone(), now);
            self.net().connections.get_mut(&id).unwrap().ideal = Some(ideal);
        }
        let context = service.wants_context().then(|| Box::new(context));
        let link = link.map(|(_, linkage)| linkage);
        self.intake
            .hand_over(Arrival { id, stream, peer, service, context, link, visit: None, refusal: None })
            .expect("a mailbox has room");
    }

    fn client_acts(&mut self) {
        let net = &mut *self.net.borrow_mut();
        let Some(connection) = self.rng.choice(net.connections.values_mut()) else { return };
        let what = self.rng.u32(0..1000);
        let client = &mut connection.client;
        match what {
            0..500 if !client.fin => {
                let most = client.script.len() - client.sent;
                client.sent += self.rng.usize(0..=most.min(300));
                client.fin = client.ends && client.sent == client.script.len() && self.rng.bool();
            }
            500..900 if client.reads => {
                let bytes = self.rng.usize(0..=connection.under_way());
                connection.client.acked += bytes;
            }
            900..910 => client.fin = true,
            910..915 => connection.fail(EndReason::ClientReset),
            915..918 => connection.fail(EndReason::ClientVanished),
            918..920 => connection.fail(EndReason::SocketError),
            920..925 => (client.gone, client.fin, client.reads) = (true, true, false),
            _ => {}
        }
    }

    fn reload(&mut self) {
        self.tell("reload", 0);
        for nth in 0..NAMES.len() {
            if self.rng.bool() {
                self.services[nth] = draw::reloaded(&mut self.rng, &self.services[nth]);
            }
        }
        // connections of a listener that is gone go on as before
        let gone = if self.rng.u8(..) < 40 { self.rng.usize(0..NAMES.len()) } else { NAMES.len() };
        let there = self.services.iter().enumerate().map(|(nth, one)| (nth != gone).then(|| Arc::clone(one)));
        let there: Vec<_> = there.collect();
        self.orders.serve(there.iter().flatten().cloned().collect());
        {
            let net = &mut *self.net();
            (net.generation, net.services) = (net.generation + 1, there);
        }
        self.intake.ring();
    }

    fn errand(&mut self) {
        let worker = self.rng.usize(0..self.workers.len());
        let net = &mut *self.net.borrow_mut();
        let open: Vec<_> = net.open_at(worker).collect();
        let Some(connection) = self.rng.choice(open) else { return };
        let id = connection.id;
        let errand = match self.rng.u8(0..6) {
            0 => {
                let (answer, listing) = unbounded();
                self.listings.push(listing);
                Errand::List(answer)
            }
            1 => {
                connection.killed = true;
                Errand::Kill(id, unbounded().0)
            }
            2..4 => Errand::Say(id, b"say this".to_vec(), unbounded().0),
            4 => {
                let Some(address) = connection.peer.address() else { return };
                // from now on nobody knows what is answered
                connection.ideal = None;
                let via = NAMES[connection.listener];
                let sheet = Sheet::new("adopted".to_owned(), Address::Unix("/".into()), via.to_owned(), net.now);
                let manners = draw::manners(&mut self.rng);
                Errand::Adopt(address, Box::new(Linkage { key: id, sheet: sheet.into(), manners, dialled: None }))
            }
            _ if connection.ideal.is_some() => return,
            _ => Errand::Unlink(id, *self.rng.choice(&[EndReason::PeerRemoved, EndReason::DuplicateLink]).unwrap()),
        };
        // one of a full mailbox is let go, as by whoever does not wait
        let _ = self.intake.workers()[worker].errands.post(errand);
    }

    fn order_stop(&mut self) {
        let mut millis = |most: u64| Duration::from_millis(self.rng.u64(0..most));
        let (idle, spread, timeout) = (millis(1_500), millis(1_500), millis(20_000));
        let is_stop = self.rng.u8(..) < 20;
        self.tell("drain, or stop at once", usize::from(is_stop));
        let now = self.net.borrow().now;
        if is_stop {
            self.net().stopping.stopped = true;
            self.orders.stop();
        } else {
            self.net().stopping.drain = Some((now, spread, idle, now.after(timeout)));
            self.orders.drain(&Drain { idle, spread, timeout }, now.after(timeout));
        }
        self.intake.ring();
    }

    /// One of those who bring connections has brought the last.
    fn close_way(&mut self) {
        self.ways_closed += 1;
        if self.ways_closed <= 2 {
            self.orders.one_way_closed();
            self.intake.ring();
        }
    }

    /// Lets the workers turn until they sleep; `some` may be busy elsewhere.
    fn turn_all(&mut self, some: bool) {
        if self.net.borrow().is_over() {
            // who brings connections gives up, too
            self.close_way();
            self.close_way();
        }
        for nth in 0..self.workers.len() {
            if some && self.rng.u8(0..8) == 0 {
                continue;
            }
            let Some(worker) = &mut self.workers[nth] else { continue };
            let mut turns = 0;
            loop {
                match worker.turn() {
                    Ok(true) => turns += 1,
                    Ok(false) => {
                        assert_eq!(self.net.borrow_mut().open_at(nth).count(), 0, "it left connections behind");
                        self.workers[nth] = None;
                        break;
                    }
                    Err(error) => {
                        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                        self.check_asleep(nth);
                        break;
                    }
                }
                assert!(turns < TURNS, "worker {nth} does not come to rest");
            }
        }
        self.check();
    }

    fn check_asleep(&self, worker: usize) {
        let net = &mut *self.net.borrow_mut();
        let (now, (_, turned), stopping) = (net.now, net.turned[worker], net.stopping.clone());
        let drains = net.drains[worker];
        for connection in net.open_at(worker) {
            connection.check_asleep(now, turned, &stopping, drains);
        }
    }

    /// What holds at any time.
    fn check(&mut self) {
        let net = &mut *self.net.borrow_mut();
        for told in self.told.messages() {
            match told {
                Told::Linked { connection, .. } => {
                    assert!(self.linked.insert(connection), "{connection}: linked twice");
                }
                Told::Ended { connection, reason, .. } => {
                    assert!(self.linked.remove(&connection), "{connection}: it was no link");
                    let ended = net.connections.get(&connection).and_then(|one| one.reason);
                    let unlinked = [EndReason::PeerRemoved, EndReason::DuplicateLink].contains(&reason);
                    assert!(ended == Some(reason) || unlinked, "{connection}: {ended:?} was told as {reason:?}");
                }
                Told::Peers(..) | Told::Found(..) => panic!("a worker has nothing to do with that"),
            }
        }
        let gone: Vec<u64> = net.connections.values().filter(|one| one.reason.is_some()).map(|one| one.id).collect();
        for id in gone {
            let connection = net.connections.remove(&id).unwrap();
            assert!(!self.linked.contains(&id), "{id}: that the link has ended was not told");
            self.met.extend(connection.reason.map(|reason| reason as u8));
            self.served += 1;
            self.moved.0 += connection.taken as u64;
            self.moved.1 += connection.out.len() as u64;
        }
        let (mut all, mut begun) = (shoutd::metrics::Totals::default(), 0);
        self.tallies.iter().for_each(|tally| all.merge(&tally.totals()));
        let mut moved = self.moved;
        for connection in net.connections.values() {
            begun += u64::from(connection.worker.is_some());
            moved = (moved.0 + connection.taken as u64, moved.1 + connection.out.len() as u64);
        }
        assert_eq!((all.accepted, all.open()), (self.served + begun, begun), "counters balance");
        assert_eq!((all.bytes_in, all.bytes_out), moved, "bytes are counted");
        let open = net.connections.len();
        assert_eq!(self.intake.admission().open(), open, "places are given back");
        let load: usize = self.intake.workers().iter().map(|worker| worker.load.load(Relaxed)).sum();
        assert_eq!(load, open, "a worker knows how many connections it has");
        if self.waiting && open < self.intake.admission().max() {
            assert!(self.acceptor.sleep(|may_sleep| !may_sleep), "who waits for a place is told");
            self.waiting = false;
        }
        for listing in std::mem::take(&mut self.listings) {
            match listing.try_recv() {
                Ok(listed) => check_listing(net, &listed),
                Err(error) if error.is_empty() => self.listings.push(listing),
                Err(_) => {}
            }
        }
    }

    /// Nothing bad happens any more: whoever can be served to the end is, and then the daemon stops.
    fn conclude(&mut self) {
        self.net().calm = true;
        if !self.is_stopping() {
            for _ in 0..40 {
                for connection in self.net().connections.values_mut() {
                    let client = &mut connection.client;
                    (client.room, client.sent) = (1 << 20, client.script.len());
                    client.fin |= client.ends;
                    if client.reads {
                        client.acked = connection.out.len();
                    }
                }
                self.turn_all(false);
                self.pass(6);
            }
            for connection in self.net.borrow().connections.values() {
                let done = connection.client.ends && connection.client.reads && connection.ideal.is_some();
                assert!(!done || connection.is_shut(), "{}: it is done and goes on", connection.id);
            }
            self.order_stop();
        }
        self.close_way();
        self.close_way();
        while !self.net.borrow().is_over() {
            self.turn_all(false);
            self.pass(800);
        }
        self.turn_all(false);
        assert!(self.workers.iter().all(Option::is_none), "a worker goes on after the stop");
        assert!(self.net.borrow().connections.is_empty() && self.linked.is_empty(), "somebody was forgotten");
    }
}

fn check_listing(net: &Net, listed: &[Listed]) {
    for one in listed {
        let Some(connection) = net.connections.get(&one.id) else { continue };
        assert!(connection.worker.is_some(), "{}: listed by nobody", one.id);
        assert!(one.received <= connection.taken as u64 && one.sent <= connection.out.len() as u64, "{}", one.id);
        assert_eq!(one.service.name, NAMES[connection.listener]);
    }
}
