//! Makes an advertisement.

use core::time::Duration;
use std::net::{IpAddr, Ipv4Addr};

use weir_config::model::vrrp::{Authentication, HmacMode, Version};

use super::checksum::{PROTOCOL, Sum};
use super::{ADVERTISEMENT, IP_HEADER, number};
use crate::authentication::{header, trailer};

/// Type of service: network control (RFC 791), as keepalived sets it.
const NETWORK_CONTROL: u8 = 0xc0;

/// All that an advertisement says.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing<'a> {
    pub(crate) version: Version,
    pub(crate) router_id: u8,
    pub(crate) priority: u8,
    pub(crate) interval: Duration,
    pub(crate) addresses: &'a [IpAddr],
    pub(crate) authentication: &'a Authentication,
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) unicast: bool,
    pub(crate) hop_limit: u8,
    /// What the checksum takes for the destination, if it has a pseudo header.
    pub(crate) summed_destination: Option<IpAddr>,
    /// Of the IPv4 header; never 0, which the kernel would fill in.
    pub(crate) identification: u16,
    pub(crate) header_sequence: u32,
    pub(crate) trailer_sequence: u64,
}

/// The bytes: over IPv4 the whole packet, over IPv6 what follows the header.
pub(crate) fn write(outgoing: &Outgoing<'_>) -> Vec<u8> {
    match (outgoing.source, outgoing.destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => over_v4(outgoing, source, destination),
        _ => over_v6(outgoing),
    }
}

fn over_v4(outgoing: &Outgoing<'_>, source: Ipv4Addr, destination: Ipv4Addr) -> Vec<u8> {
    let mut advertisement = fields(outgoing, true);
    let sum = match (outgoing.version, outgoing.summed_destination) {
        (Version::V3, Some(destination)) => {
            Sum::pseudo_header(outgoing.source, destination, advertisement.len())
        }
        (Version::V2, _) | (Version::V3, None) => Sum::default(),
    };
    put_checksum(&mut advertisement, sum);
    append_trailer(&mut advertisement, outgoing);

    let key = match outgoing.authentication {
        Authentication::Header(key) => Some(key),
        Authentication::None | Authentication::Password(_) | Authentication::Hmac { .. } => None,
    };
    let (protocol, between) = match key {
        Some(_) => (
            header::HEADER_PROTOCOL,
            header::write(source, outgoing.header_sequence).to_vec(),
        ),
        None => (PROTOCOL, Vec::new()),
    };
    let length = IP_HEADER + between.len() + advertisement.len();
    let mut packet = Vec::with_capacity(length);
    packet.extend([0x45, NETWORK_CONTROL]);
    // At most 255 addresses: it fits.
    packet.extend((length as u16).to_be_bytes());
    packet.extend(outgoing.identification.to_be_bytes());
    packet.extend([0, 0, outgoing.hop_limit, protocol, 0, 0]);
    packet.extend(source.octets());
    packet.extend(destination.octets());
    packet.extend(between);
    packet.extend(advertisement);
    if let Some(key) = key {
        header::sign(&mut packet, IP_HEADER, key, outgoing.unicast);
    }
    packet
}

fn over_v6(outgoing: &Outgoing<'_>) -> Vec<u8> {
    let mut advertisement = fields(outgoing, false);
    append_trailer(&mut advertisement, outgoing);
    // Over IPv6 the checksum covers the trailer too: keepalived lets the kernel write it.
    let sum = Sum::pseudo_header(outgoing.source, outgoing.destination, advertisement.len());
    put_checksum(&mut advertisement, sum);
    advertisement
}

/// The advertisement with a checksum of 0.
fn fields(outgoing: &Outgoing<'_>, v4: bool) -> Vec<u8> {
    let mut bytes = vec![
        number(outgoing.version) << 4 | ADVERTISEMENT,
        outgoing.router_id,
        outgoing.priority,
        u8::try_from(outgoing.addresses.len()).unwrap_or(u8::MAX),
    ];
    match outgoing.version {
        Version::V2 => {
            let kind = match outgoing.authentication {
                Authentication::None | Authentication::Hmac { .. } => 0,
                Authentication::Password(_) => 1,
                Authentication::Header(_) => 2,
            };
            let seconds = u8::try_from(outgoing.interval.as_secs()).unwrap_or(u8::MAX);
            bytes.extend([kind, seconds]);
        }
        Version::V3 => {
            let centiseconds = outgoing.interval.as_millis() / 10;
            let centiseconds = u16::try_from(centiseconds).unwrap_or(u16::MAX).min(0xfff);
            bytes.extend(centiseconds.to_be_bytes());
        }
    }
    bytes.extend([0, 0]);
    for address in outgoing.addresses.iter().take(usize::from(u8::MAX)) {
        match address {
            IpAddr::V4(address) => bytes.extend(address.octets()),
            IpAddr::V6(address) => bytes.extend(address.octets()),
        }
    }
    if v4 && outgoing.version == Version::V2 {
        bytes.extend(match outgoing.authentication {
            Authentication::Password(password) => *password,
            Authentication::None | Authentication::Header(_) | Authentication::Hmac { .. } => {
                [0; 8]
            }
        });
    }
    bytes
}

fn append_trailer(advertisement: &mut Vec<u8>, outgoing: &Outgoing<'_>) {
    let Authentication::Hmac {
        keys, active, mode, ..
    } = outgoing.authentication
    else {
        return;
    };
    if *mode == HmacMode::ReceiveOnly {
        return;
    }
    let binding = trailer::Binding {
        version: number(outgoing.version),
        router_id: outgoing.router_id,
        source: outgoing.source,
    };
    if let Some(key) = keys.iter().find(|key| key.id == *active) {
        trailer::append(advertisement, binding, key, outgoing.trailer_sequence);
    }
}

fn put_checksum(advertisement: &mut [u8], sum: Sum) {
    let checksum = sum.and(advertisement).checksum();
    if let Some(place) = advertisement.get_mut(6..8) {
        place.copy_from_slice(&checksum.to_be_bytes());
    }
}
