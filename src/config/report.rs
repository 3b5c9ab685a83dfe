//! Mistakes and where they stand: file, line, column, the line itself, carets, and the cure.
//!
//! Nothing here knows what a configuration means; it knows how to point at a place in a text that
//! may hold anything at all.

use crate::failure::{Exit, Failure};
use std::fmt::Write;
use std::ops::Range;
use std::sync::Arc;

/// How many mistakes are shown in full; the rest is counted.
pub(super) const SHOWN: usize = 20;
/// How much of a line, and of a message, is shown, in characters.
const LONGEST: usize = 200;
/// How much of a long line is shown before the caret, in characters.
const BEFORE: usize = 60;

/// One mistake, and the bytes of the text that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mistake {
    pub(super) span: Range<usize>,
    /// What is wrong.
    pub(super) what: String,
    /// What to do about it; may be empty.
    pub(super) cure: String,
    /// What else shows it, in lines that stand below.
    pub(super) notes: Vec<String>,
}

impl Mistake {
    pub(super) fn new(span: Range<usize>, what: impl Into<String>, cure: impl Into<String>) -> Mistake {
        Mistake { span, what: what.into(), cure: cure.into(), notes: Vec::new() }
    }

    /// A mistake told in one sentence, in which the last `; ` parts what is wrong from the cure.
    pub(super) fn told(span: Range<usize>, text: &str) -> Mistake {
        let (what, cure) = text.rsplit_once("; ").unwrap_or((text, ""));
        Mistake::new(span, what, cure)
    }
}

/// A text with its name, and where its lines begin.
#[derive(Debug)]
pub(super) struct Text<'t> {
    /// Fit to be shown.
    pub(super) name: Arc<str>,
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Text<'t> {
    pub(super) fn new(name: &str, text: &'t str) -> Text<'t> {
        let starts = std::iter::once(0).chain(memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1)).collect();
        Text { name: plain(name).into(), text, starts }
    }

    pub(super) fn contents(&self) -> &'t str {
        self.text
    }

    /// The number of the line that holds the byte `at`, from 1.
    pub(super) fn line(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at)
    }

    /// `file:line` of the byte `at`.
    pub(super) fn place(&self, at: usize) -> String {
        format!("{}:{}", self.name, self.line(at))
    }

    fn show(&self, mistake: &Mistake, to: &mut String) {
        let at = self.text.floor_char_boundary(mistake.span.start);
        let number = self.line(at);
        let start = self.starts.get(number.saturating_sub(1)).copied().unwrap_or(0);
        let line = self.text.get(start..).unwrap_or_default().lines().next().unwrap_or_default();
        let before = line.get(..at.saturating_sub(start)).unwrap_or(line);
        let marked = line.get(before.len()..).unwrap_or_default();
        let marked = marked.get(..marked.floor_char_boundary(mistake.span.len())).unwrap_or_default();

        let column = before.chars().count();
        let skipped = if column > LONGEST - BEFORE { column - BEFORE } else { 0 };
        let shown: String = line.chars().skip(skipped).take(LONGEST).map(visible).collect();
        let room = LONGEST - (column - skipped);
        // a tab stays a tab, so that the caret stands under its character wherever tabs stop
        let indent: String = before
            .chars()
            .skip(skipped)
            .map(visible)
            .flat_map(|c| std::iter::repeat_n(if c == '\t' { c } else { ' ' }, width(c)))
            .collect();
        let carets: usize = marked.chars().take(room).map(visible).map(width).sum();
        let gutter = " ".repeat(number.to_string().len());
        let lines = [
            format!("{}:{number}:{}: {}", self.name, column + 1, plain(&mistake.what)),
            format!("{gutter} |"),
            format!("{number} | {shown}"),
            format!("{gutter} | {indent}{} {}", "^".repeat(carets.max(1)), plain(&mistake.cure)),
        ];
        let notes = mistake.notes.iter().map(|note| format!("{gutter} | {note}"));
        for line in lines.into_iter().chain(notes) {
            to.push_str(line.trim_end());
            to.push('\n');
        }
    }
}

/// Why there is no configuration: its mistakes, shown in full, or why it could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistakes {
    shown: String,
    /// Such as `2 mistakes in config.toml`.
    count: Option<String>,
}

impl Mistakes {
    /// A file that could not be read at all, told in one line.
    pub(super) fn unreadable(line: String) -> Mistakes {
        Mistakes { shown: line, count: None }
    }

    /// The mistakes of a text, each once, in its order.
    pub(super) fn of(text: &Text<'_>, mut mistakes: Vec<Mistake>) -> Mistakes {
        // the same value is read once for each listener that inherits it
        mistakes.sort_by(|a, b| (a.span.start, &a.what).cmp(&(b.span.start, &b.what)));
        mistakes.dedup();
        let mut shown = String::new();
        for mistake in mistakes.iter().take(SHOWN) {
            text.show(mistake, &mut shown);
            shown.push('\n');
        }
        let more = mistakes.len().saturating_sub(SHOWN);
        if more > 0 {
            let _ = writeln!(shown, "and {more} more");
        }
        let number = mistakes.len();
        let plural = if number == 1 { "" } else { "s" };
        Mistakes { shown, count: Some(format!("{number} mistake{plural} in {}", text.name)) }
    }

    /// The failure to report, with what follows from the mistakes: `nothing was started`, say.
    #[must_use]
    pub fn failure(self, consequence: &str) -> Failure {
        let mut text = self.shown;
        if let Some(count) = self.count {
            text.push_str(&count);
            if !consequence.is_empty() {
                text.push_str("; ");
                text.push_str(consequence);
            }
        }
        Failure::new(Exit::Config, text)
    }
}

/// `text` as it may be shown on a terminal and in a log: of bounded length, and without controls.
pub(crate) fn plain(text: &str) -> String {
    let shown: String = text.chars().take(2 * LONGEST).map(|c| if c == '\t' { ' ' } else { visible(c) }).collect();
    if text.chars().nth(2 * LONGEST).is_some() { shown + "…" } else { shown }
}

/// A character that can be seen for each that commands the terminal or turns the writing round.
fn visible(c: char) -> char {
    match c {
        '\t' => c,
        '\0'..='\x1F' => char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{FFFD}'),
        '\x7F' => '\u{2421}',
        '\u{80}'..='\u{9F}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => '\u{FFFD}',
        c => c,
    }
}

/// How many columns `text` takes.
pub(super) fn columns(text: &str) -> usize {
    text.chars().map(width).sum()
}

/// How many columns a character takes: near enough to Unicode's UAX #11 for a caret.
fn width(c: char) -> usize {
    match u32::from(c) {
        0x0300..=0x036F | 0x200B..=0x200D | 0x20D0..=0x20FF | 0xFE00..=0xFE0F | 0xFEFF => 0,
        0x1100..=0x115F
        | 0x2E80..=0x303E
        | 0x3041..=0xA4CF
        | 0xAC00..=0xD7A3
        | 0xF900..=0xFAFF
        | 0xFE30..=0xFE6F
        | 0xFF00..=0xFF60
        | 0xFFE0..=0xFFE6
        | 0x1F300..=0x1F64F
        | 0x1F680..=0x1F6FF
        | 0x1F900..=0x1FAFF
        | 0x20000..=0x3FFFD => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, marked: &str, expected: &str) {
        let start = text.find(marked).unwrap();
        let mut shown = String::new();
        Text::new("f", text).show(&Mistake::new(start..start + marked.len(), "bad", "cure"), &mut shown);
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_caret_stands_under_its_character() {
        check("a = 1\nb = 2", "2", "f:2:5: bad\n  |\n2 | b = 2\n  |     ^ cure\n");
        check("\ta\t= 1", "1", "f:1:6: bad\n  |\n1 | \ta\t= 1\n  | \t \t  ^ cure\n");
        check("é = 'x'", "'x'", "f:1:5: bad\n  |\n1 | é = 'x'\n  |     ^^^ cure\n");
        check("\"名前\" = 1", "1", "f:1:8: bad\n  |\n1 | \"名前\" = 1\n  |          ^ cure\n");
        check("k = '名'", "'名'", "f:1:5: bad\n  |\n1 | k = '名'\n  |     ^^^^ cure\n");
    }

    #[test]
    fn line_ends_of_windows_do_not_show() {
        check("a = 1\r\nb = 2\r\n", "2\r\n", "f:2:5: bad\n  |\n2 | b = 2\n  |     ^ cure\n");
    }

    #[test]
    fn only_the_first_line_of_a_long_place_is_shown() {
        check("a = [\n  1,\n]\n", "[\n  1,\n]", "f:1:5: bad\n  |\n1 | a = [\n  |     ^ cure\n");
    }

    #[test]
    fn a_text_cannot_command_the_terminal() {
        check("'\x1b[2J' = 1", "'\x1b[2J'", "f:1:1: bad\n  |\n1 | '␛[2J' = 1\n  | ^^^^^^ cure\n");
        assert_eq!(plain("a\nb\u{202E}"), "a␊b\u{FFFD}");
    }

    #[test]
    fn a_place_beyond_the_text_is_shown_at_its_end() {
        let mut shown = String::new();
        let text = "a = ";
        Text::new("f", text).show(&Mistake::new(4..4, "bad", ""), &mut shown);
        Text::new("f", "é\n").show(&Mistake::new(99..120, "bad", ""), &mut shown);
        Text::new("f", "é").show(&Mistake::new(1..2, "bad", ""), &mut shown);
        assert_eq!(
            shown,
            "f:1:5: bad\n  |\n1 | a =\n  |     ^\nf:2:1: bad\n  |\n2 |\n  | ^\nf:1:1: bad\n  |\n1 | é\n  | ^\n"
        );
    }

    #[test]
    fn a_line_without_end_is_shown_around_its_mistake() {
        let text = "x".repeat(100_000) + "!" + &"y".repeat(100_000);
        let mut shown = String::new();
        Text::new("f", &text).show(&Mistake::new(100_000..200_000, "bad", "cure"), &mut shown);
        let line = shown.lines().nth(2).unwrap();
        assert_eq!(line, format!("1 | {}!{}", "x".repeat(60), "y".repeat(139)));
        assert_eq!(shown.lines().nth(3).unwrap(), format!("  | {}{} cure", " ".repeat(60), "^".repeat(140)));
    }

    #[test]
    fn each_mistake_is_told_once_and_only_so_many_are_shown() {
        let text = Text::new("f", "0123456789012345678901234");
        let mistakes: Vec<_> = (0..25).rev().flat_map(|i| vec![Mistake::new(i..i + 1, "bad", ""); 2]).collect();
        let report = Mistakes::of(&text, mistakes).failure("nothing was started").text;
        assert!(report.starts_with("f:1:1: bad\n"), "{report}");
        assert!(report.ends_with("\n\nand 5 more\n25 mistakes in f; nothing was started"), "{report}");
        assert_eq!(report.matches("bad").count(), SHOWN);
    }
}
