//! Gratuitous ARP and unsolicited neighbour advertisements: who has an address now.

use std::io;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// A link address.
pub type LinkAddress = [u8; 6];

const BROADCAST: LinkAddress = [0xff; 6];
/// Of ff02::1 (RFC 2464, 7).
const ALL_NODES_LINK: LinkAddress = [0x33, 0x33, 0, 0, 0, 1];
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ETHERTYPE_ARP: u16 = 0x0806;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const ICMPV6: u8 = 58;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
const TARGET_LINK_ADDRESS: u8 = 2;
/// Flags of RFC 4861, 4.4.
const ROUTER: u8 = 0x80;
const OVERRIDE: u8 = 0x20;

/// Sends frames on any interface.
pub struct Announcer {
    socket: OwnedFd,
}

impl Announcer {
    /// A socket that hears nothing.
    pub fn new() -> io::Result<Self> {
        // SAFETY: no pointers are passed.
        let socket = unsafe {
            libc::socket(
                libc::AF_PACKET,
                libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK,
                0,
            )
        };
        if socket < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just given us this descriptor.
        let socket = unsafe { OwnedFd::from_raw_fd(socket) };
        Ok(Self { socket })
    }

    /// Tells the link of that interface that the address is at that link address. `router` says whether
    /// this machine forwards packets of IPv6 there.
    pub fn announce(
        &self,
        interface: u32,
        address: IpAddr,
        at: LinkAddress,
        router: bool,
    ) -> io::Result<()> {
        match address {
            IpAddr::V4(address) => self.send(interface, &gratuitous_arp(address, at)),
            IpAddr::V6(address) => self.send(interface, &advertisement(address, at, router)),
        }
    }

    fn send(&self, interface: u32, frame: &[u8]) -> io::Result<()> {
        // SAFETY: all of the structure is numbers, for which zero is a value.
        let mut to: libc::sockaddr_ll = unsafe { mem::zeroed() };
        to.sll_family = libc::AF_PACKET as u16;
        to.sll_ifindex = interface.cast_signed();
        // SAFETY: frame and address are readable for the lengths that are passed.
        let sent = unsafe {
            libc::sendto(
                self.socket.as_raw_fd(),
                frame.as_ptr().cast(),
                frame.len(),
                0,
                (&raw const to).cast(),
                mem::size_of_val(&to) as libc::socklen_t,
            )
        };
        if sent < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
}

/// An ARP request for one's own address (RFC 5227, 3; RFC 9568, 8.1.2 asks for it).
fn gratuitous_arp(address: Ipv4Addr, at: LinkAddress) -> Vec<u8> {
    let mut frame = ethernet(BROADCAST, at, ETHERTYPE_ARP);
    frame.extend([0, 1]); // Ethernet
    frame.extend([0x08, 0]); // IPv4
    frame.extend([6, 4]); // lengths of their addresses
    frame.extend([0, 1]); // a request
    frame.extend(at);
    frame.extend(address.octets());
    frame.extend(BROADCAST);
    frame.extend(address.octets());
    frame
}

/// A neighbour advertisement that nobody asked for (RFC 9568, 8.2.2): Router as told, Override, not
/// Solicited.
fn advertisement(address: Ipv6Addr, at: LinkAddress, router: bool) -> Vec<u8> {
    let mut message = vec![NEIGHBOUR_ADVERTISEMENT, 0, 0, 0];
    message.extend([OVERRIDE | if router { ROUTER } else { 0 }, 0, 0, 0]);
    message.extend(address.octets());
    message.extend([TARGET_LINK_ADDRESS, 1]);
    message.extend(at);
    let checksum = checksum(address, ALL_NODES, &message);
    message[2..4].copy_from_slice(&checksum.to_be_bytes());

    let mut frame = ethernet(ALL_NODES_LINK, at, ETHERTYPE_IPV6);
    frame.extend([0x60, 0, 0, 0]);
    frame.extend(u16::try_from(message.len()).unwrap_or(0).to_be_bytes());
    frame.extend([ICMPV6, 255]);
    frame.extend(address.octets());
    frame.extend(ALL_NODES.octets());
    frame.extend(message);
    frame
}

fn ethernet(to: LinkAddress, from: LinkAddress, kind: u16) -> Vec<u8> {
    let mut frame = Vec::with_capacity(96);
    frame.extend(to);
    frame.extend(from);
    frame.extend(kind.to_be_bytes());
    frame
}

/// Over the pseudo header of RFC 8200, 8.1, and the message, which has an even length.
fn checksum(source: Ipv6Addr, destination: Ipv6Addr, message: &[u8]) -> u16 {
    let length = u32::try_from(message.len()).unwrap_or(0).to_be_bytes();
    let pseudo = [
        &source.octets()[..],
        &destination.octets(),
        &length,
        &[0, 0, 0, ICMPV6],
        message,
    ]
    .concat();
    let mut sum: u32 = pseudo
        .chunks_exact(2)
        .map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: LinkAddress = [0, 0, 0x5e, 0, 1, 51];

    #[test]
    fn an_arp_request_asks_for_its_own_address() {
        let frame = gratuitous_arp(Ipv4Addr::new(192, 0, 2, 10), AT);
        let expected = [
            &[0xff; 6][..],
            &AT,
            &[0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1],
            &AT,
            &[192, 0, 2, 10],
            &[0xff; 6],
            &[192, 0, 2, 10],
        ]
        .concat();
        assert_eq!(frame, expected);
    }

    #[test]
    fn an_advertisement_overrides_and_its_checksum_is_right() {
        let address = "2001:db8::10".parse().unwrap();
        for (router, flags) in [(true, 0xa0), (false, 0x20)] {
            let frame = advertisement(address, AT, router);
            assert_eq!(frame.len(), 14 + 40 + 32);
            assert_eq!(frame[..6], ALL_NODES_LINK);
            assert_eq!((frame[18], frame[19]), (0, 32));
            assert_eq!(frame[21], 255, "hop limit");
            let message = &frame[54..];
            assert_eq!((message[0], message[4]), (136, flags));
            assert_eq!(message[8..24], address.octets());
            assert_eq!(message[24..], [2, 1, 0, 0, 0x5e, 0, 1, 51]);
            assert_eq!(
                checksum(address, ALL_NODES, message),
                0,
                "sums up to nothing"
            );
        }
    }
}
