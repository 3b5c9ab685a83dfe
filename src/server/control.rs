//! What can be asked of a running server, from any thread: other settings, an end, and how it is.

use super::plan::{Kept, Plan};
use super::settings::{Refused, Settings};
use crate::deadlines::{Clock, Moment};
use crate::metrics::{AcceptCounters, Totals};
use crate::net::acceptor::Change;
use crate::net::access::Access;
use crate::net::address::Local;
use crate::net::admission::Admission;
use crate::net::bell::Bell;
use crate::net::errands::{Errand, Listed};
use crate::net::links::Told;
use crate::net::links::sheet::Sheets;
use crate::net::listener::{Listening, Pool};
use crate::net::mailbox::Post;
use crate::net::orders::{Drain, Orders};
use crate::net::poll::Poll;
use crate::net::pulse::Pulse;
use crate::net::worker;
use crate::session::Service;
use crate::sources::Sources;
use crossbeam_channel::unbounded;
use std::io;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// How long the acceptor may take to change its doors, and a worker to run an errand.
const ANSWER_WAIT: Duration = Duration::from_secs(2);

/// A handle to a running server; clones are the same server.
#[derive(Debug, Clone)]
pub struct Control(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) clock: Clock,
    pub(super) orders: Arc<Orders>,
    pub(super) access: Arc<Access>,
    pub(super) admission: Arc<Admission>,
    pub(super) accept_counters: Arc<AcceptCounters>,
    pub(super) workers: Vec<worker::Handle>,
    pub(super) acceptor: Post<Change>,
    pub(super) links: Post<Told>,
    pub(super) sheets: Sheets,
    pub(super) beats: Vec<Beat>,
    /// Held while other settings are gone over to, which come one after the other.
    pub(super) changing: Mutex<()>,
    pub(super) state: Mutex<State>,
}

/// A thread whose signs of life are looked at.
#[derive(Debug)]
pub(super) struct Beat {
    pub(super) name: String,
    pub(super) pulse: Arc<Pulse>,
    pub(super) bell: Arc<Bell>,
}

impl Beat {
    /// The signs of life of a thread of this name, and what it sleeps in.
    pub(super) fn new(name: &str, clock: Clock) -> io::Result<(Beat, Poll)> {
        let pulse = Arc::<Pulse>::default();
        let (bell, poll) = Poll::new(clock, Arc::clone(&pulse))?;
        Ok((Beat { name: name.to_owned(), pulse, bell }, poll))
    }
}

/// What settings have made of the server.
#[derive(Debug)]
pub(super) struct State {
    /// What listens; it is the acceptor who keeps it.
    pub(super) sockets: Vec<Weak<Listening>>,
    /// What did, and does so still where clients who wait at it have no place yet.
    pub(super) leaving: Vec<Weak<Listening>>,
    /// What was passed by systemd and serves no listener.
    pub(super) idle: Pool,
    pub(super) listeners: Vec<Hosted>,
    /// Listeners that are no more, but for connections that are served to their end.
    pub(super) removed: Vec<Hosted>,
    /// What was counted for listeners of which nothing is left.
    pub(super) past: Totals,
    pub(super) drain: Drain,
}

/// A listener that has been set up.
#[derive(Debug, Clone)]
pub(super) struct Hosted {
    pub(super) service: Arc<Service>,
    pub(super) sources: Arc<Sources>,
    pub(super) addresses: Vec<Local>,
}

/// What other settings have done.
#[derive(Debug)]
pub struct Applied {
    /// Where it listens now and did not before.
    pub opened: Vec<Local>,
    /// Where it listened before and does not now.
    pub closed: Vec<Local>,
    /// What listens now; let go of it soon, as it is the acceptor who closes it.
    pub sockets: Pool,
}

/// How a listener is at one moment.
#[derive(Debug, Clone)]
pub struct ListenerReport {
    /// How its connections are served.
    pub service: Arc<Service>,
    /// Where it listens; nowhere, if it is no more, but for connections that are served to their end.
    pub addresses: Vec<Local>,
    /// What was counted for it.
    pub totals: Totals,
    /// How many sources of its connections are known, where they are limited.
    pub sources: usize,
}

/// How a worker is at one moment.
#[derive(Debug, Clone)]
pub struct WorkerReport {
    /// Its thread's name.
    pub name: String,
    /// How many connections it has, with those on their way to it.
    pub open: usize,
    /// How many it has taken over.
    pub accepted: u64,
    /// How often it has panicked.
    pub panics: u64,
    /// Whether it rests after a panic.
    pub is_resting: bool,
    /// How long it has owed a sign of life.
    pub silence: Duration,
}

/// How a server is at one moment.
#[derive(Debug, Clone)]
pub struct Report {
    /// Each listener; those that are no more come last.
    pub listeners: Vec<ListenerReport>,
    /// All that was counted.
    pub totals: Totals,
    /// What of it was counted for listeners of which nothing is left.
    pub past: Totals,
    /// Each worker.
    pub workers: Vec<WorkerReport>,
    /// How many connections may be open at once.
    pub max_connections: usize,
    /// How long a stop that has begun may still take.
    pub drain_left: Option<Duration>,
}

impl Control {
    /// Goes over to other settings: all of them, or none. Sockets that are to listen further do; new
    /// ones are open before old ones are closed. Live connections go over between two messages; those
    /// of a listener that is no more are served to their end. [`Settings::workers`] is not minded.
    ///
    /// It resolves names and waits for the acceptor, so it is not for a thread that must answer.
    ///
    /// # Errors
    ///
    /// Why nothing was changed.
    pub fn apply(&self, settings: Settings) -> Result<Applied, Refused> {
        let inner = &*self.0;
        let _changing = inner.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let (before, pool) = (self.addresses(), self.state().pool());
        let (drain, access) = (settings.drain.clone(), settings.access);
        let mut plan = Plan::new(settings, inner.workers.len(), pool, |name| {
            self.state().kept(name).unwrap_or_else(|| Kept::new(inner.workers.len()))
        })?;
        if inner.orders.draining().is_some() {
            return Err(Refused::Stopping);
        }

        for passed in &plan.idle {
            log::warn!("nobody serves {}, which systemd passed, any more", passed.local());
        }
        plan.begin();
        let (done, wait) = unbounded();
        if inner.acceptor.post(Change { doors: plan.doors.clone(), done }).is_err() {
            return Err(Refused::Stopping); // its thread has ended
        }
        // all that the acceptor hands over from then on is served anew, and workers look for the rest
        let _ = wait.recv_timeout(ANSWER_WAIT);
        inner.orders.serve(plan.services.iter().cloned().collect());
        inner.admission.set_max(plan.max_connections);
        inner.access.set(access);
        self.ring();

        self.state().take_over(&plan, drain);
        let now = self.addresses();
        // it ends before the server does
        let listening = plan.listeners();
        let _ = inner.links.post(Told::Peers(std::mem::take(&mut plan.peers), listening));
        let without = |all: &[Local], others: &[Local]| -> Vec<Local> {
            all.iter().filter(|local| !others.contains(local)).cloned().collect()
        };
        let sockets = plan.doors.into_iter().map(|door| door.listening).collect();
        Ok(Applied { opened: without(&now, &before), closed: without(&before, &now), sockets })
    }

    /// What listens for it; let go of it soon, as it is the acceptor who closes it.
    #[must_use]
    pub fn sockets(&self) -> Pool {
        self.state().sockets.iter().filter_map(Weak::upgrade).collect()
    }

    /// Where it listens, in the order of the settings.
    #[must_use]
    pub fn addresses(&self) -> Vec<Local> {
        self.state().listeners.iter().flat_map(|hosted| hosted.addresses.clone()).collect()
    }

    /// How many workers it has.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.0.workers.len()
    }

    /// How many connections may be open at once.
    #[must_use]
    pub fn max_connections(&self) -> usize {
        self.0.admission.max()
    }

    /// How many connections are open, with those on their way to a worker.
    #[must_use]
    pub fn open(&self) -> usize {
        self.0.admission.open()
    }

    /// All that workers have counted.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.report().totals
    }

    /// What the acceptor has counted.
    #[must_use]
    pub fn accept_counters(&self) -> &AcceptCounters {
        &self.0.accept_counters
    }

    /// How everything is.
    #[must_use]
    pub fn report(&self) -> Report {
        let mut state = self.state();
        state.bury();
        let report = |hosted: &Hosted| ListenerReport {
            service: Arc::clone(&hosted.service),
            addresses: hosted.addresses.clone(),
            totals: hosted.service.tally.totals(),
            sources: hosted.sources.known(),
        };
        let listeners: Vec<_> = state.listeners.iter().chain(&state.removed).map(report).collect();
        let mut totals = state.past;
        for listener in &listeners {
            totals.merge(&listener.totals);
        }
        let now = self.now();
        let worker = |(number, handle): (usize, &worker::Handle)| WorkerReport {
            name: format!("worker-{number}"),
            open: handle.load.load(Relaxed),
            accepted: handle.accepted.get(),
            panics: handle.panics.get(),
            is_resting: handle.pulse.is_resting(),
            silence: handle.pulse.silence(now),
        };
        Report {
            listeners,
            totals,
            past: state.past,
            workers: self.0.workers.iter().enumerate().map(worker).collect(),
            max_connections: self.max_connections(),
            drain_left: self.0.orders.draining().map(|(_, deadline)| deadline.since(now)),
        }
    }

    /// Each open connection, in no order; those of a worker that does not answer are left out.
    #[must_use]
    pub fn connections(&self) -> Vec<Listed> {
        let (answer, answers) = unbounded();
        for worker in self.awake() {
            let _ = worker.errands.post(Errand::List(answer.clone()));
        }
        drop(answer);
        let deadline = Instant::now() + ANSWER_WAIT;
        std::iter::from_fn(|| answers.recv_deadline(deadline).ok()).flatten().collect()
    }

    /// Ends the connection with this number at once; gives whether there was one.
    #[must_use]
    pub fn kill(&self, id: u64) -> bool {
        let (answer, answers) = unbounded();
        for worker in self.awake() {
            let _ = worker.errands.post(Errand::Kill(id, answer.clone()));
        }
        drop(answer);
        let deadline = Instant::now() + ANSWER_WAIT;
        std::iter::from_fn(|| answers.recv_deadline(deadline).ok()).any(|found| found)
    }

    /// Stops accepting, once the backlogs are empty, and ends each connection when it is done or
    /// quiet, as [`Settings::drain`] says. Returns at once, with the time after which it gives up on
    /// those that are busy; its threads end one by one.
    pub fn drain(&self) -> Duration {
        let drain = self.state().drain.clone();
        self.0.orders.drain(&drain, self.now().after(drain.timeout));
        self.ring();
        drain.timeout
    }

    /// Closes everything now, whatever is still to be sent. Returns at once.
    pub fn stop(&self) {
        self.0.orders.stop();
        self.ring();
    }

    /// Asks every thread for a sign of life.
    pub fn ask_threads(&self) {
        let now = self.now();
        for beat in &self.0.beats {
            beat.pulse.ask(now);
        }
        self.ring();
    }

    /// The threads that have owed a sign of life for so long, or longer; those that were asked just now
    /// may be among them where that is no time at all.
    #[must_use]
    pub fn silent_threads(&self, at_least: Duration) -> Vec<&str> {
        let now = self.now();
        let is_silent = |beat: &&Beat| !beat.pulse.is_answered() && beat.pulse.silence(now) >= at_least;
        self.0.beats.iter().filter(is_silent).map(|beat| beat.name.as_str()).collect()
    }

    /// Workers that can be asked something: those that rest have no connections.
    fn awake(&self) -> impl Iterator<Item = &worker::Handle> {
        self.0.workers.iter().filter(|worker| !worker.pulse.is_resting())
    }

    pub(super) fn ring(&self) {
        for beat in &self.0.beats {
            beat.bell.ring();
        }
    }

    pub(super) fn now(&self) -> Moment {
        self.0.clock.moment(Instant::now())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    pub(super) fn new(drain: Drain) -> State {
        State {
            sockets: Vec::new(),
            leaving: Vec::new(),
            idle: Pool::new(),
            listeners: Vec::new(),
            removed: Vec::new(),
            past: Totals::default(),
            drain,
        }
    }

    pub(super) fn take_over(&mut self, plan: &Plan, drain: Drain) {
        let hosted = |service: &Arc<Service>| {
            let own = plan.doors.iter().filter(|door| Arc::ptr_eq(&door.service, service));
            let addresses = own.map(|door| door.listening.local().clone()).collect();
            Hosted { service: Arc::clone(service), sources: plan.sources(service), addresses }
        };
        let before = std::mem::replace(&mut self.listeners, plan.services.iter().map(hosted).collect());
        let stays = |old: &Hosted| self.listeners.iter().any(|new| new.service.name == old.service.name);
        let gone = before.into_iter().map(|old| Hosted { addresses: Vec::new(), ..old });
        self.removed.extend(gone);
        self.removed.retain(|old| !stays(old));
        let sockets = plan.doors.iter().map(|door| Arc::downgrade(&door.listening)).collect();
        self.leaving.append(&mut std::mem::replace(&mut self.sockets, sockets));
        let stays = |old: &Weak<Listening>| self.sockets.iter().any(|new| new.ptr_eq(old));
        self.leaving.retain(|old| old.strong_count() > 0 && !stays(old));
        self.idle.clone_from(&plan.idle);
        self.drain = drain;
    }

    /// All that listens, in whatever way.
    fn pool(&self) -> Pool {
        let open = self.sockets.iter().chain(&self.leaving).filter_map(Weak::upgrade);
        open.chain(self.idle.iter().cloned()).collect()
    }

    /// What of the listener of this name outlives its settings.
    fn kept(&self, name: &str) -> Option<Kept> {
        let mut hosted = self.listeners.iter().chain(&self.removed);
        let hosted = hosted.find(|hosted| hosted.service.name == name)?;
        Some(Kept { tally: Arc::clone(&hosted.service.tally), sources: Arc::clone(&hosted.sources) })
    }

    /// Lets go of listeners that are no more and whose last connection has ended.
    fn bury(&mut self) {
        for nth in (0..self.removed.len()).rev() {
            // a connection on its way to a worker is not counted yet, but holds on to its service
            let is_last =
                |old: &Hosted| Arc::strong_count(&old.service) == 1 && Arc::strong_count(&old.service.tally) == 1;
            if self.removed.get(nth).is_some_and(is_last) {
                self.past.merge(&self.removed.swap_remove(nth).service.tally.totals());
            }
        }
    }
}
