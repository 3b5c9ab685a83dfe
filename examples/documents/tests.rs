use super::documents;
use clap::CommandFactory;
use shoutd::cli::Cli;
use shoutd::session::EndReason;
use shoutd::{config, framing, transform};
use std::process::Command;

fn document(name: &str) -> String {
    documents().into_iter().find_map(|(other, text)| (other == name).then_some(text)).unwrap()
}

/// What a reader of a page sees, on one line.
fn plain(page: &str) -> String {
    let escapes = [(r"\fB", ""), (r"\fI", ""), (r"\fR", ""), (r"\-", "-"), (r"\&", ""), (r"\*(Aq", "'")];
    let accents = [(r"\(ti", "~"), (r"\(ha", "^"), (r"\(ga", "`"), (r"\\", r"\")];
    let text =
        [&escapes[..], &accents].concat().iter().fold(page.to_owned(), |text, (from, to)| text.replace(from, to));
    let line = |line: &str| line.strip_prefix('.').map_or(line.to_owned(), |line| line.replace('"', ""));
    text.lines().map(line).collect::<Vec<_>>().join(" ")
}

/// A folder that has all documents.
fn written() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    super::write(folder.path()).unwrap();
    folder
}

/// What a shell prints, with the documents in its working directory.
fn printed(shell: &str, flags: &[&str], script: &str) -> String {
    let folder = written();
    let output = Command::new(shell).args(flags).args(["-c", script]).current_dir(&folder).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{shell}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// That each word of `text` stands somewhere in `page`, in whatever case.
#[track_caller]
fn has_all(page: &str, text: &str) {
    let page = page.to_lowercase();
    for word in text.split_whitespace() {
        let word = word.replace('`', "").trim_end_matches(':').to_lowercase();
        assert!(page.contains(&word), "{word}");
    }
}

#[test]
fn the_page_of_the_program_says_all_that_help_says() {
    let page = plain(&document("shoutd.1"));
    let text = |text: Option<&clap::builder::StyledStr>| text.map(ToString::to_string).unwrap_or_default();
    let command = Cli::command();
    has_all(&page, &text(command.get_long_about()));
    has_all(&page, &text(command.get_after_long_help()).replace("Exit codes:", "EXIT STATUS"));
    assert!(command.get_subcommands().count() > 5);
    for verb in command.get_subcommands() {
        assert!(page.contains(&format!("SS shoutd {} ", verb.get_name())), "{}", verb.get_name());
        has_all(&page, &text(verb.get_about()));
        has_all(&page, &text(verb.get_after_help()));
        for arg in verb.get_arguments() {
            assert!(arg.get_long().is_none_or(|long| page.contains(&format!("TP --{long} "))), "{arg}");
            has_all(&page, &text(arg.get_help()));
        }
    }
}

#[test]
fn the_page_of_the_configuration_has_every_key_at_its_default() {
    let page = plain(&document("shoutd.toml.5"));
    let entries = config::built_in().unwrap().effective;
    assert!(entries.len() > 20);
    for entry in entries {
        // or in the table that is the value of another key
        let (table, key) = entry.path.rsplit_once('.').unwrap_or_default();
        let within = || page.split_once(&format!(" {table} = {{ ")).unwrap().1.contains(&format!("{key} = "));
        assert!(page.contains(&format!(" {} = ", entry.path)) || within(), "{}", entry.path);
    }
    let rule = |line: &&str| !line.starts_with("# ----") && !line.starts_with('[');
    for line in include_str!("../../config/full.toml").lines().filter(rule) {
        has_all(&page, line.trim_start_matches('#'));
    }
}

#[test]
fn the_page_of_the_configuration_has_every_step_framing_and_end() {
    let page = plain(&document("shoutd.toml.5"));
    for about in transform::REGISTRY {
        assert!(
            page.contains(&format!("TP {} {}", about.example.step, about.summary.replace('`', ""))),
            "{}",
            about.name
        );
    }
    for about in framing::REGISTRY {
        assert!(page.contains(&format!("TP {} {}", about.name, about.summary.replace('`', ""))), "{}", about.name);
    }
    for reason in EndReason::ALL {
        let (_, meaning) = page.rsplit_once(&format!("TP {} ", reason.word())).unwrap();
        assert!(meaning.starts_with(|c: char| c.is_lowercase()), "{}: {meaning}", reason.word());
    }
}

#[test]
#[ignore = "needs man-db and groff"]
fn the_pages_are_typeset_without_a_warning() {
    let folder = written();
    for page in ["shoutd.1", "shoutd.toml.5"] {
        for arguments in [&["man", "--warnings", "-l"][..], &["groff", "-man", "-Kutf8", "-Tutf8", "-ww"]] {
            let mut command = Command::new(arguments[0]);
            command.args(&arguments[1..]).arg(folder.path().join(page)).env("LC_ALL", "C.UTF-8");
            let output = command.output().unwrap();
            assert!(output.status.success() && output.stderr.is_empty(), "{page}: {output:?}");
            assert!(output.stdout.len() > 4000, "{page}");
        }
    }
}

#[test]
#[ignore = "needs bash"]
fn bash_completes_verbs_flags_words_and_steps() {
    // as bash calls it: the command, the word under way, the word before it
    let offered = |words: &str| {
        let script = format!(
            "source shoutd.bash; complete -p shoutd > /dev/null; COMP_WORDS=(shoutd {words}); \
             COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); compopt() {{ :; }}; \
             _shoutd shoutd \"${{COMP_WORDS[-1]}}\" \"${{COMP_WORDS[-2]}}\"; echo \"${{COMPREPLY[*]}}\""
        );
        printed("bash", &["--norc"], &script).trim_end().to_owned()
    };
    assert_eq!(offered("ch"), "check");
    assert_eq!(offered("transforms --ma"), "--markdown");
    assert_eq!(offered("transform --framing len"), "length32");
    assert_eq!(offered("transform upp"), "uppercase");
    assert_eq!(offered("check -c shoutd.to"), "shoutd.toml.5");
}

#[test]
#[ignore = "needs zsh and fish"]
fn zsh_and_fish_take_their_completions() {
    let script =
        "fpath=($PWD $fpath); autoload -Uz compinit; compinit -D -u; print $_comps[shoutd]; autoload -Uz +X _shoutd";
    assert_eq!(printed("zsh", &["-f"], script), "_shoutd\n");
    let printed = printed("fish", &["--no-config"], "source shoutd.fish; complete -C 'shoutd transform --framing len'");
    assert_eq!(printed, "length32\n");
}
