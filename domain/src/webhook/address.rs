//! Where a webhook may go: to addresses of the public Internet only, so that nobody can have us ask a machine that only we
//! can reach (server-side request forgery).
//!
//! The ranges are IANA's special-purpose registries (<https://www.iana.org/assignments/iana-ipv4-special-registry>, the same
//! for IPv6), multicast, and for IPv6 everything outside of global unicast (2000::/3, RFC 4291). Addresses that carry another
//! one inside (mapped, NAT64, 6to4, Teredo) are refused whatever they carry. How a URL spells an address (`0x7f.1`,
//! `2130706433`) is for the URL parser to undo before it is judged here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why a target is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The machine itself: only a local server may be told to go there.
    Loopback,
    /// An address that is not of the public Internet.
    NotPublic,
    /// A name that only a local network knows.
    LocalName,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Loopback => "the target is the machine itself",
            Self::NotPublic => "the target's address is not of the public Internet",
            Self::LocalName => "the target's name is known in a local network only",
        })
    }
}

/// Judges an address.
pub fn judge(address: IpAddr) -> Result<(), Refusal> {
    let (is_loopback, is_special) = match address {
        IpAddr::V4(address) => (address.is_loopback(), is_special_v4(address)),
        IpAddr::V6(address) => (address.is_loopback(), is_special_v6(address)),
    };
    match (is_loopback, is_special) {
        (true, _) => Err(Refusal::Loopback),
        (_, true) => Err(Refusal::NotPublic),
        _ => Ok(()),
    }
}

/// Judges a name before it is looked up.
pub fn judge_name(name: &str) -> Result<(), Refusal> {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    if name == "localhost" || name.ends_with(".localhost") {
        return Err(Refusal::Loopback);
    }
    let is_local = !name.contains('.') || LOCAL_SUFFIXES.iter().any(|suffix| name.ends_with(suffix));
    if is_local { Err(Refusal::LocalName) } else { Ok(()) }
}

const LOCAL_SUFFIXES: [&str; 6] = [".local", ".internal", ".intranet", ".lan", ".home.arpa", ".localdomain"];

/// First address and prefix length.
const SPECIAL_V4: [([u8; 4], u32); 16] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 31, 196, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([224, 0, 0, 0], 4),
    ([240, 0, 0, 0], 4),
];

/// Within 2000::/3.
const SPECIAL_V6: [([u16; 3], u32); 5] = [
    // IETF protocol assignments, Teredo and ORCHID among them.
    ([0x2001, 0, 0], 23),
    ([0x2001, 0x0db8, 0], 32),
    ([0x2002, 0, 0], 16),
    ([0x2620, 0x004f, 0x8000], 48),
    ([0x3fff, 0, 0], 20),
];

fn is_special_v4(address: Ipv4Addr) -> bool {
    let bits = address.to_bits();
    SPECIAL_V4.iter().any(|(first, prefix)| (bits ^ Ipv4Addr::from(*first).to_bits()) >> (32 - prefix) == 0)
}

fn is_special_v6(address: Ipv6Addr) -> bool {
    let bits = address.to_bits();
    let is_unicast = bits >> 125 == 1;
    let is_in = |([a, b, c], prefix): &([u16; 3], u32)| {
        (bits ^ Ipv6Addr::new(*a, *b, *c, 0, 0, 0, 0, 0).to_bits()) >> (128 - prefix) == 0
    };
    !is_unicast || SPECIAL_V6.iter().any(is_in)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_public_internet_is_a_target() {
        let check = |address: &str, expected| assert_eq!(judge(address.parse().unwrap()), expected, "{address}");
        for public in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.1",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.1",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "2a00:1450::1",
            "2003::1",
            "3ffe::1",
        ] {
            check(public, Ok(()));
        }
        for special in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.0",
            "10.255.255.255",
            "100.64.0.1",
            "100.127.255.255",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::127.0.0.1",
            "64:ff9b::8.8.8.8",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:10::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "2002:808:808::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "4000::1",
        ] {
            check(special, Err(Refusal::NotPublic));
        }
        for own in ["127.0.0.1", "127.255.255.254", "::1"] {
            check(own, Err(Refusal::Loopback));
        }
    }

    #[test]
    fn names_of_local_networks_are_no_targets() {
        let check = |name: &str, expected| assert_eq!(judge_name(name), expected, "{name}");
        for name in ["hooks.merchant.example", "a.b", "xn--bcher-kva.example.", "localhost.example", "internal.example"]
        {
            check(name, Ok(()));
        }
        for name in ["localhost", "LOCALHOST.", "a.localhost", "localhost.."] {
            check(name, Err(Refusal::Loopback));
        }
        for name in [
            "",
            "intranet",
            "printer.local",
            "metadata.google.internal",
            "metadata.google.internal.",
            "x.home.arpa",
            "nas.lan",
        ] {
            check(name, Err(Refusal::LocalName));
        }
    }
}
