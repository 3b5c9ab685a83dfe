//! `decode` and `encode` at work: any cut, every policy, every charset.

use super::super::registry::{Listed, NoFiles, Site};
use super::super::{
    Context, InvalidUtf8, Memory, Occasion, OnError, OnUnmappable, Options, Refusal, Scratch, Step, Text,
};
use super::{Decode, Encode, multi};
use encoding_rs::Encoding;

/// Charsets in which a character takes several bytes, or a byte's meaning depends on others.
const MULTI: [&str; 10] =
    ["utf-8", "utf-16le", "utf-16be", "shift_jis", "euc-jp", "iso-2022-jp", "gbk", "gb18030", "big5", "euc-kr"];

/// Charsets of one byte a character.
const SINGLE: [&str; 14] = [
    "ascii",
    "latin1",
    "iso-8859-9",
    "iso-8859-11",
    "cp437",
    "cp850",
    "cp037",
    "cp500",
    "cp1047",
    "cp1252",
    "cp1253",
    "koi8-r",
    "macintosh",
    "x-user-defined",
];

fn step<T: Listed<Own = String>>(name: &str, options: Options) -> T {
    T::new(Some(name.to_owned()), &Site { options, files: &NoFiles }).unwrap_or_else(|error| panic!("{error}"))
}

fn on_error(on_error: OnError) -> Options {
    Options { on_error, ..Options::default() }
}

fn on_unmappable(on_unmappable: OnUnmappable) -> Options {
    Options { on_unmappable, ..Options::default() }
}

fn call(step: &dyn Step, piece: &[u8], end: bool, memory: &mut Memory, answer: &mut Vec<u8>) -> Result<(), Refusal> {
    let (mut piece, mut scratch) = (piece.to_vec(), Scratch::default());
    let mut text = Text::new(&mut piece, &mut scratch);
    let done = step.apply(&mut text, memory, &Occasion { end, context: Context::nobody() });
    answer.extend_from_slice(text.into_bytes());
    done
}

/// What becomes of `pieces` and the end that comes by itself.
fn answer(step: &dyn Step, pieces: &[&[u8]]) -> (Vec<u8>, Result<(), Refusal>) {
    let (mut memory, mut answer) = (Memory::default(), Vec::new());
    for (piece, end) in pieces.iter().map(|piece| (*piece, false)).chain([(&b""[..], true)]) {
        let done = call(step, piece, end, &mut memory, &mut answer);
        if done.is_err() {
            return (answer, done);
        }
    }
    assert!(memory.is_at_rest());
    (answer, Ok(()))
}

fn decoded(name: &str, bytes: &[u8]) -> (String, Result<(), Refusal>) {
    let (text, done) = answer(&step::<Decode>(name, on_error(OnError::Close)), &[bytes]);
    (String::from_utf8(text).unwrap(), done)
}

fn encoded(name: &str, text: &str, options: Options) -> (Vec<u8>, Result<(), Refusal>) {
    answer(&step::<Encode>(name, options), &[text.as_bytes()])
}

const EVERY_POLICY: [Options; 4] = [
    Options { invalid_utf8: InvalidUtf8::Pass, on_error: OnError::Pass, on_unmappable: OnUnmappable::Replace },
    Options { invalid_utf8: InvalidUtf8::Replace, on_error: OnError::Reply, on_unmappable: OnUnmappable::Escape },
    Options { invalid_utf8: InvalidUtf8::Close, on_error: OnError::Close, on_unmappable: OnUnmappable::Close },
    Options { invalid_utf8: InvalidUtf8::Pass, on_error: OnError::Pass, on_unmappable: OnUnmappable::Escape },
];

#[test]
fn known_texts_have_the_bytes_that_everybody_gives_them() {
    for (name, text, bytes) in [
        ("latin1", "é\u{85}", &b"\xE9\x85"[..]),
        ("cp1252", "café €", b"caf\xE9 \x80"),
        ("cp437", "█é", b"\xDB\x82"),
        ("cp850", "Ø", b"\x9D"),
        ("cp037", "Hello\n[]^", b"\xC8\x85\x93\x93\x96\x25\xBA\xBB\xB0"),
        ("cp500", "Hello\n[]^", b"\xC8\x85\x93\x93\x96\x25\x4A\x5A\x5F"),
        ("cp1047", "Hello\n[]^\u{85}", b"\xC8\x85\x93\x93\x96\x25\xAD\xBD\x5F\x15"),
        ("utf-8", "é😀", b"\xC3\xA9\xF0\x9F\x98\x80"),
        ("utf-16le", "A€😀", b"A\0\xAC\x20\x3D\xD8\x00\xDE"),
        ("utf-16be", "A€😀", b"\0A\x20\xAC\xD8\x3D\xDE\x00"),
        ("shift_jis", "日本", b"\x93\xFA\x96\x7B"),
        ("euc-jp", "日本", b"\xC6\xFC\xCB\xDC"),
        ("iso-2022-jp", "a日本b", b"a\x1B$BF|K\\\x1B(Bb"),
        ("gb18030", "中😀", b"\xD6\xD0\x94\x39\xFC\x36"),
        ("big5", "中", b"\xA4\xA4"),
        ("euc-kr", "한", b"\xC7\xD1"),
    ] {
        assert_eq!(decoded(name, bytes), (text.to_owned(), Ok(())), "{name}");
        assert_eq!(encoded(name, text, on_unmappable(OnUnmappable::Close)), (bytes.to_vec(), Ok(())), "{name}");
    }
}

#[test]
fn each_byte_of_a_table_comes_back_from_its_character() {
    for name in SINGLE {
        for byte in 0..=u8::MAX {
            let (text, done) = decoded(name, &[byte]);
            if done.is_ok() {
                assert_eq!(text.chars().count(), 1, "{name} {byte:02x}");
                let back = encoded(name, &text, on_unmappable(OnUnmappable::Close));
                assert_eq!(back, (vec![byte], Ok(())), "{name} {byte:02x}");
            } else {
                assert!(["ascii", "iso-8859-11", "cp1253"].contains(&name), "{name} {byte:02x}");
            }
        }
        // in runs longer than what is read at once, among others
        let bytes: Vec<u8> = (0..=u8::MAX).filter(|byte| decoded(name, &[*byte]).1.is_ok()).collect();
        let bytes = bytes.repeat(3);
        assert_eq!(encoded(name, &decoded(name, &bytes).0, Options::default()).0, bytes, "{name}");
    }
}

#[test]
fn any_two_cuts_give_the_same_text_and_the_same_bytes() {
    let text = "aé日\\~¥本語かﾊﾝ한€😀\u{FFFD}中\nz";
    for name in MULTI.into_iter().chain(["latin1", "cp1047"]) {
        let (mut bytes, _) = encoded(name, text, Options::default());
        // what no charset knows, and what is half a character in most
        bytes.extend(b"\xFFx\x811\x1B$B!\x1B(\x81\x30\x81x\xD8\x00\x00\xD8a\x1B(BF\x1B(I1\xE3\x82");
        let text = [text.as_bytes(), b"\xE2\x82x\xFF", text.as_bytes(), b"\xF0\x9F"].concat();
        for options in EVERY_POLICY {
            let (decode, encode) = (step::<Decode>(name, options), step::<Encode>(name, options));
            for (step, whole) in [(&decode as &dyn Step, &bytes), (&encode as &dyn Step, &text)] {
                let mut expected = Vec::new();
                let done = call(step, whole, true, &mut Memory::default(), &mut expected);
                for second in 0..=whole.len() {
                    for first in 0..=second {
                        let pieces = [&whole[..first], &whole[first..second], &whole[second..]];
                        assert_eq!(
                            answer(step, &pieces),
                            (expected.clone(), done.clone()),
                            "{name} {options:?} {pieces:x?}"
                        );
                    }
                }
                let bytes: Vec<&[u8]> = whole.chunks(1).collect();
                assert_eq!(answer(step, &bytes), (expected, done), "{name} {options:?}");
            }
        }
    }
}

#[test]
fn bytes_that_mean_nothing_come_back_or_are_refused_where_they_stand() {
    for (name, bytes, passed, before, told) in [
        ("ascii", &b"ab\xFFc"[..], &b"ab\xFFc"[..], &b"ab"[..], "0xFF is not ascii, at byte 2"),
        ("cp1253", b"\xE1\xAA\xE1", b"\xCE\xB1\xAA\xCE\xB1", "α".as_bytes(), "0xAA is not cp1253, at byte 1"),
        ("utf-8", b"\xC3\xA9\xE2\x82x", b"\xC3\xA9\xE2\x82x", b"\xC3\xA9", "0xE282 is not utf-8, at byte 2"),
        ("Shift_JIS", b"\x93\xFA\x81 x", b"\xE6\x97\xA5\x81 x", "日".as_bytes(), "0x81 is not Shift_JIS, at byte 2"),
        ("Shift_JIS", b"a\x93", b"a\x93", b"a", "0x93 is not Shift_JIS, at byte 1"),
        ("gb18030", b"a\x81\x30\x81x", b"a\x810\xE4\xBA\x81", b"a", "0x81 is not gb18030, at byte 1"),
        ("gb18030", b"a\x81\x30\x81", b"a\x81\x30\x81", b"a", "0x813081 is not gb18030, at byte 1"),
        ("utf-16le", b"\x00\xD8a\0", b"\x00\xD8a", b"", "0x00D8 is not utf-16le, at byte 0"),
        ("utf-16be", b"\0a\xD8\x00\0", b"a\xD8\x00\0", b"a", "0xD80000 is not utf-16be, at byte 2"),
        ("iso-2022-jp", b"\x1B$BF|F\x1B(Bz", "日Fz".as_bytes(), "日".as_bytes(), "0x46 is not iso-2022-jp, at byte 5"),
        ("iso-2022-jp", b"a\x1B(", b"a\x1B(", b"a", "0x1B is not iso-2022-jp, at byte 1"),
    ] {
        let refusal = Refusal::Reply(format!("error: decode: {told}"));
        for (policy, expected) in [
            (OnError::Pass, (passed.to_vec(), Ok(()))),
            (OnError::Reply, (before.to_vec(), Err(refusal))),
            (OnError::Close, (before.to_vec(), Err(Refusal::BadInput))),
        ] {
            let step = step::<Decode>(name, on_error(policy));
            assert_eq!(answer(&step, &[bytes]), expected, "{name} {bytes:x?} {policy:?}");
        }
    }
}

#[test]
fn a_position_is_counted_from_the_beginning_of_the_text() {
    let decode = step::<Decode>("shift_jis", on_error(OnError::Reply));
    let refusal = Refusal::Reply("error: decode: 0x93 is not shift_jis, at byte 7".to_owned());
    assert_eq!(answer(&decode, &[b"abc", b"\x93", b"\xFAd", b"e\x93", b" "]), ("abc日de".into(), Err(refusal)));
    let mut memory = Memory::default();
    for _ in 0..2 {
        call(&decode, b"abc", true, &mut memory, &mut Vec::new()).unwrap();
        assert!(memory.is_at_rest(), "the next text begins anew");
    }
}

#[test]
fn no_byte_is_lost_and_none_is_read_twice() {
    let mut random = fastrand::Rng::with_seed(7);
    for name in MULTI.into_iter().filter(|name| *name != "iso-2022-jp") {
        let encoding = Encoding::for_label(name.as_bytes()).unwrap();
        for _ in 0..4000 {
            let pool = if random.bool() { &b"\x81\x30\xFE\x8Fa\x40\xA1\xD8\xDC\x00"[..] } else { b"" };
            let bytes: Vec<u8> =
                (0..random.usize(..12)).map(|_| *pool.get(random.usize(..16)).unwrap_or(&random.u8(..))).collect();
            let (mut bad, mut text) = (Vec::new(), Vec::new());
            multi::read(encoding, None, (&bytes, true), &mut text, &mut Memory::default(), |at, len, _| {
                bad.push((at, len));
                Ok(())
            })
            .unwrap();
            // What is between the bytes that mean nothing is read alike when it stands alone.
            let (mut from, mut parts) = (0, String::new());
            for (at, len) in bad.into_iter().chain([(bytes.len(), 0)]) {
                parts += &encoding.decode_without_bom_handling_and_without_replacement(&bytes[from..at]).unwrap();
                from = at + len;
            }
            assert_eq!(String::from_utf8(text).unwrap(), parts, "{name} {bytes:x?}");
        }
    }
}

#[test]
fn an_escape_after_an_escape_is_no_mistake() {
    // as two texts written one by one and read as one have it
    let two = b"\x1B$BF|\x1B(B\x1B$BF|\x1B(B";
    assert_eq!(decoded("iso-2022-jp", two), ("日日".to_owned(), Ok(())));
}

#[test]
fn between_two_texts_nothing_is_remembered_that_need_not_be() {
    for (name, piece, rest) in [
        ("shift_jis", &b"\x93\xFA"[..], true),
        ("shift_jis", b"\x93", false),
        ("iso-2022-jp", b"abc", true),
        ("iso-2022-jp", b"abc\x1B", false),
        ("iso-2022-jp", b"\x1B$BF|", false),
        ("iso-2022-jp", b"\x1B$BF|\x1B(Babc", true),
        ("utf-16le", b"a\0b", false),
        ("cp1047", b"\x25", true),
    ] {
        let mut memory = Memory::default();
        call(&step::<Decode>(name, Options::default()), piece, false, &mut memory, &mut Vec::new()).unwrap();
        assert_eq!(memory.is_at_rest(), rest, "{name} {piece:x?}");
    }
    for (name, piece, rest) in [("iso-2022-jp", "日", false), ("iso-2022-jp", "日b", true), ("shift_jis", "日", true)]
    {
        let mut memory = Memory::default();
        let encode = step::<Encode>(name, Options::default());
        call(&encode, piece.as_bytes(), false, &mut memory, &mut Vec::new()).unwrap();
        assert_eq!(memory.is_at_rest(), rest, "{name} {piece}");
    }
}

#[test]
fn what_a_charset_lacks_is_replaced_escaped_or_refused() {
    for (name, text, replaced, escaped, before) in [
        ("latin1", "a€b", &b"a?b"[..], &b"a&#8364;b"[..], &b"a"[..]),
        ("ascii", "é😀", b"??", b"&#233;&#128512;", b""),
        ("cp1047", "a€", b"\x81\x6F", b"\x81\x50\x7B\xF8\xF3\xF6\xF4\x5E", b"\x81"),
        ("shift_jis", "日é", b"\x93\xFA?", b"\x93\xFA&#233;", b"\x93\xFA"),
        ("iso-2022-jp", "日é", b"\x1B$BF|\x1B(B?", b"\x1B$BF|\x1B(B&#233;", b"\x1B$BF|\x1B(B"),
        ("iso-2022-jp", "\x1B", b"?", b"&#27;", b""),
    ] {
        for (policy, expected) in [
            (OnUnmappable::Replace, (replaced.to_vec(), Ok(()))),
            (OnUnmappable::Escape, (escaped.to_vec(), Ok(()))),
            (OnUnmappable::Close, (before.to_vec(), Err(Refusal::Unmappable))),
        ] {
            assert_eq!(encoded(name, text, on_unmappable(policy)), expected, "{name} {text} {policy:?}");
        }
    }
}

#[test]
fn bytes_that_are_no_text_are_passed_replaced_or_refused() {
    for (name, passed, replaced) in [
        ("latin1", &b"a\xE2\x82b"[..], &b"a?b"[..]),
        ("gb18030", b"a\xE2\x82b", b"a\x84\x31\xA4\x37b"),
        ("utf-8", b"a\xE2\x82b", b"a\xEF\xBF\xBDb"),
        ("utf-16be", b"\0a\xE2\x82\0b", b"\0a\xFF\xFD\0b"),
    ] {
        for (invalid_utf8, expected) in [
            (InvalidUtf8::Pass, (passed.to_vec(), Ok(()))),
            (InvalidUtf8::Replace, (replaced.to_vec(), Ok(()))),
            (InvalidUtf8::Close, (encoded(name, "a", Options::default()).0, Err(Refusal::InvalidUtf8))),
        ] {
            let step = step::<Encode>(name, Options { invalid_utf8, ..Options::default() });
            assert_eq!(answer(&step, &[b"a\xE2\x82b"]), expected, "{name} {invalid_utf8:?}");
        }
    }
}

#[test]
fn nothing_grows_more_than_is_declared() {
    let some =
        ["", "a", "\\", "\x1B", "é", "Ж", "¥", "߿", "日", "ｱ", "\u{FFFD}", "😀", "\u{10FFFF}"].map(str::as_bytes);
    let parts: Vec<&[u8]> = some.into_iter().chain([&b"\xFF"[..], b"\xE2\x82"]).collect();
    for name in MULTI.into_iter().chain(SINGLE) {
        for options in EVERY_POLICY {
            let (decode, encode) = (step::<Decode>(name, options), step::<Encode>(name, options));
            for (first, second) in parts.iter().flat_map(|first| parts.iter().map(move |second| (*first, *second))) {
                let text = [first, second].concat().repeat(20);
                let (bytes, _) = answer(&encode, &[&text]);
                assert!(bytes.len() <= encode.growth().of(text.len()), "{name} {options:?} {text:x?}");
                let (text, _) = answer(&decode, &[&bytes]);
                assert!(text.len() <= decode.growth().of(bytes.len()), "{name} {options:?} {bytes:x?}");
            }
        }
        let decode = step::<Decode>(name, Options::default());
        for first in 0..=u8::MAX {
            for second in b"\x00\x1B!0\x40Aab\x7F\x80\x81\xA1\xA3\xB1\xD8\xFE\xFF" {
                let (text, _) = answer(&decode, &[&[first, *second]]);
                assert!(text.len() <= decode.growth().of(2), "{name} {first:02x} {second:02x}");
            }
        }
    }
}
