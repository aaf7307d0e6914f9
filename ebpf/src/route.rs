//! The kernel's routing (`bpf_fib_lookup`).

use core::ffi::c_void;

use aya_ebpf::helpers;
use weir_abi::keys::FAMILY_V4;
use weir_forward::family::Family;
use weir_forward::hook::RouteQuery;

/// `struct bpf_fib_lookup` (linux/bpf.h), with its unions as what is read and written here.
#[repr(C)]
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
    vlan: u32,
    /// Out: the outgoing interface's link address.
    pub source_mac: [u8; 6],
    /// Out: the next hop's link address.
    pub destination_mac: [u8; 6],
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
    #[inline(always)]
    pub fn new<F: Family>(query: &RouteQuery<F::Address>, interface: u32, length: u16) -> Self {
        Self {
            family: if F::NUMBER == FAMILY_V4 {
                AF_INET
            } else {
                AF_INET6
            },
            protocol: query.protocol as u8,
            source_port: query.source_port,
            destination_port: query.destination_port,
            length,
            interface,
            flow_information: query.flow_information,
            source: F::widen(query.source),
            destination: F::widen(query.destination),
            vlan: 0,
            source_mac: [0; 6],
            destination_mac: [0; 6],
        }
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
