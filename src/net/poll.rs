//! What a thread sleeps in: one epoll over its sockets and its bell.
//!
//! What is done about an event is the business of the thread.

use super::bell::Bell;
use super::pulse::Pulse;
use super::spin::Spin;
use crate::deadlines::{Clock, Moment};
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How many reports a turn takes from epoll; enough that a light connection is not left out.
const EVENTS: usize = 1024;
/// The bell's token.
const BELL: u64 = u64::MAX;

/// What a socket is watched for; always level-triggered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// Something to read or to accept, an end, an error.
    Read,
    /// Room to write, an error.
    Write,
    /// Errors alone, which epoll always reports.
    Nothing,
}

impl From<Interest> for epoll::EventFlags {
    fn from(interest: Interest) -> Self {
        match interest {
            Interest::Read => epoll::EventFlags::IN,
            Interest::Write => epoll::EventFlags::OUT,
            Interest::Nothing => epoll::EventFlags::empty(),
        }
    }
}

/// An epoll, a bell, and the time.
#[derive(Debug)]
pub struct Poll {
    epoll: OwnedFd,
    bell: Arc<Bell>,
    pulse: Arc<Pulse>,
    clock: Clock,
    now: Moment,
    began: Instant,
    tokens: Vec<u64>,
    spin: Option<Spin>,
}

impl Poll {
    /// A poll, and the bell that wakes it.
    ///
    /// # Errors
    ///
    /// When the system has no more descriptors.
    pub fn new(clock: Clock, pulse: Arc<Pulse>) -> io::Result<(Arc<Bell>, Poll)> {
        let bell = Arc::new(Bell::new()?);
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(&epoll, &bell, epoll::EventData::new_u64(BELL), flags)?;
        let began = Instant::now();
        let now = clock.moment(began);
        let tokens = Vec::with_capacity(EVENTS);
        Ok((Arc::clone(&bell), Poll { epoll, bell, pulse, clock, now, began, tokens, spin: None }))
    }

    /// From now on it goes on looking for so long before it sleeps, unless others need its core.
    pub fn set_spin(&mut self, length: Option<Duration>) {
        self.spin = length.map(Spin::new);
    }

    /// What ends its sleep.
    #[must_use]
    pub fn bell(&self) -> &Arc<Bell> {
        &self.bell
    }

    /// Where it gives its signs of life.
    #[must_use]
    pub fn pulse(&self) -> &Arc<Pulse> {
        &self.pulse
    }

    /// Watches `socket`, whose events are then told by `token`, which is not `u64::MAX`.
    ///
    /// # Errors
    ///
    /// When the system is short of memory or watches.
    pub fn add(&self, socket: impl AsFd, token: u64, interest: Interest) -> Result<(), Errno> {
        epoll::add(&self.epoll, socket, epoll::EventData::new_u64(token), interest.into())
    }

    /// Watches `socket` for something else.
    ///
    /// # Errors
    ///
    /// When the system is short of memory.
    pub fn modify(&self, socket: impl AsFd, token: u64, interest: Interest) -> Result<(), Errno> {
        epoll::modify(&self.epoll, socket, epoll::EventData::new_u64(token), interest.into())
    }

    /// Sleeps until there is an event or a ring, or it is `until`; then reads the clock, once for
    /// the whole turn, and gives a sign of life.
    ///
    /// # Errors
    ///
    /// When epoll fails, which is a fault of shoutd's own.
    pub fn turn(&mut self, until: Option<Moment>) -> io::Result<()> {
        failpoint!("epoll", |errno| Err(io::Error::from_raw_os_error(errno)));
        let at_most = until.map(|until| until.since(self.now));
        self.tokens.clear();
        let (epoll, tokens) = (&self.epoll, &mut self.tokens);
        let mut look = |at_most| take_reports(epoll, at_most, tokens);
        let waited = self.bell.sleep(|may_sleep| {
            if !may_sleep {
                return look(Some(Duration::ZERO));
            }
            let (found, spun) = match &mut self.spin {
                Some(spin) => spin.spin(at_most, Instant::now, || look(Some(Duration::ZERO)))?,
                None => (false, Duration::ZERO),
            };
            if found { Ok(true) } else { look(at_most.map(|at_most| at_most.saturating_sub(spun))) }
        });
        self.began = Instant::now();
        self.now = self.clock.moment(self.began);
        self.pulse.answer();
        match waited {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// When this turn began.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.now
    }

    /// The same, to the nanosecond.
    #[must_use]
    pub fn began(&self) -> Instant {
        self.began
    }

    /// How many events this turn has.
    #[must_use]
    pub fn events(&self) -> usize {
        self.tokens.len()
    }

    /// Watches `socket` no more; needed where another process holds the same socket, as closing it
    /// would leave it in epoll.
    ///
    /// # Errors
    ///
    /// When it was not watched.
    pub fn remove(&self, socket: impl AsFd) -> Result<(), Errno> {
        epoll::delete(&self.epoll, socket)
    }

    /// The token of this turn's `nth` event; the bell's, which only ends a sleep, is left out.
    #[must_use]
    pub fn token(&self, nth: usize) -> Option<u64> {
        self.tokens.get(nth).copied()
    }
}

/// Sleeps in `epoll` for at most so long, and takes the tokens of what it reports. Gives whether it reported
/// anything.
fn take_reports(epoll: &OwnedFd, at_most: Option<Duration>, tokens: &mut Vec<u64>) -> Result<bool, Errno> {
    let timeout = at_most.and_then(|at_most| Timespec::try_from(at_most).ok());
    let mut events = [const { MaybeUninit::uninit() }; EVENTS];
    let mut waited = epoll::wait(epoll, &mut events, timeout.as_ref());
    if let Err(Errno::INTR) = waited {
        // as after SIGCONT: what happened meanwhile comes before what is now overdue
        waited = epoll::wait(epoll, &mut events, Some(&Timespec::default()));
    }
    let (events, _) = waited?;
    tokens.extend(events.iter().map(|event| event.data.u64()).filter(|token| *token != BELL));
    Ok(!events.is_empty())
}
