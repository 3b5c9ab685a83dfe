//! Kinds of values: how each is read from TOML, refused with its cure, and written back.
//!
//! A kind knows no key. Sizes and durations are in `measures`.

use super::ControlSocket;
use super::report::{Mistake, plain};
use crate::net::address::Address;
use crate::net::blocks::Block;
use crate::transform::{self, About, Choice, Files, Site, StepSeed, Template, plainly};
use serde::Deserialize;
use serde::de::DeserializeSeed;
use serde_json::{Value, json};
use std::io;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeValue, Error, ValueDeserializer};

/// The largest file that an option of a step may name, in bytes.
const LARGEST_FILE: usize = 256 << 20;

/// A value of the file, with its place.
pub(super) type Raw<'d> = Spanned<DeValue<'d>>;

/// One kind of value.
pub(super) trait Kind {
    /// What a value of this kind is in the settings.
    type Value;

    /// The value that `raw` means, or all that is wrong with it.
    fn read(&self, raw: &Raw<'_>) -> Result<Self::Value, Vec<Mistake>>;

    /// A default as it would be written.
    fn write(&self, value: &Self::Value) -> Value;

    /// A value of a file as it is shown among the effective ones: as it is worded there.
    fn wording(&self, worded: Value, _: &Self::Value) -> Value {
        worded
    }
}

pub(super) fn one(raw: &Raw<'_>, what: impl Into<String>, cure: impl Into<String>) -> Vec<Mistake> {
    vec![Mistake::new(raw.span(), what, cure)]
}

/// The mistake of a value that is of another type altogether.
pub(super) fn wrong_type(raw: &Raw<'_>, expected: &str, cure: &str) -> Vec<Mistake> {
    vec![type_mistake(raw, expected, cure)]
}

fn type_mistake(raw: &Raw<'_>, expected: &str, cure: &str) -> Mistake {
    let found = match raw.get_ref() {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    Mistake::new(raw.span(), format!("expected {expected}, found {found}"), cure)
}

pub(super) fn within<T: PartialOrd>(
    raw: &Raw<'_>,
    value: T,
    range: &RangeInclusive<T>,
    show: fn(&T) -> String,
) -> Result<T, Vec<Mistake>> {
    if range.contains(&value) {
        return Ok(value);
    }
    Err(out_of_range(raw, &show(&value), range, show))
}

pub(super) fn out_of_range<T>(
    raw: &Raw<'_>,
    shown: &str,
    range: &RangeInclusive<T>,
    show: fn(&T) -> String,
) -> Vec<Mistake> {
    let (least, most) = (show(range.start()), show(range.end()));
    one(raw, format!("{shown} is out of range"), format!("from {least} to {most}"))
}

pub(super) fn integer(raw: &Raw<'_>) -> Option<i128> {
    let number = raw.get_ref().as_integer()?;
    // what does not fit is out of any range of ours
    Some(i128::from_str_radix(number.as_str(), number.radix()).unwrap_or(i128::MAX))
}

/// `true` or `false`.
pub(super) struct Flag;

impl Kind for Flag {
    type Value = bool;

    fn read(&self, raw: &Raw<'_>) -> Result<bool, Vec<Mistake>> {
        let cure = if raw.get_ref().is_str() { "without quotes" } else { "one of these two words" };
        raw.get_ref().as_bool().ok_or_else(|| wrong_type(raw, "true or false", cure))
    }

    fn write(&self, value: &bool) -> Value {
        json!(value)
    }
}

/// A whole number in a range.
pub(super) struct Count(pub(super) RangeInclusive<u32>);

impl Kind for Count {
    type Value = u32;

    fn read(&self, raw: &Raw<'_>) -> Result<u32, Vec<Mistake>> {
        let (least, most) = (*self.0.start(), *self.0.end());
        let number = integer(raw)
            .ok_or_else(|| wrong_type(raw, "a whole number", &format!("from {least} to {most}, without quotes")))?;
        let number = within(raw, number, &(least.into()..=most.into()), i128::to_string)?;
        Ok(u32::try_from(number).unwrap_or(most))
    }

    fn write(&self, value: &u32) -> Value {
        json!(value)
    }
}

/// A value of another kind, or a word that stands for none.
pub(super) struct Or<K>(pub(super) &'static str, pub(super) K);

impl<K: Kind> Kind for Or<K> {
    type Value = Option<K::Value>;

    fn read(&self, raw: &Raw<'_>) -> Result<Self::Value, Vec<Mistake>> {
        if raw.get_ref().as_str() == Some(self.0) {
            return Ok(None);
        }
        // who writes a zero that is refused means nothing at all
        let nothing = self.0 == "off"
            && (integer(raw) == Some(0)
                || raw.get_ref().as_str().is_some_and(|text| {
                    text.starts_with('0') && !text.contains(|c: char| c.is_ascii_digit() && c != '0')
                }));
        self.1.read(raw).map(Some).map_err(|mut mistakes| {
            for mistake in &mut mistakes {
                mistake.cure = match mistake.cure.as_str() {
                    _ if nothing => format!("write \"{}\"", self.0),
                    "" => format!("\"{}\"", self.0),
                    cure => format!("{cure}, or \"{}\"", self.0),
                };
            }
            mistakes
        })
    }

    fn write(&self, value: &Self::Value) -> Value {
        value.as_ref().map_or_else(|| json!(self.0), |value| self.1.write(value))
    }

    fn wording(&self, worded: Value, value: &Self::Value) -> Value {
        match value {
            Some(value) => self.1.wording(worded, value),
            None => worded,
        }
    }
}

/// One of a few things that have a name.
pub(super) struct Word<T: 'static> {
    /// All of them.
    pub(super) all: &'static [T],
    /// The name of one.
    pub(super) name: fn(&T) -> &'static str,
}

impl<T> Kind for Word<T> {
    type Value = &'static T;

    fn read(&self, raw: &Raw<'_>) -> Result<&'static T, Vec<Mistake>> {
        let list = || self.all.iter().map(|one| format!("\"{}\"", (self.name)(one))).collect::<Vec<_>>().join(", ");
        let text = raw.get_ref().as_str().ok_or_else(|| wrong_type(raw, "a word", &format!("one of {}", list())))?;
        self.all.iter().find(|one| (self.name)(one) == text).ok_or_else(|| {
            let cure = match About::nearest(text, self.all.iter().map(self.name)) {
                Some((_, near)) => format!("did you mean \"{near}\"?"),
                None => format!("one of {}", list()),
            };
            one(raw, format!("unknown value \"{text}\""), cure)
        })
    }

    fn write(&self, value: &&'static T) -> Value {
        json!((self.name)(value))
    }
}

/// The name of a listener: safe in a path, a log and systemd's `FileDescriptorName=`.
pub(super) struct Name;

impl Kind for Name {
    type Value = String;

    fn read(&self, raw: &Raw<'_>) -> Result<String, Vec<Mistake>> {
        let name = raw.get_ref().as_str().ok_or_else(|| wrong_type(raw, "a name", "in quotes"))?;
        let fits =
            (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
        if fits {
            Ok(name.to_owned())
        } else {
            Err(one(raw, "not a name", "1 to 64 of the characters a-z A-Z 0-9 - _"))
        }
    }

    fn write(&self, value: &String) -> Value {
        json!(value)
    }
}

/// One value, or a list of them; each mistake in the list is told.
fn each<'r, 'd, T>(
    raw: &'r Raw<'d>,
    read: impl Fn(&'r Raw<'d>) -> Result<T, Mistake>,
) -> Result<Vec<Spanned<T>>, Vec<Mistake>> {
    let items = raw.get_ref().as_array().map_or(std::slice::from_ref(raw), AsRef::as_ref);
    let (mut values, mut mistakes) = (Vec::new(), Vec::new());
    for item in items {
        match read(item) {
            Ok(value) => values.push(Spanned::new(item.span(), value)),
            Err(mistake) => mistakes.push(mistake),
        }
    }
    if mistakes.is_empty() { Ok(values) } else { Err(mistakes) }
}

/// One value if there is one, otherwise a list.
fn list(mut values: Vec<Value>) -> Value {
    if values.len() == 1 { values.pop().unwrap_or_default() } else { Value::Array(values) }
}

/// Addresses to listen on; relative paths start in this folder.
pub(super) struct Addresses<'p>(pub(super) &'p Path);

impl Kind for Addresses<'_> {
    type Value = Vec<Spanned<Address>>;

    fn read(&self, raw: &Raw<'_>) -> Result<Self::Value, Vec<Mistake>> {
        let addresses = each(raw, |item| {
            let text = item.get_ref().as_str();
            let address = text.ok_or_else(|| "expected an address; such as \"localhost:5000\"".to_owned());
            let address = address.and_then(str::parse).and_then(|address: Address| address.within(self.0));
            address.map_err(|text| Mistake::told(item.span(), &text))
        })?;
        if addresses.is_empty() {
            return Err(one(raw, "no address to listen on", "such as \"localhost:5000\""));
        }
        Ok(addresses)
    }

    fn write(&self, value: &Self::Value) -> Value {
        list(value.iter().map(|address| json!(address.get_ref().to_string())).collect())
    }

    fn wording(&self, _: Value, value: &Self::Value) -> Value {
        self.write(value) // so that relative paths mean the same wherever they are read
    }
}

/// Blocks of addresses.
pub(super) struct Blocks;

impl Kind for Blocks {
    type Value = Vec<Block>;

    fn read(&self, raw: &Raw<'_>) -> Result<Self::Value, Vec<Mistake>> {
        let blocks = each(raw, |item| {
            let text = item.get_ref().as_str();
            let block = text.ok_or_else(|| "expected a block of addresses; such as \"10.0.0.0/8\"".to_owned());
            block.and_then(str::parse).map_err(|text| Mistake::told(item.span(), &text))
        })?;
        Ok(blocks.into_iter().map(Spanned::into_inner).collect())
    }

    fn write(&self, value: &Self::Value) -> Value {
        value.iter().map(|block| json!(block.to_string())).collect()
    }
}

/// Where a peer is dialled.
pub(super) struct PeerAddress;

impl Kind for PeerAddress {
    type Value = Option<Address>;

    fn read(&self, raw: &Raw<'_>) -> Result<Option<Address>, Vec<Mistake>> {
        const CURE: &str = "such as \"localhost:6000\"";
        let text = raw.get_ref().as_str().ok_or_else(|| wrong_type(raw, "an address", CURE))?;
        if text.starts_with([':', '*']) {
            return Err(one(raw, format!("`{text}` has no host"), CURE));
        }
        // as if it were to be listened on, it would be this daemon's own port
        let told = |told: String| vec![Mistake::told(raw.span(), &told.replace(":5000\"", ":6000\""))];
        match text.parse().map_err(told)? {
            Address::Unix(_) => Err(one(raw, "a peer is dialled over TCP", CURE)),
            Address::Tcp { port: 0, .. } => Err(one(raw, "nobody listens on port 0", "write the port of the peer")),
            Address::Tcp { host, .. } if host.parse().is_ok_and(|ip: IpAddr| ip.is_unspecified()) => {
                Err(one(raw, "this is no address of anybody", CURE))
            }
            address => Ok(Some(address)),
        }
    }

    fn write(&self, value: &Option<Address>) -> Value {
        value.as_ref().map_or(Value::Null, |address| json!(address.to_string()))
    }
}

/// Where the control socket lies; a relative path starts in this folder.
pub(super) struct Control<'p>(pub(super) &'p Path);

impl Kind for Control<'_> {
    type Value = ControlSocket;

    fn read(&self, raw: &Raw<'_>) -> Result<ControlSocket, Vec<Mistake>> {
        const CURE: &str = "a path in quotes, or \"auto\", or \"off\"";
        match raw.get_ref().as_str() {
            None => Err(wrong_type(raw, "a path", CURE)),
            Some("auto") => Ok(ControlSocket::Auto),
            Some("off") => Ok(ControlSocket::Off),
            Some(path) => match format!("unix:{path}").parse().and_then(|address: Address| address.within(self.0)) {
                Ok(Address::Unix(_)) if !path.contains('/') && path.contains(':') => {
                    Err(one(raw, "this is no path", CURE))
                }
                Ok(Address::Unix(path)) => Ok(ControlSocket::Path(path)),
                Ok(Address::Tcp { .. }) => Err(one(raw, "this is no path", CURE)),
                Err(told) => Err(vec![Mistake::told(raw.span(), &told)]),
            },
        }
    }

    fn write(&self, value: &ControlSocket) -> Value {
        match value {
            ControlSocket::Auto => json!("auto"),
            ControlSocket::Off => json!("off"),
            ControlSocket::Path(path) => json!(path.display().to_string()),
        }
    }

    fn wording(&self, _: Value, value: &ControlSocket) -> Value {
        self.write(value) // so that relative paths mean the same wherever they are read
    }
}

/// Bytes in a range of lengths: a string for its UTF-8, or `{ hex = "c1c2" }` for any.
pub(super) struct Octets(pub(super) RangeInclusive<usize>);

impl Kind for Octets {
    type Value = Vec<u8>;

    fn read(&self, raw: &Raw<'_>) -> Result<Vec<u8>, Vec<Mistake>> {
        const CURE: &str = "a string, or bytes as in { hex = \"c1c2\" }";
        let bytes = match raw.get_ref() {
            DeValue::String(text) => text.as_bytes().to_vec(),
            DeValue::Table(table) => match table.get("hex").map(|hex| (hex, hex.get_ref().as_str())) {
                Some((hex, Some(digits))) if table.len() == 1 => unhex(digits)
                    .ok_or_else(|| one(hex, "these are no bytes", "two hex digits make one, as in \"c1 c2\""))?,
                _ => return Err(wrong_type(raw, "text or bytes", CURE)),
            },
            _ => return Err(wrong_type(raw, "text or bytes", CURE)),
        };
        let (least, most) = (self.0.start(), self.0.end());
        if self.0.contains(&bytes.len()) {
            Ok(bytes)
        } else {
            Err(one(raw, format!("{} bytes are out of range", bytes.len()), format!("from {least} to {most}")))
        }
    }

    fn write(&self, value: &Vec<u8>) -> Value {
        match str::from_utf8(value) {
            Ok(text) => json!(text),
            Err(_) => json!({ "hex": value.iter().map(|byte| format!("{byte:02x}")).collect::<String>() }),
        }
    }
}

/// The bytes that hex digits stand for, between which there may be spaces.
fn unhex(digits: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = digits
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| u8::try_from(c.to_digit(16)?).ok())
        .collect::<Option<_>>()?;
    let (pairs, []) = digits.as_chunks() else { return None };
    Some(pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

/// What a client is told before it says anything; an empty text is nothing.
pub(super) struct Greeting;

impl Kind for Greeting {
    type Value = Option<Template>;

    fn read(&self, raw: &Raw<'_>) -> Result<Option<Template>, Vec<Mistake>> {
        let text = raw.get_ref().as_str().ok_or_else(|| wrong_type(raw, "a text", "in quotes"))?;
        let template = Template::parse(text).map_err(|told| vec![Mistake::told(raw.span(), &told)])?;
        Ok((!text.is_empty()).then_some(template))
    }

    fn write(&self, _: &Option<Template>) -> Value {
        json!("")
    }
}

/// The steps of a transform; relative names of files start in this folder.
pub(super) struct Steps<'p>(pub(super) transform::Options, pub(super) &'p Path);

/// A step, and how it is written.
pub(super) struct Written {
    pub(super) step: Choice,
    pub(super) worded: Value,
}

impl Kind for Steps<'_> {
    type Value = Vec<Spanned<Written>>;

    fn read(&self, raw: &Raw<'_>) -> Result<Self::Value, Vec<Mistake>> {
        each(raw, |item| {
            match item.get_ref() {
                DeValue::Table(_) => {}
                DeValue::String(text) => {
                    if let Some(steps) = About::several(text) {
                        let list = steps.iter().map(|step| format!("\"{step}\"")).collect::<Vec<_>>().join(", ");
                        let cure = if raw.get_ref().is_array() { list } else { format!("[{list}]") };
                        return Err(Mistake::new(item.span(), "several steps are a list", format!("write {cure}")));
                    }
                }
                _ => {
                    let cure = "such as \"uppercase\", or [\"lowercase\", \"echo\"]";
                    return Err(type_mistake(item, "a step or a list of steps", cure));
                }
            }
            let site = Site { options: self.0, files: &Folder(self.1) };
            let told = |error: Error| Mistake::told(error.span().unwrap_or(item.span()), &plainly(error.message()));
            let value = || ValueDeserializer::from(item.clone());
            let step = StepSeed(site).deserialize(value()).map_err(told)?;
            let mut worded = Value::deserialize(value()).map_err(told)?;
            self.root_files(&mut worded);
            Ok(Written { step, worded })
        })
    }

    fn write(&self, value: &Self::Value) -> Value {
        list(value.iter().map(|step| step.get_ref().worded.clone()).collect())
    }

    fn wording(&self, _: Value, value: &Self::Value) -> Value {
        self.write(value)
    }
}

impl Steps<'_> {
    /// Makes the names of files absolute, so that they mean the same wherever they are read: an
    /// option called `file` is one.
    fn root_files(&self, worded: &mut Value) {
        match worded {
            Value::Object(pairs) => {
                for (key, value) in pairs {
                    match value {
                        Value::String(path) if key == "file" => *path = self.1.join(&*path).display().to_string(),
                        _ => self.root_files(value),
                    }
                }
            }
            Value::Array(values) => values.iter_mut().for_each(|value| self.root_files(value)),
            _ => {}
        }
    }
}

/// The folder in which relative names of files start.
pub struct Folder<'p>(pub &'p Path);

impl Files for Folder<'_> {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        let path = self.0.join(path);
        // a pipe would be waited for
        if std::fs::metadata(&path).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
            return Err(format!("{} is no regular file; name another file", plain(&path.to_string_lossy())));
        }
        super::contents(&path, LARGEST_FILE).map_err(|error| {
            let name = plain(&path.to_string_lossy());
            match error.kind() {
                io::ErrorKind::NotFound => {
                    format!("there is no file {name}; a relative name starts in the folder of this file")
                }
                _ => format!("cannot read {name}: {}; name another file", crate::net::plain(error)),
            }
        })
    }
}
