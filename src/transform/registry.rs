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
        f.write_str("a step: its name, or `{ name = options }`")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Choice, E> {
        Choice::named(name, self.0).ok_or_else(|| E::custom(unknown(name)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Choice, A::Error> {
        let Some(name) = map.next_key::<String>()? else {
            return Err(A::Error::custom("a step in braces needs a name: `{ name = options }`"));
        };
        if !REGISTRY.iter().any(|about| about.name == name) {
            return Err(A::Error::custom(unknown(&name)));
        }
        map.next_value::<IgnoredAny>()?;
        Err(A::Error::custom(format!("the step `{name}` has no options; write it as \"{name}\"")))
    }
}

fn unknown(name: &str) -> String {
    let nearest = REGISTRY
        .iter()
        .map(|about| (strsim::jaro_winkler(about.name, name), about.name))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness > 0.7);
    match nearest {
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
