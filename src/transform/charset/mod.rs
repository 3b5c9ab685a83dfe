//! `decode` and `encode`: from the bytes of a charset to UTF-8, and back.
//!
//! Charsets of one byte a character are read from tables (`single`), the others by `encoding_rs`
//! (`multi`); UTF-16, which the web only reads, is written here. Nothing here guesses a charset, and
//! a byte order mark is a character like any other.

mod decode;
mod encode;
mod multi;
mod names;
mod single;
mod tables;
#[cfg(test)]
mod tests;

pub(super) use decode::Decode;
pub(super) use encode::Encode;
