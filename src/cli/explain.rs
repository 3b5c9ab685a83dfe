//! `shoutd transform --explain`: the text after each step, for each message or each read.

use crate::framing::{Framing, Input, Messages, OnLong, Piece, Rest};
use crate::offline::{Failed, READ};
use crate::session::{EndReason, Service};
use crate::transform::{Context, Memories, Occasion, Refusal, Text, shown, without_half_a_character};
use std::fmt::Write as _;
use std::io::{self, Read, Write};

/// Shows what becomes of each message of `input`, or of each read of it; says why it ended.
pub(super) fn run(
    service: &Service,
    context: &Context,
    input: &mut impl Read,
    output: &mut impl Write,
) -> Result<(EndReason, u64), Failed> {
    let mut explained = Explained { service, context, output, scratch: Default::default(), count: 0 };
    let mut buffer = vec![0; READ];
    let (mut rest, mut memories, mut end) = (Rest::default(), Memories::default(), false);
    while !end {
        let read = match input.read(&mut buffer) {
            Ok(read) => buffer.get_mut(..read).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Failed::Input(error)),
        };
        end = read.is_empty();
        let result = match &service.framing {
            Framing::Stream if end && memories.are_at_rest() => Ok(()),
            Framing::Stream => explained.text(if end { "end" } else { "read" }, read, &mut memories, end),
            Framing::Messages(messages) => {
                let mut pieces = Input::new(rest, read, end);
                let result = explained.messages(messages, &mut pieces);
                rest = pieces.into_rest();
                result
            }
        };
        match result {
            Ok(()) => {}
            Err(Ended::For(reason)) => return Ok((reason, explained.count)),
            Err(Ended::Unwritten(error)) => return Err(Failed::Output(error)),
        }
    }
    Ok((EndReason::ClientFin, explained.count))
}

/// Why no more is explained.
enum Ended {
    For(EndReason),
    Unwritten(io::Error),
}

struct Explained<'e, W> {
    service: &'e Service,
    context: &'e Context,
    output: &'e mut W,
    scratch: crate::transform::Scratch,
    /// How many messages or reads there were.
    count: u64,
}

impl<W: Write> Explained<'_, W> {
    fn messages(&mut self, messages: &Messages, pieces: &mut Input<'_>) -> Result<(), Ended> {
        while let Some(piece) = pieces.next(messages) {
            match piece {
                Piece::Message { body, cut_off, .. } => {
                    let body = if cut_off { without_half_a_character(body) } else { body };
                    self.text("message", body, &mut Memories::default(), true)?;
                }
                Piece::TooLong(_) if messages.on_long == OnLong::Close => {
                    return Err(Ended::For(EndReason::MessageTooLong));
                }
                Piece::TooLong(_) => self.say(&format!("a message is longer than {} bytes", messages.max))?,
                Piece::CutShort => return Err(Ended::For(EndReason::MessageCutShort)),
                Piece::Malformed => return Err(Ended::For(EndReason::BadFrame)),
                Piece::Part(_) | Piece::End(_) | Piece::Dropped => {}
            }
        }
        Ok(())
    }

    fn text(&mut self, what: &str, bytes: &mut [u8], memories: &mut Memories, end: bool) -> Result<(), Ended> {
        self.count += 1;
        let names: Vec<&str> = self.service.pipeline.names().collect();
        let wide = names.iter().map(|name| name.len()).max().unwrap_or(0).max("in".len());
        let mut lines = format!("{what} {}\n", self.count);
        let mut line = |name: &str, text: &str| {
            // writing to a String does not fail
            let _ = writeln!(lines, "  {name:wide$}  {text}");
        };
        line("in", &quoted(bytes));
        let mut text = Text::new(bytes, &mut self.scratch);
        let occasion = Occasion { end, context: self.context };
        let result = self.service.pipeline.apply_shown(&mut text, memories, &occasion, |nth, text| {
            let name = names.get(nth).copied().unwrap_or_default();
            let nothing = if text.is_withheld() { "(no answer)" } else { "" };
            line(name, &if nothing.is_empty() { quoted(text.as_bytes()) } else { nothing.to_owned() });
        });
        if let Err(Refusal::Reply(reply)) = &result {
            line("reply", &quoted(reply.as_bytes()));
        }
        if memories.hold_text() {
            line("held", "(the rest waits for more)");
        }
        self.say(lines.trim_end())?;
        match result {
            Ok(()) => Ok(()),
            Err(Refusal::Reply(_)) if matches!(self.service.framing, Framing::Messages(_)) => Ok(()),
            Err(refusal) => Err(Ended::For(refusal.into())),
        }
    }

    fn say(&mut self, lines: &str) -> Result<(), Ended> {
        writeln!(self.output, "{lines}").and_then(|()| self.output.flush()).map_err(Ended::Unwritten)
    }
}

fn quoted(bytes: &[u8]) -> String {
    format!("\"{}\"", shown(bytes))
}
