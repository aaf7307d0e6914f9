//! The way of packets about which something is to be asked: whose they are, where they go.

use weir_abi::NONE;
use weir_abi::connection::{HopCell, HopTerms, Word};
use weir_abi::fragment::AddressKey;
use weir_abi::keys::{Direction, FlowValue};
use weir_abi::reason::Reason;
use weir_abi::service::{Destination, ONE_PACKET};
use weir_abi::settings::{
    Link, USE_CALLS, USE_CHECKS, USE_FAREWELLS, USE_FULL_NAT, USE_OBSERVATION, USE_OTHER_FAMILY,
    USE_OWN_TIMEOUTS,
};
use weir_abi::sysctl::Sysctl;
use weir_wire::ethernet::Ethernet;
use weir_wire::transport::{TCP, UDP};

use crate::begin::Begun;
use crate::connection::{self, Found};
use crate::cut::{self, hand_over, hand_over_only};
use crate::family::{Family, Record, V4, V6};
use crate::farewell;
use crate::full_nat::{claim, translate_other_end, turn_back, turn_to_client};
use crate::hook::{Hook, Refused, Route};
use crate::icmp::{Answer, Problem, answer, problem_of};
use crate::job::{
    Job, Method, advance, count, is_available, is_backup_only, is_local, method_of, send,
};
use crate::meet::{Met, begins};
use crate::nat64;
use crate::observe;
use crate::parse::{Parsed, Portion, Segment, Transport, parse};
use crate::part::Part;
use crate::process::Lookup;
use crate::reset::reset;
use crate::stray;
use crate::tables::Tables;
use crate::translate::{End, Translate, delta, replacement};
use crate::wrap::{Outer, wrap};

/// The way of those of IPv4.
#[inline(always)]
pub fn at_length4<H: Hook, T: Tables>(hook: &mut H, tables: &T) -> H::Verdict {
    let reason = match (tables.settings(), parse(hook, H::TAGS)) {
        (Some(settings), Parsed::V4(segment)) => {
            decide(&mut Job::<V4, H, T>::new(hook, tables, settings, segment))
        }
        (Some(_) | None, _other) => Reason::NotOurs,
    };
    // Said first, and so that what follows from it is known when this is compiled.
    if reason == Reason::Request {
        return hook.conclude(Reason::Request);
    }
    if reason == Reason::Application {
        return hook.go_on(tables, Part::Application4);
    }
    if reason == Reason::OtherFamily {
        return hook.go_on(tables, Part::Cross4);
    }
    if reason == Reason::NotFragmented {
        return cut::go_on(hook, tables);
    }
    if may_be_check::<H, T>(tables, reason) {
        return hook.go_on(tables, Part::Check);
    }
    if may_be_stray(tables, reason) {
        return hook.go_on(tables, Part::Stray);
    }
    hook.conclude(reason)
}

/// The way of those of IPv6.
#[inline(always)]
pub fn at_length6<H: Hook, T: Tables>(hook: &mut H, tables: &T) -> H::Verdict {
    let reason = match tables.settings() {
        Some(settings) => {
            let mut job = Job::<V6, H, T>::new(hook, tables, settings, Segment::default());
            match read6(&mut job) {
                Ok(()) => decide(&mut job),
                Err(reason) => reason,
            }
        }
        None => Reason::NotOurs,
    };
    // Said first, and so that what follows from it is known when this is compiled.
    if reason == Reason::Request {
        return hook.conclude(Reason::Request);
    }
    if reason == Reason::Application {
        return hook.go_on(tables, Part::Application6);
    }
    if reason == Reason::OtherFamily {
        return hook.go_on(tables, Part::Cross6);
    }
    if may_be_check::<H, T>(tables, reason) {
        return hook.go_on(tables, Part::Check);
    }
    if may_be_stray(tables, reason) {
        return hook.go_on(tables, Part::Stray);
    }
    hook.conclude(reason)
}

/// Whether a packet that nobody wants may be a real server's that is to be told so.
#[inline(always)]
pub(crate) fn may_be_stray<T: Tables>(tables: &T, reason: Reason) -> bool {
    let are_told = match tables.settings() {
        Some(settings) => stray::are_told(settings),
        None => false,
    };
    reason == Reason::NotOurs && are_told
}

/// Whether a packet that nobody wants may be the reply to a check, or a real server's own call.
#[inline(always)]
fn may_be_check<H: Hook, T: Tables>(tables: &T, reason: Reason) -> bool {
    if !H::CHECKS || reason != Reason::NotOurs {
        return false;
    }
    match tables.settings() {
        Some(settings) => settings.uses(USE_CHECKS | USE_CALLS),
        None => false,
    }
}

/// Reads a packet of IPv6: a function of its own, so that what it needs of the stack is free again.
#[cfg_attr(target_arch = "bpf", inline(never))]
fn read6<H: Hook, T: Tables>(job: &mut Job<'_, V6, H, T>) -> Result<(), Reason> {
    match parse(job.hook, H::TAGS) {
        Parsed::V6(segment) => {
            job.segment = segment;
            Ok(())
        }
        Parsed::V4(_) | Parsed::Pass(_) | Parsed::Seldom4 | Parsed::Seldom6 => Err(Reason::NotOurs),
    }
}

#[inline(always)]
fn decide<F: Translate + Answer, H: Hook, T: Tables>(job: &mut Job<'_, F, H, T>) -> Reason {
    let flow = match job.tables.handover() {
        Some(handover) if handover.is_unknown.load() != 0 => Lookup::Unknown,
        Some(_) | None => Lookup::Perhaps,
    };
    decide_after(job, flow)
}

/// Decides about a packet of which that is known.
#[inline(always)]
pub(crate) fn decide_after<F: Translate + Answer, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    flow: Lookup,
) -> Reason {
    let belongs = connection_of(job, flow);
    if job.settings.uses(USE_OTHER_FAMILY) && nat64::is_left(job, &belongs) {
        return Reason::OtherFamily;
    }
    finish(job, belongs)
}

/// Forwards a packet, or says why not.
#[inline(always)]
pub(crate) fn finish<F: Translate + Answer, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    belongs: Result<Belongs, Reason>,
) -> Reason {
    let reason = match belongs {
        Ok(Belongs::First(begun)) => {
            let reason = request(job, begun.slot, true);
            // Nearly always that is all.
            if reason == Reason::Request && !job.is_unfinished() && !begun.is_only {
                return Reason::Request;
            }
            let reason = wrapped(job, reason);
            let reason = with_local(job, reason, begun.slot, Direction::Request);
            // Its later fragments are to find it.
            if begun.is_only && job.hook.portion(&job.segment) == Portion::Whole {
                if !H::MAY_LEAVE && reason == Reason::NotFragmented {
                    hand_over_only(job.tables, begun.slot);
                } else {
                    end_at_once::<F, T>(job.tables, begun.slot);
                }
            }
            reason
        }
        Ok(Belongs::Request(slot)) if is_left(job, slot, Direction::Request) => Reason::Application,
        Ok(Belongs::Reply(slot)) if is_left(job, slot, Direction::Reply) => Reason::Application,
        Ok(Belongs::Request(slot)) => {
            let reason = request(job, slot, false);
            let reason = wrapped(job, reason);
            with_local(job, reason, slot, Direction::Request)
        }
        Ok(Belongs::Reply(slot)) => {
            if job.settings.uses(USE_FULL_NAT) {
                turn_to_client(job, slot);
            }
            let reason = reply(job, slot);
            let reason = with_local(job, reason, slot, Direction::Reply);
            if job.has_local {
                turn_back(job, slot);
            }
            reason
        }
        Err(reason) => reason,
    };
    answered(job, reason)
}

/// Makes the packet the error that answers it, where the reason wants that.
#[inline(always)]
pub(crate) fn answered<F: Translate + Answer, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    reason: Reason,
) -> Reason {
    let answered = match problem_of(reason) {
        Some(problem) => err(job, problem),
        None if reason == Reason::Reset => reset::<F, H>(job.hook, &job.segment),
        None => return reason,
    };
    match answered {
        Ok(()) => reason,
        Err(Refused) => Reason::KernelRefused,
    }
}

/// Makes the packet the error that tells of a problem, and counts that where it is one of a connection.
#[inline(always)]
pub(crate) fn err<F: Translate + Answer, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    problem: Problem,
) -> Result<(), Refused> {
    // Size is judged after the hop is taken (`__ip_vs_get_out_rt`), and the error quotes the packet so.
    if problem == Problem::TooBig {
        F::take_hop(job.hook, job.segment.network as usize).ok_or(Refused)?;
    }
    if job.error_counts != NONE {
        let bytes = F::error_length(job.segment.length as usize) as u64;
        job.tables.count(job.error_counts, |counters| {
            counters.out_packets += 1;
            counters.out_bytes += bytes;
        });
    }
    answer::<F, H>(job.hook, &job.segment, problem, job.mtu)
}

/// Whether the packet is left to the part that reads payload, which is told whose it is.
#[inline(always)]
fn is_left<F: Translate, H: Hook, T: Tables>(
    job: &Job<'_, F, H, T>,
    slot: u32,
    direction: Direction,
) -> bool {
    let (Some(handover), Some(record)) = (job.tables.handover(), job.tables.connection::<F>(slot))
    else {
        return false;
    };
    handover.entry.store(FlowValue::new(slot, direction).0);
    job.hook.portion(&job.segment) == Portion::Whole
        && connection::speaks_of_addresses(&record.endpoints().load())
}

/// The connection that a packet belongs to: its slot.
pub(crate) enum Belongs {
    /// The packet has begun it.
    First(Begun),
    /// It comes from the client.
    Request(u32),
    /// It comes from the real server.
    Reply(u32),
}

/// The connection that the packet belongs to, which it may have begun.
#[inline(always)]
pub(crate) fn connection_of<F: Translate, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    flow: Lookup,
) -> Result<Belongs, Reason> {
    if let Some(reason) = backup_only(job, flow) {
        return Err(reason);
    }
    let mark = mark_of(job);
    let met = match flow {
        // There is nothing to search, nor a function to call for it.
        Lookup::Unknown => begins::<F, T>(job.tables, job.settings, &job.segment, mark),
        Lookup::Perhaps => job.tables.meet::<F>(&job.segment, job.now, mark),
    };
    let is_unknown = match met {
        Met::Connection(_) => false,
        Met::Service(_) | Met::Nothing(_) => true,
    };
    if is_unknown && let Some(slot) = awaiting(job) {
        return Ok(Belongs::Request(slot));
    }
    match met {
        Met::Connection(value) => match value.direction() {
            Direction::Request => Ok(Belongs::Request(value.slot())),
            Direction::Reply => Ok(Belongs::Reply(value.slot())),
        },
        Met::Service(_) if is_for_another(job) => Err(Reason::OtherStation),
        Met::Service(service) if H::MAY_LEAVE && is_for_one_packet::<F, H, T>(job, service) => {
            Err(Reason::NotTransmittable)
        }
        Met::Service(service) => begin_with(job, service),
        Met::Nothing(reason) => Err(reason),
    }
}

/// Begins a connection of that service.
#[inline(always)]
pub(crate) fn begin_with<F: Translate, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    service: u32,
) -> Result<Belongs, Reason> {
    let begun = job.tables.begin::<F>(&job.segment, service, job.now)?;
    let uses = job.settings.uses.load();
    if uses & (USE_FULL_NAT | USE_OBSERVATION) == 0 {
        return Ok(Belongs::First(begun));
    }
    if uses & USE_FULL_NAT != 0 {
        claim::<F, T>(job.tables, begun.slot)?;
    }
    if uses & USE_OBSERVATION != 0 {
        let is_tcp = job.segment.flow.protocol as u8 == TCP;
        observe::begun::<F, T>(job.tables, begun.slot, is_tcp && job.segment.is_new());
    }
    Ok(Belongs::First(begun))
}

/// Whether the packet is to be a connection of its own (`-o`). The slower hook does not find such, so that one
/// which is left to it would be scheduled twice: always past the real server that cannot be reached yet.
#[inline(always)]
fn is_for_one_packet<F: Translate, H: Hook, T: Tables>(
    job: &Job<'_, F, H, T>,
    service: u32,
) -> bool {
    if job.segment.flow.protocol as u8 != UDP {
        return false;
    }
    match job.tables.service(service) {
        Some(service) => service.flags.load() & ONE_PACKET != 0,
        None => false,
    }
}

/// Why a packet is not for us while the director is the backup of a sync master and nothing else
/// (`backup_only`): all are left to the kernel but replies.
#[inline(always)]
fn backup_only<F: Translate, H: Hook, T: Tables>(
    job: &Job<'_, F, H, T>,
    flow: Lookup,
) -> Option<Reason> {
    if !is_backup_only(job.settings) {
        return None;
    }
    if flow == Lookup::Perhaps
        && let Some(entry) = job.tables.search::<F>(&job.segment.flow)
        && entry.direction() == Direction::Reply
    {
        return None;
    }
    let address = AddressKey {
        address: F::widen(job.segment.flow.destination),
        family: F::NUMBER as u32,
    };
    Some(if job.tables.is_known_address(&address) {
        Reason::BackupOnly
    } else {
        Reason::NotOurs
    })
}

/// FTP's data connection that waits for this packet, from whatever port it comes.
#[inline(always)]
fn awaiting<F: Translate, H: Hook, T: Tables>(job: &mut Job<'_, F, H, T>) -> Option<u32> {
    let is_tcp = job.segment.flow.protocol as u8 == TCP;
    if job.settings.ftp_services.load() == 0 || !is_tcp || !job.segment.is_new() {
        return None;
    }
    // As it lies in its table until then.
    let port = job.segment.flow.source_port;
    job.segment.flow.source_port = 0;
    let entry = job.tables.search::<F>(&job.segment.flow);
    job.segment.flow.source_port = port;
    let slot = entry?.slot();
    job.tables.fill_client_port::<F>(slot, port).then_some(slot)
}

/// The packet's firewall mark, where services are named by such: of who was before us, or of a rule.
#[inline(always)]
fn mark_of<F: Translate, H: Hook, T: Tables>(job: &Job<'_, F, H, T>) -> u32 {
    if job.settings.mark_services.load() == 0 {
        return 0;
    }
    let mark = job.hook.mark();
    if mark != 0 || job.settings.marks.load() == 0 {
        return mark;
    }
    job.tables.mark::<F>(&job.segment, job.hook.ingress())
}

/// Wraps a request for its real server, if it is to be.
#[inline(always)]
pub(crate) fn wrapped<F: Translate, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    reason: Reason,
) -> Reason {
    if job.to_wrap == NONE {
        return reason;
    }
    match wrap::<F, H, T>(job.hook, job.tables, &job.segment, job.to_wrap) {
        Ok(()) => reason,
        Err(Refused) => Reason::KernelRefused,
    }
}

/// Translates the other end of a packet as well, if it is to be (FULLNAT).
#[inline(always)]
pub(crate) fn with_local<F: Translate, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    reason: Reason,
    slot: u32,
    direction: Direction,
) -> Reason {
    // Under other reasons it is as it came, or dropped.
    let is_translated = matches!(
        reason,
        Reason::Request | Reason::Reply | Reason::ToBeFragmented | Reason::LocalServer
    );
    if !job.has_local || !is_translated {
        return reason;
    }
    match translate_other_end(job, slot, direction) {
        Ok(()) => reason,
        Err(Refused) => Reason::KernelRefused,
    }
}

/// Ends a connection of one packet (`-o`) with that packet.
#[inline(always)]
pub(crate) fn end_at_once<F: Family, T: Tables>(tables: &T, slot: u32) {
    if let Some(record) = tables.connection::<F>(slot) {
        tables.end::<F>(slot, Word(record.word().load()));
    }
}

/// Whether the frame was sent to another station than the interface that took it.
#[inline(always)]
pub(crate) fn is_for_another<F: Translate, H: Hook, T: Tables>(job: &Job<'_, F, H, T>) -> bool {
    match (job.hook.station(job.tables), job.hook.header::<Ethernet>(0)) {
        (Some(station), Some(link)) => !link.is_for(station.0),
        (None, Some(_) | None) | (Some(_), None) => false,
    }
}

/// A client's packet on its way to the real server.
#[cfg_attr(target_arch = "bpf", inline(never))]
pub(crate) fn request<F: Translate, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    slot: u32,
    is_first: bool,
) -> Reason {
    let Some(found) = connection::get::<F, T>(job.tables, slot) else {
        return Reason::Contended;
    };
    let found = &found;
    let endpoints = found.record.endpoints().load();
    let end = replacement(&endpoints, Direction::Request);
    let delta = delta::<F>(&job.segment, end, Direction::Request);
    let Some(method) = method_of(endpoints.forwarding) else {
        return Reason::KernelRefused;
    };
    // Read before all else: what changes meanwhile raises it, and is asked again.
    let generation = job.settings.routes_generation.load();
    let destination = job.tables.destination(found.destination);
    let is_available = is_available(destination);
    let route = match (method, destination) {
        (Method::Wrapped, Some(destination)) => route_outer(job, generation, destination),
        (Method::Wrapped, None)
        | (Method::Translated | Method::FullyTranslated | Method::Unchanged, _) => route(
            job,
            found,
            Direction::Request,
            (end, delta),
            generation,
            (destination, is_available),
        ),
    };
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
        advance(job, found, job.transport(), Direction::Request);
    }
    if job.settings.uses(USE_OWN_TIMEOUTS) {
        connection::keep_own_timeout::<F, T>(job.tables, found.slot, job.now);
    }
    if job.settings.uses(USE_FAREWELLS) {
        let cells = found.record.acknowledged();
        farewell::note(job.hook, &job.segment, cells, Direction::Request);
    }
    let is_plain = matches!(route, Route::Known) && job.segment.hops > 1;
    let is_local = matches!(route, Route::Unreachable) && is_local(destination);
    let reason = if is_plain {
        Reason::Request
    } else {
        // IPVS sees its own errors leave, from the VIP, and takes them for replies of connections whose
        // real servers reply from there (`ip_vs_out_icmp`).
        if is_available && matches!(method, Method::Unchanged | Method::Wrapped) {
            job.error_counts = found.destination;
        }
        if job.segment.hops <= 1 && !is_local {
            return Reason::TimeExceeded;
        }
        match route {
            Route::Known => Reason::Request,
            Route::Unreachable if is_local => Reason::LocalServer,
            // Rewritten, and left to the kernel, which fragments what it forwards.
            Route::TooBig(mtu) if job.segment.is_fragmentable() => match method {
                Method::Translated => Reason::ToBeFragmented,
                // The kernel takes no packet from the director's own address: the client fragments it.
                Method::FullyTranslated => {
                    job.mtu = mtu;
                    return Reason::TooBig;
                }
                Method::Unchanged | Method::Wrapped => {
                    hand_over(job.tables, mtu, job.error_counts);
                    return Reason::NotFragmented;
                }
            },
            Route::TooBig(mtu) => {
                job.mtu = mtu;
                return Reason::TooBig;
            }
            Route::ForwardingDisabled => return Reason::ForwardingDisabled,
            Route::Unreachable | Route::NoNeighbour | Route::NotTransmittable => {
                return Reason::HostUnreachable;
            }
        }
    };
    if method == Method::Wrapped && !is_local {
        job.to_wrap = found.destination;
        return Reason::Request;
    }
    job.has_local = method == Method::FullyTranslated;
    // Read again, so that it takes no stack while the way is asked for.
    let end = replacement(&found.record.endpoints().load(), Direction::Request);
    let transport = job.transport();
    match send(
        job,
        method,
        transport,
        end,
        delta,
        Direction::Request,
        reason,
    ) {
        Ok(()) => reason,
        Err(Refused) => Reason::KernelRefused,
    }
}

/// A real server's packet on its way to the client.
#[cfg_attr(target_arch = "bpf", inline(never))]
pub(crate) fn reply<F: Translate, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    slot: u32,
) -> Reason {
    // In IPVS the kernel's forwarding has judged hops and size before it sees a reply, and tells
    // the real server itself. (What comes to an address of the director's it would not forward.)
    if job.segment.hops <= 1 {
        return if job.has_local {
            Reason::TimeExceeded
        } else {
            Reason::ReplyRefused
        };
    }
    let Some(found) = connection::get::<F, T>(job.tables, slot) else {
        return Reason::Contended;
    };
    let found = &found;
    let end = replacement(&found.record.endpoints().load(), Direction::Reply);
    let generation = job.settings.routes_generation.load();
    let destination = job.tables.destination(found.destination);
    let is_available = is_available(destination);
    let delta = delta::<F>(&job.segment, end, Direction::Reply);
    let route = route(
        job,
        found,
        Direction::Reply,
        (end, delta),
        generation,
        (destination, is_available),
    );
    match route {
        Route::Known => {}
        Route::NoNeighbour => return Reason::NoNeighbour,
        Route::NotTransmittable => return Reason::NotTransmittable,
        Route::TooBig(mtu) if job.has_local => {
            job.mtu = mtu;
            return Reason::TooBig;
        }
        Route::TooBig(_) => return Reason::ReplyRefused,
        Route::Unreachable => return Reason::NoRoute,
        Route::ForwardingDisabled => return Reason::ForwardingDisabled,
    }
    if is_available {
        count(job, found, Direction::Reply);
    }
    if job.settings.uses(USE_OBSERVATION)
        && let Transport::Tcp(control) = job.transport()
    {
        observe::replied::<F, T>(job.tables, slot, control);
    }
    advance(job, found, job.transport(), Direction::Reply);
    if job.settings.uses(USE_OWN_TIMEOUTS) {
        connection::keep_own_timeout::<F, T>(job.tables, found.slot, job.now);
    }
    if job.settings.uses(USE_FAREWELLS) {
        let cells = found.record.acknowledged();
        farewell::note(job.hook, &job.segment, cells, Direction::Reply);
    }
    let transport = job.transport();
    match send(
        job,
        Method::Translated,
        transport,
        end,
        delta,
        Direction::Reply,
        Reason::Reply,
    ) {
        Ok(()) => Reason::Reply,
        Err(Refused) => Reason::KernelRefused,
    }
}

/// Asks where the packet goes once it is wrapped, and lets the real server remember it: with the size
/// of the largest packet that fits when wrapped.
#[inline(always)]
pub(crate) fn route_outer<F: Translate, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    generation: u32,
    destination: &Destination,
) -> Route {
    if way_to_server(job, &destination.hop, generation).is_some() {
        return Route::Known;
    }
    let outer = Outer::of::<F>(destination);
    let route = job
        .hook
        .route_outer::<F, T>(job.tables, &job.segment, &outer);
    match route {
        Route::Known => {
            if let Some((link, mtu)) = job.hook.learnt() {
                let room = mtu.saturating_sub(outer.overhead);
                destination
                    .hop
                    .remember(link, HopTerms::new(generation, room, 0));
            }
            Route::Known
        }
        Route::TooBig(mtu) => Route::TooBig(mtu.saturating_sub(outer.overhead)),
        other @ (Route::NoNeighbour
        | Route::NotTransmittable
        | Route::Unreachable
        | Route::ForwardingDisabled) => other,
    }
}

/// Asks where the packet goes, and lets the connection remember it. `generation` was in force before the
/// real server was looked at.
#[inline(always)]
pub(crate) fn route<F: Translate, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    found: &Found<'_, F>,
    direction: Direction,
    (end, delta): (End<F::Address>, u16),
    generation: u32,
    (destination, is_available): (Option<&Destination>, bool),
) -> Route {
    let to_server = match direction {
        Direction::Request => destination.map(|destination| &destination.hop),
        Direction::Reply => None,
    };
    if let Some(hop) = to_server
        && let Some((link, mtu)) = way_to_server(job, hop, generation)
    {
        if is_available {
            learn(job, found, direction, delta, generation, (link, mtu));
        }
        return Route::Known;
    }
    let asked = asked_by(job, direction, end);
    let route = job
        .hook
        .route::<F, T>(job.tables, &job.segment, direction, asked);
    match route {
        Route::Known => {
            // Nothing of a removed real server is remembered: each packet of its asks.
            if is_available && let Some((link, mtu)) = job.hook.learnt() {
                learn(job, found, direction, delta, generation, (link, mtu));
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

/// What routing is asked by: replies go the way of what comes from the VIP, or without `snat_reroute` that of
/// what the real server has sent (`ip_vs_route_me_harder`).
#[inline(always)]
pub(crate) fn asked_by<F: Translate, H: Hook, T: Tables>(
    job: &Job<'_, F, H, T>,
    direction: Direction,
    end: End<F::Address>,
) -> End<F::Address> {
    match direction {
        Direction::Reply if job.settings.sysctl(Sysctl::SnatReroute).load() == 0 => End {
            address: job.segment.flow.source,
            port: job.segment.flow.source_port,
        },
        Direction::Reply | Direction::Request => end,
    }
}

/// Goes the way that another connection's packet went to the same real server, if that still holds.
/// As in IPVS, whose real servers keep their route (`ip_vs_dest_dst`), the client does not matter.
#[inline(always)]
pub(crate) fn way_to_server<F: Translate, H: Hook, T: Tables>(
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
pub(crate) fn learn<F: Translate, H: Hook, T: Tables>(
    job: &Job<'_, F, H, T>,
    found: &Found<'_, F>,
    direction: Direction,
    delta: u16,
    generation: u32,
    (link, mtu): (Link, u16),
) {
    // So that all its packets come here, and go on to be read.
    if connection::speaks_of_addresses(&found.record.endpoints().load()) {
        return;
    }
    // So that all its packets come here, and what they acknowledge is remembered.
    if job.settings.uses(USE_FAREWELLS) && farewell::is_wanted(job.tables, found.destination) {
        return;
    }
    // So that all its packets come here, and its service's own timeouts are asked for.
    if job.settings.uses(USE_OWN_TIMEOUTS)
        && connection::own_timeouts(job.tables, found.destination).is_some()
    {
        return;
    }
    let hop = found.record.hop(direction);
    hop.remember(link, HopTerms::new(generation, mtu, delta));
}
