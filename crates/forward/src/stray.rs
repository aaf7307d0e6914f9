//! Packets of real servers that belong to no connection: with `nat_icmp_send` the real server is told
//! (`ip_vs_out`).
//!
//! What is for the director itself is left alone: there IPVS refuses the replies to its own health checks.

use weir_abi::keys::{Direction, ServerKey};
use weir_abi::reason::Reason;
use weir_abi::service::FORWARD_NAT;
use weir_abi::settings::Settings;
use weir_abi::sysctl::Sysctl;

use crate::family::{V4, V6};
use crate::hook::{Hook, Refused, Route};
use crate::icmp::{Answer, Problem, answer};
use crate::job::Job;
use crate::parse::{Segment, Transport, is_ipv6};
use crate::seldom::{read4, read6};
use crate::tables::Tables;
use crate::translate::{End, Translate};

/// Whether real servers are told.
#[inline(always)]
pub(crate) fn are_told(settings: &Settings) -> bool {
    settings.sysctl(Sysctl::NatIcmpSend).load() != 0
}

/// Decides about a packet that nobody else wants.
#[inline(always)]
pub fn stray<H: Hook, T: Tables>(hook: &mut H, tables: &T) -> H::Verdict {
    let reason = if is_ipv6(hook, H::TAGS) {
        of_ipv6(hook, tables)
    } else {
        of_ipv4(hook, tables)
    };
    hook.conclude(reason)
}

#[cfg_attr(target_arch = "bpf", inline(never))]
fn of_ipv4<H: Hook, T: Tables>(hook: &mut H, tables: &T) -> Reason {
    let Some(settings) = tables.settings() else {
        return Reason::NotOurs;
    };
    let mut job = Job::<V4, H, T>::new(hook, tables, settings, Segment::default());
    match read4(&mut job) {
        Ok(()) => tell(&mut job),
        Err(reason) => reason,
    }
}

#[cfg_attr(target_arch = "bpf", inline(never))]
fn of_ipv6<H: Hook, T: Tables>(hook: &mut H, tables: &T) -> Reason {
    let Some(settings) = tables.settings() else {
        return Reason::NotOurs;
    };
    let mut job = Job::<V6, H, T>::new(hook, tables, settings, Segment::default());
    match read6(&mut job) {
        Ok(()) => tell(&mut job),
        Err(reason) => reason,
    }
}

#[inline(always)]
fn tell<F: Translate + Answer, H: Hook, T: Tables>(job: &mut Job<'_, F, H, T>) -> Reason {
    let ends_one = match job.segment.transport() {
        Transport::Tcp(flags) => flags.rst(),
        Transport::Sctp(event) => event.is_abort(),
        Transport::Udp => false,
        Transport::Secured => true,
    };
    // The kernel's forwarding judges hops before IPVS sees the packet.
    if ends_one || job.segment.hops <= 1 {
        return Reason::NotOurs;
    }
    let Some(own) = own_address(job) else {
        return Reason::NotOurs;
    };
    let end = End {
        address: job.segment.flow.source,
        port: job.segment.flow.source_port,
    };
    let hook = &mut *job.hook;
    match hook.route::<F, T>(job.tables, &job.segment, Direction::Reply, end) {
        Route::Known | Route::NoNeighbour | Route::NotTransmittable => {}
        Route::Unreachable | Route::ForwardingDisabled | Route::TooBig(_) => {
            return Reason::NotOurs;
        }
    }
    let told = F::take_hop(job.hook, job.segment.network as usize).ok_or(Refused);
    // The error comes from the director, as the packet was not for it.
    job.segment.flow.destination = own;
    let told =
        told.and_then(|()| answer::<F, H>(job.hook, &job.segment, Problem::PortUnreachable, 0));
    match told {
        Ok(()) => Reason::Stray,
        Err(Refused) => Reason::KernelRefused,
    }
}

/// The director's address towards who has sent the packet, if that is a real server by NAT
/// (`ip_vs_has_real_service`).
#[inline(always)]
fn own_address<F: Translate, H: Hook, T: Tables>(job: &Job<'_, F, H, T>) -> Option<F::Address> {
    let flow = &job.segment.flow;
    let key = ServerKey {
        address: F::widen(flow.source),
        port: flow.source_port,
        protocol: flow.protocol as u8,
        family: F::NUMBER,
    };
    let server = job.tables.destination(job.tables.server(&key)?)?;
    if server.address.load().forwarding != FORWARD_NAT {
        return None;
    }
    let [a, b, c, d] = server.tunnel.load().source;
    // Nobody has asked for it yet.
    if a | b | c | d == 0 {
        return None;
    }
    Some(F::narrow([a, b, c, d]))
}
