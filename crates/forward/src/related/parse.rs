//! What an ICMP error is, and which packet it is about.

use core::ops::ControlFlow;

use weir_abi::reason::Reason;
use weir_wire::ethernet::{EtherType, Ethernet, VlanTag};
use weir_wire::icmp::IcmpError;
use weir_wire::ipv4::Ipv4;
use weir_wire::ipv6::{FragmentHeader, Ipv6, NextHeader};
use weir_wire::packet::Packet;
use weir_wire::transport::{ICMP, ICMP6, Ports, TCP, UDP};

use crate::family::{Family, Flow, V4, V6};
use crate::parse::{EXTENSION_HEADERS, Segment};
use crate::tables::{Step, Tables};

/// The stream control transmission protocol, whose ports lie where TCP's do.
const SCTP: u8 = 132;

/// The packet that an ICMP error is about, as far as the error quotes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Quoted<A> {
    /// The flow that the packet's answers have.
    pub answers: Flow<A>,
    /// Where its network header begins.
    pub network: u16,
    /// Where its ports lie.
    pub ports: u16,
    /// The entry of the connection that has the answers' flow (a `FlowValue`), once it is found.
    pub entry: u32,
}

/// Where a transport header begins, and its protocol; both 0 where there is none. One word, as the
/// BPF machine returns it.
#[derive(Clone, Copy)]
struct Transport(u32);

impl Transport {
    const NONE: Self = Self(0);

    #[inline(always)]
    const fn new(offset: usize, protocol: u8) -> Self {
        Self((offset as u32) << 8 | protocol as u32)
    }

    #[inline(always)]
    const fn offset(self) -> usize {
        (self.0 >> 8) as usize
    }

    #[inline(always)]
    const fn protocol(self) -> u8 {
        self.0 as u8
    }
}

/// A family whose ICMP errors are read.
pub trait Errors: Family<Address: Default> {
    /// The ICMP packet whose network header begins at `network`: [`Segment::payload`] is where the
    /// ICMP header begins.
    fn outer<P: Packet, T: Tables>(
        packet: &P,
        tables: &T,
        network: usize,
    ) -> Result<Segment<Self::Address>, Reason>;

    /// Whether a type is that of an error that connections hear of.
    fn is_error(kind: u8) -> bool;

    /// The packet whose network header begins at `network`, in a frame that ends at `end`.
    fn quoted<P: Packet, T: Tables>(
        packet: &P,
        tables: &T,
        network: usize,
        end: usize,
    ) -> Option<Quoted<Self::Address>>;
}

/// Which family a frame's network header is of, and where it begins; up to two tags are passed over.
#[inline(always)]
pub fn link<P: Packet>(packet: &P) -> Option<(EtherType, usize)> {
    const FIRST: usize = Ethernet::LENGTH;
    const SECOND: usize = FIRST + VlanTag::LENGTH;
    match packet.header::<Ethernet>(0)?.ether_type() {
        EtherType::Vlan => match packet.header::<VlanTag>(FIRST)?.ether_type() {
            EtherType::Vlan => {
                let tag = packet.header::<VlanTag>(SECOND)?;
                Some((tag.ether_type(), SECOND + VlanTag::LENGTH))
            }
            other @ (EtherType::Ipv4 | EtherType::Ipv6 | EtherType::Other(_)) => {
                Some((other, SECOND))
            }
        },
        other @ (EtherType::Ipv4 | EtherType::Ipv6 | EtherType::Other(_)) => Some((other, FIRST)),
    }
}

/// The quoted packet of those addresses.
#[inline(always)]
fn quoted<P: Packet, A>(
    packet: &P,
    network: usize,
    end: usize,
    (source, destination): (A, A),
    transport: Transport,
) -> Option<Quoted<A>> {
    let offset = transport.offset();
    match transport.protocol() {
        TCP | UDP | SCTP if offset + size_of::<Ports>() <= end => {}
        _other => return None,
    }
    let ports = packet.header::<Ports>(offset)?;
    Some(Quoted {
        answers: Flow {
            source: destination,
            destination: source,
            source_port: ports.destination(),
            destination_port: ports.source(),
            protocol: transport.protocol() as u32,
        },
        network: network as u16,
        ports: offset as u16,
        entry: 0,
    })
}

impl Errors for V4 {
    #[inline(always)]
    fn outer<P: Packet, T: Tables>(
        packet: &P,
        _tables: &T,
        network: usize,
    ) -> Result<Segment<[u32; 1]>, Reason> {
        let header = packet.header::<Ipv4>(network).ok_or(Reason::Malformed)?;
        let header_length = header.header_length();
        let length = header.total_length();
        if header_length < Ipv4::LENGTH
            || (length as usize) < header_length + IcmpError::LENGTH
            || !packet.holds(network + length as usize)
        {
            return Err(Reason::Icmp);
        }
        let mut segment = Segment::without_ports(
            (header.source(), header.destination()),
            ICMP,
            header.time_to_live(),
            header.type_of_service() as u32,
            !header.do_not_fragment(),
        );
        segment.network = network as u16;
        segment.payload = (network + header_length) as u16;
        segment.length = length;
        Ok(segment)
    }

    #[inline(always)]
    fn is_error(kind: u8) -> bool {
        // Destination unreachable, source quench, time exceeded: what IPVS looks at.
        matches!(kind, 3 | 4 | 11)
    }

    #[inline(always)]
    fn quoted<P: Packet, T: Tables>(
        packet: &P,
        _tables: &T,
        network: usize,
        end: usize,
    ) -> Option<Quoted<[u32; 1]>> {
        let header = packet.header::<Ipv4>(network)?;
        let length = header.header_length();
        if header.version() != 4 || length < Ipv4::LENGTH || header.fragment_offset() != 0 {
            return None;
        }
        let addresses = (header.source(), header.destination());
        let transport = Transport::new(network + length, header.protocol());
        quoted(packet, network, end, addresses, transport)
    }
}

impl Errors for V6 {
    #[inline(always)]
    fn outer<P: Packet, T: Tables>(
        packet: &P,
        tables: &T,
        network: usize,
    ) -> Result<Segment<[u32; 4]>, Reason> {
        let header = packet.header::<Ipv6>(network).ok_or(Reason::Malformed)?;
        let length = Ipv6::LENGTH + header.payload_length() as usize;
        let transport = transport_of(packet, tables, network, header.next_header());
        if transport.protocol() != ICMP6
            || transport.offset() + IcmpError::LENGTH > network + length
            || !packet.holds(network + length)
            || length > u16::MAX as usize
        {
            return Err(Reason::Icmp);
        }
        let header = packet.header::<Ipv6>(network).ok_or(Reason::Malformed)?;
        let mut segment = Segment::without_ports(
            (header.source(), header.destination()),
            ICMP6,
            header.hop_limit(),
            header.flow_information(),
            false,
        );
        segment.network = network as u16;
        segment.payload = transport.offset() as u16;
        segment.length = length as u16;
        Ok(segment)
    }

    #[inline(always)]
    fn is_error(kind: u8) -> bool {
        // RFC 4443, 2.1.
        kind < 128
    }

    #[inline(always)]
    fn quoted<P: Packet, T: Tables>(
        packet: &P,
        tables: &T,
        network: usize,
        end: usize,
    ) -> Option<Quoted<[u32; 4]>> {
        let header = packet.header::<Ipv6>(network)?;
        if header.version() != 6 {
            return None;
        }
        let transport = transport_of(packet, tables, network, header.next_header());
        let header = packet.header::<Ipv6>(network)?;
        let addresses = (header.source(), header.destination());
        quoted(packet, network, end, addresses, transport)
    }
}

/// Passes over extension headers, a first fragment's header included.
#[inline(always)]
fn transport_of<P: Packet, T: Tables>(
    packet: &P,
    tables: &T,
    network: usize,
    first: u8,
) -> Transport {
    let mut walk = Walk {
        packet,
        at: Transport::new(network + Ipv6::LENGTH, first),
    };
    tables.repeat(EXTENSION_HEADERS as u32, &mut walk);
    match NextHeader::of(walk.at.protocol()) {
        NextHeader::Payload(_) => walk.at,
        NextHeader::Fragment | NextHeader::Extension => Transport::NONE,
    }
}

/// On the way over extension headers.
struct Walk<'a, P> {
    packet: &'a P,
    at: Transport,
}

impl<P: Packet, T: Tables> Step<T> for Walk<'_, P> {
    #[inline(always)]
    fn step(&mut self, _tables: &T) -> ControlFlow<()> {
        let is_fragment = match NextHeader::of(self.at.protocol()) {
            NextHeader::Payload(_) => return ControlFlow::Break(()),
            NextHeader::Fragment => true,
            NextHeader::Extension => false,
        };
        // As long as the shortest extension header.
        let Some(header) = self.packet.header::<FragmentHeader>(self.at.offset()) else {
            return ControlFlow::Break(());
        };
        if is_fragment && header.offset() != 0 {
            return ControlFlow::Break(());
        }
        let length = header.as_extension().length();
        let length = if is_fragment {
            FragmentHeader::LENGTH
        } else {
            length
        };
        self.at = Transport::new(self.at.offset() + length, header.next_header);
        ControlFlow::Continue(())
    }
}
