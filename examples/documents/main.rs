//! Writes the manual pages and the shells' completions into a folder, for whoever packages shoutd:
//!
//!     cargo run --release --example documents -- target/documents
//!
//! They are made of what the program itself runs: its command line, its help, its registries and
//! `config/full.toml`. An example, so that what makes them is no part of the program.

mod command;
mod completions;
mod format;
mod page;

use std::path::Path;
use std::process::ExitCode;
use std::{env, fs, io};

fn main() -> ExitCode {
    let Some(folder) = env::args_os().nth(1) else {
        eprintln!("usage: documents FOLDER");
        return ExitCode::from(2);
    };
    match write(Path::new(&folder)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: cannot write the documents to {}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}

fn write(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    documents().into_iter().try_for_each(|(name, text)| fs::write(folder.join(name), text))
}

/// Each document with the name of its file.
fn documents() -> Vec<(String, String)> {
    let pages = [("shoutd.1", command::page()), ("shoutd.toml.5", format::page())];
    pages.map(|(name, text)| (name.to_owned(), text)).into_iter().chain(completions::all()).collect()
}

#[cfg(test)]
mod tests;
