//! Addresses of an interface, as an Active router has them.

use std::io;
use std::net::IpAddr;

use config::model::vrrp::VirtualAddress;
use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_REPLACE, NLM_F_REQUEST};
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage, CacheInfo};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use weir_config as config;

use crate::netlink::Netlink;

/// Forever, among lifetimes of addresses.
const FOREVER: u32 = u32::MAX;

impl Netlink {
    /// Puts an address on the interface of that index. One that is there already gets these properties.
    pub fn add_address(&mut self, interface: u32, wanted: &VirtualAddress) -> io::Result<()> {
        let mut message = identify(interface, wanted);
        message.header.scope = wanted.scope.into();
        let attributes = &mut message.attributes;
        if let Some(IpAddr::V4(broadcast)) = wanted.broadcast {
            attributes.push(AddressAttribute::Broadcast(broadcast));
        }
        let flags = flags(wanted);
        if !flags.is_empty() {
            attributes.push(AddressAttribute::Flags(flags));
        }
        if let Some(preferred) = wanted.preferred {
            let mut lifetime = CacheInfo::default();
            lifetime.ifa_preferred = u32::try_from(preferred.as_secs()).unwrap_or(FOREVER);
            lifetime.ifa_valid = FOREVER;
            attributes.push(AddressAttribute::CacheInfo(lifetime));
        }
        let request = RouteNetlinkMessage::NewAddress(message);
        let how = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE;
        self.ask(request, how).map(drop)
    }

    /// Takes an address from the interface. Already gone is fine, with its interface too.
    pub fn remove_address(&mut self, interface: u32, wanted: &VirtualAddress) -> io::Result<()> {
        let request = RouteNetlinkMessage::DelAddress(identify(interface, wanted));
        let done = self.ask(request, NLM_F_REQUEST | NLM_F_ACK);
        crate::netlink::unless(done, &[libc::EADDRNOTAVAIL, libc::ENODEV])
    }
}

fn identify(interface: u32, wanted: &VirtualAddress) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = match wanted.address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    };
    message.header.prefix_len = wanted.prefix;
    message.header.index = interface;
    let attributes = &mut message.attributes;
    attributes.push(AddressAttribute::Local(wanted.address));
    // The other end, where there is one: then the prefix is its.
    match wanted.peer {
        Some((peer, prefix)) => {
            message.header.prefix_len = prefix;
            attributes.push(AddressAttribute::Address(peer));
        }
        None => attributes.push(AddressAttribute::Address(wanted.address)),
    }
    if let Some(label) = &wanted.label {
        attributes.push(AddressAttribute::Label(label.clone()));
    }
    message
}

fn flags(wanted: &VirtualAddress) -> AddressFlags {
    let mut flags = AddressFlags::empty();
    // Duplicate detection would delay the address, and leave it unusable for good when two routers were
    // Active for a moment; that there is only one is VRRP's to see to.
    if wanted.address.is_ipv6() || wanted.flags.without_duplicate_detection {
        flags |= AddressFlags::Nodad;
    }
    for (said, flag) in [
        (wanted.flags.home, AddressFlags::Homeaddress),
        (wanted.flags.manage_temporary, AddressFlags::Managetempaddr),
        (
            wanted.flags.without_prefix_route,
            AddressFlags::Noprefixroute,
        ),
        (wanted.flags.autojoin, AddressFlags::Mcautojoin),
    ] {
        if said {
            flags |= flag;
        }
    }
    flags
}
