//! What is true of every framing, proved by walking the registry: a new framing is covered by being
//! in it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic")]

mod common;

use common::step;
use proptest::prelude::*;
use shoutd::deadlines::Moment;
use shoutd::framing::{self, About, Framing, Input, OnLong, Options, Piece, REGISTRY, Rest};
use shoutd::session::{Action, Desk, EndReason, Limits, Service, Session};
use shoutd::transform::Pipeline;
use std::sync::Arc;

const MAX: usize = 6;
const LONG: [OnLong; 4] = [OnLong::Close, OnLong::Truncate, OnLong::Drop, OnLong::Pass];

fn options(on_long: OnLong) -> Options {
    Options { max_message: MAX, on_long, delimiter: b"<>".to_vec() }
}

/// Every framing of messages with every framing of answers, as far as they go together.
fn services() -> impl Iterator<Item = Arc<Service>> {
    let pairs = REGISTRY.iter().flat_map(|read| REGISTRY.iter().map(move |write| (read, write)));
    pairs.flat_map(|(read, write)| LONG.map(|on_long| framing::build(read, write, &options(on_long)))).flatten().map(
        |framing| {
            let pipeline = Pipeline::new(vec![step("uppercase", Default::default())]);
            let limits = Limits::default();
            Arc::new(Service {
                name: "test".to_owned(),
                framing,
                pipeline,
                greeting: None,
                limits,
                tally: Arc::default(),
            })
        },
    )
}

/// What a connection answers to `pieces`, read one after the other, and why it ends.
fn answer(service: &Arc<Service>, pieces: &[&[u8]]) -> (Vec<u8>, Option<EndReason>) {
    let now = Moment::from_millis(0);
    let (mut session, mut desk) = (Session::new(Arc::clone(service), None, now), Desk::default());
    let mut answer = Vec::new();
    for (piece, end) in pieces.iter().map(|piece| (*piece, false)).chain([(&b""[..], true)]) {
        if session.poll_action() != Action::Read {
            break;
        }
        let mut piece = piece.to_vec();
        let part = match end {
            true => session.handle_end_of_input(&mut desk, now),
            false if piece.is_empty() => continue,
            false => session.handle_input(&mut piece, &mut desk, now),
        };
        session.handle_answered(part, part.len());
        answer.extend_from_slice(part);
    }
    (answer, session.end_reason())
}

/// Bytes among which frames of every kind begin and end, and lie about their length.
fn awkward() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        &b"a"[..],
        b"ab",
        b"abcdefg",
        b"\n",
        b"\r\n",
        b"\r",
        b"<>",
        b"<",
        b">",
        b"0:,",
        b"1:a,",
        b"3:a,b,",
        b"7:abcdefg,",
        b"2:",
        b",",
        b"\0\0\0\0",
        b"\0\0\0\x01a",
        b"\0\0\0\x07abcdefg",
        b"\0\0",
        b"\xFF\xFF\xFF\xFF",
        "ß".as_bytes(),
        b"\xC3",
    ]);
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_cut_of_the_bytes_gives_the_same_answers(bytes in awkward(), at in any::<usize>()) {
        let (first, second) = bytes.split_at(at % (bytes.len() + 1));
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        for service in services() {
            let whole = answer(&service, &[&bytes]);
            for pieces in [&[first, second][..], &single] {
                let cut = answer(&service, pieces);
                // a connection that ends has answered what came before, however it came
                prop_assert_eq!(&cut, &whole, "{} {:x?}", service.framing, pieces);
            }
        }
    }

    #[test]
    fn what_a_framing_writes_it_reads(texts in prop::collection::vec("[a-f ]{0,6}", 0..8)) {
        for about in REGISTRY {
            let Framing::Messages(messages) = framing::build(about, about, &options(OnLong::Close)).unwrap() else {
                continue;
            };
            let mut framed = Vec::new();
            texts.iter().for_each(|text| messages.frame_unasked(text.as_bytes(), &mut framed));
            let mut input = Input::new(Rest::default(), &mut framed, true);
            for text in &texts {
                match input.next(&messages) {
                    Some(Piece::Message { body, cut_off: false, .. }) => prop_assert_eq!(&*body, text.as_bytes()),
                    other => prop_assert!(false, "{}: {:?} for {:?}", about.name, other, text),
                }
            }
            prop_assert!(input.next(&messages).is_none(), "{}", about.name);
        }
    }

    /// Whatever a client says of a length, no more than the longest message is kept, and a read.
    #[test]
    fn no_more_is_kept_than_the_longest_message(bytes in awkward(), read in 1..9_usize) {
        for service in services() {
            let now = Moment::from_millis(0);
            let (mut session, mut desk) = (Session::new(Arc::clone(&service), None, now), Desk::default());
            for piece in bytes.chunks(read) {
                if session.poll_action() != Action::Read {
                    break;
                }
                let mut piece = piece.to_vec();
                let answer = session.handle_input(&mut piece, &mut desk, now);
                // what is answered came now, or was kept; a frame is at most 12 bytes for each message
                let most = (MAX + 8 + read) * 3 + 12 * (read + 1);
                prop_assert!(answer.len() <= most, "{}: {} bytes", service.framing, answer.len());
                session.handle_answered(answer, answer.len());
            }
        }
    }
}

#[test]
fn every_framing_has_a_name_of_its_own_and_says_what_a_message_is() {
    for about in REGISTRY {
        let named = |other: &&About| other.name == about.name;
        assert_eq!(REGISTRY.iter().filter(named).count(), 1, "{}", about.name);
        assert!(!about.summary.contains('\n') && !about.summary.is_empty() && !about.source.is_empty());
    }
    assert_eq!(REGISTRY[0].name, framing::DEFAULT.name);
    assert!(framing::DEFAULT.cuts.is_none(), "the default needs no end of a message");
}
