use crate::harness::{Daemon, Plan, eventually, told_of};
use shoutd::server::{AccessLog, Listener, Settings};

fn settings(access: AccessLog) -> Settings {
    let mut plan = Plan::new();
    let service = plan.service("watched");
    plan.settings.listeners.push(Listener::new("127.0.0.1:0".parse().unwrap(), service));
    Settings { access, ..plan.settings }
}

#[test]
fn the_access_log_changes_while_connections_are_served() {
    let daemon = Daemon::with(|plan| plan.settings = settings(AccessLog::Off));
    for access in [AccessLog::Off, AccessLog::End, AccessLog::StartAndEnd, AccessLog::Off] {
        daemon.control().apply(settings(access)).unwrap();
        daemon.connect().send("hello").expect("HELLO");
        // its place is given back when its end was told
        eventually("it has ended", || daemon.control().open() == 0);
    }
    assert_eq!(told_of("watched"), ["end", "start", "end"]);
}
