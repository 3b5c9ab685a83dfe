//! Steps, and the pipeline that takes a text through them: here `a` becomes `A`.
//!
//! A step is shared by all connections; what it must remember between two reads of one connection
//! (a character cut in half, say) lies in a [`Memory`] which exists only while there is something
//! to remember. Nothing here has heard of sockets, messages or time.

mod affix;
mod ascii;
mod ascii_case;
mod base64;
mod case;
mod casefold;
mod charset;
mod controls;
mod groups;
mod hex;
mod json;
mod line_ends;
mod locale;
mod lowercase;
mod map;
mod memory;
mod mixed_case;
mod normalize;
mod percent;
mod planes;
mod policy;
mod registry;
mod replace;
mod reverse;
mod rot13;
mod service;
mod space;
mod template;
mod text;
#[cfg(test)]
mod trial;
mod uppercase;
mod utf8;

use std::sync::Arc;

pub use memory::{Memories, Memory};
pub use policy::{OnError, OnUnmappable, Options};
pub use registry::{About, Choice, Example, NoFiles, REGISTRY, Site, StepSeed, plainly, shown};
pub use template::{Context, Template};
pub use text::{Scratch, Text};
pub use utf8::{InvalidUtf8, without_half_a_character};

/// One way of changing a text.
pub trait Step: Send + Sync {
    /// Changes `text`, which is all that has come since the last call.
    ///
    /// What cannot be decided before more text comes is kept in `memory`
    /// ([`Memory::hold_back`]) and taken up again by the next call ([`Memory::rejoin`]). At
    /// [`Occasion::end`] nothing may be held back and `memory` must be left [at rest](Memory::is_at_rest).
    ///
    /// # Errors
    ///
    /// A [`Refusal`] when the text may not be answered by this step; the text is then what came
    /// before the refused part, changed.
    fn apply(&self, text: &mut Text<'_>, memory: &mut Memory, occasion: &Occasion<'_>) -> Result<(), Refusal>;

    /// How much longer it can make a text.
    fn growth(&self) -> Growth {
        Growth::NONE
    }

    /// Whether it speaks of the connection, and so needs a [`Context`].
    fn wants_context(&self) -> bool {
        false
    }

    /// Whether its options make it need whole messages, though [without them](About::streams) it works
    /// on any cut of the bytes.
    fn needs_messages(&self) -> bool {
        false
    }
}

/// Reads files that an option of a step names.
pub trait Files {
    /// The contents of the file `path`; a relative one starts where the configuration lies.
    ///
    /// # Errors
    ///
    /// Why it cannot be read; `; ` parts that from the cure.
    fn read(&self, path: &str) -> Result<Vec<u8>, String>;
}

/// When and for whom a step is applied.
#[derive(Debug, Clone, Copy)]
pub struct Occasion<'a> {
    /// Whether the text ends here: at the end of a message, or of all input.
    pub end: bool,
    /// What the step may say about the connection.
    pub context: &'a Context,
}

/// Why a step would not answer a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The bytes are not UTF-8, and `invalid_utf8 = "close"`.
    InvalidUtf8,
    /// A character has no place in the charset asked for, and `on_unmappable = "close"`.
    Unmappable,
    /// The text is not what the step decodes, and `on_error = "close"`.
    BadInput,
    /// The text is not what the step decodes, and `on_error = "reply"`: this line says what and
    /// where, in place of an answer.
    Reply(String),
    /// A step panicked, which is a fault of its own.
    Panic,
}

/// How much longer than a text its answer can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Growth {
    /// Bytes of the answer for each byte of the text.
    pub times: usize,
    /// Bytes of the answer besides.
    pub plus: usize,
}

impl Growth {
    /// The answer is no longer than the text.
    pub const NONE: Growth = Growth::times(1);

    /// So many bytes for each byte.
    #[must_use]
    pub const fn times(times: usize) -> Growth {
        Growth { times, plus: 0 }
    }

    /// The longest answer to a text of `len` bytes.
    #[must_use]
    pub fn of(self, len: usize) -> usize {
        self.times.saturating_mul(len).saturating_add(self.plus)
    }

    /// The growth of a text that grows so, and then as `next` says.
    #[must_use]
    pub fn then(self, next: Growth) -> Growth {
        Growth { times: self.times.saturating_mul(next.times), plus: next.of(self.plus) }
    }
}

impl std::fmt::Display for Growth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Growth { times, plus: 0 } => write!(f, "{times}×"),
            Growth { times: 0, plus } => write!(f, "{plus} bytes"),
            Growth { times, plus } => write!(f, "{times}× + {plus}"),
        }
    }
}

/// Named steps, done in order; a clone shares them.
#[derive(Clone)]
pub struct Pipeline {
    steps: Arc<[Choice]>,
}

impl Pipeline {
    /// A pipeline of `steps`; without any it is `echo`.
    #[must_use]
    pub fn new(steps: Vec<Choice>) -> Pipeline {
        Pipeline { steps: steps.into() }
    }

    /// The steps' names.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.about().map(|about| about.name)
    }

    /// What the registry says of each step.
    pub fn about(&self) -> impl Iterator<Item = &'static About> {
        self.steps.iter().map(Choice::about)
    }

    /// Whether a step speaks of the connection and so needs a [`Context`].
    #[must_use]
    pub fn wants_context(&self) -> bool {
        self.steps.iter().any(Choice::wants_context)
    }

    /// How much longer than a text its answer can be.
    #[must_use]
    pub fn growth(&self) -> Growth {
        self.steps.iter().fold(Growth::NONE, |growth, step| growth.then(step.growth()))
    }

    /// Takes `text` through all steps.
    ///
    /// # Errors
    ///
    /// The [`Refusal`] of what comes first in the text; what came before it has gone through all steps
    /// as if it were the end. A later step refuses what came before that which an earlier one refused,
    /// so the last one speaks of the same part whatever the cuts.
    pub fn apply(&self, text: &mut Text<'_>, memories: &mut Memories, occasion: &Occasion<'_>) -> Result<(), Refusal> {
        self.apply_shown(text, memories, occasion, |_, _| {})
    }

    /// As [`Pipeline::apply`], and shows the text after each step, with the step's number from 0.
    ///
    /// # Errors
    ///
    /// As [`Pipeline::apply`].
    pub fn apply_shown(
        &self,
        text: &mut Text<'_>,
        memories: &mut Memories,
        occasion: &Occasion<'_>,
        mut show: impl FnMut(usize, &Text<'_>),
    ) -> Result<(), Refusal> {
        let mut result = Ok(());
        for (nth, step) in self.steps.iter().enumerate() {
            if text.is_withheld() || (text.as_bytes().is_empty() && !occasion.end && result.is_ok()) {
                break;
            }
            if result.is_err() && step.needs_messages() {
                break; // the message has no answer any more
            }
            let refused = memories.lend(nth, self.steps.len(), |memory| match result {
                Ok(()) => step.apply(text, memory, occasion),
                Err(_) => step.apply_before_refusal(text, memory, occasion),
            });
            if refused.is_err() {
                result = refused;
            }
            show(nth, text);
        }
        // after a refusal nothing more comes, whatever the steps hold back
        memories.tidy(result.is_err());
        result
    }
}

impl std::fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}
