use super::*;
use crate::framing;
use crate::transform::{Choice, InvalidUtf8, Options, Pipeline};

pub(super) const START: Moment = Moment::from_millis(0);

pub(super) fn at(millis: u64) -> Moment {
    Moment::from_millis(millis)
}

pub(super) fn session(framing: &str, step: &str, invalid_utf8: InvalidUtf8, limits: Limits) -> Session {
    let about = framing::named(framing).unwrap();
    let options = framing::Options { max_message: 10, ..framing::Options::default() };
    let service = Service {
        name: "test".to_owned(),
        framing: framing::build(about, about, &options).unwrap(),
        pipeline: Pipeline::new(vec![Choice::named(step, Options { invalid_utf8, ..Options::default() }).unwrap()]),
        greeting: None,
        limits,
        tally: Arc::default(),
    };
    Session::new(Arc::new(service), None, START)
}

pub(super) fn stream() -> Session {
    session("stream", "uppercase", InvalidUtf8::Pass, Limits::default())
}

pub(super) fn lines() -> Session {
    session("line", "uppercase", InvalidUtf8::Pass, Limits::default())
}

/// What `session` answers to `input`, all of which the socket takes.
pub(super) fn answer(session: &mut Session, input: &[u8], now: Moment) -> String {
    let (mut input, mut desk) = (input.to_vec(), Desk::default());
    let answer = session.handle_input(&mut input, &mut desk, now);
    session.handle_answered(answer, answer.len());
    String::from_utf8_lossy(answer).into_owned()
}

/// Takes an input to whose answer the socket takes only `taken` bytes.
fn refused(session: &mut Session, input: &[u8], taken: usize) {
    let (mut input, mut desk) = (input.to_vec(), Desk::default());
    let answer = session.handle_input(&mut input, &mut desk, START);
    session.handle_answered(answer, taken);
    session.handle_end_ahead(false);
}

#[test]
fn reads_grow_while_a_client_fills_them_and_shrink_again() {
    let mut session = stream();
    let mut sizes = Vec::new();
    for _ in 0..5 {
        sizes.push(session.read_size());
        let full = vec![b'x'; session.read_size()];
        answer(&mut session, &full, START);
    }
    assert_eq!(sizes, [1024, 4096, 16 * 1024, 64 * 1024, 64 * 1024]);
    sizes.clear();
    for _ in 0..4 {
        answer(&mut session, b"x", START);
        sizes.push(session.read_size());
    }
    assert_eq!(sizes, [16 * 1024, 4096, 1024, 1024]);
}

#[test]
fn what_the_socket_refuses_is_kept_and_nothing_is_read_meanwhile() {
    let mut session = stream();
    refused(&mut session, b"hello", 2);
    assert_eq!((session.unsent(), session.poll_action()), (&b"LLO"[..], Action::Write));
    assert_eq!(session.poll_timeout(), at(30_000), "write_timeout");
    session.handle_written(1, at(5));
    assert_eq!((session.unsent(), session.poll_timeout()), (&b"LO"[..], at(10_005)), "has it ended, perhaps?");
    session.handle_end_ahead(false);
    assert_eq!(session.poll_timeout(), at(30_005));
    session.handle_written(2, at(6));
    assert_eq!((session.unsent(), session.poll_action()), (&b""[..], Action::Read));
    assert!(session.held.is_none(), "an idle connection owns no buffer");
}

#[test]
fn a_client_that_takes_nothing_is_reset() {
    let mut session = stream();
    refused(&mut session, b"hello", 0);
    session.handle_timeout(&mut Desk::default(), at(30_000));
    assert_eq!(session.poll_action(), Action::Close { reset: true });
    assert_eq!(session.end_reason(), Some(EndReason::WriteTimeout));
}

#[test]
fn a_client_that_has_ended_and_takes_nothing_is_reset_sooner() {
    let mut session = stream();
    refused(&mut session, b"hello", 0);
    session.handle_end_ahead(true);
    assert_eq!(session.poll_timeout(), at(10_000));
    session.handle_timeout(&mut Desk::default(), at(10_000));
    assert_eq!(session.poll_action(), Action::Close { reset: true });
    assert_eq!(session.end_reason(), Some(EndReason::HalfClosedTimeout));
}

#[test]
fn after_the_clients_end_all_is_sent_before_the_close() {
    let (mut session, mut desk) = (lines(), Desk::default());
    assert_eq!(answer(&mut session, b"one\ntwo", START), "ONE\n");
    let last = session.handle_end_of_input(&mut desk, START);
    assert_eq!(last, b"TWO");
    session.handle_answered(last, 1);
    assert_eq!(session.poll_action(), Action::Write);
    session.handle_written(2, START);
    assert_eq!(session.poll_action(), Action::Close { reset: false });
    assert_eq!(session.end_reason(), Some(EndReason::ClientFin));
}

#[test]
fn an_end_that_is_ours_is_staged() {
    let (mut session, mut desk) = (lines(), Desk::default());
    assert_eq!(answer(&mut session, b"one\n01234567890", START), "ONE\n");
    assert_eq!(session.poll_action(), Action::ShutDown);
    session.handle_shut_down(at(1));
    assert_eq!((session.poll_action(), session.poll_timeout()), (Action::Read, at(2001)));
    assert_eq!(answer(&mut session, &[b'x'; 60_000], at(2)), "", "what comes now is thrown away");
    assert_eq!(session.poll_action(), Action::Read);
    answer(&mut session, &[b'x'; 6_000], at(3));
    assert_eq!(session.poll_action(), Action::Close { reset: false }, "but not for ever");

    let mut session = lines();
    answer(&mut session, b"01234567890", START);
    session.handle_shut_down(START);
    session.handle_timeout(&mut desk, at(2000));
    assert_eq!(session.poll_action(), Action::Close { reset: false });
    assert_eq!(session.end_reason(), Some(EndReason::MessageTooLong));
}

#[test]
fn a_line_must_end_in_time_however_it_drips() {
    let (mut session, mut desk) = (lines(), Desk::default());
    for now in 1..9 {
        answer(&mut session, b"x", at(now * 1000));
        assert_eq!(session.poll_timeout(), at(31_000), "it counts from the first byte");
    }
    answer(&mut session, b"\ny", at(9_000));
    assert_eq!(session.poll_timeout(), at(39_000), "the next one counts anew");
    session.handle_timeout(&mut desk, at(39_000));
    assert_eq!(session.end_reason(), Some(EndReason::MessageTimeout));
}

#[test]
fn half_a_character_is_flushed_in_time_and_the_connection_goes_on() {
    let (mut session, mut desk) = (stream(), Desk::default());
    assert_eq!(answer(&mut session, b"a\xC3", at(1000)), "A");
    assert_eq!(session.poll_timeout(), at(31_000));
    assert_eq!(session.handle_timeout(&mut desk, at(31_000)), b"\xC3");
    assert_eq!((session.poll_action(), session.end_reason()), (Action::Read, None));
    assert_eq!(session.poll_timeout(), at(631_000), "idle_timeout");
}

#[test]
fn bad_bytes_end_it_after_what_came_before_where_that_is_asked_for() {
    let mut session = session("stream", "uppercase", InvalidUtf8::Close, Limits::default());
    assert_eq!(answer(&mut session, b"good\xFFbad", START), "GOOD");
    assert_eq!((session.poll_action(), session.end_reason()), (Action::ShutDown, Some(EndReason::InvalidUtf8)));
}

#[test]
fn a_drain_waits_for_quiet_and_answers_what_is_held_back() {
    let (mut session, mut desk) = (stream(), Desk::default());
    answer(&mut session, b"a\xC3", at(500));
    session.handle_drain(at(1000), Duration::from_millis(100));
    assert_eq!(session.poll_timeout(), at(1100));
    answer(&mut session, b"\xA9b\xC3", at(1050));
    assert_eq!(session.poll_timeout(), at(1150), "it was not quiet");
    assert_eq!(session.handle_timeout(&mut desk, at(1150)), b"\xC3");
    assert_eq!(session.poll_action(), Action::Close { reset: false });
    assert_eq!(session.end_reason(), Some(EndReason::Drained));
}

/// What was held back of a text was dropped, as if it were the beginning of a message.
#[test]
fn at_the_end_of_its_lifetime_a_text_is_answered_to_its_last_byte_and_half_a_message_is_not() {
    let limits = Limits { max_lifetime: Some(Duration::from_secs(2)), ..Limits::default() };
    for (framing, last) in [("stream", &b"\xC3"[..]), ("line", b"")] {
        let (mut session, mut desk) =
            (session(framing, "uppercase", InvalidUtf8::Pass, limits.clone()), Desk::default());
        answer(&mut session, b"a\xC3", at(1000));
        assert_eq!(session.poll_timeout(), at(2000));
        let tail = session.handle_timeout(&mut desk, at(2000));
        assert_eq!(tail, last, "{framing}");
        session.handle_answered(tail, tail.len());
        assert_eq!((session.poll_action(), session.end_reason()), (Action::ShutDown, Some(EndReason::MaxLifetime)));
    }
}

#[test]
fn every_reason_has_its_own_word() {
    let words: std::collections::HashSet<_> = EndReason::ALL.iter().map(|reason| reason.word()).collect();
    assert_eq!(words.len(), EndReason::ALL.len());
    assert!(EndReason::ALL.iter().enumerate().all(|(n, reason)| *reason as usize == n));
}

#[test]
fn the_time_in_which_nothing_is_read_does_not_count_against_a_message() {
    let mut session = lines();
    refused(&mut session, b"one\ntwo", 0);
    session.handle_written(3, at(29_000));
    session.handle_written(1, at(40_000));
    assert_eq!(session.poll_timeout(), at(70_000), "message_timeout, from when it could be read on");
}

#[test]
fn a_connection_that_still_delivers_is_not_quiet() {
    let mut session = stream();
    session.handle_drain(START, Duration::from_millis(100));
    session.handle_under_way(5000, at(100));
    assert_eq!(session.poll_timeout(), at(200));
    session.handle_under_way(4000, at(200));
    assert_eq!(session.poll_timeout(), at(300), "they become fewer");
    session.handle_under_way(4000, at(300));
    assert_eq!(session.poll_timeout(), at(300), "they do not");
}

#[test]
fn what_was_under_way_before_a_client_spoke_again_says_nothing() {
    let mut session = stream();
    session.handle_drain(START, Duration::from_millis(100));
    session.handle_under_way(1000, at(100));
    answer(&mut session, b"more", at(150));
    assert_eq!(session.poll_timeout(), at(250));
    session.handle_under_way(9000, at(250));
    assert_eq!(session.poll_timeout(), at(350), "the larger answer is on its way");
}

#[test]
fn a_client_that_takes_nothing_is_not_given_twice_the_time() {
    let mut session = stream();
    refused(&mut session, b"hello", 0);
    session.handle_under_way(9000, at(30_000));
    assert_eq!(session.poll_timeout(), at(30_000));
}

/// How `session` would be served by another step.
fn with_step(session: &Session, step: &str) -> Arc<Service> {
    let pipeline = Pipeline::new(vec![Choice::named(step, Options::default()).unwrap()]);
    session.service().renewed(&Arc::new(Service { pipeline, ..session.service().clone() }))
}

#[test]
fn a_message_that_began_before_the_change_is_answered_as_before_and_all_after_it_as_after() {
    let mut random = fastrand::Rng::with_seed(4);
    let input = b"One\nTwo\n\nThree\r\nFour\n";
    for _ in 0..500 {
        let mut session = lines();
        let (mut desk, change) = (Desk::default(), random.usize(..=input.len()));
        let mut answers = Vec::new();
        let mut at = 0;
        while at < input.len() {
            if at == change {
                session.handle_service(with_step(&session, "lowercase"), None);
            }
            let end = if at < change { change } else { input.len() };
            let len = random.usize(1..=end - at);
            let mut piece = input[at..at + len].to_vec();
            let answer = session.handle_input(&mut piece, &mut desk, START);
            answers.extend_from_slice(answer);
            session.handle_answered(answer, answer.len());
            at += len;
        }
        let mut expected = Vec::new();
        let mut begin = 0;
        for message in input.split_inclusive(|byte| *byte == b'\n') {
            let old = begin < change;
            expected.extend(if old { message.to_ascii_uppercase() } else { message.to_ascii_lowercase() });
            begin += message.len();
        }
        assert_eq!(answers.escape_ascii().to_string(), expected.escape_ascii().to_string(), "at {change}");
        assert!(session.held.is_none(), "nothing is kept of the change");
    }
}

#[test]
fn under_stream_the_change_comes_when_no_character_is_cut() {
    let mut session = stream();
    let mut desk = Desk::default();
    assert_eq!(session.handle_input(&mut b"a\xC3".to_vec(), &mut desk, START), b"A");
    session.handle_service(with_step(&session, "lowercase"), None);
    assert_eq!(session.handle_input(&mut b"\xA9B".to_vec(), &mut desk, START), "ÉB".as_bytes());
    assert_eq!(session.handle_input(&mut b"\xC3\x89B".to_vec(), &mut desk, START), "éb".as_bytes());
}

#[test]
fn a_change_brings_its_limits() {
    let mut session = stream();
    let mut limits = Limits { idle_timeout: Some(Duration::from_secs(1)), ..Limits::default() };
    (limits.buffer_size, limits.buffer_size_max) = (8, 16);
    let new = Arc::new(Service { limits, ..session.service().clone() });
    session.handle_service(session.service().renewed(&new), None);
    assert_eq!(session.read_size(), 16);
    assert_eq!(session.poll_timeout(), START.after(Duration::from_secs(1)));
}
