//! Which addresses callbacks may go to: those of the public internet, and the networks that whoever runs the platform excepts.
//!
//! A customer chooses where callbacks go, so without this they could make us talk to our own servers.

use std::{net::IpAddr, str::FromStr};

/// What is not of the public internet, or is a way to write an address that is not (IANA's special-purpose registries).
const NOT_PUBLIC: [&str; 32] = [
    // "This network": Linux takes 0.0.0.0 for itself.
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    // Link-local, where clouds keep their metadata and its credentials.
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    // Relays of 6to4.
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    // IPv4-compatible ones, with the unspecified address and the loopback.
    "::/96",
    // IPv4-mapped and IPv4-translated.
    "::ffff:0:0/96",
    "::ffff:0:0:0/96",
    // NAT64, which leads to any IPv4 address.
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "100::/64",
    // Teredo.
    "2001::/32",
    "2001:2::/48",
    "2001:10::/28",
    "2001:db8::/32",
    // 6to4.
    "2002::/16",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    // Site-local ones of old.
    "fec0::/10",
    "ff00::/8",
];

/// Why a text is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetError {
    /// It has another form.
    #[error("{0:?} is not a network such as 10.0.0.0/8 or fd00::/8, nor an address")]
    Malformed(String),
    /// The prefix is longer than the address.
    #[error("{0:?} has a prefix longer than its address")]
    PrefixTooLong(String),
    /// The address is one inside of the network, which leaves open what was meant.
    #[error("{0:?} is not the first address of its network")]
    HostBits(String),
}

/// A network: all addresses that begin with the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Net {
    first: IpAddr,
    prefix: u32,
}

impl Net {
    /// Whether the address is one of this network. IPv4 addresses are in no network of IPv6, however they are written.
    pub fn contains(self, address: IpAddr) -> bool {
        let ((first, width), (bits, its_width)) = (bits(self.first), bits(address));
        width == its_width && head(first, width - self.prefix) == head(bits, width - self.prefix)
    }

    /// A network of IPv4-mapped addresses as one of IPv4 addresses, which is what addresses are compared as.
    fn unmapped(self) -> Self {
        match (self.first.to_canonical(), self.prefix.checked_sub(96)) {
            (first @ IpAddr::V4(_), Some(prefix)) => Self { first, prefix },
            _ => self,
        }
    }
}

/// The address as a number, and how many bits that has.
fn bits(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(address) => (address.to_bits().into(), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    }
}

/// What is left of the number without its last bits.
fn head(number: u128, last_bits: u32) -> u128 {
    number.checked_shr(last_bits).unwrap_or(0)
}

impl FromStr for Net {
    type Err = NetError;

    /// A network in CIDR notation, or an address for itself alone.
    fn from_str(text: &str) -> Result<Self, NetError> {
        let malformed = || NetError::Malformed(text.to_owned());
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let first: IpAddr = address.parse().map_err(|_| malformed())?;
        let (number, width) = bits(first);
        let Some(prefix) = prefix else { return Ok(Self { first, prefix: width }) };
        // A number's own parser takes a sign too.
        if prefix.is_empty() || prefix.len() > 3 || !prefix.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(malformed());
        }
        let prefix: u32 = prefix.parse().map_err(|_| malformed())?;
        let host_bits = width.checked_sub(prefix).ok_or_else(|| NetError::PrefixTooLong(text.to_owned()))?;
        if head(number, host_bits).checked_shl(host_bits).unwrap_or(0) != number {
            return Err(NetError::HostBits(text.to_owned()));
        }
        Ok(Self { first, prefix })
    }
}

/// An address that callbacks may not go to. Its text is for customers and does not say which it is, as that would let them look
/// names up in our network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("url must lead to public addresses only")]
pub struct RefusedAddress(
    /// Which address.
    pub IpAddr,
);

/// Which addresses callbacks may go to.
#[derive(Debug, Clone)]
pub struct Allowed {
    refused: Vec<Net>,
    exceptions: Vec<Net>,
}

impl Allowed {
    /// All public addresses, and those in one of these networks. IPv4-mapped IPv6 addresses are in a network where their IPv4
    /// address is.
    pub fn new(exceptions: impl IntoIterator<Item = Net>) -> Self {
        let refused = NOT_PUBLIC.iter().map(|net| net.parse().expect("the table holds networks"));
        Self { refused: refused.collect(), exceptions: exceptions.into_iter().map(Net::unmapped).collect() }
    }

    /// Whether callbacks may go there.
    ///
    /// # Errors
    /// That they may not.
    pub fn check(&self, address: IpAddr) -> Result<(), RefusedAddress> {
        let is_in = |nets: &[Net], address| nets.iter().any(|net| net.contains(address));
        let is_allowed = is_in(&self.exceptions, address.to_canonical()) || !is_in(&self.refused, address);
        if is_allowed { Ok(()) } else { Err(RefusedAddress(address)) }
    }
}

impl Default for Allowed {
    /// Public addresses alone.
    fn default() -> Self {
        Self::new([])
    }
}

impl FromStr for Allowed {
    type Err = NetError;

    /// All public addresses and these networks, which commas separate. An empty text names none.
    fn from_str(text: &str) -> Result<Self, NetError> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let nets: Vec<Net> = text.split(',').map(|net| net.trim().parse()).collect::<Result<_, _>>()?;
        Ok(Self::new(nets))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of each network its first and last address, and those before and after it, where these are public.
    const BOUNDARIES: [(&str, &str, &str, &str); NOT_PUBLIC.len()] = [
        ("", "0.0.0.0", "0.255.255.255", "1.0.0.0"),
        ("9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0"),
        ("100.63.255.255", "100.64.0.0", "100.127.255.255", "100.128.0.0"),
        ("126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0"),
        ("169.253.255.255", "169.254.0.0", "169.254.255.255", "169.255.0.0"),
        ("172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0"),
        ("191.255.255.255", "192.0.0.0", "192.0.0.255", "192.0.1.0"),
        ("192.0.1.255", "192.0.2.0", "192.0.2.255", "192.0.3.0"),
        ("192.88.98.255", "192.88.99.0", "192.88.99.255", "192.88.100.0"),
        ("192.167.255.255", "192.168.0.0", "192.168.255.255", "192.169.0.0"),
        ("198.17.255.255", "198.18.0.0", "198.19.255.255", "198.20.0.0"),
        ("198.51.99.255", "198.51.100.0", "198.51.100.255", "198.51.101.0"),
        ("203.0.112.255", "203.0.113.0", "203.0.113.255", "203.0.114.0"),
        ("223.255.255.255", "224.0.0.0", "239.255.255.255", ""),
        ("", "240.0.0.0", "255.255.255.255", ""),
        ("", "::", "::ffff:ffff", "::1:0:0"),
        ("::fffe:ffff:ffff", "::ffff:0:0", "::ffff:ffff:ffff", "::1:0:0:0"),
        ("::fffe:ffff:ffff:ffff", "::ffff:0:0:0", "::ffff:0:ffff:ffff", "::ffff:1:0:0"),
        ("64:ff9a:ffff:ffff:ffff:ffff:ffff:ffff", "64:ff9b::", "64:ff9b::ffff:ffff", "64:ff9b::1:0:0"),
        ("64:ff9b:0:ffff:ffff:ffff:ffff:ffff", "64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", "64:ff9b:2::"),
        ("ff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "100::", "100::ffff:ffff:ffff:ffff", "100:0:0:1::"),
        ("2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff", "2001:1::"),
        ("2001:1:ffff:ffff:ffff:ffff:ffff:ffff", "2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff", "2001:2:1::"),
        ("2001:f:ffff:ffff:ffff:ffff:ffff:ffff", "2001:10::", "2001:1f:ffff:ffff:ffff:ffff:ffff:ffff", "2001:20::"),
        (
            "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff",
            "2001:db8::",
            "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
            "2001:db9::",
        ),
        ("2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2003::"),
        ("3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff:1000::"),
        ("5eff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "5f01::"),
        ("fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fe00::"),
        ("fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ""),
        ("", "fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ""),
        ("", "ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ""),
    ];

    fn ip(text: &str) -> IpAddr {
        text.parse().expect(text)
    }

    fn allows(allowed: &Allowed, text: &str) -> bool {
        allowed.check(ip(text)).is_ok()
    }

    #[test]
    fn every_network_is_refused_from_its_first_to_its_last_address() {
        let allowed = Allowed::default();
        for (net, (before, first, last, after)) in NOT_PUBLIC.iter().zip(BOUNDARIES) {
            assert!(net.starts_with(&format!("{first}/")), "{net} is not that of {first}");
            assert!(!allows(&allowed, first) && !allows(&allowed, last), "{net}");
            for outside in [before, after] {
                assert!(outside.is_empty() || allows(&allowed, outside), "{outside} is outside of {net}");
            }
        }
    }

    #[test]
    fn well_known_addresses_are_judged_as_they_should_be() {
        let allowed = Allowed::default();
        for refused in [
            "169.254.169.254",
            "fd00:ec2::254",
            "100.100.100.200",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "64:ff9b::10.0.0.1",
            "2002:7f00:1::",
            "fe80::1",
        ] {
            assert_eq!(allowed.check(ip(refused)), Err(RefusedAddress(ip(refused))));
        }
        for public in ["1.1.1.1", "8.8.8.8", "93.184.216.34", "2606:4700:4700::1111", "2a00:1450:4001:80b::200e"] {
            assert_eq!(allowed.check(ip(public)), Ok(()));
        }
    }

    #[test]
    fn exceptions_allow_their_own_addresses_and_no_others() {
        let allowed: Allowed = "10.1.0.0/16, fd00:1::/32,127.0.0.1,::ffff:192.168.7.0/120".parse().expect("networks");
        for inside in ["10.1.0.0", "10.1.255.255", "::ffff:10.1.2.3", "fd00:1::9", "127.0.0.1", "::ffff:7f00:1"] {
            assert!(allows(&allowed, inside), "{inside}");
        }
        for inside in ["192.168.7.0", "192.168.7.255", "::ffff:192.168.7.1", "8.8.8.8"] {
            assert!(allows(&allowed, inside), "{inside}");
        }
        for outside in ["10.0.255.255", "10.2.0.0", "::ffff:10.2.0.0", "::10.1.2.3", "64:ff9b::10.1.2.3", "fd00:2::"] {
            assert!(!allows(&allowed, outside), "{outside}");
        }
        for outside in ["127.0.0.2", "::1", "0.0.0.0", "192.168.8.0", "::ffff:8.8.8.8"] {
            assert!(!allows(&allowed, outside), "{outside}");
        }
    }

    #[test]
    fn all_of_ipv4_is_nothing_of_ipv6_and_the_other_way_round() {
        let (four, six): (Allowed, Allowed) = ("0.0.0.0/0".parse().expect("a net"), "::/0".parse().expect("a net"));
        assert!(allows(&four, "127.0.0.1") && allows(&four, "255.255.255.255") && allows(&four, "::ffff:127.0.0.1"));
        assert!(!allows(&four, "::1"));
        assert!(allows(&six, "::1") && allows(&six, "ffff::"));
        assert!(!allows(&six, "127.0.0.1") && !allows(&six, "::ffff:127.0.0.1"));
    }

    #[test]
    fn a_network_is_written_in_one_way() {
        type Error = fn(String) -> NetError;
        let tables: [(Error, &[&str]); 3] = [
            (
                NetError::Malformed,
                &["x", "10", "10.0.0.0/", "/8", "10.0.0.0/-8", "10.0.0.0/+8", "10.0.0.0/8/8", "010.0.0.0/8", "::/0008"],
            ),
            (NetError::PrefixTooLong, &["10.0.0.0/33", "0.0.0.0/999", "::/129"]),
            (NetError::HostBits, &["10.0.0.1/8", "10.128.0.0/8", "0.0.0.1/0", "::1/127", "::1/0", "fd00::1/64"]),
        ];
        for (error, texts) in tables {
            for text in texts {
                assert_eq!(text.parse::<Net>(), Err(error((*text).to_owned())));
            }
        }
        for text in ["0.0.0.0/0", "::/0", "10.0.0.0/8", "10.0.0.1/32", "::1/128"] {
            assert!(text.parse::<Net>().is_ok(), "{text}");
        }
        assert_eq!("10.0.0.1".parse::<Net>(), "10.0.0.1/32".parse());
        assert_eq!("fd00::1".parse::<Net>(), "fd00::1/128".parse());
    }

    #[test]
    fn a_list_has_no_holes() {
        assert!(!allows(&" ".parse().expect("no networks"), "10.0.0.1"));
        for wrong in [",", "10.0.0.0/8,", ",10.0.0.0/8", "10.0.0.0/8;127.0.0.1"] {
            assert!(wrong.parse::<Allowed>().is_err(), "{wrong}");
        }
    }
}
