//! A packet on its way through the decision, and what is done with it on every way.

use weir_abi::NONE;
use weir_abi::counters::Counters;
use weir_abi::keys::{Direction, FAMILY_V6};
use weir_abi::reason::{Outcome, Reason};
use weir_abi::service::{
    AVAILABLE, Destination, FORWARD_BYPASS, FORWARD_DIRECT, FORWARD_FULL_NAT, FORWARD_LOCAL,
    FORWARD_NAT, FORWARD_TUNNEL,
};
use weir_abi::settings::{Settings, USE_SYNC_BACKUP};
use weir_abi::sysctl::Sysctl;
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
    /// The slot of the real server that it is to be wrapped for, or [`weir_abi::NONE`].
    pub(crate) to_wrap: u32,
    /// Whether its other end is to be translated too.
    pub(crate) has_local: bool,
    /// The slot of the real server that an error sent instead of the packet counts for, or
    /// [`weir_abi::NONE`].
    pub(crate) error_counts: u32,
}

impl<'a, F: Translate, H: Hook, T: Tables> Job<'a, F, H, T> {
    /// A packet about which nothing is decided.
    #[inline(always)]
    pub(crate) fn new(
        hook: &'a mut H,
        tables: &'a T,
        settings: &'a Settings,
        segment: Segment<F::Address>,
    ) -> Self {
        Self {
            hook,
            tables,
            settings,
            segment,
            now: Tick(settings.now.load()),
            mtu: 0,
            to_wrap: NONE,
            has_local: false,
            error_counts: NONE,
        }
    }

    /// Whether something is still to be done to the packet once it has been translated.
    #[inline(always)]
    pub(crate) fn is_unfinished(&self) -> bool {
        self.to_wrap != NONE || self.has_local
    }

    /// The packet's transport.
    #[inline(always)]
    pub(crate) fn transport(&self) -> Transport {
        self.hook.transport(&self.segment)
    }
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
    let (packets, length) = reassembled::<F>(segment, job.hook.portion(segment), length);
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
fn reassembled<F: Family>(
    segment: &Segment<F::Address>,
    portion: Portion,
    length: u64,
) -> (u64, u64) {
    let is_v6 = F::NUMBER == FAMILY_V6;
    match portion {
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
    if job.hook.portion(&job.segment) == Portion::Later {
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

/// Whether the director forwards nothing but replies: it is the backup of a sync master, and `backup_only` is
/// set.
#[inline(always)]
pub(crate) fn is_backup_only(settings: &Settings) -> bool {
    settings.uses(USE_SYNC_BACKUP) && settings.sysctl(Sysctl::BackupOnly).load() != 0
}

/// Whether a real server is in its service's list.
#[inline(always)]
pub(crate) fn is_available(destination: Option<&Destination>) -> bool {
    match destination {
        Some(destination) => destination.flags.load() & AVAILABLE != 0,
        None => false,
    }
}

/// Whether a real server is the director itself.
#[inline(always)]
pub(crate) fn is_local(destination: Option<&Destination>) -> bool {
    match destination {
        Some(destination) => destination.local.load() != 0,
        None => false,
    }
}

/// Makes the packet what the next hop is to get, for that reason.
#[inline(always)]
pub(crate) fn send<F: Translate, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    method: Method,
    transport: Transport,
    end: End<F::Address>,
    delta: u16,
    direction: Direction,
    reason: Reason,
) -> Result<(), Refused> {
    let hop = match reason.outcome() {
        Outcome::Passed => Hop::Left,
        Outcome::Forwarded | Outcome::Answered | Outcome::Dropped | Outcome::Held => Hop::Taken,
    };
    match (method, hop) {
        (Method::Translated | Method::FullyTranslated, Hop::Taken | Hop::Left) => {
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
        (Method::Unchanged, Hop::Taken) => {
            let network = job.segment.network as usize;
            F::take_hop(job.hook, network).ok_or(Refused)
        }
        (Method::Unchanged, Hop::Left) => Ok(()),
        // `wrap` does it, where there is stack enough.
        (Method::Wrapped, Hop::Taken | Hop::Left) => Ok(()),
    }
}

/// What becomes of the packets of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// Addresses and ports are translated: NAT, and all replies that come by here.
    Translated,
    /// Nothing but the link addresses changes: DR, the director itself, past all real servers.
    Unchanged,
    /// It is wrapped: TUN.
    Wrapped,
    /// Addresses and ports of both ends are translated: FULLNAT, all packets of which go the long way.
    FullyTranslated,
}

/// What becomes of the requests of a connection with that forwarding method; nothing where this
/// program does not know it.
#[inline(always)]
pub(crate) const fn method_of(forwarding: u8) -> Option<Method> {
    match forwarding {
        FORWARD_NAT => Some(Method::Translated),
        FORWARD_DIRECT | FORWARD_LOCAL | FORWARD_BYPASS => Some(Method::Unchanged),
        FORWARD_TUNNEL => Some(Method::Wrapped),
        FORWARD_FULL_NAT => Some(Method::FullyTranslated),
        _unknown => None,
    }
}
