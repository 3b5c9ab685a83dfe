//! `trim`, `squeeze` and `expand_tabs`: white space at the ends, in runs, and in columns.
//!
//! White space is what Unicode's property `White_Space` says, which [`char::is_whitespace`] knows. Line
//! ends as such are the business of `line_ends`.

use super::registry::{Example, Listed, Nothing, Site};
use super::utf8::{self, InvalidUtf8};
use super::{About, Growth, Memory, Occasion, Refusal, Step, Text};

pub(super) struct Trim(InvalidUtf8);

impl Listed for Trim {
    const ABOUT: About = About {
        name: "trim",
        summary: "white space at both ends of a message goes",
        example: Example::new("trim", " \u{3000}a b\t\u{A0}", "a b"),
        streams: false,
        undone_by: None,
        source: "Unicode, White_Space",
    };

    type Own = Nothing;

    fn new(_: Option<Nothing>, site: &Site<'_>) -> Result<Trim, String> {
        Ok(Trim(site.options.invalid_utf8))
    }
}

impl Step for Trim {
    fn apply(&self, text: &mut Text<'_>, _: &mut Memory, _: &Occasion<'_>) -> Result<(), Refusal> {
        let done = utf8::treat_invalid(text, self.0);
        let mut rest = text.as_bytes();
        while let Some(c) = utf8::last(rest).filter(|c| c.is_whitespace()) {
            rest = rest.split_at(rest.len() - c.len_utf8()).0;
        }
        let end = rest.len();
        while let Some(c) = utf8::first(rest).ok().filter(|c| c.is_whitespace()) {
            rest = rest.split_at(c.len_utf8()).1;
        }
        let start = end - rest.len();
        text.truncate(end);
        if start > 0 {
            text.rewrite(|from, to| to.extend_from_slice(from.split_at(start).1));
        }
        done
    }

    fn growth(&self) -> Growth {
        Growth::times(3) // an invalid byte to U+FFFD
    }
}

pub(super) struct Squeeze(InvalidUtf8);

impl Listed for Squeeze {
    const ABOUT: About = About {
        name: "squeeze",
        summary: "each run of white space within a line becomes one space",
        example: Example::new("squeeze", "a  b\t\u{A0}c\n d", "a b c\n d"),
        streams: true,
        undone_by: None,
        source: "Unicode, White_Space",
    };

    type Own = Nothing;

    fn new(_: Option<Nothing>, site: &Site<'_>) -> Result<Squeeze, String> {
        Ok(Squeeze(site.options.invalid_utf8))
    }
}

/// White space that does not end a line (Unicode 17, section 5.8, "Newline Guidelines").
fn is_horizontal(c: char) -> bool {
    let ends_line = matches!(c, '\n' | '\x0B' | '\x0C' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}');
    c.is_whitespace() && !ends_line
}

/// What is in [`Memory::note`] when the text so far ends in white space that has its space already.
const WITHIN_SPACE: u64 = 1;

impl Step for Squeeze {
    fn apply(&self, text: &mut Text<'_>, memory: &mut Memory, occasion: &Occasion<'_>) -> Result<(), Refusal> {
        let mut within = memory.note == WITHIN_SPACE;
        let done = utf8::rewrite_units(text, memory, occasion, |unit, to| {
            let was_within = std::mem::replace(&mut within, unit.is_ok_and(is_horizontal));
            match unit {
                Ok(_) if within && was_within => {}
                Ok(_) if within => to.push(b' '),
                Ok(c) => utf8::push(to, c),
                Err(invalid) => self.0.treat(invalid, to)?,
            }
            Ok(())
        });
        memory.note = if within && !occasion.end { WITHIN_SPACE } else { 0 };
        done
    }

    fn growth(&self) -> Growth {
        Growth::times(3) // an invalid byte to U+FFFD
    }
}

pub(super) struct ExpandTabs {
    columns: u64,
    invalid_utf8: InvalidUtf8,
}

impl Listed for ExpandTabs {
    const ABOUT: About = About {
        name: "expand_tabs",
        summary: "tabs become spaces up to the next column of 8, or of as many as are said, 1 to 64",
        example: Example::new("{ expand_tabs = 4 }", "a\tbc\td\n\te", "a   bc  d\n    e"),
        streams: true,
        undone_by: None,
        source: "Python's str.expandtabs()",
    };

    type Own = i64;

    fn new(own: Option<i64>, site: &Site<'_>) -> Result<ExpandTabs, String> {
        let columns = own.unwrap_or(8);
        match u64::try_from(columns) {
            Ok(columns @ 1..=64) => Ok(ExpandTabs { columns, invalid_utf8: site.options.invalid_utf8 }),
            _ => Err(format!("tabs {columns} columns wide are not for this step; 1 to 64 are")),
        }
    }
}

impl Step for ExpandTabs {
    fn apply(&self, text: &mut Text<'_>, memory: &mut Memory, occasion: &Occasion<'_>) -> Result<(), Refusal> {
        let mut column = memory.note;
        let done = utf8::rewrite_units(text, memory, occasion, |unit, to| {
            column = match unit {
                Ok('\t') => {
                    to.extend((column..self.columns).map(|_| b' '));
                    0
                }
                Ok(c) => {
                    utf8::push(to, c);
                    if matches!(c, '\n' | '\r') { 0 } else { (column + 1) % self.columns }
                }
                Err(invalid) => {
                    self.invalid_utf8.treat(invalid, to)?;
                    (column + 1) % self.columns
                }
            };
            Ok(())
        });
        memory.note = if occasion.end { 0 } else { column };
        done
    }

    fn growth(&self) -> Growth {
        let columns = usize::try_from(self.columns).unwrap_or(usize::MAX);
        Growth::times(columns.max(3)) // a tab at the start of its column; an invalid byte to U+FFFD
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transform::{NoFiles, Options, trial};

    /// What each read is answered with by `step`, and then the end.
    fn answers(step: &dyn Step, reads: &[&str]) -> Vec<String> {
        trial::answers(step, 3, reads)
    }

    #[test]
    fn a_run_of_white_space_may_come_in_several_reads() {
        let squeeze = Squeeze(InvalidUtf8::Pass);
        assert_eq!(answers(&squeeze, &["a ", " \t", "\u{2003}b", " \n", " "]), ["a ", "", "b", " \n", " ", ""]);
        assert_eq!(
            answers(&squeeze, &["\u{B}\u{C}\r\n\u{85}\u{2028}\u{2029}"]).concat(),
            "\u{B}\u{C}\r\n\u{85}\u{2028}\u{2029}"
        );
    }

    #[test]
    fn a_tab_knows_its_column_from_earlier_reads() {
        let tabs = |columns| ExpandTabs { columns, invalid_utf8: InvalidUtf8::Pass };
        assert_eq!(answers(&tabs(4), &["ab", "\t", "é", "\tx"]), ["ab", "  ", "é", "   x", ""]);
        assert_eq!(answers(&tabs(4), &["ab\r\t", "abcd\t"]), ["ab\r    ", "abcd    ", ""]);
        assert_eq!(answers(&tabs(1), &["a\tb\t"]), ["a b ", ""]);
    }

    #[test]
    fn what_is_trimmed_is_white_space_in_every_script() {
        for (text, expected) in [("", ""), (" ", ""), ("\u{85}\u{2028}a\u{1680}", "a"), ("\u{200B} ", "\u{200B}")] {
            assert_eq!(answers(&Trim(InvalidUtf8::Pass), &[text]), [expected, ""]);
        }
    }

    #[test]
    fn tabs_are_1_to_64_columns_wide() {
        let site = Site { options: Options::default(), files: &NoFiles };
        let refused = |columns| ExpandTabs::new(Some(columns), &site).err();
        assert_eq!(refused(0), Some("tabs 0 columns wide are not for this step; 1 to 64 are".to_owned()));
        assert_eq!([-1, 1, 64, 65].map(|columns| refused(columns).is_some()), [true, false, false, true]);
    }
}
