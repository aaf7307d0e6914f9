//! What a packet is: ours to look up, somebody else's, or malformed.

use weir_abi::reason::Reason;
use weir_abi::settings::Settings;
use weir_abi::shared::Shared32;
use weir_abi::sysctl::Sysctl;
use weir_wire::ethernet::{EtherType, Ethernet, VlanTag};
use weir_wire::ipv4::Ipv4;
use weir_wire::ipv6::{ExtensionHeader, FragmentHeader, Ipv6, NextHeader};
use weir_wire::packet::Packet;
use weir_wire::sctp::{COOKIE_ACK, COOKIE_ECHO, Chunk, SCTP, Sctp};
use weir_wire::transport::{AH, ESP, ICMP, ICMP6, Ports, TCP, Tcp, TcpFlags, UDP, Udp};

use crate::family::Flow;
use crate::state::sctp::SctpEvent;

/// A packet of a protocol that services have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Segment<A> {
    /// Who it says it is from and for.
    pub flow: Flow<A>,
    /// TCP's control bits, SCTP's event, of UDP 0 or [`SECURED`]. (Not a [`Transport`]: the unset part of
    /// one would have to be kept as well, and the verifier refuses what was never written.)
    control: u8,
    /// Where the network header begins.
    pub network: u16,
    /// Where the transport header begins.
    pub payload: u16,
    /// Length of the network layer in bytes, as its header says.
    pub length: u16,
    /// Time to live or hop limit.
    pub hops: u8,
    /// IPv4: type of service. IPv6: traffic class and flow label as they lie.
    pub flow_information: u32,
    /// What has become of it on the way, and may.
    fragmentation: Fragmentation,
}

/// Which part of a packet it is, and whether routers may cut it: [`Portion`]'s number, and [`FRAGMENTABLE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(transparent)]
struct Fragmentation(u8);

const FRAGMENTABLE: u8 = 4;

/// Which part of a packet a segment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Portion {
    /// All of it.
    Whole,
    /// A fragment: the first, with the transport header.
    First,
    /// A fragment: a later one, which says of the transport no more than its protocol.
    Later,
    /// The first fragment, without the transport header, or with one that no service has.
    Headless,
}

/// A transport header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP and its control bits.
    Tcp(TcpFlags),
    /// UDP.
    Udp,
    /// SCTP and what it means.
    Sctp(SctpEvent),
    /// AH or ESP, which goes with the UDP connection that agreed on its keys.
    Secured,
}

/// Beside UDP: not itself, but AH or ESP.
const SECURED: u8 = 1;
/// The port on which both sides of AH and ESP agree on keys (ISAKMP).
const ISAKMP: u16 = 500u16.to_be();

/// What a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// A protocol that services have, over IPv4.
    V4(Segment<[u32; 1]>),
    /// The same over IPv6.
    V6(Segment<[u32; 4]>),
    /// Not for us, and why.
    Pass(Reason),
    /// SCTP, AH or ESP over IPv4: only [`parse_seldom4`] reads it.
    Seldom4,
    /// The same over IPv6.
    Seldom6,
}

/// Extension headers that are passed over before a packet counts as another's: more than any
/// honest sender uses, few enough for the verifier.
pub(crate) const EXTENSION_HEADERS: usize = 6;

/// Reads the headers of a frame. `tags` says whether frames with VLAN tags may be read.
#[inline(always)]
pub fn parse<P: Packet>(packet: &P, tags: bool) -> Parsed {
    read::<P, false, false>(packet, tags)
}

/// Reads the headers of a packet of IPv4, also of a fragment: its segment says which [`Portion`] it is.
#[inline(always)]
pub fn parse_fragment4<P: Packet, const SELDOM: bool>(packet: &P, tags: bool) -> Parsed {
    match network_header(packet, tags) {
        Some(network) => ipv4::<P, true, SELDOM>(packet, network),
        None => Parsed::Pass(Reason::Malformed),
    }
}

/// The same of IPv6.
#[inline(always)]
pub fn parse_fragment6<P: Packet, const SELDOM: bool>(packet: &P, tags: bool) -> Parsed {
    match network_header(packet, tags) {
        Some(network) => ipv6::<P, true, SELDOM>(packet, network),
        None => Parsed::Pass(Reason::Malformed),
    }
}

/// Whether its network header is that of IPv6.
#[inline(always)]
pub(crate) fn is_ipv6<P: Packet>(packet: &P, tags: bool) -> bool {
    match network_header(packet, tags).and_then(|network| packet.header::<[u8; 1]>(network)) {
        Some([first]) => first >> 4 == 6,
        None => false,
    }
}

/// Reads the headers of a packet of IPv4, also where it is SCTP, AH or ESP. (A function for each family: the
/// other's would be followed in vain.)
#[inline(always)]
pub fn parse_seldom4<P: Packet>(packet: &P, tags: bool) -> Parsed {
    match network_header(packet, tags) {
        Some(network) => ipv4::<P, false, true>(packet, network),
        None => Parsed::Pass(Reason::Malformed),
    }
}

/// The same of IPv6.
#[inline(always)]
pub fn parse_seldom6<P: Packet>(packet: &P, tags: bool) -> Parsed {
    match network_header(packet, tags) {
        Some(network) => ipv6::<P, false, true>(packet, network),
        None => Parsed::Pass(Reason::Malformed),
    }
}

/// Where the network header begins.
#[inline(always)]
fn network_header<P: Packet>(packet: &P, tags: bool) -> Option<usize> {
    let mut at = Ethernet::LENGTH;
    if packet.header::<Ethernet>(0)?.ether_type() != EtherType::Vlan {
        return Some(at);
    }
    if !tags {
        return None;
    }
    let first = packet.header::<VlanTag>(at)?.ether_type();
    at += VlanTag::LENGTH;
    if first == EtherType::Vlan {
        at += VlanTag::LENGTH;
    }
    Some(at)
}

#[inline(always)]
fn read<P: Packet, const FRAGMENTS: bool, const SELDOM: bool>(packet: &P, tags: bool) -> Parsed {
    let Some(ethernet) = packet.header::<Ethernet>(0) else {
        return Parsed::Pass(Reason::Malformed);
    };
    if ethernet.is_group() {
        return Parsed::Pass(Reason::OtherStation);
    }
    match ethernet.ether_type() {
        EtherType::Ipv4 => ipv4::<P, FRAGMENTS, SELDOM>(packet, Ethernet::LENGTH),
        EtherType::Ipv6 => ipv6::<P, FRAGMENTS, SELDOM>(packet, Ethernet::LENGTH),
        EtherType::Vlan if tags => tagged::<P, FRAGMENTS, SELDOM>(packet),
        EtherType::Vlan => Parsed::Pass(Reason::Tagged),
        EtherType::Other(_) => Parsed::Pass(Reason::NotInternet),
    }
}

/// One tag or two (802.1ad).
#[inline(always)]
fn tagged<P: Packet, const FRAGMENTS: bool, const SELDOM: bool>(packet: &P) -> Parsed {
    let first = Ethernet::LENGTH;
    let second = first + VlanTag::LENGTH;
    let Some(tag) = packet.header::<VlanTag>(first) else {
        return Parsed::Pass(Reason::Malformed);
    };
    let (ether_type, network) = match tag.ether_type() {
        EtherType::Vlan => match packet.header::<VlanTag>(second) {
            Some(tag) => (tag.ether_type(), second + VlanTag::LENGTH),
            None => return Parsed::Pass(Reason::Malformed),
        },
        other @ (EtherType::Ipv4 | EtherType::Ipv6 | EtherType::Other(_)) => (other, second),
    };
    match ether_type {
        EtherType::Ipv4 => ipv4::<P, FRAGMENTS, SELDOM>(packet, network),
        EtherType::Ipv6 => ipv6::<P, FRAGMENTS, SELDOM>(packet, network),
        EtherType::Vlan | EtherType::Other(_) => Parsed::Pass(Reason::NotInternet),
    }
}

#[inline(always)]
fn ipv4<P: Packet, const FRAGMENTS: bool, const SELDOM: bool>(
    packet: &P,
    network: usize,
) -> Parsed {
    let Some(header) = packet.header::<Ipv4>(network) else {
        return Parsed::Pass(Reason::Malformed);
    };
    let header_length = header.header_length();
    let length = header.total_length();
    if header.version() != 4
        || header_length < Ipv4::LENGTH
        || (length as usize) < header_length
        || !packet.holds(network + length as usize)
    {
        return Parsed::Pass(Reason::Malformed);
    }
    let portion = match (header.is_fragment(), header.fragment_offset()) {
        (false, _) => Portion::Whole,
        (true, _) if !FRAGMENTS => return Parsed::Pass(Reason::Fragment),
        (true, 0) => Portion::First,
        (true, _) => Portion::Later,
    };
    let protocol = header.protocol();
    let segment = Segment {
        flow: Flow {
            source: header.source(),
            destination: header.destination(),
            source_port: 0,
            destination_port: 0,
            protocol: protocol as u32,
        },
        control: 0,
        network: network as u16,
        payload: (network + header_length) as u16,
        length,
        hops: header.time_to_live(),
        flow_information: header.type_of_service() as u32,
        fragmentation: Fragmentation::new(portion, !header.do_not_fragment()),
    };
    match transport_of::<P, _, SELDOM>(packet, segment, length as usize - header_length) {
        Ok(segment) => Parsed::V4(segment),
        Err(Unread::Pass(reason)) => Parsed::Pass(reason),
        Err(Unread::Seldom) => Parsed::Seldom4,
    }
}

#[inline(always)]
fn ipv6<P: Packet, const FRAGMENTS: bool, const SELDOM: bool>(
    packet: &P,
    network: usize,
) -> Parsed {
    let Some(header) = packet.header::<Ipv6>(network) else {
        return Parsed::Pass(Reason::Malformed);
    };
    let length = Ipv6::LENGTH + header.payload_length() as usize;
    if header.version() != 6 || !packet.holds(network + length) || length > u16::MAX as usize {
        return Parsed::Pass(Reason::Malformed);
    }
    let mut next = header.next_header();
    let mut extensions = 0usize;
    let mut portion = Portion::Whole;
    let mut turn = 0;
    while turn < EXTENSION_HEADERS {
        match NextHeader::of(next) {
            NextHeader::Payload(_) => break,
            NextHeader::Fragment if !FRAGMENTS => return Parsed::Pass(Reason::Fragment),
            NextHeader::Fragment => {
                let at = network + Ipv6::LENGTH + extensions;
                let Some(fragment) = packet.header::<FragmentHeader>(at) else {
                    return Parsed::Pass(Reason::Malformed);
                };
                next = fragment.next_header;
                extensions += FragmentHeader::LENGTH;
                portion = match (fragment.offset(), fragment.more()) {
                    // All of a packet in one fragment (RFC 6946).
                    (0, false) => portion,
                    (0, true) => Portion::First,
                    (_, _) => Portion::Later,
                };
                // What follows it in a later fragment is no header.
                if portion == Portion::Later {
                    break;
                }
            }
            NextHeader::Extension => {
                let at = network + Ipv6::LENGTH + extensions;
                let Some(extension) = packet.header::<ExtensionHeader>(at) else {
                    return Parsed::Pass(Reason::Malformed);
                };
                next = extension.next_header;
                extensions += extension.length();
            }
        }
        turn += 1;
    }
    if SELDOM && next == AH && portion != Portion::Later {
        // Of IPv6, where it is an extension header like others, with its own measure of length.
        let at = network + Ipv6::LENGTH + extensions;
        let Some(header) = packet.header::<ExtensionHeader>(at) else {
            return Parsed::Pass(Reason::Malformed);
        };
        next = header.next_header;
        extensions += header.authentication_length();
    }
    if extensions + Ipv6::LENGTH > length {
        return Parsed::Pass(Reason::Malformed);
    }
    let protocol = match NextHeader::of(next) {
        NextHeader::Payload(protocol) => protocol,
        NextHeader::Fragment | NextHeader::Extension if portion == Portion::Later => next,
        NextHeader::Fragment | NextHeader::Extension => {
            return Parsed::Pass(Reason::OtherProtocol);
        }
    };
    let segment = Segment {
        flow: Flow {
            source: header.source(),
            destination: header.destination(),
            source_port: 0,
            destination_port: 0,
            protocol: protocol as u32,
        },
        control: 0,
        network: network as u16,
        payload: (network + Ipv6::LENGTH + extensions) as u16,
        length: length as u16,
        hops: header.hop_limit(),
        flow_information: header.flow_information(),
        fragmentation: Fragmentation::new(portion, false),
    };
    match transport_of::<P, _, SELDOM>(packet, segment, length - Ipv6::LENGTH - extensions) {
        Ok(segment) => Parsed::V6(segment),
        Err(Unread::Pass(reason)) => Parsed::Pass(reason),
        Err(Unread::Seldom) => Parsed::Seldom6,
    }
}

/// Whether services can have that protocol.
#[inline(always)]
pub(crate) const fn is_balanced(protocol: u8) -> bool {
    matches!(protocol, TCP | UDP)
}

/// Whether it is one of those that are read apart.
#[inline(always)]
pub(crate) const fn is_seldom(protocol: u8) -> bool {
    matches!(protocol, SCTP | AH | ESP)
}

/// Why there is no segment.
enum Unread {
    Pass(Reason),
    Seldom,
}

/// Reads what of the transport is there: all of a whole packet, or nothing.
#[inline(always)]
fn transport_of<P: Packet, A: Copy, const SELDOM: bool>(
    packet: &P,
    segment: Segment<A>,
    room: usize,
) -> Result<Segment<A>, Unread> {
    match segment.portion() {
        Portion::Whole => transport::<P, A, SELDOM>(packet, segment, room),
        Portion::First => match transport::<P, A, SELDOM>(packet, segment, room) {
            Err(Unread::Pass(_)) => Ok(segment.headless()),
            read @ (Ok(_) | Err(Unread::Seldom)) => read,
        },
        Portion::Later | Portion::Headless => Ok(segment),
    }
}

/// Reads ports and control bits; `room` is what the network header leaves for the transport.
#[inline(always)]
fn transport<P: Packet, A: Copy, const SELDOM: bool>(
    packet: &P,
    mut segment: Segment<A>,
    room: usize,
) -> Result<Segment<A>, Unread> {
    let ports: &Ports = match segment.flow.protocol as u8 {
        TCP if room >= Tcp::LENGTH => {
            let Some(tcp) = packet.header::<Tcp>(segment.payload as usize) else {
                return Err(Unread::Pass(Reason::Malformed));
            };
            segment.control = tcp.flags().0;
            &tcp.ports
        }
        UDP if room >= Udp::LENGTH => {
            let Some(udp) = packet.header::<Udp>(segment.payload as usize) else {
                return Err(Unread::Pass(Reason::Malformed));
            };
            &udp.ports
        }
        TCP | UDP => return Err(Unread::Pass(Reason::Malformed)),
        ICMP | ICMP6 => return Err(Unread::Pass(Reason::Icmp)),
        SCTP | AH | ESP if !SELDOM => return Err(Unread::Seldom),
        SCTP if room >= Sctp::LENGTH + Chunk::LENGTH => {
            let Some(sctp) = packet.header::<Sctp>(segment.payload as usize) else {
                return Err(Unread::Pass(Reason::Malformed));
            };
            let Some(event) = sctp_event(packet, segment.payload as usize + Sctp::LENGTH) else {
                return Err(Unread::Pass(Reason::Malformed));
            };
            segment.control = event.0;
            &sctp.ports
        }
        SCTP => return Err(Unread::Pass(Reason::Malformed)),
        // As IPVS does: by the connection on which their keys were agreed (`ah_esp_conn_in_get`).
        AH | ESP => {
            segment.flow.protocol = UDP as u32;
            segment.flow.source_port = ISAKMP;
            segment.flow.destination_port = ISAKMP;
            segment.control = SECURED;
            return Ok(segment);
        }
        _other => return Err(Unread::Pass(Reason::OtherProtocol)),
    };
    segment.flow.source_port = ports.source();
    segment.flow.destination_port = ports.destination();
    Ok(segment)
}

impl Fragmentation {
    #[inline(always)]
    const fn new(portion: Portion, fragmentable: bool) -> Self {
        let portion = match portion {
            Portion::Whole => 0,
            Portion::First => 1,
            Portion::Later => 2,
            Portion::Headless => 3,
        };
        Self(if fragmentable {
            portion | FRAGMENTABLE
        } else {
            portion
        })
    }
}

impl<A: Default> Segment<A> {
    /// A whole packet of a protocol without ports: what its network header says, and whether it may be
    /// fragmented. Where it lies is to be filled in.
    #[inline(always)]
    pub(crate) fn without_ports(
        (source, destination): (A, A),
        protocol: u8,
        hops: u8,
        flow_information: u32,
        fragmentable: bool,
    ) -> Self {
        Self {
            flow: Flow {
                source,
                destination,
                source_port: 0,
                destination_port: 0,
                protocol: protocol as u32,
            },
            hops,
            flow_information,
            fragmentation: Fragmentation::new(Portion::Whole, fragmentable),
            ..Self::default()
        }
    }
}

/// What the packet whose chunks begin there means: as its first chunk says, but an ABORT after
/// COOKIE ECHO or COOKIE ACK goes before them (IPVS `set_sctp_state`).
#[cfg_attr(target_arch = "bpf", inline(never))]
fn sctp_event<P: Packet>(packet: &P, offset: usize) -> Option<SctpEvent> {
    let first = packet.read::<Chunk>(offset)?;
    let event = SctpEvent::of(first.kind);
    if matches!(first.kind, COOKIE_ECHO | COOKIE_ACK)
        && let Some(second) = packet.read::<Chunk>(offset + first.stride())
        && SctpEvent::of(second.kind).is_abort()
    {
        return Some(SctpEvent::of(second.kind));
    }
    Some(event)
}

impl<A> Segment<A> {
    /// Whether routers on the way may fragment it.
    #[inline(always)]
    pub const fn is_fragmentable(&self) -> bool {
        self.fragmentation.0 & FRAGMENTABLE != 0
    }

    /// Which part of a packet it is.
    #[inline(always)]
    pub const fn portion(&self) -> Portion {
        match self.fragmentation.0 & 3 {
            0 => Portion::Whole,
            1 => Portion::First,
            2 => Portion::Later,
            _headless => Portion::Headless,
        }
    }

    /// Lets what is known of the portion go through a cell of a table. The verifier takes what comes from
    /// there for any, and so follows all portions on one way and not on one each.
    #[inline(always)]
    pub(crate) fn pass_portion_through(&mut self, cell: &Shared32) {
        cell.store(self.fragmentation.0 as u32);
        self.fragmentation = Fragmentation(cell.load() as u8);
    }

    #[inline(always)]
    fn headless(self) -> Self {
        Self {
            fragmentation: Fragmentation::new(Portion::Headless, self.is_fragmentable()),
            ..self
        }
    }

    /// What its transport says.
    #[inline(always)]
    pub const fn transport(&self) -> Transport {
        match self.flow.protocol as u8 {
            TCP => Transport::Tcp(TcpFlags(self.control)),
            SCTP => Transport::Sctp(SctpEvent(self.control)),
            _udp if self.control == SECURED => Transport::Secured,
            _udp => Transport::Udp,
        }
    }

    /// The same of what is known to be TCP or UDP.
    #[inline(always)]
    pub const fn usual_transport(&self) -> Transport {
        if self.flow.protocol == TCP as u32 {
            Transport::Tcp(TcpFlags(self.control))
        } else {
            Transport::Udp
        }
    }

    /// The same of what is known to be neither.
    #[inline(always)]
    pub const fn seldom_transport(&self) -> Transport {
        if self.flow.protocol == SCTP as u32 {
            Transport::Sctp(SctpEvent(self.control))
        } else {
            Transport::Secured
        }
    }

    /// Length of the transport layer, its header included, in bytes.
    #[inline(always)]
    pub const fn transport_length(&self) -> u16 {
        self.length
            .wrapping_sub(self.payload.wrapping_sub(self.network))
    }

    /// Whether it can begin a connection: a SYN without RST (with `sloppy_tcp` any TCP packet
    /// without), any datagram, an INIT (with `sloppy_sctp` anything but an ABORT) (IPVS
    /// `tcp_conn_schedule`, `udp_conn_schedule`, `sctp_conn_schedule`).
    #[inline(always)]
    pub fn can_begin(&self, settings: &Settings) -> bool {
        match self.transport() {
            Transport::Tcp(flags) => {
                !flags.rst() && (flags.syn() || settings.sysctl(Sysctl::SloppyTcp).load() != 0)
            }
            Transport::Udp => true,
            Transport::Sctp(event) => {
                event.is_init()
                    || !event.is_abort() && settings.sysctl(Sysctl::SloppySctp).load() != 0
            }
            Transport::Secured => false,
        }
    }

    /// Whether it looks like the begin of a new connection where one exists.
    #[inline(always)]
    pub const fn is_new(&self) -> bool {
        self.transport().is_new()
    }
}

impl Transport {
    /// Whether it looks like the begin of a new connection where one exists (IPVS `is_new_conn`):
    /// any SYN, any INIT.
    #[inline(always)]
    pub const fn is_new(self) -> bool {
        match self {
            Self::Tcp(flags) => flags.syn(),
            Self::Sctp(event) => event.is_init(),
            Self::Udp | Self::Secured => false,
        }
    }
}
