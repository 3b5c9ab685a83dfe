use crate::harness::{PATIENCE, Process, SOMEWHERE, ask};
use rustix::process::Signal;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;
use std::process::Command;

/// A notify socket, as systemd's.
struct Notices {
    socket: UnixDatagram,
    path: std::path::PathBuf,
    _folder: tempfile::TempDir,
}

impl Notices {
    fn new() -> Notices {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Notices { socket, path, _folder: folder }
    }

    fn any(&self) -> String {
        let mut notice = [0; 1000];
        let len = self.socket.recv(&mut notice).unwrap();
        String::from_utf8(notice[..len].to_vec()).unwrap()
    }

    /// The next one that is not about sockets to keep.
    fn next(&self) -> String {
        std::iter::repeat_with(|| self.any()).find(|notice| !notice.starts_with("FDSTORE")).unwrap()
    }
}

#[test]
fn systemd_hears_of_the_start_only_when_it_listens_and_of_the_stop() {
    let notices = Notices::new();
    let mut process = Process::spawn(SOMEWHERE, |command| command.env("NOTIFY_SOCKET", &notices.path));
    let ready = notices.next();
    assert!(ready.starts_with("READY=1\nSTATUS=listening on 127.0.0.1:"), "{ready}");
    let address = ready.trim().rsplit(' ').next().unwrap().parse().unwrap();
    assert_eq!(ask(address, "hello"), "HELLO");
    process.kill(Signal::TERM);
    let stopping = notices.next();
    assert!(stopping.starts_with("STOPPING=1\nSTATUS=stopping"), "{stopping}");
    assert_eq!(process.wait().code(), Some(0));
}

#[test]
fn the_watchdog_is_fed_while_every_thread_turns() {
    let notices = Notices::new();
    let process =
        Process::spawn(SOMEWHERE, |command| command.env("NOTIFY_SOCKET", &notices.path).env("WATCHDOG_USEC", "200000"));
    assert!(notices.next().starts_with("READY=1"));
    for _ in 0..5 {
        assert_eq!(notices.next().trim(), "WATCHDOG=1");
    }
    process.end();
}

/// Starts the program with a socket as descriptor 3, as systemd does.
fn activated(name: &str, config: &str) -> (Process, std::net::TcpListener) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    std::fs::write(&file, config).unwrap();
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::empty()).unwrap();
    let script = format!(
        "exec 3<&{}; LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES={name} exec \"$0\" -c \"$1\"",
        socket.as_raw_fd()
    );
    let mut command = Command::new("bash");
    command.arg("-c").arg(script).arg(env!("CARGO_BIN_EXE_shoutd")).arg(file);
    (Process::run(folder, &mut command), socket)
}

#[test]
fn a_socket_that_systemd_passed_is_used_by_its_name() {
    let (process, socket) = activated("default", "listen = \"127.0.0.1:1\"\n");
    let address = socket.local_addr().unwrap();
    assert_eq!(process.addresses(), [address]);
    assert_eq!(ask(address, "hello"), "HELLO");
    process.await_line("which was passed, and not on 127.0.0.1:1");
    process.end();
}

#[test]
fn a_passed_socket_with_an_unknown_name_is_exit_78() {
    let (mut process, _socket) = activated("defualt", SOMEWHERE);
    assert_eq!(process.wait().code(), Some(78));
    process.await_line("systemd passed a socket named `defualt`, and no listener has that name");
}
