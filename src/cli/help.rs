//! What `--help` teaches, beside the one line that each verb and option has at its place.
//!
//! The manual page is made of the same texts (`examples/documents`), so they keep to a form: a heading
//! that ends with a colon, then lines of a term and, after a gap, what it means; all else is prose.

use std::sync::LazyLock;

/// The version, and that of the character tables.
pub(super) static VERSION: LazyLock<String> = LazyLock::new(|| {
    let (major, minor, update) = char::UNICODE_VERSION;
    format!("{} (Unicode {major}.{minor}.{update})", env!("CARGO_PKG_VERSION"))
});

pub(super) const ABOUT: &str = "A TCP service that answers with your text, transformed";

pub(super) const LONG_ABOUT: &str = "\
A TCP service that answers with your text, transformed, and that you never have to restart.

Without any configuration it listens on localhost:5000 and answers in upper case.";

pub(super) const AFTER: &str =
    "See `shoutd --help` for examples and exit codes, and `shoutd VERB --help` for one verb.";

pub(super) const AFTER_LONG: &str = "\
Examples:
  shoutd run                                     serve with the usual configuration
  printf 'straße\\n' | nc -N localhost 5000       ask it, from another terminal: STRASSE
  shoutd -c my.toml check                        tell all mistakes of a file, start nothing
  shoutd config --full > my.toml                 begin a file: every key, and what it means
  echo Grüße | shoutd transform uppercase        try a transform, without any network
  shoutd transforms                              list all steps
  shoutd status                                  how the running daemon is
  shoutd send b hello                            what its peer b answers
  shoutd reload                                  let it take up its edited configuration

Files:
  /etc/shoutd/config.toml  the configuration, if -c names no other; without it, these lines:
      listen = \"localhost:5000\"
      buffer_size = 1024
      transform = \"uppercase\"
  /run/shoutd/control.sock  the control socket of the service

Signals:
  SIGTERM, SIGINT  end it when open connections have had their answers; a second one at once
  SIGHUP           take up the edited configuration, as `shoutd reload` does
  SIGUSR1          write the status to the log

Environment:
  SHOUTD_LOG  how much is logged, whatever `level` says: error, warn, info, debug, trace or off
  NO_COLOR    if it is there, the log on a terminal has no colours

Exit codes:
   0  good
   1  failed while running
   2  the command line is wrong
  10  applied, and some keys need a restart (reload --strict)
  69  no daemon runs that could be asked
  70  a fault of shoutd's own
  71  the operating system refused, as when an address is taken
  77  no permission, as for ports below 1024
  78  the configuration is wrong";

pub(super) const RUN: &str = "\
Example:
  shoutd run -c config.toml
  printf 'hello' | nc -N localhost 5000          answers HELLO";

pub(super) const CHECK: &str = "\
Exit code 0 if all is good, 78 if not; the mistakes stand on standard error, and so do warnings
of what is allowed but hardly meant. The file's own [[test]]s are run, too; a test that fails shows
what was expected and what came.

Example:
  shoutd check -c config.toml";

pub(super) const CONFIG: &str = "\
What is printed is a configuration itself, and means the same. To begin a file, take --full.

Examples:
  shoutd config --full > config.toml             every key at its default, and what it means
  shoutd config                                  all defaults, or what /etc/shoutd/config.toml makes of them
  shoutd config -c config.toml | grep -v default
  shoutd config --json";

pub(super) const TRANSFORM: &str = "\
Without STEPS, the configuration's are taken. With --explain, what is printed is the text of each
message, or under the framing stream of each read, before and after each step.

Examples:
  echo Grüße | shoutd transform uppercase
  shoutd transform '{ decode = \"cp1252\" }' crlf < feed.txt
  echo ' a  b ' | shoutd transform trim squeeze --framing line --explain
  shoutd transform lowercase --framing line < names.txt
  shoutd transform lowercase echo --framing line --max-message 1MiB < long.txt
  shoutd transform -c config.toml --listener feed";

pub(super) const TRANSFORMS: &str = "\
Examples:
  shoutd transforms
  shoutd transforms --json
  shoutd transforms --markdown";

pub(super) const STATUS: &str = "\
It asks the daemon that runs with the same configuration (-c says which), by its control socket, and
starts none. What happens in a second is the mean of the last ten.

Examples:
  shoutd status
  shoutd status -c my.toml --json
  curl --unix-socket /run/shoutd/control.sock http://shoutd/status";

pub(super) const CONNECTIONS: &str = "\
Examples:
  shoutd connections                             the oldest first
  shoutd connections --sort received --limit 10
  shoutd connections --listener feed --peer 192.0.2.
  shoutd connections --json";

pub(super) const PEERS: &str = "\
A peer is linked, dialling, waiting (for the next dial), expecting (a connection of its own), or done
(with its one exchange), for as long as SINCE says. ROUND TRIP is what its last answer took to what
this daemon said, as its greeting.

Examples:
  shoutd peers
  shoutd peers --json";

pub(super) const SEND: &str = "\
What comes back first and is the text as this daemon's own steps would have it, or the text itself
but for its case, is the answer. It is printed byte for byte; on a terminal, and with --all, without
anything that would command one. At most 64 KiB can be said at once.

Exit code 0 if the peer answered, with --all if all did; otherwise 1, and why there is no answer
stands on standard error, with what came instead.

Examples:
  shoutd send b hello                            HELLO, if b answers in upper case
  shoutd send localhost:6000 hello               the same peer, by its address
  shoutd send --all ping --timeout 500ms         each peer's answer, behind its name
  date | shoutd send b -                         what standard input has, less its last line end
  shoutd send b hello --json";

pub(super) const RELOAD: &str = "\
The whole file is checked and its tests are run; then all of it is applied, or nothing. Who is
connected goes on, with the new transform and limits from the next message on.

Examples:
  shoutd reload
  shoutd reload --strict                         exit code 10 where some keys need a restart";

pub(super) const STOP: &str = "\
Examples:
  shoutd stop                                    waits for the clients, and for the end
  shoutd stop --now                              does not wait for any client";

pub(super) const LOG: &str = "\
Examples:
  shoutd log debug
  shoutd log info -c my.toml";

pub(super) const KILL: &str = "\
Example:
  shoutd kill 17 42";

pub(super) const UNIT: &str = "\
The unit starts this program from where it lies, with the file that -c names, else with
/etc/shoutd/config.toml. Install the program where every user can read it, as in /usr/local/bin.

Examples:
  shoutd unit > /etc/systemd/system/shoutd.service
  shoutd unit -c /etc/feed.toml";
