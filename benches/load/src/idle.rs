//! Connections that do nothing: what they cost the server, and those that work beside them.

use crate::measure::{seconds, wrong_reply};
use crate::messages::Messages;
use crate::process::Memory;
use crate::{Report, Target, pingpong, sockets};
use clap::Args;
use serde_json::{Value, json};
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

/// How long a reply may take.
const REPLY: Duration = Duration::from_secs(5);

#[derive(Args, Clone)]
pub struct Options {
    /// Idle connections
    #[arg(short = 'n', long, default_value_t = 10_000)]
    idle: usize,
    /// Send a request on each, and take its reply, before it is left alone
    #[arg(long)]
    touch: bool,
    /// Seconds in which the server comes to rest before each look at its memory
    #[arg(long, default_value = "1", value_parser = seconds)]
    settle: Duration,
    #[command(flatten)]
    beside: pingpong::Options,
}

fn touch(mut socket: &TcpStream, messages: &Messages) -> io::Result<()> {
    let (request, reply) = messages.bytes(1);
    let mut received = vec![0; reply];
    socket.set_nonblocking(false)?;
    socket.set_read_timeout(Some(REPLY))?;
    socket.write_all(messages.script.request(0, request))?;
    socket.read_exact(&mut received)?;
    if messages.script.is_reply(0, &received) { socket.set_nonblocking(true) } else { Err(wrong_reply()) }
}

/// Opens them all, up to the first that fails.
fn open(target: &Target, options: &Options, messages: &Messages) -> (Vec<TcpStream>, Option<io::Error>) {
    let mut held = Vec::with_capacity(options.idle);
    for nth in 0..options.idle {
        let opened = sockets::connect(target, nth)
            .and_then(|socket| if options.touch { touch(&socket, messages).map(|()| socket) } else { Ok(socket) });
        match opened {
            Ok(socket) => held.push(socket),
            Err(error) => return (held, Some(error)),
        }
    }
    (held, None)
}

/// How many the server has given up, or said something on.
fn lost(held: &[TcpStream]) -> usize {
    let quiet =
        |socket: &TcpStream| matches!(socket.peek(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock);
    held.iter().filter(|socket| !quiet(socket)).count()
}

/// Memory without the idle connections, with them, and after them.
struct Readings {
    before: Memory,
    during: Memory,
    after: Memory,
    /// How many they were.
    idle: usize,
}

impl Readings {
    /// Bytes for each of them, of memory that has grown from one reading to the next.
    fn each(&self, kind: impl Fn(Memory) -> i64) -> i64 {
        (kind(self.during) - kind(self.before)) / i64::try_from(self.idle.max(1)).unwrap_or(i64::MAX)
    }

    fn add(&self, report: &mut Value, server: bool) {
        let mut add = |name: &str, kind: fn(Memory) -> i64| {
            report[format!("{name}_before")] = kind(self.before).into();
            report[format!("{name}_during")] = kind(self.during).into();
            report[format!("{name}_after")] = kind(self.after).into();
            report[format!("{name}_per_conn")] = server.then(|| self.each(kind)).into();
        };
        add("rss", |memory| memory.rss);
        add("pss", |memory| memory.pss);
        add("private", |memory| memory.private);
        report["machine_per_conn"] = self.each(|memory| -memory.available).into();
    }
}

pub fn run(target: &Target, options: &Options) -> io::Result<Report> {
    let messages = Messages::new(&options.beside.messages)?;
    let look = || {
        thread::sleep(options.settle);
        Memory::now(target.pid)
    };
    let before = Memory::now(target.pid);
    let begun = Instant::now();
    let (held, error) = open(target, options, &messages);
    let seconds = begun.elapsed().as_secs_f64();
    let (idle, during) = (held.len(), look());
    let beside = (options.beside.connections > 0).then(|| pingpong::run(target, &options.beside)).transpose()?;
    let lost = lost(&held);
    drop(held);
    let readings = Readings { before, during, after: look(), idle };
    let mut json = json!({
        "mode": "idle", "idle": idle, "touched": options.touch, "open_s": seconds, "lost": lost,
        "errors": u64::from(error.is_some()), "error": error.as_ref().map(ToString::to_string),
        "active": beside.as_ref().map(|report| report.json.clone()),
    });
    readings.add(&mut json, target.pid.is_some());
    let text = format!(
        "{idle} idle connections opened in {seconds:.2} s, {lost} lost{}; each has {} bytes of the server's memory \
         (PSS), and {} of the machine's (both ends){}",
        error.as_ref().map_or(String::new(), |error| format!(", the next: {error}")),
        readings.each(|memory| memory.pss),
        readings.each(|memory| -memory.available),
        beside.as_ref().map_or(String::new(), |report| format!("\nbeside them: {}", report.text))
    );
    let ok = error.is_none() && lost == 0 && beside.is_none_or(|report| report.ok);
    Ok(Report { ok, text, json })
}
