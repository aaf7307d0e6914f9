//! The decision: what becomes of a packet.

use weir_abi::connection::Word;
use weir_abi::counters::Counters;
use weir_abi::keys::Direction;
use weir_abi::reason::{Outcome, Reason};
use weir_abi::service::{AVAILABLE, Destination};
use weir_abi::settings::Settings;
use weir_abi::tick::Tick;
use weir_wire::ethernet::Ethernet;

use crate::connection::{self, Found};
use crate::family::{Flow, Record, V4, V6, service_of};
use crate::hook::{Hook, Route, RouteQuery};
use crate::icmp::{Answer, answer, problem_of};
use crate::parse::{Parsed, Segment, parse};
use crate::schedule::fold;
use crate::state;
use crate::tables::Tables;
use crate::translate::{Hop, Translate, translate, translated};

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
    if hook.is_other_station() {
        return Reason::OtherStation;
    }
    let Some(settings) = tables.settings() else {
        return Reason::NotOurs;
    };
    let now = hook.now();
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
        Ok((found, Direction::Request)) => request(job, &found),
        Ok((found, Direction::Reply)) => reply(job, &found),
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

/// The connection that the packet belongs to, which it may have begun, and which way it goes.
#[inline(always)]
fn connection_of<'t, F: Translate, H: Hook, T: Tables>(
    job: &mut Job<'t, F, H, T>,
) -> Result<(Found<'t, F>, Direction), Reason> {
    let tables = job.tables;
    if let Some(value) = tables.flow::<F>(&job.segment.flow) {
        let direction = value.direction();
        let slot = value.slot();
        if let Some(found) =
            connection::find::<F, T>(tables, slot, direction, &job.segment.flow, job.now)
        {
            match direction {
                Direction::Reply => return Ok((found, direction)),
                Direction::Request => match keep(job, &found) {
                    Keep::Yes => return Ok((found, direction)),
                    Keep::Drop => return Err(Reason::DestinationGone),
                    Keep::End => {
                        let word = current_word::<F>(&found);
                        tables.end::<F>(slot, word);
                    }
                },
            }
        }
    }
    let destination = schedule(job)?;
    let slot = tables.make::<F>(&job.segment.flow, destination, job.now)?;
    let record = tables.connection::<F>(slot).ok_or(Reason::TableFull)?;
    let found = Found {
        record,
        word: Word(record.word().load()),
        destination: record.destination().load(),
    };
    tables.count(found.destination, |counters| counters.connections += 1);
    Ok((found, Direction::Request))
}

/// What becomes of a connection that a client's packet has been found to belong to.
enum Keep {
    /// It goes on.
    Yes,
    /// It is ended, and the packet may begin another.
    End,
    /// The packet is dropped: the real server is gone.
    Drop,
}

/// `ip_vs_in`: port reuse, quiesced and removed real servers.
#[inline(always)]
fn keep<F: Translate, H: Hook, T: Tables>(job: &Job<'_, F, H, T>, found: &Found<'_, F>) -> Keep {
    let expire = job.settings.expire_without_destination.load() != 0;
    let Some(destination) = job.tables.destination(found.destination) else {
        return Keep::Drop;
    };
    if job.segment.is_new() {
        let reuse = job.settings.connection_reuse_mode.load() != 0;
        let quiesced = expire && destination.weight.load() == 0;
        if quiesced || reuse && state::has_ended(found.word.state()) {
            return Keep::End;
        }
    }
    if destination.flags.load() & AVAILABLE != 0 {
        Keep::Yes
    } else if expire {
        Keep::End
    } else {
        Keep::Drop
    }
}

/// The word to end a connection by: the one it has now, unless the slot has another tenant.
#[inline(always)]
fn current_word<F: Translate>(found: &Found<'_, F>) -> Word {
    let now = Word(found.record.word().load());
    if now.generation() == found.word.generation() {
        now
    } else {
        found.word
    }
}

/// A packet that no connection has: the slot of the real server that it is for.
#[cfg_attr(target_arch = "bpf", inline(never))]
fn schedule<F: Translate, H: Hook, T: Tables>(job: &mut Job<'_, F, H, T>) -> Result<u32, Reason> {
    let segment = &job.segment;
    let service_slot = job
        .tables
        .service_slot(&service_of::<F>(&segment.flow))
        .ok_or(Reason::NotOurs)?;
    // IPVS schedules nothing from the FTP data port: it waits for the control connection's helper.
    const FTP_DATA: u16 = 20u16.to_be();
    if !segment.can_begin() || segment.flow.source_port == FTP_DATA {
        return Err(Reason::NotConnected);
    }
    if let Some(station) = job.hook.station() {
        let link = job.hook.header::<Ethernet>(0).ok_or(Reason::Malformed)?;
        if link.destination != station {
            return Err(Reason::OtherStation);
        }
    }
    if !F::can_be_source(segment.flow.source) {
        return Err(Reason::MartianSource);
    }
    let folded = fold::<F>(segment.flow.destination);
    job.tables
        .pick(service_slot, folded)
        .ok_or(Reason::NoDestination)
}

/// A client's packet on its way to the real server.
#[cfg_attr(target_arch = "bpf", inline(never))]
fn request<F: Translate, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    found: &Found<'_, F>,
) -> Reason {
    let endpoints = found.record.endpoints().load();
    let flow = translated(&endpoints, Direction::Request);
    let route = job.hook.route::<F>(&query(&job.segment, &flow));
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
    send(job, &flow, Direction::Request, reason)
}

/// A real server's packet on its way to the client.
#[cfg_attr(target_arch = "bpf", inline(never))]
fn reply<F: Translate, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    found: &Found<'_, F>,
) -> Reason {
    // In IPVS the kernel's forwarding has judged hops and size before it sees a reply, and tells
    // the real server itself.
    if job.segment.hops <= 1 {
        return Reason::ReplyRefused;
    }
    let endpoints = found.record.endpoints().load();
    let flow = translated(&endpoints, Direction::Reply);
    match job.hook.route::<F>(&query(&job.segment, &flow)) {
        Route::Known => {}
        Route::NoNeighbour => return Reason::NoNeighbour,
        Route::NotTransmittable => return Reason::NotTransmittable,
        Route::TooBig(_) => return Reason::ReplyRefused,
        Route::Unreachable => return Reason::NoRoute,
        Route::ForwardingDisabled => return Reason::ForwardingDisabled,
    }
    arrived(job, found, Direction::Reply);
    send(job, &flow, Direction::Reply, Reason::Reply)
}

/// Counts a packet of a connection, and advances its state.
#[inline(always)]
fn arrived<F: Translate, H: Hook, T: Tables>(
    job: &Job<'_, F, H, T>,
    found: &Found<'_, F>,
    direction: Direction,
) {
    let segment = &job.segment;
    let length = job
        .hook
        .network_length(segment.length as usize, segment.network as usize);
    let destination = job.tables.destination(found.destination);
    if is_available(destination) {
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
    connection::advance::<F>(
        job.settings,
        found,
        destination,
        segment.transport,
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

#[inline(always)]
fn query<A: Copy>(segment: &Segment<A>, flow: &Flow<A>) -> RouteQuery<A> {
    RouteQuery {
        source: flow.source,
        destination: flow.destination,
        flow_information: segment.flow_information,
        protocol: flow.protocol as u8,
        source_port: flow.source_port,
        destination_port: flow.destination_port,
        length: segment.length,
    }
}

/// Translates the packet, for that reason.
#[inline(always)]
fn send<F: Translate, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    flow: &Flow<F::Address>,
    direction: Direction,
    reason: Reason,
) -> Reason {
    let hop = match reason.outcome() {
        Outcome::Passed => Hop::Left,
        Outcome::Forwarded | Outcome::Answered | Outcome::Dropped => Hop::Taken,
    };
    match translate::<F, H>(job.hook, &job.segment, flow, direction, hop) {
        Ok(()) => reason,
        Err(_) => Reason::KernelRefused,
    }
}
