//! A packet at a TC hook: what is read of it, and how it leaves.

use core::mem::MaybeUninit;

use aya_ebpf::bindings::{
    __sk_buff, TC_ACT_REDIRECT, TC_ACT_UNSPEC, bpf_redir_neigh, bpf_redir_neigh__bindgen_ty_1,
};
use aya_ebpf::helpers::{
    bpf_redirect, bpf_redirect_neigh, bpf_sk_storage_get, bpf_skb_load_bytes, bpf_skb_pull_data,
    bpf_skb_vlan_pop,
};
use aya_ebpf::programs::TcContext;
use weir_abi::check::CheckWay;
use weir_abi::names::PART_DEPART;
use weir_abi::settings::{LOOPBACK_INDEX, Link, USE_LOCAL_CLIENTS, USE_LOCAL_REPLIES};
use weir_forward::hook::{Hook, Refused, Route};
use weir_forward::tables::Tables;
use weir_wire::ethernet::Ethernet;
use weir_wire::packet::{Header, Packet};
use weir_wire::transport::{TCP, UDP};

use crate::frame;
use crate::maps::{CHECK_WAYS, PARTS_TC};
use crate::route::{Answer, Lookup};
use crate::tables::Maps;

/// A packet at the TC ingress hook; one of TCP or UDP, or a seldom one.
pub(super) struct Frame<const SELDOM: bool> {
    pub(super) skb: *mut __sk_buff,
    /// Where it goes, once routing has said so or a connection remembers.
    pub(super) interface: u32,
    pub(super) way: Way,
    /// For [`Way::Neighbour`].
    neighbour: MaybeUninit<bpf_redir_neigh>,
    /// The hop with the slot of the interface, and the MTU there; 0 where nothing is to be learnt.
    pub(super) hop: Link,
    pub(super) mtu: u32,
    pub(super) source: Link,
}

/// Who puts the link addresses there.
#[repr(u32)]
pub(super) enum Way {
    /// The kernel, which finds the neighbour's link address, or asks for it.
    Neighbour,
    /// We, as remembered.
    Hop,
}

/// What `tc_index` says of a packet of the director's own that has gone the way of what it gets: it may meet the
/// egress hook again where it leaves.
const DEPARTED: u32 = 0x7765;

/// Headers of the longest packet that is read: link, tags, IPv6, some extension headers, TCP.
pub(super) const HEADERS: u32 = 128;

impl<const SELDOM: bool> Frame<SELDOM> {
    /// What the socket that has sent the packet says, if it is a check's.
    #[inline(always)]
    pub(super) fn check_way<'w>(&self) -> Option<&'w CheckWay> {
        // SAFETY: the context is a live `__sk_buff`, the socket is its own, and the map is one of sockets. What
        // is there stays as long as the socket, and is not written again.
        unsafe {
            let socket = self.context().__bindgen_anon_2.sk;
            if socket.is_null() {
                return None;
            }
            let ways = (&raw const CHECK_WAYS).cast_mut().cast();
            bpf_sk_storage_get(ways, socket.cast(), core::ptr::null_mut(), 0)
                .cast::<CheckWay>()
                .as_ref()
        }
    }

    /// Whether the packet was made here, where clients or real servers may be, and has not been looked at.
    #[inline(always)]
    pub(super) fn may_be_ours(&self) -> bool {
        let are_here = match Maps.settings() {
            Some(settings) => settings.uses(USE_LOCAL_REPLIES | USE_LOCAL_CLIENTS),
            None => false,
        };
        let context = self.context();
        are_here && context.ingress_ifindex == 0 && context.tc_index != DEPARTED
    }

    /// Goes the way of packets that come in.
    #[inline(always)]
    pub(super) fn depart(&mut self) -> i32 {
        // SAFETY: the context is a live `__sk_buff` and the one that this program was given.
        unsafe {
            (&raw mut (*self.skb).tc_index).write_volatile(DEPARTED);
            PARTS_TC.tail_call(&TcContext::new(self.skb), PART_DEPART);
        }
        TC_ACT_UNSPEC
    }

    /// Whether the packet is at the egress hook, has come in by no interface, and goes the way of those that have.
    #[inline(always)]
    pub(super) fn departs(&self) -> bool {
        let context = self.context();
        context.tc_index == DEPARTED && context.ingress_ifindex == 0
    }

    /// A client that is this machine is reached by the loopback interface.
    #[inline(always)]
    pub(super) fn to_this_host<T: Tables>(&mut self, tables: &T) -> Route {
        const MTU: u32 = u16::MAX as u32;
        let Some(slot) = tables.interface_slot(LOOPBACK_INDEX) else {
            return Route::Unreachable;
        };
        if !self.recall(tables, Link((slot as u64) << 48)) {
            return Route::Unreachable;
        }
        self.mtu = MTU;
        Route::Known
    }

    #[inline(always)]
    pub(super) fn new(context: &TcContext) -> Self {
        Self {
            skb: context.skb.skb,
            interface: 0,
            way: Way::Neighbour,
            neighbour: MaybeUninit::uninit(),
            hop: Link(0),
            mtu: 0,
            source: Link(0),
        }
    }

    #[inline(always)]
    pub(super) fn context(&self) -> &__sk_buff {
        // SAFETY: the context is a live `__sk_buff`.
        unsafe { &*self.skb }
    }

    /// How large the pieces are that offloading will cut the packet into; 0 for one that is whole.
    #[inline(always)]
    pub(super) fn piece(&self) -> u32 {
        let size: u64;
        // SAFETY: a load from the live `__sk_buff`. Written out because the compiler would keep the
        // field's address where it reads it more than once, and the verifier wants the context's own
        // address with the offset in the instruction.
        unsafe {
            core::arch::asm!(
                "{0} = *(u32 *)({1} + {2})",
                out(reg) size,
                in(reg) self.skb,
                const core::mem::offset_of!(__sk_buff, gso_size),
                options(nostack, readonly, pure)
            );
        }
        size as u32
    }

    /// How many bytes are surely read. A segment that offloading has made large has no more than its
    /// headers in front, and to pull part of its first page there costs more than all the rest.
    #[inline(always)]
    pub(super) fn headers(&self) -> u32 {
        const UP_TO_PROTOCOL: usize = Ethernet::LENGTH + 7;
        let Some(start) = self.header::<[u8; UP_TO_PROTOCOL]>(0) else {
            return HEADERS;
        };
        match (start[12], start[13], start[14], start[20]) {
            (0x08, 0x00, 0x45, _) => 14 + 20 + 20,
            (0x86, 0xdd, _, TCP | UDP) => 14 + 40 + 20,
            _other => HEADERS,
        }
    }

    /// Makes the first bytes readable.
    #[inline(always)]
    pub(super) fn pull(&self, length: u32) {
        let linear = (self.data_end() - self.data()) as u32;
        let whole = self.context().len;
        let wanted = if whole < length { whole } else { length };
        // SCTP's large segments are lists of small ones, which pulling would tear.
        const PIECES_ARE_LISTED: u32 = 0xffff;
        if linear < wanted && self.piece() != PIECES_ARE_LISTED {
            // What cannot be pulled is not there for parsing either, which says so.
            // SAFETY: the context is a live `__sk_buff`; pointers are taken anew after the call.
            let _ = unsafe { bpf_skb_pull_data(self.skb, wanted) };
        }
    }

    #[inline(always)]
    pub(super) fn data(&self) -> usize {
        self.context().data as usize
    }

    #[inline(always)]
    pub(super) fn data_end(&self) -> usize {
        self.context().data_end as usize
    }

    /// Without a length the kernel holds the packet itself against the MTU, and knows that a segment
    /// made large by offloading is cut again.
    #[inline(always)]
    pub(super) fn length_to_ask(&self, length: u16) -> u16 {
        if self.piece() != 0 { 0 } else { length }
    }

    #[inline(always)]
    pub(super) fn follow<T: Tables>(&mut self, tables: &T, mut lookup: Lookup) -> Route {
        let answer = lookup.ask(self.skb.cast());
        match answer {
            Answer::Found | Answer::NoNeighbour => {
                if let Answer::Found = answer
                    && let Some(slot) = tables.interface_slot(lookup.interface)
                    && let Some((hop, mtu)) = lookup.hop(slot)
                {
                    self.hop = hop;
                    self.mtu = mtu.into();
                }
                self.interface = lookup.interface;
                let [a, b, c, d] = lookup.destination;
                self.neighbour.write(bpf_redir_neigh {
                    nh_family: lookup.family as u32,
                    __bindgen_anon_1: bpf_redir_neigh__bindgen_ty_1 {
                        ipv6_nh: [a, b, c, d],
                    },
                });
                Route::Known
            }
            Answer::TooBig => Route::TooBig(lookup.length),
            Answer::ForwardingDisabled => Route::ForwardingDisabled,
            Answer::Unreachable => Route::Unreachable,
        }
    }

    #[inline(always)]
    pub(super) fn send(&mut self) -> Result<i32, Refused> {
        self.untag()?;
        match self.way {
            Way::Neighbour => {
                // SAFETY: the parameters are as large as is said; a packet is sent this way only
                // where routing has written them.
                redirected(unsafe {
                    bpf_redirect_neigh(
                        self.interface,
                        self.neighbour.as_mut_ptr(),
                        size_of::<bpf_redir_neigh>() as i32,
                        0,
                    )
                })
            }
            Way::Hop => {
                let (hop, source) = (self.hop, self.source);
                let link = self.header_mut::<Ethernet>(0).ok_or(Refused)?;
                link.set_addresses(hop.0, source.0);
                redirect(self.interface)
            }
        }
    }

    /// Takes the tags off: the next link puts its own there, if it has one. Two at most were read.
    #[inline(always)]
    fn untag(&mut self) -> Result<(), Refused> {
        // SAFETY: the context is a live `__sk_buff`.
        unsafe {
            if self.context().vlan_present != 0 && bpf_skb_vlan_pop(self.skb) != 0 {
                return Err(Refused);
            }
            if self.context().vlan_present != 0 && bpf_skb_vlan_pop(self.skb) != 0 {
                return Err(Refused);
            }
        }
        Ok(())
    }

    /// Makes the frame one for the next hop, without tags.
    #[inline(always)]
    pub(super) fn address_to_hop(&mut self) -> Result<(), Refused> {
        self.untag()?;
        let (hop, source) = (self.hop, self.source);
        let link = self.header_mut::<Ethernet>(0).ok_or(Refused)?;
        link.set_addresses(hop.0, source.0);
        Ok(())
    }

    #[inline(always)]
    pub(super) fn send_back(&self) -> Result<i32, Refused> {
        const INGRESS: u64 = 1;
        let back = if self.departs() { INGRESS } else { 0 };
        // SAFETY: a helper without memory arguments.
        redirected(unsafe { bpf_redirect(self.context().ifindex, back) })
    }
}

#[inline(always)]
fn redirect(interface: u32) -> Result<i32, Refused> {
    // SAFETY: a helper without memory arguments.
    redirected(unsafe { bpf_redirect(interface, 0) })
}

#[inline(always)]
fn redirected(action: i64) -> Result<i32, Refused> {
    if action == TC_ACT_REDIRECT as i64 {
        Ok(TC_ACT_REDIRECT)
    } else {
        Err(Refused)
    }
}

impl<const SELDOM: bool> Packet for Frame<SELDOM> {
    #[inline(always)]
    fn header<T: Header>(&self, offset: usize) -> Option<&T> {
        let at = frame::pointer::<T>(self.data(), self.data_end(), offset)?;
        // SAFETY: within the packet, and T takes any bytes.
        Some(unsafe { &*at })
    }

    #[inline(always)]
    fn header_mut<T: Header>(&mut self, offset: usize) -> Option<&mut T> {
        let at = frame::pointer::<T>(self.data(), self.data_end(), offset)?;
        // SAFETY: within the packet, T takes any bytes, and `self` is borrowed for as long.
        Some(unsafe { &mut *at })
    }

    #[inline(always)]
    fn read<T: Header + Copy>(&self, offset: usize) -> Option<T> {
        if let Some(header) = self.header::<T>(offset) {
            return Some(*header);
        }
        let mut bytes = MaybeUninit::<T>::uninit();
        // SAFETY: the context is a live `__sk_buff`, and the helper writes so many bytes, or says that it
        // has not; T takes any bytes.
        unsafe {
            let failed = bpf_skb_load_bytes(
                self.skb.cast(),
                offset as u32,
                bytes.as_mut_ptr().cast(),
                size_of::<T>() as u32,
            );
            (failed == 0).then(|| bytes.assume_init())
        }
    }

    #[inline(always)]
    fn holds(&self, length: usize) -> bool {
        length as u32 <= self.context().len
    }
}
