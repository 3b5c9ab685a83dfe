//! The steps beside CPython, which has most of what they do in its library.
//!
//! Ignored, as all of it needs python3; CI runs it.

#[path = "../common/mod.rs"]
mod common;

mod charsets;
mod coding;
mod words;

use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;

/// What the script of this folder prints when it reads `input`.
fn python(script: &str, input: &[u8]) -> Vec<u8> {
    let path = format!("{}/tests/cpython/{script}", env!("CARGO_MANIFEST_DIR"));
    let mut child = Command::new("python3")
        .arg(&path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("python3: {error}"));
    let (mut stdin, input) = (child.stdin.take().unwrap(), input.to_vec());
    // It may answer before it has read everything.
    let sending = thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    sending.join().unwrap().unwrap();
    assert!(output.status.success(), "{path}: {}", output.status);
    output.stdout
}
