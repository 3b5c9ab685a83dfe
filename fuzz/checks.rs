//! What must be true of any bytes at all. The fuzzer looks for bytes of which it is not;
//! `tests/corpus.rs` checks those that were found interesting.

#![allow(dead_code, reason = "each program uses its part of this")]

use serde::de::DeserializeSeed;
use shoutd::config;
use shoutd::deadlines::Moment;
use shoutd::framing::{self, Framing, OnLong};
use shoutd::session::{Action, Desk, EndReason, Limits, Service, Session};
use shoutd::transform::{
    Choice, Files, InvalidUtf8, OnError, OnUnmappable, Options, Pipeline, REGISTRY, Site, StepSeed,
};
use std::sync::Arc;

/// The longest message allowed here: short, so that a few bytes are too many.
const MAX_MESSAGE: usize = 24;

/// Draws choices from the first bytes.
struct Choices<'d>(&'d [u8]);

impl<'d> Choices<'d> {
    fn one<T: Copy>(&mut self, all: &[T]) -> T {
        let (byte, rest) = self.0.split_first().map_or((0, self.0), |(byte, rest)| (usize::from(*byte), rest));
        self.0 = rest;
        all[byte % all.len()]
    }

    /// What is left, and two places where it may be cut.
    fn rest(mut self) -> (&'d [u8], [usize; 2]) {
        let bytes: Vec<u8> = (0..=u8::MAX).collect();
        let cuts = [self.one(&bytes), self.one(&bytes)].map(usize::from);
        let cuts = cuts.map(|cut| cut.min(self.0.len()));
        (self.0, [cuts[0].min(cuts[1]), cuts[0].max(cuts[1])])
    }
}

/// The first byte chooses the framing, the second that of answers, the third `on_long`.
pub fn framing(data: &[u8]) {
    let mut choices = Choices(data);
    let (read, write) = (choices.one(framing::REGISTRY), choices.one(framing::REGISTRY));
    let Ok(framing) = framing::build(&read, &write, &framed(&mut choices)) else { return };
    check(framing, vec![Choice::named("uppercase", Options::default()).unwrap()], choices);
}

/// The first bytes choose a framing, up to four steps, and what is said to all of them.
pub fn chain(data: &[u8]) {
    let mut choices = Choices(data);
    let about = choices.one(framing::REGISTRY);
    let framing = framing::build(&about, &about, &framed(&mut choices)).unwrap();
    let options = Options {
        invalid_utf8: choices.one(&[InvalidUtf8::Pass, InvalidUtf8::Replace, InvalidUtf8::Close]),
        on_error: choices.one(&[OnError::Pass, OnError::Reply, OnError::Close]),
        on_unmappable: choices.one(&[OnUnmappable::Replace, OnUnmappable::Escape, OnUnmappable::Close]),
    };
    let count = choices.one(&[0, 1, 2, 3, 4]);
    let steps: Vec<Choice> = (0..count).map(|_| step(choices.one(REGISTRY).example.step, options)).collect();
    if matches!(framing, Framing::Stream) && steps.iter().any(|step| !step.about().streams) {
        return;
    }
    check(framing, steps, choices);
}

/// A text is refused with its mistakes, or means the same when what it comes to is read back; the
/// tests that it holds may fail, but not break.
pub fn config(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    match config::parse("/etc/fuzz", text) {
        Ok(first) => {
            let printed = config::to_toml(&first.effective);
            let second = config::parse("/etc/again", &printed).unwrap_or_else(|mistakes| {
                panic!("{printed}\n{}", mistakes.failure("").text);
            });
            let values = |config: &config::Config| {
                let mut all: Vec<_> =
                    config.effective.iter().map(|entry| format!("{} = {}", entry.path, entry.value)).collect();
                all.sort();
                all
            };
            assert_eq!(values(&second), values(&first));
            let _ = first.test();
        }
        Err(mistakes) => assert!(!mistakes.failure("").text.is_empty()),
    }
}

fn framed(choices: &mut Choices<'_>) -> framing::Options {
    let on_long = choices.one(&[OnLong::Close, OnLong::Truncate, OnLong::Drop, OnLong::Pass]);
    framing::Options { max_message: MAX_MESSAGE, on_long, delimiter: b"<>".to_vec() }
}

/// The file that the example of `map` names.
struct Colors;

impl Files for Colors {
    fn read(&self, _: &str) -> Result<Vec<u8>, String> {
        Ok(b"red\trouge\nblue\tbleu\n".to_vec())
    }
}

fn step(written: &str, options: Options) -> Choice {
    let quoted = if written.starts_with('{') { written.to_owned() } else { format!("\"{written}\"") };
    let value = toml::de::ValueDeserializer::parse(&quoted).unwrap();
    StepSeed(Site { options, files: &Colors }).deserialize(value).unwrap()
}

/// However the bytes come, the answer is the same, and no longer than the steps declare.
fn check(framing: Framing, steps: Vec<Choice>, choices: Choices<'_>) {
    let (bytes, [first, second]) = choices.rest();
    let stream = matches!(framing, Framing::Stream);
    let (name, limits) = ("fuzz".to_owned(), Limits::default());
    let service = Arc::new(Service {
        name,
        framing,
        pipeline: Pipeline::new(steps),
        greeting: None,
        limits,
        tally: Arc::default(),
    });
    let whole = answer(&service, &[bytes]);
    let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    for pieces in [&pieces[..], &single] {
        let cut = answer(&service, pieces);
        assert_eq!(cut.0.escape_ascii().to_string(), whole.0.escape_ascii().to_string(), "{service:?}");
        assert_eq!(cut.1, whole.1, "{service:?}");
    }
    if stream && whole.1 == Some(EndReason::ClientFin) {
        assert!(whole.0.len() <= service.pipeline.growth().of(bytes.len()), "{service:?}");
    }
}

/// What a connection answers to `pieces`, read one after the other, and why it ends.
fn answer(service: &Arc<Service>, pieces: &[&[u8]]) -> (Vec<u8>, Option<EndReason>) {
    let now = Moment::from_millis(0);
    let (mut session, mut desk) = (Session::new(Arc::clone(service), None, now), Desk::default());
    let mut answer = Vec::new();
    for piece in pieces.iter().filter(|piece| !piece.is_empty()).map(Some).chain([None]) {
        if session.poll_action() != Action::Read {
            break;
        }
        let mut piece = piece.map(|piece| piece.to_vec());
        let part = match &mut piece {
            Some(piece) => session.handle_input(piece, &mut desk, now),
            None => session.handle_end_of_input(&mut desk, now),
        };
        session.handle_answered(part, part.len());
        answer.extend_from_slice(part);
    }
    (answer, session.end_reason())
}
