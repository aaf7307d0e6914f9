//! The twin of a connection between the families: a record in the table of the real server's family that has
//! nothing but the flow of its replies, and the other's slot. The connection itself has all else: state,
//! expiry, counters.
//!
//! A twin ends with its connection. Its own expiry is a minute later at least, and puts itself off as long as
//! the connection lives.

use core::ops::ControlFlow;

use weir_abi::NONE;
use weir_abi::connection::{Endpoints, INACTIVE, LIVE, PROVEN, Word};
use weir_abi::keys::{Direction, Flow, FlowValue};
use weir_abi::pool::{FIRST_PORT, POOL_ADDRESSES, PORTS};
use weir_abi::reason::Reason;
use weir_abi::service::{FORWARD_OTHER_FAMILY, FORWARD_TWIN, Service};
use weir_abi::settings::Settings;
use weir_abi::shared::Shared64;
use weir_abi::tick::{Tick, Ticks};

use crate::connection::{self, Found, free_slot};
use crate::family::{Family, Record};
use crate::flow_table::Put;
use crate::tables::{Step, Tables};

/// How much longer than its connection it has at least.
const SPARE: Ticks = Ticks::from_seconds(60);

/// How many ports are tried for one connection: with nine of ten in use one is found nearly always.
const TRIES: u32 = 32;

/// The flow of packets to the real server, as a twin has it.
#[inline(always)]
pub(crate) fn to_server<O: Family>(twin: &O::Record) -> Flow<O::Address> {
    let ends = twin.endpoints().load();
    Flow {
        source: ends.client,
        destination: ends.server,
        source_port: ends.client_port,
        destination_port: ends.server_port,
        protocol: ends.protocol as u32,
    }
}

/// The flow of packets to the client, as a connection has it.
#[inline(always)]
pub(crate) fn to_client<O: Family>(record: &O::Record) -> Flow<O::Address> {
    let ends = record.endpoints().load();
    Flow {
        source: ends.virtual_address,
        destination: ends.client,
        source_port: ends.virtual_port,
        destination_port: ends.client_port,
        protocol: ends.protocol as u32,
    }
}

/// The connection that a twin belongs to, while that lives.
#[inline(always)]
pub(crate) fn connection_of<I: Family, O: Family, T: Tables>(
    tables: &T,
    slot: u32,
    now: Tick,
) -> Option<Found<'_, O>> {
    let found = connection::get::<O, T>(tables, tables.connection::<I>(slot)?.twin().load())?;
    let is_its = found.word.is_live()
        && now.since(found.word.expires()) < 0
        && found.record.twin().load() == slot
        && found.record.endpoints().load().forwarding == FORWARD_OTHER_FAMILY;
    is_its.then_some(found)
}

/// Lets a twin live longer than its connection does.
#[inline(always)]
pub(crate) fn keep<F: Family>(twin: &F::Record, connection: &Shared64) {
    let (word, expires) = (Word(twin.word().load()), Word(connection.load()).expires());
    if word.expires().since(expires) < 0 {
        let later = expires.after(SPARE);
        // Who is in between has done the same, or ended it.
        twin.word()
            .replace(word.0, Word::of_halves(later, word.upper()).0);
    }
}

/// Whether a record whose time has come is the twin of a connection that lives: then it is given more.
#[inline(always)]
pub(crate) fn outlives<F: Family, T: Tables>(tables: &T, slot: u32, word: Word, now: Tick) -> bool {
    let Some(record) = tables.connection::<F>(slot) else {
        return false;
    };
    if record.endpoints().load().forwarding != FORWARD_TWIN
        || connection_of::<F, F::Other, T>(tables, slot, now).is_none()
    {
        return false;
    }
    let later = now.after(SPARE);
    record
        .word()
        .replace(word.0, Word::of_halves(later, word.upper()).0);
    true
}

/// Lets the twin of a connection that has just ended follow it.
#[inline(always)]
pub(crate) fn follow<F: Family, T: Tables>(tables: &T, settings: &Settings, record: &F::Record) {
    if record.endpoints().load().forwarding != FORWARD_OTHER_FAMILY {
        return;
    }
    let slot = record.twin().swap(NONE);
    let Some(twin) = tables.connection::<F::Other>(slot) else {
        return;
    };
    let word = Word(twin.word().load());
    let ended = Word::new(Tick(0), 0, 0, word.generation());
    if !word.is_live()
        || twin.endpoints().load().forwarding != FORWARD_TWIN
        || !twin.word().replace(word.0, ended.0)
    {
        return;
    }
    let own = FlowValue::new(slot, Direction::Reply);
    tables.remove_flow::<F::Other>(slot, Direction::Reply, own);
    F::Other::live(settings).add(1u32.wrapping_neg());
    tables.return_slot::<F::Other>(slot);
}

/// Sees that a connection has a twin, with an address and port that no other has towards its real server;
/// without one it ends.
#[cfg_attr(target_arch = "bpf", inline(never))]
pub(crate) fn make<F: Family, T: Tables>(tables: &T, slot: u32) -> Result<(), Reason> {
    let record = tables.connection::<F>(slot).ok_or(Reason::Contended)?;
    if record.twin().load() != NONE {
        return Ok(());
    }
    let word = Word(record.word().load());
    let made = begin::<F, T>(tables, record, slot).and_then(|twin| {
        claim::<F, T>(tables, record, twin)?;
        // Two packets of one connection may both have made one.
        if record.twin().replace(NONE, twin) {
            return Ok(());
        }
        end::<F, T>(tables, twin);
        Ok(())
    });
    if made.is_err() {
        tables.end::<F>(slot, word);
    }
    made
}

/// Ends a twin that nobody has got.
#[inline(always)]
fn end<F: Family, T: Tables>(tables: &T, twin: u32) {
    if let Some(record) = tables.connection::<F::Other>(twin) {
        tables.end::<F::Other>(twin, Word(record.word().load()));
    }
}

/// Takes a slot for a twin. Nothing finds it yet.
#[cfg_attr(target_arch = "bpf", inline(never))]
fn begin<F: Family, T: Tables>(tables: &T, record: &F::Record, slot: u32) -> Result<u32, Reason> {
    let settings = tables.settings().ok_or(Reason::Contended)?;
    let destination = tables.destination(record.destination().load());
    let address = destination.ok_or(Reason::DestinationGone)?.address.load();
    let twin = match free_slot::<F::Other, T>(tables, settings) {
        Some(twin) => Some(twin),
        None if tables.evict::<F::Other>() => free_slot::<F::Other, T>(tables, settings),
        None => None,
    };
    let twin = twin.ok_or(Reason::TableFull)?;
    let other = tables
        .connection::<F::Other>(twin)
        .ok_or(Reason::TableFull)?;
    let server = F::Other::narrow(address.address);
    let ends = record.endpoints().load();
    other.endpoints().store(Endpoints {
        client: server,
        virtual_address: server,
        server,
        client_port: 0,
        virtual_port: 0,
        server_port: ends.server_port,
        protocol: ends.protocol,
        forwarding: FORWARD_TWIN,
    });
    other.destination().store(NONE);
    other.hop(Direction::Request).forget();
    other.hop(Direction::Reply).forget();
    other.twin().store(slot);
    let expires = Word(record.word().load()).expires().after(SPARE);
    let generation = Word(other.word().load()).generation().wrapping_add(1);
    // Proven, so that nobody's need of room ends it before its connection.
    let word = Word::new(expires, 0, LIVE | INACTIVE | PROVEN, generation);
    other.word().store(word.0);
    F::Other::live(settings).add(1);
    Ok(twin)
}

/// Finds an address and port for a twin; without one it ends.
#[inline(always)]
fn claim<F: Family, T: Tables>(tables: &T, record: &F::Record, twin: u32) -> Result<(), Reason> {
    let destination = tables.destination(record.destination().load());
    let service = destination
        .map(|destination| destination.service.load())
        .unwrap_or(NONE);
    let mut search = Claim::<F::Other> {
        twin,
        service,
        outcome: Reason::PortsExhausted as u32,
        family: core::marker::PhantomData,
    };
    tables.repeat(TRIES, &mut search);
    if search.outcome == CLAIMED {
        return Ok(());
    }
    end::<F, T>(tables, twin);
    if search.outcome == Reason::TableFull as u32 {
        return Err(Reason::TableFull);
    }
    if let Some(service) = tables.service(service) {
        service.pool_exhausted.add(1);
    }
    Err(Reason::PortsExhausted)
}

const CLAIMED: u32 = u32::MAX;

struct Claim<F> {
    twin: u32,
    service: u32,
    /// [`CLAIMED`], or why not. (A number: nothing of it is ever unset.)
    outcome: u32,
    family: core::marker::PhantomData<F>,
}

impl<F: Family, T: Tables> Step<T> for Claim<F> {
    /// Tries one, as [FULLNAT](crate::full_nat) does.
    #[inline(always)]
    fn step(&mut self, tables: &T) -> ControlFlow<()> {
        let (slot, direction) = (self.twin, Direction::Reply);
        let (Some(twin), Some(service)) =
            (tables.connection::<F>(slot), tables.service(self.service))
        else {
            return ControlFlow::Break(());
        };
        if !take_next::<F, T>(tables, twin, service) {
            return ControlFlow::Break(());
        }
        if tables.rival::<F>(slot, direction).is_some() {
            return ControlFlow::Continue(());
        }
        match tables.put_replies::<F>(slot) {
            Put::Alone => {}
            Put::Beside => {
                if tables.rival::<F>(slot, direction).is_some() {
                    // Who came at the same moment sees this one too, and both try another.
                    let own = FlowValue::new(slot, direction);
                    tables.remove_flow::<F>(slot, direction, own);
                    return ControlFlow::Continue(());
                }
            }
            Put::Full => {
                self.outcome = Reason::TableFull as u32;
                return ControlFlow::Break(());
            }
        }
        self.outcome = CLAIMED;
        ControlFlow::Break(())
    }
}

/// Gives a twin the next address and port of its service; whether there is any.
#[inline(always)]
fn take_next<F: Family, T: Tables>(tables: &T, twin: &F::Record, service: &Service) -> bool {
    let addresses = service.pool_others.load();
    if addresses == 0 {
        return false;
    }
    let ports = match service.pool_ports.load() {
        0 => PORTS,
        few => few,
    };
    let turn = service.pool_others_hand.add(1);
    let last = service.pool.load().wrapping_add(POOL_ADDRESSES - 1);
    let Some(address) = tables.pool_address(last.wrapping_sub(turn % addresses)) else {
        return false;
    };
    let [a, b, c, d] = &address.words;
    let address = F::narrow([a.load(), b.load(), c.load(), d.load()]);
    let port = ((FIRST_PORT as u32 + turn / addresses % ports) as u16).to_be();
    let mut ends = twin.endpoints().load();
    ends.client = address;
    ends.client_port = port;
    twin.endpoints().store(ends);
    true
}
