//! What a message costs in the session alone, without a socket: `cargo bench --bench session`.
//!
//! It does for each message what a worker does, but for the calls: take what was read, answer it, and say what is
//! wanted next, and until when. `session MESSAGES` does so many of 32 bytes and nothing else, for who counts
//! instructions (`benches/run`). Nothing here is a test: without `--bench` it only checks that answers are right.

use shoutd::deadlines::Moment;
use shoutd::framing;
use shoutd::session::{Action, Desk, Limits, Service, Session};
use shoutd::transform::{Choice, Options, Pipeline};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

const SIZE: usize = 32;
const MESSAGES: usize = 1_000_000;
const ROUNDS: usize = 10;

fn main() {
    let asked = |what| std::env::args().any(|argument| argument == what);
    let messages = std::env::args().find_map(|argument| argument.parse().ok());
    if let Some(messages) = messages {
        exchange(&mut session("stream"), SIZE, messages);
        return;
    }
    let (messages, rounds) = if asked("--bench") && !asked("--test") { (MESSAGES, ROUNDS) } else { (100, 1) };
    println!("nanoseconds for a message, best of {rounds} rounds; `cargo bench --bench session`\n");
    println!("| framing | 32 B | 1 KiB |\n|---|--:|--:|");
    for framing in ["stream", "line"] {
        let best = |size| {
            let times = (0..rounds).map(|_| {
                let begun = Instant::now();
                exchange(&mut session(framing), size, messages);
                begun.elapsed().as_secs_f64() * 1e9 / messages as f64
            });
            times.fold(f64::MAX, f64::min)
        };
        println!("| {framing} | {:.0} | {:.0} |", best(SIZE), best(1024));
    }
}

/// A session of a listener on its defaults.
fn session(framing: &str) -> Session {
    let about = framing::named(framing).expect("a framing");
    let framing = framing::build(about, about, &framing::Options::default()).expect("it needs nothing else");
    let pipeline = Pipeline::new(vec![Choice::named("uppercase", Options::default()).expect("a step")]);
    let (limits, tally) = (Limits::default(), Arc::default());
    let service = Service { name: "bench".to_owned(), framing, pipeline, greeting: None, limits, tally };
    Session::new(Arc::new(service), None, Moment::from_millis(0))
}

/// So many messages of `size` bytes, and their answers.
fn exchange(session: &mut Session, size: usize, messages: usize) {
    let message = [&vec![b'a'; size - 1][..], b"\n"].concat();
    let expected = message.to_ascii_uppercase();
    let (mut desk, mut buffer) = (Desk::default(), message.clone());
    for nth in 0..messages as u64 {
        let now = Moment::from_millis(nth / 100);
        assert_eq!(black_box(session.poll_action()), Action::Read);
        buffer.copy_from_slice(&message);
        let answer = session.handle_input(black_box(&mut buffer), &mut desk, now);
        assert_eq!(answer, expected);
        session.handle_answered(answer, answer.len());
        black_box(session.poll_timeout());
    }
}
