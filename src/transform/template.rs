//! Texts with variables in braces, and what the variables of a connection are.
//!
//! Used by the steps that speak of the connection, and for greetings.

use super::registry::About;
use std::fmt::Write;

/// What a step may say about the connection; filled only for a pipeline that
/// [asks for it](super::Pipeline::wants_context), otherwise empty.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Context {
    /// The other end of the connection.
    pub peer: String,
    /// This end of the connection.
    pub local: String,
    /// The listener's name.
    pub listener: String,
    /// The name of this host.
    pub host: String,
    /// The number of the connection, from 1 on since the daemon started.
    pub connection: u64,
}

/// The context of nobody.
pub(super) static NOBODY: Context =
    Context { peer: String::new(), local: String::new(), listener: String::new(), host: String::new(), connection: 0 };

impl Context {
    /// No field is longer, in bytes: a host's name has at most 64 (Linux), a listener's 64, a number 20,
    /// and an address less than a path of 107 with its `unix:`.
    pub(super) const LONGEST_FIELD: usize = 128;

    /// The context where there is none.
    #[must_use]
    pub fn nobody() -> &'static Context {
        &NOBODY
    }
}

/// A text in which `{peer}` and the like stand for what they name; `{{` and `}}` are braces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Variable(Variable),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Variable {
    Peer,
    Local,
    Listener,
    Host,
    Connection,
    Message,
}

const VARIABLES: [(&str, Variable); 6] = [
    ("peer", Variable::Peer),
    ("local", Variable::Local),
    ("listener", Variable::Listener),
    ("host", Variable::Host),
    ("connection", Variable::Connection),
    ("message", Variable::Message),
];

impl Template {
    /// Whether it ends with a line end of its own.
    #[must_use]
    pub fn ends_a_line(&self) -> bool {
        matches!(self.parts.last(), Some(Part::Literal(text)) if text.ends_with('\n'))
    }

    /// Reads `text`.
    ///
    /// # Errors
    ///
    /// A brace or a variable that means nothing; `; ` parts that from the cure.
    pub fn parse(text: &str) -> Result<Template, String> {
        let (mut parts, mut literal, mut rest) = (Vec::new(), String::new(), text);
        while let Some(at) = rest.find(['{', '}']) {
            let (before, braced) = rest.split_at(at);
            literal.push_str(before);
            if let Some(after) = braced.strip_prefix("{{").or(braced.strip_prefix("}}")) {
                literal.extend(braced.chars().next());
                rest = after;
                continue;
            }
            let Some((name, after)) = braced.strip_prefix('{').and_then(|inside| inside.split_once('}')) else {
                let brace = braced.chars().next().unwrap_or_default();
                return Err(format!("a `{brace}` stands alone; write `{brace}{brace}` for the character"));
            };
            let Some((_, variable)) = VARIABLES.iter().find(|(word, _)| *word == name) else {
                return Err(unknown(name));
            };
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            parts.push(Part::Variable(*variable));
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Template { parts })
    }

    /// Whether it speaks of the connection, and so needs a [`Context`].
    #[must_use]
    pub fn wants_context(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Variable(variable) if *variable != Variable::Message))
    }

    /// How often it repeats the message.
    #[must_use]
    pub fn messages(&self) -> usize {
        self.parts.iter().filter(|part| **part == Part::Variable(Variable::Message)).count()
    }

    /// Writes the text for `message` of the connection `context`.
    pub fn write(&self, message: &[u8], context: &Context, to: &mut Vec<u8>) {
        for part in &self.parts {
            let text = match part {
                Part::Literal(text) => text.as_bytes(),
                Part::Variable(Variable::Peer) => context.peer.as_bytes(),
                Part::Variable(Variable::Local) => context.local.as_bytes(),
                Part::Variable(Variable::Listener) => context.listener.as_bytes(),
                Part::Variable(Variable::Host) => context.host.as_bytes(),
                Part::Variable(Variable::Message) => message,
                Part::Variable(Variable::Connection) => {
                    let mut number = String::new();
                    let _ = write!(number, "{}", context.connection);
                    to.extend_from_slice(number.as_bytes());
                    continue;
                }
            };
            to.extend_from_slice(text);
        }
    }

    /// How many bytes it can have besides the message.
    #[must_use]
    pub fn len_besides(&self) -> usize {
        let len = |part: &Part| match part {
            Part::Literal(text) => text.len(),
            Part::Variable(Variable::Message) => 0,
            Part::Variable(_) => Context::LONGEST_FIELD,
        };
        self.parts.iter().map(len).sum()
    }
}

fn unknown(name: &str) -> String {
    let names = || VARIABLES.iter().map(|(word, _)| *word);
    match About::nearest(name, names()) {
        Some((_, near)) => format!("unknown variable `{{{name}}}`; did you mean `{{{near}}}`?"),
        None => {
            let all: Vec<String> = names().map(|name| format!("{{{name}}}")).collect();
            format!("unknown variable `{{{name}}}`; there are {}, and `{{{{` is a brace", all.join(" "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_stand_for_what_they_name() {
        let context =
            Context { peer: "p".into(), local: "l".into(), listener: "n".into(), host: "h".into(), connection: 7 };
        let text = "{{{peer}}} {local}{listener} at {host}, no. {connection}: {message}!";
        let mut written = Vec::new();
        Template::parse(text).unwrap().write(b"hi", &context, &mut written);
        assert_eq!(String::from_utf8(written).unwrap(), "{p} ln at h, no. 7: hi!");
    }

    #[test]
    fn what_means_nothing_is_refused_with_its_cure() {
        let refused = |text| Template::parse(text).unwrap_err();
        assert_eq!(refused("{per}"), "unknown variable `{per}`; did you mean `{peer}`?");
        assert_eq!(
            refused("{x}"),
            "unknown variable `{x}`; there are {peer} {local} {listener} {host} {connection} {message}, and `{{` is a brace"
        );
        assert_eq!(refused("a } b"), "a `}` stands alone; write `}}` for the character");
        assert_eq!(refused("{peer"), "a `{` stands alone; write `{{` for the character");
    }

    #[test]
    fn a_template_knows_what_it_needs() {
        let plain = Template::parse("twice {message} {message}").unwrap();
        assert_eq!((plain.wants_context(), plain.messages(), plain.len_besides()), (false, 2, 7));
        assert!(Template::parse("{peer}").unwrap().wants_context());
    }
}
