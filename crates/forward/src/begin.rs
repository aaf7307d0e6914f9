//! A packet that begins a connection.

use weir_abi::connection::Word;
use weir_abi::keys::Direction;
use weir_abi::reason::Reason;
use weir_abi::tick::Tick;

use crate::family::{Family, Record};
use crate::flow_table::Put;
use crate::parse::Segment;
use crate::tables::Tables;

/// Schedules a packet of a service, and makes the connection that it begins: its slot.
#[inline(always)]
pub fn begin<F: Family, T: Tables>(
    tables: &T,
    segment: &Segment<F::Address>,
    service: u32,
    now: Tick,
) -> Result<u32, Reason> {
    let flow = &segment.flow;
    if !F::can_be_source(flow.source) {
        return Err(Reason::MartianSource);
    }
    let destination = tables
        .pick::<F>(service, flow, now)
        .ok_or(Reason::NoDestination)?;
    // In a full table it takes the place of one that has not proven to be anybody's.
    let slot = match tables.make::<F>(segment, destination, now) {
        Err(Reason::TableFull) if tables.evict::<F>() => {
            tables.make::<F>(segment, destination, now)?
        }
        made => made?,
    };
    if let Err(reason) = appear::<F, T>(tables, slot) {
        if let Some(record) = tables.connection::<F>(slot) {
            tables.end::<F>(slot, Word(record.word().load()));
        }
        return Err(reason);
    }
    tables.count(destination, |counters| counters.connections += 1);
    Ok(slot)
}

/// Lets packets find a connection that has been made.
#[inline(always)]
fn appear<F: Family, T: Tables>(tables: &T, slot: u32) -> Result<(), Reason> {
    let appeared = tables.put_flows::<F>(slot);
    match appeared.request {
        Put::Alone => {}
        // Another processor may have made this very connection. It sees the same, so that of one
        // client's first two packets at one moment none, or one, begins a connection.
        Put::Beside => {
            if tables.rival::<F>(slot, Direction::Request).is_some() {
                return Err(Reason::Contended);
            }
        }
        Put::Full => return Err(Reason::TableFull),
    }
    match appeared.reply {
        Put::Alone => Ok(()),
        // Two connections of one client port through two services to one server port have the same
        // replies: the newest gets them, as in IPVS.
        Put::Beside => {
            if let Some(older) = tables.rival::<F>(slot, Direction::Reply) {
                tables.remove_flow::<F>(slot, Direction::Reply, older);
            }
            Ok(())
        }
        Put::Full => Err(Reason::TableFull),
    }
}
