//! The program, started with a configuration, and what it says.

pub use crate::common::{PATIENCE, eventually};

use rustix::process::{Pid, Signal};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use tempfile::TempDir;

/// A service on a free port; tests add to it.
pub const SOMEWHERE: &str = "listen = \"127.0.0.1:0\"\n";

/// A running program; killed when dropped.
pub struct Process {
    pub child: Child,
    pub folder: TempDir,
    said: Arc<Mutex<Vec<String>>>,
}

impl Process {
    /// Starts it with `config`, and waits until it listens.
    pub fn start(config: &str) -> Process {
        let process = Process::spawn(config, |command| command);
        process.await_line("listening on ");
        process
    }

    /// Starts it with `config`, changed by `change`.
    pub fn spawn(config: &str, change: impl FnOnce(&mut Command) -> &mut Command) -> Process {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        std::fs::write(&file, config).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_shoutd"));
        command.arg("-c").arg(&file).env_remove("SHOUTD_LOG").env_remove("NOTIFY_SOCKET");
        Process::run(folder, change(&mut command))
    }

    /// Starts `command`, which is the program or something that starts it.
    pub fn run(folder: TempDir, command: &mut Command) -> Process {
        if !command.get_envs().any(|(name, _)| name == "RUNTIME_DIRECTORY") {
            // its control socket lies with it
            command.env("RUNTIME_DIRECTORY", folder.path());
        }
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let said = Arc::<Mutex<Vec<String>>>::default();
        let (lines, into) = (BufReader::new(child.stderr.take().unwrap()), Arc::clone(&said));
        thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                into.lock().unwrap().push(line);
            }
        });
        Process { child, folder, said }
    }

    /// Runs the program as a user does who has this daemon's configuration.
    pub fn shoutd(&self, words: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_shoutd"));
        command.args(words).arg("-c").arg(self.folder.path().join("config.toml"));
        command.env("RUNTIME_DIRECTORY", self.folder.path()).output().unwrap()
    }

    /// What it has said so far.
    pub fn said(&self) -> Vec<String> {
        self.said.lock().unwrap().clone()
    }

    /// Waits until it says a line with `part`, and gives the line.
    #[track_caller]
    pub fn await_line(&self, part: &str) -> String {
        let mut found = None;
        eventually(&format!("it says {part:?}: {:?}", self.said()), || {
            found = self.said().into_iter().find(|line| line.contains(part));
            found.is_some()
        });
        found.unwrap()
    }

    /// Where it listens.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let line = self.await_line("listening on ");
        let (_, addresses) = line.split_once("listening on ").unwrap();
        let words = addresses.split(' ').map_while(|word| word.trim_end_matches([',', ':']).parse().ok());
        words.collect()
    }

    pub fn address(&self) -> SocketAddr {
        self.addresses()[0]
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub fn kill(&self, signal: Signal) {
        rustix::process::kill_process(self.pid(), signal).unwrap();
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("it ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// Stops it, and checks that it ended well and that its log names no fault.
    #[track_caller]
    pub fn end(mut self) {
        self.kill(Signal::TERM);
        assert_eq!(self.wait().code(), Some(0), "{:?}", self.said());
        self.await_line("stopped: ");
        for line in self.said() {
            let faults = ["ERROR", "\"level\":\"error\"", "panicked"];
            assert!(!faults.iter().any(|fault| line.contains(fault)), "{line}");
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends `text`, ends, and gives the whole answer.
pub fn ask(address: SocketAddr, text: &str) -> String {
    let mut client = connect(address);
    client.write_all(text.as_bytes()).unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    answer
}

pub fn connect(address: SocketAddr) -> TcpStream {
    let client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client
}
