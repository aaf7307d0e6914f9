//! Cuts packets that are larger than the next link and may be fragmented, where the kernel cannot do it: by
//! direct routing the packet is for an address that the kernel does not forward to, and what is wrapped comes
//! from an address of its own. (IPVS leaves it to `ip_fragment`.)
//!
//! Where the next hop is known, the pieces leave at once (`known`). Else, and where the packet is a fragment
//! itself or longer than what can be held, it is cut in two, which come in once more as fragments: the last one
//! as large as fits, and what is before it, which is cut again where it is still too large. By a tunnel it is the
//! inner packet that is cut so.

mod known;

use weir_abi::NONE;
use weir_abi::fragment::{Decided, HELD_BYTES};
use weir_abi::handover::Handover;
use weir_abi::keys::{Direction, FlowValue};
use weir_abi::reason::Reason;
use weir_abi::settings::Settings;
use weir_wire::ethernet::Ethernet;
use weir_wire::ipv4::Ipv4;
use weir_wire::transport::{TCP, Tcp, UDP, Udp};

use crate::connection;
use crate::family::{Flow, Record, V4};
use crate::fragment::remember;
use crate::hook::{Hook, Refused};
use crate::job::Job;
use crate::length::end_at_once;
use crate::parse::Segment;
use crate::part::Part;
use crate::tables::Tables;
use crate::waiting;

/// Where fragments are cut: at multiples of eight bytes (RFC 791).
const UNIT: usize = 8;

/// Hands a packet over to be cut: what fits the way, the slot of the real server that it has been counted
/// for, or [`NONE`], and that of its connection.
#[inline(always)]
pub(crate) fn hand_over<T: Tables>(tables: &T, room: u16, counted: u32, connection: u32) {
    if let Some(handover) = tables.handover() {
        handover.room.store(room.into());
        handover.counted.store(counted);
        handover.only.store(NONE);
        handover.connection.store(connection);
    }
}

/// Hands over with it the slot of the connection that has but this packet.
#[inline(always)]
pub(crate) fn hand_over_only<T: Tables>(tables: &T, only: u32) {
    if let Some(handover) = tables.handover() {
        handover.only.store(only);
    }
}

/// Cuts one packet of IPv4.
#[inline(always)]
pub fn cut<H: Hook, T: Tables>(hook: &mut H, tables: &T) -> H::Verdict {
    let (Some(settings), Some(handover)) = (tables.settings(), tables.handover()) else {
        return hook.conclude(Reason::NotFragmented);
    };
    match known::in_pieces(hook, tables, settings, handover) {
        Some(Ok(())) => {
            if handover.only.load() != NONE {
                end_at_once::<V4, T>(tables, handover.only.load());
            }
            return hook.conclude(Reason::Request);
        }
        Some(Err(Refused)) => return hook.conclude(Reason::NotFragmented),
        None => {}
    }
    let reason = match in_two(hook, tables, settings, handover) {
        Ok(()) => Reason::Cut,
        Err(Refused) => Reason::NotFragmented,
    };
    hook.conclude(reason)
}

/// Where a packet is cut.
#[derive(Clone, Copy)]
struct Place {
    /// Where its payload begins in the frame.
    payload: usize,
    /// How much of that is before the cut, and how much after.
    before: usize,
    after: usize,
    /// Where in a larger packet it begins, and whether others come after it, if it is a fragment itself.
    offset: u16,
    is_followed: bool,
}

#[inline(always)]
fn in_two<H: Hook, T: Tables>(
    hook: &mut H,
    tables: &T,
    settings: &Settings,
    handover: &Handover,
) -> Result<(), Refused> {
    if handover.only.load() != NONE {
        of_one_packet(hook, tables, settings, handover.only.load())?;
    }
    let room = handover.room.load() as usize;
    let place = place::<H>(hook, room)?;
    if is_unfinished(hook) {
        return Err(Refused);
    }
    let taken = waiting::take(tables, settings).ok_or(Refused)?;
    let held = taken.held();
    let cut = hook
        .save(held, place.payload + place.before, place.after)
        .and_then(|()| send_first(hook, place))
        .and_then(|()| hook.restore(held, place.payload, place.after))
        .and_then(|()| send_last(hook, place));
    taken.free(settings);
    cut?;
    let counted = handover.counted.load();
    let payload = (place.before + place.after) as u64;
    let header = (place.payload - Ethernet::LENGTH) as u64;
    if place.offset == 0 {
        take_back(tables, counted, 1, header + payload);
    } else {
        take_back(tables, counted, 0, payload);
    }
    Ok(())
}

/// Takes back what has been counted of the packet: its pieces are counted when they come.
#[inline(always)]
fn take_back<T: Tables>(tables: &T, counted: u32, packets: u64, bytes: u64) {
    if counted == NONE {
        return;
    }
    tables.count(counted, |counters| {
        counters.in_packets = counters.in_packets.wrapping_sub(packets);
        counters.in_bytes = counters.in_bytes.wrapping_sub(bytes);
    });
}

/// Goes on where packets are cut. A hook that cannot cut leaves the packet to one that can, and that counts it.
#[inline(always)]
pub(crate) fn go_on<H: Hook, T: Tables>(hook: &mut H, tables: &T) -> H::Verdict {
    if H::MAY_LEAVE
        && let Some(handover) = tables.handover()
        && let Some(header) = hook.header::<Ipv4>(Ethernet::LENGTH)
    {
        let length = header.total_length() as u64;
        take_back(tables, handover.counted.load(), 1, length);
    }
    hook.go_on(tables, Part::Cut)
}

/// Where to cut so that the last piece fits the way, and all others as large as it may be.
#[inline(always)]
fn place<H: Hook>(hook: &H, room: usize) -> Result<Place, Refused> {
    let header = hook.header::<Ipv4>(Ethernet::LENGTH).ok_or(Refused)?;
    let (length, own) = (header.total_length() as usize, header.header_length());
    let (offset, is_followed) = (header.fragment_offset(), header.more_fragments());
    if header.version() != 4
        || own < Ipv4::LENGTH
        || length < own
        || room < own + UNIT
        || header.do_not_fragment()
        || hook.piece_length() != 0
        || !hook.holds(Ethernet::LENGTH + length)
    {
        return Err(Refused);
    }
    const MOST: usize = HELD_BYTES - UNIT;
    let fits = (room - own) / UNIT * UNIT;
    let size = if fits < MOST { fits } else { MOST };
    let payload = length - own;
    if payload <= size {
        return Err(Refused);
    }
    let before = (payload - 1).checked_div(size).ok_or(Refused)? * size;
    Ok(Place {
        payload: Ethernet::LENGTH + own,
        before,
        after: payload - before,
        offset,
        is_followed,
    })
}

/// Whether a network card was to complete the packet's checksum: of its pieces none could.
#[inline(always)]
fn is_unfinished<H: Hook>(hook: &mut H) -> bool {
    let Some(header) = hook.header::<Ipv4>(Ethernet::LENGTH) else {
        return true;
    };
    if header.is_fragment() {
        return false;
    }
    let payload = Ethernet::LENGTH + header.header_length();
    match header.protocol() {
        TCP => hook.is_checksum_left_open(payload + Tcp::CHECKSUM),
        UDP => hook.is_checksum_left_open(payload + Udp::CHECKSUM),
        _other => false,
    }
}

/// Lets what is before the cut go round.
#[inline(always)]
fn send_first<H: Hook>(hook: &mut H, place: Place) -> Result<(), Refused> {
    hook.shorten(place.payload + place.before)?;
    let header = hook.header_mut::<Ipv4>(Ethernet::LENGTH).ok_or(Refused)?;
    let length = place.payload - Ethernet::LENGTH + place.before;
    header.become_fragment(length as u16, place.offset, true);
    hook.go_round()
}

/// Lets what is after the cut go round.
#[inline(always)]
fn send_last<H: Hook>(hook: &mut H, place: Place) -> Result<(), Refused> {
    let header = hook.header_mut::<Ipv4>(Ethernet::LENGTH).ok_or(Refused)?;
    let offset = place.offset + (place.before / UNIT) as u16;
    let length = place.payload - Ethernet::LENGTH + place.after;
    header.become_fragment(length as u16, offset, place.is_followed);
    hook.go_round()
}

/// Remembers the connection of one packet (`-o`) that the packet has begun: nobody finds such otherwise.
#[cfg_attr(target_arch = "bpf", inline(never))]
fn of_one_packet<H: Hook, T: Tables>(
    hook: &mut H,
    tables: &T,
    settings: &Settings,
    slot: u32,
) -> Result<(), Refused> {
    let found = connection::get::<V4, T>(tables, slot).ok_or(Refused)?;
    let endpoints = found.record.endpoints().load();
    let mut job = Job::<V4, H, T>::new(hook, tables, settings, Segment::default());
    job.segment.flow = Flow::of(&endpoints, Direction::Request);
    job.segment.network = Ethernet::LENGTH as u16;
    let flow = FlowValue::new(slot, Direction::Request);
    remember(&job, Decided::Connection(flow, found.word.generation()));
    Ok(())
}
