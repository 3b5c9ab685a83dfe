//! Case, normal forms and space beside CPython's `str` and `unicodedata`.
//!
//! CPython may know an older Unicode than shoutd. Where it does not know a character, or what shoutd
//! makes of it, the two may differ; the tests say where they do.

use super::common::step;
use super::python;
use fastrand::Rng;
use shoutd::transform::{Context, InvalidUtf8, Memories, Occasion, Options, Pipeline, Scratch, Text};
use std::collections::{BTreeMap, BTreeSet};

/// A step by the operation of `words.py` that does the same.
const OPERATIONS: [&str; 10] = [
    "uppercase",
    "lowercase",
    "titlecase",
    "capitalize",
    "swapcase",
    "casefold",
    r#"normalize = "nfc""#,
    r#"normalize = "nfd""#,
    r#"normalize = "nfkc""#,
    r#"normalize = "nfkd""#,
];

/// Characters with a case that is newer than Unicode 14: Latin letters, and Cyrillic Tje, Garay and Beria Erfe.
const NEW_CASE: &str = "019B 0264 1C89-1C8A A7CB-A7CF A7D2-A7D5 A7DA-A7DC 10D50-10D65 10D70-10D85 16EA0-16EB8 \
                        16EBB-16ED3";

/// Characters that are decomposed, and newer than Unicode 14: in Todhri, Tulu-Tigalari, Gurung Khema and
/// Kirat Rai, then modifier letters, outlined and mathematical ones, and those that Unicode 18 adds.
const NEW_FORMS: &str = "105C9 105E4 11383 11385 1138E 11391 113C5 113C7-113C8 16121-16128 16D68-16D6A \
                         0558 058B-058C 209D-209F A7F1 107BB-107BF 1B123-1B126 1CCD6-1CCF9 1D6A6 1DF95 \
                         1DFCD-1DFFF 1E030-1E06D";

/// Characters that Unicode 14 knows, but not yet as cased or as case-ignorable, or no longer so.
const NEW_NEIGHBOURS: &str = "0295 10FC A7F2-A7F4 AB69 1171E";

/// What shoutd makes of `texts`.
fn shoutd(operation: &str, texts: &[String]) -> Vec<String> {
    let written = if operation.contains('=') { format!("{{ {operation} }}") } else { operation.to_owned() };
    let options = Options { invalid_utf8: InvalidUtf8::Close, ..Options::default() };
    let pipeline = Pipeline::new(vec![step(&written, options)]);
    let (mut memories, mut scratch, context) = (Memories::default(), Scratch::default(), Context::default());
    let answers = texts.iter().map(|text| {
        let mut bytes = text.clone().into_bytes();
        let mut text = Text::new(&mut bytes, &mut scratch);
        pipeline.apply(&mut text, &mut memories, &Occasion { end: true, context: &context }).unwrap();
        String::from_utf8(text.into_bytes().to_vec()).unwrap()
    });
    answers.collect()
}

/// What CPython made of texts, and what it does not know.
struct Answers {
    unknown: Vec<(u32, u32)>,
    made: BTreeMap<String, Vec<String>>,
}

impl Answers {
    fn to(asked: &BTreeMap<&str, &[String]>) -> Answers {
        let answers = python("words.py", serde_json::to_string(asked).unwrap().as_bytes());
        let mut answers: BTreeMap<String, serde_json::Value> = serde_json::from_slice(&answers).unwrap();
        let unknown = serde_json::from_value(answers.remove("unknown").unwrap()).unwrap();
        let made = answers.into_iter().map(|(name, made)| (name, serde_json::from_value(made).unwrap())).collect();
        Answers { unknown, made }
    }

    fn knows(&self, text: &str) -> bool {
        let code = |c| u32::from(c);
        !text.chars().any(|c| self.unknown.iter().any(|(first, last)| (*first..=*last).contains(&code(c))))
    }
}

/// Runs of characters, as `10D50-10D65 10D70`.
fn runs(codes: &[u32]) -> String {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for code in codes {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == *code => *last = *code,
            _ => runs.push((*code, *code)),
        }
    }
    let written = |(first, last): &(u32, u32)| match first == last {
        true => format!("{first:04X}"),
        false => format!("{first:04X}-{last:04X}"),
    };
    runs.iter().map(written).collect::<Vec<_>>().join(" ")
}

/// Whether a character is listed in `runs`.
fn is_listed(runs: &str, code: u32) -> bool {
    let number = |text| u32::from_str_radix(text, 16).unwrap();
    runs.split(' ').filter(|run| !run.is_empty()).any(|run| {
        let (first, last) = run.split_once('-').unwrap_or((run, run));
        (number(first)..=number(last)).contains(&code)
    })
}

#[test]
#[ignore = "needs python3"]
fn every_scalar_value_is_what_cpython_makes_of_it() {
    let all: Vec<String> = ('\0'..=char::MAX).map(String::from).collect();
    let answers = Answers::to(&OPERATIONS.iter().map(|operation| (*operation, all.as_slice())).collect());
    for operation in OPERATIONS {
        let mut codes = Vec::new();
        for ((c, ours), theirs) in all.iter().zip(shoutd(operation, &all)).zip(&answers.made[operation]) {
            if ours != *theirs {
                assert!(!answers.knows(c) || !answers.knows(&ours), "{operation} of {c:?}: {ours:?}, not {theirs:?}");
                codes.push(u32::from(c.chars().next().unwrap()));
            }
        }
        let listed = if operation.starts_with("normalize") { NEW_FORMS } else { NEW_CASE };
        codes.retain(|code| !is_listed(listed, *code));
        assert_eq!(runs(&codes), "", "{operation}");
    }
}

#[test]
#[ignore = "needs python3"]
fn every_scalar_value_says_of_its_neighbours_what_it_says_in_cpython() {
    let mut codes = BTreeSet::new();
    for (operation, before, after) in
        [("titlecase", "", "ab"), ("lowercase", "A", "Σ"), ("lowercase", "AΣ", ""), ("lowercase", "AΣ", "A")]
    {
        let texts: Vec<String> = ('\0'..=char::MAX).map(|c| format!("{before}{c}{after}")).collect();
        let answers = Answers::to(&BTreeMap::from([(operation, texts.as_slice())]));
        for ((text, ours), theirs) in texts.iter().zip(shoutd(operation, &texts)).zip(&answers.made[operation]) {
            let c = text.chars().nth(before.chars().count()).unwrap();
            if ours != *theirs && answers.knows(text) && answers.knows(&ours) {
                codes.insert(u32::from(c));
            }
        }
    }
    codes.retain(|code| !is_listed(NEW_NEIGHBOURS, *code));
    assert_eq!(runs(&codes.into_iter().collect::<Vec<_>>()), "");
}

/// Texts in which characters are each other's neighbours, of `alphabet` and now and then of all that is known.
fn texts(rng: &mut Rng, answers: &Answers, alphabet: &[&str]) -> Vec<String> {
    let character = |rng: &mut Rng| loop {
        let c = rng.char(..);
        let code = u32::from(c);
        let known = answers.knows(c.encode_utf8(&mut [0; 4])) && !is_listed(NEW_NEIGHBOURS, code);
        // Most of them where the scripts are.
        if known && (code < 0x2_0000 || rng.u8(..16) == 0) {
            return c.to_string();
        }
    };
    let piece = |rng: &mut Rng| match rng.u8(..4) {
        0 => character(rng),
        _ => alphabet[rng.usize(..alphabet.len())].to_owned(),
    };
    (0..20_000).map(|_| (0..rng.usize(..12)).map(|_| piece(rng)).collect()).collect()
}

/// Compares what shoutd and CPython make of random texts by `operations`.
fn compare(seed: u64, operations: &[&'static str], alphabet: &[&str]) {
    let nothing = Answers::to(&BTreeMap::new());
    let texts = texts(&mut Rng::with_seed(seed), &nothing, alphabet);
    let answers = Answers::to(&operations.iter().map(|operation| (*operation, texts.as_slice())).collect());
    for operation in operations {
        let mut skipped = 0;
        for ((text, ours), theirs) in texts.iter().zip(shoutd(operation, &texts)).zip(&answers.made[*operation]) {
            if ours != *theirs {
                assert!(!answers.knows(&ours), "{operation} of {text:?}: {ours:?}, not {theirs:?}");
                skipped += 1;
            }
        }
        assert!(skipped < texts.len() / 1000, "{operation}: {skipped} texts came out as what CPython does not know");
    }
}

#[test]
#[ignore = "needs python3"]
fn the_case_of_random_texts_is_what_cpython_makes_of_it() {
    let alphabet = [
        "Σ", "Σ", "Σ", "Α", "σ", "ς", "a", "B", " ", "\n", "'", ".", ":", "1", "_", "\u{AD}", "\u{301}", "\u{345}",
        "ʰ", "ⓐ", "ǆ", "ǅ", "ß", "ẞ", "İ", "ı", "ŉ", "ΐ", "ﬃ", "ﬓ", "և", "ᾳ", "ᾼ", "ᾲ", "é", "Ж", "ა", "Ა", "ꭰ", "Ꭰ",
        "𐐨", "𐐀", "語", "😀",
    ];
    compare(1, &["uppercase", "lowercase", "titlecase", "capitalize", "swapcase", "casefold"], &alphabet);
}

#[test]
#[ignore = "needs python3"]
fn the_normal_forms_of_random_texts_are_those_of_cpython() {
    let alphabet = [
        "a",
        "e",
        "=",
        " ",
        "\n",
        "é",
        "ﬁ",
        "½",
        "ﷺ",
        "Å",
        "\u{301}",
        "\u{308}",
        "\u{323}",
        "\u{327}",
        "\u{338}",
        "\u{344}",
        "\u{345}",
        "\u{5B4}",
        "\u{5BC}",
        "\u{93C}",
        "\u{958}",
        "\u{9BE}",
        "\u{9C7}",
        "\u{F71}",
        "\u{F72}",
        "\u{F73}",
        "\u{1100}",
        "\u{1161}",
        "\u{11A8}",
        "가",
        "각",
        "ﾞ",
        "カ",
        "\u{3099}",
        "\u{1D15E}",
        "\u{1D16D}",
        "\u{11099}",
        "\u{110BA}",
        "語",
        "\u{2F800}",
        "😀",
    ];
    let forms = [r#"normalize = "nfc""#, r#"normalize = "nfd""#, r#"normalize = "nfkc""#, r#"normalize = "nfkd""#];
    compare(2, &forms, &alphabet);
}

#[test]
#[ignore = "needs python3"]
fn tabs_go_where_cpython_expands_them_to_and_what_is_trimmed_is_what_it_strips() {
    let alphabet = [
        "\t", "\t", "\t", "a", "é", "語", "\u{301}", " ", "\n", "\r", "\r\n", "\u{B}", "\u{85}", "\u{2028}", "\u{3000}",
    ];
    let operations = ["expand_tabs = 1", "expand_tabs = 4", "expand_tabs = 8", "expand_tabs = 64", "trim"];
    compare(3, &operations, &alphabet);
}
