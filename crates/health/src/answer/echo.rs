//! Echo requests and replies of ICMP (RFC 792, RFC 4443).

/// The type, code, checksum, identifier and sequence number.
const HEADER: usize = 8;
/// What keeps our replies apart from others'.
const TEXT: &[u8] = b"weir health check";

/// Which ICMP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// Of IPv4.
    V4,
    /// Of IPv6.
    V6,
}

impl Version {
    const fn request(self) -> u8 {
        match self {
            Self::V4 => 8,
            Self::V6 => 128,
        }
    }

    const fn reply(self) -> u8 {
        match self {
            Self::V4 => 0,
            Self::V6 => 129,
        }
    }
}

/// A request. The checksum of IPv6 is the kernel's to make.
pub fn request(version: Version, id: u16, sequence: u16) -> Vec<u8> {
    let mut packet = vec![version.request(), 0, 0, 0];
    packet.extend(id.to_be_bytes());
    packet.extend(sequence.to_be_bytes());
    packet.extend(TEXT);
    if version == Version::V4 {
        let sum = checksum(&packet);
        packet[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    packet
}

/// Whether that is the reply. The identifier is not compared where the kernel has put its own.
pub fn is_reply(version: Version, packet: &[u8], id: Option<u16>, sequence: u16) -> bool {
    let Some((header, text)) = packet.split_at_checked(HEADER) else {
        return false;
    };
    let field = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    header[0] == version.reply()
        && header[1] == 0
        && id.is_none_or(|id| field(4) == id)
        && field(6) == sequence
        && text == TEXT
}

/// What is behind the IPv4 header, which raw sockets show.
pub fn without_ipv4_header(packet: &[u8]) -> &[u8] {
    let length = packet
        .first()
        .map_or(0, |first| usize::from(first & 0xf) * 4);
    packet.get(length..).unwrap_or_default()
}

fn checksum(bytes: &[u8]) -> u16 {
    let mut sum = 0u32;
    for pair in bytes.chunks(2) {
        let low = pair.get(1).copied().unwrap_or(0);
        sum += u32::from(u16::from_be_bytes([pair[0], low]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn replies_are_known() {
        for version in [Version::V4, Version::V6] {
            let mut packet = request(version, 7, 9);
            assert!(!is_reply(version, &packet, Some(7), 9));
            packet[0] = version.reply();
            assert!(is_reply(version, &packet, Some(7), 9));
            assert!(is_reply(version, &packet, None, 9));
            assert!(!is_reply(version, &packet, Some(8), 9));
            assert!(!is_reply(version, &packet, Some(7), 8));
            assert!(!is_reply(version, &packet[..20], Some(7), 9));
        }
    }

    #[test]
    fn the_checksum_is_right() {
        assert_eq!(checksum(&request(Version::V4, 0x1234, 0xff00)), 0);
    }

    #[test]
    fn the_header_is_taken_off() {
        let packet = [&[0x46; 24][..], b"echo"].concat();
        assert_eq!(without_ipv4_header(&packet), b"echo");
        assert_eq!(without_ipv4_header(&packet[..10]), b"");
        assert_eq!(without_ipv4_header(b""), b"");
    }

    proptest! {
        #[test]
        fn never_panics(packet in prop::collection::vec(any::<u8>(), 0..80)) {
            is_reply(Version::V4, without_ipv4_header(&packet), None, 0);
        }
    }
}
