//! The Internet checksum (RFC 1071).

use std::net::IpAddr;

/// VRRP's protocol number.
pub(crate) const PROTOCOL: u8 = 112;

/// A sum that is not folded yet.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum(u64);

impl Sum {
    /// The pseudo header (RFC 9568, 5.2.8; RFC 8200, 8.1) of so many bytes.
    pub(crate) fn pseudo_header(source: IpAddr, destination: IpAddr, length: usize) -> Self {
        let sum = Self::default().and_address(source).and_address(destination);
        Self(sum.0 + u64::from(PROTOCOL) + length as u64)
    }

    fn and_address(self, address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => self.and(&address.octets()),
            IpAddr::V6(address) => self.and(&address.octets()),
        }
    }

    /// With these bytes too. What came before must have been of even length.
    pub(crate) fn and(self, bytes: &[u8]) -> Self {
        let (words, rest) = bytes.as_chunks::<2>();
        let mut sum = self.0;
        for word in words {
            sum += u64::from(u16::from_be_bytes(*word));
        }
        if let [last] = rest {
            sum += u64::from(*last) << 8;
        }
        Self(sum)
    }

    /// What is written into the packet; 0 when it covers a right one.
    pub(crate) fn checksum(self) -> u16 {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        // Folded to 16 bits by the loop.
        !(sum as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::Sum;

    /// RFC 1071, 3.
    #[test]
    fn the_example_of_the_rfc() {
        let sum = Sum::default().and(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
        assert_eq!(sum.checksum(), !0xddf2);
    }
}
