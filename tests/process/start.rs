use crate::harness::{Process, SOMEWHERE, ask, eventually};
use rustix::process::Signal;
use std::io::Write;
use std::net::TcpListener;
use std::process::Command;

#[test]
fn the_first_line_names_the_configuration_and_how_to_use_another() {
    let process = Process::start(SOMEWHERE);
    let first = process.said().remove(0);
    let file = process.folder.path().join("config.toml");
    assert!(first.contains(&format!("configuration: {}", file.display())), "{first}");
    assert!(first.contains("-c FILE names another"), "{first}");
    process.end();
}

#[test]
fn port_zero_is_chosen_and_said() {
    let process = Process::start("listen = \"localhost:0\"\n");
    for address in process.addresses() {
        assert_eq!(ask(address, "hello"), "HELLO");
    }
    process.end();
}

#[test]
fn a_port_that_is_taken_is_one_clear_line_and_exit_71() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let mut process = Process::spawn(&format!("listen = \"{address}\"\n"), |command| command);
    assert_eq!(process.wait().code(), Some(71));
    let line = process.await_line("error: ");
    assert!(line.contains(&format!("cannot listen on {address}: another process listens there")), "{line}");
    let said = process.said().join("\n");
    assert!(!said.contains("os error") && !said.contains("panicked") && !said.contains("Os {"), "{said}");
}

/// f53: the last words of a start that failed waited for a pipe that nobody reads.
#[test]
fn a_start_that_fails_ends_although_nobody_reads_why() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    std::fs::write(&file, format!("listen = \"{}\"\n", taken.local_addr().unwrap())).unwrap();
    let (_reader, mut writer) = std::io::pipe().unwrap();
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    while writer.write(&[b'x'; 4096]).is_ok() {}
    rustix::io::ioctl_fionbio(&writer, false).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_shoutd")).arg("-c").arg(file).stderr(writer).spawn().unwrap();
    let mut status = None;
    eventually("it ends", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    assert_eq!(status.unwrap().code(), Some(71));
}

#[test]
fn a_log_level_that_is_none_is_refused() {
    let mut process = Process::spawn(SOMEWHERE, |command| command.env("SHOUTD_LOG", "bogus"));
    assert_eq!(process.wait().code(), Some(2));
    process.await_line("SHOUTD_LOG=bogus is no level; one of error, warn, info, debug, trace, off");
}

#[test]
fn an_address_this_host_lacks_is_one_clear_line_and_exit_71() {
    // TEST-NET-1 (RFC 5737): no host has it
    let mut process = Process::spawn("listen = \"192.0.2.1:5000\"\n", |command| command);
    assert_eq!(process.wait().code(), Some(71));
    process.await_line("cannot listen on 192.0.2.1:5000: this host has no such address");
}

#[test]
#[ignore = "needs root, to become somebody who may not"]
fn a_low_port_without_permission_is_one_clear_line_and_exit_77() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let file = folder.path().join("config.toml");
    std::fs::write(&file, "listen = \"127.0.0.1:81\"\n").unwrap();
    let program = folder.path().join("shoutd");
    std::fs::copy(env!("CARGO_BIN_EXE_shoutd"), &program).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]);
    let mut process = Process::run(folder, command.arg(program).arg("-c").arg(file));
    assert_eq!(process.wait().code(), Some(77));
    process.await_line("cannot listen on 127.0.0.1:81: this user may not; for ports below 1024 let systemd listen");
}

#[test]
fn a_unix_path_left_by_a_killed_run_is_used_again() {
    let config = "listen = \"unix:shoutd.sock\"\n";
    let mut killed = Process::start(config);
    let path = killed.folder.path().join("shoutd.sock");
    killed.kill(Signal::KILL);
    killed.wait();
    assert!(path.exists());
    let again = Process::spawn(&format!("listen = \"unix:{}\"\n", path.display()), |command| command);
    again.await_line("left by a run that was killed");
    again.await_line("listening on ");
    let mut client = std::os::unix::net::UnixStream::connect(&path).unwrap();
    client.write_all(b"hello").unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(std::io::read_to_string(client).unwrap(), "HELLO");
    again.end();
    assert!(!path.exists(), "a run that ends takes its path with it");
}

#[test]
fn a_restart_is_not_refused_for_the_connections_of_the_last_run() {
    let mut first = Process::start(SOMEWHERE);
    let address = first.address();
    assert_eq!(ask(address, "hello"), "HELLO");
    let open = crate::harness::connect(address);
    first.kill(Signal::KILL);
    first.wait();
    let second = Process::start(&format!("listen = \"{address}\"\n"));
    assert_eq!(ask(address, "again"), "AGAIN");
    drop(open);
    second.end();
}

#[test]
fn more_connections_than_files_may_be_open_is_exit_78() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    std::fs::write(&file, format!("{SOMEWHERE}[limits]\nmax_connections = 1000\n")).unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 500 && exec \"$0\" -c \"$1\""]).arg(env!("CARGO_BIN_EXE_shoutd")).arg(file);
    let mut process = Process::run(folder, &mut command);
    assert_eq!(process.wait().code(), Some(78));
    process.await_line("max_connections = 1000 does not fit: the limit of open files allows 436");
}
