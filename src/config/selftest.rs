//! The tests that a file holds of itself: what a listener must answer to an input.
//!
//! They are run before anything is started; a test that fails is told like any other mistake, at
//! its place, with what was expected and what came.

use super::keys::UNNAMED;
use super::kinds::{Flag, Name, Octets};
use super::report::{self, Mistake};
use super::table::{Notes, Table};
use crate::offline::{pump, stand_in};
use crate::server::Listener;
use crate::session::{EndReason, Service};
use crate::transform::shown;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;

/// The longest input of which every cut is tried, in bytes: that takes the square of its length.
const CUTS: usize = 4096;
/// How much of an answer is shown before its first difference, and in all, in characters.
const SHOWN: (usize, usize) = (30, 70);

/// One test.
#[derive(Debug)]
pub(super) struct Test {
    /// Which of the listeners is asked.
    listener: usize,
    input: Vec<u8>,
    expect: Vec<u8>,
    /// Whether the input is to be tried in every two pieces, and byte by byte.
    cuts: bool,
    /// Where the file says what is expected.
    place: Range<usize>,
}

impl Test {
    /// The tests that `top` holds, of `listeners`.
    pub(super) fn read_all(top: &Table<'_>, listeners: &[Listener], notes: &Notes<'_>) -> Vec<Test> {
        let anything = || Octets(0..=usize::MAX);
        let first = listeners.first().map_or(UNNAMED, |listener| listener.service.name.as_str());
        let mut tests = Vec::new();
        for table in top.list("test") {
            for key in ["input", "expect"] {
                if table.own(key).is_none() {
                    let cure = "a test has an `input` and what to `expect`";
                    notes.mistake(Mistake::new(table.span.clone(), format!("this test has no `{key}`"), cure));
                }
            }
            let name = table.take("listener", Name, first.to_owned());
            let input = table.take("input", anything(), Vec::new());
            let expect = table.take("expect", anything(), Vec::new());
            let cuts = table.take("cuts", Flag, false);
            if cuts && input.len() > CUTS {
                let what = format!("all cuts of {} bytes are too many to try", input.len());
                notes.mistake(Mistake::new(
                    table.place("cuts"),
                    what,
                    format!("at most {CUTS} bytes, or take `cuts` out"),
                ));
            }
            let place = table.place("expect");
            match listeners.iter().position(|listener| listener.service.name == name) {
                Some(listener) => tests.push(Test { listener, input, expect, cuts, place }),
                None => {
                    let all: Vec<&str> = listeners.iter().map(|listener| listener.service.name.as_str()).collect();
                    let cure = format!("there is {}", all.join(", "));
                    notes.mistake(Mistake::new(
                        table.place("listener"),
                        format!("there is no listener `{name}`"),
                        cure,
                    ));
                }
            }
        }
        tests
    }

    /// Asks its listener among `services`, and gives the mistake that an unexpected answer is.
    pub(super) fn run(&self, services: &[Arc<Service>]) -> Option<Mistake> {
        let service = services.get(self.listener)?;
        let whole = vec![self.input.as_slice()];
        let cuts = (1..self.input.len()).filter(|_| self.cuts).map(|at| {
            let (first, second) = self.input.split_at(at);
            (format!(" when it is cut before byte {at}"), vec![first, second])
        });
        let bytes = self.cuts.then(|| (" when it comes byte by byte".to_owned(), self.input.chunks(1).collect()));
        std::iter::once((String::new(), whole)).chain(cuts).chain(bytes).find_map(|(how, pieces)| {
            let (answer, reason) = ask(service, &pieces);
            (answer != self.expect).then(|| self.mistake(&how, &answer, reason))
        })
    }

    fn mistake(&self, how: &str, answer: &[u8], reason: EndReason) -> Mistake {
        let mut mistake = Mistake::new(self.place.clone(), format!("the answer is another{how}"), "");
        mistake.notes = difference(&self.expect, answer);
        if reason != EndReason::ClientFin {
            mistake.notes.push(format!("the connection ended with `{}`", reason.word()));
        }
        mistake
    }
}

/// What `service` answers to `pieces`, each of which is a read, and why it ended.
fn ask(service: &Arc<Service>, pieces: &[&[u8]]) -> (Vec<u8>, EndReason) {
    let mut answer = Vec::new();
    // neither a slice nor a Vec fails to be read or written
    let reason = pump(service, stand_in(&service.name), &mut Pieces { current: &[], next: pieces }, &mut answer);
    (answer, reason.map_or(EndReason::SocketError, |(reason, _)| reason))
}

/// Gives one piece at each read, unless it is longer than that.
struct Pieces<'p> {
    current: &'p [u8],
    next: &'p [&'p [u8]],
}

impl Read for Pieces<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        while let (true, Some((first, rest))) = (self.current.is_empty(), self.next.split_first()) {
            (self.current, self.next) = (first, rest);
        }
        self.current.read(to)
    }
}

/// What was expected and what came, in lines that show where they part.
fn difference(expected: &[u8], came: &[u8]) -> Vec<String> {
    let common = expected.iter().zip(came).take_while(|(a, b)| a == b).count();
    let text = str::from_utf8(expected).is_ok() && str::from_utf8(came).is_ok();
    // where one of them is no text, both are shown as bytes
    let show = |bytes: &[u8]| if text { shown(bytes) } else { bytes.escape_ascii().to_string() };
    let common =
        if text { str::from_utf8(expected).map_or(0, |text| text.floor_char_boundary(common)) } else { common };
    let before = show(expected.get(..common).unwrap_or_default());
    let skipped = before.chars().count().saturating_sub(SHOWN.0);
    let window = |bytes: &[u8]| -> String {
        let all = show(bytes);
        let mut shown: String = all.chars().skip(skipped).take(SHOWN.1).collect();
        if skipped > 0 {
            shown.insert_str(0, "… ");
        }
        if all.chars().count() > skipped + SHOWN.1 {
            shown.push_str(" …");
        }
        shown
    };
    let indent = report::columns(&before.chars().skip(skipped).collect::<String>()) + if skipped > 0 { 2 } else { 0 };
    vec![
        format!("expected: {}", window(expected)),
        format!("     got: {}", window(came)),
        format!("          {}^", " ".repeat(indent)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_pointed_at() {
        for (expected, came, lines) in [
            (&b"STRASSE"[..], &b"STRASE"[..], ["STRASSE", "STRASE", "     ^"]),
            (b"a\n", b"a", [r"a\n", "a", " ^"]),
            ("é名x".as_bytes(), "é名y".as_bytes(), ["é名x", "é名y", "   ^"]),
            ("é".as_bytes(), "è".as_bytes(), ["é", "è", "^"]),
            (b"a\xFF", "aé".as_bytes(), [r"a\xff", r"a\xc3\xa9", " ^"]),
        ] {
            let [first, second, third] = lines;
            let lines = [format!("expected: {first}"), format!("     got: {second}"), format!("          {third}")];
            assert_eq!(difference(expected, came), lines);
        }
        let long = "x".repeat(100);
        let shown = difference((long.clone() + "1").as_bytes(), (long.clone() + "2" + &long).as_bytes());
        let x = "x".repeat(30);
        let rest = "x".repeat(39);
        assert_eq!(shown[0], format!("expected: … {x}1"));
        assert_eq!(shown[1], format!("     got: … {x}2{rest} …"));
        assert_eq!(shown[2], format!("          {}^", " ".repeat(32)));
    }
}
