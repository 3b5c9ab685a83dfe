//! The program: what the command line asks for, and how a failure is told.

use clap::Parser;
use shoutd::cli::Cli;
use shoutd::failure::Failure;
use std::io::Write;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

/// How long the end of the program waits for its last words to be written.
const FAREWELL: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    let Err(failure) = Cli::parse().run() else { return ExitCode::SUCCESS };
    let exit = failure.exit;
    tell(&failure);
    ExitCode::from(exit as u8)
}

/// Writes `failure` to stderr; where that is a pipe which nobody reads, the exit code has to do.
fn tell(failure: &Failure) {
    let text = failure.to_string();
    // a text of several lines is a report that stands by itself, with places that editors find
    let head = if text.contains('\n') { "" } else { "error: " };
    let words = format!("{head}{text}\n");
    let write = |words: &str| {
        let _ = std::io::stderr().lock().write_all(words.as_bytes());
    };
    let (done, told) = mpsc::channel();
    let copy = words.clone();
    let writer = std::thread::Builder::new().spawn(move || {
        write(&copy);
        let _ = done.send(());
    });
    match writer {
        Ok(_) => drop(told.recv_timeout(FAREWELL)),
        // it may be threads that the system has no more of
        Err(_) => write(&words),
    }
}
