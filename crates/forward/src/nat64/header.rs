//! One family's header as the other's (RFC 7915, 4.1 and 5.1).

use weir_abi::keys::Flow;
use weir_wire::bytes::Be16;
use weir_wire::checksum::Delta;
use weir_wire::ethernet::EtherType;
use weir_wire::ipv4::Ipv4;
use weir_wire::ipv6::Ipv6;

use crate::family::{V4, V6};
use crate::hook::{Hook, Refused};
use crate::icmp::Answer;
use crate::related::translate::TranslateErrors;

/// What both families' headers say, each in its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heading {
    /// Type of service or traffic class.
    pub class: u8,
    /// Time to live or hop limit.
    pub hops: u8,
    /// What it carries: a transport's number.
    pub protocol: u8,
    /// How many bytes of that.
    pub payload: u16,
    /// IPv4: what tells its fragments from others, as it lies.
    pub identification: u16,
    /// IPv4: whether no router may fragment it.
    pub forbids: bool,
}

/// A family that packets of the other become.
pub trait Side: TranslateErrors + Answer {
    /// Its header's length.
    const HEADER: usize;
    /// Whether it takes no datagram without a checksum.
    const NEEDS_SUM: bool;
    /// What a link header names it by.
    const ETHER_TYPE: EtherType;

    /// Type of service or traffic class, out of what a segment keeps.
    fn class(flow_information: u32) -> u8;
    /// The other way.
    fn information(class: u8) -> u32;
    /// The largest packet of this family that is none too large as one of the other.
    fn mtu_here(there: u16) -> u16;
    /// Whether routers may fragment a packet of that length that comes from the other family.
    fn may_be_cut(length: u16) -> bool;
    /// Puts a header there, and its family into the link header.
    fn put<H: Hook>(
        hook: &mut H,
        at: usize,
        heading: &Heading,
        flow: &Flow<Self::Address>,
    ) -> Result<(), Refused>;
}

/// What the change from one flow to the other adds to a transport's checksum: for the addresses, which lie in
/// the pseudo header, and for the ports. (Protocol and length are the same in both pseudo headers.)
#[inline(always)]
pub fn difference<I: Side, O: Side>(
    old: &Flow<I::Address>,
    new: &Flow<O::Address>,
) -> (Delta, Delta) {
    let mut addresses = Delta::ZERO;
    I::each_word(old.source, |word| addresses = addresses.add(!word));
    I::each_word(old.destination, |word| addresses = addresses.add(!word));
    O::each_word(new.source, |word| addresses = addresses.add(word));
    O::each_word(new.destination, |word| addresses = addresses.add(word));
    let ports = Delta::ZERO
        .replace16(old.source_port, new.source_port)
        .replace16(old.destination_port, new.destination_port);
    (addresses, ports)
}

/// Puts a family's number into the link header.
#[inline(always)]
pub(crate) fn name_family<H: Hook>(hook: &mut H, family: EtherType) -> Result<(), Refused> {
    /// Where the link header says it.
    const PLACE: usize = 12;
    hook.put(PLACE, &Be16::new(family.number()))
}

impl Side for V4 {
    const HEADER: usize = Ipv4::LENGTH;
    const NEEDS_SUM: bool = false;
    const ETHER_TYPE: EtherType = EtherType::Ipv4;

    #[inline(always)]
    fn class(flow_information: u32) -> u8 {
        flow_information as u8
    }

    #[inline(always)]
    fn information(class: u8) -> u32 {
        class as u32
    }

    #[inline(always)]
    fn mtu_here(there: u16) -> u16 {
        there.saturating_sub((Ipv6::LENGTH - Ipv4::LENGTH) as u16)
    }

    #[inline(always)]
    fn may_be_cut(length: u16) -> bool {
        // What IPv6 takes without a word (RFC 7915, 5.1).
        const ALWAYS: u16 = 1260;
        length <= ALWAYS
    }

    #[inline(always)]
    fn put<H: Hook>(
        hook: &mut H,
        at: usize,
        heading: &Heading,
        flow: &Flow<[u32; 1]>,
    ) -> Result<(), Refused> {
        let mut header = Ipv4::new(heading.protocol, heading.class, heading.payload);
        header.set_way(heading.hops, heading.identification, heading.forbids);
        header.set_source(flow.source);
        header.set_destination(flow.destination);
        header.fill_checksum();
        hook.put(at, &header)?;
        name_family(hook, Self::ETHER_TYPE)
    }
}

impl Side for V6 {
    const HEADER: usize = Ipv6::LENGTH;
    const NEEDS_SUM: bool = true;
    const ETHER_TYPE: EtherType = EtherType::Ipv6;

    #[inline(always)]
    fn class(flow_information: u32) -> u8 {
        (u32::from_be(flow_information) >> 20) as u8
    }

    #[inline(always)]
    fn information(class: u8) -> u32 {
        ((class as u32) << 20).to_be()
    }

    #[inline(always)]
    fn mtu_here(there: u16) -> u16 {
        // No link of IPv6 takes less (RFC 8200, 5).
        const LEAST: u16 = 1280;
        let mtu = there.saturating_add((Ipv6::LENGTH - Ipv4::LENGTH) as u16);
        if mtu < LEAST { LEAST } else { mtu }
    }

    #[inline(always)]
    fn may_be_cut(_length: u16) -> bool {
        false
    }

    #[inline(always)]
    fn put<H: Hook>(
        hook: &mut H,
        at: usize,
        heading: &Heading,
        flow: &Flow<[u32; 4]>,
    ) -> Result<(), Refused> {
        let mut header = Ipv6::new(heading.protocol, heading.payload);
        header.set_way(heading.hops, heading.class);
        header.set_source(flow.source);
        header.set_destination(flow.destination);
        hook.put(at, &header)?;
        name_family(hook, Self::ETHER_TYPE)
    }
}
