//! What a worker does for the connections that epoll has reported: several are read, then these are answered.
//!
//! So what the system does for a read is in the processor's caches when it does the next one. A hundredth or two
//! more messages a second are answered so than one by one (`benches/README.md`). What comes of an answer that
//! the socket refuses is the session's business.

use super::connection::{Connection, key_of};
use super::{Worker, answer_with};
use crate::net::stream::Outcome;
use crate::net::system::{Socket, System};
use crate::session::{Action, EndReason};
use std::ops::Range;

/// How many are read before they are answered.
const READS: usize = 32;

/// What a read gave, and where in the worker's buffer it lies.
#[derive(Debug)]
pub(super) struct Read {
    token: u64,
    outcome: Outcome,
    range: Range<usize>,
}

impl<S: System> Worker<S> {
    /// Does what can be done for all that were reported, of which epoll names none twice: one that has been read
    /// is not read again before it is answered.
    pub(super) fn handle_events(&mut self) {
        let mut nth = 0;
        while let Some(token) = self.poll.token(nth) {
            self.handle_event(token);
            nth += 1;
        }
        self.answer_reads();
    }

    /// Reads the connection with this token, or does what else it waits for.
    pub(super) fn handle_event(&mut self, token: u64) {
        // a report may come for a connection that an earlier one of the same turn has closed
        let Some(connection) = self.table.get(key_of(token)).filter(|c| c.is_meant(token)) else { return };
        if connection.session.poll_action() != Action::Read {
            return self.go_on(token);
        }
        // a read of nothing would look like the end
        let len = connection.session.read_size().min(self.input.len());
        let mut begin = self.reads.last().map_or(0, |read| read.range.end);
        if self.reads.len() == READS || begin + len > self.input.len() {
            self.answer_reads();
            begin = 0;
        }
        let Some(connection) = self.table.get(key_of(token)) else { return };
        let outcome = connection.stream.read(self.input.get_mut(begin..begin + len).unwrap_or_default());
        let end = if let Outcome::Moved(len) = outcome { begin + len } else { begin };
        self.reads.push(Read { token, outcome, range: begin..end });
    }

    /// Answers all that was read.
    pub(super) fn answer_reads(&mut self) {
        let mut reads = std::mem::take(&mut self.reads);
        for read in reads.drain(..) {
            self.answer_read(read);
            // a turn may be long where answers are
            self.handle.pulse.answer();
        }
        self.reads = reads;
    }

    fn answer_read(&mut self, Read { token, outcome, range }: Read) {
        let (key, now) = (key_of(token), self.poll.now());
        let Some(Connection { id, stream, session, .. }) = self.table.get_mut(key) else { return };
        self.handle.pulse.attend(*id);
        match outcome {
            Outcome::Moved(len) => {
                session.service().tally.of(self.number).bytes_in.add(len as u64);
                let timed = self.stopwatch.start(self.poll.events());
                let input = self.input.get_mut(range).unwrap_or_default();
                let answer = session.handle_input(input, &mut self.desk, now);
                let changed = timed.map(|timed| timed.read.elapsed());
                let taken = answer_with(stream, session, answer, self.number);
                if let (Some(timed), Some(changed)) = (timed, changed) {
                    let sheet = session.service().tally.of(self.number);
                    sheet.transform_times.add(changed, timed.stands_for);
                    if taken {
                        sheet.answer_times.add(self.poll.began().elapsed(), timed.stands_for);
                    }
                }
            }
            Outcome::Ended => {
                let answer = session.handle_end_of_input(&mut self.desk, now);
                answer_with(stream, session, answer, self.number);
            }
            Outcome::NotNow => {}
            Outcome::Failed(reason) => session.handle_failure(reason),
        }
        self.settle(key);
    }

    /// Goes on with a connection that is not read now.
    fn go_on(&mut self, token: u64) {
        let (key, now) = (key_of(token), self.poll.now());
        let Some(Connection { id, stream, session, .. }) = self.table.get_mut(key) else { return };
        self.handle.pulse.attend(*id);
        match session.poll_action() {
            Action::Write => match stream.write(session.unsent()) {
                Outcome::Moved(n) => {
                    session.service().tally.of(self.number).bytes_out.add(n as u64);
                    session.handle_written(n, now);
                }
                Outcome::NotNow | Outcome::Ended => {}
                Outcome::Failed(reason) => session.handle_failure(reason),
            },
            Action::Answer => {
                let answer = session.handle_writable(&mut self.desk, now);
                answer_with(stream, session, answer, self.number);
            }
            // nothing is reported then but an end in both directions
            Action::Wait => session.handle_failure(EndReason::ClientReset),
            Action::Read | Action::ShutDown | Action::Close { .. } => {}
        }
        self.settle(key);
        self.handle.pulse.answer();
    }
}
