//! Which addresses cannot be listened on together, known before any is bound.
//!
//! A name other than `localhost` is only held against itself: what it resolves to is not asked.

use crate::net::address::{Address, known_addresses};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

/// One thing that only one socket may have.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Claim {
    Path(PathBuf),
    /// A port of one numeric address, or of one name.
    One(String, u16),
    /// A port of at least one address of the family whose `0.0.0.0` this is.
    Any(IpAddr, u16),
}

/// The claims made so far, each with its address.
#[derive(Debug)]
pub(super) struct Claims<A>(HashMap<Claim, A>);

impl<A: Clone> Claims<A> {
    pub(super) fn new() -> Claims<A> {
        Claims(HashMap::new())
    }

    /// Claims `address`, or gives the `holder` of one that it cannot be bound beside.
    pub(super) fn claim(&mut self, address: &Address, holder: A) -> Option<A> {
        let claims = match address {
            Address::Unix(path) => vec![(Claim::Path(path.clone()), None)],
            Address::Tcp { port: 0, .. } => Vec::new(), // each is another port
            Address::Tcp { host, port } => tcp(&host.to_lowercase(), *port),
        };
        let taken = claims.iter().find_map(|(own, family)| {
            let whole = family.as_ref().map(|(all, any)| if own == all { any } else { all });
            [Some(own), whole].into_iter().flatten().find_map(|claim| self.0.get(claim)).cloned()
        });
        if taken.is_none() {
            for (own, family) in claims {
                self.0.entry(own).or_insert_with(|| holder.clone());
                if let Some((_, any)) = family {
                    self.0.entry(any).or_insert_with(|| holder.clone());
                }
            }
        }
        taken
    }
}

/// What `host` claims, each with the claims of all and of any address of its family.
fn tcp(host: &str, port: u16) -> Vec<(Claim, Option<(Claim, Claim)>)> {
    let ips = known_addresses(host);
    let family = |all: IpAddr| Some((Claim::One(all.to_string(), port), Claim::Any(all, port)));
    let of = |v4| family(if v4 { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() });
    match ips[..] {
        // an address with a scope, or a name
        [] => vec![(Claim::One(host.to_owned(), port), if host.contains(':') { of(false) } else { None })],
        _ => ips.iter().map(|ip| (Claim::One(ip.to_string(), port), of(ip.is_ipv4()))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_bound_together_is_known() {
        for (first, second, clash) in [
            ("localhost:1", "127.0.0.1:1", true),
            ("[::1]:1", "LOCALHOST:1", true),
            ("0.0.0.0:1", "127.0.0.2:1", true),
            ("127.0.0.2:1", "0.0.0.0:1", true),
            ("0.0.0.0:1", "0.0.0.0:1", true),
            ("[::]:1", "localhost:1", true),
            ("[fe80::1%a]:1", "[::]:1", true),
            ("[::1]:1", "[0:0::1]:1", true),
            ("h:1", "H:1", true),
            ("unix:/a/./x", "unix:/a/x", true),
            ("unix:/a", "unix:/A", false),
            ("0.0.0.0:1", "[::]:1", false),
            ("[fe80::1%a]:1", "[fe80::1%b]:1", false),
            ("127.0.0.1:1", "127.0.0.2:1", false),
            ("0.0.0.0:1", "h:1", false),
            ("0.0.0.0:1", "127.0.0.1:2", false),
            ("h:0", "h:0", false),
        ] {
            let mut claims = Claims::new();
            assert_eq!(claims.claim(&first.parse().unwrap(), 7), None);
            assert_eq!(claims.claim(&second.parse().unwrap(), 8), clash.then_some(7), "{first} and {second}");
        }
    }
}
