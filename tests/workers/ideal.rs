//! What a client must be answered: a session whose socket takes everything at once, and which is told what the
//! worker read, and when.
//!
//! That sessions answer rightly is proved in `tests/simulation.rs`; here, that nothing of it is lost or said twice.

use shoutd::deadlines::Moment;
use shoutd::framing::Framing;
use shoutd::session::{Action, Desk, EndReason, Limits, Service, Session};
use shoutd::transform::Context;
use std::sync::Arc;

pub struct Ideal {
    session: Session,
    context: Context,
    desk: Desk,
    /// Everything that is to be written, from the first byte on.
    pub answer: Vec<u8>,
    /// Whether it was told the end, by whoever made it.
    over: bool,
}

/// A service that counts for itself, and waits for nothing but the rest of a message.
fn alone(service: &Service) -> Arc<Service> {
    let limits = Limits {
        idle_timeout: None,
        write_timeout: None,
        half_closed_timeout: None,
        max_lifetime: None,
        ..service.limits.clone()
    };
    Arc::new(Service { limits, tally: Arc::default(), ..service.clone() })
}

impl Ideal {
    /// A connection that begins with the greeting.
    pub fn new(service: &Service, context: Context, now: Moment) -> Ideal {
        let session = Session::new(alone(service), Some(Box::new(context.clone())), now);
        let mut ideal = Ideal { session, context, desk: Desk::default(), answer: Vec::new(), over: false };
        ideal.with(|session, desk| session.handle_opened(desk, now).to_vec(), now);
        ideal
    }

    fn with(&mut self, act: impl FnOnce(&mut Session, &mut Desk) -> Vec<u8>, now: Moment) {
        let answer = act(&mut self.session, &mut self.desk);
        self.session.handle_answered(&answer, answer.len());
        self.answer.extend(answer);
        if self.session.poll_action() == Action::ShutDown {
            self.session.handle_shut_down(now);
            self.over = true;
        }
    }

    pub fn read(&mut self, bytes: &[u8], now: Moment) {
        if !self.over {
            self.with(|session, desk| session.handle_input(&mut bytes.to_vec(), desk, now).to_vec(), now);
        }
    }

    pub fn end(&mut self, now: Moment) {
        if !self.over {
            self.with(|session, desk| session.handle_end_of_input(desk, now).to_vec(), now);
            self.over = true;
        }
    }

    /// What is held back of a text that is not framed is sent, as nobody waits for its rest any more.
    pub fn end_text(&mut self, now: Moment) {
        if matches!(self.session.service().framing, Framing::Stream) {
            self.end(now);
        }
    }

    /// The worker ends it, for a reason of its own.
    pub fn leave(&mut self) {
        self.over = true;
    }

    /// Answers what it can without another read.
    pub fn go_on(&mut self, now: Moment) {
        self.with(|session, desk| session.handle_writable(desk, now).to_vec(), now);
    }

    /// Gives what is held back of a text that is not framed, if it waited for its rest until `now`.
    pub fn flush(&mut self, now: Moment) -> bool {
        let is_due = self.due() <= now && matches!(self.session.service().framing, Framing::Stream);
        if is_due {
            self.with(|session, desk| session.handle_timeout(desk, now).to_vec(), now);
        }
        is_due
    }

    pub fn renew(&mut self, service: &Service) {
        let new = self.session.service().renewed(&alone(service));
        self.session.handle_service(new, Some(Box::new(self.context.clone())));
    }

    /// Whether it has read more than it has answered, as the answers were long.
    pub fn has_more(&self) -> bool {
        self.session.poll_action() == Action::Answer
    }

    /// When it has waited for long enough for the rest of a message, or of a character.
    pub fn due(&self) -> Moment {
        if self.over || self.has_more() { Moment::NEVER } else { self.session.poll_timeout() }
    }

    pub fn end_reason(&self) -> Option<EndReason> {
        self.session.end_reason()
    }
}
