//! The neighbours of this machine: where its next hops are on the link.
//!
//! [`Neighbours::learn`] is a decision, pure: whether a message of the kernel about a neighbour
//! changes where packets go. Most do not: a neighbour that is in use is doubted and confirmed all the
//! time.
// The kernel's messages are open-ended: what is not asked for is passed over.
#![allow(clippy::wildcard_enum_match_arm)]

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;

use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;

use crate::netlink::Asker;

/// Which neighbour: the interface's index, and the address on its link.
pub type Name = (u32, IpAddr);

/// What the kernel says of a neighbour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Which one.
    pub name: Name,
    /// Its link address; nothing while packets cannot be sent to it.
    pub link_address: Option<Vec<u8>>,
    /// Whether the kernel would send to it, and make sure of it then.
    pub stale: bool,
}

/// The neighbours to which packets can be sent, with their link addresses.
#[derive(Debug, Default)]
pub struct Neighbours {
    valid: HashMap<Name, Vec<u8>>,
}

impl Neighbours {
    /// Those that the kernel knows now.
    pub fn now() -> io::Result<Self> {
        let mut neighbours = Self::default();
        for report in all()? {
            neighbours.learn(report);
        }
        Ok(neighbours)
    }

    /// Takes the report in; whether packets that were sent to this neighbour have to go elsewhere.
    /// That it can be reached for the first time is no such change: nobody has sent there.
    pub fn learn(&mut self, report: Report) -> bool {
        match report.link_address {
            Some(address) => {
                let before = self.valid.insert(report.name, address.clone());
                before.is_some_and(|before| before != address)
            }
            None => self.valid.remove(&report.name).is_some(),
        }
    }
}

/// All neighbours that this machine knows.
pub fn all() -> io::Result<Vec<Report>> {
    let question = RouteNetlinkMessage::GetNeighbour(NeighbourMessage::default());
    let answers = Asker::new(NETLINK_ROUTE)?.ask(question, NLM_F_REQUEST | NLM_F_DUMP)?;
    Ok(answers.iter().filter_map(read).collect())
}

/// Lets the kernel make sure of those neighbours, as if it had sent each of them a packet. It does
/// not see what XDP sends, and would forget a neighbour that nothing else is sent to.
pub fn confirm(neighbours: &[Name]) -> io::Result<()> {
    let mut asker = Asker::new(NETLINK_ROUTE)?;
    for (interface, address) in neighbours {
        let mut request = NeighbourMessage::default();
        request.header.family = match address {
            IpAddr::V4(_) => AddressFamily::Inet,
            IpAddr::V6(_) => AddressFamily::Inet6,
        };
        request.header.ifindex = *interface;
        request.header.flags = NeighbourFlags::Use;
        let address = NeighbourAttribute::Destination((*address).into());
        request.attributes.push(address);
        let request = RouteNetlinkMessage::NewNeighbour(request);
        match asker.ask(request, NLM_F_REQUEST | NLM_F_ACK) {
            Ok(_) => {}
            // It went in the meantime, or its interface did.
            Err(error)
                if matches!(
                    error.raw_os_error(),
                    Some(libc::ENOENT | libc::ENODEV | libc::ENETDOWN)
                ) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What a message says of a neighbour; nothing when it is about something else, such as an entry of
/// a bridge or of a proxy.
pub fn read(message: &RouteNetlinkMessage) -> Option<Report> {
    let (neighbour, exists) = match message {
        RouteNetlinkMessage::NewNeighbour(neighbour) => (neighbour, true),
        RouteNetlinkMessage::DelNeighbour(neighbour) => (neighbour, false),
        _ => return None,
    };
    if neighbour.header.flags.contains(NeighbourFlags::Proxy) {
        return None;
    }
    let (mut address, mut link_address) = (None, Vec::new());
    for attribute in &neighbour.attributes {
        match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(v4)) => {
                address = Some(IpAddr::V4(*v4));
            }
            NeighbourAttribute::Destination(NeighbourAddress::Inet6(v6)) => {
                address = Some(IpAddr::V6(*v6));
            }
            NeighbourAttribute::LinkLayerAddress(bytes) => link_address.clone_from(bytes),
            _ => {}
        }
    }
    let state = neighbour.header.state;
    Some(Report {
        name: (neighbour.header.ifindex, address?),
        link_address: (exists && is_valid(state)).then_some(link_address),
        stale: exists && state == NeighbourState::Stale,
    })
}

/// `NUD_VALID` of net/neighbour.h.
const fn is_valid(state: NeighbourState) -> bool {
    match state {
        NeighbourState::Reachable
        | NeighbourState::Stale
        | NeighbourState::Delay
        | NeighbourState::Probe
        | NeighbourState::Noarp
        | NeighbourState::Permanent => true,
        NeighbourState::Incomplete | NeighbourState::Failed | NeighbourState::None => false,
        // No state that is known today.
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: [u8; 6] = [2, 0, 0, 0, 0, 1];
    const SECOND: [u8; 6] = [2, 0, 0, 0, 0, 2];

    fn message(
        interface: u32,
        address: &str,
        state: NeighbourState,
        mac: Option<[u8; 6]>,
    ) -> NeighbourMessage {
        let address: IpAddr = address.parse().unwrap();
        let mut message = NeighbourMessage::default();
        message.header.ifindex = interface;
        message.header.state = state;
        message
            .attributes
            .push(NeighbourAttribute::Destination(address.into()));
        if let Some(mac) = mac {
            let mac = NeighbourAttribute::LinkLayerAddress(mac.to_vec());
            message.attributes.push(mac);
        }
        message
    }

    fn new(state: NeighbourState, mac: Option<[u8; 6]>) -> RouteNetlinkMessage {
        RouteNetlinkMessage::NewNeighbour(message(3, "10.0.0.11", state, mac))
    }

    fn deleted(state: NeighbourState, mac: Option<[u8; 6]>) -> RouteNetlinkMessage {
        RouteNetlinkMessage::DelNeighbour(message(3, "10.0.0.11", state, mac))
    }

    fn learn(neighbours: &mut Neighbours, message: &RouteNetlinkMessage) -> bool {
        neighbours.learn(read(message).expect("it is about a neighbour"))
    }

    #[test]
    fn only_another_link_address_or_the_end_of_a_valid_one_matters() {
        use NeighbourState::{
            Delay, Failed, Incomplete, Noarp, Permanent, Probe, Reachable, Stale,
        };
        let rows = [
            // It becomes known.
            (new(Incomplete, None), false),
            (new(Reachable, Some(FIRST)), false),
            // It is doubted and confirmed.
            (new(Stale, Some(FIRST)), false),
            (new(Delay, Some(FIRST)), false),
            (new(Probe, Some(FIRST)), false),
            (new(Reachable, Some(FIRST)), false),
            // Another machine has its address now.
            (new(Stale, Some(SECOND)), true),
            (new(Reachable, Some(SECOND)), false),
            (new(Permanent, Some(FIRST)), true),
            // It does not answer any more; said twice.
            (new(Failed, Some(FIRST)), true),
            (new(Failed, None), false),
            (deleted(Failed, None), false),
            // It is back, and forgotten while it is valid.
            (new(Reachable, Some(FIRST)), false),
            (deleted(Stale, Some(FIRST)), true),
            (deleted(Stale, Some(FIRST)), false),
            // It is asked for again without having been said to fail.
            (new(Noarp, None), false),
            (new(Incomplete, None), true),
        ];
        let mut neighbours = Neighbours::default();
        for (number, (message, matters)) in rows.iter().enumerate() {
            assert_eq!(learn(&mut neighbours, message), *matters, "row {number}");
        }
        assert!(neighbours.valid.is_empty(), "nothing invalid is kept");
    }

    #[test]
    fn a_neighbour_is_one_on_its_interface() {
        let mut neighbours = Neighbours::default();
        let state = NeighbourState::Reachable;
        for (interface, address, mac) in [
            (3, "10.0.0.11", FIRST),
            (4, "10.0.0.11", SECOND),
            (3, "2001:db8::11", SECOND),
        ] {
            let message = message(interface, address, state, Some(mac));
            let message = RouteNetlinkMessage::NewNeighbour(message);
            assert!(!learn(&mut neighbours, &message), "{interface} {address}");
        }
        assert_eq!(neighbours.valid.len(), 3);
    }

    #[test]
    fn what_is_no_neighbour_is_passed_over() {
        let state = NeighbourState::Reachable;
        let mut proxy = message(3, "10.0.0.11", state, None);
        proxy.header.flags = NeighbourFlags::Proxy;
        assert_eq!(read(&RouteNetlinkMessage::NewNeighbour(proxy)), None);
        let mut bridge = message(3, "10.0.0.11", state, Some(FIRST));
        bridge.attributes.remove(0);
        assert_eq!(read(&RouteNetlinkMessage::NewNeighbour(bridge)), None);
    }

    #[test]
    fn only_a_stale_neighbour_waits_to_be_confirmed() {
        let stale = |message| read(&message).unwrap().stale;
        assert!(stale(new(NeighbourState::Stale, Some(FIRST))));
        assert!(!stale(new(NeighbourState::Permanent, Some(FIRST))));
        assert!(!stale(deleted(NeighbourState::Stale, Some(FIRST))));
    }

    #[test]
    fn the_kernel_answers_for_neighbours() {
        all().expect("netlink needs no privilege");
    }
}
