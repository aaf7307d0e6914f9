//! Packets that tell an end that its connection is over: a reset of TCP, or port unreachable about a datagram of its.

mod tunnel;

use std::io;
use std::net::{IpAddr, SocketAddr};

use rustix::fd::{AsRawFd as _, OwnedFd};
use rustix::net::{
    AddressFamily, SendFlags, SocketFlags, SocketType, ipproto, sendto, socket_with,
};
use weir_config::model::Tunnel;

/// Sends them, with whatever source address.
#[derive(Debug)]
pub struct Sender {
    v4: OwnedFd,
    v6: OwnedFd,
    links: OwnedFd,
}

/// How a packet reaches an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// As the kernel's routes say.
    Routed,
    /// By a neighbour, whatever address it is for: the interface's index and the neighbour's link address.
    Neighbour(u32, [u8; 6]),
    /// Wrapped, from one address to another.
    Tunnel(Tunnel, IpAddr, IpAddr),
}

const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP: u8 = 1;
const ICMP6: u8 = 58;

impl Sender {
    /// One that can.
    ///
    /// # Errors
    ///
    /// When the process may not have raw sockets (`CAP_NET_RAW`).
    pub fn new() -> io::Result<Self> {
        let open = |family, kind, protocol| {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            socket_with(family, kind, flags, protocol)
        };
        let raw = |family| open(family, SocketType::RAW, Some(ipproto::RAW));
        Ok(Self {
            v4: raw(AddressFamily::INET)?,
            v6: raw(AddressFamily::INET6)?,
            // Without a protocol it takes no packets.
            links: open(AddressFamily::PACKET, SocketType::DGRAM, None)?,
        })
    }

    /// Resets an end of TCP that waits for that sequence number.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn reset(
        &self,
        from: SocketAddr,
        to: SocketAddr,
        sequence: u32,
        way: Way,
    ) -> io::Result<()> {
        self.send(to.ip(), &reset(from, to, sequence), way)
    }

    /// Tells an end of UDP that nobody takes its datagrams any more.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn unreachable(&self, from: SocketAddr, to: SocketAddr, way: Way) -> io::Result<()> {
        self.send(to.ip(), &unreachable(from, to), way)
    }

    fn send(&self, to: IpAddr, packet: &[u8], way: Way) -> io::Result<()> {
        match way {
            Way::Routed => self.route(to, packet),
            Way::Neighbour(interface, address) => self.hand(interface, address, to, packet),
            Way::Tunnel(tunnel, from, server) => {
                self.route(server, &tunnel::wrapped(tunnel, from, server, packet))
            }
        }
    }

    fn route(&self, to: IpAddr, packet: &[u8]) -> io::Result<()> {
        let socket = match to {
            IpAddr::V4(_) => &self.v4,
            IpAddr::V6(_) => &self.v6,
        };
        // The port of a raw socket's address would be a protocol.
        sendto(socket, packet, SendFlags::empty(), &SocketAddr::new(to, 0))?;
        Ok(())
    }

    fn hand(
        &self,
        interface: u32,
        neighbour: [u8; 6],
        to: IpAddr,
        packet: &[u8],
    ) -> io::Result<()> {
        let protocol = match to {
            IpAddr::V4(_) => libc::ETH_P_IP,
            IpAddr::V6(_) => libc::ETH_P_IPV6,
        };
        let mut address = [0; 8];
        address[..6].copy_from_slice(&neighbour);
        let place = libc::sockaddr_ll {
            sll_family: libc::AF_PACKET as u16,
            sll_protocol: (protocol as u16).to_be(),
            sll_ifindex: interface as i32,
            sll_hatype: 0,
            sll_pkttype: 0,
            sll_halen: neighbour.len() as u8,
            sll_addr: address,
        };
        // SAFETY: the descriptor is open; packet and address live for the call and are as long as is said.
        let sent = unsafe {
            libc::sendto(
                self.links.as_raw_fd(),
                packet.as_ptr().cast(),
                packet.len(),
                0,
                (&raw const place).cast(),
                size_of_val(&place) as u32,
            )
        };
        if sent < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
}

fn reset(from: SocketAddr, to: SocketAddr, sequence: u32) -> Vec<u8> {
    const RST: u8 = 0x04;
    let mut tcp = Vec::new();
    tcp.extend(from.port().to_be_bytes());
    tcp.extend(to.port().to_be_bytes());
    tcp.extend(sequence.to_be_bytes());
    tcp.extend([0, 0, 0, 0, 0x50, RST, 0, 0, 0, 0, 0, 0]);
    let sum = checksum(&[&pseudo(from.ip(), to.ip(), TCP, tcp.len()), &tcp]);
    tcp[16..18].copy_from_slice(&sum);
    packet(from.ip(), to.ip(), TCP, &tcp)
}

fn unreachable(from: SocketAddr, to: SocketAddr) -> Vec<u8> {
    // A datagram of the end's, as it may have sent it, without its data.
    let mut datagram = Vec::new();
    datagram.extend(to.port().to_be_bytes());
    datagram.extend(from.port().to_be_bytes());
    datagram.extend([0, 8, 0, 0]);
    let quoted = packet(to.ip(), from.ip(), UDP, &datagram);
    let (protocol, kind, code) = match from {
        SocketAddr::V4(_) => (ICMP, 3, 3),
        SocketAddr::V6(_) => (ICMP6, 1, 4),
    };
    let mut error = vec![kind, code, 0, 0, 0, 0, 0, 0];
    error.extend(quoted);
    let before = match from {
        SocketAddr::V4(_) => Vec::new(),
        SocketAddr::V6(_) => pseudo(from.ip(), to.ip(), protocol, error.len()),
    };
    let sum = checksum(&[&before, &error]);
    error[2..4].copy_from_slice(&sum);
    packet(from.ip(), to.ip(), protocol, &error)
}

fn packet(from: IpAddr, to: IpAddr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            packet.extend([0x45, 0]);
            packet.extend(((20 + payload.len()) as u16).to_be_bytes());
            packet.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
            packet.extend(from.octets());
            packet.extend(to.octets());
            let sum = checksum(&[&packet]);
            packet[10..12].copy_from_slice(&sum);
        }
        (from, to) => {
            packet.extend([0x60, 0, 0, 0]);
            packet.extend((payload.len() as u16).to_be_bytes());
            packet.extend([protocol, 64]);
            packet.extend(octets(from));
            packet.extend(octets(to));
        }
    }
    packet.extend(payload);
    packet
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn pseudo(from: IpAddr, to: IpAddr, protocol: u8, length: usize) -> Vec<u8> {
    let mut bytes = octets(from);
    bytes.extend(octets(to));
    bytes.extend((length as u32).to_be_bytes());
    bytes.extend([0, 0, 0, protocol]);
    bytes
}

/// RFC 1071, of parts of which all but the last have an even length.
fn checksum(parts: &[&[u8]]) -> [u8; 2] {
    let words = parts.iter().flat_map(|part| part.chunks(2));
    let words = words.map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!(sum as u16)).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends() -> [(SocketAddr, SocketAddr); 2] {
        [
            ("192.0.2.10:80", "198.51.100.7:4711"),
            ("[2001:db8::10]:80", "[2001:db8::7]:4711"),
        ]
        .map(|(from, to)| (from.parse().unwrap(), to.parse().unwrap()))
    }

    #[test]
    fn a_reset_is_what_the_end_waits_for() {
        for (from, to) in ends() {
            let packet = reset(from, to, 0x0102_0304);
            let tcp = &packet[packet.len() - 20..];
            assert_eq!(tcp[..4], [0, 80, 0x12, 0x67]);
            assert_eq!((&tcp[4..8], tcp[13]), (&[1, 2, 3, 4][..], 4));
            let all = [&pseudo(from.ip(), to.ip(), TCP, 20)[..], tcp];
            assert_eq!(checksum(&all), [0, 0]);
        }
    }

    #[test]
    fn what_is_unreachable_is_where_the_end_has_sent_to() {
        for (from, to) in ends() {
            let packet = unreachable(from, to);
            let datagram = &packet[packet.len() - 8..];
            assert_eq!(datagram[..4], [0x12, 0x67, 0, 80]);
            let (header, protocol) = if from.is_ipv4() {
                (20, ICMP)
            } else {
                (40, ICMP6)
            };
            let error = &packet[header..];
            let before = match from {
                SocketAddr::V4(_) => Vec::new(),
                SocketAddr::V6(_) => pseudo(from.ip(), to.ip(), protocol, error.len()),
            };
            assert_eq!(checksum(&[&before, error]), [0, 0]);
        }
    }
}
