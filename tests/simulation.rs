//! Sessions under a seeded world: a client that sends in any cuts, reads when it likes, ends,
//! resets or vanishes; a socket that takes what it likes; a clock that jumps.
//!
//! A failure prints its seed; `SHOUTD_SEED=N cargo test --test simulation` replays it, and
//! `SHOUTD_SEEDS=N` says how many seeds are tried (1,000 unless told).

#[path = "common/mod.rs"]
mod common;

use common::inputs::{DELIMITER, input};
use common::seeds::{replays, seeds, try_all};
use fastrand::Rng;
use shoutd::deadlines::Moment;
use shoutd::framing::{self, OnLong};
use shoutd::rates::Rate;
use shoutd::session::{Action, Desk, EndReason, Limits, Rates, Service, Session};
use shoutd::transform::{Choice, Options, Pipeline};
use std::collections::HashSet;
use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

const STEPS: usize = 3_000;
const MAX_MESSAGE: usize = 100;

/// The service that a seed draws, and what it must answer to a whole input.
struct Draw {
    service: Arc<Service>,
    framing: &'static str,
    on_long: OnLong,
    step: &'static str,
}

fn draw(rng: &mut Rng) -> Draw {
    let about = rng.choice(framing::REGISTRY).unwrap();
    let on_long = *rng.choice(&[OnLong::Close, OnLong::Truncate, OnLong::Drop, OnLong::Pass]).unwrap();
    let step = *rng.choice(&["echo", "uppercase"]).unwrap();
    let buffer_size = rng.usize(1..40);
    let mut wait = |millis: u64| rng.bool().then(|| Duration::from_millis(millis));
    let limits = Limits {
        buffer_size,
        buffer_size_max: buffer_size * 16,
        idle_timeout: wait(5_000),
        message_timeout: wait(1_500),
        write_timeout: wait(3_000),
        half_closed_timeout: wait(2_000),
        max_lifetime: None,
        rates: Rates::default(),
    };
    // drawn last, so that a seed draws the rest as ever
    let rate = |rng: &mut Rng, most: u32| {
        let amount = NonZero::new(rng.u32(1..most)).unwrap();
        (rng.u8(..) < 40).then(|| Rate::new(amount, Duration::from_millis(rng.u64(1..300))))
    };
    let rates = Rates { messages: rate(rng, 9), bytes: rate(rng, 400), ..Rates::default() };
    let max_lifetime = (rng.u8(..) < 20).then(|| Duration::from_millis(rng.u64(1..9_000)));
    let limits = Limits { rates, max_lifetime, ..limits };
    let framed = framing::Options { max_message: MAX_MESSAGE, on_long, delimiter: DELIMITER.to_vec() };
    let framing = framing::build(about, about, &framed).unwrap();
    let pipeline = Pipeline::new(vec![Choice::named(step, Options::default()).unwrap()]);
    let service = Service { name: "sim".to_owned(), framing, pipeline, greeting: None, limits, tally: Arc::default() };
    Draw { service: Arc::new(service), framing: about.name, on_long, step }
}

fn reference(draw: &Draw, input: &[u8]) -> Vec<u8> {
    if draw.step == "echo" {
        return input.to_vec();
    }
    input.utf8_chunks().flat_map(|chunk| [chunk.valid().to_uppercase().as_bytes(), chunk.invalid()].concat()).collect()
}

/// One message of an input: its frame before the text, the text, the frame behind it, and whether
/// all of it is there. Nothing if what begins there is none.
fn first_message<'i>(framing: &str, input: &'i [u8]) -> Option<([&'i [u8]; 3], bool)> {
    let until = |end: &[u8]| {
        let found = input.windows(end.len()).position(|window| window == end);
        let (text, ending) = found.map_or((input, &[][..]), |at| (&input[..at], &input[at..at + end.len()]));
        ([&input[..0], text, ending], true)
    };
    let counted = |head: usize, len: usize, trailer: &[u8]| {
        let rest = &input[head..];
        let text = &rest[..len.min(rest.len())];
        let ending = &rest[text.len()..(text.len() + trailer.len()).min(rest.len())];
        let right = trailer.starts_with(ending);
        right.then_some(([&input[..head], text, ending], text.len() == len && ending == trailer))
    };
    match framing {
        "delimiter" => Some(until(DELIMITER)),
        "line" => {
            let ([_, line, _], _) = until(b"\n");
            let all = &input[..(line.len() + 1).min(input.len())];
            let text = all.strip_suffix(b"\r\n").or(all.strip_suffix(b"\n")).unwrap_or(all);
            Some(([&input[..0], text, &all[text.len()..]], true))
        }
        "length32" => match input.first_chunk::<4>() {
            Some(len) => counted(4, u32::from_be_bytes(*len) as usize, b""),
            None => Some(([input, &[], &[]], false)),
        },
        "netstring" => {
            let digits = input.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let number = str::from_utf8(&input[..digits]).unwrap();
            match input.get(digits) {
                _ if digits > 10 || (digits > 1 && number.starts_with('0')) => None,
                Some(b':') if digits > 0 => counted(digits + 1, number.parse().unwrap(), b","),
                None if digits > 0 => Some(([input, &[], &[]], false)),
                _ => None,
            }
        }
        other => panic!("{other}"),
    }
}

/// The frame before and behind an answer of `len` bytes to a message that ended in `ending`.
fn frame(framing: &str, len: usize, ending: &[u8]) -> (Vec<u8>, Vec<u8>) {
    match framing {
        "length32" => (u32::try_from(len).unwrap().to_be_bytes().to_vec(), Vec::new()),
        "netstring" => (format!("{len}:").into_bytes(), b",".to_vec()),
        _ => (Vec::new(), ending.to_vec()),
    }
}

/// What a connection whose client sent `input`, cut at `flushed`, must be answered; and why it must
/// end, if it must.
fn expected(draw: &Draw, input: &[u8], flushed: &[usize]) -> (Vec<u8>, Option<EndReason>) {
    let mut answer = Vec::new();
    if draw.framing == "stream" {
        let mut from = 0;
        for cut in flushed.iter().copied().chain([input.len()]) {
            answer.extend(reference(draw, &input[from..cut]));
            from = cut;
        }
        return (answer, None);
    }
    let mut rest = input;
    while !rest.is_empty() {
        let Some(([head, text, ending], whole)) = first_message(draw.framing, rest) else {
            // a long one was passed before it was seen that nothing ends it
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let told = str::from_utf8(&rest[..digits]).unwrap().parse().unwrap_or(0);
            if draw.on_long == OnLong::Pass && told > MAX_MESSAGE && rest.get(digits) == Some(&b':') {
                answer.extend(&rest[..rest.len().min(digits + 1 + told)]);
            }
            return (answer, Some(EndReason::BadFrame));
        };
        // how long it is, or says it is
        let told = match (draw.framing, head) {
            ("length32", [_, _, _, _]) => u32::from_be_bytes(head.try_into().unwrap()) as usize,
            ("netstring", [digits @ .., b':']) => str::from_utf8(digits).unwrap().parse().unwrap(),
            _ => text.len(),
        };
        rest = &rest[head.len() + text.len() + ending.len()..];
        let mut respond = |text: &[u8]| {
            let (before, behind) = frame(draw.framing, text.len(), ending);
            answer.extend([before.as_slice(), text, &behind].concat());
        };
        match draw.on_long {
            _ if !whole && draw.on_long != OnLong::Close && told > MAX_MESSAGE => {
                if draw.on_long == OnLong::Pass {
                    answer.extend([head, text, ending].concat());
                }
                return (answer, Some(EndReason::MessageCutShort));
            }
            _ if told <= MAX_MESSAGE && !whole => return (answer, Some(EndReason::MessageCutShort)),
            _ if told <= MAX_MESSAGE => respond(&reference(draw, text)),
            OnLong::Close => return (answer, Some(EndReason::MessageTooLong)),
            OnLong::Pass => answer.extend([head, text, ending].concat()),
            OnLong::Truncate if whole => {
                let first = &text[..MAX_MESSAGE];
                let cut = first.utf8_chunks().last().map_or(0, |chunk| {
                    let cut = chunk.invalid();
                    // what more bytes could have completed
                    if str::from_utf8(cut).is_err_and(|error| error.error_len().is_none()) { cut.len() } else { 0 }
                });
                respond(&reference(draw, &first[..MAX_MESSAGE - cut]));
            }
            OnLong::Truncate | OnLong::Drop => {}
        }
    }
    (answer, None)
}

struct World {
    rng: Rng,
    draw: Draw,
    session: Session,
    desk: Desk,
    now: Moment,
    /// What the client sends in all, how much of it has come to us, and whether it then ends.
    input: Vec<u8>,
    delivered: usize,
    fin: bool,
    /// Whether the client reads its answers.
    reads: bool,
    /// What our socket took, and how much it takes at most before the client reads.
    output: Vec<u8>,
    room: usize,
    flushed: Vec<usize>,
    shut: bool,
    draining: bool,
    /// Whether a read was answered in more than one go.
    continued: bool,
}

impl World {
    fn new(seed: u64) -> World {
        let mut rng = Rng::with_seed(seed);
        let draw = draw(&mut rng);
        let now = Moment::from_millis(0);
        let session = Session::new(Arc::clone(&draw.service), None, now);
        let input = input(&mut rng, draw.framing);
        let fin = rng.u8(..) < 200;
        let reads = rng.u8(..) < 230;
        World {
            rng,
            draw,
            session,
            desk: Desk::default(),
            now,
            input,
            delivered: 0,
            fin,
            reads,
            output: Vec::new(),
            room: 0,
            flushed: Vec::new(),
            shut: false,
            draining: false,
            continued: false,
        }
    }

    fn step(&mut self) {
        match self.rng.u32(0..100) {
            0..30 => self.readable(),
            30..50 => self.writable(),
            50..75 if self.reads => self.room = (self.room + self.rng.usize(0..200)).min(500),
            75..90 => self.now = self.now.after(Duration::from_millis(self.rng.u64(0..200))),
            90..98 => self.tick(),
            98 if self.rng.u8(..) < 8 => self.session.handle_failure(EndReason::ClientReset),
            98 if self.rng.u8(..) < 8 => {
                self.draining = true;
                self.session.handle_drain(self.now, Duration::from_millis(700));
            }
            98 if self.rng.u8(..) < 3 => self.session.handle_stop(EndReason::Stopped),
            _ => {}
        }
        if self.session.poll_action() == Action::ShutDown {
            self.session.handle_shut_down(self.now);
            self.shut = true;
        }
    }

    fn readable(&mut self) {
        if self.session.poll_action() != Action::Read {
            return;
        }
        let left = self.input.len() - self.delivered;
        let answer = if left > 0 {
            let size = self.session.read_size();
            assert!((1..=self.draw.service.limits.buffer_size_max).contains(&size));
            let len = self.rng.usize(1..=left.min(size));
            let mut read = self.input[self.delivered..self.delivered + len].to_vec();
            self.delivered += len;
            self.session.handle_input(&mut read, &mut self.desk, self.now).to_vec()
        } else if self.fin {
            self.session.handle_end_of_input(&mut self.desk, self.now).to_vec()
        } else {
            return;
        };
        self.answered(&answer);
    }

    /// The socket takes what it has room for.
    fn answered(&mut self, answer: &[u8]) {
        assert!(!self.shut || answer.is_empty(), "an answer after FIN");
        let taken = self.rng.usize(0..=answer.len().min(self.room));
        self.output.extend(&answer[..taken]);
        self.room -= taken;
        if !answer.is_empty() {
            self.session.handle_answered(answer, taken);
        }
    }

    fn writable(&mut self) {
        if self.session.poll_action() == Action::Answer && self.room > 0 {
            let answer = self.session.handle_writable(&mut self.desk, self.now).to_vec();
            self.answered(&answer);
            self.continued = true;
        } else if self.session.poll_action() == Action::Write && self.room > 0 {
            let unsent = self.session.unsent();
            let taken = self.rng.usize(0..=unsent.len().min(self.room));
            self.output.extend(&unsent[..taken]);
            self.room -= taken;
            self.session.handle_written(taken, self.now);
        }
    }

    fn tick(&mut self) {
        // who is slowed only goes on then
        let due = self.session.poll_timeout() <= self.now && self.session.state() != "slowed";
        if self.rng.u8(..) < 200 {
            self.session.handle_end_ahead(self.fin && self.delivered == self.input.len());
        }
        let answer = self.session.handle_timeout(&mut self.desk, self.now).to_vec();
        if due && self.session.end_reason().is_none() {
            // the rest of a character did not come in time
            self.flushed.push(self.delivered);
        }
        self.answered(&answer);
    }

    fn check(&self) {
        let (whole, _) = expected(&self.draw, &self.input, &self.flushed);
        assert!(whole.starts_with(&self.output), "the output is no beginning of the answer");
        assert_eq!(self.session.sent(), self.output.len() as u64, "bytes sent are counted");
        assert_eq!(self.session.received(), self.delivered as u64, "bytes received are counted");
        let limits = &self.draw.service.limits;
        let stream = (limits.buffer_size_max + 3) * 3;
        let messages = limits.answers_max() + MAX_MESSAGE * 3 + 12 + limits.buffer_size_max + MAX_MESSAGE;
        assert!(self.session.unsent().len() <= stream.max(messages), "more than one turn's answer is kept");
        if let Action::Close { .. } = self.session.poll_action() {
            assert!(self.session.end_reason().is_some(), "closed without a reason");
        }
    }

    fn check_end(&self) {
        let limits = &self.draw.service.limits;
        let (whole, must) = expected(&self.draw, &self.input[..self.delivered], &self.flushed);
        let reason = self.session.end_reason().expect("an end has a reason");
        match reason {
            EndReason::ClientFin | EndReason::MessageCutShort => {
                assert_eq!(self.output, whole, "the client's end leaves nothing unanswered");
                assert_eq!(must, (reason == EndReason::MessageCutShort).then_some(reason));
            }
            EndReason::IdleTimeout => assert!(limits.idle_timeout.is_some()),
            EndReason::WriteTimeout => assert!(limits.write_timeout.is_some()),
            EndReason::HalfClosedTimeout => {
                assert!(limits.half_closed_timeout.is_some() && self.delivered == self.input.len());
            }
            EndReason::MaxLifetime => {
                let lifetime = limits.max_lifetime.expect("one is set");
                assert!(self.now.since(self.session.opened()) >= lifetime, "ended before its time");
            }
            EndReason::MessageTimeout => assert!(limits.message_timeout.is_some() && self.draw.framing != "stream"),
            EndReason::MessageTooLong | EndReason::BadFrame => assert_eq!(must, Some(reason)),
            EndReason::Drained => {
                assert!(self.draining);
                assert_eq!(self.output, whole, "a drain leaves nothing unanswered");
            }
            EndReason::ClientReset | EndReason::Stopped => {}
            other => panic!("{other:?} cannot happen here"),
        }
    }

    fn run(mut self) -> (Option<EndReason>, bool) {
        for _ in 0..STEPS {
            self.step();
            self.check();
            if let Action::Close { .. } = self.session.poll_action() {
                self.check_end();
                return (self.session.end_reason(), self.continued);
            }
        }
        // a client that neither sends nor ends, or does not read, may stay for as long as no timeout says otherwise
        let silent = self.delivered == self.input.len() && !self.fin;
        let deaf = !self.reads && self.draw.service.limits.write_timeout.is_none();
        let slowed = self.draw.service.limits.rates != Rates::default();
        assert!(silent || deaf || slowed, "a session with work to do went on for {STEPS} steps");
        (None, self.continued)
    }
}

#[test]
fn whatever_clients_and_sockets_do_the_answer_is_right_and_the_session_ends() {
    let seeds = seeds(1_000);
    let ends = try_all(&seeds, |seed| World::new(seed).run(), replays);
    let continued = ends.iter().filter(|(_, was_continued)| *was_continued).count();
    let seen: HashSet<_> = ends.into_iter().map(|(reason, _)| reason).collect();
    // a world that never meets one of its ends proves nothing about it
    assert!(seeds.len() < 1_000 || (seen.len() == 13 && continued > 10), "{seen:?}, {continued} continued");
}

#[test]
fn a_session_is_small() {
    assert!(size_of::<Session>() <= 80, "{} bytes", size_of::<Session>());
}
