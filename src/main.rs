//! The program: what the command line asks for, and how a failure is told.

use clap::Parser;
use shoutd::cli::Cli;
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Err(failure) = Cli::parse().run() else { return ExitCode::SUCCESS };
    // a text of several lines is a report that stands by itself, with places that editors find
    let head = if failure.text.contains('\n') { "" } else { "error: " };
    // with nobody to tell, the exit code has to do
    let _ = writeln!(std::io::stderr().lock(), "{head}{failure}");
    ExitCode::from(failure.exit as u8)
}
