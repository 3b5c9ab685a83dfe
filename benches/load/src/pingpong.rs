//! Requests and replies on connections that stay: each reply calls forth the next request. At the end, what is still
//! owed is waited for.

use crate::measure::{Phase, Tally, Window, measure, wrong_reply};
use crate::messages::{self, Messages};
use crate::script::PIECE;
use crate::sockets::{self, Events, Poll, READ, WRITE};
use crate::{Report, Target};
use clap::Args;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// How long the server has for what it owes at the end.
const REST: Duration = Duration::from_secs(5);

#[derive(Args, Clone)]
#[group(skip)]
pub struct Options {
    /// Connections, shared out among the threads
    #[arg(short = 'c', long, default_value_t = 50)]
    pub connections: usize,
    #[command(flatten)]
    pub messages: messages::Options,
    /// Requests that each connection has under way
    #[arg(short, long, default_value_t = 1)]
    pub depth: usize,
    #[command(flatten)]
    pub window: Window,
}

struct Connection {
    socket: TcpStream,
    /// Requests so far, and replies that are whole.
    asked: usize,
    answered: usize,
    /// When those under way were asked.
    since: VecDeque<Instant>,
    /// Bytes that the requests so far have and their replies; that were sent and received; and that will have been
    /// received when the next reply is whole.
    wanted: usize,
    owed: usize,
    sent: usize,
    received: usize,
    next: usize,
    /// Whether the socket had no room for all of it.
    stuck: bool,
}

impl Connection {
    fn new(socket: TcpStream, messages: &Messages) -> Connection {
        let (asked, answered, since, stuck) = (0, 0, VecDeque::new(), false);
        let (wanted, owed, sent, received, next) = (0, 0, 0, 0, messages.bytes(1).1);
        Connection { socket, asked, answered, since, wanted, owed, sent, received, next, stuck }
    }

    fn ask(&mut self, count: usize, messages: &Messages, now: Instant) {
        self.asked += count;
        (self.wanted, self.owed) = messages.bytes(self.asked);
        self.since.extend(std::iter::repeat_n(now, count));
    }

    /// Sends as much of what was asked as there is room for.
    fn flush(&mut self, messages: &Messages, poll: &Poll, place: usize) -> io::Result<()> {
        while self.sent < self.wanted {
            let piece = messages.script.request(self.sent, (self.wanted - self.sent).min(PIECE));
            match sockets::now(self.socket.write(piece))? {
                Some(count) => self.sent += count,
                None if self.stuck => return Ok(()),
                None => {
                    self.stuck = true;
                    return poll.modify(&self.socket, place, READ | WRITE);
                }
            }
        }
        if std::mem::take(&mut self.stuck) {
            poll.modify(&self.socket, place, READ)?;
        }
        Ok(())
    }

    /// Reads once, and tells how many replies that made whole.
    fn receive(&mut self, messages: &Messages, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(count) = sockets::now(self.socket.read(buffer))? else { return Ok(0) };
        if count == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        // no answer may come before its question
        if self.received + count > self.owed || !messages.script.is_reply(self.received, &buffer[..count]) {
            return Err(wrong_reply());
        }
        self.received += count;
        let before = self.answered;
        while self.received >= self.next {
            self.answered += 1;
            self.next = messages.bytes(self.answered + 1).1;
        }
        Ok(self.answered - before)
    }

    /// Receives, notes how long the replies took if they count, and asks anew while there is time.
    fn turn(&mut self, messages: &Messages, buffer: &mut [u8], tally: &mut Tally, phase: &Phase) -> io::Result<()> {
        let replies = self.receive(messages, buffer)?;
        if replies > 0 {
            let (now, counts) = (Instant::now(), phase.counting());
            for since in self.since.drain(..replies).filter(|_| counts) {
                tally.record(now - since);
            }
            if !phase.over() {
                self.ask(replies, messages, now);
            }
        }
        Ok(())
    }

    fn is_whole(&self) -> bool {
        self.received == self.owed
    }
}

fn work(sockets: Vec<TcpStream>, options: &Options, messages: &Messages, phase: &Phase) -> io::Result<Tally> {
    let (mut tally, poll) = (Tally::new(), Poll::new()?);
    let (mut events, mut buffer) = (Events::new(), vec![0; PIECE]);
    let mut connections: Vec<_> = sockets.into_iter().map(|socket| Some(Connection::new(socket, messages))).collect();
    for (place, connection) in connections.iter_mut().flatten().enumerate() {
        poll.add(&connection.socket, place, READ)?;
        connection.ask(options.depth, messages, Instant::now());
        connection.flush(messages, &poll, place)?;
    }
    let mut until: Option<Instant> = None;
    while until.is_none_or(|until| Instant::now() < until && !connections.iter().flatten().all(Connection::is_whole)) {
        if phase.over() && until.is_none() {
            until = Some(Instant::now() + REST);
            continue;
        }
        for event in poll.wait(&mut events)? {
            let place = sockets::place(event);
            let Some(connection) = &mut connections[place] else { continue };
            let turn = connection.turn(messages, &mut buffer, &mut tally, phase);
            if let Err(error) = turn.and_then(|()| connection.flush(messages, &poll, place)) {
                tally.fail(&error);
                connections[place] = None;
            }
        }
    }
    for _ in connections.iter().flatten().filter(|connection| !connection.is_whole()) {
        tally.fail(&ErrorKind::TimedOut.into());
    }
    Ok(tally)
}

pub fn run(target: &Target, options: &Options) -> io::Result<Report> {
    let messages = Messages::new(&options.messages)?;
    let prepare = |thread| sockets::connect_share(target, options.connections, thread);
    let tally = measure(target, &options.window, prepare, |sockets, phase| work(sockets, options, &messages, phase))?;
    let mut json = tally.json("pingpong");
    json["connections"] = options.connections.into();
    json["size"] = messages.bytes(1).0.into();
    json["depth"] = options.depth.into();
    json["requests"] = tally.count.into();
    json["rps"] = tally.rate().into();
    json["server_us_per_request"] = tally.server_each().map(|seconds| seconds * 1e6).into();
    let latencies = tally.latencies(&mut json);
    let text = format!("{:.0} requests/s, latency {latencies}, {} errors", tally.rate(), tally.errors);
    Ok(Report { ok: tally.errors == 0 && tally.count > 0, text, json })
}
