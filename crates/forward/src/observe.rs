//! How real servers answer new connections of TCP, where their service wants it seen: a SYN, and what comes
//! back first. Packets of connections that go on are not looked at.

use weir_abi::connection::Word;
use weir_abi::service::{Destination, OBSERVED};
use weir_wire::transport::TcpFlags;

use crate::family::{Family, Record};
use crate::state::tcp::is_half_open;
use crate::tables::Tables;

/// Where a connection was not begun by a SYN, or is answered.
const NOTHING: u32 = 0;

/// A packet has begun the connection in a slot: a SYN, or something else.
#[cfg_attr(target_arch = "bpf", inline(never))]
pub(crate) fn begun<F: Family, T: Tables>(tables: &T, slot: u32, is_syn: bool) {
    let Some(record) = tables.connection::<F>(slot) else {
        return;
    };
    record.asked().store(NOTHING);
    let Some(destination) = tables.destination(record.destination().load()) else {
        return;
    };
    if is_syn && is_observed(tables, destination) {
        destination.observed.begun.add(1);
        let now = tables.microseconds();
        record.asked().store(if now == NOTHING { 1 } else { now });
    }
}

/// A connection has been made by another than its own first packet.
#[inline(always)]
pub(crate) fn not_begun<F: Family>(record: &F::Record) {
    record.asked().store(NOTHING);
}

/// A reply of TCP has come to the connection in a slot.
#[cfg_attr(target_arch = "bpf", inline(never))]
pub(crate) fn replied<F: Family, T: Tables>(tables: &T, slot: u32, control: TcpFlags) {
    let Some(record) = tables.connection::<F>(slot) else {
        return;
    };
    let asked = record.asked().load();
    let is_answer = control.rst() || control.syn() && control.ack();
    // Who comes at the same moment finds it answered.
    if asked == NOTHING || !is_answer || !record.asked().replace(asked, NOTHING) {
        return;
    }
    let Some(destination) = tables.destination(record.destination().load()) else {
        return;
    };
    let observed = &destination.observed;
    if control.rst() {
        observed.refused.add(1);
    } else {
        let time = tables.microseconds().wrapping_sub(asked);
        observed.time.add(time as u64);
        observed.answered.add(1);
    }
}

/// The time of a connection is over, which had that word: it may have waited for an answer in vain.
#[inline(always)]
pub fn stop_waiting<F: Family, T: Tables>(tables: &T, slot: u32, word: Word) {
    let Some(record) = tables.connection::<F>(slot) else {
        return;
    };
    let asked = record.asked().load();
    // Who comes at the same moment finds that nothing is waited for.
    if asked == NOTHING || !is_half_open(word.state()) || !record.asked().replace(asked, NOTHING) {
        return;
    }
    if let Some(destination) = tables.destination(record.destination().load()) {
        destination.observed.unanswered.add(1);
    }
}

#[inline(always)]
fn is_observed<T: Tables>(tables: &T, destination: &Destination) -> bool {
    match tables.service(destination.service.load()) {
        Some(service) => service.flags.load() & OBSERVED != 0,
        None => false,
    }
}
