//! The real program in a process of its own: signals, exit codes, the log, the system's limits.
//!
//! What needs more than Rust is ignored, with its need as the reason; CI installs it and runs all.

#[path = "../common/mod.rs"]
mod common;
mod harness;
mod links;

mod admin; // status, metrics, the page, orders by the control socket
mod clients; // netcat, socat, the blog's own client
mod control; // the verbs that talk to a running daemon
mod cookbook; // the recipes under config/cookbook
mod hostile_peers; // garbage, floods, deafness, resets, flapping, SIGKILL
mod log; // formats, access records, what hostile bytes become
mod overload; // too many clients, too few descriptors, a log that nobody reads
mod peers; // daemons that are each other's peers
mod peers_clients; // netcat, ncat, socat and the blog's programs as peers
mod peers_verbs; // the verbs that show peers and talk to them
mod reload; // SIGHUP: edited files, broken files, under load
mod service; // what systemd sees: the notify socket, the watchdog, passed sockets
mod signals; // INT, TERM
mod start; // what is said at the start, and when it fails
