//! The configuration: a TOML file becomes `Settings`, or all of its mistakes with their places.
//!
//! Each key is named once, in `keys`; `table` reads, judges and records it. What the settings do
//! is the business of the floors below, where the defaults lie too.

mod chain;
mod changes;
mod claims;
mod effective;
mod keys;
mod kinds;
mod limits;
mod measures;
mod peers;
mod report;
mod selftest;
mod syntax;
mod table;

pub use chain::{Chain, INVALID_UTF8, NO_MESSAGES, ON_ERROR, ON_LONG, ON_UNMAPPABLE, UNKNOWN_LENGTH, Words};
pub use changes::{Change, Effect, changes, restart_pending};
pub use effective::{Entry, Origin, to_toml};
pub use report::Mistakes;

use crate::failure::Failure;
use crate::logging;
use crate::net::address::Address;
use crate::server::Settings;
pub use kinds::Folder;
use kinds::Kind;
use report::Text;
pub(crate) use report::plain;
use selftest::Test;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use table::Notes;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Where the configuration is looked for when none is named.
pub const PLACE: &str = "/etc/shoutd/config.toml";

/// The largest file that is read, in bytes: one that is larger is something else.
const LARGEST: usize = 1 << 20;

/// All that a configuration says.
#[derive(Debug)]
pub struct Config {
    /// What the server needs.
    pub settings: Settings,
    /// What is logged, and how.
    pub log: logging::Settings,
    /// Where the daemon can be looked at and told.
    pub admin: AdminSettings,
    /// Where it comes from.
    pub source: Source,
    /// Each key with its value in effect, in the order of a file.
    pub effective: Vec<Entry>,
    /// What is allowed and hardly meant, each in one line with its place.
    pub warnings: Vec<String>,
    /// What each listener does to a text.
    pub chains: Vec<Chain>,
    tests: Vec<Test>,
    /// The file itself, in which a test that fails is shown.
    text: String,
}

/// Where the daemon can be looked at and told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminSettings {
    /// The control socket.
    pub socket: ControlSocket,
    /// Where metrics and a page for people are served to whoever asks; none if empty.
    pub listen: Vec<Address>,
}

/// Where the control socket lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControlSocket {
    /// In the runtime directory, under a name of the configuration's own.
    Auto,
    /// Nowhere.
    Off,
    /// At a path.
    Path(PathBuf),
}

/// Where a configuration comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// No file was named, and there is none in the [usual place](PLACE).
    BuiltIn,
    /// A file.
    File(PathBuf),
}

impl Source {
    /// Where a daemon that is told `path` has its configuration from.
    #[must_use]
    pub fn of(path: Option<&Path>) -> Source {
        match path {
            Some(path) => Source::File(path.to_owned()),
            None if Path::new(PLACE).exists() => Source::File(PLACE.into()),
            None => Source::BuiltIn,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::BuiltIn => f.write_str("the built-in defaults"),
            Source::File(path) => f.write_str(&plain(&path.to_string_lossy())),
        }
    }
}

impl Config {
    /// Whether nobody wrote anything in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tests.is_empty() && is_empty(&self.effective)
    }

    /// What the listener called `name`, or the first, does to a text.
    #[must_use]
    pub fn chain(&self, name: Option<&str>) -> Option<&Chain> {
        self.chains.iter().find(|chain| name.is_none_or(|name| chain.name == name))
    }

    /// Runs the tests that the file holds, and says how many there were.
    ///
    /// # Errors
    ///
    /// The tests that failed, each with what was expected and what came.
    pub fn test(&self) -> Result<usize, Mistakes> {
        let services: Vec<_> =
            self.settings.listeners.iter().map(|listener| Arc::new(listener.service.clone())).collect();
        let failures: Vec<_> = self.tests.iter().filter_map(|test| test.run(&services)).collect();
        if failures.is_empty() {
            Ok(self.tests.len())
        } else {
            Err(Mistakes::of(&Text::new(&self.source.to_string(), &self.text), failures))
        }
    }
}

/// Whether all values are defaults that nobody wrote.
#[must_use]
pub fn is_empty(effective: &[Entry]) -> bool {
    effective.iter().all(|entry| entry.origin == Origin::Default)
}

/// Where the configuration from `source` says that its control socket is; also where it is wrong
/// elsewhere, as long as this can be read, so that its daemon is found all the same.
#[must_use]
pub fn control_socket(source: &Source) -> ControlSocket {
    let Source::File(path) = source else { return ControlSocket::Auto };
    let text = contents(path, LARGEST).ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
    let (file, _) = DeTable::parse_recoverable(&text);
    let table = file.get_ref().get("admin").and_then(|admin| admin.get_ref().as_table());
    let read = |raw| kinds::Control(&folder(path)).read(raw).ok();
    table.and_then(|table| table.get("socket")).and_then(read).unwrap_or(ControlSocket::Auto)
}

/// The folder of the file at `path`, where its relative paths start.
fn folder(path: &Path) -> PathBuf {
    let folder = Path::new(".").join(path.parent().unwrap_or(path));
    std::path::absolute(&folder).unwrap_or(folder)
}

/// The number of bytes that `text` means as `max_message`; on the command line nothing has quotes.
///
/// # Errors
///
/// What is wrong with it, and the cure.
pub fn max_message(text: &str) -> Result<usize, String> {
    unquoted(&chain::MAX_MESSAGE, text, |value| value.is_integer())
}

/// The bytes that `text` means as `delimiter`; on the command line nothing has quotes.
///
/// # Errors
///
/// What is wrong with it, and the cure.
pub fn delimiter(text: &str) -> Result<Vec<u8>, String> {
    unquoted(&chain::DELIMITER, text, |value| value.is_table())
}

/// The value that `text` means: what it is in TOML, if that `is_meant`, or else a string.
fn unquoted<K: Kind>(kind: &K, text: &str, is_meant: fn(&DeValue<'_>) -> bool) -> Result<K::Value, String> {
    let value = DeValue::parse(text).ok().filter(|value| is_meant(value.get_ref()));
    let value = value.unwrap_or_else(|| Spanned::new(0..0, DeValue::String(text.into())));
    kind.read(&value).map_err(|mistakes| mistakes.into_iter().map(|m| format!("{}; {}", m.what, m.cure)).collect())
}

/// Reads the configuration at `path` and runs its tests; without one, that in the [usual place](PLACE), and if there
/// is none either, the built-in defaults.
///
/// # Errors
///
/// A [`Failure`] that shows all mistakes and says what follows, the `consequence`.
pub fn load(path: Option<&Path>, consequence: &str) -> Result<Config, Failure> {
    let refused = |mistakes: Mistakes| mistakes.failure(consequence);
    let config = read(path).map_err(refused)?;
    config.test().map_err(refused)?;
    Ok(config)
}

/// As [`load`], for a caller who has another word about what follows from mistakes.
///
/// # Errors
///
/// All [`Mistakes`] of the file, or why it could not be read.
pub fn read(path: Option<&Path>) -> Result<Config, Mistakes> {
    let named = path.unwrap_or(Path::new(PLACE));
    match contents(named, LARGEST) {
        Ok(bytes) => parse(named, &text(named, bytes)?),
        Err(error) if path.is_none() && error.kind() == io::ErrorKind::NotFound => built_in(),
        Err(error) => Err(Mistakes::unreadable(unreadable(named, &error))),
    }
}

/// The configuration that an empty file makes.
///
/// # Errors
///
/// None, unless the defaults themselves are wrong.
pub fn built_in() -> Result<Config, Mistakes> {
    parse_from(Source::BuiltIn, "")
}

/// Reads `text` as the contents of the file `name`, whose folder is where relative paths start.
///
/// # Errors
///
/// All [`Mistakes`] of the text.
pub fn parse(name: impl Into<PathBuf>, text: &str) -> Result<Config, Mistakes> {
    parse_from(Source::File(name.into()), text)
}

fn parse_from(source: Source, text: &str) -> Result<Config, Mistakes> {
    let text = &Text::new(&source.to_string(), text);
    let (file, errors) = DeTable::parse_recoverable(text.contents());
    if !errors.is_empty() {
        return Err(Mistakes::of(text, syntax::mistakes(&errors, file.get_ref(), text)));
    }
    let folder = match &source {
        Source::BuiltIn => std::path::absolute(".").unwrap_or_default(),
        Source::File(path) => folder(path),
    };
    let notes = Notes::new(text);
    let keys::Read { settings, log, admin, chains, tests } = keys::read(&notes, file.get_ref(), &folder);
    let mistakes = notes.mistakes.take();
    if mistakes.is_empty() {
        let warnings = notes.warnings.take().into_iter().map(|(_, line)| line).collect();
        let effective = effective::ordered(notes.entries.take());
        let text = text.contents().to_owned();
        Ok(Config { settings, log, admin, source, effective, warnings, chains, tests, text })
    } else {
        Err(Mistakes::of(text, mistakes))
    }
}

fn contents(path: &Path, largest: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(largest).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn text(path: &Path, bytes: Vec<u8>) -> Result<String, Mistakes> {
    let name = plain(&path.to_string_lossy());
    if bytes.len() > LARGEST {
        let line =
            format!("{name} is larger than 1 MiB, so it is no configuration of shoutd; name the right file with -c");
        return Err(Mistakes::unreadable(line));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = 1 + memchr::memchr_iter(b'\n', error.as_bytes().get(..good).unwrap_or_default()).count();
        Mistakes::unreadable(format!("{name}:{line}: this is not UTF-8 text; save the file as UTF-8"))
    })
}

fn unreadable(path: &Path, error: &io::Error) -> String {
    let name = plain(&path.to_string_lossy());
    match error.kind() {
        io::ErrorKind::NotFound => {
            format!("there is no file {name}; name another with -c FILE")
        }
        io::ErrorKind::IsADirectory => {
            format!("{name} is a folder; name the file in it, such as -c {name}/config.toml")
        }
        io::ErrorKind::PermissionDenied => {
            format!(
                "no permission to read {name}; make it readable for the user shoutd runs as, or name another with -c FILE"
            )
        }
        _ => format!("cannot read {name}: {error}; name another file with -c FILE"),
    }
}

#[cfg(test)]
mod tests;
