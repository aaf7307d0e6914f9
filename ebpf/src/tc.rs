//! The TC program: for interfaces where XDP does not pay, and for what XDP leaves over.

use core::mem::MaybeUninit;

use aya_ebpf::bindings::{
    __sk_buff, TC_ACT_REDIRECT, TC_ACT_SHOT, TC_ACT_UNSPEC, bpf_redir_neigh,
    bpf_redir_neigh__bindgen_ty_1,
};
use aya_ebpf::helpers::{
    bpf_clone_redirect, bpf_csum_update, bpf_l4_csum_replace, bpf_redirect, bpf_redirect_neigh,
    bpf_sk_storage_get, bpf_skb_adjust_room, bpf_skb_change_head, bpf_skb_change_tail,
    bpf_skb_load_bytes, bpf_skb_pull_data, bpf_skb_store_bytes, bpf_skb_vlan_pop,
};
use aya_ebpf::macros::classifier;
use aya_ebpf::programs::TcContext;
use weir_abi::check::CheckWay;
use weir_abi::fragment::{HELD_BYTES, Held};
use weir_abi::keys::{Direction, FAMILY_V6};
use weir_abi::reason::{Outcome, Reason};
use weir_abi::settings::{Link, USE_LOCAL_REPLIES};
use weir_forward::check;
use weir_forward::family::Family;
use weir_forward::hook::{Hook, Refused, Route, Turn};
use weir_forward::local;
use weir_forward::parse::{Segment, Transport};
use weir_forward::part::{self, Part};
use weir_forward::process::process;
use weir_forward::tables::Tables;
use weir_forward::translate::End;
use weir_forward::wrap::Outer;
use weir_wire::bytes::Be32;
use weir_wire::checksum::Delta;
use weir_wire::ethernet::Ethernet;
use weir_wire::gre::GRE;
use weir_wire::packet::{Header, Packet};
use weir_wire::transport::{TCP, Tcp, UDP, Udp};

use crate::calls;
use crate::frame;
use crate::link_header;
use crate::maps::{CHECK_WAYS, PARTS_TC};
use crate::route::{Answer, Lookup};
use crate::tables::{Maps, count_reason};

/// A packet at the TC ingress hook; one of TCP or UDP, or a seldom one.
struct Frame<const SELDOM: bool> {
    skb: *mut __sk_buff,
    /// Where it goes, once routing has said so or a connection remembers.
    interface: u32,
    way: Way,
    /// For [`Way::Neighbour`].
    neighbour: MaybeUninit<bpf_redir_neigh>,
    /// The hop with the slot of the interface, and the MTU there; 0 where nothing is to be learnt.
    hop: Link,
    mtu: u32,
    source: Link,
}

/// Who puts the link addresses there.
#[repr(u32)]
enum Way {
    /// The kernel, which finds the neighbour's link address, or asks for it.
    Neighbour,
    /// We, as remembered.
    Hop,
}

/// Headers of the longest packet that is read: link, tags, IPv6, some extension headers, TCP.
const HEADERS: u32 = 128;

/// An ICMP error with link header and tags, where it quotes a whole packet of the usual size.
const LONGEST_ERROR: u32 = 1600;

#[classifier]
#[inline(always)]
pub fn weir_tc(context: TcContext) -> i32 {
    let mut frame = Frame::<false>::new(&context);
    frame.pull(frame.headers());
    if link_header::may_be_lost(&frame, frame.context().protocol)
        && link_header::restore(frame.skb).is_err()
    {
        count_reason(Reason::KernelRefused);
        return TC_ACT_SHOT;
    }
    process(&mut frame, &Maps)
}

#[classifier]
#[inline(always)]
pub fn weir_tc_length4(context: TcContext) -> i32 {
    part::run(&mut Frame::<false>::new(&context), &Maps, Part::Length4)
}

#[classifier]
#[inline(always)]
pub fn weir_tc_length6(context: TcContext) -> i32 {
    part::run(&mut Frame::<false>::new(&context), &Maps, Part::Length6)
}

#[classifier]
#[inline(always)]
pub fn weir_tc_related(context: TcContext) -> i32 {
    let mut frame = Frame::<false>::new(&context);
    // An error's checksum covers all of it, the quoted packet included.
    frame.pull(LONGEST_ERROR);
    part::run(&mut frame, &Maps, Part::Related)
}

#[classifier]
#[inline(always)]
pub fn weir_tc_tunnelled(context: TcContext) -> i32 {
    part::run(&mut Frame::<false>::new(&context), &Maps, Part::Tunnelled)
}

#[classifier]
#[inline(always)]
pub fn weir_tc_carry4(context: TcContext) -> i32 {
    part::run(&mut Frame::<false>::new(&context), &Maps, Part::Carry4)
}

#[classifier]
#[inline(always)]
pub fn weir_tc_carry6(context: TcContext) -> i32 {
    part::run(&mut Frame::<false>::new(&context), &Maps, Part::Carry6)
}

#[classifier]
#[inline(always)]
pub fn weir_tc_fragment(context: TcContext) -> i32 {
    part::run(&mut Frame::<false>::new(&context), &Maps, Part::Fragment)
}

#[classifier]
#[inline(always)]
pub fn weir_tc_seldom4(context: TcContext) -> i32 {
    part::run(&mut Frame::<true>::new(&context), &Maps, Part::Seldom4)
}

#[classifier]
#[inline(always)]
pub fn weir_tc_seldom6(context: TcContext) -> i32 {
    part::run(&mut Frame::<true>::new(&context), &Maps, Part::Seldom6)
}

#[classifier]
#[inline(always)]
pub fn weir_tc_application4(context: TcContext) -> i32 {
    part::run(
        &mut Frame::<false>::new(&context),
        &Maps,
        Part::Application4,
    )
}

#[classifier]
#[inline(always)]
pub fn weir_tc_application6(context: TcContext) -> i32 {
    part::run(
        &mut Frame::<false>::new(&context),
        &Maps,
        Part::Application6,
    )
}

#[classifier]
#[inline(always)]
pub fn weir_tc_check(context: TcContext) -> i32 {
    part::run(&mut Frame::<false>::new(&context), &Maps, Part::Check)
}

/// At the egress hook, where there are checks that go the way of the traffic, or real servers by NAT that are
/// the director itself: all but their packets pass.
#[classifier]
#[inline(always)]
pub fn weir_tc_egress(context: TcContext) -> i32 {
    let mut frame = Frame::<false>::new(&context);
    let went = if let Some(way) = frame.check_way() {
        frame.pull(frame.headers());
        check::depart(&mut frame, &Maps, way)
    } else if frame.may_be_local_reply() {
        frame.pull(frame.headers());
        local::answer(&mut frame, &Maps)
    } else {
        None
    };
    match went {
        Some(reason) => frame.conclude(reason),
        None => TC_ACT_UNSPEC,
    }
}

impl<const SELDOM: bool> Frame<SELDOM> {
    /// What the socket that has sent the packet says, if it is a check's.
    #[inline(always)]
    fn check_way<'w>(&self) -> Option<&'w CheckWay> {
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

    /// Whether the packet was made here, where such may be replies of real servers.
    #[inline(always)]
    fn may_be_local_reply(&self) -> bool {
        let are_local = match Maps.settings() {
            Some(settings) => settings.uses(USE_LOCAL_REPLIES),
            None => false,
        };
        are_local && self.context().ingress_ifindex == 0
    }

    #[inline(always)]
    fn new(context: &TcContext) -> Self {
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
    fn context(&self) -> &__sk_buff {
        // SAFETY: the context is a live `__sk_buff`.
        unsafe { &*self.skb }
    }

    /// How large the pieces are that offloading will cut the packet into; 0 for one that is whole.
    #[inline(always)]
    fn piece(&self) -> u32 {
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
    fn headers(&self) -> u32 {
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
    fn pull(&self, length: u32) {
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
    fn data(&self) -> usize {
        self.context().data as usize
    }

    #[inline(always)]
    fn data_end(&self) -> usize {
        self.context().data_end as usize
    }

    /// Without a length the kernel holds the packet itself against the MTU, and knows that a segment
    /// made large by offloading is cut again.
    #[inline(always)]
    fn length_to_ask(&self, length: u16) -> u16 {
        if self.piece() != 0 { 0 } else { length }
    }

    #[inline(always)]
    fn follow<T: Tables>(&mut self, tables: &T, mut lookup: Lookup) -> Route {
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
    fn send(&mut self) -> Result<i32, Refused> {
        // The next link puts its own tag there, if it has one. Two tags at most were read.
        // SAFETY: the context is a live `__sk_buff`.
        unsafe {
            if self.context().vlan_present != 0 && bpf_skb_vlan_pop(self.skb) != 0 {
                return Err(Refused);
            }
            if self.context().vlan_present != 0 && bpf_skb_vlan_pop(self.skb) != 0 {
                return Err(Refused);
            }
        }
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

    #[inline(always)]
    fn send_back(&self) -> Result<i32, Refused> {
        redirect(self.context().ifindex)
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

/// A length of a frame that can wait, such that the verifier sees its bounds in the register that is
/// used.
#[inline(always)]
fn bounded(length: u32) -> Option<u32> {
    const { assert!(HELD_BYTES.is_power_of_two()) };
    if length == 0 || length as usize > HELD_BYTES {
        return None;
    }
    let mut length = length as u64;
    // SAFETY: copies a register to itself. (So the compiler does not know what it has just seen, and
    // says it again in a way that all verifiers follow.)
    unsafe { core::arch::asm!("{0} = {0}", inout(reg) length, options(nomem, nostack)) };
    let length = length.wrapping_sub(1) & (HELD_BYTES as u64 - 1);
    Some(length as u32 + 1)
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

impl<const SELDOM: bool> Hook for Frame<SELDOM> {
    type Verdict = i32;

    const TAGS: bool = true;
    const CHECKS: bool = true;

    #[inline(always)]
    fn conclude(&mut self, reason: Reason) -> i32 {
        let sent = match reason.outcome() {
            Outcome::Passed => Ok(TC_ACT_UNSPEC),
            // What goes round again is a copy.
            Outcome::Dropped | Outcome::Held => Ok(TC_ACT_SHOT),
            Outcome::Answered => self.send_back(),
            Outcome::Forwarded => self.send(),
        };
        match sent {
            Ok(action) => {
                count_reason(reason);
                action
            }
            Err(Refused) => {
                count_reason(Reason::KernelRefused);
                TC_ACT_SHOT
            }
        }
    }

    #[inline(always)]
    fn go_on<T: Tables>(&mut self, _tables: &T, part: Part) -> i32 {
        // SAFETY: the context is the one that this program was given.
        unsafe { PARTS_TC.tail_call(&TcContext::new(self.skb), part as u32) };
        self.conclude(Reason::PartMissing)
    }

    #[inline(always)]
    fn mark(&self) -> u32 {
        self.context().mark
    }

    #[inline(always)]
    fn ingress(&self) -> u32 {
        self.context().ifindex
    }

    #[inline(always)]
    fn transport<A>(&self, segment: &Segment<A>) -> Transport {
        if SELDOM {
            segment.seldom_transport()
        } else {
            segment.usual_transport()
        }
    }

    #[inline(always)]
    fn station<T: Tables>(&self, _tables: &T) -> Option<Link> {
        None
    }

    #[inline(always)]
    fn is_other_station(&self) -> bool {
        const PACKET_HOST: u32 = 0;
        self.context().pkt_type != PACKET_HOST
    }

    #[inline(always)]
    fn network_length(&self, parsed: usize, network_offset: usize) -> u64 {
        // A segment made large by offloading says a wrong length, or none (RFC 2675 style).
        if self.piece() != 0 {
            self.context().len as u64 - network_offset as u64
        } else {
            parsed as u64
        }
    }

    #[inline(always)]
    fn route<F: Family, T: Tables>(
        &mut self,
        tables: &T,
        segment: &Segment<F::Address>,
        direction: Direction,
        end: End<F::Address>,
    ) -> Route {
        let length = self.length_to_ask(segment.length);
        let lookup = Lookup::new::<F>(segment, direction, end, self.context().ifindex, length);
        self.follow(tables, lookup)
    }

    #[inline(always)]
    fn route_outer<F: Family, T: Tables>(
        &mut self,
        tables: &T,
        segment: &Segment<F::Address>,
        outer: &Outer,
    ) -> Route {
        let length = self.length_to_ask(segment.length.saturating_add(outer.overhead));
        let lookup = Lookup::outer(outer, self.context().ifindex, length);
        self.follow(tables, lookup)
    }

    #[inline(always)]
    fn encapsulate(&mut self, room: usize, family: u8, protocol: u8) -> Result<(), Refused> {
        // BPF_ADJ_ROOM_MAC, and BPF_F_ADJ_ROOM_ENCAP_*: so the kernel knows how to cut a segment that
        // offloading has made large.
        const AFTER_LINK: u32 = 1;
        const FIXED_SIZE: u64 = 1;
        const OUTER_V4: u64 = 1 << 1;
        const OUTER_V6: u64 = 1 << 2;
        const OUTER_GRE: u64 = 1 << 3;
        const OUTER_UDP: u64 = 1 << 4;
        let network = if family == FAMILY_V6 {
            OUTER_V6
        } else {
            OUTER_V4
        };
        let transport = match protocol {
            GRE => OUTER_GRE,
            UDP => OUTER_UDP,
            _none => 0,
        };
        let flags = FIXED_SIZE | network | transport;
        // SAFETY: the context is a live `__sk_buff`; pointers are taken anew after the calls.
        let made = unsafe {
            bpf_skb_adjust_room(self.skb, room as i32, AFTER_LINK, flags) == 0
                && bpf_skb_pull_data(self.skb, (Ethernet::LENGTH + room) as u32) == 0
        };
        if made { Ok(()) } else { Err(Refused) }
    }

    #[inline(always)]
    fn learnt(&self) -> Option<(Link, u16)> {
        (self.mtu != 0).then_some((self.hop, self.mtu as u16))
    }

    #[inline(always)]
    fn recall<T: Tables>(&mut self, tables: &T, hop: Link) -> bool {
        let Some(record) = tables.interface(hop.beside().into()) else {
            return false;
        };
        self.source = Link(record.link.load());
        self.interface = record.index.load();
        self.hop = hop;
        self.way = Way::Hop;
        self.interface != 0
    }

    #[inline(always)]
    fn fits<A>(&self, segment: &Segment<A>, mtu: u16) -> bool {
        let piece = self.piece();
        if piece == 0 {
            return segment.length <= mtu;
        }
        let transport = match self.transport(segment) {
            Transport::Tcp(_) => match self.header::<Tcp>(segment.payload as usize) {
                Some(tcp) => tcp.header_length(),
                None => return false,
            },
            Transport::Udp => Udp::LENGTH,
            // What they are cut into is as large as whoever made them wanted it.
            Transport::Sctp(_) | Transport::Secured => return false,
        };
        let headers = segment.payload as usize - segment.network as usize + transport;
        piece as usize + headers <= mtu as usize
    }

    #[inline(always)]
    fn correct_checksum(
        &mut self,
        offset: usize,
        addresses: Delta,
        ports: Delta,
        udp: bool,
    ) -> Result<(), Refused> {
        // The kernel knows whether the checksum in the packet is whole, or the pseudo header's part
        // that the sender's network card was to complete (CHECKSUM_PARTIAL): then ports do not
        // count. A field size of 0 says that the difference of sums is given.
        const PSEUDO_HEADER: u64 = 1 << 4;
        const MANGLED_ZERO: u64 = 1 << 5;
        let zero = if udp { MANGLED_ZERO } else { 0 };
        // SAFETY: the context is a live `__sk_buff`; pointers are taken anew after the calls.
        let refused = unsafe {
            bpf_l4_csum_replace(
                self.skb,
                offset as u32,
                0,
                addresses.folded32() as u64,
                PSEUDO_HEADER | zero,
            ) != 0
                || bpf_l4_csum_replace(self.skb, offset as u32, 0, ports.folded32() as u64, zero)
                    != 0
        };
        if refused { Err(Refused) } else { Ok(()) }
    }

    #[inline(always)]
    fn tell_of_change(&mut self, delta: Delta) {
        // Where the kernel has no sum of the whole (CHECKSUM_COMPLETE) there is nothing to tell.
        // SAFETY: the context is a live `__sk_buff`.
        let _ = unsafe { bpf_csum_update(self.skb, delta.folded32()) };
    }

    #[inline(always)]
    fn put_byte(&mut self, offset: usize, byte: u8) -> Result<(), Refused> {
        // SAFETY: the context is a live `__sk_buff`, and the byte is one; pointers are taken anew after.
        let failed = unsafe {
            bpf_skb_store_bytes(
                self.skb,
                offset as u32,
                core::ptr::from_ref(&byte).cast(),
                1,
                0,
            )
        };
        if failed == 0 { Ok(()) } else { Err(Refused) }
    }

    #[inline(always)]
    fn resize(&mut self, length: usize) -> Result<(), Refused> {
        let length = length as u32;
        // SAFETY: the context is a live `__sk_buff`; pointers are taken anew after the calls.
        unsafe {
            if self.context().len != length && bpf_skb_change_tail(self.skb, length, 0) != 0 {
                return Err(Refused);
            }
            if bpf_skb_pull_data(self.skb, length) != 0 {
                return Err(Refused);
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn piece_length(&self) -> usize {
        self.piece() as usize
    }

    #[inline(always)]
    fn turns<S: Turn<Self>>(&mut self, turns: u32, turn: &mut S) {
        frame::turns(self, turns, turn);
    }

    #[inline(always)]
    fn is_sum_left_open(&mut self, offset: usize) -> bool {
        // The kernel does not say it (CHECKSUM_PARTIAL), but leaves such a checksum alone when a part of
        // it is to be corrected that is not the pseudo header's.
        // SAFETY: the context is a live `__sk_buff`; pointers are taken anew after the call.
        let refused = unsafe { bpf_l4_csum_replace(self.skb, offset as u32, 0, 1, 0) != 0 };
        match self.header_mut::<Be32>(offset) {
            Some(sum) if !refused && sum.raw() != 0 => {
                sum.set_raw(0);
                false
            }
            Some(_) | None => true,
        }
    }

    #[inline(always)]
    fn crc_change(&self, first: u32, length: u16) -> u32 {
        calls::crc_change(first, length)
    }

    #[inline(always)]
    fn reshape(&mut self, keep: usize, room: usize) -> Result<(), Refused> {
        let whole = (keep + room) as u32;
        // SAFETY: the context is a live `__sk_buff`; pointers are taken anew after the calls.
        unsafe {
            if (keep as u32) < self.context().len
                && bpf_skb_change_tail(self.skb, keep as u32, 0) != 0
            {
                return Err(Refused);
            }
            if bpf_skb_change_head(self.skb, room as u32, 0) != 0
                || bpf_skb_pull_data(self.skb, whole) != 0
            {
                return Err(Refused);
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn strip(&mut self, keep: usize, surplus: usize) -> Result<(), Refused> {
        // BPF_ADJ_ROOM_MAC.
        const AFTER_LINK: u32 = 1;
        // SAFETY: the context is a live `__sk_buff`; pointers are taken anew after the calls.
        let stripped = unsafe {
            (keep as u32 >= self.context().len
                || bpf_skb_change_tail(self.skb, keep as u32, 0) == 0)
                && bpf_skb_adjust_room(self.skb, -(surplus as i32), AFTER_LINK, 0) == 0
                && bpf_skb_pull_data(self.skb, (keep - surplus) as u32) == 0
        };
        if stripped { Ok(()) } else { Err(Refused) }
    }

    #[inline(always)]
    fn keep(&self, held: &Held) -> Result<(), Refused> {
        let length = bounded(self.context().len).ok_or(Refused)?;
        // SAFETY: the context is a live `__sk_buff`; the bytes are ours and no fewer than `length`.
        let kept = unsafe { bpf_skb_load_bytes(self.skb.cast(), 0, held.bytes().cast(), length) };
        held.length.store(length);
        if kept == 0 { Ok(()) } else { Err(Refused) }
    }

    #[inline(always)]
    fn become_held(&mut self, held: &Held) -> Result<(), Refused> {
        const RECOMPUTE_CHECKSUM: u64 = 1;
        const INVALIDATE_HASH: u64 = 2;
        let length = bounded(held.length.load()).ok_or(Refused)?;
        // SAFETY: as above; pointers are taken anew after the calls.
        let refused = unsafe {
            bpf_skb_change_tail(self.skb, length, 0) != 0
                || bpf_skb_store_bytes(
                    self.skb.cast(),
                    0,
                    held.bytes().cast(),
                    length,
                    RECOMPUTE_CHECKSUM | INVALIDATE_HASH,
                ) != 0
        };
        if refused { Err(Refused) } else { Ok(()) }
    }

    #[inline(always)]
    fn go_round(&mut self) -> Result<(), Refused> {
        const INGRESS: u64 = 1;
        let interface = self.context().ifindex;
        // SAFETY: as above.
        match unsafe { bpf_clone_redirect(self.skb, interface, INGRESS) } {
            0 => Ok(()),
            _refused => Err(Refused),
        }
    }

    #[inline(always)]
    fn sum(&self, offset: usize, length: usize) -> Result<Delta, Refused> {
        frame::sum(self, offset, length)
    }
}
