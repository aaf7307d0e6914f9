//! Cuts a packet whose next hop is known: its pieces leave at once, as the kernel's `ip_fragment` and
//! `ip6_fragment` would send them. Of a tunnel it is the outer packet that is cut.

use core::ops::ControlFlow;

use weir_abi::fragment::{HELD_BYTES, Held};
use weir_abi::handover::Handover;
use weir_abi::keys::{Direction, FAMILY_V6};
use weir_abi::service::{Destination, FORWARD_TUNNEL};
use weir_abi::settings::Settings;
use weir_wire::ethernet::Ethernet;
use weir_wire::ipv4::Ipv4;
use weir_wire::ipv6::{FragmentHeader, Ipv6};

use super::{UNIT, is_unfinished};
use crate::connection;
use crate::family::{Family, Record, V4};
use crate::hook::{Hook, Refused, Route, Turn};
use crate::parse::{Parsed, Portion, Segment, parse_seldom4};
use crate::tables::Tables;
use crate::translate::{End, Translate};
use crate::waiting;
use crate::wrap::{Outer, wrap_to_cut};

/// No packet that is taken has more pieces.
const PIECES: u32 = 64;
/// The longest that is put before a packet to wrap it.
const LONGEST_WRAPPING: usize = 64;

/// Sends all pieces but the last, which the packet becomes; nothing where that is for the other way: of a packet
/// that is a fragment itself, or too long, or whose next hop is not known.
#[inline(always)]
pub(super) fn in_pieces<H: Hook, T: Tables>(
    hook: &mut H,
    tables: &T,
    settings: &Settings,
    handover: &Handover,
) -> Option<Result<(), Refused>> {
    let found = connection::get::<V4, T>(tables, handover.connection.load())?;
    let server = found.destination;
    let destination = tables.destination(server)?;
    let is_wrapped = found.record.endpoints().load().forwarding == FORWARD_TUNNEL;
    let mut segment = Segment::default();
    if !read(hook, &mut segment) {
        return None;
    }
    let room = room(hook, tables, &segment, destination, is_wrapped)?;
    let taken = waiting::take(tables, settings)?;
    let made = if is_wrapped {
        wrap_to_cut::<V4, H, T>(hook, tables, &segment, server)
    } else {
        V4::take_hop(hook, Ethernet::LENGTH).ok_or(Refused)
    };
    let is_v6 = is_wrapped && destination.address.load().family == FAMILY_V6;
    let number = tables.identification();
    let sent = made.and_then(|()| send(hook, taken.held(), room, is_v6.then_some(number)));
    taken.free(settings);
    Some(sent)
}

/// Reads the packet; whether it can be cut here.
#[cfg_attr(target_arch = "bpf", inline(never))]
fn read<H: Hook>(hook: &mut H, segment: &mut Segment<[u32; 1]>) -> bool {
    match parse_seldom4(hook, H::TAGS) {
        Parsed::V4(found) => *segment = found,
        Parsed::V6(_) | Parsed::Pass(_) | Parsed::Seldom4 | Parsed::Seldom6 => return false,
    }
    // Options would not all have to be in every fragment.
    segment.portion() == Portion::Whole
        && segment.network as usize == Ethernet::LENGTH
        && hook
            .header::<Ipv4>(Ethernet::LENGTH)
            .map(Ipv4::header_length)
            == Some(Ipv4::LENGTH)
        && segment.length as usize + LONGEST_WRAPPING <= HELD_BYTES
        && hook.piece_length() == 0
        && !is_unfinished(hook)
}

/// Goes by the way to the real server, whose next hop must be known; how much a fragment may carry there.
#[inline(always)]
fn room<H: Hook, T: Tables>(
    hook: &mut H,
    tables: &T,
    segment: &Segment<[u32; 1]>,
    destination: &Destination,
    is_wrapped: bool,
) -> Option<u16> {
    // What is asked about fits any link.
    let mut small = *segment;
    small.length = Ipv4::LENGTH as u16;
    let address = destination.address.load();
    let (route, headers) = if is_wrapped {
        let outer = Outer::of::<V4>(destination);
        let headers = if outer.family == FAMILY_V6 {
            Ipv6::LENGTH + FragmentHeader::LENGTH
        } else {
            Ipv4::LENGTH
        };
        (hook.route_outer::<V4, T>(tables, &small, &outer), headers)
    } else {
        let end = End {
            address: V4::narrow(address.address),
            port: segment.flow.destination_port,
        };
        let route = hook.route::<V4, T>(tables, &small, Direction::Request, end);
        (route, Ipv4::LENGTH)
    };
    if route != Route::Known {
        return None;
    }
    let (link, mtu) = hook.learnt()?;
    let room = mtu.saturating_sub(headers as u16) / UNIT as u16 * UNIT as u16;
    (room != 0 && hook.recall(tables, link)).then_some(room)
}

/// Sends the pieces of the packet; `v6` is what they have in common if they are to be of IPv6.
#[inline(always)]
fn send<H: Hook>(hook: &mut H, held: &Held, room: u16, v6: Option<u16>) -> Result<(), Refused> {
    let (header, length) = match v6 {
        Some(number) => {
            let at = Ethernet::LENGTH + Ipv6::LENGTH;
            (
                at + FragmentHeader::LENGTH,
                make_room(hook, held, at, number)?,
            )
        }
        None => {
            let packet = hook.header::<Ipv4>(Ethernet::LENGTH).ok_or(Refused)?;
            let length = packet.total_length().checked_sub(Ipv4::LENGTH as u16);
            (Ethernet::LENGTH + Ipv4::LENGTH, length.ok_or(Refused)?)
        }
    };
    let mut cutting = Cutting {
        held,
        payload: header,
        length: length as usize,
        room: room as usize,
        is_done: false,
    };
    hook.turns(PIECES, &mut cutting);
    if cutting.is_done {
        Ok(())
    } else {
        Err(Refused)
    }
}

/// Puts a fragment header behind IPv6's, which ends there; says how much follows it.
#[inline(always)]
fn make_room<H: Hook>(hook: &mut H, held: &Held, at: usize, number: u16) -> Result<u16, Refused> {
    let header = hook.header::<Ipv6>(Ethernet::LENGTH).ok_or(Refused)?;
    let (length, next) = (header.payload_length(), header.next_header());
    hook.save(held, at, length as usize)?;
    hook.restore(held, at + FragmentHeader::LENGTH, length as usize)?;
    let header = hook.header_mut::<Ipv6>(Ethernet::LENGTH).ok_or(Refused)?;
    header.lead_to_fragment();
    let place = hook.header_mut::<FragmentHeader>(at).ok_or(Refused)?;
    *place = FragmentHeader::new(next, number.into());
    Ok(length)
}

/// What is left of a packet is cut at the front, turn by turn.
struct Cutting<'a> {
    held: &'a Held,
    /// Where the payload begins in the frame, behind all headers that every fragment has.
    payload: usize,
    /// How long it is in the whole packet.
    length: usize,
    /// How much a fragment carries at most.
    room: usize,
    is_done: bool,
}

impl<H: Hook> Turn<H> for Cutting<'_> {
    #[inline(always)]
    fn turn(&mut self, hook: &mut H, index: u32) -> ControlFlow<()> {
        let begin = index as usize * self.room;
        if begin >= self.length {
            return ControlFlow::Break(());
        }
        let rest = self.length - begin;
        if rest <= self.room {
            self.is_done = self.become_fragment(hook, begin, rest, false).is_ok();
            return ControlFlow::Break(());
        }
        match self.send_front(hook, begin, rest - self.room) {
            Ok(()) => ControlFlow::Continue(()),
            Err(Refused) => ControlFlow::Break(()),
        }
    }
}

impl Cutting<'_> {
    /// Sends as much as fits, and keeps what is after it.
    #[inline(always)]
    fn send_front<H: Hook>(&self, hook: &mut H, begin: usize, after: usize) -> Result<(), Refused> {
        let front = self.payload + self.room;
        hook.save(self.held, front, after)?;
        hook.shorten(front)?;
        self.become_fragment(hook, begin, self.room, true)?;
        hook.send_copy()?;
        hook.restore(self.held, self.payload, after)
    }

    /// Says in the headers that the frame is that fragment.
    #[inline(always)]
    fn become_fragment<H: Hook>(
        &self,
        hook: &mut H,
        begin: usize,
        length: usize,
        is_followed: bool,
    ) -> Result<(), Refused> {
        let offset = (begin / UNIT) as u16;
        if self.payload == Ethernet::LENGTH + Ipv4::LENGTH {
            let header = hook.header_mut::<Ipv4>(Ethernet::LENGTH).ok_or(Refused)?;
            header.become_fragment((Ipv4::LENGTH + length) as u16, offset, is_followed);
            return Ok(());
        }
        let header = hook.header_mut::<Ipv6>(Ethernet::LENGTH).ok_or(Refused)?;
        header.set_payload_length((FragmentHeader::LENGTH + length) as u16);
        let at = Ethernet::LENGTH + Ipv6::LENGTH;
        let header = hook.header_mut::<FragmentHeader>(at).ok_or(Refused)?;
        header.set_place(offset, is_followed);
        Ok(())
    }
}
