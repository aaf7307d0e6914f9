//! The life of a connection: made, advanced by packets, ended.
//!
//! Whoever replaces the record's word owns what follows from it: ActiveConn and InActConn change
//! after a successful compare-and-swap and nowhere else.

mod advance;
mod data;
mod flows;
mod template;

use weir_abi::NONE;
use weir_abi::connection::{
    CONTROLLED, Endpoints, INACTIVE, LIVE, Local, NO_OUTPUT, ONE_PACKET, TEMPLATE, Word,
};
use weir_abi::keys::{Direction, FlowValue};
use weir_abi::reason::Reason;
use weir_abi::service::{
    Destination, FORWARD_BYPASS, FORWARD_FULL_NAT, FORWARD_NAT, FORWARD_OTHER_FAMILY,
};
use weir_abi::settings::{Settings, USE_FAREWELLS, USE_OBSERVATION, USE_OTHER_FAMILY};
use weir_abi::tick::{Tick, Ticks};

use self::advance::after;
pub use self::advance::{advance, forget_packet, is_settled, keep_own_timeout, own_timeouts};
use self::data::forget_speech;
pub use self::data::{
    FTP, Named, Opener, fill_client_port, make_data, open_data, speaks_of_addresses,
};
use self::flows::appear;
pub use self::flows::{Appeared, put_flows, put_replies, remove_flow, rival};
pub use self::template::{TemplateOf, make_template, prolong};
use crate::call::template::forget;
use crate::family::{Family, Flow, Record};
use crate::farewell;
use crate::flow_table;
use crate::nat64::twin;
use crate::parse::Segment;
use crate::tables::Tables;

/// A connection that a packet belongs to.
pub struct Found<'t, F: Family> {
    /// Its record.
    pub record: &'t F::Record,
    /// Its slot.
    pub slot: u32,
    /// Its word when it was found.
    pub word: Word,
    /// The real server's slot.
    pub destination: u32,
}

/// What a first look at the flow table says.
pub enum Find<'t, F: Family> {
    /// The connection that has a packet's flow, and which way the packet goes. It may have expired.
    Found(Found<'t, F>, Direction),
    /// No connection has it.
    Unknown,
    /// One may have it: [`flow_table::search`] tells.
    Perhaps,
}

/// Looks for the connection that has a packet's flow.
#[inline(always)]
pub fn find<'t, F: Family, T: Tables>(
    tables: &'t T,
    settings: &Settings,
    flow: &Flow<F::Address>,
) -> Find<'t, F> {
    let Some(value) = flow_table::first_with_tag::<F, T>(tables, settings, flow) else {
        return Find::Unknown;
    };
    let Some((record, word)) = flow_table::owner::<F, T>(tables, value, flow) else {
        return Find::Perhaps;
    };
    let found = Found {
        record,
        slot: value.slot(),
        word,
        destination: record.destination().load(),
    };
    Find::Found(found, value.direction())
}

/// The connection in a slot.
#[inline(always)]
pub fn get<F: Family, T: Tables>(tables: &T, slot: u32) -> Option<Found<'_, F>> {
    let record = tables.connection::<F>(slot)?;
    Some(Found {
        record,
        slot,
        word: Word(record.word().load()),
        destination: record.destination().load(),
    })
}

/// On which terms a connection begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The slot of the connection that controls it, or [`NONE`].
    pub control: u32,
    /// Whether it ends with its first packet.
    pub is_only: bool,
    /// Whether the real server gets the packet on the port that the client named, whatever its own.
    pub keeps_port: bool,
}

impl Terms {
    /// Those of most connections.
    pub const PLAIN: Self = Self {
        control: NONE,
        is_only: false,
        keeps_port: false,
    };
}

/// A connection that has been made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Made {
    /// Its slot.
    pub slot: u32,
    /// What came of putting its flows into their table: of one that ends with its first packet there
    /// are none.
    pub appeared: Appeared,
}

/// Makes the connection that a packet begins, as that packet leaves it, and puts its flows into their table.
/// Without a real server ([`NONE`]) its packets go where they were going (`cache_bypass`).
#[inline(always)]
pub fn make<F: Family, T: Tables>(
    tables: &T,
    segment: &Segment<F::Address>,
    slot: u32,
    terms: Terms,
    now: Tick,
) -> Result<Made, Reason> {
    let Some(settings) = tables.settings() else {
        return Err(Reason::DestinationGone);
    };
    let destination = tables.destination(slot);
    if destination.is_none() && slot != NONE {
        return Err(Reason::DestinationGone);
    }
    let connection = free_slot::<F, T>(tables, settings).ok_or(Reason::TableFull)?;
    let record = tables
        .connection::<F>(connection)
        .ok_or(Reason::TableFull)?;
    // Not before: what is known while the slot is asked for has to be kept meanwhile.
    let flow = &segment.flow;
    let (server, port, forwarding) = match destination {
        Some(destination) => {
            let address = destination.address.load();
            let own = address.port != 0 && !terms.keeps_port;
            let port = if own {
                address.port
            } else {
                flow.destination_port
            };
            (F::narrow(address.address), port, address.forwarding)
        }
        None => (flow.destination, flow.destination_port, FORWARD_BYPASS),
    };
    let endpoints = Endpoints {
        client: flow.source,
        virtual_address: flow.destination,
        server,
        client_port: flow.source_port,
        virtual_port: flow.destination_port,
        server_port: port,
        protocol: flow.protocol as u8,
        forwarding,
    };
    if settings.uses(USE_FAREWELLS) {
        farewell::begin::<F>(record);
    }
    record.endpoints().store(endpoints);
    let mut flags = LIVE | INACTIVE;
    match forwarding {
        FORWARD_NAT => {}
        FORWARD_OTHER_FAMILY => record.twin().store(NONE),
        FORWARD_FULL_NAT => record.local().store(Local {
            address: flow.source,
            port: 0,
            padding: 0,
        }),
        _past_us => flags |= NO_OUTPUT,
    }
    if terms.is_only {
        flags |= ONE_PACKET;
    }
    if terms.control != NONE {
        flags |= CONTROLLED;
        record.company().control.store(terms.control);
        if let Some(control) = tables.connection::<F>(terms.control) {
            control.company().controls.add(1);
        }
    }
    if speaks_of_addresses(&endpoints) {
        forget_speech(record.speech());
    }
    let generation = Word(record.word().load()).generation().wrapping_add(1);
    let new = Word::new(now, 0, flags, generation);
    let word = after(settings, new, segment.transport(), Direction::Request, now);
    record.destination().store(slot);
    record.hop(Direction::Request).forget();
    record.hop(Direction::Reply).forget();
    record.word().store(word.0);
    if let Some(destination) = destination {
        occupy(destination, word);
    }
    F::live(settings).add(1);
    let appeared = if terms.is_only {
        Appeared::ALONE
    } else {
        appear::<F, T>(tables, settings, record, connection)
    };
    Ok(Made {
        slot: connection,
        appeared,
    })
}

/// Counts a connection that a real server gets (`ip_vs_bind_dest`).
#[inline(always)]
fn occupy(destination: &Destination, word: Word) {
    if word.flags() & INACTIVE != 0 {
        destination.inactive.add(1);
    } else {
        destination.active.add(1);
    }
    if destination.upper_threshold.load() != 0 {
        destination.update_overload();
    }
}

/// Counts a connection that a real server had (`ip_vs_unbind_dest`).
#[inline(always)]
fn vacate(destination: &Destination, word: Word) {
    if word.flags() & TEMPLATE != 0 {
        destination.persistent.add(1u32.wrapping_neg());
    } else if word.flags() & INACTIVE != 0 {
        destination.inactive.add(1u32.wrapping_neg());
    } else {
        destination.active.add(1u32.wrapping_neg());
    }
    if destination.overloaded.load() != 0 {
        destination.update_overload();
    }
}

/// A slot for a new connection: one given back, or one never used.
#[inline(always)]
pub(crate) fn free_slot<F: Family, T: Tables>(tables: &T, settings: &Settings) -> Option<u32> {
    let capacity = F::capacity(settings).load();
    let high_water = F::high_water(settings);
    // Where all slots that were used are in use, asking the stack for one would be in vain.
    if F::live(settings).load() != high_water.load()
        && let Some(slot) = tables.take_slot::<F>()
    {
        return Some(slot);
    }
    // Looked at first, so that a full table does not push the mark up with every packet.
    if high_water.load() >= capacity {
        return None;
    }
    let slot = high_water.add(1);
    (slot < capacity).then_some(slot)
}

/// Ends a connection whose time has come, if its word is still that: one that controls others lives
/// on for a minute (`ip_vs_conn_expire`).
#[inline(always)]
pub fn expire<F: Family, T: Tables>(tables: &T, slot: u32, word: Word, now: Tick) {
    const AGAIN: Ticks = Ticks::from_seconds(60);
    if let Some(record) = tables.connection::<F>(slot)
        && record.company().controls.load() != 0
    {
        if word.flags() & TEMPLATE != 0 {
            record.company().timeout.store(AGAIN.0);
        }
        let later = now.after(AGAIN).after(Ticks::REFRESH);
        record
            .word()
            .replace(word.0, Word::of_halves(later, word.upper()).0);
        return;
    }
    if is_observed(tables) {
        tables.stop_waiting::<F>(slot, word);
    }
    if outlives_its_time::<F, T>(tables, slot, word, now) {
        return;
    }
    if let Some(settings) = tables.settings()
        && settings.uses(USE_FAREWELLS)
    {
        farewell::say::<F, T>(tables, slot, word);
    }
    tables.end::<F>(slot, word);
}

/// Whether it is the twin of a connection that lives on: then it does too.
#[inline(always)]
fn outlives_its_time<F: Family, T: Tables>(tables: &T, slot: u32, word: Word, now: Tick) -> bool {
    match tables.settings() {
        Some(settings) if settings.uses(USE_OTHER_FAMILY) => {
            twin::outlives::<F, T>(tables, slot, word, now)
        }
        Some(_) | None => false,
    }
}

/// Whether any service wants it observed how its real servers answer.
#[inline(always)]
fn is_observed<T: Tables>(tables: &T) -> bool {
    match tables.settings() {
        Some(settings) => settings.uses(USE_OBSERVATION),
        None => false,
    }
}

/// Ends a connection, if its word is still that; whether it was.
#[inline(always)]
pub fn end<F: Family, T: Tables>(tables: &T, slot: u32, word: Word) -> bool {
    let Some(record) = tables.connection::<F>(slot) else {
        return false;
    };
    if !record.word().replace(word.0, ended(word).0) {
        return false;
    }
    for direction in [Direction::Request, Direction::Reply] {
        let own = FlowValue::new(slot, direction);
        tables.remove_flow::<F>(slot, direction, own);
    }
    if let Some(settings) = tables.settings() {
        F::live(settings).add(1u32.wrapping_neg());
        if settings.uses(USE_OTHER_FAMILY) {
            twin::follow::<F, T>(tables, settings, record);
        }
    }
    if let Some(destination) = tables.destination(record.destination().load()) {
        vacate(destination, word);
    }
    if word.flags() & TEMPLATE != 0 {
        forget::<F, T>(tables, slot);
    }
    if word.flags() & CONTROLLED != 0
        && let Some(control) = tables.connection::<F>(record.company().control.load())
    {
        control.company().controls.add(1u32.wrapping_neg());
    }
    tables.return_slot::<F>(slot);
    true
}

/// The word of a record that is free, after that tenant.
#[inline(always)]
const fn ended(word: Word) -> Word {
    Word::new(Tick(0), 0, 0, word.generation())
}
