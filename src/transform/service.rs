//! The steps that answer by themselves, whatever they are told: `echo`, `discard`, `reply`, `whoami`.

use super::registry::{Example, Listed, Nothing, Site};
use super::template::{Context, Template};
use super::{About, Growth, Memory, Occasion, Refusal, Step, Text};

pub(super) struct Echo;

impl Listed for Echo {
    const ABOUT: About = About {
        name: "echo",
        summary: "the text comes back unchanged, byte for byte",
        example: Example::new("echo", "hello", "hello"),
        streams: true,
        undone_by: Some("echo"),
        source: "RFC 862",
    };

    type Own = Nothing;

    fn new(_: Option<Nothing>, _: &Site<'_>) -> Result<Echo, String> {
        Ok(Echo)
    }
}

impl Step for Echo {
    fn apply(&self, _: &mut Text<'_>, _: &mut Memory, _: &Occasion<'_>) -> Result<(), Refusal> {
        Ok(())
    }
}

pub(super) struct Discard;

impl Listed for Discard {
    const ABOUT: About = About {
        name: "discard",
        summary: "nothing comes back",
        example: Example::new("discard", "hello", ""),
        streams: true,
        undone_by: None,
        source: "RFC 863",
    };

    type Own = Nothing;

    fn new(_: Option<Nothing>, _: &Site<'_>) -> Result<Discard, String> {
        Ok(Discard)
    }
}

impl Step for Discard {
    fn apply(&self, text: &mut Text<'_>, _: &mut Memory, _: &Occasion<'_>) -> Result<(), Refusal> {
        text.withhold();
        Ok(())
    }

    fn growth(&self) -> Growth {
        Growth::times(0)
    }
}

pub(super) struct Reply(Template);

impl Listed for Reply {
    const ABOUT: About = About {
        name: "reply",
        summary: "this text, whatever was said; {peer} {local} {listener} {host} {connection} {message} stand for what they name",
        example: Example::new(r#"{ reply = "you said {message}" }"#, "hello", "you said hello"),
        streams: false,
        undone_by: None,
        source: "shoutd; {{ and }} are braces, as in Python's str.format",
    };

    type Own = String;

    fn new(own: Option<String>, _: &Site<'_>) -> Result<Reply, String> {
        Ok(Reply(Template::parse(&Self::needed(own)?)?))
    }
}

impl Step for Reply {
    fn apply(&self, text: &mut Text<'_>, _: &mut Memory, occasion: &Occasion<'_>) -> Result<(), Refusal> {
        text.rewrite(|message, to| self.0.write(message, occasion.context, to));
        Ok(())
    }

    fn growth(&self) -> Growth {
        Growth { times: self.0.messages(), plus: self.0.len_besides() }
    }

    fn wants_context(&self) -> bool {
        self.0.wants_context()
    }
}

pub(super) struct WhoAmI;

impl Listed for WhoAmI {
    const ABOUT: About = About {
        name: "whoami",
        summary: "who asks, from where, and who answers, on one line",
        example: Example::new(
            "whoami",
            "hello",
            "peer=192.0.2.7:6000 local=192.0.2.1:5000 listener=default host=example connection=1 message=hello",
        ),
        streams: false,
        undone_by: None,
        source: "shoutd, after traefik/whoami",
    };

    type Own = Nothing;

    fn new(_: Option<Nothing>, _: &Site<'_>) -> Result<WhoAmI, String> {
        Ok(WhoAmI)
    }
}

impl Step for WhoAmI {
    fn apply(&self, text: &mut Text<'_>, _: &mut Memory, occasion: &Occasion<'_>) -> Result<(), Refusal> {
        let Context { peer, local, listener, host, connection } = occasion.context;
        let head =
            format!("peer={peer} local={local} listener={listener} host={host} connection={connection} message=");
        text.prepend(head.as_bytes());
        Ok(())
    }

    fn growth(&self) -> Growth {
        Growth { times: 1, plus: Context::LONGEST_FIELD * 5 + 60 }
    }

    fn wants_context(&self) -> bool {
        true
    }
}
