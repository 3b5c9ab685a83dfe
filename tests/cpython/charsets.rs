//! `decode` and `encode` beside the codecs of CPython, and the code pages beside glibc's.

use crate::{common, python};
use shoutd::transform::{
    Context, InvalidUtf8, Memories, Occasion, OnError, OnUnmappable, Options, Pipeline, Scratch, Text,
};
use std::ops::RangeInclusive;

/// One byte a character: our name, CPython's, and the characters on which they differ.
const SINGLE: [(&str, &str, &[RangeInclusive<char>]); 35] = [
    ("ascii", "ascii", &[]),
    ("latin1", "latin-1", &[]),
    ("iso-8859-2", "iso8859-2", &[]),
    ("iso-8859-3", "iso8859-3", &[]),
    ("iso-8859-4", "iso8859-4", &[]),
    ("iso-8859-5", "iso8859-5", &[]),
    ("iso-8859-6", "iso8859-6", &[]),
    ("iso-8859-7", "iso8859-7", &[]),
    ("iso-8859-8", "iso8859-8", &[]),
    ("iso-8859-9", "iso8859-9", &[]),
    ("iso-8859-10", "iso8859-10", &[]),
    ("iso-8859-11", "iso8859-11", &[]),
    ("iso-8859-13", "iso8859-13", &[]),
    ("iso-8859-14", "iso8859-14", &[]),
    ("iso-8859-15", "iso8859-15", &[]),
    ("iso-8859-16", "iso8859-16", &[]),
    ("cp437", "cp437", &[]),
    ("cp850", "cp850", &[]),
    ("cp037", "cp037", &[]),
    ("cp500", "cp500", &[]),
    ("ibm866", "cp866", &[]),
    ("koi8-r", "koi8-r", &[]),
    ("macintosh", "mac-roman", &[]),
    ("x-mac-cyrillic", "mac-cyrillic", &[]),
    // the standard's is KOI8-RU, which has Ў and ў where KOI8-U still draws lines
    ("koi8-u", "koi8-u", &['Ў'..='Ў', 'ў'..='ў', '╝'..='╝', '╬'..='╬']),
    // where Windows has no character, the standard has the control of the same number, and CPython nothing
    ("windows-1250", "cp1250", &[CONTROLS]),
    ("windows-1251", "cp1251", &[CONTROLS]),
    ("windows-1252", "cp1252", &[CONTROLS]),
    ("windows-1253", "cp1253", &[CONTROLS]),
    ("windows-1254", "cp1254", &[CONTROLS]),
    // and a vowel point that Windows got later
    ("windows-1255", "cp1255", &[CONTROLS, '\u{5BA}'..='\u{5BA}']),
    ("windows-1256", "cp1256", &[]),
    ("windows-1257", "cp1257", &[CONTROLS]),
    ("windows-1258", "cp1258", &[CONTROLS]),
    ("windows-874", "cp874", &[CONTROLS]),
];

const CONTROLS: RangeInclusive<char> = '\u{80}'..='\u{9F}';

/// Several bytes a character: our name, CPython's, and how the two differ.
const MULTI: [(&str, &str, &[Differ]); 10] = [
    ("utf-8", "utf-8", &[]),
    ("utf-16le", "utf-16le", &[]),
    ("utf-16be", "utf-16be", &[]),
    (
        "shift_jis",
        "cp932",
        &[
            // private characters, for bytes that mean nothing to the standard
            Differ::On(&['\u{F8F0}'..='\u{F8F3}']),
            // as if it were JIS X 0201, in writing alone
            Differ::On(&['¥'..='¥', '‾'..='‾']),
            // CPython takes these for the wide ones, in writing alone
            Differ::On(&['¢'..='£', '¬'..='¬', '‖'..='‖', '〜'..='〜']),
            // IBM's characters and not NEC's choice of them; private ones are not written
            Differ::OnlyRead,
        ],
    ),
    (
        "euc-jp",
        "euc_jp",
        &[
            // the extensions of NEC and IBM
            Differ::Unknown,
            Differ::On(DASHES),
            // JIS X 0212
            Differ::OnlyRead,
        ],
    ),
    (
        "iso-2022-jp",
        "iso2022_jp",
        &[
            Differ::Unknown,
            Differ::On(DASHES),
            // shifts of ISO 2022 that this form of it has not
            Differ::On(&['\x0E'..='\x0F', '\x1B'..='\x1B']),
        ],
    ),
    // with the euro, and with what GB 18030 has in two bytes
    ("gbk", "gbk", &[Differ::Unknown]),
    (
        "gb18030",
        "gb18030",
        &[
            // the euro in one byte
            Differ::Unknown,
            // the edition of 2022, which moves what was private until Unicode had it
            Differ::On(&[
                'ḿ'..='ḿ',
                '\u{9FB4}'..='\u{9FBB}',
                '\u{E5E5}'..='\u{E5E5}',
                '\u{E7C7}'..='\u{E7C7}',
                '\u{FE10}'..='\u{FE19}',
            ]),
        ],
    ),
    (
        "big5",
        "big5hkscs",
        &[
            // the edition of 2008
            Differ::Unknown,
            // Hong Kong's characters
            Differ::OnlyRead,
            // marks that Unicode has several of; Microsoft and the standard chose otherwise
            Differ::On(&[
                '‧'..='‧',
                '﹑'..='﹑',
                '¯'..='¯',
                '～'..='～',
                '⊕'..='⊕',
                '⊙'..='⊙',
                '∕'..='∕',
                '﹨'..='﹨',
                '￥'..='￥',
                '￠'..='￡',
                '•'..='•',
                '､'..='､',
                '‾'..='‾',
                '∼'..='∼',
                '♁'..='♁',
                '☉'..='☉',
                '／'..='／',
                '＼'..='＼',
                '¥'..='¥',
                '¢'..='£',
            ]),
        ],
    ),
    ("euc-kr", "cp949", &[]),
];

/// Marks of JIS X 0208 that are wide for Microsoft and for the standard.
const DASHES: &[RangeInclusive<char>] =
    &['～'..='～', '〜'..='〜', '∥'..='∥', '‖'..='‖', '－'..='－', '−'..='−', '￠'..='￢', '¢'..='£', '¬'..='¬'];

/// What a charset writes as it does another character: in Japan the yen and the overline of JIS X 0201,
/// the minus, and in ISO-2022-JP the narrow katakana; in China what was private until Unicode had it.
const LIKE_ANOTHER: &[RangeInclusive<char>] =
    &['¥'..='¥', '‾'..='‾', '−'..='−', '｡'..='ﾟ', '\u{E78D}'..='\u{E796}', '\u{E81E}'..='\u{E864}'];

/// How the Encoding Standard and CPython may differ on a charset.
#[derive(Clone, Copy)]
enum Differ {
    /// CPython knows less.
    Unknown,
    /// The standard reads what CPython writes, but writes another code for the character, or none.
    OnlyRead,
    /// These characters.
    On(&'static [RangeInclusive<char>]),
}

/// What one of the two makes of some bytes, if it does not refuse them.
type Answer = Option<Vec<u8>>;

fn pipeline(step: &str, name: &str) -> Pipeline {
    let options =
        Options { invalid_utf8: InvalidUtf8::Close, on_error: OnError::Close, on_unmappable: OnUnmappable::Close };
    Pipeline::new(vec![common::step(&format!("{{ {step} = \"{name}\" }}"), options)])
}

fn answer(pipeline: &Pipeline, text: &[u8]) -> Answer {
    let (mut memories, mut scratch, mut text) = (Memories::default(), Scratch::default(), text.to_vec());
    let mut text = Text::new(&mut text, &mut scratch);
    let occasion = Occasion { end: true, context: Context::nobody() };
    pipeline.apply(&mut text, &mut memories, &occasion).ok()?;
    Some(text.into_bytes().to_vec())
}

fn read_field(field: &str) -> Answer {
    let byte = |at| u8::from_str_radix(&field[at..at + 2], 16).unwrap();
    (field != "-").then(|| (0..field.len()).step_by(2).map(byte).collect())
}

fn texts(size: u8) -> Vec<Vec<u8>> {
    let one = (0..=u8::MAX).map(|a| vec![a]);
    let two = (0..=u8::MAX).flat_map(|a| (0..=u8::MAX).map(move |b| vec![a, b]));
    if size == 1 { one.collect() } else { one.chain(two).collect() }
}

fn characters(size: u8) -> RangeInclusive<char> {
    '\0'..=if size == 1 { '\u{FFFF}' } else { '\u{2FFFF}' }
}

/// Compares a charset with two lines of what CPython has said.
fn compare(name: &str, size: u8, differ: &[Differ], decoded: &str, encoded: &str) {
    let (decode, encode) = (pipeline("decode", name), pipeline("encode", name));
    let about = |answers: [&Answer; 2], these: &[RangeInclusive<char>]| {
        let text = answers.into_iter().flatten().map(|answer| String::from_utf8_lossy(answer)).collect::<String>();
        text.chars().any(|c| these.iter().any(|range| range.contains(&c)))
    };
    let texts = texts(size);
    assert_eq!(texts.len(), decoded.split(' ').count(), "{name}");
    for (text, theirs) in texts.iter().zip(decoded.split(' ').map(read_field)) {
        let ours = answer(&decode, text);
        let may_differ = |differ: &Differ| match differ {
            Differ::Unknown => theirs.is_none(),
            Differ::OnlyRead => false,
            Differ::On(these) => about([&ours, &theirs], these),
        };
        assert!(ours == theirs || differ.iter().any(may_differ), "{name}: {text:x?} is {ours:x?}, not {theirs:x?}");
    }
    assert_eq!(characters(size).count(), encoded.split(' ').count(), "{name}");
    for (c, theirs) in characters(size).zip(encoded.split(' ').map(read_field)) {
        let text = Some(c.to_string().into_bytes());
        let ours = answer(&encode, c.to_string().as_bytes());
        let may_differ = |differ: &Differ| match differ {
            Differ::Unknown => theirs.is_none(),
            Differ::OnlyRead => theirs.as_ref().is_some_and(|theirs| answer(&decode, theirs) == text),
            Differ::On(these) => about([&text, &None], these),
        };
        assert!(ours == theirs || differ.iter().any(may_differ), "{name}: {c:?} is {ours:x?}, not {theirs:x?}");
        if let Some(ours) = ours {
            let back = answer(&decode, &ours);
            let becomes_another = LIKE_ANOTHER.iter().any(|range| range.contains(&c));
            assert!(back == text || becomes_another, "{name}: {c:?} comes back as {back:x?}");
        }
    }
}

#[test]
#[ignore = "needs python3"]
fn every_charset_is_read_and_written_as_cpython_does_it_but_for_what_is_listed() {
    let single = SINGLE.iter().map(|(ours, theirs, these)| (*ours, *theirs, 1, vec![Differ::On(these)]));
    let multi = MULTI.iter().map(|(ours, theirs, differ)| (*ours, *theirs, 2, differ.to_vec()));
    let all: Vec<_> = single.chain(multi).collect();
    let input: String = all.iter().map(|(_, theirs, size, _)| format!("{theirs} {size}\n")).collect();
    let output = String::from_utf8(python("charsets.py", input.as_bytes())).unwrap();
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines.len(), 2 * all.len());
    for ((name, _, size, differ), lines) in all.iter().zip(lines.chunks(2)) {
        compare(name, *size, differ, lines[0], lines[1]);
    }
}

#[test]
#[ignore = "needs iconv"]
fn the_code_pages_are_those_of_glibc() {
    let bytes: Vec<u8> = (0..=u8::MAX).collect();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &bytes).unwrap();
    for (ours, theirs) in
        [("cp437", "IBM437"), ("cp850", "IBM850"), ("cp037", "IBM037"), ("cp500", "IBM500"), ("cp1047", "IBM1047")]
    {
        let iconv = std::process::Command::new("iconv").args(["-f", theirs, "-t", "UTF-8"]).arg(file.path()).output();
        assert_eq!(answer(&pipeline("decode", ours), &bytes), Some(iconv.unwrap().stdout), "{ours}");
    }
}
