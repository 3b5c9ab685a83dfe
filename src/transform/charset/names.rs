//! The names of the charsets, and what each stands for.
//!
//! The labels of the Encoding Standard are all known, but here a name means what it says: `latin1`
//! and `ascii` are not windows-1252, as the web has it. Case and punctuation do not matter.

use super::super::About;
use super::single::Chars;
use super::tables;
use encoding_rs::{Encoding, WINDOWS_874, WINDOWS_1252, WINDOWS_1254};

/// How the bytes of a charset are to be read.
pub(super) enum Charset {
    /// One byte for each character.
    Table(Box<Chars>),
    /// As the Encoding Standard says.
    Standard(&'static Encoding),
}

/// The charsets that the Encoding Standard leaves out or takes for others, with all their names.
const OWN: [(Own, &str); 9] = [
    (Own::Ascii, "ascii us-ascii 646 ansi_x3.4-1968 csascii iso646-us"),
    (Own::Iso(WINDOWS_1252), "latin1 iso-8859-1 8859 l1 cp819 ibm819 csisolatin1 iso-ir-100 iso_8859-1:1987"),
    (Own::Iso(WINDOWS_1254), "latin5 iso-8859-9 l5 csisolatin5 iso-ir-148 iso_8859-9:1989"),
    (Own::Iso(WINDOWS_874), "iso-8859-11"),
    (Own::Upper(tables::CP437), "cp437 ibm437 437 cspc8codepage437"),
    (Own::Upper(tables::CP850), "cp850 ibm850 850 cspc850multilingual"),
    (Own::Ebcdic(&[]), "cp037 ibm037 037 ebcdic-cp-us ebcdic-cp-ca ebcdic-cp-nl ebcdic-cp-wt csibm037"),
    (Own::Ebcdic(tables::CP500), "cp500 ibm500 500 ebcdic-cp-be ebcdic-cp-ch csibm500"),
    (Own::Ebcdic(tables::CP1047), "cp1047 ibm1047 1047"),
];

/// The charsets of the Encoding Standard, each by a label of it, and further names that are in wide use.
const STANDARD: [&str; 35] = [
    "utf-8 u8 utf",
    "utf-16le",
    "utf-16be",
    "shift_jis cp932 932",
    "euc-jp ujis",
    "iso-2022-jp",
    "gbk cp936 936 ms936",
    "gb18030",
    "big5",
    "euc-kr cp949 949 ms949 uhc",
    "windows-1250 1250",
    "windows-1251 1251",
    "windows-1252 cp1252 1252",
    "windows-1253 1253",
    "windows-1254 1254",
    "windows-1255 1255",
    "windows-1256 1256",
    "windows-1257 1257",
    "windows-1258 1258",
    "windows-874 cp874 874",
    "iso-8859-2 latin2",
    "iso-8859-3 latin3",
    "iso-8859-4 latin4",
    "iso-8859-5",
    "iso-8859-6",
    "iso-8859-7",
    "iso-8859-8",
    "iso-8859-10 latin6",
    "iso-8859-13 latin7",
    "iso-8859-14 latin8",
    "iso-8859-15 latin9",
    "iso-8859-16 latin10",
    "koi8-r",
    "koi8-u",
    "macintosh mac-roman",
];

#[derive(Clone, Copy)]
enum Own {
    Ascii,
    /// As this one, but what Microsoft put in place of the controls from 0x80 to 0x9F is left out.
    Iso(&'static Encoding),
    /// ASCII, and these.
    Upper(&'static str),
    /// As code page 37, but for these.
    Ebcdic(&'static [(u8, char)]),
}

impl Own {
    fn chars(self) -> Box<Chars> {
        let ascii = ('\0'..='\x7F').map(Some);
        match self {
            Own::Ascii => collect(ascii),
            Own::Iso(like) => collect(('\0'..='\u{9F}').map(Some).chain(of(like).into_iter().skip(0xA0))),
            Own::Upper(upper) => collect(ascii.chain(upper.chars().map(Some))),
            Own::Ebcdic(changes) => {
                let mut chars = collect(tables::CP037.chars().map(Some));
                for &(byte, c) in changes {
                    if let Some(place) = chars.get_mut(usize::from(byte)) {
                        *place = Some(c);
                    }
                }
                chars
            }
        }
    }
}

fn collect(from: impl Iterator<Item = Option<char>>) -> Box<Chars> {
    let mut chars = Box::new([None; 256]);
    chars.iter_mut().zip(from).for_each(|(place, c)| *place = c);
    chars
}

/// What each byte stands for in an encoding of one byte a character.
fn of(encoding: &'static Encoding) -> Box<Chars> {
    collect((0..=u8::MAX).map(|byte| {
        let text = encoding.decode_without_bom_handling_and_without_replacement(std::slice::from_ref(&byte))?;
        text.chars().next()
    }))
}

impl Charset {
    /// The charset `name`.
    ///
    /// # Errors
    ///
    /// That there is none; `; ` parts that from the cure.
    pub(super) fn named(name: &str) -> Result<Charset, String> {
        let wanted = plain(name);
        let is_named = |names: &str| names.split(' ').any(|other| plain(other) == wanted);
        if let Some((own, _)) = OWN.iter().find(|(_, names)| is_named(names)) {
            return Ok(Charset::Table(own.chars()));
        }
        let label = STANDARD.iter().find(|names| is_named(names)).and_then(|names| names.split(' ').next());
        let encoding = [label.unwrap_or(name), &wanted]
            .into_iter()
            .find_map(|label| Encoding::for_label_no_replacement(label.as_bytes()))
            .ok_or_else(|| unknown(name))?;
        Ok(if encoding.is_single_byte() { Charset::Table(of(encoding)) } else { Charset::Standard(encoding) })
    }
}

/// A name without its case and its punctuation, which everybody writes differently.
fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

fn unknown(name: &str) -> String {
    let known = OWN.iter().map(|(_, names)| *names).chain(STANDARD).flat_map(|names| names.split(' '));
    // one of another number is another charset; only a digit may be missing
    let known = known.filter(|known| {
        let mut digits = known.chars().filter(char::is_ascii_digit);
        name.chars().filter(char::is_ascii_digit).all(|digit| digits.any(|other| other == digit))
    });
    match About::nearest(name, known) {
        Some((_, near)) => format!("unknown charset `{name}`; did you mean `{near}`?"),
        None => format!(
            "unknown charset `{name}`; `utf-8`, `latin1`, `cp1047` are some, and so is each label of https://encoding.spec.whatwg.org"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use encoding_rs::{EUC_KR, GBK, SHIFT_JIS, UTF_16BE, UTF_16LE};

    fn table(name: &str) -> Box<Chars> {
        match Charset::named(name) {
            Ok(Charset::Table(chars)) => chars,
            Ok(Charset::Standard(encoding)) => panic!("{name} is {}", encoding.name()),
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn case_and_punctuation_of_a_name_do_not_matter() {
        for names in [
            "latin1 LATIN-1 latin_1 iso-8859-1 ISO8859-1 iso88591 iso_8859-1 iso_8859-1:1987 L1 cp819 IBM819 csISOLatin1",
            "ascii US-ASCII us_ascii ANSI_X3.4-1968",
            "cp1252 windows-1252 Windows_1252 x-cp1252 CP-1252",
            "cp437 IBM437 437 ibm-437",
            "cp037 ibm037 IBM-037 ebcdic-cp-us 037",
            "cp500 ibm500 500",
            "cp1047 IBM1047 IBM-1047 1047",
            "iso-8859-9 latin5",
            "koi8-r KOI8_R koi",
            "macintosh mac_roman mac x-mac-roman",
            "cp866 ibm866 866",
        ] {
            let all: Vec<_> = names.split(' ').map(table).collect();
            assert!(all.iter().all(|chars| *chars == all[0]), "{names}");
        }
        for (names, expected) in [
            ("utf-16le utf_16_le UTF16LE utf-16", UTF_16LE),
            ("utf-16be utf_16_be", UTF_16BE),
            ("shift_jis Shift-JIS sjis cp932 windows-31j", SHIFT_JIS),
            ("gb2312 cp936 GBK", GBK),
            ("euc-kr euc_kr cp949 windows-949 ks_c_5601-1987", EUC_KR),
        ] {
            for name in names.split(' ') {
                assert!(matches!(Charset::named(name), Ok(Charset::Standard(found)) if found == expected), "{name}");
            }
        }
    }

    #[test]
    fn every_name_in_the_lists_is_the_name_of_one_charset() {
        let mut seen = std::collections::BTreeSet::new();
        for name in OWN.iter().map(|(_, names)| *names).chain(STANDARD).flat_map(|names| names.split(' ')) {
            assert!(Charset::named(name).is_ok(), "{name}");
            assert!(seen.insert(plain(name)), "{name}");
        }
    }

    #[test]
    fn what_the_web_takes_for_windows_is_itself_here() {
        assert_eq!(table("latin1")[0x80], Some('\u{80}'));
        assert_eq!(table("cp1252")[0x80], Some('€'));
        assert_eq!((table("ascii")[0x7F], table("ascii")[0x80]), (Some('\x7F'), None));
        assert_eq!((table("iso-8859-9")[0x80], table("iso-8859-9")[0xFD]), (Some('\u{80}'), Some('ı')));
        assert_eq!((table("iso-8859-11")[0x80], table("iso-8859-11")[0xA1]), (Some('\u{80}'), Some('ก')));
    }

    #[test]
    fn a_code_page_gives_all_256_bytes_a_character_of_their_own() {
        for name in ["latin1", "cp437", "cp850", "cp037", "cp500", "cp1047", "cp1252"] {
            let chars = table(name);
            let different: std::collections::BTreeSet<_> = chars.iter().flatten().collect();
            assert_eq!(different.len(), 256, "{name}");
        }
    }

    #[test]
    fn an_unknown_charset_is_told_with_its_cure() {
        for (name, expected) in [
            ("latln1", "unknown charset `latln1`; did you mean `latin1`?"),
            ("cp1O47", "unknown charset `cp1O47`; did you mean `cp1047`?"),
            ("cp852", "unknown charset `cp852`; `utf-8`, `latin1`, `cp1047` are some"),
            ("", "unknown charset ``; `utf-8`, `latin1`, `cp1047` are some, and so is each label of"),
            ("klingon", "unknown charset `klingon`; `utf-8`, `latin1`, `cp1047` are some, and so is each label of"),
            ("replacement", "unknown charset `replacement`; `utf-8`"),
        ] {
            let error = Charset::named(name).err().expect(name);
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
