//! The entries of a connection in the flow table: they come when it may be found, and go with it.

use weir_abi::connection::{TEMPLATE, Word};
use weir_abi::keys::{Direction, FlowValue};
use weir_abi::service::FORWARD_NAT;
use weir_abi::settings::Settings;

use crate::family::{Family, Record};
use crate::flow_table;
use crate::flow_table::Put;
use crate::tables::Tables;

/// What came of putting a connection's flows into their table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appeared {
    /// Of its requests.
    pub request: Put,
    /// Of its replies.
    pub reply: Put,
}

impl Appeared {
    /// Nobody else has the same.
    pub const ALONE: Self = Self {
        request: Put::Alone,
        reply: Put::Alone,
    };
}

/// Puts the flows of a connection into their table.
#[inline(always)]
pub fn put_flows<F: Family, T: Tables>(tables: &T, slot: u32) -> Appeared {
    let (Some(settings), Some(record)) = (tables.settings(), tables.connection::<F>(slot)) else {
        return Appeared {
            request: Put::Full,
            reply: Put::Full,
        };
    };
    appear::<F, T>(tables, settings, record, slot)
}

/// The same of that connection.
#[inline(always)]
pub(super) fn appear<F: Family, T: Tables>(
    tables: &T,
    settings: &Settings,
    record: &F::Record,
    slot: u32,
) -> Appeared {
    Appeared {
        request: put_flow::<F, T>(tables, settings, record, slot, Direction::Request),
        // Replies past the director are no affair of its; nor are a template's.
        reply: if has_replies::<F>(record) {
            put_flow::<F, T>(tables, settings, record, slot, Direction::Reply)
        } else {
            Put::Alone
        },
    }
}

/// Puts the flow of a connection's replies alone into its table.
#[inline(always)]
pub fn put_replies<F: Family, T: Tables>(tables: &T, slot: u32) -> Put {
    match (tables.settings(), tables.connection::<F>(slot)) {
        (Some(settings), Some(record)) => {
            put_flow::<F, T>(tables, settings, record, slot, Direction::Reply)
        }
        (None, Some(_) | None) | (Some(_), None) => Put::Full,
    }
}

/// Whether replies of the connection come by the director, to the client's address. (Those to an address
/// of the director's own are [claimed](crate::full_nat).)
#[inline(always)]
fn has_replies<F: Family>(record: &F::Record) -> bool {
    let is_template = Word(record.word().load()).flags() & TEMPLATE != 0;
    !is_template && record.endpoints().load().forwarding == FORWARD_NAT
}

#[inline(always)]
fn put_flow<F: Family, T: Tables>(
    tables: &T,
    settings: &Settings,
    record: &F::Record,
    slot: u32,
    direction: Direction,
) -> Put {
    let flow = record.flow(direction);
    flow_table::put::<F, T>(tables, settings, &flow, FlowValue::new(slot, direction))
}

/// The entry of another connection that has the same flow as that of a slot in one direction.
#[inline(always)]
pub fn rival<F: Family, T: Tables>(
    tables: &T,
    slot: u32,
    direction: Direction,
) -> Option<FlowValue> {
    let record = tables.connection::<F>(slot)?;
    let own = FlowValue::new(slot, direction);
    // Each direction for itself: to choose between both word by word takes stack.
    match direction {
        Direction::Request => tables.search_beside::<F>(&record.flow(Direction::Request), own),
        Direction::Reply => tables.search_beside::<F>(&record.flow(Direction::Reply), own),
    }
}

/// Removes an entry of the flow that the connection in a slot has in one direction: its own, or
/// another's. What is not there need not be removed.
#[inline(always)]
pub fn remove_flow<F: Family, T: Tables>(
    tables: &T,
    slot: u32,
    direction: Direction,
    entry: FlowValue,
) {
    if let (Some(settings), Some(record)) = (tables.settings(), tables.connection::<F>(slot)) {
        let flow = record.flow(direction);
        flow_table::remove::<F, T>(tables, settings, &flow, entry);
    }
}
