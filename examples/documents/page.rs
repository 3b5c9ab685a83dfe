//! A manual page as man(7) has it.

use roff::{Inline, Roff, bold, italic, roman};

pub struct Page(Roff);

impl Page {
    /// A page of section 1 or 5, which says in a line what its subject is.
    pub fn new(name: &str, section: &str, manual: &str, summary: &str) -> Page {
        let (title, source) = (name.to_uppercase(), concat!("shoutd ", env!("CARGO_PKG_VERSION")));
        let mut page = Page(Roff::new());
        // no date: the page says the same whenever it is made
        page.0.control("TH", [&*title, section, "\"\"", source, manual]);
        // a key that is parted in two is another
        page.0.control("nh", []);
        page.section("name");
        page.0.text([roman(format!("{name} - {summary}"))]);
        page
    }

    pub fn section(&mut self, heading: &str) {
        self.0.control("SH", [&*heading.to_uppercase()]);
    }

    pub fn subsection(&mut self, heading: &str) {
        self.0.control("SS", [heading]);
    }

    pub fn paragraph(&mut self, text: &str) {
        self.0.control("PP", []);
        self.0.text(prose(text));
    }

    /// Terms, each on a line of its own, and what they mean.
    pub fn item<const N: usize>(&mut self, terms: impl IntoIterator<Item = [Inline; N]>, meaning: &str) {
        let mut tag = "TP";
        for term in terms {
            self.0.control(tag, []);
            self.0.text(term);
            tag = "TQ";
        }
        self.0.text(prose(meaning));
    }

    /// Lines as they are.
    pub fn lines<'l>(&mut self, lines: impl IntoIterator<Item = &'l str>) {
        self.0.control("EX", []);
        for line in lines {
            self.0.text([roman(line)]);
        }
        self.0.control("EE", []);
    }

    /// Lines as they are, as far in as what an item means.
    pub fn example<'l>(&mut self, lines: impl IntoIterator<Item = &'l str>) {
        self.0.control("IP", []);
        self.lines(lines);
    }

    /// Lines of the form `term   meaning`, parted by a gap that has this many spaces at least; lines
    /// that lie deeper belong to the item before them, as they are.
    pub fn list(&mut self, lines: &[&str], gap: &str) {
        let depth = |line: &str| line.len() - line.trim_start().len();
        let least = lines.iter().map(|line| depth(line)).min().unwrap_or(0);
        for chunk in lines.chunk_by(|_, next| depth(next) >= least + 4) {
            let [first, deeper @ ..] = chunk else { continue };
            let (term, meaning) = first.trim_start().split_once(gap).unwrap_or((first.trim_start(), ""));
            if meaning.is_empty() {
                self.0.control("PP", []);
                self.0.text([bold(term)]);
            } else {
                self.item([[bold(term)]], meaning.trim_start());
            }
            if !deeper.is_empty() {
                self.example(deeper.iter().map(|line| line.trim_start()));
            }
        }
    }

    pub fn see_also(&mut self, pages: &[(&str, &str)]) {
        self.section("SEE ALSO");
        let page = |(name, section): &(&str, &str)| [bold(*name), roman(format!("({section})"))];
        let pages: Vec<_> = pages.iter().map(page).collect();
        self.0.text(pages.join(&roman(", ")));
    }

    pub fn render(&self) -> String {
        // what only roff would turn into the accents of typography
        self.0.render().replace('~', r"\(ti").replace('^', r"\(ha").replace('`', r"\(ga")
    }
}

/// Text, in which what stands in backticks is bold.
fn prose(text: &str) -> Vec<Inline> {
    let style = |(index, part): (usize, &str)| if index % 2 == 1 { bold(part) } else { roman(part) };
    text.split('`').enumerate().map(style).collect()
}

/// A flag, or what stands for a value, as `--flag <VALUE>`.
pub fn argument(text: &str) -> [Inline; 2] {
    match text.split_once('<') {
        Some((flag, value)) => [bold(flag), italic(value.replace('>', ""))],
        None => [bold(text), roman("")],
    }
}
