//! The decision: what becomes of a packet.

use weir_abi::connection::HopTerms;
use weir_abi::keys::Direction;
use weir_abi::reason::Reason;
use weir_abi::settings::Link;

use crate::connection::{self, Find, Found};
use crate::family::{Record, V4, V6};
use crate::hook::{Hook, Refused};
use crate::job::{Job, Method, advance, count, method_of, send};
use crate::parse::{Parsed, Portion, Transport, parse};
use crate::part::{Part, part_of};
use crate::tables::Tables;
use crate::translate::{Translate, replacement};

/// What the fast way has seen of a packet's flow that it leaves to the [long one](crate::length).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// No connection has it.
    Unknown,
    /// A connection may have it.
    Perhaps,
}

/// Decides about one packet, rewrites it and sends it on its way: at once, which is the fast way that
/// most packets go, those of a connection about which nothing is to be asked; or by another part,
/// which begins anew where this one has changed nothing. (What it has found out would have to go
/// through memory, at the cost of every packet.)
#[inline(always)]
pub fn process<H: Hook, T: Tables>(hook: &mut H, tables: &T) -> H::Verdict {
    if hook.is_other_station() {
        return hook.conclude(Reason::OtherStation);
    }
    let Some(settings) = tables.settings() else {
        return hook.conclude(Reason::NotOurs);
    };
    let (went, part) = match parse(hook, H::TAGS) {
        Parsed::V4(segment) => {
            let went = goes_on(&mut Job::<V4, H, T>::new(hook, tables, settings, segment));
            (went, Part::Length4)
        }
        Parsed::V6(segment) => {
            let went = goes_on_apart(&mut Job::<V6, H, T>::new(hook, tables, settings, segment));
            (went, Part::Length6)
        }
        Parsed::Pass(reason) => {
            return match part_of(reason) {
                Some(part) => hook.go_on(tables, part),
                None => hook.conclude(reason),
            };
        }
        Parsed::Seldom4 => return hook.go_on(tables, Part::Seldom4),
        Parsed::Seldom6 => return hook.go_on(tables, Part::Seldom6),
    };
    match went {
        Ok(verdict) => verdict,
        Err(flow) => {
            if let Some(handover) = tables.handover() {
                handover.is_unknown.store(match flow {
                    Lookup::Unknown => 1,
                    Lookup::Perhaps => 0,
                });
            }
            hook.go_on(tables, part)
        }
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
    match (direction, job.hook.transport(&job.segment)) {
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
        (Direction::Request | Direction::Reply, Transport::Sctp(_) | Transport::Secured) => {
            Err(Lookup::Perhaps)
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
    // SAFETY: `parse`, which all segments on the fast way come from, reads whole packets only.
    unsafe { core::hint::assert_unchecked(segment.portion() == Portion::Whole) };
    let endpoints = found.record.endpoints().load();
    let method = match direction {
        Direction::Request => match method_of(endpoints.forwarding) {
            Some(method @ (Method::Translated | Method::Unchanged)) => method,
            Some(Method::Wrapped | Method::FullyTranslated) | None => return Err(Lookup::Perhaps),
        },
        Direction::Reply => Method::Translated,
    };
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
    if !connection::is_settled(job.settings, found.word, transport, direction, job.now) {
        advance(job, found, transport, direction);
    }
    let end = replacement(&endpoints, direction);
    let reason = match direction {
        Direction::Request => Reason::Request,
        Direction::Reply => Reason::Reply,
    };
    match send(
        job,
        method,
        transport,
        end,
        terms.delta(),
        direction,
        reason,
    ) {
        Ok(()) => Ok(job.hook.conclude(reason)),
        Err(Refused) => Ok(job.hook.conclude(Reason::KernelRefused)),
    }
}
