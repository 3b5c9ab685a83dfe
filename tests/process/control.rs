use crate::harness::{Process, SOMEWHERE, ask, connect, eventually};
use serde_json::Value;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Output};

/// Runs the program as a user does who has the daemon's configuration.
pub fn shoutd(process: &Process, words: &[&str]) -> Output {
    command(&process.folder.path().join("config.toml"), process.folder.path(), words)
}

pub fn command(config: &Path, runtime: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shoutd"));
    command.args(words).arg("-c").arg(config).env("RUNTIME_DIRECTORY", runtime).output().unwrap()
}

#[track_caller]
pub fn good(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", error(output));
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub fn error(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

pub fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

impl Process {
    fn edit(&self, config: &str) {
        std::fs::write(self.folder.path().join("config.toml"), config).unwrap();
    }
}

#[test]
fn status_and_connections_show_the_running_daemon() {
    let process = Process::start(SOMEWHERE);
    ask(process.address(), "hello");
    let mut client = connect(process.address());
    client.write_all(b"hi").unwrap();
    client.read_exact(&mut [0; 2]).unwrap();
    let text = good(&shoutd(&process, &["status"]));
    let file = process.folder.path().join("config.toml");
    for part in [
        "state  serving; shoutd ",
        &format!("configuration  {}, generation 1", file.display()),
        "1 open of ",
        "1 client_fin",
        &format!("default   {}", process.address()),
    ] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    assert_eq!(json(&shoutd(&process, &["status", "--json"]))["pid"], process.child.id());

    let own = client.local_addr().unwrap().to_string();
    let text = good(&shoutd(&process, &["connections"]));
    assert!(text.contains(&own) && text.ends_with("\n\n1 connection\n"), "{text}");
    let listed = json(&shoutd(&process, &["connections", "--json", "--sort", "sent"]));
    assert_eq!((&listed[0]["peer"], &listed[0]["bytes_sent"]), (&Value::from(own), &Value::from(2)));
    for none in [["--listener", "other"], ["--peer", "192.0.2."], ["--limit", "0"]] {
        let text = good(&shoutd(&process, &["connections", none[0], none[1]]));
        assert!(text.ends_with("0 of 1 connections\n"), "{text}");
    }
    drop(client);
    process.end();
}

#[test]
fn reload_tells_what_changed_and_when_it_takes_effect() {
    let process = Process::start("listen = \"127.0.0.1:0\"\nworkers = 1\n");
    let mut client = connect(process.address());
    process.edit("listen = \"127.0.0.1:0\"\nworkers = 1\ntransform = \"lowercase\"\n");
    let text = good(&shoutd(&process, &["reload", "--strict"]));
    assert_eq!(
        text,
        "KEY        OLD          NEW          EFFECT\ntransform  \"uppercase\"  \"lowercase\"  live\n\nreloaded: generation 2\n"
    );
    client.write_all(b"Hi").unwrap();
    let mut answer = [0; 2];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"hi");
    assert_eq!(good(&shoutd(&process, &["reload"])), "no key has changed\nreloaded: generation 3\n");

    process.edit("listen = \"127.0.0.1:0\"\nworkers = 2\n");
    let output = shoutd(&process, &["reload", "--strict"]);
    assert_eq!(output.status.code(), Some(10));
    assert!(error(&output).contains("a restart is needed for workers"), "{}", error(&output));
    assert_eq!(shoutd(&process, &["reload", "--strict"]).status.code(), Some(10), "it is needed still");
    good(&shoutd(&process, &["reload"]));
    assert!(good(&shoutd(&process, &["status"])).contains("NEEDS A RESTART for workers"));
    process.edit("listen = \"127.0.0.1:0\"\nworkers = 1\n");
    good(&shoutd(&process, &["reload", "--strict"]));
    drop(client);
    process.end();
}

#[test]
fn a_reload_that_is_refused_is_exit_78_with_place_and_cure_and_status_says_stale() {
    let process = Process::start(SOMEWHERE);
    process.edit("listen = \"127.0.0.1:0\"\n[admin]\nsocket = \"auto\"\n[log\nlevel = 1");
    let output = shoutd(&process, &["reload"]);
    assert_eq!(output.status.code(), Some(78));
    let said = error(&output);
    assert!(said.contains("config.toml:4:") && said.ends_with("the configuration of before runs on\n"), "{said}");
    assert_eq!(said.matches("config.toml:4:").count(), 1, "{said}");
    assert_eq!(ask(process.address(), "hello"), "HELLO");
    let text = good(&shoutd(&process, &["status"]));
    assert!(text.contains("STALE: the last reload was refused") && text.contains("REFUSED: "), "{text}");
    let output = shoutd(&process, &["reload", "--json"]);
    assert_eq!((output.status.code(), &json(&output)["outcome"]), (Some(78), &Value::from("refused")));
    process.edit(SOMEWHERE);
    good(&shoutd(&process, &["reload"]));
    assert!(!good(&shoutd(&process, &["status"])).contains("STALE"));
}

#[test]
fn log_kill_and_stop_do_what_they_say() {
    let mut process = Process::start(SOMEWHERE);
    good(&shoutd(&process, &["log", "debug"]));
    ask(process.address(), "hello");
    process.await_line("DEBUG end");
    assert_eq!(shoutd(&process, &["log", "loud"]).status.code(), Some(2));

    let mut client = connect(process.address());
    client.write_all(b"a").unwrap();
    client.read_exact(&mut [0]).unwrap();
    good(&shoutd(&process, &["kill", "2"]));
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    let output = shoutd(&process, &["kill", "2"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(error(&output), "error: 2: there is no connection of this number\n");

    // one that has gone by itself meanwhile does not save those behind it
    let mut client = connect(process.address());
    client.write_all(b"a").unwrap();
    client.read_exact(&mut [0]).unwrap();
    let output = shoutd(&process, &["kill", "2", "3", "9"]);
    assert_eq!(output.status.code(), Some(1));
    let none = "there is no connection of this number";
    assert_eq!(error(&output), format!("error: 2: {none}; 9: {none}\n"));
    assert_eq!(client.read(&mut [0]).unwrap(), 0);

    let mut silent = connect(process.address());
    good(&shoutd(&process, &["stop"]));
    assert_eq!(process.child.try_wait().unwrap().map(|status| status.code()), Some(Some(0)), "stop waits for the end");
    assert_eq!(silent.read(&mut [0]).unwrap(), 0);

    let output = shoutd(&process, &["status"]);
    assert_eq!(output.status.code(), Some(69));
    assert!(error(&output).starts_with("error: no daemon answers at "), "{}", error(&output));
}

#[test]
fn stop_now_does_not_wait_for_clients() {
    let mut process =
        Process::start(&format!("{SOMEWHERE}[shutdown]\ndrain_idle = \"1min\"\ndrain_timeout = \"1min\"\n"));
    let mut silent = connect(process.address());
    ask(process.address(), "hello");
    good(&shoutd(&process, &["stop", "--now"]));
    assert_eq!(process.wait().code(), Some(0));
    process.await_line("1 stopped");
    assert_eq!(silent.read(&mut [0]).unwrap_or(0), 0);
}

/// r-restarted: it asked only whether somebody is at the socket, and waited for the daemon that a
/// supervisor had started in the place of the one that was to stop.
#[test]
fn stop_ends_though_another_daemon_is_there_at_once() {
    let place = tempfile::tempdir().unwrap();
    let socket = place.path().join("control.sock");
    let config = format!("{SOMEWHERE}[admin]\nsocket = \"{}\"\n", socket.display());
    for _ in 0..5 {
        let mut old = Process::start(&config);
        let mut stop = Command::new(env!("CARGO_BIN_EXE_shoutd"));
        let mut stop = stop.args(["stop", "--socket"]).arg(&socket).spawn().unwrap();
        assert_eq!(old.wait().code(), Some(0));
        let new = Process::start(&config);
        let mut status = None;
        eventually("stop ends", || {
            status = stop.try_wait().unwrap();
            status.is_some()
        });
        assert_eq!(status.unwrap().code(), Some(0));
        new.end();
    }
}

#[test]
fn two_daemons_of_one_user_answer_for_themselves() {
    let first = Process::start(SOMEWHERE);
    let second = Process::spawn(SOMEWHERE, |command| command.env("RUNTIME_DIRECTORY", first.folder.path()));
    second.await_line("listening on ");
    for process in [&first, &second] {
        let config = process.folder.path().join("config.toml");
        let output = command(&config, first.folder.path(), &["status", "--json"]);
        assert_eq!(json(&output)["pid"], process.child.id(), "{}", error(&output));
    }
    second.end();
    first.end();
}

#[test]
fn where_no_daemon_answers_those_that_would_are_named() {
    let process = Process::start(SOMEWHERE);
    let other = tempfile::tempdir().unwrap();
    let file = other.path().join("other.toml");
    std::fs::write(&file, "").unwrap();
    let output = command(&file, process.folder.path(), &["status"]);
    assert_eq!(output.status.code(), Some(69));
    let socket = process.control_socket();
    let own = process.folder.path().join("config.toml");
    assert!(error(&output).contains(&format!("one does with -c {}", own.display())), "{}", error(&output));
    let text = good(&command(&file, process.folder.path(), &["status", "--socket", socket.to_str().unwrap()]));
    assert!(text.contains(&format!("pid {}", process.child.id())), "{text}");

    std::fs::write(&file, "[admin]\nsocket = \"off\"").unwrap();
    let output = command(&file, process.folder.path(), &["status"]);
    assert_eq!(output.status.code(), Some(69));
    assert!(error(&output).contains("has no control socket"), "{}", error(&output));
    process.end();
}

#[test]
fn the_status_signal_writes_the_status_to_the_log() {
    let process = Process::start(SOMEWHERE);
    process.kill(rustix::process::Signal::USR1);
    process.await_line("state  serving; shoutd ");
    process.await_line("LISTENER  ADDRESSES");
    process.end();
}

#[test]
#[ignore = "needs root, to become somebody who may not"]
fn who_may_not_talk_to_the_daemon_is_told_to_take_sudo_and_exit_77() {
    let process = Process::start(SOMEWHERE);
    std::fs::set_permissions(process.folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let program = process.folder.path().join("shoutd");
    std::fs::copy(env!("CARGO_BIN_EXE_shoutd"), &program).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]).arg(program);
    let config = process.folder.path().join("config.toml");
    command.arg("status").arg("-c").arg(config).env("RUNTIME_DIRECTORY", process.folder.path());
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(77), "{}", error(&output));
    assert!(error(&output).contains("no permission to talk to the daemon at ") && error(&output).contains("sudo"));
    process.end();
}
