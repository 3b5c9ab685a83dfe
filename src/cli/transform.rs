//! `shoutd transform`: the chain of a listener between standard input and standard output.
//!
//! No network, no configuration unless it is needed, and memory for one read or one message.

use super::{Transform, unwritten};
use crate::config::{self, Config, Folder, Source};
use crate::deadlines::Moment;
use crate::failure::{Exit, Failure};
use crate::framing::{self, Framing};
use crate::session::{Action, Desk, EndReason, Limits, Service, Session};
use crate::transform::{About, Choice, InvalidUtf8, Options, Pipeline, Site, StepSeed, plainly};
use serde::de::DeserializeSeed;
use serde_json::Value;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;
use toml::de::{DeValue, ValueDeserializer};

/// Bytes asked for by a read.
const READ: usize = 64 * 1024;

pub(super) fn run(asked: &Transform, path: Option<&Path>) -> Result<(), Failure> {
    let needed = asked.steps.is_empty() || path.is_some() || asked.listener.is_some();
    let config = if needed { config::read(path) } else { config::built_in() };
    let config = config.map_err(|mistakes| mistakes.failure(""))?;
    let (service, max_message) = service(asked, &config)?;
    match pump(service, &mut io::stdin().lock(), &mut io::stdout().lock()) {
        Ok(()) => Ok(()),
        Err(End::Input(error)) => Err(Failure::new(Exit::Failed, format!("cannot read the input: {error}"))),
        Err(End::Output(error)) => unwritten(error),
        Err(End::Refused(EndReason::InvalidUtf8, _)) => {
            Err(Failure::new(Exit::Failed, "the input is not UTF-8; all before its first wrong byte was answered"))
        }
        Err(End::Refused(EndReason::MessageTooLong, line)) => {
            let text = format!(
                "line {line} of the input is longer than `max_message` allows ({max_message} bytes); allow more with \
                 --max-message SIZE"
            );
            Err(Failure::new(Exit::Failed, text))
        }
        Err(End::Refused(reason, _)) => Err(Failure::new(Exit::OwnFault, format!("it ended for {}", reason.word()))),
    }
}

/// The framing and the steps that were asked for, and the longest message; what was not given is
/// the listener's.
fn service(asked: &Transform, config: &Config) -> Result<(Service, usize), Failure> {
    let usage = |text: String| Failure::new(Exit::Usage, config::plain(&text));
    let Some(listener) = config.listener(asked.listener.as_deref()) else {
        let names: Vec<_> = config.settings.listeners.iter().map(|listener| listener.service.name.as_str()).collect();
        let name = asked.listener.as_deref().unwrap_or_default();
        let (have, they) = if config.source == Source::BuiltIn { ("have", "they have") } else { ("has", "it has") };
        return Err(usage(format!("{} {have} no listener `{name}`; {they} {}", config.source, names.join(", "))));
    };
    let value = |key| config.value(&listener.service.name, key);
    let policy = asked.invalid_utf8.as_deref().or_else(|| value("invalid_utf8")?.as_str());
    let invalid_utf8 =
        config::invalid_utf8().find(|(name, _)| Some(*name) == policy).map_or(InvalidUtf8::Pass, |p| p.1);
    let options = Options { invalid_utf8, ..Options::default() };
    let site = Site { options, files: &Folder(Path::new("")) };

    let steps = if asked.steps.is_empty() {
        let written = value("transform").cloned().unwrap_or_default();
        let list = if let Value::Array(list) = written { list } else { vec![written] };
        list.into_iter().map(|step| StepSeed(site).deserialize(step).map_err(|e| usage(e.to_string()))).collect()
    } else {
        asked.steps.iter().map(|step| read_step(step, site).map_err(usage)).collect::<Result<Vec<_>, _>>()
    }?;

    let name = asked.framing.as_deref().or_else(|| value("framing")?.as_str());
    let about = framing::REGISTRY.iter().find(|about| Some(about.name) == name);
    let max_message = asked.max_message.or_else(|| config::bytes(value("max_message")?)).unwrap_or(READ);
    let framing = about.map_or(Framing::Stream, |about| (about.build)(framing::Options { max_message }));
    if matches!(framing, Framing::Stream)
        && let Some(step) = steps.iter().find(|step| step.needs_messages())
    {
        return Err(usage(format!("the step `{}` needs whole messages; add --framing line", step.about().name)));
    }
    let limits = Limits { buffer_size: READ, buffer_size_max: READ, ..Limits::default() };
    let service = Service { name: listener.service.name.clone(), framing, pipeline: Pipeline::new(steps), limits };
    Ok((service, max_message))
}

/// A step as it is written in the configuration; the quotes of a bare name may be missing.
fn read_step(text: &str, site: Site<'_>) -> Result<Choice, String> {
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

/// Why a pump ended before its input did.
#[derive(Debug)]
enum End {
    Input(io::Error),
    Output(io::Error),
    /// For this reason, in this line of the input.
    Refused(EndReason, usize),
}

/// Answers all of `input` on `output`, and what each read gave before the next: a session as any
/// other, but for the time, which stands still.
fn pump(service: Service, input: &mut impl Read, output: &mut impl Write) -> Result<(), End> {
    let now = Moment::from_millis(0);
    let mut session = Session::new(Arc::new(service), None, now);
    let mut desk = Desk::default();
    let mut buffer = vec![0; READ];
    let mut line = 1;
    while session.poll_action() == Action::Read {
        let answer = match input.read(&mut buffer) {
            Ok(0) => session.handle_end_of_input(&mut desk, now),
            Ok(read) => session.handle_input(buffer.get_mut(..read).unwrap_or_default(), &mut desk, now),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(End::Input(error)),
        };
        output.write_all(answer).and_then(|()| output.flush()).map_err(End::Output)?;
        line += memchr::memchr_iter(b'\n', answer).count();
        session.handle_answered(answer, answer.len());
    }
    match session.end_reason() {
        Some(EndReason::ClientFin) | None => Ok(()),
        Some(reason) => Err(End::Refused(reason, line)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transform::NoFiles;

    /// Gives one byte at each read.
    struct Drip<'b>(&'b [u8]);

    impl Read for Drip<'_> {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            let (first, rest) = self.0.split_at(self.0.len().min(1));
            to[..first.len()].copy_from_slice(first);
            self.0 = rest;
            Ok(first.len())
        }
    }

    fn pumped(framing: &str, invalid_utf8: InvalidUtf8, input: &[u8]) -> (String, Result<(), End>) {
        let about = framing::REGISTRY.iter().find(|about| about.name == framing).unwrap();
        let service = || Service {
            name: "test".to_owned(),
            framing: (about.build)(framing::Options { max_message: 50 }),
            pipeline: Pipeline::new(vec![
                Choice::named("uppercase", Options { invalid_utf8, ..Options::default() }).unwrap(),
            ]),
            limits: Limits::default(),
        };
        let (mut whole, mut dripped) = (Vec::new(), Vec::new());
        let _ = pump(service(), &mut &*input, &mut whole);
        let done = pump(service(), &mut Drip(input), &mut dripped);
        assert_eq!(whole.escape_ascii().to_string(), dripped.escape_ascii().to_string());
        (String::from_utf8(whole).unwrap(), done)
    }

    #[test]
    fn any_cut_of_the_input_gives_the_same_answer() {
        for framing in ["stream", "line"] {
            let (output, done) = pumped(framing, InvalidUtf8::Pass, "straße ﬁ\r\n\nέλληνας".as_bytes());
            assert_eq!(output, "STRASSE FI\r\n\nΈΛΛΗΝΑΣ");
            assert!(done.is_ok());
        }
    }

    #[test]
    fn what_came_before_a_refused_byte_is_answered() {
        for (framing, expected) in [("stream", "A\nÉ"), ("line", "A\n")] {
            let (output, done) = pumped(framing, InvalidUtf8::Close, b"a\n\xC3\xA9\xFFb\nc\n");
            assert_eq!(output, expected);
            assert!(matches!(done, Err(End::Refused(EndReason::InvalidUtf8, 2))));
        }
    }

    #[test]
    fn a_message_that_is_too_long_ends_it_after_those_before() {
        let (output, done) = pumped("line", InvalidUtf8::Pass, format!("abc\n{}\nab\n", "x".repeat(51)).as_bytes());
        assert_eq!(output, "ABC\n");
        assert!(matches!(done, Err(End::Refused(EndReason::MessageTooLong, 2))));
    }

    #[test]
    fn a_step_is_read_as_it_is_written_in_the_configuration() {
        let site = Site { options: Options::default(), files: &NoFiles };
        let written = |text| read_step(text, site).map(|step| step.about().name.to_owned());
        assert_eq!(written("uppercase"), Ok("uppercase".to_owned()));
        assert_eq!(written(" 'echo'"), Ok("echo".to_owned()));
        assert_eq!(written("uper"), Err("unknown step `uper`; did you mean `uppercase`?".to_owned()));
        assert_eq!(
            written("uppercase,echo"),
            Err("several steps are several words; write `uppercase echo`".to_owned())
        );
        assert_eq!(written("{ echo = 1 }"), Err("it has no options; write its name alone, in quotes".to_owned()));
        assert_eq!(
            written("{ echo"),
            Err("the step `{ echo` is no TOML: unclosed inline table, expected `}`".to_owned())
        );
    }
}
