//! Health checks that go the way of their service's packets.
//!
//! A check is an ordinary socket of the director's that is connected to a real server's own address: so the
//! kernel has chosen route, neighbour and source. On its way out, a packet of such a socket gets the virtual
//! address in the place of the real server's, and is wrapped where the service's packets are: the real
//! server gets what it would get from a client. Its reply comes from the virtual address straight to the
//! director, and gets the real server's address back before the kernel routes it (as from an address that
//! may be the director's own it would be refused).

use weir_abi::check::{CheckKey, CheckWay};
use weir_abi::keys::{Direction, FAMILY_V6};
use weir_abi::reason::Reason;
use weir_abi::service::{FORWARD_DIRECT, FORWARD_TUNNEL, TUNNEL_GUE, Tunnel};
use weir_wire::checksum::Delta;
use weir_wire::transport::UDP;

use crate::call::is_from_server;
use crate::family::{Family, Flow, V4, V6};
use crate::hook::{Hook, Refused};
use crate::job::Job;
use crate::length::may_be_stray;
use crate::parse::{Parsed, Portion, Segment, Transport, is_ipv6, parse};
use crate::part::Part;
use crate::related::parse::Quoted;
use crate::related::{self, translate::TranslateErrors};
use crate::tables::Tables;
use crate::translate::{End, Hop, Translate, delta, translate};
use crate::wrap::wrap_by;

/// Lets a packet of a check's socket go that way; nothing where it is none that can.
#[inline(always)]
pub fn depart<H: Hook, T: Tables>(hook: &mut H, tables: &T, way: &CheckWay) -> Option<Reason> {
    let departed = if way.server.family == FAMILY_V6 {
        depart6(hook, tables, way)
    } else {
        depart4(hook, tables, way)
    };
    match departed {
        Ok(()) => Some(Reason::CheckRequest),
        Err(Reason::NotOurs) => None,
        Err(reason) => Some(reason),
    }
}

#[cfg_attr(target_arch = "bpf", inline(never))]
fn depart4<H: Hook, T: Tables>(hook: &mut H, tables: &T, way: &CheckWay) -> Result<(), Reason> {
    match parse(hook, H::TAGS) {
        Parsed::V4(segment) => redirect::<V4, H, T>(hook, tables, segment, way),
        Parsed::V6(_) | Parsed::Pass(_) | Parsed::Seldom4 | Parsed::Seldom6 => Err(Reason::NotOurs),
    }
}

#[cfg_attr(target_arch = "bpf", inline(never))]
fn depart6<H: Hook, T: Tables>(hook: &mut H, tables: &T, way: &CheckWay) -> Result<(), Reason> {
    match parse(hook, H::TAGS) {
        Parsed::V6(segment) => redirect::<V6, H, T>(hook, tables, segment, way),
        Parsed::V4(_) | Parsed::Pass(_) | Parsed::Seldom4 | Parsed::Seldom6 => Err(Reason::NotOurs),
    }
}

#[inline(always)]
fn redirect<F: Translate, H: Hook, T: Tables>(
    hook: &mut H,
    tables: &T,
    mut segment: Segment<F::Address>,
    way: &CheckWay,
) -> Result<(), Reason> {
    let is_direct = match way.server.forwarding {
        FORWARD_DIRECT => true,
        FORWARD_TUNNEL => false,
        _other => return Err(Reason::NotOurs),
    };
    // It may have come by here before, on an interface above this one: to the virtual address, or wrapped.
    let is_wrapped = !is_direct
        && way.tunnel.kind == TUNNEL_GUE
        && segment.flow.protocol as u8 == UDP
        && segment.flow.destination_port == way.tunnel.port;
    if segment.flow.destination != F::narrow(way.server.address)
        || is_wrapped
        || segment.portion() != Portion::Whole
    {
        return Err(Reason::NotOurs);
    }
    let key = CheckKey {
        virtual_address: way.virtual_address,
        virtual_port: segment.flow.destination_port,
        port: segment.flow.source_port,
        protocol: segment.flow.protocol as u8,
        family: F::NUMBER,
        padding: 0,
    };
    if tables.checked(&key) != Some(way.server.address) {
        tables.remember_checked(&key, &way.server.address);
    }
    let end = End {
        address: F::narrow(way.virtual_address),
        port: segment.flow.destination_port,
    };
    exchange::<F, H>(hook, &segment, end, Direction::Request)?;
    segment.flow.destination = end.address;
    if is_direct {
        return Ok(());
    }
    let tunnel = Tunnel {
        source: F::widen(segment.flow.source),
        ..way.tunnel
    };
    match wrap_by::<F, H, T, true>(hook, tables, &segment, &tunnel, &way.server) {
        Ok(()) => Ok(()),
        Err(Refused) => Err(Reason::KernelRefused),
    }
}

/// Decides about a packet that nobody else wants: whether it is the reply to a check, or a real server's own
/// call.
#[inline(always)]
pub fn arrive<H: Hook, T: Tables>(hook: &mut H, tables: &T) -> H::Verdict {
    let (arrived, call) = if is_ipv6(hook, H::TAGS) {
        (arrive6(hook, tables), Part::Call6)
    } else {
        (arrive4(hook, tables), Part::Call4)
    };
    match arrived {
        Ok(()) => hook.conclude(Reason::CheckReply),
        Err(Reason::Application) => hook.go_on(tables, call),
        Err(reason) if may_be_stray(tables, reason) => hook.go_on(tables, Part::Stray),
        Err(reason) => hook.conclude(reason),
    }
}

#[cfg_attr(target_arch = "bpf", inline(never))]
fn arrive4<H: Hook, T: Tables>(hook: &mut H, tables: &T) -> Result<(), Reason> {
    match parse(hook, H::TAGS) {
        Parsed::V4(segment) => match restore::<V4, H, T>(hook, tables, segment) {
            Err(Reason::NotOurs) if is_from_server::<V4, T>(tables, &segment.flow) => {
                Err(Reason::Application)
            }
            restored => restored.map(drop),
        },
        Parsed::V6(_) | Parsed::Pass(_) | Parsed::Seldom4 | Parsed::Seldom6 => Err(Reason::NotOurs),
    }
}

#[cfg_attr(target_arch = "bpf", inline(never))]
fn arrive6<H: Hook, T: Tables>(hook: &mut H, tables: &T) -> Result<(), Reason> {
    match parse(hook, H::TAGS) {
        Parsed::V6(segment) => {
            let delta = match restore::<V6, H, T>(hook, tables, segment) {
                Err(Reason::NotOurs) if is_from_server::<V6, T>(tables, &segment.flow) => {
                    return Err(Reason::Application);
                }
                restored => restored?,
            };
            // IPv6's header has no checksum that would make up for the change.
            hook.tell_of_change(Delta::from_folded(delta));
            Ok(())
        }
        Parsed::V4(_) | Parsed::Pass(_) | Parsed::Seldom4 | Parsed::Seldom6 => Err(Reason::NotOurs),
    }
}

/// Puts the real server's own address back; says what that has changed.
#[inline(always)]
fn restore<F: Translate, H: Hook, T: Tables>(
    hook: &mut H,
    tables: &T,
    segment: Segment<F::Address>,
) -> Result<u16, Reason> {
    let key = key_of::<F>(&segment.flow);
    let server = tables.checked(&key).ok_or(Reason::NotOurs)?;
    let end = End {
        address: F::narrow(server),
        port: segment.flow.source_port,
    };
    exchange::<F, H>(hook, &segment, end, Direction::Reply)
}

/// An ICMP error that is about no connection: one about a check is the kernel's, as if it were about what its
/// socket has sent.
#[cfg_attr(target_arch = "bpf", inline(never))]
pub(crate) fn error<F: TranslateErrors, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    quoted: &Quoted<F::Address>,
) -> Reason {
    let answers = &quoted.answers;
    let Some(server) = job.tables.checked(&key_of::<F>(answers)) else {
        return Reason::Icmp;
    };
    let end = End {
        address: F::narrow(server),
        port: answers.source_port,
    };
    let change = F::pseudo_change(F::delta(job.segment.flow.source, end.address));
    let (direction, hop) = (Direction::Reply, Hop::Left);
    match related::translate::translate::<F, H>(job.hook, &job.segment, quoted, end, direction, hop)
    {
        Ok(()) => {
            job.hook.tell_of_change(change);
            Reason::CheckReply
        }
        Err(Refused) => Reason::KernelRefused,
    }
}

/// The check whose replies have that flow, if any has.
#[inline(always)]
fn key_of<F: Family>(reply: &Flow<F::Address>) -> CheckKey {
    CheckKey {
        virtual_address: F::widen(reply.source),
        virtual_port: reply.source_port,
        port: reply.destination_port,
        protocol: reply.protocol as u8,
        family: F::NUMBER,
        padding: 0,
    }
}

/// Exchanges the real server's end of a packet; says what that has changed.
#[inline(always)]
fn exchange<F: Translate, H: Hook>(
    hook: &mut H,
    segment: &Segment<F::Address>,
    end: End<F::Address>,
    direction: Direction,
) -> Result<u16, Reason> {
    let transport = hook.transport(segment);
    match transport {
        Transport::Tcp(_) | Transport::Udp => {}
        Transport::Sctp(_) | Transport::Secured => return Err(Reason::NotOurs),
    }
    let delta = delta::<F>(segment, end, direction);
    match translate::<F, H>(hook, segment, transport, end, delta, direction, Hop::Left) {
        Ok(()) => Ok(delta),
        Err(Refused) => Err(Reason::KernelRefused),
    }
}
