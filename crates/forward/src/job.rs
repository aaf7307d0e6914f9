//! A packet on its way through the decision, and what is done with it on every way.

use weir_abi::counters::Counters;
use weir_abi::keys::{Direction, FAMILY_V6};
use weir_abi::reason::{Outcome, Reason};
use weir_abi::service::{AVAILABLE, Destination};
use weir_abi::settings::Settings;
use weir_abi::tick::Tick;
use weir_wire::ipv6::FragmentHeader;

use crate::connection::{self, Found};
use crate::family::Family;
use crate::hook::{Hook, Refused};
use crate::parse::{Portion, Segment, Transport};
use crate::tables::Tables;
use crate::translate::{End, Hop, Translate, translate};

/// A packet on its way through the decision.
///
/// The BPF machine hands a called function five registers and takes one back: so what belongs to a
/// packet travels in one place, and a decision is a [`Reason`], whose
/// [outcome](Reason::outcome) says what to do.
pub(crate) struct Job<'a, F: Translate, H: Hook, T: Tables> {
    pub(crate) hook: &'a mut H,
    pub(crate) tables: &'a T,
    pub(crate) settings: &'a Settings,
    pub(crate) segment: Segment<F::Address>,
    pub(crate) now: Tick,
    /// What the next link takes, where that is too little.
    pub(crate) mtu: u16,
}

/// Counts a packet of a connection.
#[inline(always)]
pub(crate) fn count<F: Translate, H: Hook, T: Tables>(
    job: &Job<'_, F, H, T>,
    found: &Found<'_, F>,
    direction: Direction,
) {
    let segment = &job.segment;
    let length = job
        .hook
        .network_length(segment.length as usize, segment.network as usize);
    let (packets, length) = reassembled::<F>(segment, length);
    job.tables.count(
        found.destination,
        |counters: &mut Counters| match direction {
            Direction::Request => {
                counters.in_packets += packets;
                counters.in_bytes += length;
            }
            Direction::Reply => {
                counters.out_packets += packets;
                counters.out_bytes += length;
            }
        },
    );
}

/// What a fragment adds to the packet that IPVS counts, which is the reassembled one: the later ones
/// their payload.
#[inline(always)]
fn reassembled<F: Family>(segment: &Segment<F::Address>, length: u64) -> (u64, u64) {
    let is_v6 = F::NUMBER == FAMILY_V6;
    match segment.portion() {
        Portion::Whole => (1, length),
        Portion::First | Portion::Headless if is_v6 => (1, length - FragmentHeader::LENGTH as u64),
        Portion::First | Portion::Headless => (1, length),
        Portion::Later => (0, length - (segment.payload - segment.network) as u64),
    }
}

#[inline(always)]
pub(crate) fn advance<F: Translate, H: Hook, T: Tables>(
    job: &Job<'_, F, H, T>,
    found: &Found<'_, F>,
    transport: Transport,
    direction: Direction,
) {
    // The first fragment has done it for the packet.
    if job.segment.portion() == Portion::Later {
        return;
    }
    connection::advance::<F, T>(
        job.tables,
        job.settings,
        found,
        transport,
        direction,
        job.now,
    );
}

/// Whether a real server is in its service's list.
#[inline(always)]
pub(crate) fn is_available(destination: Option<&Destination>) -> bool {
    match destination {
        Some(destination) => destination.flags.load() & AVAILABLE != 0,
        None => false,
    }
}

/// Translates the packet, for that reason.
#[inline(always)]
pub(crate) fn send<F: Translate, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    transport: Transport,
    end: End<F::Address>,
    delta: u16,
    direction: Direction,
    reason: Reason,
) -> Result<(), Refused> {
    let hop = match reason.outcome() {
        Outcome::Passed => Hop::Left,
        Outcome::Forwarded | Outcome::Answered | Outcome::Dropped => Hop::Taken,
    };
    translate::<F, H>(
        job.hook,
        &job.segment,
        transport,
        end,
        delta,
        direction,
        hop,
    )
}
