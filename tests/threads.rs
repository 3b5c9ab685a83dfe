//! What threads make of each other, in whatever order they come: nothing that was handed over, said or given back is
//! slept through.
//!
//! The code is the daemon's own, from the bell and the mailbox up to the worker; only that it sleeps in a double of
//! epoll, and that shuttle decides who comes next. A failure prints the order, which `shuttle::replay` takes.

use rustix::io::Errno;
use shoutd::deadlines::Moment;
use shoutd::framing::Framing;
use shoutd::metrics::Tally;
use shoutd::net::admission::Admission;
use shoutd::net::bell::Bell;
use shoutd::net::errands::Errand;
use shoutd::net::intake::Intake;
use shoutd::net::mailbox::Mailbox;
use shoutd::net::orders::Orders;
use shoutd::net::poll::Interest;
use shoutd::net::pulse::Pulse;
use shoutd::net::stream::{Outcome, Peer};
use shoutd::net::system::{Socket, System};
use shoutd::net::worker::{Arrival, Worker};
use shoutd::session::{Limits, Service};
use shoutd::transform::{Context, Pipeline};
use shuttle::sync::{Condvar, Mutex};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex as Plain, Weak};
use std::time::Instant;

/// Orders that are tried of each test, in each of two ways.
const ORDERS: usize = 5_000;

fn explore(test: impl Fn() + Send + Sync + Clone + 'static) {
    shuttle::check_random(test.clone(), ORDERS);
    shuttle::check_pct(test, ORDERS, 3);
}

/// Where threads sleep: until a bell rings, or nobody is left who could ring it.
#[derive(Debug, Default)]
struct Bedroom {
    awake: Mutex<usize>,
    changed: Condvar,
}

impl Bedroom {
    /// A thread that rings, and tells `room` after each thing that it does.
    fn spawn(room: &Arc<Bedroom>, act: impl FnOnce(&dyn Fn()) + Send + 'static) -> shuttle::thread::JoinHandle<()> {
        *room.awake.lock().unwrap() += 1;
        let room = Arc::clone(room);
        shuttle::thread::spawn(move || {
            act(&|| room.changed.notify_all());
            *room.awake.lock().unwrap() -= 1;
            room.changed.notify_all();
        })
    }

    /// Sleeps as in epoll until `bell` is written; fails when it never will be.
    fn sleep(&self, bell: &Bell) -> io::Result<()> {
        let mut awake = self.awake.lock().unwrap();
        loop {
            // what was written is an edge, and an edge is told once
            if rustix::io::read(bell, &mut [0; 8]).is_ok() {
                return Ok(());
            }
            if *awake == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            awake = self.changed.wait(awake).unwrap();
        }
    }
}

/// An epoll that always reports every socket there is.
#[derive(Debug)]
struct Quiet {
    room: Arc<Bedroom>,
    bell: Arc<Bell>,
    pulse: Arc<Pulse>,
    watched: Plain<Vec<(u64, Weak<()>)>>,
    tokens: Vec<u64>,
}

impl System for Quiet {
    type Stream = Mute;

    fn bell(&self) -> &Arc<Bell> {
        &self.bell
    }

    fn pulse(&self) -> &Arc<Pulse> {
        &self.pulse
    }

    fn add(&self, stream: &Mute, token: u64, _: Interest) -> Result<(), Errno> {
        if stream.ends {
            self.watched.lock().unwrap().push((token, Arc::downgrade(&stream.open)));
        }
        Ok(())
    }

    fn modify(&self, _: &Mute, _: u64, _: Interest) -> Result<(), Errno> {
        Ok(())
    }

    fn turn(&mut self, _: Option<Moment>) -> io::Result<()> {
        let open = |(token, open): &(u64, Weak<()>)| open.upgrade().map(|_| *token);
        self.tokens = self.watched.lock().unwrap().iter().filter_map(open).collect();
        let idle = self.tokens.is_empty();
        self.bell.sleep(|may_sleep| if may_sleep && idle { self.room.sleep(&self.bell) } else { Ok(()) })
    }

    fn now(&self) -> Moment {
        Moment::from_millis(0)
    }

    fn began(&self) -> Instant {
        Instant::now()
    }

    fn events(&self) -> usize {
        self.tokens.len()
    }

    fn token(&self, nth: usize) -> Option<u64> {
        self.tokens.get(nth).copied()
    }
}

/// A client that says nothing, and ends at once or never.
#[derive(Debug)]
struct Mute {
    ends: bool,
    open: Arc<()>,
}

impl Socket for Mute {
    fn read(&self, _: &mut [u8]) -> Outcome {
        if self.ends { Outcome::Ended } else { Outcome::NotNow }
    }

    fn write(&self, bytes: &[u8]) -> Outcome {
        Outcome::Moved(bytes.len())
    }

    fn context(&self, _: &Peer, _: &str, _: u64) -> Context {
        Context::default()
    }

    fn local(&self) -> Option<SocketAddr> {
        None
    }

    fn under_way(&self) -> usize {
        0
    }

    fn has_ended(&self) -> bool {
        false
    }

    fn shut_down(&self) {}

    fn reset_on_close(&self) {}
}

/// One that reads so much at once, by which it is known again.
fn service(buffer_size: usize, tally: &Arc<Tally>) -> Arc<Service> {
    let limits = Limits { buffer_size, ..Limits::default() };
    let (framing, pipeline) = (Framing::Stream, Pipeline::new(Vec::new()));
    Arc::new(Service { name: "one".to_owned(), framing, pipeline, greeting: None, limits, tally: Arc::clone(tally) })
}

/// A worker, and the way to it.
struct House {
    room: Arc<Bedroom>,
    orders: Arc<Orders>,
    intake: Intake<Mute>,
    worker: Worker<Quiet>,
    tally: Arc<Tally>,
}

impl House {
    fn new() -> House {
        let (room, orders) = (Arc::<Bedroom>::default(), Arc::<Orders>::default());
        let bell = || Arc::new(Bell::new().unwrap());
        let (watched, tokens) = (Plain::default(), Vec::new());
        let quiet = Quiet { room: Arc::clone(&room), bell: bell(), pulse: Arc::default(), watched, tokens };
        let (tell, _) = Mailbox::unbounded(bell());
        let admission = Arc::new(Admission::new(10, bell()));
        let worker = Worker::new(quiet, 0, 64, Arc::clone(&admission), Arc::clone(&orders), Arc::default(), tell);
        let intake = Intake::new(vec![worker.handle()], admission);
        House { room, orders, intake, worker, tally: Arc::default() }
    }

    fn arrival(&self, ends: bool) -> Arrival<Mute> {
        assert!(self.intake.admission().enter());
        let stream = Mute { ends, open: Arc::default() };
        let service = service(1, &self.tally);
        Arrival {
            id: self.intake.number(),
            stream,
            peer: Peer::Unix,
            service,
            context: None,
            link: None,
            visit: None,
            refusal: None,
        }
    }
}

#[test]
fn whoever_is_handed_over_is_served_before_the_worker_leaves() {
    explore(|| {
        let mut house = House::new();
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let arrivals = [house.arrival(true), house.arrival(true)];
                let (intake, orders) = (house.intake.clone(), Arc::clone(&house.orders));
                Bedroom::spawn(&house.room, move |done| {
                    for arrival in arrivals {
                        intake.hand_over(arrival).unwrap();
                        done();
                    }
                    orders.one_way_closed();
                    intake.ring();
                })
            })
            .collect();
        while house.worker.turn().expect("it does not sleep while there is something to do") {}
        let totals = house.tally.totals();
        assert_eq!((totals.accepted, totals.open(), house.intake.admission().open()), (4, 0, 0));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn what_was_said_last_of_how_to_serve_holds() {
    explore(|| {
        let mut house = House::new();
        house.intake.hand_over(house.arrival(false)).unwrap();
        let (intake, orders, tally) = (house.intake.clone(), Arc::clone(&house.orders), Arc::clone(&house.tally));
        let thread = Bedroom::spawn(&house.room, move |done| {
            for buffer_size in [2, 3] {
                orders.serve(Arc::new([service(buffer_size, &tally)]));
                intake.ring();
                done();
            }
        });
        let mut sleep = || while house.worker.turn().is_ok() {};
        sleep();
        let (tell, told) = crossbeam_channel::unbounded();
        house.intake.workers()[0].errands.post(Errand::List(tell)).unwrap();
        sleep();
        let listed = told.try_recv().unwrap();
        assert_eq!(listed.iter().map(|one| one.service.limits.buffer_size).collect::<Vec<_>>(), [3]);
        thread.join().unwrap();
    });
}

#[test]
fn who_waits_for_a_place_is_told_when_there_is_one() {
    for raised in [false, true] {
        explore(move || {
            let room = Arc::<Bedroom>::default();
            let bell = Arc::new(Bell::new().unwrap());
            let admission = Arc::new(Admission::new(1, Arc::clone(&bell)));
            assert!(admission.enter());
            let other = Arc::clone(&admission);
            let thread = Bedroom::spawn(&room, move |_| if raised { other.set_max(2) } else { other.leave() });
            while !admission.enter() {
                let slept = bell.sleep(|may_sleep| if may_sleep { room.sleep(&bell) } else { Ok(()) });
                slept.expect("there is a place, and nobody told");
            }
            thread.join().unwrap();
        });
    }
}
