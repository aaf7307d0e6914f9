//! Connections whose payload speaks of addresses: FTP's control connections by NAT (IPVS's `ip_vs_ftp`).
//!
//! The client says where it waits for the real server (PORT, EPRT), or asks the real server where that waits
//! (PASV, EPSV), which answers it. The data connection that follows belongs to the real server that has
//! spoken, and is made here before it begins. The answer to PASV names the real server's address, in whose
//! place goes the VIP; that changes the payload's length, and so all later sequence numbers.

pub mod ftp;
mod rewrite;
pub mod sequence;

use weir_abi::call::ENTRY_CALL;
use weir_abi::connection::{SPEECH_ACTIVE, SPEECH_EXTENDED_PASSIVE, SPEECH_PASSIVE, Word};
use weir_abi::keys::{Direction, FlowValue};
use weir_abi::reason::Reason;
use weir_wire::transport::Tcp;

use crate::connection::{Named, Opener, open_data};
use crate::family::{Family, Record, V4, V6};
use crate::hook::{Hook, Refused};
use crate::icmp::Answer;
use crate::job::Job;
use crate::length::{answered, reply, request};
use crate::local;
use crate::parse::{Parsed, Segment, parse};
use crate::part::Part;
use crate::state::tcp::is_established;
use crate::tables::Tables;
use crate::translate::Translate;
use ftp::{Heard, Listener};

/// The longest payload that is read.
const LONGEST: usize = 1500;

/// The way of packets of such connections of IPv4.
#[inline(always)]
pub fn application4<H: Hook, T: Tables>(hook: &mut H, tables: &T) -> H::Verdict {
    let Some(settings) = tables.settings() else {
        return hook.conclude(Reason::NotOurs);
    };
    if entry(tables).0 == ENTRY_CALL {
        return hook.go_on(tables, Part::Call4);
    }
    let mut job = Job::<V4, H, T>::new(hook, tables, settings, Segment::default());
    let reason = match read4(&mut job) {
        Ok(()) => go_on4(&mut job),
        Err(reason) => reason,
    };
    job.hook.conclude(reason)
}

/// The same of IPv6.
#[inline(always)]
pub fn application6<H: Hook, T: Tables>(hook: &mut H, tables: &T) -> H::Verdict {
    let Some(settings) = tables.settings() else {
        return hook.conclude(Reason::NotOurs);
    };
    if entry(tables).0 == ENTRY_CALL {
        return hook.go_on(tables, Part::Call6);
    }
    let mut job = Job::<V6, H, T>::new(hook, tables, settings, Segment::default());
    let reason = match read6(&mut job) {
        Ok(()) => go_on6(&mut job),
        Err(reason) => reason,
    };
    job.hook.conclude(reason)
}

/// Reads the headers: a function of its own, so that what it needs of the stack is free again.
#[cfg_attr(target_arch = "bpf", inline(never))]
fn read4<H: Hook, T: Tables>(job: &mut Job<'_, V4, H, T>) -> Result<(), Reason> {
    match parse(job.hook, H::TAGS) {
        Parsed::V4(segment) => {
            job.segment = segment;
            Ok(())
        }
        Parsed::Pass(reason) => Err(reason),
        Parsed::V6(_) | Parsed::Seldom4 | Parsed::Seldom6 => Err(Reason::NotOurs),
    }
}

#[cfg_attr(target_arch = "bpf", inline(never))]
fn read6<H: Hook, T: Tables>(job: &mut Job<'_, V6, H, T>) -> Result<(), Reason> {
    match parse(job.hook, H::TAGS) {
        Parsed::V6(segment) => {
            job.segment = segment;
            Ok(())
        }
        Parsed::Pass(reason) => Err(reason),
        Parsed::V4(_) | Parsed::Seldom4 | Parsed::Seldom6 => Err(Reason::NotOurs),
    }
}

/// What the part before has found out: whose packet it is.
#[inline(always)]
fn entry<T: Tables>(tables: &T) -> FlowValue {
    match tables.handover() {
        Some(handover) => FlowValue(handover.entry.load()),
        None => FlowValue(0),
    }
}

#[inline(always)]
fn go_on4<H: Hook, T: Tables>(job: &mut Job<'_, V4, H, T>) -> Reason {
    let entry = entry(job.tables);
    let mut heard = Heard::NOTHING;
    listen(job, entry, &mut heard);
    if let Err(reason) = obey(job, entry, &heard) {
        return reason;
    }
    let is_rewritten = match entry.direction() {
        Direction::Reply if heard.is_named() && !heard.is_extended() => {
            rewrite::name_vip(job, entry.slot(), &heard)
        }
        Direction::Request | Direction::Reply => Ok(()),
    };
    if is_rewritten
        .and_then(|()| sequence::adjust(job, entry))
        .is_err()
    {
        return Reason::KernelRefused;
    }
    send(job, entry)
}

/// No address is named over IPv6 that would have to be another: nothing is rewritten.
#[inline(always)]
fn go_on6<H: Hook, T: Tables>(job: &mut Job<'_, V6, H, T>) -> Reason {
    let entry = entry(job.tables);
    match attend6(job, entry) {
        Ok(()) => send(job, entry),
        Err(reason) => reason,
    }
}

/// Does what the packet says: a function of its own, so that what it needs of the stack is free again.
#[cfg_attr(target_arch = "bpf", inline(never))]
fn attend6<H: Hook, T: Tables>(
    job: &mut Job<'_, V6, H, T>,
    entry: FlowValue,
) -> Result<(), Reason> {
    let mut heard = Heard::NOTHING;
    listen(job, entry, &mut heard);
    obey(job, entry, &heard)
}

/// Sends the packet on as others are.
#[inline(always)]
fn send<F: Translate + Answer, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    entry: FlowValue,
) -> Reason {
    let reason = match entry.direction() {
        Direction::Request => request(job, entry.slot(), false),
        Direction::Reply if job.hook.is_made_here() => local::reply(job, entry.slot()),
        Direction::Reply => reply(job, entry.slot()),
    };
    answered(job, reason)
}

/// Hears what the packet says. (In another's frame: what a function returns here is one number.)
#[cfg_attr(target_arch = "bpf", inline(never))]
fn listen<F: Family + Translate, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    entry: FlowValue,
    heard: &mut Heard,
) {
    let (Some(record), Some(handover)) = (
        job.tables.connection::<F>(entry.slot()),
        job.tables.handover(),
    ) else {
        return;
    };
    if !is_established(Word(record.word().load()).state()) {
        return;
    }
    let Some((at, length)) = payload(job) else {
        return;
    };
    if length == 0 {
        return;
    }
    let asked = record.speech().asked.load();
    let state = &handover.listener;
    ftp::begin::<F>(state, entry.direction(), asked);
    let mut listener = Listener { state, at };
    let turns = if length < LONGEST { length } else { LONGEST };
    job.hook.turns(turns as u32, &mut listener);
    *heard = ftp::heard(state);
}

/// Where the payload lies in the frame, and how long it is.
#[inline(always)]
fn payload<F: Translate, H: Hook, T: Tables>(job: &Job<'_, F, H, T>) -> Option<(usize, usize)> {
    let segment = &job.segment;
    let tcp = job.hook.header::<Tcp>(segment.payload as usize)?;
    let at = segment.payload as usize + tcp.header_length();
    let end = segment.network as usize + segment.length as usize;
    (tcp.header_length() >= Tcp::LENGTH && at <= end).then(|| (at, end - at))
}

/// Does what was heard: remembers it, makes the data connection.
#[inline(always)]
fn obey<F: Translate, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    entry: FlowValue,
    heard: &Heard,
) -> Result<(), Reason> {
    let slot = entry.slot();
    let Some(record) = job.tables.connection::<F>(slot) else {
        return Err(Reason::Contended);
    };
    if heard.asks_passive() {
        record.speech().asked.store(SPEECH_PASSIVE);
    } else if heard.asks_extended_passive() {
        record.speech().asked.store(SPEECH_EXTENDED_PASSIVE);
    } else if heard.is_named() {
        let opener = match entry.direction() {
            Direction::Request => Opener::Server,
            Direction::Reply => Opener::Client,
        };
        let named = Named::new(heard.address(), heard.port());
        open_data::<F, T>(job.tables, slot, opener, named)?;
        record.speech().asked.store(SPEECH_ACTIVE);
    }
    Ok(())
}

/// Makes the whole packet readable where it lies.
#[inline(always)]
fn gather<F: Translate, H: Hook, T: Tables>(job: &mut Job<'_, F, H, T>) -> Result<(), Refused> {
    let whole = job.segment.network as usize + job.segment.length as usize;
    if job.hook.piece_length() != 0 {
        return Err(Refused);
    }
    job.hook.resize(whole)
}
