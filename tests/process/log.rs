use crate::harness::{Process, SOMEWHERE, ask, connect, eventually};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::process::Command;

const README: &str = include_str!("../../README.md");
const JSON: &str = "[log]\nformat = \"json\"\n";

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
    let mut process = Process::start(&format!("{SOMEWHERE}{JSON}"));
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

/// The records with this message, once there are so many.
#[track_caller]
fn records(process: &Process, message: &str, count: usize) -> Vec<Value> {
    let records = || {
        let said = process.said();
        said.iter().map(|line| object(line)).filter(|record| record["message"] == message).collect::<Vec<_>>()
    };
    eventually(&format!("{count} records say {message}"), || records().len() >= count);
    records()
}

#[test]
fn each_connection_leaves_one_record_that_counts_what_was_sent() {
    let config = format!("{SOMEWHERE}framing = \"line\"\ntransform = {{ prefix = \"> \" }}\n{JSON}access = \"end\"\n");
    let process = Process::start(&config);
    let mut sent = HashMap::new();
    for nth in 0..200 {
        let mut client = connect(process.address());
        let lines = format!("{nth}\n").repeat(nth % 7);
        client.write_all(lines.as_bytes()).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        sent.insert(client.local_addr().unwrap().to_string(), (lines.len(), answer.len(), nth % 7));
    }
    let mut numbers = Vec::new();
    for record in records(&process, "end", 200) {
        let (received, answered, messages) = sent.remove(record["peer"].as_str().unwrap()).unwrap();
        let counts = [&record["received"], &record["sent"], &record["messages"]];
        assert_eq!(counts, [&json!(received), &json!(answered), &json!(messages)], "{record}");
        assert_eq!((&record["level"], &record["listener"]), (&json!("info"), &json!("default")));
        assert_eq!(record["reason"], "client_fin");
        assert!(record["seconds"].as_f64().is_some_and(|seconds| seconds < 60.0), "{record}");
        numbers.push(record["connection"].as_u64().unwrap());
        for (field, _) in record.as_object().unwrap() {
            assert!(README.lines().any(|line| line.starts_with(&format!("| `{field}` |"))), "{field}");
        }
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=200).collect::<Vec<_>>());
    assert!(sent.is_empty(), "{sent:?}");
    process.end();
}

#[test]
fn each_start_has_its_end_by_the_number_of_the_connection() {
    let listener = |name: &str| format!("[[listener]]\nname = \"{name}\"\n{SOMEWHERE}");
    let config = format!("{JSON}access = \"start+end\"\n{}{}", listener("a"), listener("b"));
    let process = Process::start(&config);
    let addresses = process.addresses();
    let mut clients: Vec<_> = (0..50).map(|nth| connect(addresses[nth % 2])).collect();
    let starts = records(&process, "start", 50);
    assert!(records(&process, "end", 0).is_empty(), "all of them are open");
    // the last to come goes first
    while let Some(client) = clients.pop() {
        drop(client);
    }
    let mut ends: HashMap<_, _> =
        records(&process, "end", 50).into_iter().map(|end| (end["connection"].as_u64().unwrap(), end)).collect();
    for start in starts {
        let end = ends.remove(&start["connection"].as_u64().unwrap()).unwrap();
        let whose = |record: &Value| (record["listener"].clone(), record["peer"].clone());
        assert_eq!(whose(&start), whose(&end));
    }
    assert!(ends.is_empty(), "{ends:?}");
    process.end();
}

#[test]
fn without_an_access_log_only_ends_worth_a_look_are_told() {
    let process = Process::start(&format!("{SOMEWHERE}invalid_utf8 = \"close\"\n{JSON}"));
    assert_eq!(ask(process.address(), "hello"), "HELLO");
    let mut client = connect(process.address());
    client.write_all(b"\xff").unwrap();
    assert_eq!(client.read(&mut [0; 8]).unwrap(), 0);
    drop(client);
    let record = records(&process, "end", 1).remove(0);
    assert_eq!((&record["connection"], &record["reason"]), (&json!(2), &json!("invalid_utf8")));
    process.end();
}

/// What clients say may steer a terminal or look like lines of the log; none of it gets there.
#[test]
fn hostile_bytes_do_not_get_into_the_log() {
    let hostile = b"\x1b]0;forged\x07\n2026-11-24T13:48:57Z ERROR forged connection=1\r\n\xff\xc2\x9b31m\xe2\x80\xae\n{\"level\":\"error\"}\n";
    for format in ["text", "json"] {
        for policy in ["pass", "close"] {
            let config = format!(
                "{SOMEWHERE}workers = 1\nframing = \"line\"\ntransform = [\"unbase64\", \"uppercase\"]\non_error = \"{policy}\"\n\
                 invalid_utf8 = \"{policy}\"\n[log]\nlevel = \"trace\"\naccess = \"start+end\"\nformat = \"{format}\"\n"
            );
            let mut process = Process::start(&config);
            // more than the throttle of ends that are worth a look lets through
            for _ in 0..15 {
                let mut client = connect(process.address());
                client.write_all(hostile).unwrap();
                client.shutdown(Shutdown::Write).unwrap();
                client.read_to_end(&mut Vec::new()).unwrap();
            }
            process.kill(rustix::process::Signal::TERM);
            assert_eq!(process.wait().code(), Some(0));
            process.await_line("stopped: ");
            let said = process.said();
            let records = said.iter().filter(|line| line.contains("connection") && line.contains("peer")).count();
            assert_eq!(records, 30, "{said:?}");
            for line in said {
                assert!(line.is_ascii() && !line.contains(|c: char| c.is_control()), "{line:?}");
                assert!(!line.contains("forged") && !line.contains("ERROR"), "{line:?}");
            }
        }
    }
}

#[test]
fn the_environments_level_comes_before_the_configurations() {
    let config = format!("{SOMEWHERE}{JSON}level = \"off\"\n");
    let process = Process::spawn(&config, |command| command.env("SHOUTD_LOG", "debug"));
    process.await_line("listening on ");
    assert_eq!(ask(process.address(), "hello"), "HELLO");
    assert_eq!(records(&process, "end", 1)[0]["level"], "debug", "an ordinary end is for who debugs");
    process.end();
}
