//! What clients send: text in several scripts, broken characters, and messages of each framing.

use fastrand::Rng;

/// What ends a message under `delimiter`.
pub const DELIMITER: &[u8] = b"<>";

/// Up to 60 pieces of text, some of which are no text, and some line ends.
pub fn text(rng: &mut Rng) -> Vec<u8> {
    const PIECES: [&[u8]; 16] = [
        b"hello",
        b"\n",
        b"\r\n",
        b"\r",
        b"<>",
        b"<",
        "straße".as_bytes(),
        "ﬁ".as_bytes(),
        "ΟΔΟΣ".as_bytes(),
        "дом".as_bytes(),
        "漢字".as_bytes(),
        "🦀".as_bytes(),
        b"\xFF",
        b"\xE2\x82",
        b"\0",
        b" a longer piece of plain text, ",
    ];
    (0..rng.usize(0..60)).flat_map(|_| rng.choice(PIECES).unwrap().to_vec()).collect()
}

/// What a client sends to a service of this framing: nearly always messages, at times with a fault.
pub fn input(rng: &mut Rng, framing: &str) -> Vec<u8> {
    let mut messages = |frame: fn(&[u8]) -> Vec<u8>| -> Vec<u8> {
        let mut all: Vec<u8> = (0..rng.usize(0..20))
            .flat_map(|_| {
                let text = text(rng);
                frame(text.get(..rng.usize(0..130)).unwrap_or(&text))
            })
            .collect();
        if rng.u8(..) < 60 && !all.is_empty() {
            let at = rng.usize(0..all.len());
            all[at] = rng.u8(..);
        }
        all.truncate(all.len() - if rng.bool() { 0 } else { rng.usize(0..=all.len().min(9)) });
        all
    };
    match framing {
        "length32" => messages(|text| [&u32::try_from(text.len()).unwrap().to_be_bytes(), text].concat()),
        "netstring" => messages(|text| [format!("{}:", text.len()).as_bytes(), text, b","].concat()),
        _ => text(rng),
    }
}
