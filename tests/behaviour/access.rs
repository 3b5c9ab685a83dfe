use crate::harness::{Daemon, eventually, told_of};
use shoutd::server::{AccessLog, Listener};

#[test]
fn the_access_log_changes_while_connections_are_served() {
    let daemon = Daemon::with(|plan| {
        let service = plan.service("watched");
        plan.settings.listeners.push(Listener::new("127.0.0.1:0".parse().unwrap(), service));
    });
    for access in [AccessLog::Off, AccessLog::End, AccessLog::StartAndEnd, AccessLog::Off] {
        daemon.server().set_access(access);
        daemon.connect().send("hello").expect("HELLO");
        // its place is given back when its end was told
        eventually("it has ended", || daemon.server().open() == 0);
    }
    assert_eq!(told_of("watched"), ["end", "start", "end"]);
}
