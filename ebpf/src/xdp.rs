//! The XDP program: the fast hook.

use aya_ebpf::bindings::xdp_action::{XDP_DROP, XDP_PASS, XDP_REDIRECT};
use aya_ebpf::bindings::xdp_md;
use aya_ebpf::helpers::{
    bpf_redirect, bpf_xdp_adjust_head, bpf_xdp_adjust_tail, bpf_xdp_get_buff_len,
};
use aya_ebpf::macros::xdp;
use aya_ebpf::programs::XdpContext;
use weir_abi::fragment::Held;
use weir_abi::keys::Direction;
use weir_abi::reason::{Outcome, Reason};
use weir_abi::settings::{INTERFACE_XDP_TRANSMIT, Link};
use weir_forward::family::Family;
use weir_forward::hook::{Hook, Refused, Route, Turn};
use weir_forward::parse::{Portion, Segment, Transport};
use weir_forward::part::{self, Part};
use weir_forward::process::process;
use weir_forward::tables::Tables;
use weir_forward::translate::{End, correct_in_place};
use weir_forward::wrap::Outer;
use weir_wire::checksum::Delta;
use weir_wire::ethernet::Ethernet;
use weir_wire::packet::{Header, Packet};
use weir_wire::transport::{Tcp, Udp};

use crate::calls;
use crate::frame;
use crate::maps::PARTS_XDP;
use crate::route::{Answer, Lookup};
use crate::tables::{Maps, count_reason, has_local_clients};

/// A frame at the XDP hook.
struct Frame {
    context: *mut xdp_md,
    /// Where it goes, once routing has said so or a connection remembers.
    interface: u32,
    source: Link,
    hop: Link,
    /// As wide as makes the whole a multiple of eight bytes: the rest would be cleared byte by byte.
    mtu: u32,
}

#[xdp(frags)]
pub fn weir_xdp(context: XdpContext) -> u32 {
    process(&mut Frame::new(&context), &Maps)
}

#[xdp(frags)]
pub fn weir_xdp_length4(context: XdpContext) -> u32 {
    part::run(&mut Frame::new(&context), &Maps, Part::Length4)
}

#[xdp(frags)]
pub fn weir_xdp_length6(context: XdpContext) -> u32 {
    part::run(&mut Frame::new(&context), &Maps, Part::Length6)
}

impl Frame {
    #[inline(always)]
    fn new(context: &XdpContext) -> Self {
        Self {
            context: context.ctx,
            interface: 0,
            source: Link(0),
            hop: Link(0),
            mtu: 0,
        }
    }

    #[inline(always)]
    fn data(&self) -> usize {
        // SAFETY: the context is a live `xdp_md`.
        unsafe { (*self.context).data as usize }
    }

    #[inline(always)]
    fn data_end(&self) -> usize {
        // SAFETY: the context is a live `xdp_md`.
        unsafe { (*self.context).data_end as usize }
    }

    #[inline(always)]
    fn follow<T: Tables>(&mut self, tables: &T, mut lookup: Lookup) -> Route {
        match lookup.ask(self.context.cast()) {
            Answer::Found => {}
            Answer::NoNeighbour => return Route::NoNeighbour,
            Answer::TooBig => return Route::TooBig(lookup.length),
            Answer::ForwardingDisabled => return Route::ForwardingDisabled,
            // It may be the kernel's to deliver: TC decides.
            Answer::Unreachable => return Route::NotTransmittable,
        }
        let slot = tables.interface_slot(lookup.interface);
        match slot.and_then(|slot| lookup.hop(slot)) {
            Some((hop, mtu)) if self.recall(tables, hop) => {
                self.mtu = mtu.into();
                Route::Known
            }
            Some(_) | None => Route::NotTransmittable,
        }
    }

    #[inline(always)]
    fn send(&mut self) -> Result<u32, Refused> {
        let (source, hop) = (self.source, self.hop);
        let link = self.header_mut::<Ethernet>(0).ok_or(Refused)?;
        link.set_addresses(hop.0, source.0);
        redirect(self.interface)
    }
}

/// Sends the frame out of an interface, also of the one that it came in by: after `XDP_TX` a veth
/// wakes its peer only if that has an XDP program of its own (`veth_xdp_flush`, up to Linux 6.18).
#[inline(always)]
fn redirect(interface: u32) -> Result<u32, Refused> {
    // SAFETY: a helper without memory arguments.
    let action = unsafe { bpf_redirect(interface, 0) };
    if action as u32 == XDP_REDIRECT {
        Ok(XDP_REDIRECT)
    } else {
        Err(Refused)
    }
}

impl Packet for Frame {
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
    fn holds(&self, length: usize) -> bool {
        if length <= self.data_end() - self.data() {
            return true;
        }
        // SAFETY: the context is a live `xdp_md`.
        length as u64 <= unsafe { bpf_xdp_get_buff_len(self.context) }
    }
}

impl Hook for Frame {
    type Verdict = u32;

    // Tags may have to be pushed or popped for the next link, which skbs can and frames cannot.
    const TAGS: bool = false;
    // TC's: the kernel's stack is to have them in any case.
    const CHECKS: bool = false;
    const MAY_LEAVE: bool = true;

    #[inline(always)]
    fn conclude(&mut self, reason: Reason) -> u32 {
        let sent = match reason.outcome() {
            Outcome::Passed => {
                if !reason.is_final_in_xdp() {
                    return XDP_PASS;
                }
                Ok(XDP_PASS)
            }
            Outcome::Dropped | Outcome::Held => Ok(XDP_DROP),
            Outcome::Answered => redirect(self.ingress()),
            Outcome::Forwarded => self.send(),
        };
        match sent {
            Ok(action) => {
                count_reason(reason);
                action
            }
            Err(Refused) => {
                count_reason(Reason::KernelRefused);
                XDP_DROP
            }
        }
    }

    #[inline(always)]
    fn go_on<T: Tables>(&mut self, _tables: &T, part: Part) -> u32 {
        match part {
            Part::Length4 | Part::Length6 => {
                // SAFETY: the context is the one that this program was given.
                unsafe { PARTS_XDP.tail_call(&XdpContext::new(self.context), part as u32) };
                self.conclude(Reason::PartMissing)
            }
            // TC's, which meets the packet again.
            Part::Related
            | Part::Fragment
            | Part::Application4
            | Part::Application6
            | Part::Seldom4
            | Part::Seldom6
            | Part::Carry4
            | Part::Carry6
            | Part::CarryLocal4
            | Part::CarryLocal6
            | Part::FragmentSeldom
            | Part::CarrySeldom4
            | Part::CarrySeldom6
            | Part::CarryLocalSeldom4
            | Part::CarryLocalSeldom6
            | Part::Tunnelled
            | Part::Tunnelled6
            | Part::Cross4
            | Part::Cross6
            | Part::CrossError4
            | Part::CrossError6
            | Part::Check
            | Part::Call4
            | Part::Call6
            | Part::Stray
            | Part::Adopt
            | Part::Cut => XDP_PASS,
        }
    }

    #[inline(always)]
    fn mark(&self) -> u32 {
        0
    }

    #[inline(always)]
    fn ingress(&self) -> u32 {
        // SAFETY: the context is a live `xdp_md`.
        unsafe { (*self.context).ingress_ifindex }
    }

    #[inline(always)]
    fn transport<A>(&self, segment: &Segment<A>) -> Transport {
        segment.usual_transport()
    }

    #[inline(always)]
    fn station<T: Tables>(&self, tables: &T) -> Option<Link> {
        Some(Link(tables.interface_at(self.ingress())?.link.load()))
    }

    #[inline(always)]
    fn is_other_station(&self) -> bool {
        false
    }

    #[inline(always)]
    fn network_length(&self, parsed: usize, _network_offset: usize) -> u64 {
        parsed as u64
    }

    #[inline(always)]
    fn route<F: Family, T: Tables>(
        &mut self,
        tables: &T,
        segment: &Segment<F::Address>,
        direction: Direction,
        end: End<F::Address>,
    ) -> Route {
        let lookup = Lookup::new::<F>(segment, direction, end, self.ingress(), segment.length);
        match self.follow(tables, lookup) {
            // TC may find that the client is the director itself.
            Route::Unreachable if direction == Direction::Reply && has_local_clients(tables) => {
                Route::NotTransmittable
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
        let length = segment.length.saturating_add(outer.overhead);
        let lookup = Lookup::outer(outer, self.ingress(), length);
        self.follow(tables, lookup)
    }

    #[inline(always)]
    fn encapsulate(&mut self, room: usize, _family: u8, _protocol: u8) -> Result<(), Refused> {
        let link = *self.header::<Ethernet>(0).ok_or(Refused)?;
        // SAFETY: the context is a live `xdp_md`; pointers into the packet are taken anew after.
        if unsafe { bpf_xdp_adjust_head(self.context, -(room as i32)) } != 0 {
            return Err(Refused);
        }
        *self.header_mut::<Ethernet>(0).ok_or(Refused)? = link;
        Ok(())
    }

    #[inline(always)]
    fn learnt(&self) -> Option<(Link, u16)> {
        Some((self.hop, self.mtu as u16))
    }

    #[inline(always)]
    fn recall<T: Tables>(&mut self, tables: &T, hop: Link) -> bool {
        let Some(record) = tables.interface(hop.beside().into()) else {
            return false;
        };
        self.source = Link(record.link.load());
        self.interface = record.index.load();
        self.hop = hop;
        self.source.beside() & INTERFACE_XDP_TRANSMIT != 0
    }

    #[inline(always)]
    fn fits<A>(&self, segment: &Segment<A>, mtu: u16) -> bool {
        segment.length <= mtu
    }

    #[inline(always)]
    fn correct_checksum(
        &mut self,
        offset: usize,
        addresses: Delta,
        ports: Delta,
        udp: bool,
    ) -> Result<(), Refused> {
        correct_in_place(self, offset, addresses.and(ports), udp)
    }

    #[inline(always)]
    fn put_port(
        &mut self,
        offset: usize,
        direction: Direction,
        (old, new): (u16, u16),
        addresses: Delta,
        udp: bool,
    ) -> Result<(), Refused> {
        // The whole header, which parsing has seen, at once.
        let delta = addresses.and(Delta::ZERO.replace16(old, new));
        let is_request = direction == Direction::Request;
        if udp {
            let header = self.header_mut::<Udp>(offset).ok_or(Refused)?;
            header.ports.set_translated(is_request, new);
            header.correct_checksum(delta);
        } else {
            let header = self.header_mut::<Tcp>(offset).ok_or(Refused)?;
            header.ports.set_translated(is_request, new);
            header.correct_checksum(delta);
        }
        Ok(())
    }

    #[inline(always)]
    fn portion<A>(&self, _segment: &Segment<A>) -> Portion {
        // Fragments are TC's.
        Portion::Whole
    }

    #[inline(always)]
    fn tell_of_change(&mut self, _delta: Delta) {}

    #[inline(always)]
    fn put_byte(&mut self, offset: usize, byte: u8) -> Result<(), Refused> {
        *self.header_mut::<[u8; 1]>(offset).ok_or(Refused)? = [byte];
        Ok(())
    }

    #[inline(always)]
    fn change_family(
        &mut self,
        _family: u8,
        _removed: usize,
        _added: usize,
    ) -> Result<(), Refused> {
        // The parts that do it are TC's.
        Err(Refused)
    }

    #[inline(always)]
    fn put<T: Header>(&mut self, offset: usize, header: &T) -> Result<(), Refused> {
        // SAFETY: a header is bytes only, which both are.
        unsafe {
            core::ptr::write(
                self.header_mut::<T>(offset).ok_or(Refused)?,
                core::ptr::read(header),
            )
        };
        Ok(())
    }

    #[inline(always)]
    fn resize(&mut self, _length: usize) -> Result<(), Refused> {
        // The parts that do it are TC's.
        Err(Refused)
    }

    #[inline(always)]
    fn piece_length(&self) -> usize {
        0
    }

    #[inline(always)]
    fn turns<S: Turn<Self>>(&mut self, turns: u32, turn: &mut S) {
        frame::turns(self, turns, turn);
    }

    #[inline(always)]
    fn is_sum_left_open(&mut self, _offset: usize) -> bool {
        // Frames do not say it.
        true
    }

    #[inline(always)]
    fn is_checksum_left_open(&mut self, _offset: usize) -> bool {
        // Frames do not say it.
        true
    }

    #[inline(always)]
    fn save(&self, _held: &Held, _offset: usize, _length: usize) -> Result<(), Refused> {
        // TC's.
        Err(Refused)
    }

    #[inline(always)]
    fn shorten(&mut self, _length: usize) -> Result<(), Refused> {
        Err(Refused)
    }

    #[inline(always)]
    fn restore(&mut self, _held: &Held, _offset: usize, _length: usize) -> Result<(), Refused> {
        Err(Refused)
    }

    #[inline(always)]
    fn crc_change(&self, first: u32, length: u16) -> u32 {
        calls::crc_change(first, length)
    }

    #[inline(always)]
    fn reshape(&mut self, keep: usize, room: usize) -> Result<(), Refused> {
        // SAFETY: the context is a live `xdp_md`.
        let length = unsafe { bpf_xdp_get_buff_len(self.context) } as i32;
        let surplus = keep as i32 - length;
        // SAFETY: as above; the pointers into the packet are taken anew after each call.
        unsafe {
            if surplus < 0 && bpf_xdp_adjust_tail(self.context, surplus) != 0 {
                return Err(Refused);
            }
            if bpf_xdp_adjust_head(self.context, -(room as i32)) != 0 {
                return Err(Refused);
            }
        }
        Ok(())
    }

    // Fragments are left to TC.
    #[inline(always)]
    fn strip(&mut self, _keep: usize, _surplus: usize) -> Result<(), Refused> {
        // TC's work.
        Err(Refused)
    }

    #[inline(always)]
    fn keep(&self, _held: &Held) -> Result<(), Refused> {
        Err(Refused)
    }

    #[inline(always)]
    fn become_held(&mut self, _held: &Held) -> Result<(), Refused> {
        Err(Refused)
    }

    #[inline(always)]
    fn go_round(&mut self) -> Result<(), Refused> {
        Err(Refused)
    }

    #[inline(always)]
    fn send_copy(&mut self) -> Result<(), Refused> {
        Err(Refused)
    }

    #[inline(always)]
    fn sum(&self, offset: usize, length: usize) -> Result<Delta, Refused> {
        frame::sum(self, offset, length)
    }
}
