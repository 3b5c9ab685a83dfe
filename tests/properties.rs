//! What is true of every step, proved by walking the registry: a new step is covered by being in it.

mod common;

use common::step;
use proptest::prelude::*;
use shoutd::transform::{
    About, Context, InvalidUtf8, Memories, Occasion, OnError, OnUnmappable, Options, Pipeline, REGISTRY, Refusal,
    Scratch, Text,
};

/// What a listener may say to its steps, each policy at least once.
const POLICIES: [Options; 3] = [
    Options { invalid_utf8: InvalidUtf8::Pass, on_error: OnError::Pass, on_unmappable: OnUnmappable::Replace },
    Options { invalid_utf8: InvalidUtf8::Replace, on_error: OnError::Reply, on_unmappable: OnUnmappable::Escape },
    Options { invalid_utf8: InvalidUtf8::Close, on_error: OnError::Close, on_unmappable: OnUnmappable::Close },
];

/// A pipeline of steps as they are written in the configuration.
fn pipeline(steps: &[&str], options: Options) -> Pipeline {
    Pipeline::new(steps.iter().map(|written| step(written, options)).collect())
}

fn invalid_utf8(invalid_utf8: InvalidUtf8) -> Options {
    Options { invalid_utf8, ..Options::default() }
}

fn context() -> Context {
    Context {
        peer: "192.0.2.7:6000".into(),
        local: "192.0.2.1:5000".into(),
        listener: "default".into(),
        host: "example".into(),
        connection: 1,
    }
}

/// What a connection answers to `pieces`, read one after the other, and how it ends.
fn answer(pipeline: &Pipeline, pieces: &[&[u8]]) -> (Vec<u8>, Result<(), Refusal>) {
    let context = context();
    let (mut memories, mut scratch) = (Memories::default(), Scratch::default());
    let mut answer = Vec::new();
    // The end comes by itself, as it does after a read or a time without one.
    let pieces = pieces.iter().map(|piece| (*piece, false)).chain([(&b""[..], true)]);
    for (piece, end) in pieces {
        let mut piece = piece.to_vec();
        let mut text = Text::new(&mut piece, &mut scratch);
        let done = pipeline.apply(&mut text, &mut memories, &Occasion { end, context: &context });
        answer.extend_from_slice(text.into_bytes());
        if done.is_err() {
            assert!(memories.are_at_rest(), "{pipeline:?} remembers something of a text that it refused");
            return (answer, done);
        }
    }
    assert!(memories.are_at_rest(), "{pipeline:?} remembers something of a text that has ended");
    (answer, Ok(()))
}

fn whole(pipeline: &Pipeline, text: &[u8]) -> (Vec<u8>, Result<(), Refusal>) {
    let context = context();
    let (mut memories, mut scratch) = (Memories::default(), Scratch::default());
    let mut bytes = text.to_vec();
    let mut text = Text::new(&mut bytes, &mut scratch);
    let done = pipeline.apply(&mut text, &mut memories, &Occasion { end: true, context: &context });
    let answer = text.into_bytes().to_vec();
    assert!(memories.are_at_rest(), "{pipeline:?} remembers something of a text that has ended");
    (answer, done)
}

/// `text` in pieces that end where `cuts` say.
fn cut<'t>(text: &'t [u8], cuts: &[usize]) -> Vec<&'t [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (text.len() + 1)).collect();
    cuts.sort_unstable();
    let ends = cuts.iter().copied().chain([text.len()]);
    let starts = [0].into_iter().chain(cuts.iter().copied());
    starts.zip(ends).map(|(start, end)| &text[start..end]).collect()
}

/// Text in which the rules of case, of order and of space are at work, with bytes between that are no text.
fn awkward() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::sample::select(vec![
        "Σ",
        "Σ",
        "Σ",
        "ΟΔΟΣ",
        "Α",
        "σ",
        "ς",
        "a",
        "B",
        "shout",
        " ",
        "\n",
        "'",
        ".",
        ":",
        "\u{AD}",
        "\u{301}",
        "\u{345}",
        "\u{10A0F}",
        "\u{E0100}",
        "ʰ",
        "ⓐ",
        "ǅ",
        "ß",
        "ẞ",
        "İ",
        "ı",
        "ŉ",
        "ΐ",
        "ﬃ",
        "ᾳ",
        "ᾼ",
        "Ⱥ",
        "ɐ",
        "K",
        "é",
        "Ж",
        "ა",
        "Ა",
        "ꭰ",
        "𐐨",
        "𐐀",
        "語",
        "😀",
        "𠀀",
        "\u{FFFD}",
        "\0",
        "ǆ",
        "ﬓ",
        "\t",
        "\t",
        "\r",
        "\r",
        "\r\n",
        "\u{A0}",
        "\u{3000}",
        "\u{85}",
        "\u{2028}",
        "e",
        "\u{323}",
        "\u{338}",
        "=",
        "\u{344}",
        "\u{958}",
        "ﷺ",
        "½",
        "\u{FF9E}",
        "\u{1D160}",
        "\u{1100}",
        "\u{1161}",
        "\u{11A8}",
        "가",
        "각",
        "क",
        "\u{94D}",
        "\u{200D}",
        "👩",
        "👩‍🚀",
        "🇨",
        "🇭",
    ]);
    let invalid = prop::sample::select(vec![
        &b"\xFF"[..],
        b"\x80",
        b"\xC3",
        b"\xCE",
        b"\xE2\x82",
        b"\xE1",
        b"\xF0\x9F\x98",
        b"\xF0\x9F",
        b"\xED\xA0\x80",
        b"\xC0\x80",
        b"\xE0\x80\xA0",
        b"\xF4\x90\x80\x80",
        b"\xF5\x80\x80\x80",
    ]);
    // Whole and broken pieces of what the steps that decode read.
    let encoded = vec![
        "aGVsbG8=",
        "/+A=",
        "QQ==",
        "QR==",
        "QQ=",
        "QUJD",
        "=",
        "Q",
        "6c",
        "6C 6c6C",
        "f",
        "F",
        "%C3",
        "%c",
        "%",
        "%%41",
        "{\"a\":[1.10,1e400],\"a\":{}}",
        "[",
        "]",
        "{",
        "}",
        "\"",
        ",",
        "\\",
        "\t",
        "#",
        "red",
        "\r",
    ];
    let piece = prop_oneof![
        12 => words.prop_map(|word| word.as_bytes().to_vec()),
        2 => any::<char>().prop_map(|c| c.to_string().into_bytes()),
        1 => invalid.prop_map(<[u8]>::to_vec),
        1 => any::<u8>().prop_map(|byte| vec![byte]),
        4 => prop::sample::select(encoded).prop_map(|piece| piece.as_bytes().to_vec()),
        // A word whose end lies about as far away as a step looks ahead.
        1 => (26..36_usize, 0..4_usize).prop_map(|(marks, dots)| {
            ["ΑΣ", &"\u{301}".repeat(marks), &".".repeat(dots)].concat().into_bytes()
        }),
        // A segment about as long as a step lets it be, whose last marks belong before the others.
        1 => (58..66_usize, 0..3_usize).prop_map(|(above, below)| {
            ["e", &"\u{301}".repeat(above), &"\u{323}".repeat(below)].concat().into_bytes()
        }),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// Other forms of steps, beside that of their example.
const VARIANTS: [&str; 6] = [
    "expand_tabs",
    "{ expand_tabs = 1 }",
    "{ expand_tabs = 64 }",
    r#"{ normalize = "nfd" }"#,
    r#"{ normalize = "nfkc" }"#,
    r#"{ normalize = "nfkd" }"#,
];

/// The same, for steps that are compiled with a feature.
const LOCALES: &[&str] = if cfg!(feature = "locale") {
    &[
        r#"{ uppercase = { locale = "az" } }"#,
        r#"{ uppercase = { locale = "el" } }"#,
        r#"{ uppercase = { locale = "hy" } }"#,
        r#"{ uppercase = { locale = "lt" } }"#,
        r#"{ lowercase = { locale = "lt" } }"#,
        r#"{ lowercase = { locale = "tr" } }"#,
    ]
} else {
    &[]
};

/// Each step as its example writes it, and in its other forms.
fn steps() -> impl Iterator<Item = (&'static About, &'static str)> + Clone {
    let variants = VARIANTS.iter().chain(LOCALES).map(|written| {
        let name = written.split(['{', ' ']).find(|word| !word.is_empty());
        (REGISTRY.iter().find(|about| Some(about.name) == name).expect(written), *written)
    });
    REGISTRY.iter().map(|about| (about, about.example.step)).chain(variants)
}

fn streaming() -> impl Iterator<Item = &'static str> + Clone {
    steps().map(|(_, written)| written).filter(|written| !step(written, Options::default()).needs_messages())
}

/// Each streaming step by itself, and before one other; each pair of them has its `turn`.
fn chains(turn: usize) -> impl Iterator<Item = Vec<&'static str>> {
    let others = streaming().cycle().skip(turn % streaming().count());
    let pairs = streaming().zip(others).map(|(first, second)| vec![first, second]);
    streaming().map(|step| vec![step]).chain(pairs)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 160, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_cut_of_the_bytes_gives_the_same_answer(
        text in awkward(),
        cuts in prop::collection::vec(any::<usize>(), 0..6),
        turn in any::<usize>(),
    ) {
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        for policy in POLICIES {
            for chain in chains(turn) {
                let pipeline = pipeline(&chain, policy);
                let expected = whole(&pipeline, &text);
                for pieces in [&cut(&text, &cuts), &bytes] {
                    prop_assert_eq!(answer(&pipeline, pieces), expected.clone(), "{:?} {:?} {:x?}", chain, policy, pieces);
                }
            }
        }
    }

    #[test]
    fn no_answer_is_longer_than_its_step_declares(text in awkward()) {
        for policy in POLICIES {
            for (_, step) in steps() {
                let pipeline = pipeline(&[step], policy);
                let (answer, _) = whole(&pipeline, &text);
                prop_assert!(answer.len() <= pipeline.growth().of(text.len()), "{} {:?}", step, policy);
            }
        }
    }

    #[test]
    fn what_one_step_makes_another_undoes(text in awkward()) {
        for (about, step) in steps() {
            if let Some(inverse) = about.undone_by {
                let (answer, done) = whole(&pipeline(&[step, inverse], Options::default()), &text);
                prop_assert_eq!((answer.escape_ascii().to_string(), done), (text.escape_ascii().to_string(), Ok(())), "{}", step);
            }
        }
    }

    #[test]
    fn with_replace_the_case_is_that_of_the_lossy_text(text in awkward()) {
        let lossy = String::from_utf8_lossy(&text);
        let (upper, _) = whole(&pipeline(&["uppercase"], invalid_utf8(InvalidUtf8::Replace)), &text);
        prop_assert_eq!(String::from_utf8_lossy(&upper), lossy.to_uppercase());
        // No sigma of so short a text can have its word's end beyond the look-ahead.
        let text = &text[..text.len().min(64)];
        let (lower, _) = whole(&pipeline(&["lowercase"], invalid_utf8(InvalidUtf8::Replace)), text);
        prop_assert_eq!(String::from_utf8_lossy(&lower), String::from_utf8_lossy(text).to_lowercase());
    }

    #[test]
    fn with_replace_bytes_that_are_no_text_are_what_stands_for_them(text in awkward()) {
        let lossy = String::from_utf8_lossy(&text);
        for step in [
            "uppercase",
            "lowercase",
            "titlecase",
            "capitalize",
            "swapcase",
            "casefold",
            "trim",
            "squeeze",
            "expand_tabs",
            "strip_controls",
            r#"{ normalize = "nfc" }"#,
            r#"{ normalize = "nfkd" }"#,
        ] {
            let pipeline = pipeline(&[step], invalid_utf8(InvalidUtf8::Replace));
            prop_assert_eq!(whole(&pipeline, &text), whole(&pipeline, lossy.as_bytes()), "{}", step);
        }
    }

    #[test]
    fn with_close_the_answer_ends_where_the_text_does(text in awkward()) {
        for name in streaming() {
            let (answer, done) = whole(&pipeline(&[name], invalid_utf8(InvalidUtf8::Close)), &text);
            if done == Err(Refusal::InvalidUtf8) {
                let valid = text.utf8_chunks().next().expect("bytes that are not UTF-8").valid();
                let (expected, _) = whole(&pipeline(&[name], invalid_utf8(InvalidUtf8::Close)), valid.as_bytes());
                prop_assert_eq!(answer, expected, "{}", name);
            }
        }
    }
}

#[test]
fn every_scalar_value_has_the_case_that_the_standard_library_gives_it() {
    let together: String = ('\0'..=char::MAX).collect();
    // A space neither changes nor is part of a word, so here each character stands alone.
    let apart: String = together.chars().flat_map(|c| [c, ' ']).collect();
    for text in [together, apart] {
        for (name, map) in [("uppercase", str::to_uppercase as fn(&str) -> String), ("lowercase", str::to_lowercase)] {
            let (answer, _) = whole(&pipeline(&[name], invalid_utf8(InvalidUtf8::Close)), text.as_bytes());
            assert!(answer == map(&text).into_bytes(), "{name}");
        }
    }
}

#[test]
fn no_sequence_of_bytes_passes_for_a_character_that_it_is_not() {
    let mut text = Vec::new();
    // The second bytes are the bounds of table 3-7 of the Unicode Standard, "Well-Formed UTF-8 Byte Sequences".
    let seconds = [0x00, 0x01, 0x02, 0x3F, 0x40, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF_u8];
    for (first, second) in (0x80..=0xFF_u8).flat_map(|first| seconds.map(|second| (first, second))) {
        for rest in
            [&b"x"[..], b"\x80x", b"\x84\xB4", b"\xBFx", b"\x80\x80x", b"\xBF\xBFx", b"\x80\xC0x", b"\x80\x80\x80x"]
        {
            // Whether it comes by itself or in a run of characters of some length.
            for before in ["", "é", "語", "😀"] {
                text.extend(before.bytes().chain([first, second]).chain(rest.iter().copied()));
            }
        }
    }
    let lossy = String::from_utf8_lossy(&text);
    for (name, expected) in [("uppercase", lossy.to_uppercase()), ("lowercase", lossy.to_lowercase())] {
        let (answer, _) = whole(&pipeline(&[name], invalid_utf8(InvalidUtf8::Replace)), &text);
        assert!(answer == expected.into_bytes(), "{name}");
    }
    // no byte that is none of a character changes, whatever it looks like beside the next
    for (name, map) in [("uppercase", str::to_uppercase as fn(&str) -> String), ("lowercase", str::to_lowercase)] {
        let chunks = text.utf8_chunks().map(|chunk| [map(chunk.valid()).as_bytes(), chunk.invalid()].concat());
        let (answer, _) = whole(&pipeline(&[name], invalid_utf8(InvalidUtf8::Pass)), &text);
        assert!(answer == chunks.collect::<Vec<_>>().concat(), "{name}");
    }
}

#[test]
fn every_step_does_what_its_example_says() {
    for about in REGISTRY {
        let step = about.example.step;
        let (answer, done) = whole(&pipeline(&[step], Options::default()), about.example.input);
        let answer = answer.escape_ascii().to_string();
        assert_eq!((answer, done), (about.example.output.escape_ascii().to_string(), Ok(())), "{step}");
    }
}

#[test]
fn every_step_answers_any_bytes_and_none() {
    for (_, step) in steps() {
        for policy in POLICIES {
            for text in [&b""[..], b"\n", b"\xFF", b"\xF0\x9F", b"a\xFFb\xC3"] {
                let (_, _) = whole(&pipeline(&[step], policy), text);
            }
        }
    }
}

#[test]
fn every_step_has_a_name_of_its_own_and_says_what_it_does() {
    for about in REGISTRY {
        let named = |other: &&About| other.name == about.name;
        assert_eq!(REGISTRY.iter().filter(named).count(), 1, "{}", about.name);
        assert!(about.name.starts_with(|c: char| c.is_ascii_lowercase()), "{}", about.name);
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        assert!(about.name.chars().all(allowed), "{}", about.name);
        assert!(!about.summary.trim().is_empty() && !about.summary.contains('\n'), "{}", about.name);
        assert!(!about.source.is_empty(), "{}", about.name);
        let step = about.example.step;
        assert!(step == about.name || step.starts_with(&format!("{{ {} = ", about.name)), "{step}");
    }
}
