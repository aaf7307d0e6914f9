//! Looks at what came, in keepalived's order, so that a packet is counted under the same reason.

use core::time::Duration;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use weir_config::model::vrrp::{Authentication, HmacMode, UnicastChecksum, Version};

use super::checksum::{PROTOCOL, Sum};
use super::{
    ADVERTISEMENT, AUTHENTICATION_DATA, Addresses, Advertisement, FIXED, IP_HEADER, number,
};
use crate::authentication::header::{self, HEADER_PROTOCOL};
use crate::authentication::trailer;
use crate::event::Packet;

/// What follows an Ethernet header is at least 46 bytes; each VLAN tag that was before it leaves 4 less.
const LEAST_PAYLOAD: usize = 46;
const VLAN_TAG: usize = 4;
/// keepalived before 1.3.6 summed this up whatever the destination.
pub(super) const GROUP: IpAddr = IpAddr::V4(Ipv4Addr::new(224, 0, 0, 18));

/// What an instance wants of a packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected<'a> {
    pub(crate) version: Version,
    pub(crate) interval: Duration,
    pub(crate) addresses: &'a [IpAddr],
    /// Whether addresses are compared.
    pub(crate) compare: bool,
    pub(crate) authentication: &'a Authentication,
    pub(crate) unicast: bool,
    pub(crate) checksum_as_version_2: bool,
    pub(crate) unicast_checksum: UnicastChecksum,
    /// Our address, for the pseudo header where the destination is not known.
    pub(crate) source: Option<IpAddr>,
    pub(crate) header_sequence: u32,
    pub(crate) wall: Duration,
}

/// Why a packet is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Length,
    HopLimit(u8),
    Version(u8),
    Type(u8),
    Interval(u8),
    Checksum,
    /// Multicast for unicast, or the other way round.
    Reach,
    /// A unicast sender that is not a peer.
    NotPeer,
    InvalidAuthentication(u8),
    OtherAuthentication,
    Password,
    Header(header::Wrong),
    TrailerMissing,
    Trailer(trailer::Wrong),
}

/// Where an advertisement lies in a packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addressed<'a> {
    packet: &'a [u8],
    ip_header: usize,
    protocol: u8,
    /// Since here it is the advertisement, with what follows it.
    start: usize,
    total: Option<usize>,
    source: IpAddr,
    destination: Option<IpAddr>,
    hop_limit: Option<u8>,
}

impl<'a> Addressed<'a> {
    /// Finds the advertisement; nothing when there is not room for its fixed fields.
    pub(crate) fn find(packet: &Packet<'a>) -> Option<Self> {
        let found = match packet.source {
            IpAddr::V4(_) => Self::over_v4(packet.bytes)?,
            IpAddr::V6(_) => Self {
                packet: packet.bytes,
                ip_header: 0,
                protocol: PROTOCOL,
                start: 0,
                total: None,
                source: packet.source,
                destination: packet.destination,
                hop_limit: packet.hop_limit,
            },
        };
        (packet.bytes.len() >= found.start + FIXED).then_some(found)
    }

    fn over_v4(bytes: &'a [u8]) -> Option<Self> {
        let header = bytes.first_chunk::<IP_HEADER>()?;
        let ip_header = usize::from(header[0] & 0xf) * 4;
        let protocol = header[9];
        if header[0] >> 4 != 4 || ip_header < IP_HEADER {
            return None;
        }
        let start = match protocol {
            // It may protect something else than VRRP.
            HEADER_PROTOCOL if bytes.get(ip_header) != Some(&PROTOCOL) => return None,
            HEADER_PROTOCOL => ip_header + header::LENGTH,
            _ => ip_header,
        };
        let address = |at: usize| {
            let octets = [header[at], header[at + 1], header[at + 2], header[at + 3]];
            IpAddr::V4(Ipv4Addr::from(octets))
        };
        Some(Self {
            packet: bytes,
            ip_header,
            protocol,
            start,
            total: Some(usize::from(u16::from_be_bytes([header[2], header[3]]))),
            source: address(12),
            destination: Some(address(16)),
            hop_limit: Some(header[8]),
        })
    }

    /// Who sent it.
    pub(crate) const fn source(&self) -> IpAddr {
        self.source
    }

    /// To whom, if known.
    pub(crate) const fn destination(&self) -> Option<IpAddr> {
        self.destination
    }

    /// The hop limit, if known.
    pub(crate) const fn hop_limit(&self) -> Option<u8> {
        self.hop_limit
    }

    const fn is_v4(&self) -> bool {
        self.source.is_ipv4()
    }

    fn advertisement(&self) -> &'a [u8] {
        self.packet.get(self.start..).unwrap_or_default()
    }
}

/// The number of the virtual router that it is about.
pub(crate) fn router_id(found: &Addressed<'_>) -> u8 {
    found.advertisement().get(1).copied().unwrap_or_default()
}

/// Looks at all of it.
pub(crate) fn read(
    found: &Addressed<'_>,
    expected: &Expected<'_>,
    sequences: &mut trailer::Sequences,
) -> Result<Advertisement, Refusal> {
    let Some(fixed) = found.advertisement().first_chunk::<FIXED>() else {
        return Err(Refusal::Length);
    };
    let wants_header = matches!(expected.authentication, Authentication::Header(_));
    if found.is_v4() && (found.protocol == HEADER_PROTOCOL) != wants_header {
        return Err(Refusal::OtherAuthentication);
    }
    let Lengths {
        advertisement,
        with_trailer,
    } = lengths(found, fixed, expected)?;
    hop_limit(found, expected)?;
    if fixed[0] >> 4 != number(expected.version) {
        return Err(Refusal::Version(fixed[0] >> 4));
    }
    let whole = found.advertisement();
    trailer_of(
        found,
        whole.get(..with_trailer),
        advertisement,
        expected,
        sequences,
    )?;
    let mut header_sequence = None;
    if expected.version == Version::V2 {
        header_sequence = authentication_2(found, fixed, advertisement, expected)?;
        if u64::from(fixed[5]) != expected.interval.as_secs() {
            return Err(Refusal::Interval(fixed[5]));
        }
    }
    if fixed[0] & 0xf != ADVERTISEMENT {
        return Err(Refusal::Type(fixed[0] & 0xf));
    }
    total(found)?;
    let old_checksum = checksum(found, advertisement, with_trailer, expected)?;
    if found
        .destination
        .is_some_and(|destination| destination.is_multicast() == expected.unicast)
    {
        return Err(Refusal::Reach);
    }
    let centiseconds = u16::from_be_bytes([fixed[4] & 0xf, fixed[5]]);
    // RFC 9568, 5.2.7: at least one; none would let nobody wait.
    if expected.version == Version::V3 && centiseconds == 0 {
        return Err(Refusal::Interval(0));
    }
    Ok(Advertisement {
        source: found.source,
        priority: fixed[2],
        interval: match expected.version {
            Version::V2 => expected.interval,
            Version::V3 => Duration::from_millis(u64::from(centiseconds) * 10),
        },
        header_sequence,
        addresses: addresses(found, fixed[3], expected),
        old_checksum,
    })
}

struct Lengths {
    advertisement: usize,
    with_trailer: usize,
}

/// What follows the fixed fields must be there, and nothing more, but for what Ethernet has filled up.
fn lengths(
    found: &Addressed<'_>,
    fixed: &[u8; FIXED],
    expected: &Expected<'_>,
) -> Result<Lengths, Refusal> {
    let each = if found.is_v4() { 4 } else { 16 };
    let data = match fixed[0] >> 4 {
        2 if found.is_v4() => AUTHENTICATION_DATA,
        _ => 0,
    };
    let advertisement = FIXED + usize::from(fixed[3]) * each + data;
    let there = found.advertisement().len();
    let hmac = matches!(expected.authentication, Authentication::Hmac { .. });
    let with_trailer = match there.checked_sub(advertisement) {
        Some(trailer::LENGTH) if hmac => there,
        _ => advertisement,
    };
    let whole = found.start + with_trailer;
    if found.packet.len() != whole && !is_padded(whole, found.packet.len()) {
        return Err(Refusal::Length);
    }
    Ok(Lengths {
        advertisement,
        with_trailer,
    })
}

const fn is_padded(length: usize, there: usize) -> bool {
    length < LEAST_PAYLOAD
        && length < there
        && there <= LEAST_PAYLOAD
        && (LEAST_PAYLOAD - there).is_multiple_of(VLAN_TAG)
}

/// Whoever is not on the link has a lower one (RFC 9568, 7.1). Peers' own limits are their instance's.
fn hop_limit(found: &Addressed<'_>, expected: &Expected<'_>) -> Result<(), Refusal> {
    match found.hop_limit {
        Some(u8::MAX) | None => Ok(()),
        Some(_) if expected.unicast => Ok(()),
        Some(limit) => Err(Refusal::HopLimit(limit)),
    }
}

fn trailer_of(
    found: &Addressed<'_>,
    whole: Option<&[u8]>,
    advertisement: usize,
    expected: &Expected<'_>,
    sequences: &mut trailer::Sequences,
) -> Result<(), Refusal> {
    let Authentication::Hmac {
        keys, replay, mode, ..
    } = expected.authentication
    else {
        return Ok(());
    };
    let whole = whole.unwrap_or_default();
    if whole.len() == advertisement {
        return match mode {
            HmacMode::Enforce => Err(Refusal::TrailerMissing),
            HmacMode::Permissive | HmacMode::ReceiveOnly => Ok(()),
        };
    }
    let binding = trailer::Binding {
        version: number(expected.version),
        router_id: router_id(found),
        source: found.source,
    };
    trailer::verify(whole, binding, keys, *replay, sequences, expected.wall)
        .map_err(Refusal::Trailer)
}

/// Version 2's authentication; says the sequence number of the header if it has one.
fn authentication_2(
    found: &Addressed<'_>,
    fixed: &[u8; FIXED],
    advertisement: usize,
    expected: &Expected<'_>,
) -> Result<Option<u32>, Refusal> {
    let (wanted, kind) = match expected.authentication {
        Authentication::None | Authentication::Hmac { .. } => (0, fixed[4]),
        Authentication::Password(_) => (1, fixed[4]),
        Authentication::Header(_) => (2, fixed[4]),
    };
    if kind > 2 {
        return Err(Refusal::InvalidAuthentication(kind));
    }
    if kind != wanted {
        return Err(Refusal::OtherAuthentication);
    }
    match (expected.authentication, found.source) {
        (Authentication::Password(password), IpAddr::V4(_)) => {
            let data = advertisement - AUTHENTICATION_DATA..advertisement;
            let said = found.advertisement().get(data).unwrap_or_default();
            let same = crate::authentication::same(said, password);
            same.then_some(None).ok_or(Refusal::Password)
        }
        (Authentication::Header(key), IpAddr::V4(source)) => {
            let verified = header::verify(
                found.packet,
                found.ip_header,
                source,
                key,
                expected.unicast,
                expected.header_sequence,
            );
            match verified {
                Ok(sequence) => Ok(Some(sequence)),
                Err(wrong) => Err(Refusal::Header(wrong)),
            }
        }
        _ => Ok(None),
    }
}

/// What IPv4's header says of the length.
fn total(found: &Addressed<'_>) -> Result<(), Refusal> {
    let there = found.packet.len();
    match found.total {
        Some(total) if total != there && !is_padded(total, there) => Err(Refusal::Length),
        Some(_) | None => Ok(()),
    }
}

/// Says whether it is the one that keepalived had before 1.3.6.
fn checksum(
    found: &Addressed<'_>,
    advertisement: usize,
    with_trailer: usize,
    expected: &Expected<'_>,
) -> Result<bool, Refusal> {
    let right = |sum: Sum, bytes: Option<&[u8]>| sum.and(bytes.unwrap_or_default()).checksum() == 0;
    let whole = found.advertisement();
    let destination = found.destination.or(match expected.unicast {
        true => expected.source,
        false => Some(IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12))),
    });
    let pseudo = |destination: Option<IpAddr>, length: usize| {
        let destination = destination.unwrap_or(found.source);
        Sum::pseudo_header(found.source, destination, length)
    };
    if !found.is_v4() {
        let sum = pseudo(destination, with_trailer);
        return match right(sum, whole.get(..with_trailer)) {
            true => Ok(false),
            false => Err(Refusal::Checksum),
        };
    }
    let bytes = whole.get(..advertisement);
    let without = right(Sum::default(), bytes);
    if expected.version == Version::V2 {
        return without.then_some(false).ok_or(Refusal::Checksum);
    }
    if expected.checksum_as_version_2 && without {
        return Ok(false);
    }
    let old = right(pseudo(Some(GROUP), advertisement), bytes);
    let new = right(pseudo(destination, advertisement), bytes);
    match expected.unicast_checksum {
        UnicastChecksum::Old if expected.unicast => old.then_some(true).ok_or(Refusal::Checksum),
        UnicastChecksum::AsHeard if expected.unicast && old && !new => Ok(true),
        UnicastChecksum::Old | UnicastChecksum::AsHeard | UnicastChecksum::Right => {
            new.then_some(false).ok_or(Refusal::Checksum)
        }
    }
}

fn addresses(found: &Addressed<'_>, said: u8, expected: &Expected<'_>) -> Addresses {
    if usize::from(said) != expected.addresses.len() {
        return Addresses::Number(said);
    }
    if !expected.compare {
        return Addresses::Same;
    }
    let whole = found.advertisement();
    let said = whole.get(FIXED..).unwrap_or_default();
    let is_said = |address: &&IpAddr| match address {
        IpAddr::V4(address) => {
            let count = expected.addresses.len();
            said.as_chunks::<4>()
                .0
                .iter()
                .take(count)
                .any(|said| *said == address.octets())
        }
        IpAddr::V6(address) => {
            let count = expected.addresses.len();
            said.as_chunks::<16>()
                .0
                .iter()
                .take(count)
                .any(|said| *said == address.octets())
        }
    };
    match expected.addresses.iter().find(|address| !is_said(address)) {
        Some(missing) => Addresses::Missing(*missing),
        None => Addresses::Same,
    }
}
