//! What a listener does to a text, without any network: a session as any other between an input and
//! an output, but for the time, which stands still.
//!
//! Where the input comes from, and who looks at the output, is not known here.

use crate::deadlines::Moment;
use crate::session::{Action, Desk, EndReason, Service, Session};
use crate::transform::Context;
use std::io::{self, Read, Write};
use std::sync::Arc;

/// Bytes asked for by a read.
pub const READ: usize = 64 * 1024;

/// What went wrong outside.
#[derive(Debug)]
pub enum Failed {
    /// The input could not be read.
    Input(io::Error),
    /// The output could not be written.
    Output(io::Error),
}

/// Answers all of `input` on `output`, and what each read gave before the next; says why it ended,
/// and after how many messages (under `stream`, reads).
///
/// # Errors
///
/// What [`Failed`] outside.
pub fn pump(
    service: &Arc<Service>,
    context: Context,
    input: &mut impl Read,
    output: &mut impl Write,
) -> Result<(EndReason, u64), Failed> {
    let now = Moment::from_millis(0);
    let mut session = Session::new(Arc::clone(service), Some(Box::new(context)), now);
    let mut desk = Desk::default();
    let mut buffer = vec![0; READ];
    loop {
        let answer = match session.poll_action() {
            Action::Read => match input.read(&mut buffer) {
                Ok(0) => session.handle_end_of_input(&mut desk, now),
                Ok(read) => session.handle_input(buffer.get_mut(..read).unwrap_or_default(), &mut desk, now),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Failed::Input(error)),
            },
            Action::Answer => session.handle_writable(&mut desk, now),
            Action::Write | Action::Wait | Action::ShutDown | Action::Close { .. } => break,
        };
        output.write_all(answer).and_then(|()| output.flush()).map_err(Failed::Output)?;
        session.handle_answered(answer, answer.len());
    }
    Ok((session.end_reason().unwrap_or(EndReason::ClientFin), session.messages()))
}

/// Who is said to ask where nobody does: addresses of RFC 5737, which are nobody's.
#[must_use]
pub fn stand_in(listener: &str) -> Context {
    Context {
        peer: "192.0.2.7:6000".to_owned(),
        local: "192.0.2.1:5000".to_owned(),
        listener: listener.to_owned(),
        host: "example".to_owned(),
        connection: 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::framing::Framing;

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

    /// What the listener of `file` answers, however its input comes.
    fn pumped(file: &str, input: &[u8]) -> (String, EndReason, u64) {
        let config = config::parse("f", file).unwrap();
        let service = &Arc::new(config.settings.listeners[0].service.clone());
        let (mut whole, mut dripped) = (Vec::new(), Vec::new());
        let first = pump(service, stand_in("test"), &mut &*input, &mut whole).unwrap();
        let second = pump(service, stand_in("test"), &mut Drip(input), &mut dripped).unwrap();
        assert_eq!(whole.escape_ascii().to_string(), dripped.escape_ascii().to_string());
        if !matches!(service.framing, Framing::Stream) {
            assert_eq!(first, second); // under it, each read is a message
        }
        (String::from_utf8(whole).unwrap(), first.0, first.1)
    }

    #[test]
    fn any_cut_of_the_input_gives_the_same_answer() {
        for (framing, messages) in [("stream", 1), ("line", 3)] {
            let input = "straße ﬁ\r\n\nέλληνας".as_bytes();
            let expected = ("STRASSE FI\r\n\nΈΛΛΗΝΑΣ".to_owned(), EndReason::ClientFin, messages);
            assert_eq!(pumped(&format!("framing = '{framing}'"), input), expected);
        }
    }

    #[test]
    fn what_came_before_a_refused_byte_is_answered() {
        for (framing, expected, messages) in [("stream", "A\nÉ", 1), ("line", "A\n", 2)] {
            let file = format!("framing = '{framing}'\ninvalid_utf8 = 'close'");
            let (output, reason, count) = pumped(&file, b"a\n\xC3\xA9\xFFb\nc\n");
            assert_eq!((output.as_str(), reason, count), (expected, EndReason::InvalidUtf8, messages));
        }
    }

    #[test]
    fn a_message_that_is_too_long_ends_it_after_those_before() {
        let input = format!("abc\n{}\nab\n", "x".repeat(51));
        let (output, reason, count) = pumped("framing = 'line'\nmax_message = 50", input.as_bytes());
        assert_eq!((output.as_str(), reason, count), ("ABC\n", EndReason::MessageTooLong, 1));
    }

    #[test]
    fn many_short_messages_with_long_answers_are_all_answered() {
        let file = format!("framing = 'line'\ntransform = {{ reply = '{}' }}", "x".repeat(1000));
        let (output, reason, count) = pumped(&file, &[b'\n'; 2000]);
        assert_eq!((output.len(), reason, count), (2000 * 1001, EndReason::ClientFin, 2000));
    }
}
