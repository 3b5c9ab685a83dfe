//! The keys of peers: `[peers]` for all of them, and one `[[peer]]` for each.

use super::chain::{Words, word};
use super::keys::mind_line_end;
use super::kinds::{Flag, Greeting, Name, Or, PeerAddress};
use super::measures::Span;
use super::report::Mistake;
use super::table::{Notes, Table};
use crate::net::address::{Address, known_addresses};
use crate::server::{Listener, Manners, Peer, Retry, SourcePort};
use crate::transform::{About, Template};
use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;
use toml::de::DeTable;

const SOURCE_PORTS: Words<SourcePort> = &[("listen", SourcePort::Listen), ("any", SourcePort::Any)];
const RETRY: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_hours(24);

/// Reads all peers; `listeners` are those that may answer them.
pub(super) fn read(top: &Table<'_>, listeners: &[Listener], notes: &Notes<'_>) -> Vec<Peer> {
    let defaults = top.table("peers");
    let before = notes.entries.borrow().len();
    let shared = Keys::read(&defaults);
    let tables = top.tables_over("peer", &defaults, called);
    if tables.is_empty() {
        shared.judge_waits(notes);
        if shared.via.is_some() {
            shared.via(&defaults, listeners, notes);
        }
        return Vec::new();
    }
    // those of all peers were only read to be judged
    notes.entries.borrow_mut().truncate(before);
    let (mut names, mut addresses) = (HashMap::new(), HashMap::new());
    let mut peers = Vec::new();
    for table in &tables {
        let name = table.path().split_once('.').map_or("", |(_, name)| name).to_owned();
        let name = table.take("name", Name, name);
        let address = table.take("address", PeerAddress, None);
        let keys = Keys::read(table);
        let Some(address) = address else {
            // one that is misspelt is a mistake already
            let misspelt = table.keys().any(|key| About::nearest(key, std::iter::once("address")).is_some());
            if table.own("address").is_none() && !misspelt {
                let cure = "say where it is dialled, as in address = \"localhost:6000\"";
                notes.mistake(Mistake::new(table.span.clone(), "this peer has no `address`", cure));
            }
            continue;
        };
        let place = table.place("address");
        let only = |seen: &mut HashMap<String, usize>, what: &str, value: String, at: usize, cure: &str| {
            if let Some(first) = seen.insert(value.clone(), at) {
                let cure = format!("the first is at {}; {cure}", notes.text.place(first));
                notes.mistake(Mistake::new(at..at + 1, format!("two peers have the {what} `{value}`"), cure));
            }
        };
        let is_same = addresses.contains_key(&address.to_string().to_lowercase());
        let name_place = table.own("name").map_or(place.start, |(_, value)| value.start);
        // names that are made of one address are no other mistake
        if !is_same || table.own("name").is_some() {
            only(&mut names, "name", name.clone(), name_place, "give this one another `name`");
        }
        only(&mut addresses, "address", address.to_string().to_lowercase(), place.start, "take one out, or change it");
        if let Some(peer) = keys.peer(name, address, table, listeners, notes) {
            peers.push(peer);
        }
    }
    peers
}

/// What a peer without a name is called: its address, in characters that a name may have.
fn called(table: &DeTable<'_>) -> String {
    let own = |key: &str| table.get(key).and_then(|raw| raw.get_ref().as_str());
    let of_address = || {
        let address = own("address").unwrap_or("peer");
        let words = address.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).filter(|word| !word.is_empty());
        let name = words.collect::<Vec<_>>().join("-");
        name.get(..64).unwrap_or(&name).to_owned()
    };
    own("name").map_or_else(of_address, str::to_owned)
}

/// The keys that a peer shares with all others.
struct Keys {
    via: Option<String>,
    source_port: SourcePort,
    greeting: Option<Template>,
    retry: Retry,
    retry_place: std::ops::Range<usize>,
    answer_back: bool,
    once: bool,
    loop_guard: bool,
}

impl Keys {
    fn read(table: &Table<'_>) -> Keys {
        let (retry, manners) = (Retry::default(), Manners::default());
        let via = table.take("via", Or("auto", Name), None);
        let greeting = table.take("greeting", Greeting, None);
        let source_port = word(table, "source_port", SOURCE_PORTS);
        let waits = table.table("retry");
        Keys {
            via,
            source_port,
            greeting,
            retry: Retry {
                min: waits.take("min", Span(RETRY), retry.min),
                max: waits.take("max", Span(RETRY), retry.max),
            },
            retry_place: waits.place("min"),
            answer_back: table.take("answer_back", Flag, manners.answer_back),
            once: table.take("once", Flag, manners.once),
            loop_guard: table.take("loop_guard", Flag, manners.loop_guard),
        }
    }

    /// The peer that the keys make; what contradicts itself, or cannot be, is noted.
    fn peer(
        self,
        name: String,
        address: Address,
        table: &Table<'_>,
        listeners: &[Listener],
        notes: &Notes<'_>,
    ) -> Option<Peer> {
        self.judge_waits(notes);
        if self.greeting.as_ref().is_some_and(|greeting| greeting.messages() > 0) {
            let what = "`{message}` is empty in a greeting, as nothing was said yet";
            notes.warn(table.place("greeting"), what);
        }
        if self.answer_back && self.greeting.is_none() {
            notes.warn(table.place("answer_back"), "`answer_back` has no effect without a `greeting`");
        }
        let via = self.via(table, listeners, notes)?;
        if let Some(own) = listeners.iter().find(|own| own.addresses.iter().any(|own| is_oneself(own, &address))) {
            let what = format!("`{address}` is this daemon itself (listener `{}`)", own.service.name);
            let cure = "name another daemon, or take this peer out";
            notes.mistake(Mistake::new(table.place("address"), what, cure));
        }
        mind_line_end(self.greeting.as_ref(), &via.service.framing, table, notes);
        self.judge(&address, via, table, notes);
        Some(Peer {
            name,
            address,
            via: via.service.name.clone(),
            source_port: self.source_port,
            retry: self.retry,
            manners: Manners {
                greeting: self.greeting,
                answer_back: self.answer_back,
                once: self.once,
                loop_guard: self.loop_guard,
            },
        })
    }

    /// Notes waits that contradict each other.
    fn judge_waits(&self, notes: &Notes<'_>) {
        if self.retry.min > self.retry.max {
            let what = "`min` is more than `max`";
            notes.mistake(Mistake::new(self.retry_place.clone(), what, "lower this, or raise `max`"));
        }
    }

    /// The listener that answers the peer.
    fn via<'l>(&self, table: &Table<'_>, listeners: &'l [Listener], notes: &Notes<'_>) -> Option<&'l Listener> {
        let names = || listeners.iter().map(|listener| listener.service.name.as_str());
        let known = || names().collect::<Vec<_>>().join(", ");
        match (&self.via, listeners) {
            (None, [only]) => Some(only),
            (None, _) => {
                let cure = format!("write `via`, with one of {}", known());
                notes.mistake(Mistake::new(table.span.clone(), "several listeners could answer this peer", cure));
                None
            }
            (Some(via), _) => {
                let found = listeners.iter().find(|listener| listener.service.name == *via);
                if found.is_none() {
                    let cure = match About::nearest(via, names()) {
                        Some((_, near)) => format!("did you mean \"{near}\"?"),
                        None => format!("one of {}", known()),
                    };
                    let what = format!("`via`: there is no listener \"{via}\"");
                    notes.mistake(Mistake::new(table.place("via"), what, cure));
                }
                found
            }
        }
    }

    /// Notes an address that cannot be reached from the listener.
    fn judge(&self, address: &Address, via: &Listener, table: &Table<'_>, notes: &Notes<'_>) {
        let place = || table.place("address");
        let Address::Tcp { host, .. } = address else { return };
        let from_port = self.source_port == SourcePort::Listen;
        let name = &via.service.name;
        if from_port && !via.addresses.iter().any(|own| matches!(own, Address::Tcp { .. })) {
            let what = format!("the listener `{name}` has no port to dial from");
            notes.mistake(Mistake::new(place(), what, "write source_port = \"any\", or another `via`"));
        } else if from_port
            && !address.is_loopback()
            && host.parse::<IpAddr>().is_ok()
            && via.addresses.iter().all(Address::is_loopback)
        {
            let what = format!("the listener `{name}` is on the loopback, from which no other host is reached");
            let cure = "write source_port = \"any\", or let it listen on another address";
            notes.mistake(Mistake::new(place(), what, cure));
        }
    }
}

/// Whether whoever dials `peer` reaches what listens on `own`, as far as that can be seen without resolving
/// a name.
fn is_oneself(own: &Address, peer: &Address) -> bool {
    let (Address::Tcp { host: own, port }, Address::Tcp { host: peer, port: same }) = (own, peer) else { return false };
    let (own, peer) = (known_addresses(own), known_addresses(peer));
    let reaches = |peer: &IpAddr| {
        own.iter()
            .any(|own| own == peer || (own.is_unspecified() && own.is_ipv4() == peer.is_ipv4() && peer.is_loopback()))
    };
    port == same && peer.iter().any(reaches)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    #[test]
    fn who_is_oneself_is_seen_without_resolving_a_name() {
        for (own, peer, oneself) in [
            ("localhost:5000", "127.0.0.1:5000", true),
            ("127.0.0.1:5000", "LOCALHOST:5000", true),
            ("0.0.0.0:5000", "localhost:5000", true),
            ("[::]:5000", "127.0.0.1:5000", false),
            ("0.0.0.0:5000", "192.0.2.1:5000", false),
            ("192.0.2.1:5000", "192.0.2.1:5000", true),
            ("localhost:5000", "localhost:6000", false),
            ("localhost:5000", "elsewhere:5000", false),
        ] {
            assert_eq!(is_oneself(&own.parse().unwrap(), &peer.parse().unwrap()), oneself, "{own} and {peer}");
        }
    }

    #[test]
    fn a_peer_has_what_it_says_and_what_is_said_for_all() {
        let text = "[peers]\ngreeting = 'hi'\nretry = { min = '2s' }\n[[peer]]\naddress = 'localhost:6000'\n\
                    [[peer]]\nname = 'b'\naddress = 'h:6000'\ngreeting = ''\nsource_port = 'any'\nonce = true\n";
        let config = parse("/f", text).unwrap();
        let [first, second] = &config.settings.peers[..] else { panic!("{:?}", config.settings.peers) };
        assert_eq!((first.name.as_str(), first.via.as_str()), ("localhost-6000", "default"));
        assert_eq!(first.manners.greeting, Some(Template::parse("hi").unwrap()));
        assert_eq!(first.retry, Retry { min: Duration::from_secs(2), max: Duration::from_secs(60) });
        assert_eq!((second.name.as_str(), second.source_port), ("b", SourcePort::Any));
        assert_eq!(second.manners, Manners { once: true, ..Manners::default() });
    }

    #[test]
    fn a_greeting_with_two_line_ends_is_warned_of() {
        let text = "framing = 'line'\ngreeting = \"a\\n\"\n[[peer]]\naddress = 'h:1'\ngreeting = \"b\\n\"\n";
        let warnings = parse("/f", text).unwrap().warnings;
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert!(warnings.iter().all(|warning| warning.contains("adds a line end")), "{warnings:?}");
        assert_eq!(parse("/f", &text.replace("line'", "stream'")).unwrap().warnings, [""; 0]);
    }

    #[test]
    fn what_cannot_be_linked_to_is_told_with_its_cure() {
        for (text, what, cure) in [
            ("[[peer]]\nname = 'x'\n", "this peer has no `address`", "localhost:6000"),
            ("[[peer]]\naddress = 'localhost:5000'\n", "is this daemon itself", "name another daemon"),
            ("[[peer]]\naddress = 'unix:/x'\n", "a peer is dialled over TCP", "localhost:6000"),
            ("[[peer]]\naddress = 'h:0'\n", "nobody listens on port 0", "the port"),
            ("[[peer]]\naddress = '192.0.2.1:5000'\n", "on the loopback", "source_port = \"any\""),
            ("[[peer]]\naddress = 'h:1'\nvia = 'defualt'\n", "no listener \"defualt\"", "did you mean \"default\"?"),
            ("[[peer]]\naddress = 'h:1'\n[[peer]]\naddress = 'H:1'\nname = 'x'\n", "two peers", "take one out"),
            ("[[peer]]\naddress = 'h:1'\nretry = { min = '2min' }\n", "`min` is more than `max`", "raise `max`"),
            ("[[peer]]\nadress = 'h:1'\n", "unknown key `adress`", "did you mean `address`?"),
            ("[[peer]]\naddress = 'h:1'\nhost = 'h'\n", "unknown key `host`", "`address` says where"),
            ("[peers]\nvia = 'nope'\n", "no listener \"nope\"", "one of default"),
            ("[peers]\nretry = { min = '2min' }\n", "`min` is more than `max`", "raise `max`"),
            ("[peers]\naddress = 'h:1'\n", "unknown key `address`", "it belongs in a [[peer]]"),
            ("[[peer]]\naddress = 'h'\n", "`h` has no port", "write \"h:6000\""),
            ("[[peer]]\naddress = ':6000'\n", "`:6000` has no host", "localhost:6000"),
            ("[[peer]]\naddress = 'h:1'\nonce = 1\n", "found a whole number", "one of these two words"),
            ("[peers]\ngreting = 'x'\n", "unknown key `greting`", "did you mean `greeting`?"),
            (
                "[[listener]]\nname = 'a'\nlisten = 'h:1'\n[[listener]]\nname = 'b'\nlisten = 'h:2'\n\
                 [[peer]]\naddress = 'h:3'\n",
                "several listeners could answer this peer",
                "write `via`, with one of a, b",
            ),
            ("listen = 'unix:x'\n[[peer]]\naddress = 'h:1'\n", "has no port to dial from", "source_port"),
        ] {
            let mistakes = parse("/f", text).unwrap_err().failure("").text;
            assert!(mistakes.contains(what) && mistakes.contains(cure), "{text}: {mistakes}");
            assert!(mistakes.contains("\n1 mistake"), "{text}: {mistakes}");
        }
    }
}
