//! Steps, and the pipeline that takes a text through them: here `a` becomes `A`.
//!
//! A step is shared by all connections; what it must remember between two reads of one connection
//! (a character cut in half, say) lies in a [`Memory`] which exists only while there is something
//! to remember. Nothing here has heard of sockets, messages or time.

mod case;
mod echo;
mod lowercase;
mod registry;
mod text;
mod uppercase;
mod utf8;

pub use registry::{About, Choice, Options, REGISTRY, StepSeed};
pub use text::{Scratch, Text};
pub use utf8::InvalidUtf8;

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
}

/// When and for whom a step is applied.
#[derive(Debug, Clone, Copy)]
pub struct Occasion<'a> {
    /// Whether the text ends here: at the end of a message, or of all input.
    pub end: bool,
    /// What the step may say about the connection.
    pub context: &'a Context,
}

/// What a step may say about the connection; filled only for a pipeline that
/// [asks for it](Pipeline::wants_context), otherwise empty.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Context {
    /// The other end of the connection.
    pub peer: String,
    /// This end of the connection.
    pub local: String,
    /// The listener's name.
    pub listener: String,
}

/// Why a step would not answer a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The bytes are not UTF-8, and `invalid_utf8 = "close"`.
    InvalidUtf8,
}

/// What one step remembers of one connection between two texts.
#[derive(Debug, Default)]
pub struct Memory {
    held: Vec<u8>,
    /// The step's own note; 0 is none.
    pub(crate) note: u8,
}

impl Memory {
    /// Puts what was held back before `text`.
    pub fn rejoin(&mut self, text: &mut Text<'_>) {
        if !self.held.is_empty() {
            text.prepend(&self.held);
            self.held = Vec::new();
        }
    }

    /// Takes the last `len` bytes from `text` and keeps them for the next call.
    pub fn hold_back(&mut self, text: &mut Text<'_>, len: usize) {
        let split = text.as_bytes().len().saturating_sub(len);
        self.held.extend(text.as_bytes().iter().skip(split));
        text.truncate(split);
    }

    /// Whether there is nothing to remember.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        self.held.is_empty() && self.note == 0
    }
}

/// What all steps of a pipeline remember of one connection; owns nothing while they are at rest.
#[derive(Debug, Default)]
pub struct Memories(Option<Box<[Memory]>>);

impl Memories {
    /// Whether any step waits with text in hand for more to come.
    #[must_use]
    pub fn hold_text(&self) -> bool {
        self.0.iter().flatten().any(|memory| !memory.held.is_empty())
    }

    /// Whether no step has anything to remember.
    #[must_use]
    pub fn are_at_rest(&self) -> bool {
        self.0.is_none()
    }
}

/// Named steps, done in order.
pub struct Pipeline {
    steps: Vec<Choice>,
}

impl Pipeline {
    /// A pipeline of `steps`; without any it is `echo`.
    #[must_use]
    pub fn new(steps: Vec<Choice>) -> Pipeline {
        Pipeline { steps }
    }

    /// The steps' names and options, as they are written in the configuration.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().map(Choice::written)
    }

    /// What the registry says of each step.
    pub fn about(&self) -> impl Iterator<Item = &'static About> {
        self.steps.iter().map(Choice::about)
    }

    /// Whether a step speaks of the connection and so needs a [`Context`].
    #[must_use]
    pub fn wants_context(&self) -> bool {
        self.about().any(|about| about.context)
    }

    /// How many bytes an answer can have for each byte of text.
    #[must_use]
    pub fn growth(&self) -> usize {
        self.about().map(|about| about.growth).fold(1, usize::saturating_mul)
    }

    /// Takes `text` through all steps.
    ///
    /// # Errors
    ///
    /// The first step's [`Refusal`]; what came before the refused part has then gone through all
    /// steps as if it were the end.
    pub fn apply(&self, text: &mut Text<'_>, memories: &mut Memories, occasion: &Occasion<'_>) -> Result<(), Refusal> {
        let mut occasion = *occasion;
        let mut result = Ok(());
        for (i, step) in self.steps.iter().enumerate() {
            if text.as_bytes().is_empty() && !occasion.end {
                break;
            }
            let done = if let Some(memory) = memories.0.as_mut().and_then(|all| all.get_mut(i)) {
                step.apply(text, memory, &occasion)
            } else {
                let mut fresh = Memory::default();
                let done = step.apply(text, &mut fresh, &occasion);
                if !fresh.is_at_rest() {
                    let mut all: Box<[Memory]> = self.steps.iter().map(|_| Memory::default()).collect();
                    if let Some(memory) = all.get_mut(i) {
                        *memory = fresh;
                    }
                    memories.0 = Some(all);
                }
                done
            };
            if let Err(refusal) = done {
                occasion.end = true;
                result = result.and(Err(refusal));
            }
        }
        // After a refusal nothing more comes, whatever the steps hold back.
        if result.is_err() || memories.0.iter().flatten().all(Memory::is_at_rest) {
            memories.0 = None;
        }
        result
    }
}

impl std::fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}
