//! Finding a connection by a packet's tuple, in tables of buckets (`weir_abi::flow_table`).
//!
//! The hash is multilinear over 32-bit words with random keys (Lemire and Kaser, "Strongly universal
//! string hashing is fast", 2014): its upper half is strongly universal, so nobody who does not know
//! the keys can choose tuples that meet in a bucket more often than chance has it.

use core::ops::ControlFlow;

use weir_abi::connection::Word;
use weir_abi::flow_table::{BUCKET_ENTRIES, FlowBucket, FlowEntry};
use weir_abi::keys::{Direction, FlowValue};
use weir_abi::service::FORWARD_FULL_NAT;
use weir_abi::settings::Settings;

use crate::family::{Family, Flow, Record};
use crate::tables::{Step, Tables};

/// Where a flow lies: in one of two buckets, under a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    high: u32,
    /// Never 0, which is an empty place's.
    tag: u32,
    buckets: u32,
}

/// What came of putting a flow into its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It is there, alone under its tag.
    Alone,
    /// It is there, and another flow of its buckets has the same tag: perhaps the very same flow.
    Beside,
    /// Both buckets are full.
    Full,
}

/// How many entries of its first bucket a flow leaves free for those whose second it is.
const SPARE: usize = 2;

impl Place {
    /// The place of a flow.
    #[inline(always)]
    pub fn of<F: Family>(settings: &Settings, flow: &Flow<F::Address>) -> Self {
        let keys = &settings.hash_keys;
        let mut sum = keys[0].load();
        let mut next = 1;
        let mut add = |word: u32| {
            sum = sum.wrapping_add(keys[next].load().wrapping_mul(word as u64));
            next += 1;
        };
        F::each_word(flow.source, &mut add);
        F::each_word(flow.destination, &mut add);
        add(flow.source_port as u32 | (flow.destination_port as u32) << 16);
        add(flow.protocol);
        // The tag hangs on all bits, those too that the bucket was not chosen by.
        let mixed = sum.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self {
            high: (sum >> 32) as u32,
            tag: (mixed >> 32) as u32 | 1,
            buckets: F::flow_buckets(settings).load(),
        }
    }

    /// The bucket where the flow is looked for first.
    #[inline(always)]
    const fn first(self) -> u32 {
        self.scaled(self.high)
    }

    /// The bucket where it lies if there was little room in the first.
    #[inline(always)]
    const fn second(self) -> u32 {
        self.scaled(self.tag.wrapping_mul(0x85eb_ca6b))
    }

    /// A random number as a bucket, without a division.
    #[inline(always)]
    const fn scaled(self, random: u32) -> u32 {
        ((random as u64 * self.buckets as u64) >> 32) as u32
    }
}

/// The first entry with a flow's tag: the flow's, but for one time in some hundred million.
#[inline(always)]
pub fn first_with_tag<F: Family, T: Tables>(
    tables: &T,
    settings: &Settings,
    flow: &Flow<F::Address>,
) -> Option<FlowValue> {
    let place = Place::of::<F>(settings, flow);
    match first_match::<F, T>(tables, place.first(), place.tag) {
        Some(value) => Some(value),
        None => first_match::<F, T>(tables, place.second(), place.tag),
    }
}

/// The connection of an entry, if it lives and has that flow. (Replies of FULLNAT, which come to an
/// address of the director's, are left to [`search`]: asking for it here would cost every packet.)
#[inline(always)]
pub fn owner<'t, F: Family, T: Tables>(
    tables: &'t T,
    value: FlowValue,
    flow: &Flow<F::Address>,
) -> Option<(&'t F::Record, Word)> {
    let record = tables.connection::<F>(value.slot())?;
    let word = Word(record.word().load());
    // The slot may have changed its tenant since the entry was read.
    let owns = word.is_live() && Flow::of(&record.endpoints().load(), value.direction()) == *flow;
    owns.then_some((record, word))
}

/// Whether the connection of an entry lives and has that flow, at whichever address it comes in.
#[inline(always)]
fn owns<F: Family, T: Tables>(tables: &T, value: FlowValue, flow: &Flow<F::Address>) -> bool {
    let Some(record) = tables.connection::<F>(value.slot()) else {
        return false;
    };
    if !Word(record.word().load()).is_live() {
        return false;
    }
    let endpoints = record.endpoints().load();
    let direction = value.direction();
    // Compared field by field: there is little stack where this is asked.
    if direction == Direction::Reply && endpoints.forwarding == FORWARD_FULL_NAT {
        let local = record.local().load();
        return local.port == flow.destination_port
            && endpoints.server_port == flow.source_port
            && endpoints.protocol as u32 == flow.protocol
            && local.address == flow.destination
            && endpoints.server == flow.source;
    }
    Flow::of(&endpoints, direction) == *flow
}

/// The first entry of a bucket with that tag.
#[inline(always)]
fn first_match<F: Family, T: Tables>(tables: &T, bucket: u32, tag: u32) -> Option<FlowValue> {
    let bucket = tables.flow_bucket::<F>(bucket)?;
    let mut at = 0;
    while at < BUCKET_ENTRIES {
        if bucket.tag(at) == tag {
            return Some(FlowEntry(bucket.entries[at].load()).value());
        }
        at += 1;
    }
    None
}

/// Every entry under the flow's tag, each held against its connection: the one that has the flow,
/// and is not `except`.
#[inline(always)]
pub fn search<F: Family, T: Tables>(
    tables: &T,
    flow: &Flow<F::Address>,
    except: Option<FlowValue>,
) -> Option<FlowValue> {
    let place = Place::of::<F>(tables.settings()?, flow);
    let mut search = Search::<F> {
        flow,
        tag: place.tag,
        buckets: [place.first(), place.second()],
        except,
        at: 0,
        found: None,
    };
    tables.repeat(2 * BUCKET_ENTRIES as u32, &mut search);
    search.found
}

struct Search<'a, F: Family> {
    flow: &'a Flow<F::Address>,
    tag: u32,
    buckets: [u32; 2],
    except: Option<FlowValue>,
    at: u32,
    found: Option<FlowValue>,
}

impl<F: Family, T: Tables> Step<T> for Search<'_, F> {
    #[inline(always)]
    fn step(&mut self, tables: &T) -> ControlFlow<()> {
        let at = self.at as usize;
        self.at += 1;
        let bucket = if at < BUCKET_ENTRIES {
            self.buckets[0]
        } else {
            self.buckets[1]
        };
        let Some(bucket) = tables.flow_bucket::<F>(bucket) else {
            return ControlFlow::Break(());
        };
        let entry = FlowEntry(bucket.entries[at % BUCKET_ENTRIES].load());
        let value = entry.value();
        if entry.tag() == self.tag
            && Some(value) != self.except
            && owns::<F, T>(tables, value, self.flow)
        {
            self.found = Some(value);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}

/// Puts a flow into its table.
#[inline(always)]
pub fn put<F: Family, T: Tables>(
    tables: &T,
    settings: &Settings,
    flow: &Flow<F::Address>,
    value: FlowValue,
) -> Put {
    let place = Place::of::<F>(settings, flow);
    let (Some(first), Some(second)) = (
        tables.flow_bucket::<F>(place.first()),
        tables.flow_bucket::<F>(place.second()),
    ) else {
        return Put::Full;
    };
    let entry = FlowEntry::new(place.tag, value);
    let (wanted, other) = if is_roomy(first) || taken(first) <= taken(second) {
        (first, second)
    } else {
        (second, first)
    };
    if !occupy(wanted, entry) && !occupy(other, entry) {
        return Put::Full;
    }
    // Looked at after it is there: of two processors that put the same flow, one at least sees both.
    if have_other(first, second, entry) {
        Put::Beside
    } else {
        Put::Alone
    }
}

/// Removes a flow, if it is that connection's.
#[inline(always)]
pub fn remove<F: Family, T: Tables>(
    tables: &T,
    settings: &Settings,
    flow: &Flow<F::Address>,
    value: FlowValue,
) {
    let place = Place::of::<F>(settings, flow);
    let entry = FlowEntry::new(place.tag, value);
    if let Some(first) = tables.flow_bucket::<F>(place.first())
        && vacate(first, entry)
    {
        return;
    }
    if let Some(second) = tables.flow_bucket::<F>(place.second()) {
        vacate(second, entry);
    }
}

/// Whether more than [`SPARE`] places of a bucket are free.
#[inline(always)]
fn is_roomy(bucket: &FlowBucket) -> bool {
    // Places are taken from the first one on: so nearly always the last ones say it, and counting all
    // costs eight times as much.
    let mut last = 0;
    let mut at = BUCKET_ENTRIES - 1 - SPARE;
    while at < BUCKET_ENTRIES {
        last |= bucket.tag(at);
        at += 1;
    }
    last == FlowEntry::EMPTY.tag() || taken(bucket) + SPARE < BUCKET_ENTRIES
}

#[inline(always)]
fn taken(bucket: &FlowBucket) -> usize {
    let mut taken = 0;
    let mut at = 0;
    while at < BUCKET_ENTRIES {
        // Every tag but that of an empty place is odd ([`Place::of`]): counted so, there is no branch, of
        // which the verifier would follow both ways at every place.
        taken += (bucket.tag(at) & 1) as usize;
        at += 1;
    }
    taken
}

/// Puts an entry into the first empty place; whether there was one.
#[inline(always)]
fn occupy(bucket: &FlowBucket, entry: FlowEntry) -> bool {
    let mut at = 0;
    while at < BUCKET_ENTRIES {
        let cell = &bucket.entries[at];
        if cell.load() == FlowEntry::EMPTY.0 && cell.replace(FlowEntry::EMPTY.0, entry.0) {
            return true;
        }
        at += 1;
    }
    false
}

/// Empties the place of an entry; whether it was there.
#[inline(always)]
fn vacate(bucket: &FlowBucket, entry: FlowEntry) -> bool {
    let mut at = 0;
    while at < BUCKET_ENTRIES {
        let cell = &bucket.entries[at];
        // Who ends the connection, and who takes its replies over, may come at the same moment; and
        // once it is empty, the place may be another's.
        if cell.load() == entry.0 && cell.replace(entry.0, FlowEntry::EMPTY.0) {
            return true;
        }
        at += 1;
    }
    false
}

/// Whether another entry of either bucket has the same tag.
#[inline(always)]
fn have_other(first: &FlowBucket, second: &FlowBucket, entry: FlowEntry) -> bool {
    let mut at = 0;
    while at < BUCKET_ENTRIES {
        // In turn, so that both are at hand.
        if is_other(first, at, entry) || is_other(second, at, entry) {
            return true;
        }
        at += 1;
    }
    false
}

#[inline(always)]
fn is_other(bucket: &FlowBucket, at: usize, entry: FlowEntry) -> bool {
    bucket.tag(at) == entry.tag() && bucket.entries[at].load() != entry.0
}
