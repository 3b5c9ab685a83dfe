use crate::harness::{Client, Daemon, PATIENCE, Plan, eventually};
use shoutd::server::{LinkState, Listener, Manners, Peer, PeerReport, Reply};
use shoutd::session::EndReason;
use shoutd::transform::Template;
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

/// A daemon that dials `to`, and greets.
fn dialler(to: SocketAddr, manners: Manners, change: impl FnOnce(&mut Plan)) -> Daemon {
    Daemon::with(|plan| {
        change(plan);
        let service = plan.service("default");
        plan.settings.listeners.push(Listener::new("127.0.0.1:0".parse().unwrap(), service));
        let mut peer = Peer::new("peer", to.to_string().parse().unwrap(), "default");
        peer.manners = manners;
        peer.retry.min = Duration::from_millis(5);
        peer.retry.max = Duration::from_millis(20);
        plan.settings.peers = vec![peer];
    })
}

fn greeting() -> Manners {
    Manners { greeting: Some(Template::parse("Hello").unwrap()), ..Manners::default() }
}

/// Somebody who listens, and their end of the link once they are dialled.
struct Somebody(TcpListener);

impl Somebody {
    fn new() -> (Somebody, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        (Somebody(listener), address)
    }

    fn accept(&self) -> (Client, SocketAddr) {
        let (stream, from) = self.0.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        (Client(stream), from)
    }
}

impl Daemon {
    fn peer(&self) -> PeerReport {
        self.control().peers().remove(0)
    }

    fn await_state(&self, state: LinkState) {
        eventually(&format!("it is {state}"), || self.peer().state == state);
    }
}

#[test]
fn a_peer_is_dialled_from_the_listening_port_greeted_and_answered() {
    let (somebody, address) = Somebody::new();
    let daemon = dialler(address, greeting(), |_| {});
    let (mut link, from) = somebody.accept();
    assert_eq!(from, daemon.addresses()[0]);
    link.expect("Hello").send("HELLO");
    eventually("the answer is counted", || daemon.peer().answers == 1);
    link.send("hello").expect("HELLO").send("hello").expect("HELLO");
    daemon.await_state(LinkState::Linked);
    assert!(daemon.peer().linked.unwrap().dialled);
    drop(link);
    // how soon it comes back is drawn: at times before anybody could see that it was away
    somebody.accept().0.expect("Hello");
}

#[test]
fn whoever_asks_a_peer_something_is_told_its_answer_and_what_came_meanwhile() {
    let (somebody, address) = Somebody::new();
    let daemon = dialler(address, Manners::default(), |_| {});
    let (mut link, _) = somebody.accept();
    daemon.await_state(LinkState::Linked);
    let replies = daemon.control().say("peer", b"ping").unwrap();
    link.expect("ping").send("something else").expect("SOMETHING ELSE").send("PING");
    assert_eq!(replies.recv_timeout(PATIENCE), Ok(Reply::Other(b"something else".to_vec())));
    assert!(matches!(replies.recv_timeout(PATIENCE), Ok(Reply::Answer { text, .. }) if text == b"PING"));
    let replies = daemon.control().say(&address.to_string(), b"pong").unwrap();
    drop(link);
    let ended = |reply| matches!(reply, Reply::Ended(EndReason::ClientFin | EndReason::ClientReset));
    assert!(ended(replies.recv_timeout(PATIENCE).unwrap()));
}

/// The end of a hold was taken for an end of the connection where so much was held that nothing was read.
#[test]
fn whatever_is_held_back_is_sent_in_the_end() {
    let (somebody, address) = Somebody::new();
    let daemon = dialler(address, Manners::default(), |_| {});
    let (mut link, _) = somebody.accept();
    for _ in 0..32 {
        link.send("x").expect("X");
    }
    let begun = Instant::now();
    // more than is held, and less than that twice
    let answer = link.exchange(&"y".repeat(1_500_000));
    assert!(answer == "Y".repeat(1_500_000).as_bytes(), "{} bytes", answer.len());
    assert!(begun.elapsed() >= Duration::from_millis(900), "it was held back");
    assert_eq!(daemon.closed(EndReason::ClientFin), 1);
}

#[test]
fn a_client_that_waits_for_each_answer_is_slowed_only_where_the_guard_is_on() {
    let (somebody, address) = Somebody::new();
    let daemon = dialler(address, Manners { loop_guard: false, ..Manners::default() }, |_| {});
    let (mut link, _) = somebody.accept();
    for _ in 0..500 {
        link.send("x").expect("X");
    }
    assert_eq!(daemon.peer().loops, 0);
}

#[test]
fn what_sends_by_itself_is_not_taken_for_a_loop() {
    let (somebody, address) = Somebody::new();
    let daemon = dialler(address, Manners::default(), |plan| plan.framing = "line");
    let (mut link, _) = somebody.accept();
    // all at once: far more than the turns that are free
    link.send("line\n".repeat(300)).expect("LINE\n".repeat(300));
    assert_eq!(daemon.peer().loops, 0);
}

#[test]
fn a_client_of_the_port_that_dials_is_a_client_like_any_other() {
    let (somebody, address) = Somebody::new();
    let daemon = dialler(address, Manners::default(), |_| {});
    let (mut link, from) = somebody.accept();
    daemon.await_state(LinkState::Linked);
    let mut client = Client::connect(from);
    client.send("a client like any other").expect("A CLIENT LIKE ANY OTHER");
    link.send("hello").expect("HELLO");
    assert_eq!(daemon.control().totals().open(), 2);
}

/// A connection that was reset before its worker had it has no other end for the system any more: the link
/// never heard of it, and was never dialled again.
#[test]
fn a_peer_that_resets_at_once_is_dialled_again_and_again() {
    let (somebody, address) = Somebody::new();
    let daemon = dialler(address, greeting(), |_| {});
    for _ in 0..200 {
        let (link, _) = somebody.accept();
        rustix::net::sockopt::set_socket_linger(&link.0, Some(Duration::ZERO)).unwrap();
    }
    eventually("each is counted", || daemon.peer().dials.iter().sum::<u64>() >= 200);
}
