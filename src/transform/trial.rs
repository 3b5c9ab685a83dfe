//! How the tests at the foot of a step's file try it: built as the configuration builds it, and read by read.

use super::{Choice, Context, Files, Memories, Occasion, OnError, Options, Pipeline, Refusal, Scratch, Site};
use super::{Memory, Step, StepSeed, Text};
use serde::de::DeserializeSeed;
use serde_json::Value;

/// A file with these contents under whatever name.
pub(super) struct Only(pub(super) &'static [u8]);

impl Files for Only {
    fn read(&self, _: &str) -> Result<Vec<u8>, String> {
        Ok(self.0.to_vec())
    }
}

/// The step that is written so, or what is wrong with it.
pub(super) fn build(step: impl Into<Value>, on_error: OnError, files: &dyn Files) -> Result<Pipeline, String> {
    let site = Site { options: Options { on_error, ..Options::default() }, files };
    let step: Result<Choice, _> = StepSeed(site).deserialize(step.into());
    step.map(|step| Pipeline::new(vec![step])).map_err(|error| error.to_string())
}

/// What `step` answers to each of `reads`, and then to the end; between them it holds back at most so
/// many bytes.
pub(super) fn answers(step: &dyn Step, holds: usize, reads: &[&str]) -> Vec<String> {
    let (mut memory, mut scratch) = (Memory::default(), Scratch::default());
    let reads = reads.iter().map(|read| (*read, false)).chain([("", true)]);
    let answers = reads.map(|(read, end)| {
        let mut read = read.as_bytes().to_vec();
        let mut text = Text::new(&mut read, &mut scratch);
        step.apply(&mut text, &mut memory, &Occasion { end, context: &Context::default() }).unwrap();
        assert!(memory.held.len() <= holds, "{} bytes", memory.held.len());
        String::from_utf8(text.into_bytes().to_vec()).unwrap()
    });
    let answers = answers.collect();
    assert!(memory.is_at_rest());
    answers
}

/// What `step` answers to `reads`, of which the last one ends the text, and whether it waited before that.
pub(super) fn answer(step: &Pipeline, reads: &[&str]) -> (String, Result<(), Refusal>, bool) {
    let (mut memories, mut scratch, mut answer, mut waited) =
        (Memories::default(), Scratch::default(), Vec::new(), false);
    for (nth, read) in reads.iter().enumerate() {
        waited |= !memories.are_at_rest();
        let mut read = read.as_bytes().to_vec();
        let mut text = Text::new(&mut read, &mut scratch);
        let occasion = Occasion { end: nth + 1 == reads.len(), context: &Context::default() };
        let done = step.apply(&mut text, &mut memories, &occasion);
        answer.extend_from_slice(text.into_bytes());
        if done.is_err() {
            return (answer.escape_ascii().to_string(), done, waited);
        }
    }
    (answer.escape_ascii().to_string(), Ok(()), waited)
}

/// Checks what `step` answers to `text` under each `on_error`: what it passes, and before which error
/// it answers what.
#[track_caller]
pub(super) fn check_error(step: &str, text: &str, passed: &str, before: &str, error: &str) {
    let answer = |on_error| {
        let step = build(step, on_error, &super::NoFiles).unwrap();
        let (answer, done, _) = answer(&step, &[text]);
        (answer, done)
    };
    let refusal = Refusal::Reply(format!("error: {step}: {error}"));
    assert_eq!(answer(OnError::Pass), (passed.to_owned(), Ok(())), "{text}");
    assert_eq!(answer(OnError::Reply), (before.to_owned(), Err(refusal)), "{text}");
    assert_eq!(answer(OnError::Close), (before.to_owned(), Err(Refusal::BadInput)), "{text}");
}
