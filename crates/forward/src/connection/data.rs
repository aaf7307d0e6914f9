//! FTP's data connections: those that a control connection has spoken of (IPVS's `ip_vs_ftp`).

use weir_abi::connection::{
    CONTROLLED, Endpoints, INACTIVE, LIVE, PROVEN, SPEECH_ACTIVE, Speech, Word,
};
use weir_abi::keys::{Direction, FlowValue};
use weir_abi::reason::Reason;
use weir_abi::service::FORWARD_NAT;
use weir_abi::settings::USE_OBSERVATION;
use weir_abi::tick::{Tick, Ticks};
use weir_wire::transport::TCP;

use super::advance::move_between;
use super::{free_slot, get, occupy};
use crate::family::{Family, Record};
use crate::flow_table::Put;
use crate::observe;
use crate::state::tcp::TcpState;
use crate::tables::Tables;

/// FTP's port.
pub const FTP: u16 = 21u16.to_be();

/// Whether the payload of a connection speaks of addresses that are to be translated: FTP's control
/// connections by NAT (IPVS's `ip_vs_ftp`).
#[inline(always)]
pub const fn speaks_of_addresses<A>(endpoints: &Endpoints<A>) -> bool {
    endpoints.virtual_port == FTP
        && endpoints.protocol == TCP
        && endpoints.forwarding == FORWARD_NAT
}

#[inline(always)]
pub(super) fn forget_speech(speech: &Speech) {
    speech.asked.store(SPEECH_ACTIVE);
    speech.position.store(0);
    speech.before.store(0);
    speech.after.store(0);
}

/// Who opens FTP's data connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opener {
    /// The real server, to a port of the client's (PORT, EPRT).
    Server,
    /// The client, from whatever port, to a port of the real server's (PASV, EPSV).
    Client,
}

/// The port that FTP has named, and where it is not 0 the address of IPv4: in one word, as functions of their
/// own take it. Both as they lie in packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named(pub u64);

impl Named {
    /// That.
    #[inline(always)]
    pub const fn new(address: u32, port: u16) -> Self {
        Self((address as u64) << 32 | port as u64)
    }

    #[inline(always)]
    const fn address(self) -> u32 {
        (self.0 >> 32) as u32
    }

    #[inline(always)]
    const fn port(self) -> u16 {
        self.0 as u16
    }
}

/// Lets packets find the data connection that the control connection in a slot has spoken of: a new one,
/// or one that is there and waits again.
#[inline(always)]
pub fn open_data<F: Family, T: Tables>(
    tables: &T,
    control: u32,
    opener: Opener,
    named: Named,
) -> Result<(), Reason> {
    let slot = tables.make_data::<F>(control, opener, named)?;
    let record = tables.connection::<F>(slot).ok_or(Reason::TableFull)?;
    let word = Word(record.word().load());
    let direction = match opener {
        Opener::Server => Direction::Request,
        Opener::Client => Direction::Reply,
    };
    if let Some(entry) = tables.rival::<F>(slot, direction) {
        tables.end::<F>(slot, word);
        return wait_again::<F, T>(tables, entry.slot(), word.expires());
    }
    let appeared = tables.put_flows::<F>(slot);
    if appeared.request == Put::Full || appeared.reply == Put::Full {
        tables.end::<F>(slot, word);
        return Err(Reason::TableFull);
    }
    Ok(())
}

/// Makes that data connection, and says its slot. Nothing finds it yet.
#[inline(always)]
pub fn make_data<F: Family, T: Tables>(
    tables: &T,
    control: u32,
    opener: Opener,
    named: Named,
) -> Result<u32, Reason> {
    let (Some(settings), Some(found)) = (tables.settings(), get::<F, T>(tables, control)) else {
        return Err(Reason::NotOurs);
    };
    let mut endpoints = found.record.endpoints().load();
    match opener {
        Opener::Server => {
            endpoints.client = F::with_word(endpoints.client, named.address());
            endpoints.client_port = named.port();
            endpoints.virtual_port = below(endpoints.virtual_port);
            endpoints.server_port = below(endpoints.server_port);
        }
        Opener::Client => {
            endpoints.server = F::with_word(endpoints.server, named.address());
            endpoints.client_port = 0;
            endpoints.virtual_port = named.port();
            endpoints.server_port = named.port();
        }
    }
    let slot = free_slot::<F, T>(tables, settings).ok_or(Reason::TableFull)?;
    let record = tables.connection::<F>(slot).ok_or(Reason::TableFull)?;
    record.endpoints().store(endpoints);
    record.destination().store(found.destination);
    record.hop(Direction::Request).forget();
    record.hop(Direction::Reply).forget();
    record.company().control.store(control);
    if settings.uses(USE_OBSERVATION) {
        observe::not_begun::<F>(record);
    }
    found.record.company().controls.add(1);
    let listens = Ticks(settings.tcp_timeouts[TcpState::Listen as usize].load());
    let now = Tick(settings.now.load());
    let expires = now.after(listens).after(Ticks::REFRESH);
    // Both ends are known to be there.
    let flags = LIVE | INACTIVE | CONTROLLED | PROVEN;
    let generation = Word(record.word().load()).generation().wrapping_add(1);
    let word = Word::new(expires, TcpState::Listen as u8, flags, generation);
    record.word().store(word.0);
    if let Some(destination) = tables.destination(found.destination) {
        occupy(destination, word);
    }
    F::live(settings).add(1);
    Ok(slot)
}

/// Lets a data connection wait for its first packet as a new one does (`ip_vs_tcp_conn_listen`).
#[inline(always)]
fn wait_again<F: Family, T: Tables>(tables: &T, slot: u32, expires: Tick) -> Result<(), Reason> {
    let record = tables.connection::<F>(slot).ok_or(Reason::Contended)?;
    let word = Word(record.word().load());
    let (flags, generation) = (word.flags() | INACTIVE, word.generation());
    let waits = Word::new(expires, TcpState::Listen as u8, flags, generation);
    if word.is_live() && record.word().replace(word.0, waits.0) {
        move_between(tables, record.destination().load(), word, waits);
    }
    Ok(())
}

/// Gives FTP's data connection in a slot, which waited for a client's packet from whatever port, that port.
#[inline(always)]
pub fn fill_client_port<F: Family, T: Tables>(tables: &T, slot: u32, port: u16) -> bool {
    let Some(record) = tables.connection::<F>(slot) else {
        return false;
    };
    for direction in [Direction::Request, Direction::Reply] {
        tables.remove_flow::<F>(slot, direction, FlowValue::new(slot, direction));
    }
    let mut endpoints = record.endpoints().load();
    endpoints.client_port = port;
    record.endpoints().store(endpoints);
    let appeared = tables.put_flows::<F>(slot);
    appeared.request != Put::Full && appeared.reply != Put::Full
}

/// The port below, as it lies.
#[inline(always)]
const fn below(port: u16) -> u16 {
    u16::from_be(port).wrapping_sub(1).to_be()
}
