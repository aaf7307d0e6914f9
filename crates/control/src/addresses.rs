//! Which addresses fragments are held up for.

use std::collections::HashSet;

use weir_abi::fragment::AddressKey;
use weir_abi::keys::FAMILY_V4;
use weir_abi::service::{
    Destination, FORWARD_FULL_NAT, FORWARD_NAT, FORWARD_OTHER_FAMILY, PRESENT, Service,
};

use crate::tables::Tables;

/// The addresses of virtual services, and of the real servers whose replies come by here. Fragments of
/// all others have nothing to do with us, in whatever order they come.
pub fn addresses<T: Tables>(tables: &T) -> HashSet<AddressKey> {
    let services = tables.services().iter().filter_map(service_address);
    let servers = tables.destinations().iter().filter_map(server_address);
    services.chain(servers).collect()
}

fn service_address(record: &Service) -> Option<AddressKey> {
    if record.flags.load() & PRESENT == 0 {
        return None;
    }
    let key = record.key.load();
    // A firewall mark is no address.
    (key.protocol != 0).then_some(AddressKey {
        address: key.address,
        family: key.family.into(),
    })
}

fn server_address(record: &Destination) -> Option<AddressKey> {
    if record.flags.load() & PRESENT == 0 {
        return None;
    }
    let server = record.address.load();
    match server.forwarding {
        FORWARD_NAT | FORWARD_FULL_NAT | FORWARD_OTHER_FAMILY => Some(AddressKey {
            address: match server.family {
                FAMILY_V4 => [server.address[0], 0, 0, 0],
                _v6 => server.address,
            },
            family: server.family.into(),
        }),
        _replies_go_another_way => None,
    }
}
