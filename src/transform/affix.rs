//! `prefix` and `suffix`: a text before or behind each message.

use super::registry::{Example, Listed, Site};
use super::{About, Growth, Memory, Occasion, Refusal, Step, Text};

pub(super) struct Prefix(String);

impl Listed for Prefix {
    const ABOUT: About = About {
        name: "prefix",
        summary: "this text before each message",
        example: Example::new(r#"{ prefix = "> " }"#, "hello", "> hello"),
        streams: false,
        undone_by: None,
        source: "shoutd",
    };

    type Own = String;

    fn new(own: Option<String>, _: &Site<'_>) -> Result<Prefix, String> {
        Self::needed(own).map(Prefix)
    }
}

impl Step for Prefix {
    fn apply(&self, text: &mut Text<'_>, _: &mut Memory, _: &Occasion<'_>) -> Result<(), Refusal> {
        text.prepend(self.0.as_bytes());
        Ok(())
    }

    fn growth(&self) -> Growth {
        Growth { times: 1, plus: self.0.len() }
    }
}

pub(super) struct Suffix(String);

impl Listed for Suffix {
    const ABOUT: About = About {
        name: "suffix",
        summary: "this text behind each message",
        example: Example::new(r#"{ suffix = "!" }"#, "hello", "hello!"),
        streams: false,
        undone_by: None,
        source: "shoutd",
    };

    type Own = String;

    fn new(own: Option<String>, _: &Site<'_>) -> Result<Suffix, String> {
        Self::needed(own).map(Suffix)
    }
}

impl Step for Suffix {
    fn apply(&self, text: &mut Text<'_>, _: &mut Memory, _: &Occasion<'_>) -> Result<(), Refusal> {
        text.append(self.0.as_bytes());
        Ok(())
    }

    fn growth(&self) -> Growth {
        Growth { times: 1, plus: self.0.len() }
    }
}
