//! Persistence: the connections of one client go to one real server, as a template says.
//!
//! A template is a connection record that no packet belongs to. It lies in the flow table under a
//! protocol number that no packet has, keyed by what its clients have in common
//! (`ip_vs_sched_persist`).

use weir_abi::connection::template_protocol;
use weir_abi::keys::{Direction, FlowValue, ServiceKey};
use weir_abi::reason::Reason;
use weir_abi::service::{AVAILABLE, Service};
use weir_abi::sysctl::Sysctl;
use weir_abi::tick::Tick;

use crate::connection::{self, Find, Found, TemplateOf};
use crate::family::{Family, Flow, Record};
use crate::flow_table::Put;
use crate::tables::Tables;

/// The port of FTP's control connections, network byte order.
const FTP: u16 = 21u16.to_be();

/// The slot of the template for a packet of a service, which may be new.
#[inline(always)]
pub fn persist<F: Family, T: Tables>(
    tables: &T,
    flow: &Flow<F::Address>,
    service: u32,
    now: Tick,
) -> Result<u32, Reason> {
    match tables.find_template::<F>(flow, service, now) {
        Template::Holds(slot) => return Ok(slot),
        Template::Outlived(slot) => tables.give_up::<F>(slot),
        Template::Nothing => {}
    }
    let destination = tables
        .pick::<F>(service, flow, now)
        .ok_or(Reason::NoDestination)?;
    let of = TemplateOf {
        service,
        destination,
    };
    let template = match tables.make_template::<F>(flow, of, now) {
        Err(Reason::TableFull) if tables.evict::<F>() => {
            tables.make_template::<F>(flow, of, now)?
        }
        made => made?,
    };
    match tables.put_flows::<F>(template).request {
        Put::Alone => Ok(template),
        Put::Beside => Ok(elder::<F, T>(tables, template)),
        Put::Full => {
            end::<F, T>(tables, template);
            Err(Reason::TableFull)
        }
    }
}

/// What there is for the clients that a packet's is one of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Template {
    /// The template in that slot, which now lives as long again.
    Holds(u32),
    /// That one, which says nothing any more.
    Outlived(u32),
    /// None.
    Nothing,
}

/// Looks for the template that a packet of a service has.
#[inline(always)]
pub fn find_template<F: Family, T: Tables>(
    tables: &T,
    flow: &Flow<F::Address>,
    service: u32,
    now: Tick,
) -> Template {
    let (Some(settings), Some(service)) = (tables.settings(), tables.service(service)) else {
        return Template::Nothing;
    };
    let key = template_flow::<F>(service, flow);
    let found = match connection::find::<F, T>(tables, settings, &key) {
        Find::Found(found, _direction) => found,
        // Of two flows under one tag, one in some hundred million, this one begins a template anew.
        Find::Unknown | Find::Perhaps => return Template::Nothing,
    };
    if !holds::<F, T>(tables, &found, now) {
        return Template::Outlived(found.slot);
    }
    connection::prolong::<F>(found.record, now);
    Template::Holds(found.slot)
}

/// What a template is found by: `<protocol, client and netmask, 0, VIP, port>`.
#[inline(always)]
fn template_flow<F: Family>(service: &Service, flow: &Flow<F::Address>) -> Flow<F::Address> {
    let key = service.key.load();
    Flow {
        source: F::masked(flow.source, &service.netmask),
        destination: template_address::<F>(&key, flow.destination),
        source_port: 0,
        destination_port: template_port(&key, flow.destination_port),
        protocol: template_protocol(key.protocol) as u32,
    }
}

/// The VIP of a service's templates: for a firewall mark, the mark.
#[inline(always)]
pub fn template_address<F: Family>(key: &ServiceKey, address: F::Address) -> F::Address {
    if key.protocol == 0 {
        F::narrow([key.address[0].to_be(), 0, 0, 0])
    } else {
        address
    }
}

/// The port of a service's templates: none for a firewall mark, for all ports and for FTP.
#[inline(always)]
pub const fn template_port(key: &ServiceKey, port: u16) -> u16 {
    if key.protocol == 0 || key.port == 0 || key.port == FTP {
        0
    } else {
        port
    }
}

/// Whether a template still says something (`ip_vs_check_template`).
#[inline(always)]
pub(crate) fn holds<F: Family, T: Tables>(tables: &T, found: &Found<'_, F>, now: Tick) -> bool {
    let (Some(settings), Some(destination)) =
        (tables.settings(), tables.destination(found.destination))
    else {
        return false;
    };
    let is_over =
        now.since(found.word.expires()) >= 0 && found.record.company().controls.load() == 0;
    let is_quiesced = destination.weight.load() == 0
        && settings.sysctl(Sysctl::ExpireQuiescentTemplate).load() != 0;
    let is_available = destination.flags.load() & AVAILABLE != 0;
    !is_over && is_available && !is_quiesced
}

/// Lets a template be found no more. It stays until the connections that it has begun have ended, and
/// is listed without its ports, as in IPVS.
#[inline(always)]
pub fn give_up<F: Family, T: Tables>(tables: &T, slot: u32) {
    let own = FlowValue::new(slot, Direction::Request);
    tables.remove_flow::<F>(slot, Direction::Request, own);
    if let Some(record) = tables.connection::<F>(slot) {
        let mut endpoints = record.endpoints().load();
        endpoints.virtual_port = u16::MAX;
        endpoints.server_port = u16::MAX;
        record.endpoints().store(endpoints);
    }
}

/// Of two templates that two processors have made at one moment the one that both take: that of the
/// lower slot. The other is ended.
#[inline(always)]
fn elder<F: Family, T: Tables>(tables: &T, own: u32) -> u32 {
    match tables.rival::<F>(own, Direction::Request) {
        Some(other) if other.slot() < own => {
            end::<F, T>(tables, own);
            other.slot()
        }
        Some(_) | None => own,
    }
}

#[inline(always)]
fn end<F: Family, T: Tables>(tables: &T, slot: u32) {
    if let Some(found) = connection::get::<F, T>(tables, slot) {
        tables.end::<F>(slot, found.word);
    }
}
