//! What is said to a peer, and why it cannot be.

use super::control::Control;
use crate::net::errands::{Errand, Reply};
use crate::net::links::sheet::PeerReport;
use crossbeam_channel::{Receiver, unbounded};
use std::fmt;
use std::time::Duration;

/// How many peers are named to whoever named none of them.
const NAMED: usize = 10;

/// Why nothing was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unsaid {
    /// There is no peer of this name or address.
    NoSuchPeer {
        /// The names of those that there are.
        known: Vec<String>,
    },
    /// There is no link to it.
    Down {
        /// Its name.
        name: String,
        /// Why, where that is known.
        why: Option<String>,
        /// How long until it is dialled again, if it is to be.
        next_try: Option<Duration>,
    },
    /// More is on its way to it than it takes.
    Busy,
}

impl fmt::Display for Unsaid {
    /// What is wrong, without the name that was asked for, and the cure.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unsaid::NoSuchPeer { known } if known.is_empty() => {
                f.write_str("there is no peer at all; [[peer]] in the configuration adds one")
            }
            Unsaid::NoSuchPeer { known } => {
                let named: Vec<&str> = known.iter().take(NAMED).map(String::as_str).collect();
                write!(f, "there is no such peer; known: {}", named.join(", "))?;
                match known.len().saturating_sub(NAMED) {
                    0 => Ok(()),
                    more => write!(f, ", and {more} more"),
                }
            }
            Unsaid::Down { why, next_try, .. } => {
                write!(f, "no link: {}", why.as_deref().unwrap_or("there was none yet"))?;
                match next_try {
                    // a time that has come is told as the next moment
                    Some(next) => write!(f, "; dialled next in {} s", next.as_millis().div_ceil(1000).max(1)),
                    None => Ok(()),
                }
            }
            Unsaid::Busy => f.write_str("more is on its way to it than it takes; try again in a moment"),
        }
    }
}

impl std::error::Error for Unsaid {}

impl Control {
    /// How the link to each peer is, in the order of the settings.
    #[must_use]
    pub fn peers(&self) -> Vec<PeerReport> {
        let now = self.now();
        self.0.sheets.read().iter().map(|sheet| sheet.report(now)).collect()
    }

    /// Says `text` to the peer with this name, or this address as it is configured; the receiver is told
    /// what comes of it, and is disconnected when there is nothing more to tell.
    ///
    /// # Errors
    ///
    /// Why nothing was said.
    pub fn say(&self, peer: &str, text: &[u8]) -> Result<Receiver<Reply>, Unsaid> {
        let peers = self.peers();
        let is_meant = |one: &&PeerReport| one.name == peer || one.address.to_string() == peer;
        let Some(found) = peers.iter().find(is_meant) else {
            return Err(Unsaid::NoSuchPeer { known: peers.into_iter().map(|one| one.name).collect() });
        };
        let Some(linked) = found.linked else {
            let (name, why, next_try) = (found.name.clone(), found.why.clone(), found.next_try);
            return Err(Unsaid::Down { name, why, next_try });
        };
        let (tell, told) = unbounded();
        let errand = Errand::Say(linked.connection, text.to_vec(), tell);
        match self.0.workers.get(linked.worker).map(|worker| worker.errands.post(errand)) {
            Some(Ok(())) => Ok(told),
            Some(Err(_)) | None => Err(Unsaid::Busy),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_says_something_to_nobody_is_told_to_whom_it_could_be_said() {
        let known = |count: usize| (0..count).map(|nth| format!("p{nth}")).collect();
        let told = |known| Unsaid::NoSuchPeer { known }.to_string();
        assert_eq!(told(known(0)), "there is no peer at all; [[peer]] in the configuration adds one");
        assert_eq!(told(known(2)), "there is no such peer; known: p0, p1");
        assert!(told(known(12)).ends_with("p8, p9, and 2 more"), "{}", told(known(12)));
    }

    #[test]
    fn who_says_something_to_a_peer_that_is_down_is_told_why_and_until_when() {
        let down = |why: Option<&str>, millis: Option<u64>| {
            let (why, next_try) = (why.map(str::to_owned), millis.map(Duration::from_millis));
            Unsaid::Down { name: "b".to_owned(), why, next_try }.to_string()
        };
        assert_eq!(down(Some("connection refused"), Some(2100)), "no link: connection refused; dialled next in 3 s");
        assert_eq!(down(None, Some(0)), "no link: there was none yet; dialled next in 1 s");
        assert_eq!(down(Some("a reason"), None), "no link: a reason");
    }
}
