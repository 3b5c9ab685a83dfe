//! The recipes under `config/cookbook`: each runs, and answers what its tests say, over a socket.

use crate::harness::{Process, connect};
use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;

const COOKBOOK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/cookbook");

/// A recipe as it is shipped, but for its ports, and what it says of itself.
fn recipe(name: &str) -> (String, toml::Table) {
    let text = fs::read_to_string(Path::new(COOKBOOK).join(name)).unwrap();
    let table = text.parse().unwrap();
    let somewhere = text.lines().map(|line| match line.split_once("\"localhost:") {
        Some((key, _)) if key.starts_with("listen") => format!("{key}\"127.0.0.1:0\"\n"),
        _ => format!("{line}\n").replace("aliases.tsv", &format!("{COOKBOOK}/aliases.tsv")),
    });
    (somewhere.collect(), table)
}

/// The bytes that a value of a test means.
fn bytes(value: &toml::Value) -> Vec<u8> {
    let Some(hex) = value.get("hex") else { return value.as_str().unwrap().as_bytes().to_vec() };
    let digits: Vec<char> = hex.as_str().unwrap().chars().filter(|c| !c.is_whitespace()).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap()).collect()
}

#[test]
fn every_recipe_answers_over_a_socket_what_its_tests_say() {
    let mut asked = 0;
    for entry in fs::read_dir(COOKBOOK).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !name.ends_with(".toml") {
            continue;
        }
        let (text, table) = recipe(&name);
        let process = Process::start(&text);
        let listeners: Vec<_> =
            table["listener"].as_array().unwrap().iter().map(|listener| listener["name"].as_str().unwrap()).collect();
        for test in table["test"].as_array().unwrap() {
            let named = test.get("listener").map_or(listeners[0], |name| name.as_str().unwrap());
            let nth = listeners.iter().position(|listener| *listener == named).unwrap();
            let mut client = connect(process.addresses()[nth]);
            let (peer, local) = (client.local_addr().unwrap(), client.peer_addr().unwrap());
            client.write_all(&bytes(&test["input"])).unwrap();
            client.shutdown(std::net::Shutdown::Write).unwrap();
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).unwrap();
            if name == "whoami.toml" {
                let host = rustix::system::uname();
                let host = host.nodename().to_str().unwrap();
                let line = format!(
                    "{host} ready\npeer={peer} local={local} listener=whoami host={host} connection=1 message=hello\n"
                );
                assert_eq!(String::from_utf8(answer).unwrap(), line);
            } else {
                let expected = bytes(&test["expect"]).escape_ascii().to_string();
                assert_eq!(answer.escape_ascii().to_string(), expected, "{name}, {named}");
            }
            asked += 1;
        }
        process.end();
    }
    assert!(asked >= 12, "{asked}");
}

#[test]
#[ignore = "needs postmap"]
fn postfix_finds_its_aliases() {
    let process = Process::start(&recipe("socketmap.toml").0);
    let map = format!("socketmap:inet:127.0.0.1:{}:aliases", process.address().port());
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("main.cf"), "compatibility_level = 3.6\n").unwrap();
    let ask = |key: &str| {
        let mut command = Command::new("postmap");
        let output = command.arg("-c").arg(folder.path()).args(["-q", key, &map]).output().unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    };
    assert_eq!(ask("sales@example.org"), (true, "alice@example.org\n".to_owned()));
    assert_eq!(ask("postmaster@example.org"), (true, "bob@example.org, alice@example.org\n".to_owned()));
    assert_eq!(ask("nobody@example.org"), (false, String::new()));
    process.end();
}
