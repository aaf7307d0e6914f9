//! The way to an address, as this machine's routes have it.
// The kernel's messages are open-ended: what is not asked for is passed over.
#![allow(clippy::wildcard_enum_match_arm)]

use std::io;
use std::net::IpAddr;

use netlink_packet_core::{NLM_F_ACK, NLM_F_REQUEST};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;

use crate::netlink::Asker;

/// The way to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// It is one of this machine's own.
    pub local: bool,
    /// Which of this machine's addresses packets there come from.
    pub source: Option<IpAddr>,
    /// The index of the interface by which they leave.
    pub interface: Option<u32>,
}

/// The ways to those addresses; nothing where none leads.
pub fn to(addresses: impl IntoIterator<Item = IpAddr>) -> io::Result<Vec<(IpAddr, Option<Route>)>> {
    let mut asker = Asker::new(NETLINK_ROUTE)?;
    let addresses = addresses.into_iter();
    addresses
        .map(|address| Ok((address, ask(&mut asker, address)?)))
        .collect()
}

fn ask(asker: &mut Asker, address: IpAddr) -> io::Result<Option<Route>> {
    let mut question = RouteMessage::default();
    (
        question.header.address_family,
        question.header.destination_prefix_length,
    ) = match address {
        IpAddr::V4(_) => (AddressFamily::Inet, 32),
        IpAddr::V6(_) => (AddressFamily::Inet6, 128),
    };
    let destination = match address {
        IpAddr::V4(address) => RouteAddress::Inet(address),
        IpAddr::V6(address) => RouteAddress::Inet6(address),
    };
    question
        .attributes
        .push(RouteAttribute::Destination(destination));
    let question = RouteNetlinkMessage::GetRoute(question);
    match asker.ask(question, NLM_F_REQUEST | NLM_F_ACK) {
        Ok(answers) => Ok(answers.iter().find_map(read)),
        Err(error)
            if matches!(
                error.raw_os_error(),
                Some(
                    libc::ENETUNREACH
                        | libc::EHOSTUNREACH
                        | libc::EACCES
                        | libc::EINVAL
                        | libc::EAFNOSUPPORT
                        | libc::EOPNOTSUPP
                )
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn read(message: &RouteNetlinkMessage) -> Option<Route> {
    let RouteNetlinkMessage::NewRoute(route) = message else {
        return None;
    };
    let source = route
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            RouteAttribute::PrefSource(RouteAddress::Inet(address)) => Some(IpAddr::V4(*address)),
            RouteAttribute::PrefSource(RouteAddress::Inet6(address)) => Some(IpAddr::V6(*address)),
            _ => None,
        });
    let interface = route
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            RouteAttribute::Oif(index) => Some(*index),
            _ => None,
        });
    match route.header.kind {
        RouteType::Unicast | RouteType::Local => Some(Route {
            local: route.header.kind == RouteType::Local,
            source,
            interface,
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_this_machine() {
        let address = "127.0.0.1".parse().unwrap();
        let ways = to([address]).unwrap();
        let interface = ways[0].1.unwrap().interface;
        assert!(interface.is_some());
        assert_eq!(
            ways,
            [(
                address,
                Some(Route {
                    local: true,
                    source: Some(address),
                    interface,
                })
            )]
        );
    }
}
