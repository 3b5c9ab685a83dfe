//! `stream`: no messages; and as the framing of answers, nothing around them.

use super::{About, Ending, Frames};

pub(super) const ABOUT: About = About {
    name: "stream",
    summary: "whatever a read gave, answered at once; a character cut in half waits for its rest",
    source: "the seed's recv(1024)",
    cuts: None,
    frames: |_| Box::new(Unframed),
};

/// Answers one behind the other.
#[derive(Debug)]
pub struct Unframed;

impl Frames for Unframed {
    fn begin(&self, _: u64, _: &mut Vec<u8>) {}

    fn finish(&self, _: Ending<'_>, _: &mut Vec<u8>) {}
}
