//! The list of all steps, and how a name in the configuration becomes a step.
//!
//! A new step is one file beside this one, its `mod` line in `mod.rs` and its line in
//! `registry!` below; the tests that walk the registry then cover it.

use super::{InvalidUtf8, Memory, Occasion, Refusal, Step, Text, echo, lowercase, uppercase};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use std::fmt;

registry![echo::Echo, lowercase::Lowercase, uppercase::Uppercase];

/// What is known of a step before it is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct About {
    /// Its name in the configuration.
    pub name: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// A text, and what becomes of it.
    pub example: (&'static str, &'static str),
    /// Whether it works on any cut of the bytes; otherwise it needs whole messages.
    pub streams: bool,
    /// How many bytes come out for each byte that goes in, at most.
    pub growth: usize,
    /// Whether it speaks of the connection.
    pub context: bool,
    /// Where its rule comes from.
    pub source: &'static str,
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
    /// The step with its defaults, for a listener's `options`.
    fn new(options: Options) -> Self;
}

/// What a listener's own keys say to all of its steps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// What a step that reads text does with bytes that are not UTF-8.
    pub invalid_utf8: InvalidUtf8,
}

/// A step that was chosen by name.
pub struct Choice {
    about: &'static About,
    written: String,
    step: Box<dyn Step>,
}

impl Choice {
    /// The step `name` with its defaults.
    #[must_use]
    pub fn named(name: &str, options: Options) -> Option<Choice> {
        let about = REGISTRY.iter().find(|about| about.name == name)?;
        Some(Choice { about, written: name.to_owned(), step: build(name, options)? })
    }

    /// What the registry says of it.
    #[must_use]
    pub fn about(&self) -> &'static About {
        self.about
    }

    /// The step as it is written in the configuration.
    #[must_use]
    pub fn written(&self) -> &str {
        &self.written
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

/// Reads one step as it is written in the configuration: `"uppercase"`, or `{ name = options }`.
#[derive(Debug, Clone, Copy)]
pub struct StepSeed(pub Options);

impl<'de> DeserializeSeed<'de> for StepSeed {
    type Value = Choice;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Choice, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for StepSeed {
    type Value = Choice;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a step")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Choice, E> {
        Choice::named(name, self.0).ok_or_else(|| E::custom(unknown(name)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Choice, A::Error> {
        let Some(name) = map.next_key::<String>()? else {
            return Err(A::Error::custom("a step has a name; `shoutd transforms` lists them all"));
        };
        if !REGISTRY.iter().any(|about| about.name == name) {
            return Err(A::Error::custom(unknown(&name)));
        }
        map.next_value::<IgnoredAny>()?;
        Err(A::Error::custom(format!("the step `{name}` has no options; write it as \"{name}\"")))
    }
}

fn unknown(name: &str) -> String {
    match About::nearest(name, REGISTRY.iter().map(|about| about.name)) {
        Some((_, near)) => format!("unknown step `{name}`; did you mean `{near}`?"),
        None => format!("unknown step `{name}`; `shoutd transforms` lists them all"),
    }
}

/// Makes [`REGISTRY`] and `build` from one list of types, so that there is no second list.
macro_rules! registry {
    ($($step:ty),+ $(,)?) => {
        /// All steps, by name.
        pub const REGISTRY: &[About] = &[$(<$step as Listed>::ABOUT),+];

        fn build(name: &str, options: Options) -> Option<Box<dyn Step>> {
            $(if name == <$step as Listed>::ABOUT.name {
                return Some(Box::new(<$step as Listed>::new(options)));
            })+
            None
        }
    };
}
use registry;
