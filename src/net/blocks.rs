//! Blocks of addresses in CIDR notation (RFC 4632, RFC 4291), and which addresses lie in a list of them.
//!
//! Who is let in or kept out by a list is not known here.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// All addresses that begin with the same bits. What stands for IPv4 in IPv6 (`::ffff:a.b.c.d`) is IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    first: IpAddr,
    bits: u8,
}

impl Block {
    fn new(address: IpAddr, bits: u8) -> Block {
        let first = match address {
            IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits() & !tail32(bits)).into(),
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !tail128(bits)).into(),
        };
        Block { first, bits }
    }

    fn last(self) -> IpAddr {
        match self.first {
            IpAddr::V4(first) => Ipv4Addr::from_bits(first.to_bits() | tail32(self.bits)).into(),
            IpAddr::V6(first) => Ipv6Addr::from_bits(first.to_bits() | tail128(self.bits)).into(),
        }
    }
}

fn tail32(bits: u8) -> u32 {
    u32::MAX.checked_shr(bits.into()).unwrap_or(0)
}

fn tail128(bits: u8) -> u128 {
    u128::MAX.checked_shr(bits.into()).unwrap_or(0)
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.bits)
    }
}

impl FromStr for Block {
    type Err = String;

    /// Reads `10.0.0.0/8`, `2001:db8::/32`, or an address alone; the error is what is wrong, a semicolon, and
    /// the cure.
    fn from_str(text: &str) -> Result<Block, String> {
        const FITTING: &str = "write an address, or a block such as \"10.0.0.0/8\" or \"2001:db8::/32\"";
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| format!("\"{text}\" is no block of addresses; {FITTING}"))?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let digits = |bits: &&str| !bits.is_empty() && bits.bytes().all(|byte| byte.is_ascii_digit());
        let bits = match bits {
            None => most,
            Some(bits) => Some(bits)
                .filter(digits)
                .and_then(|bits| bits.parse().ok())
                .filter(|bits| *bits <= most)
                .ok_or_else(|| format!("`/{bits}` is no length of a prefix; from /0 to /{most}"))?,
        };
        let block = Block::new(address, bits);
        if block.first != address {
            return Err(format!("{text} has bits set behind the first {bits}; write \"{block}\", or \"{address}\""));
        }
        Ok(match (block.first, block.first.to_canonical()) {
            (IpAddr::V6(_), first @ IpAddr::V4(_)) if bits >= 96 => Block { first, bits: bits - 96 },
            _ => block,
        })
    }
}

/// A list of blocks, in which an address is found by halving, however many there are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Blocks {
    /// The first and the last address of each run, in order; no two of them touch.
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

impl Blocks {
    /// Whether it is in one of them.
    #[must_use]
    pub fn contain(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => is_in(&self.v4, address.to_bits()),
            IpAddr::V6(address) => is_in(&self.v6, address.to_bits()),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }
}

impl FromIterator<Block> for Blocks {
    fn from_iter<I: IntoIterator<Item = Block>>(blocks: I) -> Blocks {
        let mut all = Blocks::default();
        for block in blocks {
            match (block.first, block.last()) {
                (IpAddr::V4(first), IpAddr::V4(last)) => all.v4.push((first.to_bits(), last.to_bits())),
                (IpAddr::V6(first), IpAddr::V6(last)) => all.v6.push((first.to_bits(), last.to_bits())),
                _ => {}
            }
        }
        join(&mut all.v4);
        join(&mut all.v6);
        all
    }
}

/// Sorts runs, and lets those that lie in others go: blocks overlap only so.
fn join<N: Ord + Copy>(runs: &mut Vec<(N, N)>) {
    runs.sort_unstable_by_key(|(first, last)| (*first, std::cmp::Reverse(*last)));
    let mut reached = None;
    runs.retain(|(_, last)| {
        let is_new = reached.is_none_or(|reached| *last > reached);
        reached = reached.max(Some(*last));
        is_new
    });
}

fn is_in<N: Ord + Copy>(runs: &[(N, N)], address: N) -> bool {
    let before = runs.partition_point(|(first, _)| *first <= address);
    before.checked_sub(1).and_then(|nth| runs.get(nth)).is_some_and(|(_, last)| address <= *last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn blocks(texts: &[&str]) -> Blocks {
        texts.iter().map(|text| text.parse::<Block>().unwrap()).collect()
    }

    fn contain(texts: &[&str], address: &str) -> bool {
        blocks(texts).contain(address.parse().unwrap())
    }

    #[test]
    fn an_address_is_in_a_block_by_its_first_bits() {
        let private = ["10.0.0.0/8", "192.168.0.0/16", "fd00::/8"];
        for inside in ["10.0.0.0", "10.255.255.255", "192.168.7.1", "fd12::1", "::ffff:10.1.2.3"] {
            assert!(contain(&private, inside), "{inside}");
        }
        for outside in ["9.255.255.255", "11.0.0.0", "192.169.0.0", "fe80::1", "::10.1.2.3", "::ffff:11.0.0.0"] {
            assert!(!contain(&private, outside), "{outside}");
        }
        assert!(contain(&["0.0.0.0/0"], "255.255.255.255") && !contain(&["0.0.0.0/0"], "::1"));
        assert!(contain(&["::/0"], "::1") && !contain(&["::/0"], "::ffff:1.2.3.4"), "that is IPv4");
        assert!(contain(&["::ffff:10.0.0.0/104"], "10.1.2.3"));
        assert!(contain(&["::1"], "::1") && !contain(&["127.0.0.1"], "127.0.0.2"));
    }

    #[test]
    fn what_is_no_block_is_told_with_the_right_form() {
        let wrong = |text: &str| text.parse::<Block>().unwrap_err();
        assert_eq!(
            wrong("10.0.0.1/8"),
            "10.0.0.1/8 has bits set behind the first 8; write \"10.0.0.0/8\", or \"10.0.0.1\""
        );
        assert_eq!(
            wrong("2001:db8::1/64"),
            "2001:db8::1/64 has bits set behind the first 64; write \"2001:db8::/64\", or \"2001:db8::1\""
        );
        assert_eq!(wrong("10.0.0.0/33"), "`/33` is no length of a prefix; from /0 to /32");
        for text in ["", "10.0.0", "10.0.0.0/", "10.0.0.0/+8", "10.0.0.0/8/8", "localhost", "010.0.0.0/8", "::/129"] {
            assert!(text.parse::<Block>().is_err(), "{text}");
        }
    }

    proptest! {
        /// Row 8: against a look at each block, bit by bit.
        #[test]
        fn a_list_finds_what_one_look_after_the_other_finds(
            rules in prop::collection::vec((any::<u32>(), 0_u8..=32, any::<u128>(), 0_u8..=128), 0..40),
            near in any::<u32>(), far in any::<u128>(), which in any::<prop::sample::Index>()
        ) {
            let v4 = |(address, bits, ..): &(u32, u8, u128, u8)| Block::new(Ipv4Addr::from_bits(*address).into(), *bits);
            let v6 = |(.., address, bits): &(u32, u8, u128, u8)| Block::new(Ipv6Addr::from_bits(*address).into(), *bits);
            let all: Blocks = rules.iter().map(v4).chain(rules.iter().map(v6)).collect();
            let (mut near, mut far) = (near, far);
            if !rules.is_empty() {
                // one that lies at the edge of a block now and then
                let (address, bits, wide, wide_bits) = rules[which.index(rules.len())];
                near = if near % 2 == 0 { address ^ (1_u32.checked_shl(32 - u32::from(bits)).unwrap_or(0)) } else { near };
                far = if far % 2 == 0 { wide ^ (1_u128.checked_shl(128 - u32::from(wide_bits)).unwrap_or(0)) } else { far };
            }
            let same = |a: u128, b: u128, bits: u8, width: u8| {
                (0..bits).all(|bit| (a >> (width - 1 - bit)) & 1 == (b >> (width - 1 - bit)) & 1)
            };
            let expected = rules.iter().any(|(address, bits, ..)| same((*address).into(), near.into(), *bits, 32));
            prop_assert_eq!(all.contain(Ipv4Addr::from_bits(near).into()), expected);
            if Ipv6Addr::from_bits(far).to_ipv4_mapped().is_none() {
                let expected = rules.iter().any(|(.., address, bits)| same(*address, far, *bits, 128));
                prop_assert_eq!(all.contain(Ipv6Addr::from_bits(far).into()), expected);
            }
        }
    }
}
