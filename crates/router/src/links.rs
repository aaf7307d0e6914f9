//! What interfaces there are, whether they carry packets, and which addresses they have: as it is now,
//! and as soon as it changes.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;

use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use rustix::net::sockopt::set_socket_recv_buffer_size_force;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::announce::LinkAddress;
use crate::netlink::Netlink;

/// `RTNLGRP_*` of linux/rtnetlink.h: LINK, IPV4_IFADDR, IPV6_IFADDR.
const GROUPS: [u32; 3] = [1, 5, 9];
/// Room for what comes in while nobody reads.
const SOCKET_BUFFER: usize = 4 << 20;
/// The kernel's largest message is well below.
const BUFFER: usize = 64 << 10;
/// How many messages are read before who waits is told.
const MOST_AT_ONCE: usize = 1024;

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Link {
    /// Its name.
    pub name: String,
    /// Whether it is up and carries packets.
    pub running: bool,
    /// Its link address, if it is an Ethernet.
    pub address: Option<LinkAddress>,
    /// Its addresses, in the kernel's order.
    pub addresses: Vec<LinkIp>,
}

/// An address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkIp {
    /// The address.
    pub address: IpAddr,
    /// The length of its prefix.
    pub prefix: u8,
    /// Whether the kernel is still looking for others that have it, or has found one.
    pub unusable: bool,
}

/// All interfaces by their index.
pub type Links = BTreeMap<u32, Link>;

/// Follows the kernel.
#[derive(Debug)]
pub struct Watch {
    socket: AsyncFd<Socket>,
    links: Links,
    buffer: Vec<u8>,
}

impl Watch {
    /// Begins to follow; all that is now is known.
    pub fn new() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        set_socket_recv_buffer_size_force(&socket, SOCKET_BUFFER)?;
        socket.bind(&SocketAddr::new(0, 0))?;
        for group in GROUPS {
            socket.add_membership(group)?;
        }
        socket.set_non_blocking(true)?;
        // SAFETY: a socket keeps its descriptor, open and the same, until it is dropped.
        let socket = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) };
        Ok(Self {
            socket: socket.map_err(io::Error::from)?,
            // Asked for after the groups were joined: what changes meanwhile comes by them.
            links: all()?,
            buffer: Vec::with_capacity(BUFFER),
        })
    }

    /// What is now, as far as has been read.
    pub const fn links(&self) -> &Links {
        &self.links
    }

    /// Waits until something was said, and takes it in.
    pub async fn changed(&mut self) -> io::Result<()> {
        loop {
            let mut ready = self.socket.readable().await?;
            let (links, buffer) = (&mut self.links, &mut self.buffer);
            if let Ok(read) = ready.try_io(|socket| read(socket.get_ref(), links, buffer)) {
                return read;
            }
        }
    }
}

/// The index of the interface of that name.
pub fn index_of(links: &Links, name: &str) -> Option<u32> {
    let mut found = links.iter().filter(|(_, link)| link.name == name);
    found.next().map(|(index, _)| *index)
}

/// Reads what there is. It would block only if there was nothing at all.
fn read(socket: &Socket, links: &mut Links, buffer: &mut Vec<u8>) -> io::Result<()> {
    for round in 0..MOST_AT_ONCE {
        buffer.clear();
        match socket.recv(buffer, libc::MSG_DONTWAIT) {
            Ok(_) => take_in(links, buffer),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && round > 0 => break,
            // More was said than there was room for.
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => *links = all()?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn take_in(links: &mut Links, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let Ok(message) = NetlinkMessage::<RouteNetlinkMessage>::deserialize(bytes) else {
            return;
        };
        let length = message.header.length as usize;
        if let NetlinkPayload::InnerMessage(message) = message.payload {
            apply(links, message);
        }
        // Messages are padded to four bytes.
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
}

fn all() -> io::Result<Links> {
    let mut links = Links::new();
    let mut netlink = Netlink::new()?;
    for question in [
        RouteNetlinkMessage::GetLink(LinkMessage::default()),
        RouteNetlinkMessage::GetAddress(AddressMessage::default()),
    ] {
        for answer in netlink.ask(question, NLM_F_REQUEST | NLM_F_DUMP)? {
            apply(&mut links, answer);
        }
    }
    Ok(links)
}

// The kernel's messages are open-ended: what is not asked for is passed over.
#[allow(clippy::wildcard_enum_match_arm)]
fn apply(links: &mut Links, message: RouteNetlinkMessage) {
    match message {
        RouteNetlinkMessage::NewLink(message) => {
            let link = links.entry(message.header.index).or_default();
            let needed = LinkFlags::Up | LinkFlags::Running;
            link.running = message.header.flags.contains(needed);
            for attribute in message.attributes {
                match attribute {
                    LinkAttribute::IfName(name) => link.name = name,
                    LinkAttribute::Address(address) => {
                        link.address = LinkAddress::try_from(address.as_slice()).ok();
                    }
                    _ => {}
                }
            }
        }
        // A bridge says it of ports that leave it, too.
        RouteNetlinkMessage::DelLink(message)
            if message.header.interface_family == AddressFamily::Unspec =>
        {
            links.remove(&message.header.index);
        }
        RouteNetlinkMessage::NewAddress(message) => {
            let index = message.header.index;
            if let (Some(address), Some(link)) = (address_of(&message), links.get_mut(&index)) {
                match link.addresses.iter_mut().find(|one| same(one, &address)) {
                    Some(known) => *known = address,
                    None => link.addresses.push(address),
                }
            }
        }
        RouteNetlinkMessage::DelAddress(message) => {
            let index = message.header.index;
            if let (Some(address), Some(link)) = (address_of(&message), links.get_mut(&index)) {
                link.addresses.retain(|one| !same(one, &address));
            }
        }
        _ => {}
    }
}

fn same(one: &LinkIp, other: &LinkIp) -> bool {
    (one.address, one.prefix) == (other.address, other.prefix)
}

// As above.
#[allow(clippy::wildcard_enum_match_arm)]
fn address_of(message: &AddressMessage) -> Option<LinkIp> {
    let (mut local, mut other, mut flags) = (None, None, AddressFlags::empty());
    for attribute in &message.attributes {
        match attribute {
            // Where there is another end, this is ours.
            AddressAttribute::Local(address) => local = Some(*address),
            AddressAttribute::Address(address) => other = Some(*address),
            AddressAttribute::Flags(said) => flags = *said,
            _ => {}
        }
    }
    let unusable = AddressFlags::Tentative | AddressFlags::Dadfailed;
    Some(LinkIp {
        address: local.or(other)?,
        prefix: message.header.prefix_len,
        // An optimistic address is used while it is tentative.
        unusable: flags.intersects(unusable) && !flags.contains(AddressFlags::Optimistic),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn loopback_is_known_at_once() {
        let watch = Watch::new().expect("netlink needs no privilege");
        let index = index_of(watch.links(), "lo").expect("every namespace has it");
        assert_eq!(index, 1);
        assert_eq!(index_of(watch.links(), "no such"), None);
    }
}
