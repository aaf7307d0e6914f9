//! When the network around this machine changes: interfaces, and whatever decides where a packet
//! goes.

use std::io;
use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::protocols::{NETLINK_GENERIC, NETLINK_ROUTE};
use netlink_sys::{Socket, SocketAddr};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt::set_socket_recv_buffer_size_force;

use crate::neighbour::{self, Neighbours};
use crate::netdev;

/// The groups of linux/rtnetlink.h (`RTNLGRP_*`) that tell of what `bpf_fib_lookup` goes by.
const GROUPS: [u32; 11] = [
    1,  // LINK
    3,  // NEIGH
    5,  // IPV4_IFADDR
    7,  // IPV4_ROUTE
    8,  // IPV4_RULE
    9,  // IPV6_IFADDR
    11, // IPV6_ROUTE
    19, // IPV6_RULE
    24, // IPV4_NETCONF
    25, // IPV6_NETCONF
    32, // NEXTHOP
];
/// `RTM_NEWLINK` to `RTM_SETLINK`, and the same of neighbours.
const LINK_MESSAGES: std::ops::RangeInclusive<u16> = 16..=19;
const NEIGHBOUR_MESSAGES: std::ops::RangeInclusive<u16> = 28..=30;

/// How often the observer hears that the watch lives.
const SIGN_OF_LIFE: Duration = Duration::from_millis(250);
/// The least time between two changes that are told: what comes meanwhile is told as one.
const SETTLE: Duration = Duration::from_millis(50);
/// After a failure, the time until the watch is set up again.
const RETRY: Duration = Duration::from_secs(1);
/// Room for what comes in while nobody reads.
const SOCKET_BUFFER: usize = 4 << 20;
/// How much is read before something is told. Beyond that it is a change, whatever it says.
const MOST_AT_ONCE: usize = 4096;

/// What has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Changes {
    /// An interface came, went, or has another address or other XDP abilities.
    pub interfaces: bool,
    /// A packet may have to go elsewhere than before.
    pub routes: bool,
}

impl Changes {
    const NONE: Self = Self {
        interfaces: false,
        routes: false,
    };
    const INTERFACES: Self = Self {
        interfaces: true,
        routes: false,
    };
    const ROUTES: Self = Self {
        interfaces: false,
        routes: true,
    };
    const ALL: Self = Self {
        interfaces: true,
        routes: true,
    };

    fn add(&mut self, more: Self) {
        self.interfaces |= more.interfaces;
        self.routes |= more.routes;
    }
}

/// Who is told. All calls come from one thread.
pub trait Observer: Send + 'static {
    /// Something changed. What it is now is to be asked anew: messages may have been lost.
    fn changed(&self, changes: Changes);
    /// All that changed until now has been told; some times a second while the watch works.
    fn watching(&self);
    /// The watch has failed. It is set up again; until then changes go unnoticed.
    fn interrupted(&self, error: &io::Error);
}

/// Watches for as long as the process lives, from a thread of its own. The first change is told at
/// once: who begins to watch does not know what was before.
pub fn network(observer: impl Observer) -> io::Result<()> {
    thread::Builder::new()
        .name("network".to_owned())
        .spawn(move || {
            loop {
                let Err(error) = watch(&observer);
                observer.interrupted(&error);
                thread::sleep(RETRY);
            }
        })?;
    Ok(())
}

fn watch(observer: &impl Observer) -> io::Result<std::convert::Infallible> {
    let mut watch = Watch::open()?;
    let mut changes = Changes::ALL;
    loop {
        if changes != Changes::NONE {
            observer.changed(changes);
        }
        observer.watching();
        if changes != Changes::NONE {
            thread::sleep(SETTLE);
        }
        watch.wait()?;
        changes = watch.read()?;
    }
}

/// The sockets on which the kernel tells, and what it takes to understand it.
struct Watch {
    routes: Socket,
    /// Kernels before 6.3 have none.
    abilities: Option<Socket>,
    neighbours: Neighbours,
}

impl Watch {
    fn open() -> io::Result<Self> {
        let routes = listen(NETLINK_ROUTE, &GROUPS)?;
        let abilities = match netdev::family()?.and_then(|family| family.changes) {
            Some(group) => Some(listen(NETLINK_GENERIC, &[group])?),
            None => None,
        };
        Ok(Self {
            routes,
            abilities,
            // Asked for when the socket listens already, so that nothing is missed in between.
            neighbours: Neighbours::now()?,
        })
    }

    /// Blocks until there is a message, or it is time for a sign of life.
    fn wait(&self) -> io::Result<()> {
        let sockets = [Some(&self.routes), self.abilities.as_ref()];
        let mut descriptors: Vec<_> = sockets
            .into_iter()
            .flatten()
            .map(|socket| PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::IN))
            .collect();
        let patience = Timespec {
            tv_sec: 0,
            tv_nsec: SIGN_OF_LIFE.subsec_nanos().into(),
        };
        match poll(&mut descriptors, Some(&patience)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads all messages that there are.
    fn read(&mut self) -> io::Result<Changes> {
        let mut changes = Changes::NONE;
        if let Some(abilities) = &self.abilities
            && drain(abilities, |_| changes.add(Changes::INTERFACES))? == Drained::NotAll
        {
            changes.add(Changes::INTERFACES);
        }
        let neighbours = &mut self.neighbours;
        let drained = drain(&self.routes, |messages| {
            changes.add(understand(neighbours, messages));
        })?;
        if drained == Drained::NotAll {
            changes = Changes::ALL;
            self.neighbours = Neighbours::now()?;
        }
        Ok(changes)
    }
}

fn listen(protocol: isize, groups: &[u32]) -> io::Result<Socket> {
    let mut socket = Socket::new(protocol)?;
    socket.bind(&SocketAddr::new(0, 0))?;
    // Without the privilege there is less room, and more is lost, which is noticed.
    let _ = set_socket_recv_buffer_size_force(&socket, SOCKET_BUFFER);
    for group in groups {
        socket.add_membership(*group)?;
    }
    socket.set_non_blocking(true)?;
    Ok(socket)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Drained {
    All,
    /// Messages were lost, or more come all the time.
    NotAll,
}

/// Reads until nothing is left, and gives away what it read.
fn drain(socket: &Socket, mut take: impl FnMut(&[u8])) -> io::Result<Drained> {
    let mut buffer = Vec::with_capacity(64 << 10);
    let mut drained = Drained::All;
    for _ in 0..MOST_AT_ONCE {
        buffer.clear();
        match socket.recv(&mut buffer, 0) {
            Ok(_) => take(&buffer),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(drained),
            // More changed than the socket holds.
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => drained = Drained::NotAll,
            Err(error) => return Err(error),
        }
    }
    Ok(Drained::NotAll)
}

/// What the messages of routing mean for where packets go.
fn understand(neighbours: &mut Neighbours, messages: &[u8]) -> Changes {
    let mut changes = Changes::NONE;
    let mut rest = messages;
    while let Some((kind, message)) = first(rest) {
        changes.add(if LINK_MESSAGES.contains(&kind) {
            Changes::ALL
        } else if NEIGHBOUR_MESSAGES.contains(&kind) && !neighbour_matters(neighbours, message) {
            Changes::NONE
        } else {
            Changes::ROUTES
        });
        // Messages are padded to four bytes.
        let length = message.len().next_multiple_of(4);
        rest = rest.get(length..).unwrap_or_default();
    }
    changes
}

/// The first message and its type.
fn first(messages: &[u8]) -> Option<(u16, &[u8])> {
    let length = messages.first_chunk().copied().map(u32::from_ne_bytes)?;
    let kind = messages.get(4..)?.first_chunk().copied()?;
    // None is shorter than its header; the kernel never cuts one.
    let length = (length as usize).max(16);
    Some((u16::from_ne_bytes(kind), messages.get(..length)?))
}

/// What cannot be read might matter.
fn neighbour_matters(neighbours: &mut Neighbours, message: &[u8]) -> bool {
    let Ok(message) = NetlinkMessage::<RouteNetlinkMessage>::deserialize(message) else {
        return true;
    };
    let NetlinkPayload::InnerMessage(message) = message.payload else {
        return true;
    };
    neighbour::read(&message).is_some_and(|report| neighbours.learn(report))
}

#[cfg(test)]
mod tests {
    use netlink_packet_route::link::LinkMessage;
    use netlink_packet_route::neighbour::{NeighbourAttribute, NeighbourMessage, NeighbourState};
    use netlink_packet_route::route::RouteMessage;

    use super::*;

    fn bytes(message: RouteNetlinkMessage) -> Vec<u8> {
        let mut message = NetlinkMessage::from(message);
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        bytes
    }

    fn neighbour(state: NeighbourState) -> RouteNetlinkMessage {
        let mut message = NeighbourMessage::default();
        message.header.family = netlink_packet_route::AddressFamily::Inet;
        message.header.ifindex = 3;
        message.header.state = state;
        let address = std::net::IpAddr::from([10, 0, 0, 11]);
        message.attributes = vec![
            NeighbourAttribute::Destination(address.into()),
            NeighbourAttribute::LinkLayerAddress(vec![2, 0, 0, 0, 0, 1]),
        ];
        RouteNetlinkMessage::NewNeighbour(message)
    }

    #[test]
    fn messages_mean_what_they_are_about() {
        let link = || RouteNetlinkMessage::NewLink(LinkMessage::default());
        let route = || RouteNetlinkMessage::DelRoute(RouteMessage::default());
        let noise = || neighbour(NeighbourState::Stale);
        let gone = || neighbour(NeighbourState::Failed);
        let mut neighbours = Neighbours::default();
        for (messages, meaning) in [
            (vec![], Changes::NONE),
            (vec![noise()], Changes::NONE),
            (vec![route()], Changes::ROUTES),
            (vec![link()], Changes::ALL),
            (vec![noise(), noise(), route(), noise()], Changes::ROUTES),
            (vec![noise(), noise(), gone()], Changes::ROUTES),
            (vec![gone(), noise()], Changes::NONE),
        ] {
            let all: Vec<u8> = messages.into_iter().flat_map(bytes).collect();
            assert_eq!(understand(&mut neighbours, &all), meaning);
        }
    }

    #[test]
    fn a_neighbour_that_cannot_be_read_might_matter() {
        let mut message = bytes(neighbour(NeighbourState::Stale));
        message.truncate(20);
        message[..4].copy_from_slice(&20u32.to_ne_bytes());
        let mut neighbours = Neighbours::default();
        assert_eq!(understand(&mut neighbours, &message), Changes::ROUTES);
    }

    #[test]
    fn rubbish_ends() {
        let mut neighbours = Neighbours::default();
        for length in 0..40 {
            understand(&mut neighbours, &vec![0; length]);
            understand(&mut neighbours, &vec![0xff; length]);
        }
    }
}
