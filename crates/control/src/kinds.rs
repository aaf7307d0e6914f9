//! How many services there are of the kinds that packets look for only where there are any.

use weir_abi::settings::{
    Settings, USE_CALLS, USE_FAREWELLS, USE_FULL_NAT, USE_OTHER_FAMILY, USE_OWN_TIMEOUTS,
};
use weir_abi::shared::Shared32;
use weir_config::model::{Engine, Protocol, Service, ServiceKey, ServiceTimeouts};

use crate::settings::note_use;

const FTP_PORT: u16 = 21;

/// A service of that key is about to come.
pub(crate) fn count(settings: &Settings, key: &ServiceKey) {
    if let Some(cell) = cell(settings, key) {
        cell.add(1);
    }
}

/// A service of that key has gone.
pub(crate) fn uncount(settings: &Settings, key: &ServiceKey) {
    if let Some(cell) = cell(settings, key) {
        cell.add(u32::MAX);
    }
}

/// A service is about to want that.
pub(crate) fn note_uses(settings: &Settings, wanted: &Service) {
    let has_timeouts = wanted.timeouts != ServiceTimeouts::default();
    let addresses = &wanted.local_addresses;
    let has_addresses = addresses.of(wanted.family()).next().is_some();
    let has_others = addresses.of(wanted.family().other()).next().is_some();
    // Never taken back: connections outlive their services.
    for (what, is_wanted) in [
        (USE_OWN_TIMEOUTS, has_timeouts),
        (USE_FULL_NAT, has_addresses),
        (USE_OTHER_FAMILY, has_others),
        (USE_CALLS, wanted.engine == Some(Engine::Sip)),
        (USE_FAREWELLS, wanted.farewell),
    ] {
        if is_wanted {
            note_use(settings, what, true);
        }
    }
}

/// Those are all services.
pub(crate) fn recount<'a>(settings: &Settings, keys: impl Iterator<Item = &'a ServiceKey>) {
    for cell in [
        &settings.mark_services,
        &settings.any_port_services,
        &settings.ftp_services,
    ] {
        cell.store(0);
    }
    keys.for_each(|key| count(settings, key));
}

fn cell<'a>(settings: &'a Settings, key: &ServiceKey) -> Option<&'a Shared32> {
    match *key {
        ServiceKey::FirewallMark { .. } => Some(&settings.mark_services),
        ServiceKey::Address { protocol, address } => match (protocol, address.port()) {
            (_, 0) => Some(&settings.any_port_services),
            (Protocol::Tcp, FTP_PORT) => Some(&settings.ftp_services),
            (Protocol::Tcp | Protocol::Udp | Protocol::Sctp, _) => None,
        },
    }
}
