//! The keys: their names, kinds, bounds and defaults, and the settings that they make.
//!
//! The defaults themselves lie beside the code that uses them, on the floors below.

use super::chain::{Chain, Words, word};
use super::claims::Claims;
use super::kinds::{Addresses, Control, Count, Flag, Greeting, Name, Or, Word};
use super::measures::{Bytes, Micros, Seconds, Span};
use super::report::Mistake;
use super::selftest::Test;
use super::table::{Notes, Table};
use super::{AdminSettings, ControlSocket};
use super::{limits, peers};
use crate::framing::Framing;
use crate::logging::{self, Format};
use crate::net::address::Address;
use crate::net::entrance;
use crate::net::listener::{self, Buffers, Keepalive};
use crate::server::{AccessLog, Drain, Listener, Settings};
use crate::session::{Limits, Service};
use crate::transform::{Choice, Pipeline, Template};
use log::LevelFilter;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::num::NonZero;
use std::ops::{Range, RangeInclusive};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use toml::Spanned;
use toml::de::DeTable;

const MIB: usize = 1 << 20;
const SECONDS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(32_767);
/// A sleep that is shorter is none, and to look for longer wins nothing over it.
const SPIN: RangeInclusive<Duration> = Duration::from_micros(1)..=Duration::from_millis(10);
const STOP: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_hours(24);

/// The name of the listener that is given none.
pub(super) const UNNAMED: &str = "default";

/// What some look for under another name.
fn meant(kind: &str, key: &str) -> Option<&'static str> {
    let is_place = ["port", "host", "bind", "address", "addr", "listen"].contains(&key);
    match kind {
        "peers" if ["address", "name"].contains(&key) => Some("it belongs in a [[peer]]"),
        "peer" | "peers" if is_place => Some("`address` says where, as in address = \"localhost:6000\""),
        _ if is_place && key != "listen" => Some("`listen` says where, as in listen = \"localhost:5000\""),
        _ => None,
    }
}

static LEVELS: [(&str, LevelFilter); 6] = [
    ("error", LevelFilter::Error),
    ("warn", LevelFilter::Warn),
    ("info", LevelFilter::Info),
    ("debug", LevelFilter::Debug),
    ("trace", LevelFilter::Trace),
    ("off", LevelFilter::Off),
];

const FORMATS: Words<Format> = &[("auto", Format::Auto), ("text", Format::Text), ("json", Format::Json)];
const ACCESS: Words<AccessLog> =
    &[("off", AccessLog::Off), ("end", AccessLog::End), ("start+end", AccessLog::StartAndEnd)];

/// What a file says.
pub(super) struct Read {
    pub(super) settings: Settings,
    pub(super) log: logging::Settings,
    pub(super) admin: AdminSettings,
    /// What each listener does to a text.
    pub(super) chains: Vec<Chain>,
    pub(super) tests: Vec<Test>,
}

/// Reads the whole `file`; what is wrong with it is in `notes`, and only if nothing is do the
/// settings mean anything.
pub(super) fn read<'n>(notes: &'n Notes<'n>, file: &'n DeTable<'n>, folder: &Path) -> Read {
    let top = Table::top(notes, file);
    let limits = top.table("limits");
    let max_connections = limits.take("max_connections", Or("auto", Count(1..=10_000_000)), None).and_then(count);

    let tables = top.tables("listener", "name", UNNAMED);
    let before = notes.entries.borrow().len();
    let unnamed = Keys::read(UNNAMED.to_owned(), &top, folder);
    let services: Vec<_> = if tables.is_empty() {
        vec![(&top, unnamed)]
    } else {
        // the top level was only read to be judged
        notes.entries.borrow_mut().truncate(before);
        let named = |table: &Table<'_>| Keys::read(table.take("name", Name, UNNAMED.to_owned()), table, folder);
        tables.iter().map(|table| (table, named(table))).collect()
    };
    if let Some((key, _)) = top.own("listen")
        && tables.iter().any(|table| tables.len() > 1 || table.own("listen").is_some())
    {
        let cure = "each [[listener]] has its own; move it to one, or take it out";
        notes.mistake(Mistake::new(key, "this `listen` serves no listener", cure));
    }
    let mut claims = tell_apart(&services, notes);
    Chain::warn_of_unread(&services.iter().map(|(table, keys)| (*table, &keys.chain)).collect::<Vec<_>>(), notes);
    let chains: Vec<_> = services.iter().map(|(_, keys)| keys.chain.clone()).collect();
    let listeners: Vec<_> = services.into_iter().map(|(table, keys)| keys.listener(table, notes)).collect();
    let tests = Test::read_all(&top, &listeners, notes);

    let workers = top.take("workers", Or("auto", Count(1..=1024)), None).and_then(count);
    let spin = top.take("spin", Or("off", Micros(SPIN)), None);
    let drain = drain(&top.table("shutdown"), notes);
    let (log, access) = log(&top.table("log"), notes);
    let (admin, looked_at) = admin(&top.table("admin"), folder);
    for address in &looked_at {
        claim(&mut claims, address, notes);
        if !address.get_ref().is_loopback() {
            let what = "whoever reaches this address sees where clients come from, and what a reload changed";
            notes.warn(address.span(), what);
        }
    }
    let peers = peers::read(&top, &listeners, notes);
    notes.unknown(file, "", meant);
    let settings = Settings { listeners, workers, spin, max_connections, drain, access, peers };
    Read { settings, log, admin, chains, tests }
}

fn count(number: u32) -> Option<NonZero<usize>> {
    NonZero::new(usize::try_from(number).ok()?)
}

/// Where the daemon is looked at and told, and the places of the addresses for that.
fn admin(table: &Table<'_>, folder: &Path) -> (AdminSettings, Vec<Spanned<Address>>) {
    let socket = table.take("socket", Control(folder), ControlSocket::Auto);
    let listen = table.take("listen", Or("off", Addresses(folder)), None).unwrap_or_default();
    (AdminSettings { socket, listen: listen.iter().map(|address| address.get_ref().clone()).collect() }, listen)
}

fn drain(table: &Table<'_>, notes: &Notes<'_>) -> Drain {
    let default = Drain::default();
    let drain = Drain {
        idle: table.take("drain_idle", Span(STOP), default.idle),
        spread: table.take("drain_spread", Span(STOP), default.spread),
        timeout: table.take("drain_timeout", Span(STOP), default.timeout),
    };
    if drain.idle > drain.timeout {
        let key = if table.own("drain_idle").is_some() { "drain_idle" } else { "drain_timeout" };
        notes.warn(table.place(key), "`drain_idle` is longer than `drain_timeout`, which ends a stop before it");
    }
    drain
}

fn log(table: &Table<'_>, notes: &Notes<'_>) -> (logging::Settings, AccessLog) {
    let level = table.take("level", Word { all: &LEVELS, name: |level| level.0 }, &LEVELS[2]);
    let format = word(table, "format", FORMATS);
    let access = word(table, "access", ACCESS);
    if access != AccessLog::Off && level.1 < LevelFilter::Info {
        let what = format!("`access` has no effect, as its records are \"info\" and `level` is \"{}\"", level.0);
        notes.warn(table.place("access"), &what);
    }
    (logging::Settings { level: level.1, format }, access)
}

/// The keys of one listener, before they are held against each other.
struct Keys {
    addresses: Vec<Spanned<Address>>,
    chain: Chain,
    steps: Vec<Spanned<Choice>>,
    greeting: Option<Template>,
    limits: Limits,
    entrance: entrance::Options,
    socket: listener::Options,
}

impl Keys {
    fn read(name: String, table: &Table<'_>, folder: &Path) -> Keys {
        let address = Address::Tcp { host: "localhost".to_owned(), port: 5000 };
        let addresses = table.take("listen", Addresses(folder), vec![Spanned::new(0..0, address)]);

        let (limits, entrance) = limits::read(table);
        let (chain, steps) = Chain::read(name, table, folder);
        let greeting = table.take("greeting", Greeting, None);

        Keys { addresses, chain, steps, greeting, limits, entrance, socket: socket(&table.table("socket")) }
    }

    /// The listener that the keys make; what contradicts itself is noted.
    fn listener(self, table: &Table<'_>, notes: &Notes<'_>) -> Listener {
        let Limits { buffer_size, buffer_size_max, .. } = self.limits;
        if buffer_size > buffer_size_max {
            let what =
                format!("`buffer_size` ({buffer_size} bytes) is more than `buffer_size_max` ({buffer_size_max})");
            notes.mistake(Mistake::new(table.place("buffer_size"), what, "lower this, or raise `buffer_size_max`"));
        }
        let framing = self.chain.build_framing(table, notes);
        if self.greeting.as_ref().is_some_and(|greeting| greeting.messages() > 0) {
            let what = "`{message}` is empty in a greeting, as nothing was said yet";
            notes.warn(table.place("greeting"), what);
        }
        mind_line_end(self.greeting.as_ref(), &framing, table, notes);
        if !self.chain.has_messages() {
            let steps = self.steps.iter().map(|step| (step.span(), step.get_ref()));
            notes.mistakes.borrow_mut().extend(messages_needed(steps));
        }
        limits::mind(&self.entrance, self.addresses.iter().map(Spanned::get_ref), table, notes);
        let pipeline = Pipeline::new(self.steps.into_iter().map(Spanned::into_inner).collect());
        let most = if self.chain.has_messages() { self.chain.framed.max_message } else { buffer_size_max };
        mind_the_answer(pipeline.growth().of(most), self.chain.has_messages(), table, notes);
        Listener {
            addresses: self.addresses.into_iter().map(Spanned::into_inner).collect(),
            socket: self.socket,
            entrance: self.entrance,
            service: Service {
                name: self.chain.name,
                framing,
                pipeline,
                greeting: self.greeting,
                limits: self.limits,
                tally: Arc::default(),
            },
        }
    }
}

fn socket(table: &Table<'_>) -> listener::Options {
    let default = listener::Options::default();
    listener::Options {
        backlog: table.take("backlog", Count(1..=65_535), default.backlog),
        nodelay: table.take("nodelay", Flag, default.nodelay),
        congestion: table.take("congestion", Or("auto", Name), default.congestion),
        buffers: buffers(table),
        keepalive: table.table_or("keepalive", "off").map(|table| {
            let default = default.keepalive.unwrap_or_default();
            Keepalive {
                idle: table.take("idle", Seconds(SECONDS), default.idle),
                interval: table.take("interval", Seconds(SECONDS), default.interval),
                probes: table.take("probes", Count(1..=127), default.probes),
            }
        }),
        ..default
    }
}

fn buffers(table: &Table<'_>) -> Buffers {
    let default = Buffers::default();
    let size = |key, default| table.take(key, Or("auto", Bytes(4096..=1024 * MIB)), default);
    let unsent = default.unsent.and_then(|bytes| usize::try_from(bytes).ok());
    Buffers {
        receive: size("receive_buffer", default.receive),
        send: size("send_buffer", default.send),
        unsent: size("notsent_lowat", unsent).and_then(|bytes| u32::try_from(bytes).ok()),
    }
}

/// Minds that a framing may add the line end that a greeting has already.
pub(super) fn mind_line_end(greeting: Option<&Template>, framing: &Framing, table: &Table<'_>, notes: &Notes<'_>) {
    let adds_one = matches!(framing, Framing::Messages(messages) if messages.names.1 == "line");
    if adds_one && greeting.is_some_and(Template::ends_a_line) {
        let what = "framing = \"line\" adds a line end to the greeting; with its own, an empty line comes behind it";
        notes.warn(table.place("greeting"), what);
    }
}

/// Minds that an answer of `longest` bytes, which the steps may make, has to fit into memory.
fn mind_the_answer(longest: usize, has_messages: bool, table: &Table<'_>, notes: &Notes<'_>) {
    const LARGE: usize = 256 * MIB;
    const LARGEST: usize = 4096 * MIB;
    let bound = if has_messages { "max_message" } else { "buffer_size_max" };
    let what = format!("an answer of these steps may have {} MiB", longest / MIB);
    if longest > LARGEST {
        let cure = format!("lower `{bound}`, or take a step out; `shoutd transforms --markdown` tells how each grows");
        notes.mistake(Mistake::new(table.place("transform"), what, cure));
    } else if longest > LARGE {
        notes.warn(table.place("transform"), &format!("{what}; a lower `{bound}` bounds it"));
    }
}

/// The steps among `steps` that cannot work without messages, each with its cure.
fn messages_needed<'s>(steps: impl Iterator<Item = (Range<usize>, &'s Choice)>) -> impl Iterator<Item = Mistake> {
    steps.filter(|(_, step)| step.needs_messages()).map(|(span, step)| {
        let name = step.about().name;
        let what = format!("the step `{name}` needs whole messages, and framing = \"stream\" has none");
        Mistake::new(span, what, "write framing = \"line\", or take the step out")
    })
}

/// Notes listeners that share a name or an address, and those without an address of their own; gives
/// the addresses they have.
fn tell_apart(services: &[(&Table<'_>, Keys)], notes: &Notes<'_>) -> Claims<(Range<usize>, String)> {
    let (mut names, mut claims) = (HashMap::new(), Claims::new());
    for (table, keys) in services {
        let place = table.own("name").map_or(table.span.clone(), |(_, value)| value);
        if let Some(first) = insert(&mut names, table.path().to_owned(), &place) {
            let name = table.path().rsplit('.').next().unwrap_or_default();
            let cure = format!("the first is at {}; give this one a `name` of its own", notes.text.place(first));
            notes.mistake(Mistake::new(place, format!("two listeners are called `{name}`"), cure));
        }
        if services.len() > 1 && table.own("listen").is_none() {
            let cure = "each of several listeners needs its own, as in listen = \"localhost:5001\"";
            notes.mistake(Mistake::new(table.span.clone(), "this listener has no `listen`", cure));
            continue; // what it inherits was meant for another
        }
        for address in &keys.addresses {
            claim(&mut claims, address, notes);
        }
    }
    claims
}

/// Notes an address that cannot be listened on beside one before it.
fn claim(claims: &mut Claims<(Range<usize>, String)>, address: &Spanned<Address>, notes: &Notes<'_>) {
    let holder = (address.span(), address.get_ref().to_string());
    if let Some((first, taker)) = claims.claim(address.get_ref(), holder) {
        let place = notes.text.place(first.start);
        let what = format!("`{}` is taken by `{taker}` at {place}", address.get_ref());
        notes.mistake(Mistake::new(address.span(), what, "take one out, or change it"));
    }
}

/// Where `key` stood before, if it did.
fn insert(seen: &mut HashMap<String, usize>, key: String, place: &Range<usize>) -> Option<usize> {
    match seen.entry(key) {
        Entry::Vacant(entry) => {
            entry.insert(place.start);
            None
        }
        Entry::Occupied(entry) => Some(*entry.get()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transform::Options;

    #[test]
    fn a_step_that_needs_messages_is_refused_where_there_are_none() {
        let [uppercase, whole] = ["uppercase", "whoami"].map(|name| Choice::named(name, Options::default()).unwrap());
        let mistakes: Vec<_> = messages_needed([(0..3, &uppercase), (4..9, &whole)].into_iter()).collect();
        let what = "the step `whoami` needs whole messages, and framing = \"stream\" has none";
        assert_eq!(mistakes, [Mistake::new(4..9, what, "write framing = \"line\", or take the step out")]);
    }
}
