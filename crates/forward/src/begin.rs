//! A packet that begins a connection.

use weir_abi::NONE;
use weir_abi::connection::Word;
use weir_abi::keys::Direction;
use weir_abi::reason::Reason;
use weir_abi::service::{
    ENGINE_SIP, ONE_PACKET, PERSISTENT, REFUSE_RESET, REFUSE_SILENTLY, Service,
};
use weir_abi::sysctl::Sysctl;
use weir_abi::tick::Tick;

use weir_wire::transport::{TCP, UDP};

use crate::call::known_template;
use crate::connection::{Appeared, FTP, Made, Terms};
use crate::family::{Family, Record};
use crate::flow_table::Put;
use crate::parse::Segment;
use crate::persist::persist;
use crate::tables::Tables;

/// What a packet has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begun {
    /// The connection's slot.
    pub slot: u32,
    /// Whether it ends with this packet (`-o`).
    pub is_only: bool,
}

/// Schedules a packet of a service, and makes the connection that it begins.
#[inline(always)]
pub fn begin<F: Family, T: Tables>(
    tables: &T,
    segment: &Segment<F::Address>,
    service: u32,
    now: Tick,
) -> Result<Begun, Reason> {
    let flow = &segment.flow;
    if !F::can_be_source(flow.source) {
        return Err(Reason::MartianSource);
    }
    let (destination, terms) = who_serves::<F, T>(tables, segment, service, now)?;
    let slot = come_to_be::<F, T>(tables, segment, destination, terms, now)?;
    let is_only = terms.is_only;
    Ok(Begun { slot, is_only })
}

/// Makes a connection, counts it, and sees that no other is in its way.
#[inline(always)]
pub(crate) fn come_to_be<F: Family, T: Tables>(
    tables: &T,
    segment: &Segment<F::Address>,
    destination: u32,
    terms: Terms,
    now: Tick,
) -> Result<u32, Reason> {
    // In a full table it takes the place of one that has not proven to be anybody's.
    let made = match tables.make::<F>(segment, destination, terms, now) {
        Err(Reason::TableFull) if tables.evict::<F>() => {
            tables.make::<F>(segment, destination, terms, now)?
        }
        made => made?,
    };
    tables.count(destination, |counters| counters.connections += 1);
    if made.appeared != Appeared::ALONE
        && let Err(reason) = see_others::<F, T>(tables, made)
    {
        if let Some(record) = tables.connection::<F>(made.slot) {
            tables.end::<F>(made.slot, Word(record.word().load()));
        }
        return Err(reason);
    }
    Ok(made.slot)
}

/// The real server that a packet goes to, and on which terms.
#[inline(always)]
fn who_serves<F: Family, T: Tables>(
    tables: &T,
    segment: &Segment<F::Address>,
    slot: u32,
    now: Tick,
) -> Result<(u32, Terms), Reason> {
    let service = tables.service(slot).ok_or(Reason::NotOurs)?;
    let flags = service.flags.load();
    let key = service.key.load();
    let flow = &segment.flow;
    let mut terms = Terms::PLAIN;
    terms.is_only = flags & ONE_PACKET != 0 && flow.protocol as u8 == UDP;
    if flags & PERSISTENT != 0 {
        let template = if service.engine.load() == ENGINE_SIP {
            known_template(tables, slot, flow.protocol as u8)?
        } else {
            match persist::<F, T>(tables, flow, slot, now) {
                Err(Reason::NoDestination) => return Err(refusal(service, flow.protocol as u8)),
                found => found?,
            }
        };
        let record = tables.connection::<F>(template).ok_or(Reason::Contended)?;
        terms.control = template;
        terms.keeps_port = key.port != flow.destination_port;
        return Ok((record.destination().load(), terms));
    }
    let is_marked = key.protocol == 0;
    // Services of all ports are for clients that persist (`ip_vs_schedule`).
    if !is_marked && key.port != flow.destination_port {
        // What comes to FTP's service by way of another port is not IPVS's to refuse (`ip_vs_leave`).
        return Err(if key.port == FTP {
            Reason::NotOurs
        } else {
            Reason::NoDestination
        });
    }
    match tables.pick::<F>(slot, flow, now) {
        Some(destination) => Ok((destination, terms)),
        None if is_marked && bypasses(tables) => Ok((NONE, terms)),
        None => Err(refusal(service, flow.protocol as u8)),
    }
}

/// What is said to a client that no real server takes.
#[inline(always)]
pub(crate) fn refusal(service: &Service, protocol: u8) -> Reason {
    match service.refusal.load() {
        REFUSE_RESET if protocol == TCP => Reason::Reset,
        REFUSE_SILENTLY => Reason::Refused,
        _unreachable => Reason::NoDestination,
    }
}

#[inline(always)]
fn bypasses<T: Tables>(tables: &T) -> bool {
    match tables.settings() {
        Some(settings) => settings.sysctl(Sysctl::CacheBypass).load() != 0,
        None => false,
    }
}

/// Sees who else has the flows of a connection that has been made.
#[inline(always)]
fn see_others<F: Family, T: Tables>(tables: &T, made: Made) -> Result<(), Reason> {
    let Made { slot, appeared } = made;
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
