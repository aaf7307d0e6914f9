//! Whom a packet belongs to, where the fast way has not said it.

use weir_abi::connection::{CONTROLLED, NO_OUTPUT, Word};
use weir_abi::keys::{Direction, Flow, FlowValue, ServiceKey};
use weir_abi::reason::Reason;
use weir_abi::service::{AVAILABLE, FORWARD_BYPASS};
use weir_abi::settings::Settings;
use weir_abi::sysctl::Sysctl;
use weir_abi::tick::Tick;
use weir_wire::transport::TCP;

use crate::connection::{self, FTP, Found};
use crate::family::{Family, Record, service_of};
use crate::parse::{Segment, Transport};
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
    now: Tick,
    mark: u32,
) -> Met {
    let Some(settings) = tables.settings() else {
        return Met::Nothing(Reason::NotOurs);
    };
    if let Some(value) = tables.search::<F>(&segment.flow)
        && let Some(found) = connection::get::<F, T>(tables, value.slot())
    {
        match keep::<F, T>(tables, settings, segment, &found, value.direction(), now) {
            Keep::Yes => return Met::Connection(value),
            Keep::Drop => return Met::Nothing(Reason::DestinationGone),
            Keep::Expired => {
                let word = current_word::<F>(&found);
                connection::expire::<F, T>(tables, found.slot, word, now);
            }
            Keep::End => {
                let word = current_word::<F>(&found);
                tables.end::<F>(found.slot, word);
            }
        }
    }
    begins::<F, T>(tables, settings, segment, mark)
}

/// The service of a packet that no connection has, if it may begin one.
#[inline(always)]
pub fn begins<F: Family, T: Tables>(
    tables: &T,
    settings: &Settings,
    segment: &Segment<F::Address>,
    mark: u32,
) -> Met {
    let Some(service) = service_for::<F, T>(tables, settings, &segment.flow, mark) else {
        return Met::Nothing(Reason::NotOurs);
    };
    if !segment.can_begin(settings) || segment.flow.source_port == FTP_DATA {
        return Met::Nothing(Reason::NotConnected);
    }
    if is_in_turn(settings) {
        return Met::Nothing(Reason::DropRate);
    }
    Met::Service(service)
}

/// IPVS schedules nothing from the FTP data port: it waits for the control connection's helper.
const FTP_DATA: u16 = 20u16.to_be();

/// The service that a packet of that flow begins a connection of, whatever the packet is, or why it begins
/// none.
#[inline(always)]
pub(crate) fn scheduled_for<F: Family, T: Tables>(
    tables: &T,
    settings: &Settings,
    flow: &Flow<F::Address>,
    mark: u32,
) -> Result<u32, Reason> {
    let service = service_for::<F, T>(tables, settings, flow, mark).ok_or(Reason::NotOurs)?;
    if flow.source_port == FTP_DATA {
        return Err(Reason::NotConnected);
    }
    if is_in_turn(settings) {
        return Err(Reason::DropRate);
    }
    Ok(service)
}

/// The service that a packet is for: of its firewall mark, of its address and port, FTP's on its address,
/// of its address and all ports (`ip_vs_service_find`).
#[inline(always)]
fn service_for<F: Family, T: Tables>(
    tables: &T,
    settings: &Settings,
    flow: &Flow<F::Address>,
    mark: u32,
) -> Option<u32> {
    if mark != 0 {
        let key = ServiceKey {
            address: [mark, 0, 0, 0],
            port: 0,
            protocol: 0,
            family: F::NUMBER,
        };
        if let Some(service) = tables.service_slot(&key) {
            return Some(service);
        }
    }
    let mut key = service_of::<F>(flow);
    if let Some(service) = tables.service_slot(&key) {
        return Some(service);
    }
    if settings.ftp_services.load() != 0
        && flow.protocol as u8 == TCP
        && may_be_data(settings, flow)
    {
        key.port = FTP;
        if let Some(service) = tables.service_slot(&key) {
            return Some(service);
        }
    }
    if settings.any_port_services.load() == 0 {
        return None;
    }
    key.port = 0;
    tables.service_slot(&key)
}

/// Whether a flow's port is one that FTP's data connections go to.
#[inline(always)]
fn may_be_data<A>(settings: &Settings, flow: &Flow<A>) -> bool {
    let port = u16::from_be(flow.destination_port);
    port == 20 || port as u32 >= settings.unprivileged_port.load()
}

/// Whether this packet is the one of so many that `drop_packet` drops (`ip_vs_todrop`).
#[inline(always)]
fn is_in_turn(settings: &Settings) -> bool {
    let rate = settings.drop_rate.load();
    rate != 0 && settings.drop_count.add(1).is_multiple_of(rate)
}

/// What becomes of a connection that a packet has been found to belong to.
enum Keep {
    /// It goes on.
    Yes,
    /// It is over, and the packet may begin another.
    Expired,
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
        return Keep::Expired;
    }
    match direction {
        Direction::Request => {}
        Direction::Reply => return Keep::Yes,
    }
    let expire = settings.sysctl(Sysctl::ExpireNodestConn).load() != 0;
    let destination = tables.destination(found.destination);
    if segment.is_new() {
        let quiesced = match destination {
            Some(destination) => expire && destination.weight.load() == 0,
            None => false,
        };
        if quiesced || gives_way::<F>(settings, segment.transport(), found) {
            return Keep::End;
        }
    }
    let Some(destination) = destination else {
        let is_bypass = found.record.endpoints().load().forwarding == FORWARD_BYPASS;
        return if is_bypass { Keep::Yes } else { Keep::Drop };
    };
    if destination.flags.load() & AVAILABLE != 0 {
        Keep::Yes
    } else if expire {
        Keep::End
    } else {
        Keep::Drop
    }
}

/// Whether a packet that looks like a new connection's may take this one's place. Connections that
/// another controls never give way.
#[inline(always)]
fn gives_way<F: Family>(settings: &Settings, transport: Transport, found: &Found<'_, F>) -> bool {
    let mode = settings.sysctl(Sysctl::ConnReuseMode).load();
    let flags = found.word.flags();
    let state = found.word.state();
    let gives_way = match transport {
        Transport::Tcp(_) => state::tcp::gives_way(state, flags & NO_OUTPUT != 0, mode),
        Transport::Sctp(_) => state::sctp::gives_way(state, mode),
        Transport::Udp | Transport::Secured => false,
    };
    flags & CONTROLLED == 0 && gives_way
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
