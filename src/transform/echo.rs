//! `echo`: the text comes back as it is, whatever its bytes.

use super::registry::Listed;
use super::{About, Memory, Occasion, Options, Refusal, Step, Text};

pub(super) struct Echo;

impl Listed for Echo {
    const ABOUT: About = About {
        name: "echo",
        summary: "the text comes back unchanged, byte for byte",
        example: ("hello", "hello"),
        streams: true,
        growth: 1,
        context: false,
        source: "RFC 862",
    };

    fn new(_: Options) -> Self {
        Echo
    }
}

impl Step for Echo {
    fn apply(&self, _: &mut Text<'_>, _: &mut Memory, _: &Occasion<'_>) -> Result<(), Refusal> {
        Ok(())
    }
}
