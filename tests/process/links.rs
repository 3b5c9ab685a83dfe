//! What tests of peers ask a daemon, and peers that are no daemon.

use crate::common::ports::Port;
use crate::harness::{PATIENCE, Process, eventually};
use serde_json::Value;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

/// A daemon on `port` whose links are tried again at once; `more` is the rest of its `[peers]`, and `peers`
/// are names and addresses.
pub fn config(port: &Port, more: &str, peers: &[(&str, String)]) -> String {
    let mut config = format!(
        "listen = \"localhost:{}\"\n[log]\nformat = \"json\"\n[peers]\nretry = {{ min = \"20ms\", max = \"200ms\" }}\n{more}\n",
        port.number
    );
    for (name, address) in peers {
        config += &format!("[[peer]]\nname = \"{name}\"\naddress = \"{address}\"\n");
    }
    config
}

impl Process {
    /// All that `shoutd peers --json` tells.
    #[track_caller]
    pub fn peers(&self) -> Vec<Value> {
        let output = self.shoutd(&["peers", "--json"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        match serde_json::from_slice(&output.stdout).unwrap() {
            Value::Array(peers) => peers,
            other => panic!("{other}"),
        }
    }

    /// What it tells of one.
    #[track_caller]
    pub fn peer(&self, name: &str) -> Value {
        let peers = self.peers();
        peers.iter().find(|peer| peer["name"] == name).unwrap_or_else(|| panic!("no {name}: {peers:?}")).clone()
    }

    /// Waits until the link to `name` is `state`, and gives what is told of it.
    #[track_caller]
    pub fn await_peer(&self, name: &str, state: &str) -> Value {
        let mut peer = Value::Null;
        let end = std::time::Instant::now() + PATIENCE;
        while peer["state"] != state {
            assert!(std::time::Instant::now() < end, "not {state}: {peer}\n{}", self.said().join("\n"));
            peer = self.peer(name);
        }
        peer
    }

    /// The records of its log that say `message` of the peer `name`.
    pub fn told_of(&self, name: &str, message: &str) -> Vec<Value> {
        let records = self
            .said()
            .into_iter()
            .map(|line| serde_json::from_str::<Value>(&line).unwrap_or_else(|error| panic!("{error}: {line}")));
        records.filter(|record| record["message"] == message && record["peer"] == name).collect()
    }

    /// Waits until they are `count`, and gives the last of them.
    #[track_caller]
    pub fn await_told(&self, name: &str, message: &str, count: usize) -> Value {
        let mut told = Vec::new();
        eventually(&format!("it tells {count} times of {name} that {message}: {:?}", self.said()), || {
            told = self.told_of(name, message);
            told.len() >= count
        });
        told.pop().unwrap()
    }

    /// Says `text` to a peer, and gives its answer.
    #[track_caller]
    pub fn send(&self, name: &str, text: &str) -> String {
        let output = self.shoutd(&["send", name, text]);
        assert!(output.status.success(), "{}\n{}", String::from_utf8_lossy(&output.stderr), self.said().join("\n"));
        String::from_utf8(output.stdout).unwrap()
    }
}

/// Listens on `port`, as a peer that is no daemon.
pub fn listen(port: &Port) -> TcpListener {
    TcpListener::bind(port.address()).unwrap()
}

/// The next connection, and where it comes from.
pub fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    listener.set_nonblocking(true).unwrap();
    let mut accepted = None;
    eventually("it dials", || match listener.accept() {
        Ok(connection) => {
            accepted = Some(connection);
            true
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => false,
        Err(error) => panic!("{error}"),
    });
    let (stream, from) = accepted.unwrap();
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    (stream, from)
}

/// The next connection if it is there already.
pub fn dialled(listener: &TcpListener) -> Option<TcpStream> {
    listener.set_nonblocking(true).unwrap();
    listener.accept().ok().map(|(stream, _)| stream)
}

#[track_caller]
pub fn expect(stream: &mut TcpStream, expected: &str) {
    let mut came = vec![0; expected.len()];
    stream.read_exact(&mut came).unwrap();
    assert_eq!(String::from_utf8_lossy(&came), expected);
}

#[track_caller]
pub fn say(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).unwrap();
}
