//! Encodings and JSON beside CPython's `base64`, `binascii`, `urllib.parse`, `codecs` and `json`.

use super::common::step;
use super::python;
use fastrand::Rng;
use shoutd::transform::{Context, Memories, Occasion, OnError, Options, Pipeline, Scratch, Text};
use std::fmt::Write;

/// What `step` makes of `text`, or nothing where it refuses.
fn shoutd(step_name: &str, on_error: OnError, text: &[u8]) -> Option<Vec<u8>> {
    let pipeline = Pipeline::new(vec![step(step_name, Options { on_error, ..Options::default() })]);
    let (mut memories, mut scratch, mut text) = (Memories::default(), Scratch::default(), text.to_vec());
    let mut text = Text::new(&mut text, &mut scratch);
    let context = Context::default();
    let done = pipeline.apply(&mut text, &mut memories, &Occasion { end: true, context: &context });
    done.is_ok().then(|| text.into_bytes().to_vec())
}

/// A step or another operation, a text, and what shoutd makes of it, if it does not refuse it.
type Case = (&'static str, Vec<u8>, Option<Vec<u8>>);

/// Compares what shoutd made of texts with what CPython makes of them by the same operations; gives
/// how many were refused.
#[track_caller]
fn compare(cases: Vec<Case>) -> usize {
    let hex = |bytes: &[u8]| {
        bytes.iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").unwrap();
            hex
        })
    };
    let asked: String = cases.iter().map(|(operation, text, _)| format!("{operation} {}\n", hex(text))).collect();
    let answers = String::from_utf8(python("coding.py", asked.as_bytes())).unwrap();
    assert_eq!(answers.lines().count(), cases.len());
    for ((operation, text, made), answer) in cases.iter().zip(answers.lines()) {
        let made = made.as_ref().map_or_else(|| "-".to_owned(), |made| hex(made));
        assert_eq!(made, answer, "{operation} of {}", text.escape_ascii());
    }
    cases.iter().filter(|(_, _, made)| made.is_none()).count()
}

fn bytes(rng: &mut Rng, longest: usize) -> Vec<u8> {
    (0..rng.usize(..=longest)).map(|_| rng.u8(..)).collect()
}

/// `text` with a few bytes lost, changed, or put between, which are of those in `among`.
fn damaged(rng: &mut Rng, mut text: Vec<u8>, among: &[u8]) -> Vec<u8> {
    for _ in 0..rng.usize(..3) {
        let byte = if rng.u8(..8) == 0 { rng.u8(..) } else { among[rng.usize(..among.len())] };
        let at = rng.usize(..=text.len());
        match rng.u8(..3) {
            0 => text.insert(at, byte),
            1 if at < text.len() => text[at] = byte,
            _ if at < text.len() => drop(text.remove(at)),
            _ => {}
        }
    }
    text
}

/// The texts `pieces` behind each other, with white space between.
fn spaced(rng: &mut Rng, pieces: &[u8]) -> Vec<u8> {
    let often = rng.u8(1..60);
    let mut text = Vec::new();
    for &byte in pieces {
        if rng.u8(..often) == 0 {
            text.push(b" \t\n\x0C\r"[rng.usize(..5)]);
        }
        text.push(byte);
    }
    text
}

#[test]
#[ignore = "needs python3"]
fn what_is_encoded_is_what_cpython_encodes() {
    let mut rng = Rng::with_seed(1);
    let mut cases = Vec::new();
    for name in ["base64", "hex", "percent", "rot13"] {
        for _ in 0..3000 {
            let text = bytes(&mut rng, 100);
            cases.push((name, text.clone(), shoutd(name, OnError::Close, &text)));
        }
    }
    assert_eq!(compare(cases), 0);
}

#[test]
#[ignore = "needs python3"]
fn what_is_decoded_or_refused_is_what_cpython_decodes_or_refuses() {
    let mut rng = Rng::with_seed(2);
    let mut cases = Vec::new();
    for (encode, decode, on_error, among) in [
        ("base64", "unbase64", OnError::Close, &b"=====AQgwZz09+/-_ \n\x0B"[..]),
        ("hex", "unhex", OnError::Close, b"09afAFgG \n\x0Bx"),
        // CPython passes what is no escape
        ("percent", "unpercent", OnError::Pass, b"%%%%%%09afAFgG+ "),
    ] {
        for _ in 0..6000 {
            let texts: Vec<Vec<u8>> = (0..rng.usize(1..4)).map(|_| bytes(&mut rng, 50)).collect();
            let encoded = texts.iter().flat_map(|text| shoutd(encode, OnError::Close, text).unwrap()).collect();
            let encoded = if encode == "hex" { flipped(&mut rng, encoded) } else { encoded };
            let text = if decode == "unpercent" { encoded } else { spaced(&mut rng, &encoded) };
            let text = damaged(&mut rng, text, among);
            cases.push((decode, text.clone(), shoutd(decode, on_error, &text)));
        }
    }
    let (all, refused) = (cases.len(), compare(cases));
    assert!((all / 10..all / 2).contains(&refused), "{refused} of {all} were refused: one side is hardly tried");
}

/// `text` with some letters in upper case.
fn flipped(rng: &mut Rng, mut text: Vec<u8>) -> Vec<u8> {
    text.iter_mut().filter(|_| rng.bool()).for_each(|byte| byte.make_ascii_uppercase());
    text
}

/// JSON whose scalars are written as CPython writes them, with white space anywhere.
fn json(rng: &mut Rng, depth: usize, to: &mut String) {
    fn space(rng: &mut Rng, to: &mut String) {
        (0..rng.usize(..8).saturating_sub(5)).for_each(|_| to.push([' ', '\t', '\n', '\r'][rng.usize(..4)]));
    }
    space(rng, to);
    match rng.u8(..if depth == 0 { 4 } else { 8 }) {
        0 => to.push_str(["null", "true", "false"][rng.usize(..3)]),
        1 => write!(to, "{}", rng.i64(-100..=1000)).unwrap(),
        2 => write!(to, "{}.5", rng.i32(1..50)).unwrap(),
        3 => to.push_str(["\"\"", "\"a, b: [c]\"", "\"\\\"\"", "\"\\\\\"", "\"é語😀\"", "\"\\n{}\""][rng.usize(..6)]),
        kind => {
            let (open, close) = if kind % 2 == 0 { ('[', ']') } else { ('{', '}') };
            to.push(open);
            space(rng, to);
            for nth in 0..rng.usize(..4) {
                if nth > 0 {
                    to.push(',');
                    space(rng, to);
                }
                if open == '{' {
                    write!(to, "\"k{nth}\"").unwrap();
                    space(rng, to);
                    to.push(':');
                }
                json(rng, depth - 1, to);
            }
            to.push(close);
        }
    }
    space(rng, to);
}

#[test]
#[ignore = "needs python3"]
fn json_is_laid_out_as_cpython_does_it() {
    let mut rng = Rng::with_seed(3);
    let mut cases = Vec::new();
    for name in ["json_pretty", "json_compact"] {
        for _ in 0..3000 {
            let mut text = String::new();
            json(&mut rng, 5, &mut text);
            cases.push((name, text.clone().into_bytes(), shoutd(name, OnError::Close, text.as_bytes())));
        }
    }
    assert_eq!(compare(cases), 0);
}

#[test]
#[ignore = "needs python3"]
fn what_is_json_is_what_cpython_takes_for_json() {
    let mut rng = Rng::with_seed(4);
    let mut cases = Vec::new();
    for text in [
        "1e400",
        "-0",
        "-",
        "01",
        "1.",
        ".5",
        "1e",
        "1E+5",
        "+1",
        "0x1",
        "NaN",
        "Infinity",
        "-Infinity",
        "'a'",
        "tru",
        "\"\\ud800\"",
        "\"\\u12g4\"",
        "\"\\x41\"",
        "\"\t\"",
        "\"\u{7F}\"",
        "\u{FEFF}1",
        "\u{A0}1",
        "\u{C}1",
        "[1,]",
        "{\"a\":1,}",
        "{\"a\":1,\"a\":2}",
        "{1:2}",
        "[,]",
        "[1 2]",
        "1 2",
        "//\n1",
        "",
        " ",
        "\"",
        "\"\\\"",
        "\"\\",
        "[[[[[[[[[[1]]]]]]]]]]",
        "123456789012345678901234567890.10",
    ] {
        cases.push(text.as_bytes().to_vec());
    }
    for _ in 0..10_000 {
        let mut text = String::new();
        json(&mut rng, 3, &mut text);
        cases.push(damaged(&mut rng, text.into_bytes(), b"[]{},:\"\\ \n0123456789.eE+-untrfals\x00\x1F\xFF\xC3"));
    }
    let judge = |text: Vec<u8>| {
        let taken = shoutd("json_compact", OnError::Close, &text).map(|_| Vec::new());
        ("is_json", text, taken)
    };
    let cases: Vec<_> = cases.into_iter().map(judge).collect();
    let (all, refused) = (cases.len(), compare(cases));
    assert!((all / 5..all / 5 * 4).contains(&refused), "{refused} of {all} were refused: one side is hardly tried");
}
