//! The keys: their names, kinds, bounds and defaults, and the settings that they make.
//!
//! The defaults themselves lie beside the code that uses them, on the floors below.

use super::LogSettings;
use super::kinds::{Addresses, Count, Flag, Name, Or, Steps, Word};
use super::measures::{Bytes, Seconds, Span};
use super::report::Mistake;
use super::table::{Notes, Table};
use crate::framing::{self, Framing};
use crate::net::listener::{self, Address, Keepalive};
use crate::server::{Drain, Listener, Settings};
use crate::session::{Limits, Service};
use crate::transform::{self, About, Choice, InvalidUtf8, Pipeline};
use log::LevelFilter;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::num::NonZero;
use std::ops::{Range, RangeInclusive};
use std::path::Path;
use std::time::Duration;
use toml::Spanned;
use toml::de::DeTable;

const MIB: usize = 1 << 20;
const WAIT: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_hours(24 * 366);
const SECONDS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(32_767);
const STOP: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_hours(24);

/// The name of the listener that is given none.
pub(super) const UNNAMED: &str = "default";

pub(super) static INVALID_UTF8: [(&str, InvalidUtf8); 3] =
    [("pass", InvalidUtf8::Pass), ("replace", InvalidUtf8::Replace), ("close", InvalidUtf8::Close)];

static LEVELS: [(&str, LevelFilter); 6] = [
    ("info", LevelFilter::Info),
    ("error", LevelFilter::Error),
    ("warn", LevelFilter::Warn),
    ("debug", LevelFilter::Debug),
    ("trace", LevelFilter::Trace),
    ("off", LevelFilter::Off),
];

/// Reads the whole `file`; what is wrong with it is in `notes`, and only if nothing is do the
/// settings mean anything.
pub(super) fn read<'n>(notes: &'n Notes<'n>, file: &'n DeTable<'n>, folder: &Path) -> (Settings, LogSettings) {
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
    tell_apart(&services, notes);
    let listeners = services.into_iter().map(|(table, keys)| keys.listener(table, notes)).collect();

    let workers = top.take("workers", Or("auto", Count(1..=1024)), None).and_then(count);
    let drain = drain(&top.table("shutdown"));
    let level = top.table("log").take("level", Word { all: &LEVELS, name: |level| level.0 }, &LEVELS[0]).1;
    notes.unknown(file, "");
    (Settings { listeners, workers, max_connections, drain }, LogSettings { level })
}

fn count(number: u32) -> Option<NonZero<usize>> {
    NonZero::new(usize::try_from(number).ok()?)
}

fn drain(table: &Table<'_>) -> Drain {
    let default = Drain::default();
    Drain {
        idle: table.take("drain_idle", Span(STOP), default.idle),
        spread: table.take("drain_spread", Span(STOP), default.spread),
        timeout: table.take("drain_timeout", Span(STOP), default.timeout),
    }
}

/// The keys of one listener, before they are held against each other.
struct Keys {
    name: String,
    addresses: Vec<Spanned<Address>>,
    framing: &'static framing::About,
    max_message: usize,
    steps: Vec<Spanned<Choice>>,
    limits: Limits,
    socket: listener::Options,
}

impl Keys {
    fn read(name: String, table: &Table<'_>, folder: &Path) -> Keys {
        let address = Address::Tcp { host: "localhost".to_owned(), port: 5000 };
        let addresses = table.take("listen", Addresses(folder), vec![Spanned::new(0..0, address)]);

        let default = Limits::default();
        let buffer_size = table.take("buffer_size", Bytes(1..=16 * MIB), default.buffer_size);
        let buffer_size_max = table.take("buffer_size_max", Bytes(1..=16 * MIB), default.buffer_size_max);

        let policy = Word { all: &INVALID_UTF8, name: |policy| policy.0 };
        let options = transform::Options { invalid_utf8: table.take("invalid_utf8", policy, &INVALID_UTF8[0]).1 };
        let uppercase = Choice::named("uppercase", options).map(|step| Spanned::new(0..0, step));
        let steps = table.take("transform", Steps(options), uppercase.into_iter().collect());

        let framing = Word { all: framing::REGISTRY, name: |about| about.name };
        let framing = table.take("framing", framing, FRAMING);
        let max_message = table.take("max_message", Bytes(1..=1024 * MIB), 64 * 1024);

        let inner = table.table("limits");
        let wait = |key, default| inner.take(key, Or("off", Span(WAIT)), default);
        let limits = Limits {
            buffer_size,
            buffer_size_max,
            idle_timeout: wait("idle_timeout", default.idle_timeout),
            message_timeout: wait("message_timeout", default.message_timeout),
            write_timeout: wait("write_timeout", default.write_timeout),
        };
        Keys { name, addresses, framing, max_message, steps, limits, socket: socket(&table.table("socket")) }
    }

    /// The listener that the keys make; what contradicts itself is noted.
    fn listener(self, table: &Table<'_>, notes: &Notes<'_>) -> Listener {
        let Limits { buffer_size, buffer_size_max, .. } = self.limits;
        if buffer_size > buffer_size_max {
            let what =
                format!("`buffer_size` ({buffer_size} bytes) is more than `buffer_size_max` ({buffer_size_max})");
            notes.mistake(Mistake::new(table.place("buffer_size"), what, "lower this, or raise `buffer_size_max`"));
        }
        let framing = (self.framing.build)(framing::Options { max_message: self.max_message });
        if matches!(framing, Framing::Stream) {
            let steps = self.steps.iter().map(|step| (step.span(), step.get_ref().about()));
            notes.mistakes.borrow_mut().extend(messages_needed(steps));
        }
        Listener {
            addresses: self.addresses.into_iter().map(Spanned::into_inner).collect(),
            passed: Vec::new(),
            socket: self.socket,
            service: Service {
                name: self.name,
                framing,
                pipeline: Pipeline::new(self.steps.into_iter().map(Spanned::into_inner).collect()),
                limits: self.limits,
            },
        }
    }
}

/// The first of the registry is the default, as it says itself.
const FRAMING: &framing::About = match framing::REGISTRY.first() {
    Some(first) => first,
    None => &framing::About { name: "stream", summary: "", build: |_| Framing::Stream },
};

fn socket(table: &Table<'_>) -> listener::Options {
    let default = listener::Options::default();
    listener::Options {
        backlog: table.take("backlog", Count(1..=65_535), default.backlog),
        nodelay: table.take("nodelay", Flag, default.nodelay),
        keepalive: table.table_or("keepalive", "off").map(|table| {
            let default = default.keepalive.unwrap_or_default();
            Keepalive {
                idle: table.take("idle", Seconds(SECONDS), default.idle),
                interval: table.take("interval", Seconds(SECONDS), default.interval),
                probes: table.take("probes", Count(1..=127), default.probes),
            }
        }),
    }
}

/// The steps among `steps` that cannot work without messages, each with its cure.
fn messages_needed(steps: impl Iterator<Item = (Range<usize>, &'static About)>) -> impl Iterator<Item = Mistake> {
    steps.filter(|(_, about)| !about.streams).map(|(span, about)| {
        let what = format!("the step `{}` needs whole messages, and framing = \"stream\" has none", about.name);
        Mistake::new(span, what, "write framing = \"line\", or take the step out")
    })
}

/// Notes listeners that share a name or an address, and those without an address of their own.
fn tell_apart(services: &[(&Table<'_>, Keys)], notes: &Notes<'_>) {
    let (mut names, mut addresses) = (HashMap::new(), HashMap::new());
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
            // names mind no case; paths do; and each port 0 is another port
            let key = match address.get_ref() {
                Address::Tcp { port: 0, .. } => continue,
                tcp @ Address::Tcp { .. } => tcp.to_string().to_lowercase(),
                unix @ Address::Unix(_) => unix.to_string(),
            };
            if let Some(first) = insert(&mut addresses, key, &address.span()) {
                let cure = format!("the first is at {}", notes.text.place(first));
                notes.mistake(Mistake::new(address.span(), format!("two listeners at `{}`", address.get_ref()), cure));
            }
        }
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

    #[test]
    fn a_step_that_needs_messages_is_refused_where_there_are_none() {
        static WHOLE: About = About { name: "reverse", streams: false, ..transform::REGISTRY[0] };
        let mistakes: Vec<_> = messages_needed([(0..3, &transform::REGISTRY[0]), (4..9, &WHOLE)].into_iter()).collect();
        let what = "the step `reverse` needs whole messages, and framing = \"stream\" has none";
        assert_eq!(mistakes, [Mistake::new(4..9, what, "write framing = \"line\", or take the step out")]);
    }
}
