//! What holds a call to its real server: a template as others ([`crate::persist`]), but known by the Call-ID
//! beside the client's network.
//!
//! In the flow table it lies under hashes of both in the places of the client's address and port. Its port is
//! so never 0, which tells it from other templates; the client's network is kept beside. Hashes that are the
//! same are not taken for the same call: the Call-ID itself is in the `calls` table, and is compared.

use weir_abi::NONE;
use weir_abi::call::{Call, CallId, CallKey};
use weir_abi::connection::{Local, Word, template_protocol};
use weir_abi::keys::Direction;
use weir_abi::reason::Reason;
use weir_abi::service::Service;
use weir_abi::tick::Tick;

use super::read;
use crate::connection::{self, Find, TemplateOf};
use crate::family::{Family, Flow, Record};
use crate::flow_table::Put;
use crate::persist::{Template, holds, template_address, template_port};
use crate::tables::Tables;

/// The slot of the template of the call that has been read, for a client's flow of a service. Where it is new,
/// its real server is the scheduler's pick, or `chosen`; and one that names another than `chosen` is no more.
///
/// What needs much stack is in functions of their own.
#[inline(always)]
pub fn call_template<F: Family, T: Tables>(
    tables: &T,
    flow: &Flow<F::Address>,
    service: u32,
    chosen: u32,
    now: Tick,
) -> Result<u32, Reason> {
    match tables.find_call::<F>(flow, service, chosen, now)? {
        Template::Holds(slot) => return Ok(slot),
        Template::Outlived(slot) => tables.give_up::<F>(slot),
        Template::Nothing => {}
    }
    let destination = if chosen == NONE {
        tables
            .pick::<F>(service, flow, now)
            .ok_or(Reason::NoDestination)?
    } else {
        chosen
    };
    let of = TemplateOf {
        service,
        destination,
    };
    let slot = match tables.make_template::<F>(flow, of, now) {
        Err(Reason::TableFull) if tables.evict::<F>() => {
            tables.make_template::<F>(flow, of, now)?
        }
        made => made?,
    };
    let shown = match tables.give_call::<F>(slot) {
        Ok(()) => show::<F, T>(tables, slot),
        Err(reason) => Err(reason),
    };
    if shown != Ok(slot)
        && let Some(record) = tables.connection::<F>(slot)
    {
        tables.end::<F>(slot, Word(record.word().load()));
    }
    shown
}

/// Looks for the template of the call that has been read.
#[inline(always)]
pub fn find_call<F: Family, T: Tables>(
    tables: &T,
    flow: &Flow<F::Address>,
    service: u32,
    chosen: u32,
    now: Tick,
) -> Result<Template, Reason> {
    let (Some(settings), Some(handover), Some(service)) = (
        tables.settings(),
        tables.handover(),
        tables.service(service),
    ) else {
        return Err(Reason::NotOurs);
    };
    let call = &handover.call;
    let own = template_flow::<F>(call, service, flow);
    let Find::Found(found, _direction) = connection::find::<F, T>(tables, settings, &own) else {
        return Ok(Template::Nothing);
    };
    match compare::<F, T>(tables, found.slot, &call.id) {
        Compared::Same => {}
        // One pair of calls in some ten million million.
        Compared::Another => return Err(Reason::Contended),
        // Just ending.
        Compared::Gone => return Ok(Template::Nothing),
    }
    let is_chosen = chosen == NONE || found.destination == chosen;
    if !is_chosen || !holds::<F, T>(tables, &found, now) {
        return Ok(Template::Outlived(found.slot));
    }
    connection::prolong::<F>(found.record, now);
    Ok(Template::Holds(found.slot))
}

/// What the template of a call is found by; kept for the template that may have to be made.
#[inline(always)]
fn template_flow<F: Family>(
    call: &Call,
    service: &Service,
    flow: &Flow<F::Address>,
) -> Flow<F::Address> {
    let key = service.key.load();
    F::each_word(F::masked(flow.source, &service.netmask), |word| {
        read::hash(&call.reader, word & 0xffff);
        read::hash(&call.reader, word >> 16);
    });
    let [first, second] = &call.reader.hashes;
    let (first, second) = (first.load() as u32, second.load() as u32);
    let source = [first ^ second << 31, second, 0, 0];
    let port = (second >> 1) as u16 | 1;
    for (cell, word) in call.source.iter().zip(source) {
        cell.store(word);
    }
    call.port.store(port.into());
    Flow {
        source: F::narrow(source),
        destination: template_address::<F>(&key, flow.destination),
        source_port: port,
        destination_port: template_port(&key, flow.destination_port),
        protocol: template_protocol(key.protocol) as u32,
    }
}

/// Gives a new template, which nothing finds yet, its call.
#[inline(always)]
pub fn give_call<F: Family, T: Tables>(tables: &T, slot: u32) -> Result<(), Reason> {
    let call = &tables.handover().ok_or(Reason::PartMissing)?.call;
    let record = tables.connection::<F>(slot).ok_or(Reason::TableFull)?;
    let mut endpoints = record.endpoints().load();
    record.local().store(Local {
        address: endpoints.client,
        port: 0,
        padding: 0,
    });
    let [a, b, c, d] = &call.source;
    endpoints.client = F::narrow([a.load(), b.load(), c.load(), d.load()]);
    endpoints.client_port = call.port.load() as u16;
    record.endpoints().store(endpoints);
    if tables.remember_call(&key::<F>(slot), &call.id) {
        Ok(())
    } else {
        Err(Reason::TableFull)
    }
}

/// Lets a new template be found; the slot of the one that counts. Of two that two processors have made at one
/// moment that is the lower.
#[inline(always)]
fn show<F: Family, T: Tables>(tables: &T, slot: u32) -> Result<u32, Reason> {
    match tables.put_flows::<F>(slot).request {
        Put::Alone => return Ok(slot),
        Put::Beside => {}
        Put::Full => return Err(Reason::TableFull),
    }
    let Some(other) = tables.rival::<F>(slot, Direction::Request) else {
        return Ok(slot);
    };
    let Some(handover) = tables.handover() else {
        return Err(Reason::PartMissing);
    };
    match compare::<F, T>(tables, other.slot(), &handover.call.id) {
        Compared::Same if other.slot() < slot => Ok(other.slot()),
        Compared::Same | Compared::Gone => Ok(slot),
        Compared::Another => Err(Reason::Contended),
    }
}

/// Whose call a template is.
enum Compared {
    Same,
    Another,
    Gone,
}

#[inline(always)]
fn compare<F: Family, T: Tables>(tables: &T, slot: u32, id: &CallId) -> Compared {
    let Some(other) = tables.call_id(&key::<F>(slot)) else {
        return Compared::Gone;
    };
    let length = id.length.load();
    if other.length.load() != length {
        return Compared::Another;
    }
    let mut at = 0;
    while at < id.text.len() {
        if at as u32 * 8 < length && other.text[at].load() != id.text[at].load() {
            return Compared::Another;
        }
        at += 1;
    }
    Compared::Same
}

/// Forgets the Call-ID of a template that ends, if it is a call's.
#[inline(always)]
pub(crate) fn forget<F: Family, T: Tables>(tables: &T, slot: u32) {
    let is_call = match tables.connection::<F>(slot) {
        Some(record) => record.endpoints().load().client_port != 0,
        None => false,
    };
    if is_call {
        tables.forget_call(&key::<F>(slot));
    }
}

#[inline(always)]
fn key<F: Family>(slot: u32) -> CallKey {
    CallKey {
        slot,
        family: F::NUMBER as u32,
    }
}
