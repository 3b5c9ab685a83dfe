//! `shoutd transform`: the chain of a listener between standard input and standard output.
//!
//! No network, no configuration unless it is needed, and memory for one read or one message.

use super::{Delimiter, Transform, explain, unwritten};
use crate::config::{self, Chain, Config, Folder, NO_MESSAGES, Source, UNKNOWN_LENGTH};
use crate::failure::{Exit, Failure};
use crate::framing::{self, Framing, Mismatch};
use crate::offline::{self, Failed, pump};
use crate::session::{EndReason, Limits, Service};
use crate::transform::{About, Choice, OnError, Pipeline, Site, StepSeed, plainly};
use serde::de::DeserializeSeed;
use serde_json::Value;
use std::io;
use std::path::Path;
use std::sync::Arc;
use toml::de::{DeValue, ValueDeserializer};

pub(super) fn run(asked: &Transform, path: Option<&Path>) -> Result<(), Failure> {
    let needed = asked.steps.is_empty() || path.is_some() || asked.listener.is_some();
    let config = if needed { config::read(path) } else { config::built_in() };
    let config = config.map_err(|mistakes| mistakes.failure(""))?;
    let chain = chain(asked, &config)?;
    let service = service(asked, &chain)?;
    let context = offline::stand_in(&chain.name);
    let (input, output) = (&mut io::stdin().lock(), &mut io::stdout().lock());
    let ended = if asked.explain {
        explain::run(&service, &context, input, output)
    } else {
        pump(&Arc::new(service), context, input, output)
    };
    match ended {
        Ok((reason, messages)) => ended_well(reason, messages + 1, &chain),
        Err(Failed::Input(error)) => Err(Failure::new(Exit::Failed, format!("cannot read the input: {error}"))),
        Err(Failed::Output(error)) => unwritten(error),
    }
}

/// Whether `reason` is that the input ended; otherwise what it says of the input, of which the
/// message `next` was no more answered.
fn ended_well(reason: EndReason, next: u64, chain: &Chain) -> Result<(), Failure> {
    let before = "all before it was answered";
    let text = match reason {
        EndReason::ClientFin => return Ok(()),
        EndReason::InvalidUtf8 => "the input is not UTF-8; all before its first wrong byte was answered".to_owned(),
        EndReason::MessageTooLong => {
            let max = chain.framed.max_message;
            format!(
                "message {next} of the input is longer than `max_message` allows ({max} bytes); allow more with --max-message SIZE"
            )
        }
        EndReason::Unmappable => format!("the input has a character that the charset lacks; {before}"),
        EndReason::BadInput if chain.options.on_error == OnError::Close => {
            format!("the input is not what a step decodes; {before}, and --on-error reply tells more")
        }
        EndReason::BadInput => format!("the input is not what a step decodes; {before}"),
        EndReason::MessageCutShort => {
            format!("the input ends within message {next}, which says that it is longer; {before}")
        }
        EndReason::BadFrame => format!("message {next} of the input is no `{}`; {before}", chain.framing.name),
        other => return Err(Failure::new(Exit::OwnFault, format!("it ended for {}", other.word()))),
    };
    Err(Failure::new(Exit::Failed, text))
}

fn usage(text: impl AsRef<str>) -> Failure {
    Failure::new(Exit::Usage, config::plain(text.as_ref()))
}

/// What the listener that was asked for does to a text, but for what was asked for otherwise.
fn chain(asked: &Transform, config: &Config) -> Result<Chain, Failure> {
    let Some(chain) = config.chain(asked.listener.as_deref()) else {
        let names: Vec<_> = config.chains.iter().map(|chain| chain.name.as_str()).collect();
        let name = asked.listener.as_deref().unwrap_or_default();
        let (have, they) = if config.source == Source::BuiltIn { ("have", "they have") } else { ("has", "it has") };
        return Err(usage(format!("{} {have} no listener `{name}`; {they} {}", config.source, names.join(", "))));
    };
    let mut chain = chain.clone();
    if let Some(name) = &asked.framing {
        chain.framing = framing::named(name).unwrap_or(chain.framing);
        // what was said of answers was said of another framing
        chain.framing_out = None;
    }
    if let Some(name) = &asked.framing_out {
        chain.framing_out = framing::named(name);
    }
    if let Some(Delimiter(bytes)) = &asked.delimiter {
        chain.framed.delimiter.clone_from(bytes);
    }
    chain.framed.max_message = asked.max_message.unwrap_or(chain.framed.max_message);
    chain.framed.on_long = asked.on_long.unwrap_or(chain.framed.on_long);
    chain.options.invalid_utf8 = asked.invalid_utf8.unwrap_or(chain.options.invalid_utf8);
    chain.options.on_error = asked.on_error.unwrap_or(chain.options.on_error);
    chain.options.on_unmappable = asked.on_unmappable.unwrap_or(chain.options.on_unmappable);
    Ok(chain)
}

/// How `chain` serves, with the steps that were asked for, if any were.
fn service(asked: &Transform, chain: &Chain) -> Result<Service, Failure> {
    let site = Site { options: chain.options, files: &Folder(Path::new("")) };
    let steps = if asked.steps.is_empty() {
        let read =
            |step: &Value| StepSeed(site).deserialize(step.clone()).map_err(|error| usage(plainly(&error.to_string())));
        chain.steps.iter().map(read).collect::<Result<Vec<_>, _>>()
    } else {
        asked.steps.iter().map(|step| read_step(step, site).map_err(usage)).collect::<Result<Vec<_>, _>>()
    }?;
    let framing = chain.framing().map_err(|mismatch| {
        let (what, cure) = match mismatch {
            Mismatch::NoMessages => (NO_MESSAGES.0, "add --framing line"),
            Mismatch::UnknownLength => (UNKNOWN_LENGTH.0, "choose another --on-long"),
        };
        usage(format!("{what}; {cure}"))
    })?;
    if matches!(framing, Framing::Stream)
        && let Some(step) = steps.iter().find(|step| step.needs_messages())
    {
        return Err(usage(format!("the step `{}` needs whole messages; add --framing line", step.about().name)));
    }
    let limits = Limits { buffer_size: offline::READ, buffer_size_max: offline::READ, ..Limits::default() };
    let (name, pipeline) = (chain.name.clone(), Pipeline::new(steps));
    Ok(Service { name, framing, pipeline, greeting: None, limits, tally: Arc::default() })
}

/// A step as it is written in the configuration; the quotes of a bare name may be missing.
pub(super) fn read_step(text: &str, site: Site<'_>) -> Result<Choice, String> {
    let (seed, text) = (StepSeed(site), text.trim());
    if let Some(steps) = About::several(text) {
        return Err(format!("several steps are several words; write `{}`", steps.join(" ")));
    }
    if text.starts_with(['{', '"', '\'']) {
        let value =
            DeValue::parse(text).map_err(|error| format!("the step `{text}` is no TOML: {}", error.message()))?;
        seed.deserialize(ValueDeserializer::from(value)).map_err(|error| plainly(error.message()))
    } else {
        seed.deserialize(Value::from(text)).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transform::{NoFiles, Options};

    #[test]
    fn a_step_is_read_as_it_is_written_in_the_configuration() {
        let site = Site { options: Options::default(), files: &NoFiles };
        let read = |text| read_step(text, site).map(|step| step.about().name);
        assert_eq!(read("uppercase"), Ok("uppercase"));
        assert_eq!(read(" 'echo'"), Ok("echo"));
        assert_eq!(read("{ prefix = '> ' }"), Ok("prefix"));
        let refused = |text| read(text).unwrap_err();
        assert_eq!(refused("uper"), "unknown step `uper`; did you mean `uppercase`?");
        assert_eq!(refused("uppercase,echo"), "several steps are several words; write `uppercase echo`");
        assert_eq!(refused("{ echo = 1 }"), "it has no options; write its name alone, in quotes");
        assert_eq!(refused("prefix"), "the step `prefix` needs an option; write it as { prefix = \"> \" }");
        assert_eq!(refused("{ prefix = 1 }"), "found integer `1`; expected a string");
        assert_eq!(refused("{ echo"), "the step `{ echo` is no TOML: unclosed inline table, expected `}`");
    }
}
