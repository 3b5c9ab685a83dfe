//! Bulk: as much is sent as the server takes, and what it makes of it is read meanwhile.
//!
//! A text is cut wherever a write ends, but at its end: there it is sent to the end of a character, so that it is
//! known what must come back.

use crate::measure::{Phase, Tally, Window, measure, seconds, wrong_reply};
use crate::messages::{size, text};
use crate::script::Script;
use crate::sockets::{self, Events, Poll, READ, WRITE};
use crate::{Report, Target};
use clap::Args;
use nix::sys::epoll::EpollFlags;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

#[derive(Args, Clone)]
pub struct Options {
    /// Connections, shared out among the threads
    #[arg(short = 'c', long, default_value_t = 1)]
    connections: usize,
    /// Most bytes of a write or a read
    #[arg(short, long, default_value = "65536", value_parser = size)]
    size: usize,
    /// Send this text again and again instead of random letters and digits
    #[arg(long)]
    text: Option<PathBuf>,
    #[command(flatten)]
    window: Window,
    /// Seconds that the server has for what it owes, once the sending side was shut down
    #[arg(long, default_value = "5", value_parser = seconds)]
    drain: Duration,
}

/// What is sent, and what it becomes.
struct Bulk {
    text: String,
    script: Script,
}

impl Bulk {
    fn new(text: String) -> Bulk {
        Bulk { script: Script::new(&text, &text.to_uppercase()), text }
    }

    /// Where the character ends that byte `sent` is in the middle of, if it is.
    fn border(&self, sent: usize) -> usize {
        let at = sent % self.text.len();
        sent - at + self.text.ceil_char_boundary(at)
    }

    /// How much must come back for so much, which ends with a character.
    fn due(&self, sent: usize) -> usize {
        let (rounds, at) = (sent / self.text.len(), sent % self.text.len());
        rounds * self.script.periods().1 + self.text[..at].to_uppercase().len()
    }
}

struct Connection {
    socket: TcpStream,
    place: usize,
    sent: usize,
    received: usize,
    /// After how many bytes it ends, once that is known.
    last: Option<usize>,
}

impl Connection {
    fn finish(&mut self, bulk: &Bulk, poll: &Poll) -> io::Result<()> {
        self.last = Some(bulk.border(self.sent));
        self.end_if_all_sent(poll)
    }

    fn end_if_all_sent(&self, poll: &Poll) -> io::Result<()> {
        if self.last == Some(self.sent) {
            self.socket.shutdown(Shutdown::Write)?;
            poll.modify(&self.socket, self.place, READ)?;
        }
        Ok(())
    }

    /// Reads once; `None` is the end.
    fn read(&mut self, bulk: &Bulk, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let Some(count) = sockets::now(self.socket.read(buffer))? else { return Ok(Some(0)) };
        if !bulk.script.is_reply(self.received, &buffer[..count]) {
            return Err(wrong_reply());
        }
        self.received += count;
        Ok(Some(count).filter(|count| *count > 0))
    }

    fn write(&mut self, bulk: &Bulk, most: usize, poll: &Poll) -> io::Result<()> {
        let length = self.last.map_or(most, |last| most.min(last - self.sent));
        if length > 0 {
            self.sent += sockets::now(self.socket.write(bulk.script.request(self.sent, length)))?.unwrap_or(0);
            self.end_if_all_sent(poll)?;
        }
        Ok(())
    }

    /// Reads once and writes once, where there is something to read and room to write. What was read, or `None`
    /// at the end.
    fn turn(&mut self, event: EpollFlags, bulk: &Bulk, buffer: &mut [u8], poll: &Poll) -> io::Result<Option<usize>> {
        let received = if event == WRITE { Some(0) } else { self.read(bulk, buffer)? };
        if received.is_some() && event.contains(WRITE) {
            self.write(bulk, buffer.len(), poll)?;
        }
        Ok(received)
    }

    fn is_whole(&self, bulk: &Bulk) -> bool {
        self.last == Some(self.sent) && self.received == bulk.due(self.sent)
    }
}

fn work(sockets: Vec<TcpStream>, options: &Options, bulk: &Bulk, phase: &Phase) -> io::Result<Tally> {
    let (mut tally, poll) = (Tally::new(), Poll::new()?);
    let (mut events, mut buffer) = (Events::new(), vec![0; options.size]);
    let mut connections = Vec::new();
    for (place, socket) in sockets.into_iter().enumerate() {
        poll.add(&socket, place, READ | WRITE)?;
        connections.push(Some(Connection { socket, place, sent: 0, received: 0, last: None }));
    }
    let mut until: Option<Instant> = None;
    while connections.iter().any(Option::is_some) && until.is_none_or(|until| Instant::now() < until) {
        if phase.over() && until.is_none() {
            until = Some(Instant::now() + options.drain);
            connections.iter_mut().flatten().try_for_each(|connection| connection.finish(bulk, &poll))?;
        }
        for event in poll.wait(&mut events)? {
            let ended = &mut connections[sockets::place(event)];
            let Some(connection) = ended else { continue };
            match connection.turn(event.events(), bulk, &mut buffer, &poll) {
                Ok(Some(count)) => {
                    tally.count += if phase.counting() { count as u64 } else { 0 };
                    continue;
                }
                Ok(None) if connection.is_whole(bulk) => tally.complete += 1,
                Ok(None) => tally.cut_short += 1,
                Err(error) => tally.fail(&error),
            }
            *ended = None;
        }
    }
    tally.cut_short += connections.iter().flatten().count() as u64;
    Ok(tally)
}

pub fn run(target: &Target, options: &Options) -> io::Result<Report> {
    let bulk = Bulk::new(text(options.text.as_deref())?);
    let prepare = |thread| sockets::connect_share(target, options.connections, thread);
    let tally = measure(target, &options.window, prepare, |sockets, phase| work(sockets, options, &bulk, phase))?;
    let rate = tally.rate() / 1e6;
    let mut json = tally.json("stream");
    json["connections"] = options.connections.into();
    json["size"] = options.size.into();
    json["bytes"] = tally.count.into();
    json["mb_per_s"] = rate.into();
    json["server_ns_per_kb"] = tally.server_each().map(|seconds| seconds * 1e12).into();
    json["complete"] = tally.complete.into();
    json["cut_short"] = tally.cut_short.into();
    let text = format!(
        "{rate:.0} MB/s received, {} of {} streams whole after the half-close, {} not, {} errors",
        tally.complete, options.connections, tally.cut_short, tally.errors
    );
    Ok(Report { ok: tally.errors + tally.cut_short == 0 && tally.count > 0, text, json })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_ends_with_a_character() {
        let bulk = Bulk::new("aи日".to_owned());
        assert_eq!([0, 1, 2, 3, 4, 5, 6].map(|sent| bulk.border(sent)), [0, 1, 3, 3, 6, 6, 6]);
        assert_eq!(bulk.border(6 * 1000 + 4), 6 * 1000 + 6);
    }

    #[test]
    fn what_is_due_is_counted_in_bytes_of_the_reply() {
        let bulk = Bulk::new("ŉaß".to_owned());
        assert_eq!([0, 2, 3, 5, 7].map(|sent| bulk.due(sent)), [0, 3, 4, 6, 9]);
    }
}
