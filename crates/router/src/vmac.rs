//! The virtual router's own link address: a macvlan on the interface (RFC 9568, 7.3).

use std::fs;
use std::io;
use std::path::PathBuf;

use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoMacVlan, LinkAttribute, LinkFlags, LinkInfo, LinkMessage, MacVlanMode,
};

use crate::announce::LinkAddress;
use crate::netlink::{Netlink, unless};

/// 00:00:5e:00:01:ID for IPv4, 00:00:5e:00:02:ID for IPv6.
pub const fn link_address(router_id: u8, v6: bool) -> LinkAddress {
    [0, 0, 0x5e, 0, if v6 { 2 } else { 1 }, router_id]
}

impl Netlink {
    /// Makes the virtual link of that name on the interface of index `base`, and brings it up. One that
    /// is there already, as an earlier daemon left it, is taken as it is.
    pub fn add_virtual_link(
        &mut self,
        name: &str,
        base: u32,
        link_address: LinkAddress,
    ) -> io::Result<()> {
        let mut message = named(name);
        let attributes = &mut message.attributes;
        attributes.push(LinkAttribute::Link(base));
        attributes.push(LinkAttribute::Address(link_address.to_vec()));
        attributes.push(LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::MacVlan),
            // Private: virtual routers of one machine do not hear each other.
            LinkInfo::Data(InfoData::MacVlan(vec![InfoMacVlan::Mode(
                MacVlanMode::Private,
            )])),
        ]));
        let how = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
        let made = self.ask(RouteNetlinkMessage::NewLink(message), how);
        unless(made, &[libc::EEXIST])?;
        self.prepare(name)?;
        let mut up = named(name);
        up.header.flags = LinkFlags::Up;
        up.header.change_mask = LinkFlags::Up;
        let how = NLM_F_REQUEST | NLM_F_ACK;
        self.ask(RouteNetlinkMessage::SetLink(up), how).map(drop)
    }

    /// Removes a virtual link; already gone is fine.
    pub fn remove_virtual_link(&mut self, name: &str) -> io::Result<()> {
        let request = RouteNetlinkMessage::DelLink(named(name));
        let done = self.ask(request, NLM_F_REQUEST | NLM_F_ACK);
        unless(done, &[libc::ENODEV])
    }

    /// Before it is up: what makes it answer for its own addresses and nothing else.
    fn prepare(&self, name: &str) -> io::Result<()> {
        for (path, value) in [
            // Packets come in here whose way back is by the interface below.
            ("ipv4/conf/{}/rp_filter", "0"),
            ("ipv4/conf/{}/accept_local", "1"),
            // Answers only for addresses that it has itself, and asks only from these.
            ("ipv4/conf/{}/arp_ignore", "1"),
            ("ipv4/conf/{}/promote_secondaries", "1"),
            // No link-local address of its own, which the peer's link would have too.
            ("ipv6/conf/{}/addr_gen_mode", "1"),
            ("ipv6/conf/{}/autoconf", "0"),
            ("ipv6/conf/{}/accept_ra", "0"),
            ("ipv6/conf/{}/dad_transmits", "0"),
        ] {
            write(&path.replace("{}", name), value)?;
        }
        Ok(())
    }
}

/// What the interface below a virtual link is told, so that only the link answers for its addresses.
/// Returns what was said before.
pub fn prepare_base(name: &str) -> io::Result<Vec<(String, String)>> {
    let mut before = Vec::new();
    for (path, value) in [
        // Does not answer for addresses of the virtual link.
        ("ipv4/conf/{}/arp_ignore", "1"),
        ("ipv4/conf/{}/arp_filter", "1"),
    ] {
        let path = path.replace("{}", name);
        before.push((path.clone(), read(&path)?));
        write(&path, value)?;
    }
    Ok(before)
}

/// Gives settings the values that they had.
pub fn restore(before: &[(String, String)]) -> io::Result<()> {
    before
        .iter()
        .try_for_each(|(path, value)| write(path, value))
}

/// Lets secondary addresses of an interface stay when the first one goes.
pub fn promote_secondaries(name: &str) -> io::Result<()> {
    write(&format!("ipv4/conf/{name}/promote_secondaries"), "1")
}

fn named(name: &str) -> LinkMessage {
    let mut message = LinkMessage::default();
    message
        .attributes
        .push(LinkAttribute::IfName(name.to_owned()));
    message
}

fn place(path: &str) -> PathBuf {
    PathBuf::from("/proc/sys/net").join(path)
}

fn read(path: &str) -> io::Result<String> {
    Ok(fs::read_to_string(place(path))?.trim().to_owned())
}

/// A kernel without IPv6 has none of its settings.
fn write(path: &str, value: &str) -> io::Result<()> {
    match fs::write(place(path), value) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && path.starts_with("ipv6/") => {
            Ok(())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_addresses_are_the_protocols() {
        assert_eq!(link_address(51, false), [0, 0, 0x5e, 0, 1, 51]);
        assert_eq!(link_address(51, true), [0, 0, 0x5e, 0, 2, 51]);
    }
}
