//! Firewall marks that Weir sets itself.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::str::FromStr;

use super::{Family, Protocol};

/// Which packets get a firewall mark. The first rule that fits wins.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MarkRule {
    /// The mark.
    pub mark: NonZeroU32,
    /// The protocol; nothing for any that can be scheduled.
    pub protocol: Option<Protocol>,
    /// Where the packets go.
    pub destination: Prefix,
    /// The ports that they go to.
    pub ports: Ports,
    /// The interface that they come in by; nothing for any.
    pub interface: Option<InterfaceName>,
}

/// Addresses that begin alike: what lies behind the prefix is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

/// Ports from the first to the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ports {
    first: u16,
    last: u16,
}

/// The name of a network interface: 1 to 15 bytes, without a space or `/`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceName(String);

impl Prefix {
    /// A prefix; nothing when it is longer than the address, or the address says more than it.
    pub fn new(address: IpAddr, length: u8) -> Option<Self> {
        let (bits, value) = match address {
            IpAddr::V4(address) => (32, u128::from(address.to_bits())),
            IpAddr::V6(address) => (128, address.to_bits()),
        };
        let beyond = bits - u32::from(length).min(bits);
        let rest = value & 1u128.checked_shl(beyond).unwrap_or(0).wrapping_sub(1);
        (u32::from(length) <= bits && rest == 0).then_some(Self { address, length })
    }

    /// Its first address.
    pub const fn address(self) -> IpAddr {
        self.address
    }

    /// How many bits count.
    pub const fn length(self) -> u8 {
        self.length
    }

    /// The family of its addresses.
    pub const fn family(self) -> Family {
        Family::of(self.address)
    }
}

/// `192.0.2.0/24`, or an address of its own: `192.0.2.10`.
impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.family(), self.length) {
            (Family::V4, 32) | (Family::V6, 128) => write!(f, "{}", self.address),
            _ => write!(f, "{}/{}", self.address, self.length),
        }
    }
}

/// Reads what [`Display`](fmt::Display) writes.
impl FromStr for Prefix {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(drop)?;
        let length = match (length, address) {
            (Some(length), _) => length.parse().map_err(drop)?,
            (None, IpAddr::V4(_)) => 32,
            (None, IpAddr::V6(_)) => 128,
        };
        Self::new(address, length).ok_or(())
    }
}

impl Ports {
    /// Every port.
    pub const ALL: Self = Self {
        first: 0,
        last: u16::MAX,
    };

    /// Those ports; nothing when the last one is below the first.
    pub const fn new(first: u16, last: u16) -> Option<Self> {
        if first <= last {
            Some(Self { first, last })
        } else {
            None
        }
    }

    /// The first port.
    pub const fn first(self) -> u16 {
        self.first
    }

    /// The last port.
    pub const fn last(self) -> u16 {
        self.last
    }
}

/// `80`, `8000-8100`.
impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

/// Reads what [`Display`](fmt::Display) writes.
impl FromStr for Ports {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let number = |text: &str| text.trim().parse().map_err(drop);
        Self::new(number(first)?, number(last)?).ok_or(())
    }
}

impl InterfaceName {
    /// The most bytes that the kernel takes.
    pub const LONGEST: usize = 15;

    /// That name, or nothing when no interface can have it.
    pub fn new(name: &str) -> Option<Self> {
        let fits = !name.is_empty()
            && name.len() <= Self::LONGEST
            && !name.contains(|c: char| c == '/' || c.is_whitespace());
        fits.then(|| Self(name.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_reads_as_it_is_written() {
        for text in [
            "192.0.2.10",
            "192.0.2.0/24",
            "0.0.0.0/0",
            "2001:db8::/32",
            "::/0",
            "::1",
        ] {
            assert_eq!(text.parse::<Prefix>().unwrap().to_string(), text);
        }
        assert_eq!(
            "192.0.2.1/32".parse::<Prefix>().unwrap().to_string(),
            "192.0.2.1"
        );
        for text in [
            "",
            "192.0.2.10/24",
            "192.0.2.0/33",
            "::/129",
            "192.0.2.0/",
            "x",
            "::1/127",
        ] {
            assert!(text.parse::<Prefix>().is_err(), "{text}");
        }
    }

    #[test]
    fn ports_read_as_they_are_written() {
        for text in ["80", "0", "8000-8100", "0-65535"] {
            assert_eq!(text.parse::<Ports>().unwrap().to_string(), text);
        }
        for text in ["", "-", "2-1", "65536", "1-65536", "http"] {
            assert!(text.parse::<Ports>().is_err(), "{text}");
        }
    }
}
