//! IPsec's authentication header with HMAC-MD5-96 (RFC 2402, RFC 2403), as keepalived puts it before version 2.

use std::net::Ipv4Addr;

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;

use crate::packet::PROTOCOL;

/// Its length.
pub(crate) const LENGTH: usize = 24;
/// Its protocol number.
pub(crate) const HEADER_PROTOCOL: u8 = 51;

/// In 32-bit words, less two (RFC 2402, 2.2).
const PAYLOAD_LENGTH: u8 = 4;
const DIGEST: core::ops::Range<usize> = 12..LENGTH;

/// Makes the header that goes between an IPv4 header and an advertisement; its digest is still to be filled in.
pub(crate) fn write(source: Ipv4Addr, sequence: u32) -> [u8; LENGTH] {
    let mut header = [0; LENGTH];
    header[0] = PROTOCOL;
    header[1] = PAYLOAD_LENGTH;
    // keepalived names the security association by the sender's address.
    header[4..8].copy_from_slice(&source.octets());
    header[8..12].copy_from_slice(&sequence.to_be_bytes());
    header
}

/// Fills in the digest of a whole packet with a header of so many bytes.
pub(crate) fn sign(packet: &mut [u8], ip_header: usize, key: &[u8; 8], unicast: bool) {
    let digest = digest(packet, ip_header, key, unicast);
    let place = ip_header + DIGEST.start..ip_header + DIGEST.end;
    if let Some(place) = packet.get_mut(place) {
        place.copy_from_slice(&digest);
    }
}

/// What is wrong with a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// The digest.
    Digest,
    /// The security parameters index is not the sender's address.
    Index,
    /// Its number has been seen.
    Sequence,
}

/// Looks at a packet that is long enough for both headers; says its sequence number.
pub(crate) fn verify(
    packet: &[u8],
    ip_header: usize,
    source: Ipv4Addr,
    key: &[u8; 8],
    unicast: bool,
    last: u32,
) -> Result<u32, Wrong> {
    let header = packet
        .get(ip_header..)
        .and_then(|rest| rest.first_chunk::<LENGTH>());
    let Some(header) = header else {
        return Err(Wrong::Digest);
    };
    let right = digest(packet, ip_header, key, unicast);
    if !super::same(&header[DIGEST], &right) {
        return Err(Wrong::Digest);
    }
    if header[4..8] != source.octets() {
        return Err(Wrong::Index);
    }
    let sequence = u32::from_be_bytes([header[8], header[9], header[10], header[11]]);
    if sequence <= last {
        return Err(Wrong::Sequence);
    }
    Ok(sequence)
}

/// The digest with all that changes on the way as 0 (RFC 2402, 3.3.3.1); between unicast peers also the time to live.
fn digest(packet: &[u8], ip_header: usize, key: &[u8; 8], unicast: bool) -> [u8; 12] {
    let mut mac = Hmac::<Md5>::new_from_slice(key).unwrap_or_else(|_| unreachable_key());
    let (header, rest) = packet.split_at(ip_header.min(packet.len()));
    let mut header = header.to_vec();
    for (at, byte) in header.iter_mut().enumerate() {
        let changes = match at {
            1 | 6 | 7 | 10 | 11 => true,
            8 => unicast,
            _ => false,
        };
        if changes {
            *byte = 0;
        }
    }
    mac.update(&header);
    let (start, rest) = rest.split_at(DIGEST.start.min(rest.len()));
    mac.update(start);
    mac.update(&[0; 12]);
    mac.update(rest.get(DIGEST.len()..).unwrap_or_default());
    let whole = mac.finalize().into_bytes();
    let mut cut = [0; 12];
    cut.copy_from_slice(&whole[..12]);
    cut
}

/// HMAC takes keys of any length (RFC 2104, 2).
fn unreachable_key() -> Hmac<Md5> {
    unreachable!("HMAC takes keys of any length")
}
