//! What a seed draws: how a listener serves, and who comes.

use crate::common::inputs::{DELIMITER, input};
use crate::common::{step, steps};
use crate::connection::Client;
use fastrand::Rng;
use shoutd::framing::{self, Framing, OnLong};
use shoutd::link::Manners;
use shoutd::metrics::Tally;
use shoutd::session::{Limits, Rates, Service};
use shoutd::transform::{Choice, InvalidUtf8, OnError, OnUnmappable, Options, Pipeline, Template};
use std::sync::Arc;
use std::time::Duration;

/// The longest message, in bytes.
pub const MESSAGE_MAX: usize = 100;

/// One of `all`.
fn one<T: Clone>(rng: &mut Rng, all: &[T]) -> T {
    rng.choice(all).unwrap().clone()
}

fn millis(rng: &mut Rng, all: &[u64]) -> Option<Duration> {
    rng.bool().then(|| Duration::from_millis(one(rng, all)))
}

pub fn limits(rng: &mut Rng) -> Limits {
    let buffer_size = rng.usize(1..40);
    Limits {
        buffer_size,
        buffer_size_max: buffer_size * 16,
        idle_timeout: millis(rng, &[30, 700, 5_000]),
        message_timeout: millis(rng, &[20, 300, 1_500]),
        write_timeout: millis(rng, &[40, 900, 3_000]),
        half_closed_timeout: millis(rng, &[30, 600]),
        max_lifetime: if rng.u8(..) < 40 { millis(rng, &[100, 4_000]) } else { None },
        // these a session meets in tests/simulation.rs
        rates: Rates::default(),
    }
}

fn framing(rng: &mut Rng) -> Framing {
    let (read, write) = (rng.choice(framing::REGISTRY).unwrap(), rng.choice(framing::REGISTRY).unwrap());
    let on_long = one(rng, &[OnLong::Close, OnLong::Truncate, OnLong::Drop, OnLong::Pass]);
    let options = framing::Options { max_message: MESSAGE_MAX, on_long, delimiter: DELIMITER.to_vec() };
    let write = if rng.u8(..) < 60 { write } else { read };
    framing::build(read, write, &options).or_else(|_| framing::build(read, read, &options)).unwrap()
}

fn pipeline(rng: &mut Rng, framing: &Framing) -> Pipeline {
    let options = Options {
        invalid_utf8: one(rng, &[InvalidUtf8::Pass, InvalidUtf8::Pass, InvalidUtf8::Replace, InvalidUtf8::Close]),
        on_error: one(rng, &[OnError::Pass, OnError::Pass, OnError::Reply, OnError::Close]),
        on_unmappable: one(rng, &[OnUnmappable::Replace, OnUnmappable::Escape, OnUnmappable::Close]),
    };
    let is_stream = matches!(framing, Framing::Stream);
    let all = steps(if is_stream { "stream" } else { "line" });
    let drawn = (0..rng.usize(0..3)).map(|_| step(one(rng, &all), options));
    Pipeline::new(drawn.filter(|step: &Choice| !is_stream || !step.needs_messages()).collect())
}

pub fn service(rng: &mut Rng, name: &str, tally: &Arc<Tally>) -> Arc<Service> {
    let framing = framing(rng);
    let pipeline = pipeline(rng, &framing);
    let greeting = (rng.u8(..) < 50).then(|| Template::parse("{listener} greets {peer}").unwrap());
    let (name, tally) = (name.to_owned(), Arc::clone(tally));
    Arc::new(Service { name, framing, pipeline, greeting, limits: limits(rng), tally })
}

/// How a listener is to serve after a reload: mostly in the framing that it has.
pub fn reloaded(rng: &mut Rng, service: &Service) -> Arc<Service> {
    let framing = if rng.u8(..) < 60 { framing(rng) } else { service.framing.clone() };
    let pipeline = pipeline(rng, &framing);
    let limits = if rng.bool() { limits(rng) } else { service.limits.clone() };
    Arc::new(Service { framing, pipeline, limits, ..service.clone() })
}

pub fn client(rng: &mut Rng, service: &Service) -> Client {
    let name = match &service.framing {
        Framing::Stream => "stream",
        Framing::Messages(messages) => messages.names.0,
    };
    Client {
        script: (0..rng.usize(1..4)).flat_map(|_| input(rng, name)).collect(),
        sent: 0,
        ends: rng.u8(..) < 220,
        fin: false,
        reads: rng.u8(..) < 220,
        acked: 0,
        gone: false,
        room: one(rng, &[1, 5, 64, 500, 10_000]),
    }
}

pub fn manners(rng: &mut Rng) -> Manners {
    let greeting = rng.bool().then(|| Template::parse("hello").unwrap());
    Manners { greeting, answer_back: rng.u8(..) < 40, once: rng.u8(..) < 30, loop_guard: rng.u8(..) < 200 }
}
