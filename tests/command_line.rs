//! The program itself: what it prints, where, and with which exit code.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn shoutd(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shoutd"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Exit code, standard output and standard error.
fn told(output: Output) -> (i32, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().expect("ended by a signal"), text(output.stdout), text(output.stderr))
}

fn run(arguments: &[&str]) -> (i32, String, String) {
    told(shoutd(arguments).output().unwrap())
}

fn run_with(arguments: &[&str], input: &[u8]) -> Output {
    let mut child =
        shoutd(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input));
        child.wait_with_output().unwrap()
    })
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path.into_os_string().into_string().unwrap()
}

#[test]
fn the_version_tells_that_of_the_character_tables() {
    let (major, minor, update) = char::UNICODE_VERSION;
    let expected = format!("shoutd {} (Unicode {major}.{minor}.{update})\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(run(&["--version"]), (0, expected, String::new()));
}

#[test]
fn the_help_teaches_with_an_example_for_each_verb() {
    let (code, help, errors) = run(&["--help"]);
    assert_eq!((code, errors.as_str()), (0, ""));
    for word in ["nc -N localhost 5000", "Exit codes:", "78", "/etc/shoutd/config.toml"] {
        assert!(help.contains(word), "{word}");
    }
    let talking = ["status", "connections", "peers", "send", "reload", "stop", "log", "kill"];
    for verb in ["run", "check", "config", "transform", "transforms", "unit"].into_iter().chain(talking) {
        assert!(help.lines().any(|line| line.trim_start().starts_with(verb)), "{verb}");
        let (code, help, _) = run(&[verb, "--help"]);
        assert_eq!(code, 0);
        assert!(help.contains("Example") && help.contains(&format!("shoutd {verb}")), "{help}");
    }
}

#[test]
fn a_wrong_command_line_exits_with_2() {
    for arguments in [
        &["chek"][..],
        &["--verbose"],
        &["transform", "upercase"],
        &["transform", "{ uppercase"],
        &["transform", "a\n\u{1b}[2J"],
        &["transform", "--framing", "lines"],
        &["transform", "--max-message", "1K"],
        &["transform", "--max-message", "0"],
        &["transform", "--framing", "delimiter", "--delimiter", ""],
        &["transform", "--framing", "delimiter", "--delimiter", "{ hex = '1' }"],
        &["transform", "--framing-out", "line"],
        &["transform", "--on-long", "ignore"],
        &["config", "--full", "--json"],
        &["config.toml"],
        &["transform", "--listener", "nobody", "-c", "config/config.toml"],
    ] {
        let (code, output, errors) = run(arguments);
        assert_eq!((code, output.as_str()), (2, ""), "{arguments:?}");
        assert!(errors.starts_with("error: ") && !errors.contains('\u{1b}'), "{errors}");
    }
    for (arguments, expected) in [
        (&["transform", "upercase"][..], "unknown step `upercase`; did you mean `uppercase`?"),
        (&["transform", "uppercase,echo"], "several steps are several words; write `uppercase echo`"),
        (&["chek"], "there is no verb `chek`; did you mean `check`?"),
        (&["config.tml"], "there is no verb `config.tml`; did you mean `shoutd -c config.tml`?"),
        (&["Cargo.toml", "check"], "there is no verb `Cargo.toml`; did you mean `shoutd -c Cargo.toml check`?"),
        (&["src"], "there is no verb `src`; did you mean `shoutd -c src`?"),
        (&["zzz"], "there is no verb `zzz`; `shoutd --help` lists them all"),
    ] {
        assert_eq!(run(arguments).2, format!("error: {expected}\n"));
    }
}

#[test]
fn a_good_file_is_called_good() {
    let expected = "config/config.toml: good: default on localhost:5000, uppercase\n".to_owned();
    assert_eq!(run(&["check", "-c", "config/config.toml"]), (0, expected.clone(), String::new()));
    assert_eq!(run(&["-c", "config/config.toml", "check"]), (0, expected, String::new()));
    let expected = "config/full.toml: good: default on localhost:5000, uppercase\n".to_owned();
    assert_eq!(run(&["check", "-c", "config/full.toml"]), (0, expected, String::new()));
}

#[test]
fn a_good_file_may_have_warnings_and_several_listeners() {
    let folder = tempfile::tempdir().unwrap();
    let text = "shutdown.drain_idle = '1h'\n[[listener]]\nname = 'a'\nlisten = 'h:1'\n[[listener]]\nname = 'b'\nlisten = 'h:2'\n";
    let path = write(folder.path(), "f", text);
    let good = format!("{path}: good:\n  a on h:1, uppercase\n  b on h:2, uppercase\n");
    let warning =
        format!("{path}:1: warning: `drain_idle` is longer than `drain_timeout`, which ends a stop before it\n");
    assert_eq!(run(&["check", "-c", &path]), (0, good, warning));
}

#[test]
fn all_mistakes_of_a_file_are_told_and_nothing_is_started() {
    let folder = tempfile::tempdir().unwrap();
    write(
        folder.path(),
        "config.toml",
        "listen = \"localhost:5000\"\ntransfrom = \"uppercase\"\nbuffer_size = \"1K\"\n",
    );
    let report = "\
config.toml:2:1: unknown key `transfrom`
  |
2 | transfrom = \"uppercase\"
  | ^^^^^^^^^ did you mean `transform`?

config.toml:3:15: `buffer_size`: `K` is not a unit here, as it may mean 1000 or 1024
  |
3 | buffer_size = \"1K\"
  |               ^^^^ write \"1KiB\"

2 mistakes in config.toml";
    for (verb, consequence) in [("check", ""), ("run", "; nothing was started")] {
        let output = shoutd(&[verb, "-c", "config.toml"]).current_dir(&folder).output().unwrap();
        assert_eq!(told(output), (78, String::new(), format!("{report}{consequence}\n")));
    }
}

#[test]
fn a_file_that_cannot_be_read_is_told_in_one_line_with_the_cure() {
    let folder = tempfile::tempdir().unwrap();
    let large = write(folder.path(), "large", &"#".repeat((1 << 20) + 1));
    let latin = folder.path().join("latin").into_os_string().into_string().unwrap();
    fs::write(&latin, b"# one\n# gr\xFC\xDFe\n").unwrap();
    let largest = write(folder.path(), "largest", &"#".repeat(1 << 20));
    let here = folder.path().to_str().unwrap();
    for (path, expected) in [
        ("no/such.toml", "there is no file no/such.toml; name another with -c FILE".to_owned()),
        (here, format!("{here} is a folder; name the file in it, such as -c {here}/config.toml")),
        (
            &large,
            format!("{large} is larger than 1 MiB, so it is no configuration of shoutd; name the right file with -c"),
        ),
        (&latin, format!("{latin}:2: this is not UTF-8 text; save the file as UTF-8")),
    ] {
        assert_eq!(run(&["run", "-c", path]), (78, String::new(), format!("error: {expected}\n")));
    }
    assert_eq!(run(&["check", "-c", &largest]).0, 0);
}

#[test]
fn the_effective_configuration_is_one_that_means_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let first = write(
        folder.path(),
        "first.toml",
        "limits.idle_timeout = '1h'\n[[listener]]\nname = 'a'\nlisten = ['h:1', 'unix:x.sock']\n[[listener]]\nname = 'b'\nlisten = 'h:2'\nframing = 'line'\n",
    );
    let (code, printed, errors) = run(&["config", "-c", &first]);
    assert_eq!((code, errors.as_str()), (0, ""));
    assert!(printed.contains(&format!("limits.idle_timeout = \"1h\"  # {first}:1\n")), "{printed}");
    assert!(printed.contains("backlog = 1024  # default\n"), "{printed}");
    let second = write(folder.path(), "second.toml", &printed);
    let (_, again, _) = run(&["config", "-c", &second]);
    let bare = |text: &str| text.lines().map(|line| line.split("  # ").next().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(bare(&again), bare(&printed));
}

#[test]
fn the_effective_configuration_is_printed_for_programs_too() {
    let (code, printed, _) = run(&["config", "--json", "-c", "config/config.toml"]);
    let rows: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(code, 0);
    let row = |key: &str| rows.as_array().unwrap().iter().find(|row| row["key"] == key).unwrap().clone();
    assert_eq!(row("buffer_size")["value"], 1024);
    assert_eq!(row("buffer_size")["origin"], "config/config.toml:2");
    assert_eq!(row("limits.idle_timeout")["origin"], "default");
}

#[test]
fn a_file_is_begun_with_every_key_and_what_it_means() {
    let full = include_str!("../config/full.toml").to_owned();
    assert_eq!(run(&["config", "--full"]), (0, full, String::new()));
}

#[test]
fn the_steps_are_listed() {
    let (code, table, _) = run(&["transforms"]);
    assert_eq!(code, 0);
    assert!(table.starts_with("STEP"), "{table}");
    let (_, json, _) = run(&["transforms", "--json"]);
    let rows: serde_json::Value = serde_json::from_str(&json).unwrap();
    for about in shoutd::transform::REGISTRY {
        assert!(
            table.lines().any(|line| line.starts_with(about.example.step) && line.contains(about.summary)),
            "{table}"
        );
        assert!(
            rows.as_array().unwrap().iter().any(|row| row["name"] == about.name && row["step"] == about.example.step)
        );
    }
}

#[test]
fn a_transform_goes_from_standard_input_to_standard_output() {
    let answer = |arguments: &[&str], input: &str| told(run_with(arguments, input.as_bytes()));
    assert_eq!(answer(&["transform"], "straße"), (0, "STRASSE".to_owned(), String::new()));
    assert_eq!(answer(&["transform", "uppercase", "lowercase"], "İx"), (0, "i̇x".to_owned(), String::new()));
    let lines = ["transform", "--framing", "line"];
    assert_eq!(answer(&lines, "a\r\nb\n\nc"), (0, "A\r\nB\n\nC".to_owned(), String::new()));
    assert_eq!(answer(&lines, ""), (0, String::new(), String::new()));
}

#[test]
fn every_step_does_on_the_command_line_what_its_example_says() {
    for about in shoutd::transform::REGISTRY {
        let framing = if about.streams { "stream" } else { "line" };
        let mut child = shoutd(&["transform", about.example.step, "--framing", framing])
            .current_dir("tests")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(about.example.input).unwrap();
        let output = child.wait_with_output().unwrap();
        let expected = about.example.output.escape_ascii().to_string();
        assert_eq!(output.stdout.escape_ascii().to_string(), expected, "{}", about.name);
        assert!(output.status.success(), "{}", about.name);
    }
}

#[test]
fn any_framing_can_be_tried_on_the_command_line() {
    let answer = |arguments: &[&str], input: &str| told(run_with(arguments, input.as_bytes()));
    let framed = |framing: &[&str], input: &str| answer(&[&["transform"], framing].concat(), input).1;
    assert_eq!(framed(&["--framing", "netstring", "--framing-out", "line"], "1:a,2:bc,"), "A\nBC\n");
    assert_eq!(framed(&["--framing", "delimiter", "--delimiter", "<>"], "a<>b"), "A<>B");
    assert_eq!(framed(&["--framing", "delimiter", "--delimiter", "{ hex = '3b' }"], "a;b;"), "A;B;");
    let long = ["--framing", "line", "--max-message", "2", "--on-long"];
    assert_eq!(framed(&[&long[..], &["truncate"]].concat(), "abc\nde\n"), "AB\nDE\n");
    assert_eq!(framed(&[&long[..], &["drop"]].concat(), "abc\nde\n"), "DE\n");
    assert_eq!(framed(&[&long[..], &["pass"]].concat(), "abc\nde\n"), "abc\nDE\n");
}

/// r-refused: a step behind the one that refused was told that the text ends where that one refused it,
/// refused that in its turn, and its refusal was the one that was told.
#[test]
fn the_step_that_refuses_is_the_one_that_is_told() {
    let answer = |steps: &[&str], input: &str| {
        let more = ["--framing", "line", "--on-error", "reply", "--invalid-utf8", "close"];
        told(run_with(&[&["transform"], steps, &more].concat(), input.as_bytes()))
    };
    for (step, input) in [("json_compact", "7bzz\n"), ("unbase64", "6162zz\n"), ("uppercase", "c3zz\n")] {
        let error = format!("error: unhex: \"z\" is not a hex digit, at byte {}\n", input.len() - 3);
        assert_eq!(answer(&["unhex", step], input), (0, error, String::new()));
    }
    // what comes first in the text is told first
    let error = "error: unbase64: \"!\" is not a base64 character, at byte 0\n".to_owned();
    assert_eq!(answer(&["unhex", "unbase64"], "21zz\n"), (0, error, String::new()));
}

#[test]
fn an_input_that_ends_within_a_message_is_told_of() {
    let arguments = ["transform", "--framing", "netstring"];
    let error = "error: the input ends within message 2, which says that it is longer; all before it was answered\n";
    let expected = (1, "5:HELLO,".to_owned(), error.to_owned());
    assert_eq!(told(run_with(&arguments, b"5:hello,3:ab")), expected);
    let error = "error: message 2 of the input is no `netstring`; all before it was answered\n";
    let expected = (1, "1:A,".to_owned(), error.to_owned());
    assert_eq!(told(run_with(&arguments, b"1:a,x")), expected);
}

#[test]
fn each_step_can_be_looked_at() {
    let answer = |arguments: &[&str], input: &str| told(run_with(arguments, input.as_bytes()));
    let explained = "\
message 1
  in         \"straße\"
  uppercase  \"STRASSE\"
  prefix     \"> STRASSE\"
message 2
  in         \"\"
  uppercase  \"\"
  prefix     \"> \"
";
    let arguments = ["transform", "--explain", "--framing", "line", "uppercase", "{ prefix = '> ' }"];
    assert_eq!(answer(&arguments, "straße\n\n"), (0, explained.to_owned(), String::new()));
    let explained = "\
message 1
  in     \"4g\"
  unhex  \"\"
  reply  \"error: unhex: \\\"g\\\" is not a hex digit, at byte 1\"
message 2
  in     \"41\"
  unhex  \"A\"
";
    let arguments = ["transform", "--explain", "--framing", "line", "unhex", "--on-error", "reply"];
    assert_eq!(answer(&arguments, "4g\n41\n").1.replace("\\\"", "\""), explained.replace("\\\"", "\""));
    let explained = "\
read 1
  in         \"a\\xc3\"
  uppercase  \"A\"
  held       (the rest waits for more)
end 2
  in         \"\"
  uppercase  \"\\xc3\"
";
    let output = run_with(&["transform", "--explain", "uppercase"], b"a\xC3");
    assert_eq!(told(output), (0, explained.to_owned(), String::new()));
}

#[test]
fn a_transform_is_taken_from_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[[listener]]\nname = 'a'\nlisten = 'h:1'\ntransform = 'lowercase'\n[[listener]]\nname = 'b'\nlisten = 'h:2'\ninvalid_utf8 = 'replace'\nframing = 'line'\nmax_message = 4\n";
    let path = write(folder.path(), "config.toml", text);
    let answer = |more: &[&str], input: &[u8]| told(run_with(&[&["transform", "-c", &path], more].concat(), input));
    assert_eq!(answer(&[], b"Ab"), (0, "ab".to_owned(), String::new()));
    assert_eq!(answer(&["--listener", "b"], b"a\xFF\n"), (0, "A\u{FFFD}\n".to_owned(), String::new()));
    let error = "error: message 2 of the input is longer than `max_message` allows (4 bytes); allow more with --max-message SIZE\n";
    assert_eq!(answer(&["--listener", "b"], b"abcd\nabcde\n"), (1, "ABCD\n".to_owned(), error.to_owned()));
    for size in ["5", "5B", "1KiB"] {
        let more = ["--listener", "b", "--max-message", size];
        assert_eq!(answer(&more, b"abcde\n"), (0, "ABCDE\n".to_owned(), String::new()));
    }
    assert_eq!(
        answer(&["--listener", "b", "echo", "--framing", "stream"], b"abcde"),
        (0, "abcde".to_owned(), String::new())
    );
}

#[test]
fn input_that_is_not_text_is_refused_after_what_came_before() {
    let output = run_with(&["transform", "--invalid-utf8", "close"], b"abc\xFFdef");
    let error = "error: the input is not UTF-8; all before its first wrong byte was answered\n".to_owned();
    assert_eq!(told(output), (1, "ABC".to_owned(), error));
}

#[test]
fn a_line_typed_is_answered_before_the_next() {
    let mut child = shoutd(&["transform"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    for word in ["one", "two"] {
        writeln!(stdin, "{word}").unwrap();
        let mut answer = String::new();
        stdout.read_line(&mut answer).unwrap();
        assert_eq!(answer, format!("{}\n", word.to_uppercase()));
    }
    write!(stdin, "without end").unwrap();
    let mut answer = [0; 11];
    stdout.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"WITHOUT END");
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn nobody_reading_any_more_is_no_failure() {
    for arguments in [&["config"][..], &["transforms"], &["--help"], &["check"], &["transform"]] {
        let mut child =
            shoutd(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        if arguments == ["transform"] {
            // the first answer meets nobody; the child may be gone before all is written
            let _ = child.stdin.take().unwrap().write_all(&[b'a'; 1 << 20]);
        }
        let (code, _, errors) = told(child.wait_with_output().unwrap());
        assert_eq!((code, errors.as_str()), (0, ""), "{arguments:?}");
    }
}

#[test]
fn a_full_disk_is_told_in_one_line() {
    let full = fs::File::create("/dev/full").unwrap();
    let (code, _, errors) = told(shoutd(&["config"]).stdout(full).output().unwrap());
    assert_eq!(code, 1);
    assert!(errors.starts_with("error: cannot write the output: No space left"), "{errors}");
    assert_eq!(errors.lines().count(), 1);
}

#[test]
fn gigabytes_need_no_more_memory_than_one_read() {
    let mut child = shoutd(&["transform"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let chunk = "straße ".repeat(16 * 1024);
    let (sent, peak) = std::thread::scope(|scope| {
        let reader = scope.spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()).unwrap());
        for _ in 0..256 {
            stdin.write_all(chunk.as_bytes()).unwrap();
        }
        let status = fs::read_to_string(status).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap().trim_end_matches("kB").trim();
        let peak: u64 = peak.parse().unwrap();
        drop(stdin);
        (reader.join().unwrap(), peak)
    });
    assert!(child.wait().unwrap().success());
    assert_eq!(sent, 256 * u64::try_from("STRASSE ".repeat(16 * 1024).len()).unwrap());
    assert!(peak < 16 * 1024, "{peak} KiB");
}

#[test]
fn the_unit_starts_the_program_that_printed_it() {
    let (code, unit, _) = run(&["unit", "-c", "a.toml"]);
    assert_eq!(code, 0);
    let start = unit.lines().find(|line| line.starts_with("ExecStart=")).unwrap();
    assert!(start.contains(env!("CARGO_BIN_EXE_shoutd")) && start.contains("/a.toml"), "{start}");
}

#[test]
#[ignore = "needs systemd"]
fn systemd_finds_nothing_wrong_with_the_unit_wherever_the_program_lies() {
    let folder = tempfile::tempdir().unwrap();
    let odd = folder.path().join("a b;100%c$HOME${HOME}ü");
    fs::create_dir(&odd).unwrap();
    let program = odd.join("shoutd");
    fs::copy(env!("CARGO_BIN_EXE_shoutd"), &program).unwrap();
    let output = Command::new(&program).args(["unit", "-c", "/etc/a b/'\"\\\n100%c$HOME.toml"]).output().unwrap();
    let (code, unit, _) = told(output);
    assert_eq!(code, 0);
    let path = write(folder.path(), "shoutd.service", &unit);
    let verified = Command::new("systemd-analyze").args(["verify", "--recursive-errors=yes", &path]).output().unwrap();
    assert_eq!(told(verified), (0, String::new(), String::new()), "{unit}");
}
