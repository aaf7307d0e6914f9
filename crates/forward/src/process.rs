//! The decision: what becomes of a packet.

use weir_abi::connection::{HopCell, HopTerms};
use weir_abi::counters::Counters;
use weir_abi::keys::Direction;
use weir_abi::reason::{Outcome, Reason};
use weir_abi::service::{AVAILABLE, Destination};
use weir_abi::settings::{Link, Settings};
use weir_abi::tick::Tick;
use weir_wire::ethernet::Ethernet;

use crate::connection::{self, Find, Found};
use crate::family::{Record, V4, V6};
use crate::hook::{Hook, Refused, Route};
use crate::icmp::{Answer, answer, problem_of};
use crate::meet::Met;
use crate::parse::{Parsed, Segment, Transport, parse};
use crate::part::{Part, part_of};
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

/// What the fast way has seen of a packet's flow that it leaves to the long one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// No connection has it.
    Unknown,
    /// A connection may have it.
    Perhaps,
}

/// Decides about one packet, rewrites it and sends it on its way.
#[inline(always)]
pub fn process<H: Hook, T: Tables>(hook: &mut H, tables: &T) -> H::Verdict {
    let flow = match at_once(hook, tables) {
        Ok(verdict) => return verdict,
        Err(flow) => flow,
    };
    if let Some(handover) = tables.handover() {
        handover.is_unknown.store(match flow {
            Lookup::Unknown => 1,
            Lookup::Perhaps => 0,
        });
    }
    hook.go_on(tables, Part::Length)
}

/// The fast way, which most packets go: those of a connection about which nothing is to be asked.
/// Where it does not apply nothing is changed, and [`at_length`] is to be asked.
#[inline(always)]
fn at_once<H: Hook, T: Tables>(hook: &mut H, tables: &T) -> Result<H::Verdict, Lookup> {
    if hook.is_other_station() {
        return Ok(hook.conclude(Reason::OtherStation));
    }
    let Some(settings) = tables.settings() else {
        return Ok(hook.conclude(Reason::NotOurs));
    };
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
        Parsed::V6(segment) => goes_on_apart(&mut Job::<V6, H, T> {
            hook,
            tables,
            settings,
            segment,
            now,
            mtu: 0,
        }),
        Parsed::Pass(reason) => Ok(match part_of(reason) {
            Some(part) => hook.go_on(tables, part),
            None => hook.conclude(reason),
        }),
    }
}

/// The way of all other packets. It begins anew: what the fast way has found out would have to go
/// through memory, at the cost of every packet.
#[inline(always)]
pub fn at_length<H: Hook, T: Tables>(hook: &mut H, tables: &T) -> H::Verdict {
    let flow = match tables.handover() {
        Some(handover) if handover.is_unknown.load() != 0 => Lookup::Unknown,
        Some(_) | None => Lookup::Perhaps,
    };
    let reason = reason_at_length(hook, tables, flow);
    hook.conclude(reason)
}

#[inline(always)]
fn reason_at_length<H: Hook, T: Tables>(hook: &mut H, tables: &T, flow: Lookup) -> Reason {
    let Some(settings) = tables.settings() else {
        return Reason::NotOurs;
    };
    let now = Tick(settings.now.load());
    match parse(hook, H::TAGS) {
        Parsed::V4(segment) => decide(
            &mut Job::<V4, H, T> {
                hook,
                tables,
                settings,
                segment,
                now,
                mtu: 0,
            },
            flow,
        ),
        Parsed::V6(segment) => decide(
            &mut Job::<V6, H, T> {
                hook,
                tables,
                settings,
                segment,
                now,
                mtu: 0,
            },
            flow,
        ),
        Parsed::Pass(reason) => reason,
    }
}

#[inline(always)]
fn decide<F: Translate + Answer, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    flow: Lookup,
) -> Reason {
    let reason = match connection_of(job, flow) {
        Ok(Belongs::First(slot)) => request(job, slot, true),
        Ok(Belongs::Request(slot)) => request(job, slot, false),
        Ok(Belongs::Reply(slot)) => reply(job, slot),
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

/// [`goes_on`], as a function of its own: with the registers of both families' ways spilled, one frame
/// would be larger than the stack allows.
#[cfg_attr(target_arch = "bpf", inline(never))]
fn goes_on_apart<F: Translate, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
) -> Result<H::Verdict, Lookup> {
    goes_on(job)
}

/// Forwards a packet if its connection lives, it begins no other, and the connection remembers a next
/// hop that still holds and that the packet can go to. That the real server is available was seen
/// under the same generation.
#[inline(always)]
fn goes_on<F: Translate, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
) -> Result<H::Verdict, Lookup> {
    let (found, direction) =
        match connection::find::<F, T>(job.tables, job.settings, &job.segment.flow) {
            Find::Found(found, direction) => (found, direction),
            Find::Unknown => return Err(Lookup::Unknown),
            Find::Perhaps => return Err(Lookup::Perhaps),
        };
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
) -> Result<H::Verdict, Lookup> {
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
        return Err(Lookup::Perhaps);
    }
    count(job, found, direction);
    advance(job, found, transport, direction);
    let end = replacement(&found.record.endpoints().load(), direction);
    let reason = match direction {
        Direction::Request => Reason::Request,
        Direction::Reply => Reason::Reply,
    };
    match send(job, transport, end, terms.delta(), direction, reason) {
        Ok(()) => Ok(job.hook.conclude(reason)),
        Err(Refused) => Ok(job.hook.conclude(Reason::KernelRefused)),
    }
}

/// The connection that a packet belongs to: its slot.
enum Belongs {
    /// The packet has begun it.
    First(u32),
    /// It comes from the client.
    Request(u32),
    /// It comes from the real server.
    Reply(u32),
}

/// The connection that the packet belongs to, which it may have begun.
#[inline(always)]
fn connection_of<F: Translate, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    flow: Lookup,
) -> Result<Belongs, Reason> {
    match job.tables.meet::<F>(&job.segment, flow, job.now) {
        Met::Connection(value) => match value.direction() {
            Direction::Request => Ok(Belongs::Request(value.slot())),
            Direction::Reply => Ok(Belongs::Reply(value.slot())),
        },
        Met::Service(_) if is_for_another(job) => Err(Reason::OtherStation),
        Met::Service(service) => {
            let slot = job.tables.begin::<F>(&job.segment, service, job.now)?;
            Ok(Belongs::First(slot))
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
fn request<F: Translate, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    slot: u32,
    is_first: bool,
) -> Reason {
    let Some(found) = connection::get::<F, T>(job.tables, slot) else {
        return Reason::Contended;
    };
    let found = &found;
    let end = replacement(&found.record.endpoints().load(), Direction::Request);
    // Read before all else: what changes meanwhile raises it, and is asked again.
    let generation = job.settings.routes_generation.load();
    let destination = job.tables.destination(found.destination);
    let is_available = is_available(destination);
    let route = route(job, found, Direction::Request, end, generation, destination);
    // Asked before anything is written: what is left to the slower hook is left as it came.
    match route {
        Route::NoNeighbour => return Reason::NoNeighbour,
        Route::NotTransmittable => return Reason::NotTransmittable,
        Route::Known | Route::Unreachable | Route::ForwardingDisabled | Route::TooBig(_) => {}
    }
    // Nothing is counted for a removed real server (`ip_vs_in_stats`, `ip_vs_out_stats`).
    if is_available {
        count(job, found, Direction::Request);
    }
    // What the first packet does to its connection was done when that was made.
    if !is_first {
        advance(job, found, job.segment.transport(), Direction::Request);
    }
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
    match send(job, transport, end, delta, Direction::Request, reason) {
        Ok(()) => reason,
        Err(Refused) => Reason::KernelRefused,
    }
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
    let generation = job.settings.routes_generation.load();
    let destination = job.tables.destination(found.destination);
    let is_available = is_available(destination);
    match route(job, found, Direction::Reply, end, generation, destination) {
        Route::Known => {}
        Route::NoNeighbour => return Reason::NoNeighbour,
        Route::NotTransmittable => return Reason::NotTransmittable,
        Route::TooBig(_) => return Reason::ReplyRefused,
        Route::Unreachable => return Reason::NoRoute,
        Route::ForwardingDisabled => return Reason::ForwardingDisabled,
    }
    if is_available {
        count(job, found, Direction::Reply);
    }
    advance(job, found, job.segment.transport(), Direction::Reply);
    let (transport, delta) = (
        job.segment.transport(),
        delta::<F>(&job.segment, end, Direction::Reply),
    );
    match send(job, transport, end, delta, Direction::Reply, Reason::Reply) {
        Ok(()) => Reason::Reply,
        Err(Refused) => Reason::KernelRefused,
    }
}

/// Asks where the packet goes, and lets the connection remember it. `generation` was in force before the
/// real server was looked at.
#[inline(always)]
fn route<F: Translate, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    found: &Found<'_, F>,
    direction: Direction,
    end: End<F::Address>,
    generation: u32,
    destination: Option<&Destination>,
) -> Route {
    let is_available = is_available(destination);
    let to_server = match direction {
        Direction::Request => destination.map(|destination| &destination.hop),
        Direction::Reply => None,
    };
    if let Some(hop) = to_server
        && let Some((link, mtu)) = way_to_server(job, hop, generation)
    {
        if is_available {
            learn(job, found, direction, end, generation, (link, mtu));
        }
        return Route::Known;
    }
    let route = job
        .hook
        .route::<F, T>(job.tables, &job.segment, direction, end);
    match route {
        Route::Known => {
            // Nothing of a removed real server is remembered: each packet of its asks.
            if is_available && let Some((link, mtu)) = job.hook.learnt() {
                learn(job, found, direction, end, generation, (link, mtu));
                if let Some(hop) = to_server {
                    hop.remember(link, HopTerms::new(generation, mtu, 0));
                }
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

/// Goes the way that another connection's packet went to the same real server, if that still holds.
/// As in IPVS, whose real servers keep their route (`ip_vs_dest_dst`), the client does not matter.
#[inline(always)]
fn way_to_server<F: Translate, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    hop: &HopCell,
    generation: u32,
) -> Option<(Link, u16)> {
    let terms = HopTerms(hop.terms.load());
    let link = Link(hop.link.load());
    let goes = terms.generation() == generation
        && job.hook.fits(&job.segment, terms.mtu())
        && job.hook.recall(job.tables, link);
    goes.then_some((link, terms.mtu()))
}

/// Lets a connection remember a hop.
#[inline(always)]
fn learn<F: Translate, H: Hook, T: Tables>(
    job: &Job<'_, F, H, T>,
    found: &Found<'_, F>,
    direction: Direction,
    end: End<F::Address>,
    generation: u32,
    (link, mtu): (Link, u16),
) {
    let delta = delta::<F>(&job.segment, end, direction);
    let hop = found.record.hop(direction);
    hop.remember(link, HopTerms::new(generation, mtu, delta));
}

/// Counts a packet of a connection.
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

/// Whether a real server is in its service's list.
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
