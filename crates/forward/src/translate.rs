//! Network address translation of one packet, both ways.

use weir_abi::connection::Endpoints;
use weir_abi::keys::Direction;
use weir_wire::bytes::Be16;
use weir_wire::checksum::Delta;
use weir_wire::ipv4::Ipv4;
use weir_wire::ipv6::Ipv6;
use weir_wire::packet::Packet;
use weir_wire::sctp::Sctp;

use crate::family::{Family, V4, V6};
use crate::hook::{Hook, Refused};
use crate::parse::{Portion, Segment, Transport};

/// A family whose headers can be rewritten.
pub trait Translate: Family {
    /// Puts an address there, corrects the network header's own checksum.
    fn rewrite<P: Packet>(
        packet: &mut P,
        network: usize,
        direction: Direction,
        address: Self::Address,
        delta: Delta,
        hop: Hop,
    ) -> Option<()>;

    /// Takes a hop from the time to live or hop limit, and changes nothing else.
    fn take_hop<P: Packet>(packet: &mut P, network: usize) -> Option<()>;

    /// What the addresses' change means for checksums.
    fn delta(old: Self::Address, new: Self::Address) -> Delta;
}

/// Who takes a hop from the time to live or hop limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hop {
    /// Weir, which sends the packet.
    Taken,
    /// The kernel, to which the packet is left and which forwards it.
    Left,
}

/// What translation puts in place of one end of a packet: the real server's address and port in
/// requests, the virtual ones in replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End<A> {
    /// Its address.
    pub address: A,
    /// Its port, network byte order.
    pub port: u16,
}

/// What replaces the destination of a connection's requests, or the source of its replies.
#[inline(always)]
pub fn replacement<A: Copy>(endpoints: &Endpoints<A>, direction: Direction) -> End<A> {
    match direction {
        Direction::Request => End {
            address: endpoints.server,
            port: endpoints.server_port,
        },
        Direction::Reply => End {
            address: endpoints.virtual_address,
            port: endpoints.virtual_port,
        },
    }
}

/// What the change of addresses adds to a checksum, the same for all packets of a connection's
/// direction.
#[inline(always)]
pub fn delta<F: Translate>(
    segment: &Segment<F::Address>,
    end: End<F::Address>,
    direction: Direction,
) -> u16 {
    let from = match direction {
        Direction::Request => segment.flow.destination,
        Direction::Reply => segment.flow.source,
    };
    F::delta(from, end.address).folded()
}

/// Translates a packet in place. `delta` is what [`delta`] says.
#[inline(always)]
pub fn translate<F: Translate, H: Hook>(
    hook: &mut H,
    segment: &Segment<F::Address>,
    transport: Transport,
    end: End<F::Address>,
    delta: u16,
    direction: Direction,
    hop: Hop,
) -> Result<(), Refused> {
    let old_port = match direction {
        Direction::Request => segment.flow.destination_port,
        Direction::Reply => segment.flow.source_port,
    };
    let new_port = end.port;
    let addresses = Delta::from_folded(delta);
    F::rewrite(
        hook,
        segment.network as usize,
        direction,
        end.address,
        addresses,
        hop,
    )
    .ok_or(Refused)?;
    // The transport's header, whose checksum is that of the whole packet, is in the first fragment.
    if hook.portion(segment) == Portion::Later {
        return Ok(());
    }
    let udp = match transport {
        Transport::Tcp(_) => false,
        Transport::Udp => true,
        Transport::Sctp(_) => {
            return translate_sctp(hook, segment, direction, new_port);
        }
        // No ports, and a checksum that nobody on the way can compute.
        Transport::Secured => return Ok(()),
    };
    let payload = segment.payload as usize;
    hook.put_port(payload, direction, (old_port, new_port), addresses, udp)
}

/// Puts a port there in SCTP, whose checksum does not cover the addresses. Where the port is kept nothing
/// changes.
#[inline(always)]
fn translate_sctp<H: Hook, A>(
    hook: &mut H,
    segment: &Segment<A>,
    direction: Direction,
    port: u16,
) -> Result<(), Refused> {
    let payload = segment.payload as usize;
    let header = hook.header_mut::<Sctp>(payload).ok_or(Refused)?;
    let old = header.ports;
    match direction {
        Direction::Request => header.ports.set_destination(port),
        Direction::Reply => header.ports.set_source(port),
    }
    // Its checksum is that of the whole packet: who knows how long that is corrects it (`carry`).
    if hook.portion(segment) == Portion::First {
        return Ok(());
    }
    let header = hook.header_mut::<Sctp>(payload).ok_or(Refused)?;
    let change = header.ports.bits() ^ old.bits();
    let is_open = header.checksum() == 0;
    if change == 0 || is_open && hook.is_sum_left_open(payload + Sctp::CHECKSUM) {
        return Ok(());
    }
    let change = hook.crc_change(change, segment.transport_length());
    let header = hook.header_mut::<Sctp>(payload).ok_or(Refused)?;
    header.set_checksum(header.checksum() ^ change);
    Ok(())
}

/// The plain way of [`Hook::correct_checksum`]: where the checksum in the packet is a whole one.
#[inline(always)]
pub fn correct_in_place<P: Packet>(
    packet: &mut P,
    offset: usize,
    delta: Delta,
    udp: bool,
) -> Result<(), Refused> {
    let field = packet.header_mut::<Be16>(offset).ok_or(Refused)?;
    let old = field.raw();
    if udp && old == 0 {
        return Ok(());
    }
    let new = delta.apply(old);
    field.set_raw(if udp && new == 0 { 0xffff } else { new });
    Ok(())
}

impl Translate for V4 {
    #[inline(always)]
    fn rewrite<P: Packet>(
        packet: &mut P,
        network: usize,
        direction: Direction,
        address: [u32; 1],
        delta: Delta,
        hop: Hop,
    ) -> Option<()> {
        let header = packet.header_mut::<Ipv4>(network)?;
        match direction {
            Direction::Request => header.set_destination(address),
            Direction::Reply => header.set_source(address),
        }
        match hop {
            Hop::Taken => header.decrement_time_to_live(delta),
            Hop::Left => header.adjust_checksum(delta),
        }
        Some(())
    }

    #[inline(always)]
    fn take_hop<P: Packet>(packet: &mut P, network: usize) -> Option<()> {
        packet
            .header_mut::<Ipv4>(network)?
            .decrement_time_to_live(Delta::ZERO);
        Some(())
    }

    #[inline(always)]
    fn delta(old: [u32; 1], new: [u32; 1]) -> Delta {
        Delta::ZERO.replace_address(&old, &new)
    }
}

impl Translate for V6 {
    #[inline(always)]
    fn rewrite<P: Packet>(
        packet: &mut P,
        network: usize,
        direction: Direction,
        address: [u32; 4],
        _delta: Delta,
        hop: Hop,
    ) -> Option<()> {
        let header = packet.header_mut::<Ipv6>(network)?;
        match direction {
            Direction::Request => header.set_destination(address),
            Direction::Reply => header.set_source(address),
        }
        if hop == Hop::Taken {
            header.decrement_hop_limit();
        }
        Some(())
    }

    #[inline(always)]
    fn take_hop<P: Packet>(packet: &mut P, network: usize) -> Option<()> {
        packet.header_mut::<Ipv6>(network)?.decrement_hop_limit();
        Some(())
    }

    #[inline(always)]
    fn delta(old: [u32; 4], new: [u32; 4]) -> Delta {
        Delta::ZERO.replace_address(&old, &new)
    }
}
