//! Whom a packet belongs to, where the fast way has not said it.

use weir_abi::connection::Word;
use weir_abi::keys::{Direction, FlowValue};
use weir_abi::reason::Reason;
use weir_abi::service::AVAILABLE;
use weir_abi::settings::Settings;
use weir_abi::sysctl::Sysctl;
use weir_abi::tick::Tick;

use crate::connection::{self, Found};
use crate::family::{Family, Record, service_of};
use crate::parse::Segment;
use crate::process::Lookup;
use crate::state;
use crate::tables::Tables;

/// Whom a packet belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Met {
    /// A connection, and which way.
    Connection(FlowValue),
    /// The service in that slot, of which it begins a connection.
    Service(u32),
    /// Nobody.
    Nothing(Reason),
}

/// Finds the connection of a packet. One that is over, or gives way to the packet, is ended.
#[inline(always)]
pub fn meet<F: Family, T: Tables>(
    tables: &T,
    segment: &Segment<F::Address>,
    flow: Lookup,
    now: Tick,
) -> Met {
    let Some(settings) = tables.settings() else {
        return Met::Nothing(Reason::NotOurs);
    };
    if flow == Lookup::Perhaps
        && let Some(value) = tables.search::<F>(&segment.flow)
        && let Some(found) = connection::get::<F, T>(tables, value.slot())
    {
        match keep::<F, T>(tables, settings, segment, &found, value.direction(), now) {
            Keep::Yes => return Met::Connection(value),
            Keep::Drop => return Met::Nothing(Reason::DestinationGone),
            Keep::End => {
                let word = current_word::<F>(&found);
                tables.end::<F>(found.slot, word);
            }
        }
    }
    let Some(service) = tables.service_slot(&service_of::<F>(&segment.flow)) else {
        return Met::Nothing(Reason::NotOurs);
    };
    // IPVS schedules nothing from the FTP data port: it waits for the control connection's helper.
    const FTP_DATA: u16 = 20u16.to_be();
    if !segment.can_begin() || segment.flow.source_port == FTP_DATA {
        return Met::Nothing(Reason::NotConnected);
    }
    Met::Service(service)
}

/// What becomes of a connection that a packet has been found to belong to.
enum Keep {
    /// It goes on.
    Yes,
    /// It is ended, and the packet may begin another.
    End,
    /// The packet is dropped: the real server is gone.
    Drop,
}

/// Expiry and, from `ip_vs_in`, port reuse, quiesced and removed real servers.
#[inline(always)]
fn keep<F: Family, T: Tables>(
    tables: &T,
    settings: &Settings,
    segment: &Segment<F::Address>,
    found: &Found<'_, F>,
    direction: Direction,
    now: Tick,
) -> Keep {
    if now.since(found.word.expires()) >= 0 {
        return Keep::End;
    }
    match direction {
        Direction::Request => {}
        Direction::Reply => return Keep::Yes,
    }
    let expire = settings.sysctl(Sysctl::ExpireNodestConn).load() != 0;
    let Some(destination) = tables.destination(found.destination) else {
        return Keep::Drop;
    };
    if segment.is_new() {
        let reuse = settings.sysctl(Sysctl::ConnReuseMode).load() != 0;
        let quiesced = expire && destination.weight.load() == 0;
        if quiesced || reuse && state::has_ended(found.word.state()) {
            return Keep::End;
        }
    }
    if destination.flags.load() & AVAILABLE != 0 {
        Keep::Yes
    } else if expire {
        Keep::End
    } else {
        Keep::Drop
    }
}

/// The word to end a connection by: the one it has now, unless the slot has another tenant.
#[inline(always)]
fn current_word<F: Family>(found: &Found<'_, F>) -> Word {
    let now = Word(found.record.word().load());
    if now.generation() == found.word.generation() {
        now
    } else {
        found.word
    }
}
