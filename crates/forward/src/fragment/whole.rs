//! Fragments whose packet's length is to be known: SCTP's checksum is a CRC, so what a change of the ports adds
//! to it depends on how many bytes follow. The last fragment tells, and where ports change the first one waits for it.

use weir_abi::fragment::{PATIENCE, Waiting};
use weir_wire::sctp::SCTP;

use super::piece::Fragmented;
use super::{key, key_of, send_round};
use crate::family::Record;
use crate::hook::Hook;
use crate::job::{Job, Method, method_of};
use crate::tables::Tables;
use crate::translate::Translate;

/// How often a list is tried to be taken.
const TRIES: usize = 4;

/// Whether a packet's checksum can only be corrected by who knows its whole length: SCTP's, where ports
/// change.
#[cfg_attr(target_arch = "bpf", inline(never))]
pub(super) fn asks_for_length<F: Translate, H: Hook, T: Tables>(
    job: &Job<'_, F, H, T>,
    slot: u32,
) -> bool {
    if job.segment.flow.protocol as u8 != SCTP {
        return false;
    }
    let Some(record) = job.tables.connection::<F>(slot) else {
        return false;
    };
    let endpoints = record.endpoints().load();
    match method_of(endpoints.forwarding) {
        Some(Method::Translated) => endpoints.server_port != endpoints.virtual_port,
        Some(Method::FullyTranslated) => true,
        Some(Method::Unchanged | Method::Wrapped) | None => false,
    }
}

/// Remembers that the first fragment has begun its connection: of SCTP another INIT would lead to another
/// state.
#[cfg_attr(target_arch = "bpf", inline(never))]
pub(super) fn remember_begun<F: Translate + Fragmented, H: Hook, T: Tables>(
    job: &Job<'_, F, H, T>,
) {
    let expires = job.now.after(PATIENCE);
    if let Some(key) = key(job)
        && let Some(record) = job.tables.open_fragment(&key, expires)
    {
        record.remember_begun();
    }
}

/// Whether this first fragment has begun its connection, and goes on only now.
#[cfg_attr(target_arch = "bpf", inline(never))]
pub(crate) fn take_begun<F: Translate + Fragmented, H: Hook, T: Tables>(
    job: &Job<'_, F, H, T>,
) -> bool {
    match key(job).and_then(|key| job.tables.fragment(&key)) {
        Some(record) => record.take_begun(),
        None => false,
    }
}

/// How long the transport is of the packet that this first fragment begins; 0 as long as the last one has
/// not come.
#[cfg_attr(target_arch = "bpf", inline(never))]
pub(crate) fn length_of_transport<F: Translate + Fragmented, H: Hook, T: Tables>(
    job: &Job<'_, F, H, T>,
) -> u16 {
    let Some(piece) = F::piece(job.hook, job.segment.network as usize) else {
        return 0;
    };
    let Some(record) = job.tables.fragment(&key_of(job, &piece)) else {
        return 0;
    };
    // IPv6: another header may lie between.
    record
        .length()
        .saturating_sub(job.segment.payload.saturating_sub(piece.begin as u16))
}

/// If this is the last fragment, lets it be known how long the packet is; whether that is news, and some
/// may wait for it.
#[cfg_attr(target_arch = "bpf", inline(never))]
pub(super) fn learn_length<F: Translate + Fragmented, H: Hook, T: Tables>(
    job: &Job<'_, F, H, T>,
) -> bool {
    let Some(piece) = F::piece(job.hook, job.segment.network as usize) else {
        return false;
    };
    let length = piece.offset + job.segment.transport_length() as u32;
    if !piece.is_last || length > u16::MAX as u32 {
        return false;
    }
    let expires = job.now.after(PATIENCE);
    let Some(record) = job.tables.open_fragment(&key_of(job, &piece), expires) else {
        return false;
    };
    record.learn_length(length as u16) && record.waiting.load() != Waiting::NOBODY.0
}

/// Sends all fragments of the packet round that wait: the first one among them is to see what it has waited
/// for. Whether there were any.
#[inline(always)]
pub(super) fn send_all_round<F: Translate + Fragmented, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
) -> bool {
    let waiting = take_all(job);
    if waiting == Waiting::NOBODY.0 {
        return false;
    }
    send_round(job, waiting);
    true
}

/// Takes the list of those that wait, without a decision.
#[cfg_attr(target_arch = "bpf", inline(never))]
fn take_all<F: Translate + Fragmented, H: Hook, T: Tables>(job: &Job<'_, F, H, T>) -> u64 {
    let nobody = Waiting::NOBODY.0;
    let Some(record) = key(job).and_then(|key| job.tables.fragment(&key)) else {
        return nobody;
    };
    let mut tries = 0;
    while tries < TRIES {
        let waiting = record.waiting.load();
        if waiting == nobody || waiting == Waiting::CLOSED.0 {
            return nobody;
        }
        if record.waiting.replace(waiting, nobody) {
            record.forget_count();
            return waiting;
        }
        tries += 1;
    }
    nobody
}
