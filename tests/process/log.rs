use crate::harness::{Process, SOMEWHERE, ask};
use serde_json::Value;
use std::process::Command;

/// A line of the log that is one JSON object.
#[track_caller]
fn object(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

/// Starts the program as systemd does whose journal reads its stderr.
fn in_the_journal(config: &str) -> Process {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    std::fs::write(&file, config).unwrap();
    let script = "export JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2); exec \"$0\" -c \"$1\"";
    let mut command = Command::new("bash");
    command.arg("-c").arg(script).arg(env!("CARGO_BIN_EXE_shoutd")).arg(file).env_remove("SHOUTD_LOG");
    Process::run(folder, &mut command)
}

#[test]
fn each_line_of_a_json_log_is_an_object_with_time_level_and_message() {
    let mut process = Process::start(&format!("{SOMEWHERE}[log]\nformat = \"json\"\n"));
    assert_eq!(ask(process.address(), "hello"), "HELLO");
    process.kill(rustix::process::Signal::TERM);
    assert_eq!(process.wait().code(), Some(0));
    process.await_line("stopped: ");
    for line in process.said() {
        let object = object(&line);
        let time = object["time"].as_str().unwrap();
        assert!(humantime::parse_rfc3339(time).is_ok() && time.len() == "2026-11-24T13:48:57.123Z".len(), "{time}");
        assert_eq!(object["level"], "info", "{line}");
        assert!(!object["message"].as_str().unwrap().is_empty(), "{line}");
    }
}

#[test]
fn the_journal_is_told_priorities_and_no_time_but_what_the_format_asks_for() {
    let line = |format: &str| {
        let process = in_the_journal(&format!("{SOMEWHERE}[log]\nformat = \"{format}\"\n"));
        let line = process.await_line("listening on ");
        process.end();
        line
    };
    assert!(line("auto").starts_with("<6>listening on "));
    let json = line("json");
    assert_eq!(object(json.strip_prefix("<6>").unwrap())["level"], "info");
    let text = line("text");
    let (time, rest) = text.split_once(' ').unwrap();
    assert!(humantime::parse_rfc3339(time).is_ok() && rest.starts_with("INFO  listening on "), "{text}");
}
