//! ICMP errors about connections, from the network and from real servers.
//!
//! An error quotes the packet that it is about. Turned round, that packet's flow is one of a
//! connection: the reply's, where a request did not reach the real server and the client is to hear
//! of it; the request's, where a reply did not reach the client. (IPVS: `ip_vs_out_icmp` and
//! `ip_vs_in_icmp`.)

pub mod parse;
pub mod translate;

use weir_abi::keys::{Direction, FlowValue};
use weir_abi::reason::Reason;
use weir_abi::service::{FORWARD_FULL_NAT, FORWARD_NAT};
use weir_abi::settings::{USE_CHECKS, USE_OTHER_FAMILY};
use weir_wire::ethernet::EtherType;
use weir_wire::icmp::IcmpError;

use crate::check;
use crate::connection;
use crate::family::{Record, V4, V6};
use crate::hook::{Hook, Refused, Route};
use crate::job::{Job, Method, count, is_available, is_backup_only, is_local, method_of};
use crate::length::{asked_by, route_outer, wrapped};
use crate::local;
use crate::nat64;
use crate::parse::{Segment, is_ipv6};
use crate::part::Part;
use crate::related::parse::{Quoted, link};
use crate::related::translate::{TranslateErrors, is_whole, translate};
use crate::tables::Tables;
use crate::translate::{End, Hop, replacement};

/// Decides about one such packet.
#[inline(always)]
pub fn related<H: Hook, T: Tables>(hook: &mut H, tables: &T) -> H::Verdict {
    let reason = reason(hook, tables);
    // What a packet of a connection is not, one around such may be.
    if reason == Reason::Icmp {
        hook.go_on(tables, Part::Tunnelled)
    } else if reason == Reason::OtherFamily {
        if is_ipv6(hook, H::TAGS) {
            hook.go_on(tables, Part::CrossError6)
        } else {
            hook.go_on(tables, Part::CrossError4)
        }
    } else {
        hook.conclude(reason)
    }
}

#[inline(always)]
fn reason<H: Hook, T: Tables>(hook: &mut H, tables: &T) -> Reason {
    match link(hook) {
        Some((EtherType::Ipv4, network)) => of_family::<V4, H, T>(hook, tables, network),
        Some((EtherType::Ipv6, network)) => of_family::<V6, H, T>(hook, tables, network),
        Some((EtherType::Vlan | EtherType::Other(_), _)) | None => Reason::Icmp,
    }
}

#[cfg_attr(target_arch = "bpf", inline(never))]
fn of_family<F: TranslateErrors, H: Hook, T: Tables>(
    hook: &mut H,
    tables: &T,
    network: usize,
) -> Reason {
    let Some(settings) = tables.settings() else {
        return Reason::NotOurs;
    };
    let mut quoted = Quoted::default();
    let mut job = Job::<F, H, T>::new(hook, tables, settings, Segment::default());
    let segment = &mut job.segment;
    if let Some(reason) = read::<F, H, T>(job.hook, tables, network, segment, &mut quoted) {
        return reason;
    }
    if let Some(reason) = find(&job, &mut quoted) {
        if reason == Reason::Icmp {
            local::count_error(&mut job, &quoted.answers);
        }
        if H::CHECKS && reason == Reason::Icmp && settings.uses(USE_CHECKS) {
            return check::error(&mut job, &quoted);
        }
        return reason;
    }
    let entry = FlowValue(quoted.entry);
    if settings.uses(USE_OTHER_FAMILY)
        && nat64::is_between::<F, T>(tables, entry)
        && let Some(handover) = tables.handover()
    {
        handover.entry.store(entry.0);
        return Reason::OtherFamily;
    }
    let reason = match entry.direction() {
        Direction::Request if is_backup_only(settings) => Reason::Icmp,
        Direction::Request => to_server(&mut job, entry.slot(), &quoted),
        Direction::Reply if job.hook.is_made_here() => {
            of_this_host(&mut job, entry.slot(), &quoted)
        }
        Direction::Reply => to_client(&mut job, entry.slot(), &quoted),
    };
    let reason = with_local(&mut job, entry, &quoted, reason);
    wrapped(&mut job, reason)
}

/// Reads an error and the packet that it quotes, or says why not. A function of its own for its stack.
#[cfg_attr(target_arch = "bpf", inline(never))]
pub(crate) fn read<F: TranslateErrors, H: Hook, T: Tables>(
    hook: &H,
    tables: &T,
    network: usize,
    segment: &mut Segment<F::Address>,
    quoted: &mut Quoted<F::Address>,
) -> Option<Reason> {
    match F::outer(hook, tables, network) {
        Ok(outer) => *segment = outer,
        Err(reason) => return Some(reason),
    }
    let error = segment.payload as usize;
    match hook.header::<IcmpError>(error) {
        Some(header) if F::is_error(header.kind()) => {}
        Some(_) | None => return Some(Reason::Icmp),
    }
    let end = segment.network as usize + segment.length as usize;
    match F::quoted(hook, tables, error + IcmpError::LENGTH, end) {
        Some(packet) => *quoted = packet,
        None => return Some(Reason::Icmp),
    }
    if F::can_be_source(segment.flow.source) {
        None
    } else {
        Some(Reason::MartianSource)
    }
}

/// Finds the connection that an error is about, or says why not.
#[cfg_attr(target_arch = "bpf", inline(never))]
fn find<F: TranslateErrors, H: Hook, T: Tables>(
    job: &Job<'_, F, H, T>,
    quoted: &mut Quoted<F::Address>,
) -> Option<Reason> {
    let Some(value) = job.tables.search::<F>(&quoted.answers) else {
        return Some(Reason::Icmp);
    };
    match connection::get::<F, T>(job.tables, value.slot()) {
        Some(found) if job.now.since(found.word.expires()) < 0 => {}
        Some(_) | None => return Some(Reason::Icmp),
    }
    quoted.entry = value.0;
    match is_whole::<F, H>(job.hook, &job.segment) {
        Ok(true) => None,
        Ok(false) => Some(Reason::IcmpDamaged),
        Err(Refused) => Some(Reason::KernelRefused),
    }
}

/// An error about a reply, on its way to the real server.
#[cfg_attr(target_arch = "bpf", inline(never))]
fn to_server<F: TranslateErrors, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    slot: u32,
    quoted: &Quoted<F::Address>,
) -> Reason {
    let Some(found) = connection::get::<F, T>(job.tables, slot) else {
        return Reason::Icmp;
    };
    let found = &found;
    let endpoints = found.record.endpoints().load();
    let destination = job.tables.destination(found.destination);
    if is_available(destination) {
        count(job, found, Direction::Request);
    }
    let Some(method) = method_of(endpoints.forwarding) else {
        return Reason::Icmp;
    };
    let end = replacement(&endpoints, Direction::Request);
    let route = match (method, destination) {
        (Method::Wrapped, Some(destination)) => {
            let generation = job.settings.routes_generation.load();
            route_outer(job, generation, destination)
        }
        (Method::Wrapped, None)
        | (Method::Translated | Method::FullyTranslated | Method::Unchanged, _) => job
            .hook
            .route::<F, T>(job.tables, &job.segment, Direction::Request, end),
    };
    let is_local = matches!(route, Route::Unreachable) && is_local(destination);
    if job.segment.hops <= 1 && !is_local {
        return Reason::IcmpUndeliverable;
    }
    let (reason, hop) = match route {
        Route::Known => (Reason::IcmpToServer, Hop::Taken),
        Route::Unreachable if is_local => (Reason::LocalServer, Hop::Left),
        // Left to the kernel, which fragments what it forwards.
        Route::TooBig(_) if job.segment.is_fragmentable() && method == Method::Translated => {
            (Reason::ToBeFragmented, Hop::Left)
        }
        Route::TooBig(_) | Route::Unreachable => return Reason::IcmpUndeliverable,
        Route::NoNeighbour => return Reason::NoNeighbour,
        Route::NotTransmittable => return Reason::NotTransmittable,
        Route::ForwardingDisabled => return Reason::ForwardingDisabled,
    };
    let sent = match (method, hop) {
        (Method::Translated | Method::FullyTranslated, Hop::Taken | Hop::Left) => {
            translate::<F, H>(job.hook, &job.segment, quoted, end, Direction::Request, hop)
        }
        (Method::Unchanged, Hop::Taken) => {
            F::take_hop(job.hook, job.segment.network as usize).ok_or(Refused)
        }
        (Method::Wrapped, Hop::Taken) => {
            job.to_wrap = found.destination;
            Ok(())
        }
        (Method::Unchanged | Method::Wrapped, Hop::Left) => Ok(()),
    };
    match sent {
        Ok(()) => {
            job.has_local = method == Method::FullyTranslated;
            reason
        }
        Err(Refused) => Reason::KernelRefused,
    }
}

/// An error about a request, on its way to the client. As IPVS does before it, the kernel's forwarding
/// judges hops and size of what is not for the director.
#[cfg_attr(target_arch = "bpf", inline(never))]
fn to_client<F: TranslateErrors, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    slot: u32,
    quoted: &Quoted<F::Address>,
) -> Reason {
    let Some(found) = connection::get::<F, T>(job.tables, slot) else {
        return Reason::Icmp;
    };
    let found = &found;
    let endpoints = found.record.endpoints().load();
    let end = replacement(&endpoints, Direction::Reply);
    let is_full = endpoints.forwarding == FORWARD_FULL_NAT;
    // The others' real servers answer past the director.
    if endpoints.forwarding != FORWARD_NAT && !is_full {
        return Reason::Icmp;
    }
    if is_full {
        // It came to an address of the director's.
        job.segment.flow.destination = endpoints.client;
    }
    if job.segment.hops <= 1 {
        return Reason::IcmpUndeliverable;
    }
    let asked = asked_by(job, Direction::Reply, end);
    match job
        .hook
        .route::<F, T>(job.tables, &job.segment, Direction::Reply, asked)
    {
        Route::Known => {}
        // For the director itself, or for nobody.
        Route::Unreachable => return Reason::Icmp,
        Route::TooBig(_) => return Reason::IcmpUndeliverable,
        Route::NoNeighbour => return Reason::NoNeighbour,
        Route::NotTransmittable => return Reason::NotTransmittable,
        Route::ForwardingDisabled => return Reason::ForwardingDisabled,
    }
    if is_available(job.tables.destination(found.destination)) {
        count(job, found, Direction::Reply);
    }
    let (direction, hop) = (Direction::Reply, Hop::Taken);
    match translate::<F, H>(job.hook, &job.segment, quoted, end, direction, hop) {
        Ok(()) => {
            job.has_local = is_full;
            Reason::IcmpToClient
        }
        Err(Refused) => Reason::KernelRefused,
    }
}

/// An error of a real server that is the director itself, which the kernel has routed already.
#[cfg_attr(target_arch = "bpf", inline(never))]
fn of_this_host<F: TranslateErrors, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    slot: u32,
    quoted: &Quoted<F::Address>,
) -> Reason {
    let Some(found) = connection::get::<F, T>(job.tables, slot) else {
        return Reason::NotOurs;
    };
    let destination = job.tables.destination(found.destination);
    let endpoints = found.record.endpoints().load();
    if endpoints.forwarding != FORWARD_NAT || !is_local(destination) {
        return Reason::NotOurs;
    }
    if is_available(destination) {
        count(job, &found, Direction::Reply);
    }
    let end = replacement(&endpoints, Direction::Reply);
    let (direction, hop) = (Direction::Reply, Hop::Left);
    match translate::<F, H>(job.hook, &job.segment, quoted, end, direction, hop) {
        Ok(()) => Reason::LocalReply,
        Err(Refused) => Reason::KernelRefused,
    }
}

/// Translates the end that NAT leaves alone as well (FULLNAT): towards the client its own address and port
/// stand again for the director's, which they are towards the real server. There the error comes from the
/// director's address too: the real server may know no way to who has sent it.
#[cfg_attr(target_arch = "bpf", inline(never))]
fn with_local<F: TranslateErrors, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    entry: FlowValue,
    quoted: &Quoted<F::Address>,
    reason: Reason,
) -> Reason {
    if !job.has_local {
        return reason;
    }
    let Some(record) = job.tables.connection::<F>(entry.slot()) else {
        return Reason::KernelRefused;
    };
    let local = record.local().load();
    let (opposite, end) = match entry.direction() {
        Direction::Request => {
            let end = End {
                address: local.address,
                port: local.port,
            };
            (Direction::Reply, end)
        }
        Direction::Reply => {
            job.segment.flow.destination = local.address;
            let endpoints = record.endpoints().load();
            let end = End {
                address: endpoints.client,
                port: endpoints.client_port,
            };
            (Direction::Request, end)
        }
    };
    match translate::<F, H>(job.hook, &job.segment, quoted, end, opposite, Hop::Left) {
        Ok(()) => reason,
        Err(Refused) => Reason::KernelRefused,
    }
}
