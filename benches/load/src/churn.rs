//! Connections that are short: connect, one request and its reply, close, and again. At the end, those that are open
//! are waited for.

use crate::measure::{Phase, Tally, Window, measure, seconds, wrong_reply};
use crate::messages::{self, Messages};
use crate::script::PIECE;
use crate::sockets::{self, Events, Poll, READ, WRITE};
use crate::{Report, Target};
use clap::Args;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::ops::Range;
use std::time::{Duration, Instant};

/// How often it is looked for connections that are late.
const ROUND: Duration = Duration::from_millis(500);

#[derive(Args, Clone)]
pub struct Options {
    /// Connections open at any time, shared out among the threads
    #[arg(short = 'c', long, default_value_t = 50)]
    connections: usize,
    #[command(flatten)]
    messages: messages::Options,
    #[command(flatten)]
    window: Window,
    /// Shut down the sending side after the request, and read to the end
    #[arg(long)]
    half_close: bool,
    /// Seconds after which a connection without its reply is an error
    #[arg(long, default_value = "5", value_parser = seconds)]
    timeout: Duration,
}

struct Connection {
    socket: TcpStream,
    since: Instant,
    /// What is still to be sent, and still to come, as places in the script.
    request: Range<usize>,
    reply: Range<usize>,
}

impl Connection {
    /// The `nth` of a thread, which may still be under way.
    fn begin(target: &Target, messages: &Messages, nth: usize) -> io::Result<Connection> {
        let (from, to) = (messages.bytes(nth), messages.bytes(nth + 1));
        let socket = sockets::begin_connect(target, nth)?;
        Ok(Connection { socket, since: Instant::now(), request: from.0..to.0, reply: from.1..to.1 })
    }

    fn asked(&self) -> bool {
        self.request.is_empty()
    }

    fn send(&mut self, messages: &Messages, half_close: bool) -> io::Result<()> {
        let piece = messages.script.request(self.request.start, self.request.len());
        self.request.start += sockets::now(self.socket.write(piece))?.unwrap_or(0);
        if self.asked() && half_close { self.socket.shutdown(Shutdown::Write) } else { Ok(()) }
    }

    /// Reads, and tells whether the reply is whole; with `to_end`, whether the stream has ended after it.
    fn receive(&mut self, messages: &Messages, to_end: bool, buffer: &mut [u8]) -> io::Result<bool> {
        while to_end || !self.reply.is_empty() {
            let Some(count) = sockets::now(self.socket.read(buffer))? else { return Ok(false) };
            if count == 0 {
                return if self.reply.is_empty() { Ok(true) } else { Err(ErrorKind::UnexpectedEof.into()) };
            }
            if count > self.reply.len() || !messages.script.is_reply(self.reply.start, &buffer[..count]) {
                return Err(wrong_reply());
            }
            self.reply.start += count;
        }
        Ok(true)
    }
}

/// The connections of a thread, and all that they need.
struct Crowd<'a> {
    target: &'a Target,
    options: &'a Options,
    messages: &'a Messages,
    poll: Poll,
    connections: Vec<Option<Connection>>,
    /// The number of the next one.
    next: usize,
    tally: Tally,
}

impl Crowd<'_> {
    /// Begins a connection in each place that is free.
    fn fill(&mut self) {
        for place in 0..self.connections.len() {
            if self.connections[place].is_none() {
                match self.begin(place) {
                    Ok(connection) => self.connections[place] = Some(connection),
                    Err(error) => self.tally.fail(&error),
                }
            }
        }
    }

    fn begin(&mut self, place: usize) -> io::Result<Connection> {
        let nth = self.next;
        self.next += self.target.threads;
        let mut connection = Connection::begin(self.target, self.messages, nth)?;
        // on loopback it is often there at once
        connection.send(self.messages, self.options.half_close)?;
        self.poll.add(&connection.socket, place, if connection.asked() { READ } else { READ | WRITE })?;
        Ok(connection)
    }

    /// Moves a connection on; tells whether it is done.
    fn turn(&mut self, place: usize, buffer: &mut [u8]) -> io::Result<bool> {
        let Some(connection) = &mut self.connections[place] else { return Ok(false) };
        if connection.asked() {
            return connection.receive(self.messages, self.options.half_close, buffer);
        }
        connection.send(self.messages, self.options.half_close)?;
        if connection.asked() {
            self.poll.modify(&connection.socket, place, READ)?;
        }
        Ok(false)
    }

    fn end(&mut self, place: usize, how: io::Result<()>, counts: bool) {
        let Some(connection) = self.connections[place].take() else { return };
        match how {
            Ok(()) if counts => self.tally.record(connection.since.elapsed()),
            Ok(()) => {}
            Err(error) => self.tally.fail(&error),
        }
    }

    fn end_those_late(&mut self) {
        for place in 0..self.connections.len() {
            let connection = self.connections[place].as_ref();
            if connection.is_some_and(|connection| connection.since.elapsed() > self.options.timeout) {
                self.end(place, Err(ErrorKind::TimedOut.into()), false);
            }
        }
    }

    fn work(mut self, phase: &Phase) -> io::Result<Tally> {
        let (mut events, mut buffer, mut round) = (Events::new(), vec![0; PIECE], Instant::now());
        while !self.tally.hopeless() && (!phase.over() || self.connections.iter().any(Option::is_some)) {
            if !phase.over() {
                self.fill();
            }
            for event in self.poll.wait(&mut events)? {
                let place = sockets::place(event);
                match self.turn(place, &mut buffer) {
                    Ok(false) => {}
                    Ok(true) => self.end(place, Ok(()), phase.counting()),
                    Err(error) => self.end(place, Err(error), false),
                }
            }
            if round.elapsed() > ROUND {
                round = Instant::now();
                self.end_those_late();
            }
        }
        Ok(self.tally)
    }
}

pub fn run(target: &Target, options: &Options) -> io::Result<Report> {
    let messages = Messages::new(&options.messages)?;
    let prepare = |thread| {
        let connections = (thread..options.connections).step_by(target.threads).map(|_| None).collect();
        let (messages, poll, tally) = (&messages, Poll::new()?, Tally::new());
        Ok(Crowd { target, options, messages, poll, connections, next: thread, tally })
    };
    let tally = measure(target, &options.window, prepare, Crowd::work)?;
    let mut json = tally.json("churn");
    json["connections"] = options.connections.into();
    json["size"] = messages.bytes(1).0.into();
    json["half_close"] = options.half_close.into();
    json["completed"] = tally.count.into();
    json["conn_per_s"] = tally.rate().into();
    json["server_us_per_conn"] = tally.server_each().map(|seconds| seconds * 1e6).into();
    let latencies = tally.latencies(&mut json);
    let text = format!("{:.0} connections/s, connect to reply {latencies}, {} errors", tally.rate(), tally.errors);
    Ok(Report { ok: tally.errors == 0 && tally.count > 0, text, json })
}
