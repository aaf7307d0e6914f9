//! Turns a packet into the ICMP error that answers it, as the kernel's `icmp_send` would.
//!
//! The error comes from the address that the packet was for (the VIP), and carries as much of the
//! packet as fits: 576 bytes in all for IPv4 (RFC 1812, 4.3.2.3), 1280 for IPv6 (RFC 4443, 2.4).

use weir_abi::reason::Reason;
use weir_wire::checksum::Delta;
use weir_wire::ethernet::Ethernet;
use weir_wire::icmp::IcmpError;
use weir_wire::ipv4::Ipv4;
use weir_wire::ipv6::Ipv6;
use weir_wire::transport::{ICMP, ICMP6};

use crate::family::{Family, V4, V6};
use crate::hook::{Hook, Refused};
use crate::parse::Segment;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// No real server: destination unreachable, port unreachable.
    PortUnreachable,
    /// No route to the real server: destination unreachable, host (or address) unreachable.
    HostUnreachable,
    /// Time to live or hop limit ran out.
    TimeExceeded,
    /// Larger than the next link takes.
    TooBig,
}

/// The problem that a packet is answered with, for the reasons whose outcome is an answer.
#[inline(always)]
pub const fn problem_of(reason: Reason) -> Option<Problem> {
    match reason {
        Reason::NoDestination => Some(Problem::PortUnreachable),
        Reason::HostUnreachable => Some(Problem::HostUnreachable),
        Reason::TimeExceeded => Some(Problem::TimeExceeded),
        Reason::TooBig => Some(Problem::TooBig),
        Reason::Request
        | Reason::Reply
        | Reason::NotInternet
        | Reason::OtherProtocol
        | Reason::NotOurs
        | Reason::NotConnected
        | Reason::Fragment
        | Reason::Icmp
        | Reason::Application
        | Reason::OtherFamily
        | Reason::PartMissing
        | Reason::IcmpToServer
        | Reason::IcmpToClient
        | Reason::IcmpUndeliverable
        | Reason::IcmpDamaged
        | Reason::CheckRequest
        | Reason::CheckReply
        | Reason::LocalReply
        | Reason::OtherStation
        | Reason::NoNeighbour
        | Reason::NotTransmittable
        | Reason::Tagged
        | Reason::ToBeFragmented
        | Reason::Malformed
        | Reason::ReplyRefused
        | Reason::MartianSource
        | Reason::DestinationGone
        | Reason::TableFull
        | Reason::NoRoute
        | Reason::ForwardingDisabled
        | Reason::KernelRefused
        | Reason::LocalServer
        | Reason::DropRate
        | Reason::NotFragmented
        | Reason::FragmentHeld
        | Reason::FragmentsReleased
        | Reason::FragmentLost
        | Reason::PortsExhausted
        | Reason::Reset
        | Reason::Refused
        | Reason::Contended
        | Reason::BackupOnly
        | Reason::Stray
        | Reason::Cut
        | Reason::NoCallId => None,
    }
}

/// A family that has ICMP errors.
pub trait Answer: Family {
    /// What an error has in front of the packet that it quotes, and how long it is at most.
    const HEADERS: usize;
    /// See [`Answer::HEADERS`].
    const LONGEST: usize;

    /// The length of the error about a packet of that length, network header included.
    fn error_length(packet: usize) -> usize;

    /// Makes the packet the error; `mtu` is what the next link takes, for [`Problem::TooBig`].
    fn answer<H: Hook>(
        hook: &mut H,
        segment: &Segment<Self::Address>,
        problem: Problem,
        mtu: u16,
    ) -> Result<(), Refused>;

    /// Writes the headers of an error, for which there is room behind the link header, before the
    /// `kept` bytes of the packet that it is about: its addresses, that packet's type of service
    /// (IPv4), its own type, code and second word.
    fn write<H: Hook>(
        hook: &mut H,
        addresses: (Self::Address, Self::Address),
        service: u8,
        kept: usize,
        error: (u8, u8, u32),
    ) -> Result<(), Refused>;
}

/// Makes the packet the error that answers it, to be sent back where it came from.
#[cfg_attr(target_arch = "bpf", inline(never))]
pub fn answer<F: Answer, H: Hook>(
    hook: &mut H,
    segment: &Segment<F::Address>,
    problem: Problem,
    mtu: u16,
) -> Result<(), Refused> {
    F::answer(hook, segment, problem, mtu)
}

/// Cuts the packet, makes room in front, and puts the link header there with its stations swapped;
/// how many bytes of the packet are left.
#[inline(always)]
fn make_room<H: Hook, A>(
    hook: &mut H,
    segment: &Segment<A>,
    header: usize,
    whole: usize,
) -> Result<usize, Refused> {
    if segment.network as usize != Ethernet::LENGTH {
        // A tag in the bytes: the answer would have to carry it. TC sees single tags stripped.
        return Err(Refused);
    }
    let link = *hook.header::<Ethernet>(0).ok_or(Refused)?;
    let kept = at_most(segment.length as usize, whole - header);
    hook.reshape(Ethernet::LENGTH + kept, header)?;
    let new = hook.header_mut::<Ethernet>(0).ok_or(Refused)?;
    *new = Ethernet::new(link.source, link.destination, link.ether_type());
    Ok(kept)
}

#[inline(always)]
const fn at_most(length: usize, most: usize) -> usize {
    if length < most { length } else { most }
}

impl Answer for V4 {
    const HEADERS: usize = Ipv4::LENGTH + IcmpError::LENGTH;
    /// RFC 1812, 4.3.2.3.
    const LONGEST: usize = 576;

    #[inline(always)]
    fn error_length(packet: usize) -> usize {
        at_most(packet + Self::HEADERS, Self::LONGEST)
    }

    #[inline(always)]
    fn answer<H: Hook>(
        hook: &mut H,
        segment: &Segment<[u32; 1]>,
        problem: Problem,
        mtu: u16,
    ) -> Result<(), Refused> {
        let kept = make_room(hook, segment, Self::HEADERS, Self::LONGEST)?;
        let (kind, code, information) = match problem {
            Problem::PortUnreachable => (3, 3, 0),
            Problem::HostUnreachable => (3, 1, 0),
            Problem::TimeExceeded => (11, 0, 0),
            Problem::TooBig => (3, 4, mtu as u32),
        };
        let addresses = (segment.flow.destination, segment.flow.source);
        let service = segment.flow_information as u8;
        Self::write(hook, addresses, service, kept, (kind, code, information))
    }

    #[inline(always)]
    fn write<H: Hook>(
        hook: &mut H,
        (source, destination): ([u32; 1], [u32; 1]),
        service: u8,
        kept: usize,
        (kind, code, information): (u8, u8, u32),
    ) -> Result<(), Refused> {
        let error = Ethernet::LENGTH + Ipv4::LENGTH;
        *hook.header_mut::<IcmpError>(error).ok_or(Refused)? =
            IcmpError::new(kind, code, information);
        let sum = hook.sum(error, IcmpError::LENGTH + kept)?;
        let header = hook.header_mut::<IcmpError>(error).ok_or(Refused)?;
        header.set_checksum(sum.complement());

        // Linux keeps the delay, throughput and reliability bits and adds internetwork control.
        let service = (service & 0x1e) | 0xc0;
        let header = hook.header_mut::<Ipv4>(Ethernet::LENGTH).ok_or(Refused)?;
        *header = Ipv4::new(ICMP, service, (IcmpError::LENGTH + kept) as u16);
        header.set_source(source);
        header.set_destination(destination);
        header.fill_checksum();
        Ok(())
    }
}

impl Answer for V6 {
    const HEADERS: usize = Ipv6::LENGTH + IcmpError::LENGTH;
    /// RFC 4443, 2.4.
    const LONGEST: usize = 1280;

    #[inline(always)]
    fn error_length(packet: usize) -> usize {
        at_most(packet + Self::HEADERS, Self::LONGEST)
    }

    #[inline(always)]
    fn answer<H: Hook>(
        hook: &mut H,
        segment: &Segment<[u32; 4]>,
        problem: Problem,
        mtu: u16,
    ) -> Result<(), Refused> {
        let kept = make_room(hook, segment, Self::HEADERS, Self::LONGEST)?;
        let (kind, code, information) = match problem {
            Problem::PortUnreachable => (1, 4, 0),
            Problem::HostUnreachable => (1, 3, 0),
            Problem::TimeExceeded => (3, 0, 0),
            Problem::TooBig => (2, 0, mtu as u32),
        };
        let addresses = (segment.flow.destination, segment.flow.source);
        Self::write(hook, addresses, 0, kept, (kind, code, information))
    }

    #[inline(always)]
    fn write<H: Hook>(
        hook: &mut H,
        (source, destination): ([u32; 4], [u32; 4]),
        _service: u8,
        kept: usize,
        (kind, code, information): (u8, u8, u32),
    ) -> Result<(), Refused> {
        let payload = IcmpError::LENGTH + kept;
        let error = Ethernet::LENGTH + Ipv6::LENGTH;
        *hook.header_mut::<IcmpError>(error).ok_or(Refused)? =
            IcmpError::new(kind, code, information);
        let pseudo = Delta::ZERO
            .add((payload as u32).to_be())
            .add((ICMP6 as u32).to_be())
            .replace_address(&[0; 4], &source)
            .replace_address(&[0; 4], &destination);
        let sum = hook.sum(error, payload)?.and(pseudo);
        let header = hook.header_mut::<IcmpError>(error).ok_or(Refused)?;
        header.set_checksum(sum.complement());

        let header = hook.header_mut::<Ipv6>(Ethernet::LENGTH).ok_or(Refused)?;
        *header = Ipv6::new(ICMP6, payload as u16);
        header.set_source(source);
        header.set_destination(destination);
        Ok(())
    }
}
