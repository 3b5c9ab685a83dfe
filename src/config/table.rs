//! Reading tables key by key: each key is named once, where it is taken, and that one call reads
//! it, judges it and records it.
//!
//! What was asked for is remembered, so that what remains is known to be unknown. A table has
//! layers: what a listener does not say itself, the top level says for all. No key is named here,
//! but for `listener`, whose tables are services of their own.

use super::effective::{Entry, Origin};
use super::kinds::{Kind, Raw, one, wrong_type};
use super::report::{Mistake, Text};
use crate::transform::About;
use serde::Deserialize;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue, ValueDeserializer};

/// What some look for under another name: the cure for a key of a kind of tables.
pub(super) type Meant = fn(&str, &str) -> Option<&'static str>;

/// What is noted while a file is read.
#[derive(Debug)]
pub(super) struct Notes<'t> {
    pub(super) text: &'t Text<'t>,
    pub(super) mistakes: RefCell<Vec<Mistake>>,
    /// What is allowed and hardly meant, by place.
    pub(super) warnings: RefCell<BTreeSet<(usize, String)>>,
    pub(super) entries: RefCell<Vec<Entry>>,
    /// Kinds of tables (`limits`, `listener.limits`), and the keys that each may have.
    asked: RefCell<BTreeSet<(String, &'static str)>>,
    /// Whether the known keys were listed; once is enough for a report.
    listed: Cell<bool>,
}

impl<'t> Notes<'t> {
    pub(super) fn new(text: &'t Text<'t>) -> Notes<'t> {
        Notes {
            text,
            mistakes: RefCell::default(),
            warnings: RefCell::default(),
            entries: RefCell::default(),
            asked: RefCell::default(),
            listed: Cell::default(),
        }
    }

    pub(super) fn mistake(&self, mistake: Mistake) {
        self.mistakes.borrow_mut().push(mistake);
    }

    /// Notes what is allowed at `span` and hardly meant.
    pub(super) fn warn(&self, span: Range<usize>, what: &str) {
        let line = format!("{}: warning: {what}", self.text.place(span.start));
        self.warnings.borrow_mut().insert((span.start, line));
    }

    /// Notes each key of `table`, a table of the kind `kind`, that nobody asked for; `meant` gives a
    /// cure for some of them.
    pub(super) fn unknown(&self, table: &DeTable<'_>, kind: &str, meant: Meant) {
        for (key, value) in table {
            let name: &str = key.get_ref();
            if self.asked.borrow().contains(&(kind.to_owned(), name)) {
                let inner = join(kind, name);
                match value.get_ref() {
                    _ if !self.asked.borrow().iter().any(|(other, _)| *other == inner) => {}
                    DeValue::Table(table) => self.unknown(table, &inner, meant),
                    DeValue::Array(list) => {
                        list.iter()
                            .filter_map(|item| item.get_ref().as_table())
                            .for_each(|t| self.unknown(t, &inner, meant));
                    }
                    _ => {}
                }
            } else {
                let cure = meant(kind, name).map_or_else(|| self.cure(name, kind), str::to_owned);
                self.mistake(Mistake::new(key.span(), format!("unknown key `{name}`"), cure));
            }
        }
    }

    /// The most similar key, here or where it belongs.
    fn cure(&self, name: &str, kind: &str) -> String {
        let asked = self.asked.borrow();
        let near = |here: bool| {
            let words = asked.iter().filter(|(other, _)| (other == kind) == here).map(|(_, key)| *key);
            About::nearest(name, words).map_or((0.0, ""), |(likeness, key)| (likeness, key))
        };
        let (here, there) = (near(true), near(false));
        // a key of this very table wins, unless the other is spelt much better, or is the very word where the
        // same table stands elsewhere
        let called = |kind: &str| kind.rsplit('.').next().map(str::to_owned);
        let is_same = |(home, key): &(String, &str)| *key == name && called(home) == called(kind);
        if here.0 > 0.0 && here.0 + 0.15 >= there.0 && !asked.iter().any(is_same) {
            return format!("did you mean `{}`?", here.1);
        }
        if there.0 > 0.0 {
            // a home within this table first, one within a listener last
            let homes =
                asked.iter().filter(|(other, key)| other != kind && *key == there.1).map(|(home, _)| home.as_str());
            let near =
                homes.min_by_key(|home| (kind.is_empty() || !home.starts_with(kind), home.starts_with("listener")));
            let home = match near.unwrap_or_default() {
                "" => "at the top level".to_owned(),
                list @ ("listener" | "peer") => format!("in a [[{list}]]"),
                home => home
                    .strip_prefix("listener.")
                    .map_or_else(|| format!("in [{home}]"), |inner| format!("in a listener's `{inner}`")),
            };
            if there.1 == name {
                return format!("it belongs {home}");
            }
            return format!("did you mean `{}`? It belongs {home}", there.1);
        }
        if self.listed.replace(true) {
            return "`shoutd config --full` explains each key".to_owned();
        }
        let known: Vec<_> = asked.iter().filter(|(other, _)| other == kind).map(|(_, key)| *key).collect();
        format!("known here: {}", known.join(", "))
    }
}

fn join(kind: &str, key: &str) -> String {
    if kind.is_empty() { key.to_owned() } else { format!("{kind}.{key}") }
}

/// A table to take keys from.
#[derive(Debug)]
pub(super) struct Table<'n> {
    notes: &'n Notes<'n>,
    /// Its place among the kinds of tables, such as `listener.limits`.
    kind: String,
    /// Its own place, such as `listener.feed.limits`.
    path: String,
    /// Where a key is looked for, in this order.
    layers: Vec<&'n DeTable<'n>>,
    /// Where the table stands in the file.
    pub(super) span: Range<usize>,
}

impl<'n> Table<'n> {
    /// The whole file.
    pub(super) fn top(notes: &'n Notes<'n>, file: &'n DeTable<'n>) -> Table<'n> {
        Table { notes, kind: String::new(), path: String::new(), layers: vec![file], span: 0..0 }
    }

    /// The value of `key`, recorded together with its origin.
    ///
    /// A value that is wrong is noted, and the default goes on in its place.
    pub(super) fn take<K: Kind>(&self, key: &'static str, kind: K, default: K::Value) -> K::Value {
        let Some((name, raw)) = self.find(key) else {
            self.record(key, kind.write(&default), Origin::Default);
            return default;
        };
        let read = kind.read(raw).and_then(|value| {
            let worded = serde_json::Value::deserialize(ValueDeserializer::from(raw.clone()));
            match worded {
                Ok(worded) => Ok((kind.wording(worded, &value), value)),
                Err(error) => Err(vec![Mistake::told(raw.span(), error.message())]),
            }
        });
        match read {
            Ok((worded, value)) => {
                self.record(key, worded, self.origin(name.span()));
                value
            }
            Err(mistakes) => {
                self.refuse(key, mistakes);
                default
            }
        }
    }

    /// The table under `key`, in which each layer's own is a layer.
    pub(super) fn table(&self, key: &'static str) -> Table<'n> {
        self.ask(key);
        let found = self.layers.iter().filter_map(|layer| layer.get(key));
        let (tables, others): (Vec<_>, Vec<_>) = found.partition(|raw| raw.get_ref().is_table());
        for raw in others {
            self.refuse(key, wrong_type(raw, "a table", &format!("such as [{}]", join(&self.kind, key))));
        }
        self.inner(key, &tables)
    }

    /// As [`Table::table`], or nothing if the first layer that speaks of `key` says `word`.
    pub(super) fn table_or(&self, key: &'static str, word: &'static str) -> Option<Table<'n>> {
        self.ask(key);
        let mut tables = Vec::new();
        for (name, raw) in self.layers.iter().filter_map(|layer| layer.get_key_value(key)) {
            match raw.get_ref() {
                DeValue::Table(_) => tables.push(raw),
                DeValue::String(text) if text == word => {
                    if tables.is_empty() {
                        self.record(key, word.into(), self.origin(name.span()));
                        return None;
                    }
                    break; // what lies below is off
                }
                _ => self.refuse(key, wrong_type(raw, "a table", &format!("or \"{word}\""))),
            }
        }
        Some(self.inner(key, &tables))
    }

    fn inner(&self, key: &str, tables: &[&'n Raw<'n>]) -> Table<'n> {
        Table {
            notes: self.notes,
            kind: join(&self.kind, key),
            path: join(&self.path, key),
            layers: tables.iter().filter_map(|raw| raw.get_ref().as_table()).collect(),
            span: tables.first().map_or(self.span.clone(), |raw| raw.span()),
        }
    }

    /// The tables of `[[key]]`, with this table's layers below them, each recorded under its
    /// `name`, or under `unnamed`.
    pub(super) fn tables(&self, key: &'static str, name: &'static str, unnamed: &str) -> Vec<Table<'n>> {
        let called = |table: &DeTable<'_>| {
            let own = table.get(name).and_then(|raw| raw.get_ref().as_str());
            own.unwrap_or(unnamed).to_owned()
        };
        self.tables_over(key, self, called)
    }

    /// The tables of `[[key]]`, with the layers of `below` under each, recorded under what it is `called`.
    pub(super) fn tables_over(
        &self,
        key: &'static str,
        below: &Table<'n>,
        called: impl Fn(&DeTable<'_>) -> String,
    ) -> Vec<Table<'n>> {
        let item = |(item, table): (&Raw<'_>, &'n DeTable<'n>)| {
            let layers = std::iter::once(table).chain(below.layers.iter().copied()).collect();
            self.item(key, &called(table), layers, item.span())
        };
        self.items(key).into_iter().map(item).collect()
    }

    /// The tables of `[[key]]`, which inherit nothing, each recorded under its number from 1.
    pub(super) fn list(&self, key: &'static str) -> Vec<Table<'n>> {
        let numbered = self.items(key).into_iter().zip(1..);
        numbered.map(|((item, table), nth)| self.item(key, &format!("{nth}"), vec![table], item.span())).collect()
    }

    fn item(&self, key: &str, called: &str, layers: Vec<&'n DeTable<'n>>, span: Range<usize>) -> Table<'n> {
        let path = join(&join(&self.path, key), called);
        Table { notes: self.notes, kind: join(&self.kind, key), path, layers, span }
    }

    /// The tables of `[[key]]` that this table itself holds.
    fn items(&self, key: &'static str) -> Vec<(&'n Raw<'n>, &'n DeTable<'n>)> {
        self.ask(key);
        let Some(raw) = self.layers.first().and_then(|layer| layer.get(key)) else { return Vec::new() };
        let cure = format!("each begins with [[{key}]]");
        let Some(items) = raw.get_ref().as_array() else {
            self.refuse(key, wrong_type(raw, "a list of tables", &cure));
            return Vec::new();
        };
        if items.is_empty() {
            self.refuse(key, one(raw, "a list of none", format!("take it out; {cure}")));
        }
        let mut tables = Vec::new();
        for item in items {
            match item.get_ref().as_table() {
                Some(table) => tables.push((item, table)),
                None => self.refuse(key, wrong_type(item, "a table", &cure)),
            }
        }
        tables
    }

    /// The key and the value that the first layer, this table itself, gives to `key`.
    pub(super) fn own(&self, key: &str) -> Option<(Range<usize>, Range<usize>)> {
        let (name, raw) = self.layers.first()?.get_key_value(key)?;
        Some((name.span(), raw.span()))
    }

    /// Where the value of `key` stands; if nobody wrote it, the table.
    pub(super) fn place(&self, key: &str) -> Range<usize> {
        let raw = self.layers.iter().find_map(|layer| layer.get(key));
        raw.map_or(self.span.clone(), Spanned::span)
    }

    /// The keys that the first layer, this table itself, has.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.layers.first().into_iter().flat_map(|layer| layer.keys()).map(|key| &**key.get_ref())
    }

    /// Its own place among the tables, such as `listener.feed`.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    fn ask(&self, key: &'static str) {
        self.notes.asked.borrow_mut().insert((self.kind.clone(), key));
    }

    fn find(&self, key: &'static str) -> Option<(&'n Spanned<DeString<'n>>, &'n Raw<'n>)> {
        self.ask(key);
        self.layers.iter().find_map(|layer| layer.get_key_value(key))
    }

    fn origin(&self, span: Range<usize>) -> Origin {
        Origin::File { name: self.notes.text.name.clone(), line: self.notes.text.line(span.start) }
    }

    fn record(&self, key: &str, value: serde_json::Value, origin: Origin) {
        self.notes.entries.borrow_mut().push(Entry { path: join(&self.path, key), value, origin });
    }

    fn refuse(&self, key: &str, mistakes: Vec<Mistake>) {
        let mistakes = mistakes.into_iter().map(|m| Mistake { what: format!("`{key}`: {}", m.what), ..m });
        self.notes.mistakes.borrow_mut().extend(mistakes);
    }
}
