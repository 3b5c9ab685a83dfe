//! What a listener does to a text: the keys that make its framing and its steps.
//!
//! A chain is what the keys say, before it is built: so the command line can change a part of it.

use super::kinds::{Octets, Or, Steps, Word, Written};
use super::measures::Bytes;
use super::report::Mistake;
use super::table::{Notes, Table};
use crate::framing::{self, Framing, Mismatch, OnLong};
use crate::transform::{self, Choice, InvalidUtf8, OnError, OnUnmappable};
use serde_json::{Value, json};
use std::path::Path;
use toml::Spanned;

const MIB: usize = 1 << 20;
pub(super) const MAX_MESSAGE: Bytes = Bytes(1..=1024 * MIB);
pub(super) const DELIMITER: Octets = Octets(1..=64);

/// The words of a key, each with what it means; the first is the default.
pub type Words<T> = &'static [(&'static str, T)];

/// The words of `invalid_utf8`.
pub const INVALID_UTF8: Words<InvalidUtf8> =
    &[("pass", InvalidUtf8::Pass), ("replace", InvalidUtf8::Replace), ("close", InvalidUtf8::Close)];
/// The words of `on_error`.
pub const ON_ERROR: Words<OnError> = &[("pass", OnError::Pass), ("reply", OnError::Reply), ("close", OnError::Close)];
/// The words of `on_unmappable`.
pub const ON_UNMAPPABLE: Words<OnUnmappable> =
    &[("replace", OnUnmappable::Replace), ("escape", OnUnmappable::Escape), ("close", OnUnmappable::Close)];
/// The words of `on_long`.
pub const ON_LONG: Words<OnLong> =
    &[("close", OnLong::Close), ("truncate", OnLong::Truncate), ("drop", OnLong::Drop), ("pass", OnLong::Pass)];

/// What a listener does to a text, as its keys say it.
#[derive(Debug, Clone)]
pub struct Chain {
    /// The listener's name.
    pub name: String,
    /// How bytes become messages.
    pub framing: &'static framing::About,
    /// How answers are framed, if not as the messages are.
    pub framing_out: Option<&'static framing::About>,
    /// What the framing is told.
    pub framed: framing::Options,
    /// What all steps are told.
    pub options: transform::Options,
    /// The steps, as they are written; names of files are absolute.
    pub steps: Vec<Value>,
}

impl Chain {
    /// Reads the keys in `table`, and builds the steps; relative names of files start in `folder`.
    pub(super) fn read(name: String, table: &Table<'_>, folder: &Path) -> (Chain, Vec<Spanned<Choice>>) {
        let options = transform::Options {
            invalid_utf8: word(table, "invalid_utf8", INVALID_UTF8),
            on_error: word(table, "on_error", ON_ERROR),
            on_unmappable: word(table, "on_unmappable", ON_UNMAPPABLE),
        };
        let uppercase = Choice::named("uppercase", options)
            .map(|step| Spanned::new(0..0, Written { step, worded: json!("uppercase") }));
        let written = table.take("transform", Steps(options, folder), uppercase.into_iter().collect());
        let (mut steps, mut built) = (Vec::new(), Vec::new());
        for one in written {
            let span = one.span();
            let Written { step, worded } = one.into_inner();
            built.push(Spanned::new(span, step));
            steps.push(worded);
        }

        let framings = || Word { all: framing::REGISTRY, name: |about| about.name };
        let framing = table.take("framing", framings(), framing::DEFAULT);
        let framing_out = table.take("framing_out", Or("same", framings()), None);
        let default = framing::Options::default();
        let framed = framing::Options {
            delimiter: table.take("delimiter", DELIMITER, default.delimiter),
            max_message: table.take("max_message", MAX_MESSAGE, default.max_message),
            on_long: word(table, "on_long", ON_LONG),
        };
        (Chain { name, framing, framing_out, framed, options, steps }, built)
    }

    /// The framing that is meant.
    ///
    /// # Errors
    ///
    /// A [`Mismatch`], where it contradicts itself.
    pub fn framing(&self) -> Result<Framing, Mismatch> {
        framing::build(self.framing, self.framing_out.unwrap_or(self.framing), &self.framed)
    }

    /// Whether there are messages.
    pub(super) fn has_messages(&self) -> bool {
        self.framing.cuts.is_some()
    }

    /// Whether `delimiter` ends messages or answers.
    fn delimits(&self) -> bool {
        [Some(self.framing), self.framing_out].into_iter().flatten().any(|about| about.name == "delimiter")
    }

    /// The framing, or a stand-in for one that contradicts itself, which is noted.
    pub(super) fn build_framing(&self, table: &Table<'_>, notes: &Notes<'_>) -> Framing {
        self.framing().unwrap_or_else(|mismatch| {
            let (key, (what, cure)) = match mismatch {
                Mismatch::NoMessages => ("framing_out", NO_MESSAGES),
                Mismatch::UnknownLength => ("on_long", UNKNOWN_LENGTH),
            };
            notes.mistake(Mistake::new(table.place(key), what, cure));
            Framing::Stream
        })
    }

    /// Warns of keys that were written and have no effect on any listener of `chains`.
    pub(super) fn warn_of_unread(chains: &[(&Table<'_>, &Chain)], notes: &Notes<'_>) {
        let default = framing::Options::default();
        let warn = |key: &str, why: &str, reads: fn(&Chain) -> bool, differs: &dyn Fn(&framing::Options) -> bool| {
            let (readers, others): (Vec<_>, Vec<_>) = chains.iter().partition(|(_, chain)| reads(chain));
            let read: Vec<_> = readers.iter().map(|(table, _)| table.place(key)).collect();
            for (table, chain) in others {
                let place = table.place(key);
                // at its default it cannot mislead
                if differs(&chain.framed) && !read.contains(&place) {
                    notes.warn(place, &format!("`{key}` has no effect, as {why}"));
                }
            }
        };
        let messages = "framing = \"stream\" has no messages";
        warn("max_message", messages, Chain::has_messages, &|framed| framed.max_message != default.max_message);
        warn("on_long", messages, Chain::has_messages, &|framed| framed.on_long != default.on_long);
        let delimited = "neither `framing` nor `framing_out` is \"delimiter\"";
        warn("delimiter", delimited, Chain::delimits, &|framed| framed.delimiter != default.delimiter);
    }
}

/// What is wrong where there are no answers to frame, and the cure.
pub const NO_MESSAGES: (&str, &str) = (
    "framing = \"stream\" has no messages whose answers could be framed",
    "write framing = \"line\", or framing_out = \"same\"",
);
/// What is wrong where a length would have to be told before it is known, and the cure.
pub const UNKNOWN_LENGTH: (&str, &str) = (
    "\"pass\" sends a long message on before its end has come, and this framing of answers tells its length first",
    "write \"truncate\", \"drop\" or \"close\"",
);

/// One of a few words, of which the first is the default.
pub(super) fn word<T: Copy + Default>(table: &Table<'_>, key: &'static str, all: Words<T>) -> T {
    let Some(default) = all.first() else { return T::default() };
    table.take(key, Word { all, name: |word| word.0 }, default).1
}
