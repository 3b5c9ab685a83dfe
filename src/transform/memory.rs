//! What steps remember of one connection between two of its texts; nothing, nearly always.
//!
//! What a step keeps there, and for how long, is its own business.

use super::Text;
use std::any::Any;

/// What one step remembers of one connection between two texts.
#[derive(Debug, Default)]
pub struct Memory {
    pub(super) held: Vec<u8>,
    /// The step's own note; 0 is none.
    pub(crate) note: u64,
    /// What a step keeps that does not fit into a note, as a decoder of another's making.
    state: Option<Box<dyn Any + Send>>,
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

    /// Takes the step's state out, if it has kept one.
    pub fn take_state<S: 'static>(&mut self) -> Option<Box<S>> {
        self.state.take()?.downcast().ok()
    }

    /// Keeps a state for the next call.
    pub fn keep_state<S: Send + 'static>(&mut self, state: Box<S>) {
        self.state = Some(state);
    }

    /// Whether there is nothing to remember.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        self.held.is_empty() && self.note == 0 && self.state.is_none()
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

    /// Lends the memory of the `nth` of `count` steps, and keeps it if there is something in it then.
    pub(super) fn lend<R>(&mut self, nth: usize, count: usize, use_it: impl FnOnce(&mut Memory) -> R) -> R {
        if let Some(memory) = self.0.as_mut().and_then(|all| all.get_mut(nth)) {
            return use_it(memory);
        }
        let mut fresh = Memory::default();
        let result = use_it(&mut fresh);
        if !fresh.is_at_rest() {
            let mut all: Box<[Memory]> = (0..count).map(|_| Memory::default()).collect();
            if let Some(memory) = all.get_mut(nth) {
                *memory = fresh;
            }
            self.0 = Some(all);
        }
        result
    }

    /// Lets go of what is not needed: nothing is remembered, or no more text will come.
    pub(super) fn tidy(&mut self, no_more: bool) {
        if no_more || self.0.iter().flatten().all(Memory::is_at_rest) {
            self.0 = None;
        }
    }
}
