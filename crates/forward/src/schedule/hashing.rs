//! Schedulers with a table of buckets, which the director fills: dh, sh, mh.

use core::ops::ControlFlow;

use weir_abi::NONE;
use weir_abi::hash_table::{
    BUCKETS_PER_PAGE, DH_BUCKETS, HashTable, MAGLEV_KEY_1, MH_BUCKETS, SH_BUCKETS, maglev_hash,
};
use weir_abi::service::{AVAILABLE, SCHEDULER_FLAG_1, SCHEDULER_FLAG_2, Service};

use super::is_usable;
use crate::family::{Family, Flow};
use crate::tables::{Step, Tables};

/// `ip_vs_dh.c`: the bucket of the destination address, whose server takes it or nobody does.
#[inline(always)]
pub fn destination_hashing<F: Family, T: Tables>(
    tables: &T,
    slot: u32,
    service: &Service,
    flow: &Flow<F::Address>,
) -> Option<u32> {
    let table = table(service, DH_BUCKETS)?;
    let bucket = hash_32(fold::<F>(flow.destination));
    server_of(tables, slot, table, bucket)
}

/// `ip_vs_sh.c`: the bucket of the client's address, with sh-port of its port too. With sh-fallback
/// other buckets follow where its server does not take connections. `ip_vs_mh.c`: the same by Maglev's
/// table.
#[inline(always)]
pub fn source_hashing<F: Family, T: Tables, const MAGLEV: bool>(
    tables: &T,
    slot: u32,
    service: &Service,
    flow: &Flow<F::Address>,
) -> Option<u32> {
    let table = table(service, buckets::<MAGLEV>())?;
    let flags = service.flags.load();
    let mut value = fold::<F>(flow.source);
    if flags & SCHEDULER_FLAG_2 != 0 {
        value = value.wrapping_add(u16::from_be(flow.source_port) as u32);
    }
    let own = bucket::<MAGLEV>(value, 0);
    let server = server_of(tables, slot, table, own);
    if server.is_some() || flags & SCHEDULER_FLAG_1 == 0 {
        return server;
    }
    let mut others = Others::<MAGLEV> {
        slot,
        value,
        offset: own,
        found: NONE,
    };
    tables.repeat(buckets::<MAGLEV>(), &mut others);
    (others.found != NONE).then_some(others.found)
}

/// The bucket of a client that was refused so often.
#[inline(always)]
fn bucket<const MAGLEV: bool>(value: u32, offset: u32) -> u32 {
    if MAGLEV {
        maglev_hash(offset.wrapping_add(value), MAGLEV_KEY_1) % MH_BUCKETS
    } else {
        (offset + hash_32(value)) % SH_BUCKETS
    }
}

const fn buckets<const MAGLEV: bool>() -> u32 {
    if MAGLEV { MH_BUCKETS } else { SH_BUCKETS }
}

/// The service's table, if it is of that size: just when the scheduler becomes another it may not be.
#[inline(always)]
fn table(service: &Service, buckets: u32) -> Option<HashTable> {
    let table = HashTable(service.hash_table.load());
    (table.buckets() == buckets).then_some(table)
}

/// The server of a bucket, if it takes connections.
#[inline(always)]
fn server_of<T: Tables>(tables: &T, slot: u32, table: HashTable, bucket: u32) -> Option<u32> {
    let page = tables.bucket_page(table.first_page() + bucket / BUCKETS_PER_PAGE)?;
    let server = page.buckets[(bucket % BUCKETS_PER_PAGE) as usize].load();
    let destination = tables.destination(server)?;
    // A table that is not in force any more may name who has gone, or has another service.
    let is_there = destination.flags.load() & AVAILABLE != 0 && destination.service.load() == slot;
    (is_there && is_usable(destination)).then_some(server)
}

/// The other buckets of a client, from one on that its own bucket says.
struct Others<const MAGLEV: bool> {
    slot: u32,
    value: u32,
    offset: u32,
    found: u32,
}

impl<T: Tables, const MAGLEV: bool> Step<T> for Others<MAGLEV> {
    #[inline(always)]
    fn step(&mut self, tables: &T) -> ControlFlow<()> {
        let service = tables.service(self.slot);
        let Some(table) = service.and_then(|service| table(service, buckets::<MAGLEV>())) else {
            return ControlFlow::Break(());
        };
        let bucket = bucket::<MAGLEV>(self.value, self.offset);
        if let Some(server) = server_of(tables, self.slot, table, bucket) {
            self.found = server;
            return ControlFlow::Break(());
        }
        self.offset = (self.offset + 1) % buckets::<MAGLEV>();
        ControlFlow::Continue(())
    }
}

/// An address as the kernel's hashing schedulers take it: its words folded into one.
#[inline(always)]
fn fold<F: Family>(address: F::Address) -> u32 {
    let mut folded = 0;
    F::each_word(address, |word| folded ^= word);
    u32::from_be(folded)
}

/// The kernel's multiplicative hash (`hash_32`, `GOLDEN_RATIO_32`), its upper eight bits.
#[inline(always)]
const fn hash_32(value: u32) -> u32 {
    value.wrapping_mul(0x61C8_8647) >> 24
}
