//! NAT64 and NAT46: FULLNAT to a real server of the other address family (RFC 7915 says how headers become
//! the other family's).
//!
//! The connection lies in the table of the client's family. The real server's replies, which come by another
//! table, find its [twin] there. All packets come here by the long way, and leave in the other family's form;
//! XDP leaves them to TC, which alone can tell the kernel that a segment made large by offloading has changed
//! its family.

pub mod error;
pub mod header;
mod turn;
pub mod twin;

use weir_abi::NONE;
use weir_abi::connection::{HopCell, HopTerms};
use weir_abi::handover::Handover;
use weir_abi::keys::{Direction, Flow, FlowValue};
use weir_abi::reason::Reason;
use weir_abi::service::{FORWARD_OTHER_FAMILY, FORWARD_TWIN};
use weir_abi::settings::{Link, USE_FAREWELLS, USE_OBSERVATION, USE_OWN_TIMEOUTS};

use crate::connection;
use crate::family::{Family, Record, V4, V6};
use crate::farewell;
use crate::hook::{Hook, Refused, Route};
use crate::job::{Job, is_available};
use crate::length::{Belongs, answered};
use crate::nat64::header::Side;
use crate::nat64::turn::turn;
use crate::observe;
use crate::parse::{Parsed, Segment, Transport, parse};
use crate::tables::Tables;
use crate::translate::{End, Translate};

/// Whether a packet is of a connection between the families; the next part is told of which.
#[inline(always)]
pub(crate) fn is_left<F: Translate, H: Hook, T: Tables>(
    job: &Job<'_, F, H, T>,
    belongs: &Result<Belongs, Reason>,
) -> bool {
    let (slot, direction, is_first) = match belongs {
        Ok(Belongs::First(begun)) => (begun.slot, Direction::Request, 1),
        Ok(Belongs::Request(slot)) => (*slot, Direction::Request, 0),
        Ok(Belongs::Reply(slot)) => (*slot, Direction::Reply, 0),
        Err(_) => return false,
    };
    let entry = FlowValue::new(slot, direction);
    if !is_between::<F, T>(job.tables, entry) {
        return false;
    }
    if let Some(handover) = job.tables.handover() {
        handover.entry.store(entry.0);
        handover.is_first.store(is_first);
    }
    true
}

/// Whether the connection of an entry is one between the families.
#[inline(always)]
pub(crate) fn is_between<F: Family, T: Tables>(tables: &T, entry: FlowValue) -> bool {
    match tables.connection::<F>(entry.slot()) {
        Some(record) => matches!(
            record.endpoints().load().forwarding,
            FORWARD_OTHER_FAMILY | FORWARD_TWIN
        ),
        None => false,
    }
}

/// Translates a packet of IPv4.
#[inline(always)]
pub fn cross4<H: Hook, T: Tables>(hook: &mut H, tables: &T) -> H::Verdict {
    let reason = match prepare::<V4, T>(tables) {
        Ok(()) => work4(hook, tables),
        Err(reason) => reason,
    };
    hook.conclude(reason)
}

/// Translates a packet of IPv6.
#[inline(always)]
pub fn cross6<H: Hook, T: Tables>(hook: &mut H, tables: &T) -> H::Verdict {
    let reason = match prepare::<V6, T>(tables) {
        Ok(()) => work6(hook, tables),
        Err(reason) => reason,
    };
    hook.conclude(reason)
}

/// Sees that the connection of a client's packet has a twin.
#[inline(always)]
fn prepare<I: Side, T: Tables>(tables: &T) -> Result<(), Reason> {
    let handover = tables.handover().ok_or(Reason::NotOurs)?;
    let entry = FlowValue(handover.entry.load());
    match entry.direction() {
        Direction::Request => twin::make::<I, T>(tables, entry.slot()),
        Direction::Reply => Ok(()),
    }
}

#[cfg_attr(target_arch = "bpf", inline(never))]
fn work4<H: Hook, T: Tables>(hook: &mut H, tables: &T) -> Reason {
    let (Some(settings), Some(handover)) = (tables.settings(), tables.handover()) else {
        return Reason::NotOurs;
    };
    let mut job = Job::<V4, H, T>::new(hook, tables, settings, Segment::default());
    if !read4(&mut job) {
        return Reason::NotOurs;
    }
    let reason = cross::<V4, V6, H, T>(&mut job, handover);
    answered(&mut job, reason)
}

#[cfg_attr(target_arch = "bpf", inline(never))]
fn work6<H: Hook, T: Tables>(hook: &mut H, tables: &T) -> Reason {
    let (Some(settings), Some(handover)) = (tables.settings(), tables.handover()) else {
        return Reason::NotOurs;
    };
    let mut job = Job::<V6, H, T>::new(hook, tables, settings, Segment::default());
    if !read6(&mut job) {
        return Reason::NotOurs;
    }
    let reason = cross::<V6, V4, H, T>(&mut job, handover);
    answered(&mut job, reason)
}

/// A function of its own, as most here are, so that what it needs of the stack is free again.
#[cfg_attr(target_arch = "bpf", inline(never))]
fn read4<H: Hook, T: Tables>(job: &mut Job<'_, V4, H, T>) -> bool {
    match parse(job.hook, H::TAGS) {
        Parsed::V4(segment) => {
            job.segment = segment;
            true
        }
        Parsed::V6(_) | Parsed::Pass(_) | Parsed::Seldom4 | Parsed::Seldom6 => false,
    }
}

#[cfg_attr(target_arch = "bpf", inline(never))]
fn read6<H: Hook, T: Tables>(job: &mut Job<'_, V6, H, T>) -> bool {
    match parse(job.hook, H::TAGS) {
        Parsed::V6(segment) => {
            job.segment = segment;
            true
        }
        Parsed::V4(_) | Parsed::Pass(_) | Parsed::Seldom4 | Parsed::Seldom6 => false,
    }
}

/// Forwards a packet of family `I` as one of family `O`, or says why not.
#[inline(always)]
fn cross<I: Side, O: Side, H: Hook, T: Tables>(
    job: &mut Job<'_, I, H, T>,
    handover: &Handover,
) -> Reason {
    let entry = FlowValue(handover.entry.load());
    let mut out = Segment::<O::Address>::default();
    let left = match entry.direction() {
        Direction::Request => {
            let is_first = handover.is_first.load() != 0;
            request::<I, O, H, T>(job, entry.slot(), is_first, &mut out)
        }
        Direction::Reply => reply::<I, O, H, T>(job, entry.slot(), &mut out),
    };
    let left = judge::<I, O, H, T>(job, &out, left);
    if !matches!(
        left,
        Reason::Request | Reason::Reply | Reason::ToBeFragmented
    ) {
        return left;
    }
    match turn::<I, O, H, T>(job, &out, left) {
        Ok(()) => left,
        Err(Refused) => Reason::KernelRefused,
    }
}

/// A client's packet: what it becomes, and whether it can go there.
#[inline(always)]
fn request<I: Side, O: Side, H: Hook, T: Tables>(
    job: &mut Job<'_, I, H, T>,
    slot: u32,
    is_first: bool,
    out: &mut Segment<O::Address>,
) -> Reason {
    let Some(record) = job.tables.connection::<I>(slot) else {
        return Reason::Contended;
    };
    let (slot_of_server, twin) = (record.destination().load(), record.twin().load());
    if !become_request::<I, O, H, T>(job, twin, out) {
        return Reason::Contended;
    }
    let generation = job.settings.routes_generation.load();
    let destination = job.tables.destination(slot_of_server);
    let is_there = is_available(destination);
    let cell = destination.map(|destination| &destination.hop);
    let way = way::<I, O, H, T>(job, out, cell, generation, is_there);
    account::<I, I, H, T>(job, slot, Direction::Request, is_first);
    keep::<I, O, T>(job.tables, slot, twin);
    reason_of(way, Reason::Request)
}

/// A real server's packet: what it becomes, and whether it can go there.
#[inline(always)]
fn reply<I: Side, O: Side, H: Hook, T: Tables>(
    job: &mut Job<'_, I, H, T>,
    twin: u32,
    out: &mut Segment<O::Address>,
) -> Reason {
    let slot = become_reply::<I, O, H, T>(job, twin, out);
    let Some(record) = job.tables.connection::<O>(slot) else {
        return Reason::NotOurs;
    };
    let generation = job.settings.routes_generation.load();
    let is_there = is_available(job.tables.destination(record.destination().load()));
    let cell = Some(record.hop(Direction::Reply));
    let way = way::<I, O, H, T>(job, out, cell, generation, is_there);
    account::<I, O, H, T>(job, slot, Direction::Reply, false);
    keep::<O, I, T>(job.tables, slot, twin);
    reason_of(way, Reason::Reply)
}

/// What a client's packet becomes.
#[cfg_attr(target_arch = "bpf", inline(never))]
fn become_request<I: Side, O: Side, H: Hook, T: Tables>(
    job: &Job<'_, I, H, T>,
    twin: u32,
    out: &mut Segment<O::Address>,
) -> bool {
    let Some(twin) = job.tables.connection::<O>(twin) else {
        return false;
    };
    become_other::<I, O, H, T>(job, &twin::to_server::<O>(twin), out);
    true
}

/// What a real server's packet becomes; says its connection's slot, or [`NONE`].
#[cfg_attr(target_arch = "bpf", inline(never))]
fn become_reply<I: Side, O: Side, H: Hook, T: Tables>(
    job: &Job<'_, I, H, T>,
    twin: u32,
    out: &mut Segment<O::Address>,
) -> u32 {
    let Some(found) = twin::connection_of::<I, O, T>(job.tables, twin, job.now) else {
        return NONE;
    };
    become_other::<I, O, H, T>(job, &twin::to_client::<O>(found.record), out);
    found.slot
}

/// Lets the twin of a connection of family `C` live longer than that.
#[inline(always)]
fn keep<C: Side, O: Side, T: Tables>(tables: &T, slot: u32, twin: u32) {
    if let (Some(record), Some(twin)) = (tables.connection::<C>(slot), tables.connection::<O>(twin))
    {
        twin::keep::<O>(twin, record.word());
    }
}

/// The packet as it will be on the other side.
#[inline(always)]
fn become_other<I: Side, O: Side, H: Hook, T: Tables>(
    job: &Job<'_, I, H, T>,
    flow: &Flow<O::Address>,
    out: &mut Segment<O::Address>,
) {
    let segment = &job.segment;
    out.flow = *flow;
    out.network = segment.network;
    out.payload = segment.network + O::HEADER as u16;
    out.length = (O::HEADER as u16).saturating_add(segment.transport_length());
    out.hops = segment.hops;
    out.flow_information = O::information(I::class(segment.flow_information));
}

/// Whether a packet goes somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// To a hop that the hook remembers.
    Goes,
    /// It is larger than the next link, which takes [`Job::mtu`].
    TooBig,
    /// The kernel does not forward here.
    Disabled,
    /// Nowhere.
    Nowhere,
}

/// Where it goes: as remembered, or as routing says. Asked before anything is written.
#[cfg_attr(target_arch = "bpf", inline(never))]
pub(crate) fn way<I: Side, O: Side, H: Hook, T: Tables>(
    job: &mut Job<'_, I, H, T>,
    out: &Segment<O::Address>,
    cell: Option<&HopCell>,
    generation: u32,
    remembers: bool,
) -> Way {
    if let Some(cell) = cell {
        let terms = HopTerms(cell.terms.load());
        let link = Link(cell.link.load());
        if terms.generation() == generation
            && job.hook.fits(&job.segment, I::mtu_here(terms.mtu()))
            && job.hook.recall(job.tables, link)
        {
            return Way::Goes;
        }
    }
    let end = End {
        address: out.flow.destination,
        port: out.flow.destination_port,
    };
    let route = job
        .hook
        .route::<O, T>(job.tables, out, Direction::Request, end);
    match route {
        Route::Known => {}
        Route::TooBig(mtu) => {
            job.mtu = mtu;
            return Way::TooBig;
        }
        Route::ForwardingDisabled => return Way::Disabled,
        Route::Unreachable | Route::NoNeighbour | Route::NotTransmittable => return Way::Nowhere,
    }
    if let Some((link, mtu)) = job.hook.learnt() {
        // Of a segment made large by offloading routing does not ask how large its pieces become.
        if !job.hook.fits(&job.segment, I::mtu_here(mtu)) {
            job.mtu = mtu;
            return Way::TooBig;
        }
        if remembers && let Some(cell) = cell {
            cell.remember(link, HopTerms::new(generation, mtu, 0));
        }
    }
    Way::Goes
}

/// What a packet does to its connection, in the table of family `C`, and to the counters.
#[cfg_attr(target_arch = "bpf", inline(never))]
fn account<I: Side, C: Side, H: Hook, T: Tables>(
    job: &Job<'_, I, H, T>,
    slot: u32,
    direction: Direction,
    is_first: bool,
) {
    let Some(found) = connection::get::<C, T>(job.tables, slot) else {
        return;
    };
    let segment = &job.segment;
    let length = job
        .hook
        .network_length(segment.length as usize, segment.network as usize);
    count(job, found.destination, direction, length);
    let transport = job.transport();
    if job.settings.uses(USE_OBSERVATION)
        && direction == Direction::Reply
        && let Transport::Tcp(control) = transport
    {
        observe::replied::<C, T>(job.tables, found.slot, control);
    }
    // What the first packet does to its connection was done when that was made.
    if !is_first {
        let (settings, now) = (job.settings, job.now);
        connection::advance::<C, T>(job.tables, settings, &found, transport, direction, now);
    }
    if job.settings.uses(USE_OWN_TIMEOUTS) {
        connection::keep_own_timeout::<C, T>(job.tables, found.slot, job.now);
    }
    if job.settings.uses(USE_FAREWELLS) {
        let cells = found.record.acknowledged();
        farewell::note(job.hook, &job.segment, cells, direction, 0);
    }
}

/// Counts a packet of that length.
#[inline(always)]
pub(crate) fn count<I: Side, H: Hook, T: Tables>(
    job: &Job<'_, I, H, T>,
    destination: u32,
    direction: Direction,
    length: u64,
) {
    // Nothing is counted for a removed real server.
    if !is_available(job.tables.destination(destination)) {
        return;
    }
    job.tables.count(destination, |counters| match direction {
        Direction::Request => {
            counters.in_packets += 1;
            counters.in_bytes += length;
        }
        Direction::Reply => {
            counters.out_packets += 1;
            counters.out_bytes += length;
        }
    });
}

/// The reason by which a packet goes, or does not.
#[inline(always)]
const fn reason_of(way: Way, goes: Reason) -> Reason {
    match way {
        Way::Goes => goes,
        Way::TooBig => Reason::TooBig,
        Way::Disabled => Reason::ForwardingDisabled,
        Way::Nowhere => Reason::HostUnreachable,
    }
}

/// What is said to who has sent a packet that cannot go on.
#[inline(always)]
fn judge<I: Side, O: Side, H: Hook, T: Tables>(
    job: &mut Job<'_, I, H, T>,
    out: &Segment<O::Address>,
    left: Reason,
) -> Reason {
    let has_way = matches!(
        left,
        Reason::Request
            | Reason::Reply
            | Reason::TooBig
            | Reason::HostUnreachable
            | Reason::ForwardingDisabled
    );
    if has_way && job.segment.hops <= 1 {
        return Reason::TimeExceeded;
    }
    if left != Reason::TooBig {
        return left;
    }
    // Small enough for routers to cut what it becomes, here the kernel.
    if O::may_be_cut(out.length) {
        return Reason::ToBeFragmented;
    }
    job.mtu = I::mtu_here(job.mtu);
    Reason::TooBig
}
