//! The decision: what becomes of a packet.

use weir_abi::connection::HopTerms;
use weir_abi::counters::Counters;
use weir_abi::keys::Direction;
use weir_abi::reason::{Outcome, Reason};
use weir_abi::service::{AVAILABLE, Destination};
use weir_abi::settings::{Link, Settings};
use weir_abi::tick::Tick;
use weir_wire::ethernet::Ethernet;

use crate::connection::{self, Found};
use crate::family::{Record, V4, V6};
use crate::hook::{Hook, Route};
use crate::icmp::{Answer, answer, problem_of};
use crate::meet::Met;
use crate::parse::{Parsed, Segment, Transport, parse};
use crate::tables::Tables;
use crate::translate::{End, Hop, Translate, delta, replacement, translate};

/// A packet on its way through the decision.
///
/// The BPF machine hands a called function five registers and takes one back: so what belongs to a
/// packet travels in one place, and a decision is a [`Reason`], whose
/// [outcome](Reason::outcome) says what to do.
struct Job<'a, F: Translate, H: Hook, T: Tables> {
    hook: &'a mut H,
    tables: &'a T,
    settings: &'a Settings,
    segment: Segment<F::Address>,
    now: Tick,
    /// What the next link takes, where that is too little.
    mtu: u16,
}

/// Decides about one packet and rewrites it.
#[inline(always)]
pub fn process<H: Hook, T: Tables>(hook: &mut H, tables: &T) -> Reason {
    match at_once(hook, tables) {
        Some(reason) => reason,
        None => at_length(hook, tables),
    }
}

/// The fast way, which most packets go: those of a connection about which nothing is to be asked.
/// Nothing is changed where it does not apply, and [`at_length`] is to be asked.
#[inline(always)]
pub fn at_once<H: Hook, T: Tables>(hook: &mut H, tables: &T) -> Option<Reason> {
    if hook.is_other_station() {
        return Some(Reason::OtherStation);
    }
    let settings = tables.settings()?;
    let now = Tick(settings.now.load());
    match parse(hook, H::TAGS) {
        Parsed::V4(segment) => goes_on(&mut Job::<V4, H, T> {
            hook,
            tables,
            settings,
            segment,
            now,
            mtu: 0,
        }),
        Parsed::V6(segment) => goes_on(&mut Job::<V6, H, T> {
            hook,
            tables,
            settings,
            segment,
            now,
            mtu: 0,
        }),
        Parsed::Pass(reason) => Some(reason),
    }
}

/// The way of all other packets. It begins anew: what the fast way has found out would have to go
/// through memory, at the cost of every packet.
#[inline(always)]
pub fn at_length<H: Hook, T: Tables>(hook: &mut H, tables: &T) -> Reason {
    let Some(settings) = tables.settings() else {
        return Reason::NotOurs;
    };
    let now = Tick(settings.now.load());
    match parse(hook, H::TAGS) {
        Parsed::V4(segment) => decide(&mut Job::<V4, H, T> {
            hook,
            tables,
            settings,
            segment,
            now,
            mtu: 0,
        }),
        Parsed::V6(segment) => decide(&mut Job::<V6, H, T> {
            hook,
            tables,
            settings,
            segment,
            now,
            mtu: 0,
        }),
        Parsed::Pass(reason) => reason,
    }
}

#[inline(always)]
fn decide<F: Translate + Answer, H: Hook, T: Tables>(job: &mut Job<'_, F, H, T>) -> Reason {
    let reason = match connection_of(job) {
        Ok((slot, Direction::Request)) => request(job, slot),
        Ok((slot, Direction::Reply)) => reply(job, slot),
        Err(reason) => reason,
    };
    match problem_of(reason) {
        Some(problem) => match answer::<F, H>(job.hook, &job.segment, problem, job.mtu) {
            Ok(()) => reason,
            Err(_) => Reason::KernelRefused,
        },
        None => reason,
    }
}

/// Forwards a packet if its connection lives, it begins no other, and the connection remembers a next
/// hop that still holds and that the packet can go to. That the real server is available was seen
/// under the same generation.
#[inline(always)]
fn goes_on<F: Translate, H: Hook, T: Tables>(job: &mut Job<'_, F, H, T>) -> Option<Reason> {
    let (found, direction) = connection::find::<F, T>(job.tables, job.settings, &job.segment.flow)?;
    // Each of the four ways is its own code, in which direction and protocol are constants.
    match (direction, job.segment.transport()) {
        (Direction::Request, Transport::Tcp(control)) => {
            goes_on_as(job, &found, Direction::Request, Transport::Tcp(control))
        }
        (Direction::Request, Transport::Udp) => {
            goes_on_as(job, &found, Direction::Request, Transport::Udp)
        }
        (Direction::Reply, Transport::Tcp(control)) => {
            goes_on_as(job, &found, Direction::Reply, Transport::Tcp(control))
        }
        (Direction::Reply, Transport::Udp) => {
            goes_on_as(job, &found, Direction::Reply, Transport::Udp)
        }
    }
}

#[inline(always)]
fn goes_on_as<F: Translate, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    found: &Found<'_, F>,
    direction: Direction,
    transport: Transport,
) -> Option<Reason> {
    let segment = &job.segment;
    let hop = found.record.hop(direction);
    let terms = HopTerms(hop.terms.load());
    let goes_on = terms.generation() == job.settings.routes_generation.load()
        && job.now.since(found.word.expires()) < 0
        && !transport.is_new()
        && segment.hops > 1
        && job.hook.fits(segment, terms.mtu())
        && job.hook.recall(job.tables, Link(hop.link.load()));
    if !goes_on {
        return None;
    }
    count(job, found, direction);
    advance(job, found, transport, direction);
    let end = replacement(&found.record.endpoints().load(), direction);
    let reason = match direction {
        Direction::Request => Reason::Request,
        Direction::Reply => Reason::Reply,
    };
    Some(send(job, transport, end, terms.delta(), direction, reason))
}

/// The slot of the connection that the packet belongs to, which it may have begun, and which way it
/// goes.
#[inline(always)]
fn connection_of<F: Translate, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
) -> Result<(u32, Direction), Reason> {
    match job.tables.meet::<F>(&job.segment, job.now) {
        Met::Connection(value) => Ok((value.slot(), value.direction())),
        Met::Service(_) if is_for_another(job) => Err(Reason::OtherStation),
        Met::Service(service) => {
            let slot = job.tables.begin::<F>(&job.segment, service, job.now)?;
            Ok((slot, Direction::Request))
        }
        Met::Nothing(reason) => Err(reason),
    }
}

/// Whether the frame was sent to another station than the interface that took it.
#[inline(always)]
fn is_for_another<F: Translate, H: Hook, T: Tables>(job: &Job<'_, F, H, T>) -> bool {
    match (job.hook.station(job.tables), job.hook.header::<Ethernet>(0)) {
        (Some(station), Some(link)) => link.destination != station.mac(),
        (None, Some(_) | None) | (Some(_), None) => false,
    }
}

/// A client's packet on its way to the real server.
#[cfg_attr(target_arch = "bpf", inline(never))]
fn request<F: Translate, H: Hook, T: Tables>(job: &mut Job<'_, F, H, T>, slot: u32) -> Reason {
    let Some(found) = connection::get::<F, T>(job.tables, slot) else {
        return Reason::Contended;
    };
    let found = &found;
    let end = replacement(&found.record.endpoints().load(), Direction::Request);
    let route = route(job, found, Direction::Request, end);
    // Asked before anything is written: what is left to the slower hook is left as it came.
    match route {
        Route::NoNeighbour => return Reason::NoNeighbour,
        Route::NotTransmittable => return Reason::NotTransmittable,
        Route::Known | Route::Unreachable | Route::ForwardingDisabled | Route::TooBig(_) => {}
    }
    arrived(job, found, Direction::Request);
    if job.segment.hops <= 1 {
        return Reason::TimeExceeded;
    }
    let reason = match route {
        Route::Known => Reason::Request,
        // Rewritten, and left to the kernel, which fragments what it forwards.
        Route::TooBig(_) if job.segment.fragmentable => Reason::ToBeFragmented,
        Route::TooBig(mtu) => {
            job.mtu = mtu;
            return Reason::TooBig;
        }
        Route::ForwardingDisabled => return Reason::ForwardingDisabled,
        Route::Unreachable | Route::NoNeighbour | Route::NotTransmittable => {
            return Reason::HostUnreachable;
        }
    };
    let (transport, delta) = (
        job.segment.transport(),
        delta::<F>(&job.segment, end, Direction::Request),
    );
    send(job, transport, end, delta, Direction::Request, reason)
}

/// A real server's packet on its way to the client.
#[cfg_attr(target_arch = "bpf", inline(never))]
fn reply<F: Translate, H: Hook, T: Tables>(job: &mut Job<'_, F, H, T>, slot: u32) -> Reason {
    // In IPVS the kernel's forwarding has judged hops and size before it sees a reply, and tells
    // the real server itself.
    if job.segment.hops <= 1 {
        return Reason::ReplyRefused;
    }
    let Some(found) = connection::get::<F, T>(job.tables, slot) else {
        return Reason::Contended;
    };
    let found = &found;
    let end = replacement(&found.record.endpoints().load(), Direction::Reply);
    match route(job, found, Direction::Reply, end) {
        Route::Known => {}
        Route::NoNeighbour => return Reason::NoNeighbour,
        Route::NotTransmittable => return Reason::NotTransmittable,
        Route::TooBig(_) => return Reason::ReplyRefused,
        Route::Unreachable => return Reason::NoRoute,
        Route::ForwardingDisabled => return Reason::ForwardingDisabled,
    }
    arrived(job, found, Direction::Reply);
    let (transport, delta) = (
        job.segment.transport(),
        delta::<F>(&job.segment, end, Direction::Reply),
    );
    send(job, transport, end, delta, Direction::Reply, Reason::Reply)
}

/// Asks where the packet goes, and lets the connection remember it.
#[inline(always)]
fn route<F: Translate, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    found: &Found<'_, F>,
    direction: Direction,
    end: End<F::Address>,
) -> Route {
    // Read before anything else is: what changes meanwhile raises it, and is asked again.
    let generation = job.settings.routes_generation.load();
    let is_available = is_available(job.tables.destination(found.destination));
    let route = job
        .hook
        .route::<F, T>(job.tables, &job.segment, direction, end);
    match route {
        Route::Known => {
            // Nothing of a removed real server is remembered: each packet of its asks.
            if is_available && let Some((link, mtu)) = job.hook.learnt() {
                let hop = found.record.hop(direction);
                let delta = delta::<F>(&job.segment, end, direction);
                hop.remember(link, HopTerms::new(generation, mtu, delta));
            }
        }
        Route::NoNeighbour
        | Route::NotTransmittable
        | Route::Unreachable
        | Route::ForwardingDisabled
        | Route::TooBig(_) => {}
    }
    route
}

/// Counts a packet of a connection, if its real server counts, and advances its state.
#[inline(always)]
fn arrived<F: Translate, H: Hook, T: Tables>(
    job: &Job<'_, F, H, T>,
    found: &Found<'_, F>,
    direction: Direction,
) {
    if is_available(job.tables.destination(found.destination)) {
        count(job, found, direction);
    }
    advance(job, found, job.segment.transport(), direction);
}

#[inline(always)]
fn count<F: Translate, H: Hook, T: Tables>(
    job: &Job<'_, F, H, T>,
    found: &Found<'_, F>,
    direction: Direction,
) {
    let segment = &job.segment;
    let length = job
        .hook
        .network_length(segment.length as usize, segment.network as usize);
    job.tables.count(
        found.destination,
        |counters: &mut Counters| match direction {
            Direction::Request => {
                counters.in_packets += 1;
                counters.in_bytes += length;
            }
            Direction::Reply => {
                counters.out_packets += 1;
                counters.out_bytes += length;
            }
        },
    );
}

#[inline(always)]
fn advance<F: Translate, H: Hook, T: Tables>(
    job: &Job<'_, F, H, T>,
    found: &Found<'_, F>,
    transport: Transport,
    direction: Direction,
) {
    connection::advance::<F, T>(
        job.tables,
        job.settings,
        found,
        transport,
        direction,
        job.now,
    );
}

/// Nothing is counted for a removed real server (`ip_vs_in_stats`, `ip_vs_out_stats`).
#[inline(always)]
fn is_available(destination: Option<&Destination>) -> bool {
    match destination {
        Some(destination) => destination.flags.load() & AVAILABLE != 0,
        None => false,
    }
}

/// Translates the packet, for that reason.
#[inline(always)]
fn send<F: Translate, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    transport: Transport,
    end: End<F::Address>,
    delta: u16,
    direction: Direction,
    reason: Reason,
) -> Reason {
    let hop = match reason.outcome() {
        Outcome::Passed => Hop::Left,
        Outcome::Forwarded | Outcome::Answered | Outcome::Dropped => Hop::Taken,
    };
    match translate::<F, H>(
        job.hook,
        &job.segment,
        transport,
        end,
        delta,
        direction,
        hop,
    ) {
        Ok(()) => reason,
        Err(_) => Reason::KernelRefused,
    }
}
