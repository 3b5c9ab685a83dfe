//! What a listener says to all of its steps: what becomes of a text that a step cannot take as it is.
//!
//! Bytes that are not UTF-8 have their policy beside their reading, in `utf8`.

use super::{InvalidUtf8, Occasion, Refusal};

/// What a listener's own keys say to all of its steps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// What a step that reads text does with bytes that are not UTF-8.
    pub invalid_utf8: InvalidUtf8,
    /// What a step that decodes does with a text that is not what it decodes.
    pub on_error: OnError,
    /// What a step that encodes does with a character that its charset lacks.
    pub on_unmappable: OnUnmappable,
}

/// What a step that decodes does with a text that is not what it decodes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnError {
    /// The part that cannot be decoded comes back unchanged: nothing is lost.
    #[default]
    Pass,
    /// One line says what is wrong and where, in place of an answer.
    Reply,
    /// The connection is closed.
    Close,
}

impl OnError {
    /// Passes, or refuses: `step` found `what` wrong, at byte `at` of its text, counted from 0.
    ///
    /// # Errors
    ///
    /// A [`Refusal`], unless the part that cannot be decoded is to come back unchanged.
    pub(super) fn treat(self, step: &str, what: &str, at: u64) -> Result<(), Refusal> {
        match self {
            OnError::Pass => Ok(()),
            OnError::Reply => Err(Refusal::Reply(format!("error: {step}: {what}, at byte {at}"))),
            OnError::Close => Err(Refusal::BadInput),
        }
    }

    /// What a step notes of having come to byte `at` of its text: nothing where nobody will be told
    /// of a place, so that an idle connection remembers nothing.
    pub(super) fn note(self, at: u64, occasion: &Occasion<'_>) -> u64 {
        if self == OnError::Reply && !occasion.end { at } else { 0 }
    }
}

/// What a step that encodes does with a character that its charset lacks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnUnmappable {
    /// A question mark stands for it.
    #[default]
    Replace,
    /// Its number stands for it, as HTML writes it: `&#8364;` for `€`.
    Escape,
    /// What came before it is answered, then the connection is closed.
    Close,
}
