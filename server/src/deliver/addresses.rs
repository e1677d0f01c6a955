//! Which addresses may be asked: those of the public internet, and networks that the operator has named. Pure.
//!
//! **Invariant:** an address that carries another one (IPv4 within IPv6, in its several ways) is judged by both.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// More networks than any operator lists.
const NETWORKS_MAX: usize = 64;

/// IPv4 that is not of the public internet: first address, bits of the prefix, what it is.
const NOT_PUBLIC_V4: [(Ipv4Addr, u32, &str); 16] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8, "of this network"),
    (Ipv4Addr::new(10, 0, 0, 0), 8, "private"),
    (Ipv4Addr::new(100, 64, 0, 0), 10, "of a carrier's own network"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "loopback"),
    // Metadata of most clouds among it.
    (Ipv4Addr::new(169, 254, 0, 0), 16, "link-local"),
    (Ipv4Addr::new(168, 63, 129, 16), 32, "a cloud's metadata address"),
    (Ipv4Addr::new(172, 16, 0, 0), 12, "private"),
    (Ipv4Addr::new(192, 0, 0, 0), 24, "reserved"),
    (Ipv4Addr::new(192, 0, 2, 0), 24, "for examples"),
    (Ipv4Addr::new(192, 88, 99, 0), 24, "reserved"),
    (Ipv4Addr::new(192, 168, 0, 0), 16, "private"),
    (Ipv4Addr::new(198, 18, 0, 0), 15, "for measurements"),
    (Ipv4Addr::new(198, 51, 100, 0), 24, "for examples"),
    (Ipv4Addr::new(203, 0, 113, 0), 24, "for examples"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "multicast"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "reserved"),
];

/// The part of IPv6 that is given out to the public.
const GLOBAL_V6: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
/// What of it is not for the public all the same.
const NOT_PUBLIC_V6: [(Ipv6Addr, u32, &str); 4] = [
    // Tunnels, whose other end is somebody else.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, "reserved"),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, "for examples"),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, "of a tunnel"),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, "for examples"),
];
/// What stands outside of it, by the names that people know.
const NAMED_V6: [(Ipv6Addr, u32, &str); 5] = [
    (Ipv6Addr::UNSPECIFIED, 128, "of this network"),
    (Ipv6Addr::LOCALHOST, 128, "loopback"),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, "private"),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, "link-local"),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8, "multicast"),
];
/// `::a.b.c.d`, `::ffff:a.b.c.d`, `::ffff:0:a.b.c.d` and `64:ff9b::a.b.c.d`: IPv4 in their last four bytes.
const CARRIERS_V6: [(Ipv6Addr, u32); 4] = [
    (Ipv6Addr::UNSPECIFIED, 96),
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96),
    (Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, 0, 0), 96),
    (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96),
];

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworksError {
    #[error("{0:?} is not a network like 10.20.0.0/16 or fd00:12::/32")]
    NotANetwork(String),
    #[error("{0:?} has bits beyond its prefix, write {1}")]
    Bits(String, String),
    #[error("there are more than {NETWORKS_MAX} networks")]
    TooMany,
}

/// Networks that are not public and may be asked all the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks(Vec<Network>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    first: IpAddr,
    bits: u32,
}

impl Networks {
    /// Each like `10.20.0.0/16`, or one address.
    pub fn parse<'t>(texts: impl IntoIterator<Item = &'t str>) -> Result<Self, NetworksError> {
        let networks: Vec<Network> = texts.into_iter().map(Network::parse).collect::<Result<_, _>>()?;
        if networks.len() > NETWORKS_MAX { Err(NetworksError::TooMany) } else { Ok(Self(networks)) }
    }

    /// Whether the operator has named it.
    pub fn name(&self, address: IpAddr) -> bool {
        // An IPv4 address that comes as IPv6 is the same machine.
        let address = address.to_canonical();
        self.0.iter().any(|network| network.holds(address))
    }

    /// What keeps an address from being asked; nothing where it is public or named.
    pub fn refusal(&self, address: IpAddr) -> Option<&'static str> {
        if self.name(address) { None } else { not_public(address) }
    }
}

impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: Vec<String> = self.0.iter().map(|network| format!("{}/{}", network.first, network.bits)).collect();
        f.write_str(&shown.join(","))
    }
}

impl Network {
    fn parse(text: &str) -> Result<Self, NetworksError> {
        let bad = || NetworksError::NotANetwork(text.to_owned());
        let (address, bits) = match text.trim().split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text.trim(), None),
        };
        let first = IpAddr::from_str(address).map_err(|_| bad())?;
        let longest = if first.is_ipv4() { 32 } else { 128 };
        let digits = |bits: &str| bits.bytes().all(|b| b.is_ascii_digit()).then(|| bits.parse::<u32>().ok()).flatten();
        let bits = bits.map_or(Some(longest), digits).filter(|bits| *bits <= longest).ok_or_else(bad)?;
        let cut = masked(first, bits);
        if cut != first {
            return Err(NetworksError::Bits(text.to_owned(), format!("{cut}/{bits}")));
        }
        Ok(Self { first, bits })
    }

    fn holds(&self, address: IpAddr) -> bool {
        self.first.is_ipv4() == address.is_ipv4() && masked(address, self.bits) == self.first
    }
}

/// The first address of the network of an address.
fn masked(address: IpAddr, bits: u32) -> IpAddr {
    match address {
        IpAddr::V4(v4) => IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & u32::MAX.checked_shl(32 - bits).unwrap_or(0))),
        IpAddr::V6(v6) => {
            IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & u128::MAX.checked_shl(128 - bits).unwrap_or(0)))
        }
    }
}

fn within(address: impl Into<IpAddr>, first: impl Into<IpAddr>, bits: u32) -> bool {
    masked(address.into(), bits) == first.into()
}

fn not_public(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(v4) => not_public_v4(v4),
        IpAddr::V6(v6) => not_public_v6(v6),
    }
}

fn not_public_v4(address: Ipv4Addr) -> Option<&'static str> {
    NOT_PUBLIC_V4.iter().find(|(first, bits, _)| within(address, *first, *bits)).map(|(_, _, what)| *what)
}

fn not_public_v6(address: Ipv6Addr) -> Option<&'static str> {
    let known = NAMED_V6.iter().chain(&NOT_PUBLIC_V6).find(|(first, bits, _)| within(address, *first, *bits));
    if let Some((_, _, what)) = known {
        return Some(what);
    }
    let [.., a, b, c, d] = address.octets();
    if CARRIERS_V6.iter().any(|(first, bits)| within(address, *first, *bits)) {
        return not_public_v4(Ipv4Addr::new(a, b, c, d)).or(Some("IPv4 written as IPv6"));
    }
    (!within(address, GLOBAL_V6.0, GLOBAL_V6.1)).then_some("not of the public internet")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refusal(address: &str) -> Option<&'static str> {
        Networks::default().refusal(address.parse().unwrap())
    }

    #[test]
    fn what_is_not_public_is_refused_in_every_notation() {
        for (address, what) in [
            ("127.0.0.1", "loopback"),
            ("127.255.0.9", "loopback"),
            ("10.0.0.1", "private"),
            ("172.16.0.1", "private"),
            ("172.31.255.255", "private"),
            ("192.168.1.1", "private"),
            ("169.254.169.254", "link-local"),
            ("168.63.129.16", "a cloud's metadata address"),
            ("100.100.100.200", "of a carrier's own network"),
            ("0.0.0.0", "of this network"),
            ("255.255.255.255", "reserved"),
            ("224.0.0.1", "multicast"),
            ("::", "of this network"),
            ("::1", "loopback"),
            ("fd00:ec2::254", "private"),
            ("fe80::1", "link-local"),
            ("ff02::1", "multicast"),
            ("::ffff:10.0.0.1", "private"),
            ("::ffff:127.0.0.1", "loopback"),
            ("::ffff:8.8.8.8", "IPv4 written as IPv6"),
            ("::7f00:1", "loopback"),
            ("64:ff9b::a9fe:a9fe", "link-local"),
            ("64:ff9b::808:808", "IPv4 written as IPv6"),
            ("2002:7f00:1::", "of a tunnel"),
            ("2001:0:7f00:1::", "reserved"),
            ("100::1", "not of the public internet"),
            ("fec0::1", "not of the public internet"),
        ] {
            assert_eq!(refusal(address), Some(what), "{address}");
        }
        for public in ["8.8.8.8", "1.1.1.1", "172.15.255.255", "172.32.0.0", "100.128.0.0", "2606:4700::1111"] {
            assert_eq!(refusal(public), None, "{public}");
        }
    }

    #[test]
    fn an_operator_names_networks() {
        let networks = Networks::parse(["10.20.0.0/16", "127.0.0.1", "fd00:12::/32"]).unwrap();
        assert_eq!(networks.to_string(), "10.20.0.0/16,127.0.0.1/32,fd00:12::/32");
        for named in ["10.20.255.1", "127.0.0.1", "::ffff:127.0.0.1", "fd00:12::9"] {
            assert_eq!(networks.refusal(named.parse().unwrap()), None, "{named}");
        }
        for other in ["10.21.0.0", "127.0.0.2", "fd00:13::", "169.254.169.254"] {
            assert!(networks.refusal(other.parse().unwrap()).is_some(), "{other}");
        }
        for bad in ["", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "10.0.0", "any", "::/129", "10.0.0.1/8"] {
            assert!(Networks::parse([bad]).is_err(), "{bad}");
        }
        let everything = Networks::parse(["0.0.0.0/0", "::/0"]).unwrap();
        assert_eq!(everything.refusal("127.0.0.1".parse().unwrap()), None);
    }

    proptest! {
        #[test]
        fn ipv4_is_never_let_through_as_ipv6(bits: u32, carrier in 0_usize..4) {
            let v4 = Ipv4Addr::from_bits(bits);
            let v6 = Ipv6Addr::from_bits(CARRIERS_V6[carrier].0.to_bits() | u128::from(bits));
            prop_assert!(Networks::default().refusal(v6.into()).is_some());
            if let Some(what) = Networks::default().refusal(v4.into()) {
                let told = Networks::default().refusal(v6.into()).unwrap();
                prop_assert!(told == what || bits <= 1, "{} {}", told, what);
            }
        }

        #[test]
        fn any_text_is_a_network_or_refused(text in "[0-9a-f:./]{0,24}|.{0,24}") {
            if let Ok(networks) = Networks::parse([text.as_str()]) {
                prop_assert_eq!(Networks::parse([networks.to_string().as_str()]).unwrap(), networks);
            }
        }
    }
}
