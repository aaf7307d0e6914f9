//! What the kernel offers for a packet at TC.

use aya_ebpf::bindings::{TC_ACT_SHOT, TC_ACT_UNSPEC};
use aya_ebpf::helpers::{
    bpf_clone_redirect, bpf_csum_update, bpf_l4_csum_replace, bpf_skb_adjust_room,
    bpf_skb_change_head, bpf_skb_change_proto, bpf_skb_change_tail, bpf_skb_load_bytes,
    bpf_skb_pull_data, bpf_skb_store_bytes,
};
use aya_ebpf::programs::TcContext;
use weir_abi::fragment::{HELD_BYTES, Held};
use weir_abi::keys::{Direction, FAMILY_V6};
use weir_abi::reason::{Outcome, Reason};
use weir_abi::settings::Link;
use weir_forward::family::Family;
use weir_forward::hook::{Hook, Refused, Route, Turn};
use weir_forward::parse::{Segment, Transport};
use weir_forward::part::Part;
use weir_forward::tables::Tables;
use weir_forward::translate::End;
use weir_forward::wrap::{NOTHING_TOLD, Outer};
use weir_wire::bytes::{Be16, Be32};
use weir_wire::checksum::Delta;
use weir_wire::ethernet::Ethernet;
use weir_wire::gre::GRE;
use weir_wire::packet::{Header, Packet};
use weir_wire::transport::{Tcp, UDP, Udp};

use super::packet::{Frame, HEADERS, Way};
use crate::calls;
use crate::frame;
use crate::maps::PARTS_TC;
use crate::route::Lookup;
use crate::tables::{count_reason, has_local_clients};

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

impl<const SELDOM: bool> Hook for Frame<SELDOM> {
    type Verdict = i32;

    const TAGS: bool = true;
    const CHECKS: bool = true;
    const MAY_LEAVE: bool = false;

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
            // What the director sends itself and nobody wants is no packet of ours.
            Ok(action) if reason == Reason::NotOurs && self.departs() => action,
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
    fn is_made_here(&self) -> bool {
        self.departs()
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
        match self.follow(tables, lookup) {
            Route::Unreachable if direction == Direction::Reply && has_local_clients(tables) => {
                self.to_this_host(tables)
            }
            route => route,
        }
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
        let flags = if protocol == NOTHING_TOLD {
            FIXED_SIZE
        } else {
            FIXED_SIZE | network | transport
        };
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
    fn change_family(&mut self, family: u8, removed: usize, added: usize) -> Result<(), Refused> {
        // BPF_ADJ_ROOM_MAC; a segment's pieces stay as large as they are.
        const AFTER_LINK: u32 = 1;
        const FIXED_SIZE: u64 = 1;
        // What the kernel makes of one header the other's.
        let (ether_type, more) = if family == FAMILY_V6 {
            (0x86ddu16, 20)
        } else {
            (0x0800, -20)
        };
        let rest = added as i32 - removed as i32 - more;
        // SAFETY: the context is a live `__sk_buff`; pointers are taken anew after the calls.
        let changed = unsafe {
            bpf_skb_change_proto(self.skb, ether_type.to_be(), 0) == 0
                && (rest == 0 || bpf_skb_adjust_room(self.skb, rest, AFTER_LINK, FIXED_SIZE) == 0)
        };
        self.pull((Ethernet::LENGTH + added + Tcp::LENGTH) as u32);
        if changed { Ok(()) } else { Err(Refused) }
    }

    #[inline(always)]
    fn put<T: Header>(&mut self, offset: usize, header: &T) -> Result<(), Refused> {
        const RECOMPUTE_CHECKSUM: u64 = 1;
        // SAFETY: the context is a live `__sk_buff`, and the header so many bytes; pointers are taken anew after.
        let failed = unsafe {
            bpf_skb_store_bytes(
                self.skb,
                offset as u32,
                core::ptr::from_ref(header).cast(),
                size_of::<T>() as u32,
                RECOMPUTE_CHECKSUM,
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
    fn is_checksum_left_open(&mut self, offset: usize) -> bool {
        // As above: the kernel leaves such a checksum alone when what is not the pseudo header's changes.
        let Some(before) = self.header::<Be16>(offset).map(|field| field.raw()) else {
            return true;
        };
        // SAFETY: the context is a live `__sk_buff`; pointers are taken anew after the call.
        let refused = unsafe { bpf_l4_csum_replace(self.skb, offset as u32, 0, 1, 0) != 0 };
        match self.header_mut::<Be16>(offset) {
            Some(field) if !refused && field.raw() != before => {
                field.set_raw(before);
                false
            }
            Some(_) | None => true,
        }
    }

    #[inline(always)]
    fn save(&self, held: &Held, offset: usize, length: usize) -> Result<(), Refused> {
        let length = bounded(length as u32).ok_or(Refused)?;
        // SAFETY: the context is a live `__sk_buff`; the bytes are ours and no fewer than `length`.
        let saved = unsafe {
            bpf_skb_load_bytes(self.skb.cast(), offset as u32, held.bytes().cast(), length)
        };
        if saved == 0 { Ok(()) } else { Err(Refused) }
    }

    #[inline(always)]
    fn shorten(&mut self, length: usize) -> Result<(), Refused> {
        // SAFETY: the context is a live `__sk_buff`; pointers are taken anew after the calls.
        if unsafe { bpf_skb_change_tail(self.skb, length as u32, 0) } != 0 {
            return Err(Refused);
        }
        self.pull(HEADERS);
        Ok(())
    }

    #[inline(always)]
    fn restore(&mut self, held: &Held, offset: usize, length: usize) -> Result<(), Refused> {
        const RECOMPUTE_CHECKSUM: u64 = 1;
        // What the kernel takes for headers it does not let be cut off, even where none are any more: a shorter frame
        // is filled up, as short frames are.
        if self.shorten(offset + length).is_err() {
            if offset + length >= HEADERS as usize {
                return Err(Refused);
            }
            self.shorten(HEADERS as usize)?;
        }
        let length = bounded(length as u32).ok_or(Refused)?;
        // SAFETY: as above.
        let stored = unsafe {
            bpf_skb_store_bytes(
                self.skb.cast(),
                offset as u32,
                held.bytes().cast(),
                length,
                RECOMPUTE_CHECKSUM,
            )
        };
        if stored == 0 { Ok(()) } else { Err(Refused) }
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
    fn send_copy(&mut self) -> Result<(), Refused> {
        self.address_to_hop()?;
        // SAFETY: as above.
        match unsafe { bpf_clone_redirect(self.skb, self.interface, 0) } {
            0 => Ok(()),
            _refused => Err(Refused),
        }
    }

    #[inline(always)]
    fn sum(&self, offset: usize, length: usize) -> Result<Delta, Refused> {
        frame::sum(self, offset, length)
    }
}
