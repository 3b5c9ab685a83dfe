//! Each peer: what `GET /peers` answers, and what `shoutd peers` shows.

use super::lines::{brief, columns, words};
use crate::config::plain;
use crate::net::links::sheet::{Dialled, LinkState, PeerReport};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// How many peers without a link are named in the line about them all.
const NAMED: usize = 3;
/// What stands where there is nothing to tell.
const NOTHING: &str = "-";

/// A peer, and how the link to it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Peer {
    /// Its name.
    pub name: String,
    /// Where it is dialled.
    pub address: String,
    /// The listener that answers it, and from whose port it is dialled.
    pub via: String,
    /// `dialling`, `expecting` its own connection, `waiting` for the next dial, `linked`, or `done`.
    pub state: String,
    /// How long it has been so.
    pub since_seconds: f64,
    /// The other end of its connection.
    pub remote: Option<String>,
    /// The number of its connection.
    pub connection: Option<u64>,
    /// Whether this daemon dialled, and not the peer.
    pub dialled: Option<bool>,
    /// How long ago something last came from it.
    pub last_seen_seconds: Option<f64>,
    /// How long its last answer to what this daemon said took.
    pub round_trip_seconds: Option<f64>,
    /// Messages that came from it; under `stream`, reads.
    pub messages: u64,
    /// Its answers to what this daemon said.
    pub answers: u64,
    /// Times that what went round in a loop was held back.
    pub loops: u64,
    /// How long until it is dialled next.
    pub next_try_seconds: Option<f64>,
    /// The longest that the next wait may be.
    pub backoff_seconds: f64,
    /// Why there is no link, or the last one ended.
    pub why: Option<String>,
    /// How often a dial came to what, if ever.
    pub dials: BTreeMap<String, u64>,
}

impl From<PeerReport> for Peer {
    fn from(report: PeerReport) -> Peer {
        let dials = dials(&report).filter(|(_, count)| *count > 0);
        let dials = dials.map(|(result, count)| (result.word().to_owned(), count)).collect();
        let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
        Peer {
            name: report.name,
            address: report.address.to_string(),
            via: report.via,
            state: report.state.to_string(),
            since_seconds: report.since.as_secs_f64(),
            remote: report.linked.map(|by| by.remote.to_string()),
            connection: report.linked.map(|by| by.connection),
            dialled: report.linked.map(|by| by.dialled),
            last_seen_seconds: seconds(report.seen),
            round_trip_seconds: seconds(report.round_trip),
            messages: report.messages,
            answers: report.answers,
            loops: report.loops,
            next_try_seconds: seconds(report.next_try),
            backoff_seconds: report.backoff.as_secs_f64(),
            why: report.why,
            dials,
        }
    }
}

/// Each thing that a dial may come to, with how often it did.
pub(super) fn dials(report: &PeerReport) -> impl Iterator<Item = (Dialled, u64)> {
    Dialled::ALL.into_iter().zip(report.dials)
}

impl Peer {
    fn is(&self, state: LinkState) -> bool {
        self.state == state.to_string()
    }

    /// Why there is no link, and until when.
    fn trouble(&self) -> String {
        let why = self.why.as_deref().map_or_else(|| plain(&self.state), plain);
        let next = self.next_try_seconds.map(|next| format!(", next try in {}", span(next)));
        format!("{}: {why}{}", plain(&self.name), next.unwrap_or_default())
    }
}

/// Peers in a table for people; none, in a line that says how there would be one.
#[must_use]
pub fn table(peers: &[Peer]) -> Vec<String> {
    if peers.is_empty() {
        let how =
            "no peers; [[peer]] with its `address` in the configuration adds one, and `shoutd reload` takes it up";
        return vec![how.to_owned()];
    }
    let head = ["PEER", "ADDRESS", "STATE", "SINCE", "LAST SEEN", "ROUND TRIP", "MESSAGES", "NEXT TRY", "WHY"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let nothing = || NOTHING.to_owned();
    rows.extend(peers.iter().map(|peer| {
        vec![
            plain(&peer.name),
            plain(&peer.address),
            plain(&peer.state),
            span(peer.since_seconds),
            peer.last_seen_seconds.map_or_else(nothing, span),
            peer.round_trip_seconds.map_or_else(nothing, |time| brief(duration(time))),
            peer.messages.to_string(),
            peer.next_try_seconds.map_or_else(nothing, span),
            peer.why.as_deref().map_or_else(nothing, plain),
        ]
    }));
    columns(&rows, 3..8)
}

/// All peers in a line, if there are any: how many have a link, and what is wrong with the others.
pub(super) fn line(peers: &[Peer]) -> Option<String> {
    let count = |state| peers.iter().filter(|peer| peer.is(state)).count();
    let mut line = match peers.len() {
        0 => return None,
        all => format!("{} of {all} linked", count(LinkState::Linked)),
    };
    match count(LinkState::Done) {
        0 => {}
        done => line += &format!(", {done} done"),
    }
    let missing: Vec<&Peer> =
        peers.iter().filter(|peer| !peer.is(LinkState::Linked) && !peer.is(LinkState::Done)).collect();
    for peer in missing.iter().take(NAMED) {
        line += "; ";
        line += &peer.trouble();
    }
    match missing.len().saturating_sub(NAMED) {
        0 => {}
        more => line += &format!("; and {more} more"),
    }
    Some(line)
}

fn span(seconds: f64) -> String {
    words(duration(seconds))
}

/// A time as another version may have told it.
fn duration(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds.clamp(0.0, 1e12))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::links::sheet::LinkedBy;
    use serde_json::json;

    fn report(name: &str, state: LinkState) -> PeerReport {
        PeerReport {
            name: name.to_owned(),
            address: "localhost:6000".parse().unwrap(),
            via: "default".to_owned(),
            state,
            since: Duration::from_millis(3900),
            linked: None,
            seen: None,
            round_trip: None,
            messages: 0,
            answers: 0,
            loops: 0,
            next_try: None,
            backoff: Duration::from_secs(3),
            why: None,
            dials: [0; Dialled::ALL.len()],
        }
    }

    fn linked(name: &str) -> PeerReport {
        let remote = "127.0.0.1:6000".parse().unwrap();
        PeerReport {
            linked: Some(LinkedBy { connection: 7, remote, dialled: true, worker: 0 }),
            seen: Some(Duration::from_millis(1500)),
            round_trip: Some(Duration::from_micros(400)),
            messages: 1234,
            dials: [1, 5, 0, 0, 0, 0, 0, 0, 0],
            ..report(name, LinkState::Linked)
        }
    }

    fn refused(name: &str) -> PeerReport {
        PeerReport {
            next_try: Some(Duration::from_secs(12)),
            why: Some("connection refused".to_owned()),
            ..report(name, LinkState::Waiting)
        }
    }

    #[test]
    fn what_programs_read_of_a_peer_keeps_its_names() {
        let read = |report: PeerReport| serde_json::to_value(Peer::from(report)).unwrap();
        let expected = json!({
            "name": "b", "address": "localhost:6000", "via": "default", "state": "linked", "since_seconds": 3.9,
            "remote": "127.0.0.1:6000", "connection": 7, "dialled": true, "last_seen_seconds": 1.5,
            "round_trip_seconds": 0.0004, "messages": 1234, "answers": 0, "loops": 0, "next_try_seconds": null,
            "backoff_seconds": 3.0, "why": null, "dials": { "linked": 1, "refused": 5 },
        });
        assert_eq!(read(linked("b")), expected);
        let down = read(refused("c"));
        assert_eq!(
            (&down["state"], &down["remote"], &down["connection"]),
            (&json!("waiting"), &json!(null), &json!(null))
        );
        assert_eq!((&down["why"], &down["dials"]), (&json!("connection refused"), &json!({})));
    }

    #[test]
    fn peers_stand_in_a_table_whose_words_command_no_terminal() {
        let mut hostile = refused("c\u{1b}[31m");
        hostile.why = Some("no\nway\u{202e}".to_owned());
        let peers = [linked("b"), hostile].map(Peer::from);
        assert_eq!(
            table(&peers),
            [
                "PEER    ADDRESS         STATE    SINCE  LAST SEEN  ROUND TRIP  MESSAGES  NEXT TRY  WHY",
                "b       localhost:6000  linked     3 s        1 s      0.4 ms      1234         -  -",
                "c␛[31m  localhost:6000  waiting    3 s          -           -         0      12 s  no␊way\u{FFFD}",
            ]
        );
        let [line] = table(&[]).try_into().unwrap();
        assert!(line.contains("[[peer]]") && line.contains("`shoutd reload`"), "{line}");
    }

    #[test]
    fn the_line_on_all_peers_names_those_without_a_link() {
        let line = |reports: Vec<PeerReport>| line(&reports.into_iter().map(Peer::from).collect::<Vec<_>>());
        assert_eq!(line(Vec::new()), None);
        assert_eq!(line(vec![linked("b"), linked("c")]).unwrap(), "2 of 2 linked");
        let some = vec![linked("a"), refused("c"), report("d", LinkState::Dialling), report("e", LinkState::Done)];
        assert_eq!(line(some).unwrap(), "1 of 4 linked, 1 done; c: connection refused, next try in 12 s; d: dialling");
        let line = line(vec![refused("c"); 5]).unwrap();
        assert!(line.starts_with("0 of 5 linked; c: ") && line.ends_with("; and 2 more"), "{line}");
    }
}
