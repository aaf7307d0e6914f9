//! The kernel's routing (`bpf_fib_lookup`).

use core::ffi::c_void;

use aya_ebpf::helpers;
use weir_abi::keys::{Direction, FAMILY_V4, FAMILY_V6};
use weir_abi::settings::Link;
use weir_forward::family::Family;
use weir_forward::parse::Segment;
use weir_forward::translate::End;
use weir_forward::wrap::Outer;

/// `struct bpf_fib_lookup` (linux/bpf.h), with its unions as what is read and written here.
///
/// Aligned to eight bytes, with the answer's last part as words: so the compiler clears it by whole
/// words and not byte by byte in a loop.
#[repr(C, align(8))]
pub struct Lookup {
    /// In: `AF_INET` or `AF_INET6`. Out: the family of the next hop's address.
    pub family: u8,
    protocol: u8,
    source_port: u16,
    destination_port: u16,
    /// In: length to hold against the MTU. Out: that MTU.
    pub length: u16,
    /// In: the interface that the packet came in by. Out: the one that it leaves by.
    pub interface: u32,
    flow_information: u32,
    source: [u32; 4],
    /// In: the destination. Out: the next hop.
    pub destination: [u32; 4],
    /// In: a VLAN's tag. Out: of that again, of the outgoing interface's MAC address (bytes 4 to 9)
    /// and the next hop's (10 to 15).
    rest: [u32; 4],
}

const _: () = assert!(size_of::<Lookup>() == 64);

/// What the kernel answers.
pub enum Answer {
    /// Route and link addresses are in the lookup.
    Found,
    /// The route is in the lookup, the neighbour's link address is not known.
    NoNeighbour,
    /// The packet is larger than the MTU in the lookup.
    TooBig,
    /// The interface does not forward.
    ForwardingDisabled,
    /// No route, or one that forbids.
    Unreachable,
}

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

impl Lookup {
    /// A question: where does the packet go once `end` has replaced one of its ends?
    #[inline(always)]
    pub fn new<F: Family>(
        segment: &Segment<F::Address>,
        direction: Direction,
        end: End<F::Address>,
        interface: u32,
        length: u16,
    ) -> Self {
        let flow = &segment.flow;
        let (source, destination, source_port, destination_port) = match direction {
            Direction::Request => (flow.source, end.address, flow.source_port, end.port),
            Direction::Reply => (
                end.address,
                flow.destination,
                end.port,
                flow.destination_port,
            ),
        };
        Self {
            family: if F::NUMBER == FAMILY_V4 {
                AF_INET
            } else {
                AF_INET6
            },
            protocol: flow.protocol as u8,
            source_port,
            destination_port,
            length,
            interface,
            flow_information: segment.flow_information,
            source: F::widen(source),
            destination: F::widen(destination),
            rest: [0; 4],
        }
    }

    /// A question: where does a packet of that length go once it is wrapped?
    #[inline(always)]
    pub fn outer(outer: &Outer, interface: u32, length: u16) -> Self {
        Self {
            family: if outer.family == FAMILY_V6 {
                AF_INET6
            } else {
                AF_INET
            },
            protocol: outer.protocol,
            source_port: 0,
            destination_port: 0,
            length,
            interface,
            flow_information: 0,
            source: outer.source,
            destination: outer.destination,
            rest: [0; 4],
        }
    }

    /// The hop that was found, with the slot of the interface that leads there, if it can be said in
    /// those terms.
    #[inline(always)]
    pub fn hop(&self, slot: u32) -> Option<(Link, u16)> {
        let is_there = self.length != 0 && slot <= u16::MAX as u32;
        let [_, _, middle, last] = self.rest;
        let mac = (middle >> 16) as u64 | (last as u64) << 16;
        is_there.then_some((Link(mac | (slot as u64) << 48), self.length))
    }

    /// Asks, for a packet of that context.
    #[inline(always)]
    pub fn ask(&mut self, context: *mut c_void) -> Answer {
        // SAFETY: `self` is a `struct bpf_fib_lookup` of the size given.
        let answer = unsafe {
            helpers::generated::bpf_fib_lookup(
                context,
                core::ptr::from_mut(self).cast(),
                size_of::<Self>() as i32,
                0,
            )
        };
        // BPF_FIB_LKUP_RET_*
        match answer {
            0 => Answer::Found,
            5 => Answer::ForwardingDisabled,
            7 => Answer::NoNeighbour,
            8 => Answer::TooBig,
            _other => Answer::Unreachable,
        }
    }
}
