//! The list of all steps, and how a step that is written in the configuration is built.
//!
//! A new step is one file beside this one, its `mod` line in `mod.rs` and its line in
//! `registry!` below; the tests that walk the registry then cover it.

use super::{Files, Growth, Memory, Occasion, Options, Refusal, Step, Text};
use super::{
    affix, ascii, ascii_case, base64, casefold, charset, controls, hex, json, line_ends, lowercase, map, mixed_case,
    normalize, percent, replace, reverse, rot13, service, space, uppercase,
};
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use serde::{Deserialize, de};
use std::fmt;

registry![
    // case
    uppercase::Uppercase,
    lowercase::Lowercase,
    mixed_case::Titlecase,
    mixed_case::Capitalize,
    mixed_case::Swapcase,
    casefold::Casefold,
    ascii_case::AsciiUppercase,
    ascii_case::AsciiLowercase,
    // Unicode
    normalize::Normalize,
    ascii::Ascii,
    controls::StripControls,
    // charsets
    charset::Decode,
    charset::Encode,
    // order and space
    reverse::Reverse,
    space::Trim,
    space::Squeeze,
    space::ExpandTabs,
    line_ends::Lf,
    line_ends::Crlf,
    affix::Prefix,
    affix::Suffix,
    // coding
    base64::Base64,
    base64::Unbase64,
    hex::Hex,
    hex::Unhex,
    percent::Percent,
    percent::Unpercent,
    rot13::Rot13,
    json::Pretty,
    json::Compact,
    // rules
    replace::Replace,
    map::Map,
    // service
    service::Echo,
    service::Discard,
    service::Reply,
    service::WhoAmI,
];

/// What is known of a step before it is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct About {
    /// Its name in the configuration.
    pub name: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// The step at work.
    pub example: Example,
    /// Whether, without options that [say otherwise](Choice::needs_messages), it works on any cut of
    /// the bytes; else it needs whole messages.
    pub streams: bool,
    /// The step, as it is written, that makes what it was again of what this one made of any bytes.
    pub undone_by: Option<&'static str>,
    /// Where its rule comes from.
    pub source: &'static str,
}

/// A step as it may be written, a text, and what becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Example {
    /// The step as it is written in the configuration; a bare name without its quotes.
    pub step: &'static str,
    /// The text.
    pub input: &'static [u8],
    /// What becomes of it.
    pub output: &'static [u8],
}

impl Example {
    /// A text, and what becomes of it.
    pub(super) const fn new(step: &'static str, input: &'static str, output: &'static str) -> Example {
        Example { step, input: input.as_bytes(), output: output.as_bytes() }
    }
}

/// `bytes` as they may be shown on one line: text as it is but for its controls and the accents that
/// would hide in the character before, all else in escapes.
#[must_use]
pub fn shown(bytes: &[u8]) -> String {
    let escaped = |c: char| match c {
        '\\' | '\u{300}'..='\u{36F}' => c.escape_default().to_string(),
        // what turns the writing round
        '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => c.escape_default().to_string(),
        c if c.is_control() => c.escape_default().to_string(),
        c => c.to_string(),
    };
    match str::from_utf8(bytes) {
        Ok(text) => text.chars().map(escaped).collect(),
        Err(_) => bytes.escape_ascii().to_string(),
    }
}

impl About {
    /// The most similar of `words`, with its likeness from 0 to 1, if one is similar at all.
    pub fn nearest<'w>(word: &str, words: impl Iterator<Item = &'w str>) -> Option<(f64, &'w str)> {
        let word = word.to_lowercase();
        words
            .map(|other| (strsim::jaro_winkler(other, &word), other))
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .filter(|(likeness, _)| word.len() <= 64 && *likeness > 0.8)
    }

    /// The steps that `text` names, if it names several at once, as `uppercase,echo` does.
    #[must_use]
    pub fn several(text: &str) -> Option<Vec<&'static str>> {
        let words = text.split([',', ' ', '|', '+']).filter(|word| !word.is_empty());
        let known = |word: &str| REGISTRY.iter().map(|about| about.name).find(|name| *name == word);
        words.map(known).collect::<Option<Vec<_>>>().filter(|names| names.len() > 1)
    }
}

/// What a step of the registry declares: how it is called and how it is built.
pub(super) trait Listed: Step + Sized + 'static {
    const ABOUT: About;

    /// What may be written behind its name; [`Nothing`] for a step without options.
    type Own: DeserializeOwned;

    /// The step with its `own` options, or `None` where its name stands alone.
    ///
    /// # Errors
    ///
    /// What is wrong with the options; `; ` parts that from the cure.
    fn new(own: Option<Self::Own>, site: &Site<'_>) -> Result<Self, String>;

    /// The options of a step that cannot do without.
    ///
    /// # Errors
    ///
    /// That they are missing.
    fn needed(own: Option<Self::Own>) -> Result<Self::Own, String> {
        own.ok_or_else(|| {
            let About { name, example, .. } = Self::ABOUT;
            format!("the step `{name}` needs an option; write it as {}", example.step)
        })
    }
}

/// Where a step is built: what its listener says to all steps, and the files there are.
#[derive(Clone, Copy)]
pub struct Site<'s> {
    /// What the listener's own keys say.
    pub options: Options,
    /// Where files that an option names are read.
    pub files: &'s dyn Files,
}

/// The options of a step that has none.
pub(super) enum Nothing {}

impl<'de> Deserialize<'de> for Nothing {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Nothing, D::Error> {
        de::IgnoredAny::deserialize(deserializer)?;
        Err(D::Error::custom(NO_OPTIONS))
    }
}

const NO_OPTIONS: &str = "it has no options";
const EXAMPLES: &str = "`shoutd transforms` shows an example of each step";

/// A step that was chosen by name.
pub struct Choice {
    about: &'static About,
    step: Box<dyn Step>,
}

impl Choice {
    /// The step `name` without options of its own.
    ///
    /// # Errors
    ///
    /// That there is no such step, or that it needs an option.
    pub fn named(name: &str, options: Options) -> Result<Choice, String> {
        let entry = find(name)?;
        let site = Site { options, files: &NoFiles };
        Ok(Choice { about: entry.about, step: (entry.bare)(&site)? })
    }

    /// What the registry says of it.
    #[must_use]
    pub fn about(&self) -> &'static About {
        self.about
    }

    /// Whether it works on whole messages only.
    #[must_use]
    pub fn needs_messages(&self) -> bool {
        !self.about.streams || self.step.needs_messages()
    }

    /// How much longer it can make a text.
    #[must_use]
    pub fn growth(&self) -> Growth {
        self.step.growth()
    }

    pub(super) fn wants_context(&self) -> bool {
        self.step.wants_context()
    }

    pub(super) fn apply(
        &self,
        text: &mut Text<'_>,
        memory: &mut Memory,
        occasion: &Occasion<'_>,
    ) -> Result<(), Refusal> {
        self.step.apply(text, memory, occasion)
    }
}

impl Choice {
    /// Applies the step to a text whose rest an earlier step refused: what is wrong in this part of it
    /// is refused, too, but not that it ends here.
    pub(super) fn apply_before_refusal(
        &self,
        text: &mut Text<'_>,
        memory: &mut Memory,
        occasion: &Occasion<'_>,
    ) -> Result<(), Refusal> {
        self.step.apply(text, memory, &Occasion { end: false, ..*occasion })?;
        let done = text.as_bytes().to_vec();
        text.truncate(0);
        let _ = self.step.apply(text, memory, &Occasion { end: true, ..*occasion });
        text.prepend(&done);
        Ok(())
    }
}

/// A place without files.
#[derive(Debug)]
pub struct NoFiles;

impl Files for NoFiles {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        Err(format!("no file can be read here, and so not `{path}`"))
    }
}

/// Reads one step as it is written in the configuration: `"uppercase"`, or `{ name = options }`.
#[derive(Clone, Copy)]
pub struct StepSeed<'s>(pub Site<'s>);

impl<'de> DeserializeSeed<'de> for StepSeed<'_> {
    type Value = Choice;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Choice, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for StepSeed<'_> {
    type Value = Choice;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a step")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Choice, E> {
        let entry = find(name).map_err(E::custom)?;
        let step = (entry.bare)(&self.0).map_err(E::custom)?;
        Ok(Choice { about: entry.about, step })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Choice, A::Error> {
        let Some(name) = map.next_key::<String>()? else {
            return Err(A::Error::custom("a step has a name; `shoutd transforms` lists them all"));
        };
        let entry = find(&name).map_err(A::Error::custom)?;
        let step = map.next_value_seed(OwnSeed { name: entry.about.name, site: self.0 })?;
        if let Some(second) = map.next_key::<String>()? {
            return Err(A::Error::custom(format!(
                "`{second}` stands beside `{name}`; each step is a table of its own, as in [{{ {name} = … }}, …]"
            )));
        }
        Ok(Choice { about: entry.about, step })
    }
}

/// Reads what stands behind a step's name, and builds the step.
struct OwnSeed<'s> {
    name: &'static str,
    site: Site<'s>,
}

impl<'de> DeserializeSeed<'de> for OwnSeed<'_> {
    type Value = Box<dyn Step>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Box<dyn Step>, D::Error> {
        build(self.name, deserializer, &self.site)
    }
}

/// Builds a `T` from what stands behind its name.
fn read_own<'de, T: Listed, D: Deserializer<'de>>(deserializer: D, site: &Site<'_>) -> Result<Box<dyn Step>, D::Error> {
    let own = T::Own::deserialize(deserializer)?;
    Ok(Box::new(T::new(Some(own), site).map_err(D::Error::custom)?))
}

fn bare<T: Listed>(site: &Site<'_>) -> Result<Box<dyn Step>, String> {
    Ok(Box::new(T::new(None, site)?))
}

struct Entry {
    about: &'static About,
    bare: fn(&Site<'_>) -> Result<Box<dyn Step>, String>,
}

fn find(name: &str) -> Result<&'static Entry, String> {
    ENTRIES.iter().find(|entry| entry.about.name == name).ok_or_else(|| {
        match About::nearest(name, REGISTRY.iter().map(|about| about.name)) {
            Some((_, near)) => format!("unknown step `{name}`; did you mean `{near}`?"),
            None => format!("unknown step `{name}`; `shoutd transforms` lists them all"),
        }
    })
}

/// What serde says of the options of the step that `written` begins, in the words of shoutd; `; `
/// parts what is wrong from the cure.
#[must_use]
pub fn plainly(message: &str) -> String {
    let Some((what, expected)) = message.split_once(", expected ") else {
        return match message {
            NO_OPTIONS => format!("{NO_OPTIONS}; write its name alone, in quotes"),
            "wanted string or table" => format!("this is none of its values; {EXAMPLES}"),
            _ => match message.strip_prefix("missing field ") {
                Some(field) => format!("the option {field} is missing; {EXAMPLES}"),
                None => message.replace("invalid type: ", "found "),
            },
        };
    };
    let quoted = |text: &str| text.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let (found, known) = (quoted(what), quoted(expected));
    match (what.split('`').next().unwrap_or_default(), found.first()) {
        ("unknown field ", Some(found)) => {
            let cure = match About::nearest(found, known.iter().map(String::as_str)) {
                Some((_, near)) => format!("did you mean `{near}`?"),
                None => format!("known here: {}", known.join(", ")),
            };
            format!("unknown option `{found}`; {cure}")
        }
        ("unknown variant ", Some(found)) => {
            let cure = match About::nearest(found, known.iter().map(String::as_str)) {
                Some((_, near)) => format!("did you mean \"{near}\"?"),
                None => format!("one of \"{}\"", known.join("\", \"")),
            };
            format!("unknown value \"{found}\"; {cure}")
        }
        _ => {
            let expected = expected.replace("i64", "a whole number");
            format!("{}; expected {expected}", what.replace("invalid type: ", "found "))
        }
    }
}

/// Makes [`REGISTRY`] and `build` from one list of types, so that there is no second list.
macro_rules! registry {
    ($($step:ty),+ $(,)?) => {
        /// All steps, by name.
        pub const REGISTRY: &[About] = &[$(<$step as Listed>::ABOUT),+];

        const ENTRIES: &[Entry] = &[$(Entry { about: &<$step as Listed>::ABOUT, bare: bare::<$step> }),+];

        fn build<'de, D: Deserializer<'de>>(
            name: &str,
            own: D,
            site: &Site<'_>,
        ) -> Result<Box<dyn Step>, D::Error> {
            $(if name == <$step as Listed>::ABOUT.name {
                return read_own::<$step, D>(own, site);
            })+
            Err(D::Error::custom(format!("unknown step `{name}`")))
        }
    };
}
use registry;
