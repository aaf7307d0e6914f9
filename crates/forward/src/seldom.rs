//! SCTP, AH and ESP: protocols that most directors never see. All goes the long way, as a part of its own, so
//! that the way of the others is not made longer.

use weir_abi::reason::Reason;

use crate::family::{V4, V6};
use crate::hook::Hook;
use crate::job::Job;
use crate::length::{decide_after, may_be_stray};
use crate::parse::{Parsed, Segment, parse_seldom4, parse_seldom6};
use crate::part::Part;
use crate::process::Lookup;
use crate::tables::Tables;

/// The way of those of IPv4.
#[inline(always)]
pub fn seldom4<H: Hook, T: Tables>(hook: &mut H, tables: &T) -> H::Verdict {
    let reason = match tables.settings() {
        Some(settings) => {
            let mut job = Job::<V4, H, T>::new(hook, tables, settings, Segment::default());
            match read4(&mut job) {
                Ok(()) => decide_after(&mut job, Lookup::Perhaps),
                Err(reason) => reason,
            }
        }
        None => Reason::NotOurs,
    };
    if reason == Reason::NotFragmented {
        return hook.go_on(tables, Part::Cut);
    }
    if may_be_stray(tables, reason) {
        return hook.go_on(tables, Part::Stray);
    }
    hook.conclude(reason)
}

/// The way of those of IPv6.
#[inline(always)]
pub fn seldom6<H: Hook, T: Tables>(hook: &mut H, tables: &T) -> H::Verdict {
    let reason = match tables.settings() {
        Some(settings) => {
            let mut job = Job::<V6, H, T>::new(hook, tables, settings, Segment::default());
            match read6(&mut job) {
                Ok(()) => decide_after(&mut job, Lookup::Perhaps),
                Err(reason) => reason,
            }
        }
        None => Reason::NotOurs,
    };
    if may_be_stray(tables, reason) {
        return hook.go_on(tables, Part::Stray);
    }
    hook.conclude(reason)
}

/// Reads a packet of IPv4: a function of its own, so that what it needs of the stack is free again.
#[cfg_attr(target_arch = "bpf", inline(never))]
pub(crate) fn read4<H: Hook, T: Tables>(job: &mut Job<'_, V4, H, T>) -> Result<(), Reason> {
    match parse_seldom4(job.hook, H::TAGS) {
        Parsed::V4(segment) => {
            job.segment = segment;
            Ok(())
        }
        Parsed::Pass(reason) => Err(reason),
        Parsed::V6(_) | Parsed::Seldom4 | Parsed::Seldom6 => Err(Reason::NotOurs),
    }
}

/// The same of IPv6.
#[cfg_attr(target_arch = "bpf", inline(never))]
pub(crate) fn read6<H: Hook, T: Tables>(job: &mut Job<'_, V6, H, T>) -> Result<(), Reason> {
    match parse_seldom6(job.hook, H::TAGS) {
        Parsed::V6(segment) => {
            job.segment = segment;
            Ok(())
        }
        Parsed::Pass(reason) => Err(reason),
        Parsed::V4(_) | Parsed::Seldom4 | Parsed::Seldom6 => Err(Reason::NotOurs),
    }
}
