//! What is said to peers through the control socket: `POST /send/PEER`, and to all of them `POST /send`.
//!
//! Whoever says something waits for its answer, so only some may at once: the others who ask the
//! daemon find a place besides.

use crate::config::plain;
use crate::server::{Control, Reply, Unsaid, Unsayable};
use crossbeam_channel::{Receiver, Select};
use hyper::StatusCode;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::time::{Duration, Instant};

/// How long a text may be, in bytes.
pub const LONGEST: usize = 64 * 1024;
/// How long an answer is waited for, if nobody says otherwise, and at most.
pub const WAIT: Duration = Duration::from_secs(5);
/// See [`WAIT`].
pub const LONGEST_WAIT: Duration = Duration::from_secs(120);
/// How many may wait for answers at once, which is half of all who may ask at once.
pub(super) const PLACES: usize = super::PLACES / 2;
/// How many of the things that came meanwhile are told, and how many bytes of them.
const OTHERS: usize = 16;
const OTHERS_BYTES: usize = 16 * 1024;
/// How many of them are shown to people, and how much of each, in characters.
const SHOWN: usize = 3;
const SHOWN_CHARS: usize = 60;

/// What need not be escaped in a path (RFC 3986, 2.3).
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What became of what was said to a peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It answered.
    Answered,
    /// It did not, in time.
    NoAnswer,
    /// The link ended before it did.
    Ended,
    /// There is no link to it.
    Down,
    /// There is no such peer.
    Unknown,
    /// More is on its way to it, or to all of them, than there is place for.
    Busy,
    /// It would not be one message.
    Unfit,
}

/// What was said to a peer, and what it answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Said {
    /// The peer, as it was asked for.
    pub peer: String,
    /// What became of it.
    pub outcome: Outcome,
    /// What it answered; what is not UTF-8 is replaced.
    pub answer: Option<String>,
    /// How long that took.
    pub round_trip_seconds: Option<f64>,
    /// What came meanwhile and was not the answer, the first of it.
    pub others: Vec<String>,
    /// Why there is no answer.
    pub why: Option<String>,
    /// The answer as it came.
    #[serde(skip)]
    pub bytes: Vec<u8>,
}

impl Said {
    fn new(peer: &str, outcome: Outcome, why: Option<String>) -> Said {
        let peer = peer.to_owned();
        Said { peer, outcome, answer: None, round_trip_seconds: None, others: Vec::new(), why, bytes: Vec::new() }
    }

    /// An answer that is known by its bytes alone.
    #[must_use]
    pub fn answered(peer: &str, bytes: Vec<u8>) -> Said {
        let answer = Some(String::from_utf8_lossy(&bytes).into_owned());
        Said { answer, bytes, ..Said::new(peer, Outcome::Answered, None) }
    }

    /// That there was no place.
    pub(super) fn busy(peer: &str) -> Said {
        let why = format!("{PLACES} others wait for answers of peers; try again in a moment");
        Said::new(peer, Outcome::Busy, Some(why))
    }

    fn unsaid(peer: &str, unsaid: &Unsaid) -> Said {
        let outcome = match unsaid {
            Unsaid::NoSuchPeer { .. } => Outcome::Unknown,
            Unsaid::Down { .. } => Outcome::Down,
            Unsaid::Busy => Outcome::Busy,
        };
        Said::new(peer, outcome, Some(unsaid.to_string()))
    }

    /// Takes a reply; gives whether it is the last one.
    fn take(&mut self, reply: Reply, room: &mut usize) -> bool {
        match reply {
            Reply::Answer { text, round_trip } => {
                self.outcome = Outcome::Answered;
                self.answer = Some(String::from_utf8_lossy(&text).into_owned());
                self.bytes = text;
                self.round_trip_seconds = Some(round_trip.as_secs_f64());
                self.why = None;
                true
            }
            Reply::Other(text) => {
                if self.others.len() < OTHERS && text.len() <= *room {
                    *room -= text.len();
                    self.others.push(String::from_utf8_lossy(&text).into_owned());
                }
                false
            }
            Reply::Unsayable(why) => {
                let (outcome, why) = match why {
                    Unsayable::Ending => (Outcome::Ended, "the link was ending"),
                    Unsayable::AmidAMessage => {
                        (Outcome::Busy, "a long message is just being passed on to it; try again")
                    }
                    Unsayable::TooMuch => (Outcome::Busy, "too much was said to it that it did not take or answer"),
                    Unsayable::SeveralMessages => (
                        Outcome::Unfit,
                        "its listener's framing would make several messages of the text; send one by one",
                    ),
                };
                (self.outcome, self.why) = (outcome, Some(why.to_owned()));
                true
            }
            Reply::Ended(reason) => {
                self.outcome = Outcome::Ended;
                self.why = Some(format!("the link ended before an answer came: {}", reason.word()));
                true
            }
        }
    }

    /// The status that says the same.
    pub(super) fn status(&self) -> StatusCode {
        match self.outcome {
            Outcome::Answered => StatusCode::OK,
            Outcome::NoAnswer => StatusCode::GATEWAY_TIMEOUT,
            Outcome::Ended => StatusCode::BAD_GATEWAY,
            Outcome::Down => StatusCode::SERVICE_UNAVAILABLE,
            Outcome::Unknown => StatusCode::NOT_FOUND,
            Outcome::Busy => StatusCode::TOO_MANY_REQUESTS,
            Outcome::Unfit => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }

    /// Why there is no answer, in a line for people, with the beginning of what came instead.
    #[must_use]
    pub fn failure(&self) -> String {
        let mut line = format!("{}: {}", plain(&self.peer), plain(self.why.as_deref().unwrap_or("no answer")));
        let shown: Vec<String> = self.others.iter().take(SHOWN).map(|text| quoted(text)).collect();
        if !shown.is_empty() {
            let more = self.others.len().saturating_sub(SHOWN);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            // writing to a String does not fail
            let _ = write!(line, "; meanwhile came {}{more}", shown.join(", "));
        }
        line
    }
}

/// The beginning of a text, in quotes, on one line, and harmless to a terminal.
fn quoted(text: &str) -> String {
    let (shown, cut) = match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => (text.get(..end).unwrap_or_default(), "…"),
        None => (text, ""),
    };
    format!("\"{}{cut}\"", plain(shown.trim_end_matches(['\r', '\n'])))
}

/// Says `text` to each of `peers`, and gives what becomes of it, in their order. It waits until all have
/// answered, or for so long.
pub(super) fn say(control: &Control, peers: &[String], text: &[u8], wait: Duration) -> Vec<Said> {
    let begun = Instant::now();
    let (mut all, mut waiting) = (Vec::new(), Vec::new());
    for (nth, peer) in peers.iter().enumerate() {
        match control.say(peer, text) {
            Ok(replies) => {
                log::debug!(peer:%, bytes = text.len(); "sent by the control socket");
                let why = format!("no answer in {}", spoken(wait));
                all.push(Said::new(peer, Outcome::NoAnswer, Some(why)));
                waiting.push((nth, replies));
            }
            Err(unsaid) => all.push(Said::unsaid(peer, &unsaid)),
        }
    }
    listen(&mut all, waiting, begun + wait);
    all
}

fn spoken(wait: Duration) -> String {
    if wait.subsec_nanos() == 0 { super::words(wait) } else { super::brief(wait) }
}

/// Takes what comes back from each of those that are waited for, who are known by their places in `all`.
fn listen(all: &mut [Said], mut waiting: Vec<(usize, Receiver<Reply>)>, deadline: Instant) {
    let mut room = vec![OTHERS_BYTES; all.len()];
    while !waiting.is_empty() {
        let mut select = Select::new();
        for (_, replies) in &waiting {
            select.recv(replies);
        }
        let Ok(ready) = select.select_deadline(deadline) else { return };
        let which = ready.index();
        let Some((nth, replies)) = waiting.get(which) else { return };
        let reply = ready.recv(replies);
        let is_last = match (all.get_mut(*nth), room.get_mut(*nth), reply) {
            (Some(said), Some(room), Ok(reply)) => said.take(reply, room),
            (Some(said), _, Err(_)) => {
                said.outcome = Outcome::Ended;
                said.why = Some("the link ended before an answer came".to_owned());
                true
            }
            _ => true,
        };
        if is_last {
            waiting.swap_remove(which);
        }
    }
}

/// The path at which something is said to this peer.
#[must_use]
pub fn path(peer: &str, wait: Duration) -> String {
    format!("/send/{}?{}", utf8_percent_encode(peer, KEPT), query(wait))
}

/// The path at which something is said to all of them.
#[must_use]
pub fn path_of_all(wait: Duration) -> String {
    format!("/send?{}", query(wait))
}

fn query(wait: Duration) -> String {
    format!("timeout_ms={}", wait.as_millis())
}

/// The peer that a part of a path means.
pub(super) fn peer(part: &str) -> String {
    percent_decode_str(part).decode_utf8_lossy().into_owned()
}

/// How long the answer is to be waited for.
///
/// # Errors
///
/// What is wrong with that.
pub(super) fn wait(query: Option<&str>) -> Result<Duration, String> {
    let Some(query) = query.filter(|query| !query.is_empty()) else { return Ok(WAIT) };
    let millis = query.strip_prefix("timeout_ms=").and_then(|millis| millis.parse().ok());
    let wait = millis.map(Duration::from_millis).filter(|wait| *wait <= LONGEST_WAIT);
    wait.ok_or_else(|| format!("the only option is timeout_ms, from 0 to {}", LONGEST_WAIT.as_millis()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::EndReason;
    use crossbeam_channel::unbounded;
    use serde_json::json;

    fn waits(peer: &str) -> Said {
        Said::new(peer, Outcome::NoAnswer, Some("no answer in 5 s".to_owned()))
    }

    /// What is made of these replies, one list for each peer; those of which the flag is set are all there will be.
    fn heard(replies: Vec<(Vec<Reply>, bool)>) -> Vec<Said> {
        let mut all: Vec<Said> = (0..replies.len()).map(|nth| waits(&format!("p{nth}"))).collect();
        let (mut waiting, mut open) = (Vec::new(), Vec::new());
        for (nth, (replies, ends)) in replies.into_iter().enumerate() {
            let (send, receive) = unbounded();
            replies.into_iter().for_each(|reply| send.send(reply).unwrap());
            open.extend((!ends).then_some(send));
            waiting.push((nth, receive));
        }
        listen(&mut all, waiting, Instant::now());
        all
    }

    fn answer(text: &[u8]) -> Reply {
        Reply::Answer { text: text.to_vec(), round_trip: Duration::from_millis(2) }
    }

    #[test]
    fn each_peers_answer_is_its_own_and_nobody_waits_for_those_that_are_silent() {
        let other = |text: &str| Reply::Other(text.as_bytes().to_vec());
        let all = heard(vec![
            (vec![other("hi"), answer(b"HELLO\xff")], false),
            (vec![other("first"), other("second")], false),
            (vec![Reply::Ended(EndReason::ClientFin)], false),
            (vec![], true),
        ]);
        let expected = json!({
            "peer": "p0", "outcome": "answered", "answer": "HELLO\u{FFFD}", "round_trip_seconds": 0.002,
            "others": ["hi"], "why": null,
        });
        assert_eq!(serde_json::to_value(&all[0]).unwrap(), expected);
        assert_eq!(all[0].bytes, b"HELLO\xff");
        let outcomes = [Outcome::Answered, Outcome::NoAnswer, Outcome::Ended, Outcome::Ended];
        assert_eq!(all.iter().map(|said| said.outcome.clone()).collect::<Vec<_>>(), outcomes);
        assert_eq!(all[1].failure(), "p1: no answer in 5 s; meanwhile came \"first\", \"second\"");
        assert_eq!(all[2].failure(), "p2: the link ended before an answer came: client_fin");
    }

    #[test]
    fn what_came_meanwhile_is_bounded_and_commands_no_terminal() {
        let [flooded] = heard(vec![(vec![Reply::Other(vec![b'x'; 1000]); 100], false)]).try_into().unwrap();
        assert_eq!(flooded.others.len(), OTHERS);
        let line = flooded.failure();
        assert!(line.ends_with("xxx…\" and 13 more") && line.len() < 300, "{line}");
        let [hostile] = heard(vec![(vec![Reply::Other(b"\x1b[2J\r\n".to_vec())], false)]).try_into().unwrap();
        assert_eq!(hostile.failure(), "p0: no answer in 5 s; meanwhile came \"␛[2J\"");
    }

    #[test]
    fn a_peers_name_survives_its_path_and_a_wait_its_query() {
        for name in ["b", "localhost:6000", "[::1]:6000", "a/b?c#d%20 é", ""] {
            let path = path(name, Duration::from_millis(250));
            let (part, query) = path.strip_prefix("/send/").unwrap().split_once('?').unwrap();
            assert!(part.is_ascii() && !part.contains(['/', ' ']), "{part}");
            assert_eq!((peer(part), wait(Some(query))), (name.to_owned(), Ok(Duration::from_millis(250))));
        }
        assert_eq!(wait(None), Ok(WAIT));
        for wrong in ["timeout_ms=", "timeout_ms=x", "timeout_ms=-1", "timeout_ms=120001", "timeout=1"] {
            assert!(wait(Some(wrong)).unwrap_err().contains("from 0 to 120000"), "{wrong}");
        }
    }
}
