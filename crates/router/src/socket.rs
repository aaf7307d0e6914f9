//! Advertisements out and in: raw sockets, each of one interface and family.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use config::model::Family;
use socket2::{Domain, InterfaceIndexOrAddress, Protocol as Number, Socket, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use weir_config as config;

use crate::message;

/// What travels right after the IP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// 112.
    Vrrp,
    /// 51: IPsec's authentication header, with an advertisement behind it.
    AuthenticationHeader,
}

impl Protocol {
    /// Its number.
    pub const fn number(self) -> u8 {
        match self {
            Self::Vrrp => 112,
            Self::AuthenticationHeader => 51,
        }
    }
}

/// Room for packets that nobody has read yet. A flood on the link costs no more.
const RECEIVE_BUFFER: usize = 256 << 10;
/// The largest advertisement is much smaller (255 addresses of IPv6, and a trailer); what is larger is
/// read in part, and found wrong.
const LARGEST: usize = 8 << 10;
/// Internetwork control (RFC 4594), as routers mark what they say to each other.
const TRAFFIC_CLASS: u8 = 0xc0;

/// Sends on one interface.
#[derive(Debug)]
pub struct Sender {
    socket: Socket,
    interface: u32,
}

/// Receives on one interface, asynchronously.
#[derive(Debug)]
pub struct Receiver {
    socket: AsyncFd<Socket>,
    interface: u32,
    groups: Vec<IpAddr>,
    buffer: Vec<u8>,
}

/// What came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received<'a> {
    /// From whom.
    pub source: IpAddr,
    /// To whom; of IPv4 the header says it.
    pub destination: Option<IpAddr>,
    /// The hop limit that was left; of IPv4 the header says it.
    pub hop_limit: Option<u8>,
    /// Of IPv4 with its header, of IPv6 what follows it.
    pub bytes: &'a [u8],
}

impl Sender {
    /// A sender on the interface of that name and index, for packets from that address. It need not be
    /// the interface's.
    pub fn open(name: &str, index: u32, source: IpAddr) -> io::Result<Self> {
        let socket = raw(Family::of(source), libc::IPPROTO_RAW, name)?;
        match source {
            IpAddr::V4(_) => {
                socket.set_header_included_v4(true)?;
                socket.set_multicast_loop_v4(false)?;
            }
            IpAddr::V6(source) => {
                socket.set_header_included_v6(true)?;
                socket.set_multicast_if_v6(index)?;
                socket.set_multicast_loop_v6(false)?;
                // Or the kernel would look for a source of its own, and a virtual link has none.
                message::switch_on(&socket, libc::IPPROTO_IPV6, libc::IPV6_FREEBIND)?;
                let from: SocketAddr = SocketAddrV6::new(source, 0, 0, index).into();
                socket.bind(&from.into())?;
            }
        }
        // Nobody reads here.
        socket.set_recv_buffer_size(0)?;
        Ok(Self {
            socket,
            interface: index,
        })
    }

    /// Sends a packet with its IP header (of IPv6 see [`ipv6_packet`]).
    pub fn send(&self, packet: &[u8], destination: IpAddr) -> io::Result<()> {
        let to: SocketAddr = match destination {
            IpAddr::V4(address) => SocketAddrV4::new(address, 0).into(),
            IpAddr::V6(address) => SocketAddrV6::new(address, 0, 0, self.interface).into(),
        };
        self.socket.send_to(packet, &to.into()).map(drop)
    }
}

/// An IPv6 packet; nothing when there is too much in it.
pub fn ipv6_packet(
    source: Ipv6Addr,
    destination: Ipv6Addr,
    hop_limit: u8,
    protocol: Protocol,
    payload: &[u8],
) -> Option<Vec<u8>> {
    let length = u16::try_from(payload.len()).ok()?;
    let mut packet = Vec::with_capacity(40 + payload.len());
    packet.extend([0x60 | TRAFFIC_CLASS >> 4, TRAFFIC_CLASS << 4, 0, 0]);
    packet.extend(length.to_be_bytes());
    packet.extend([protocol.number(), hop_limit]);
    packet.extend(source.octets());
    packet.extend(destination.octets());
    packet.extend(payload);
    Some(packet)
}

impl Receiver {
    /// A receiver on the interface of that name and index, in these multicast groups.
    pub fn open(
        name: &str,
        index: u32,
        family: Family,
        protocol: Protocol,
        groups: &[IpAddr],
    ) -> io::Result<Self> {
        let socket = raw(family, protocol.number().into(), name)?;
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
        match family {
            // Only what this socket has joined, and what is sent to one of our addresses.
            Family::V4 => socket.set_multicast_all_v4(false)?,
            Family::V6 => {
                socket.set_multicast_all_v6(false)?;
                socket.set_recv_hoplimit_v6(true)?;
                message::switch_on(&socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO)?;
            }
        }
        // SAFETY: a socket keeps its descriptor, open and the same, until it is dropped.
        let socket = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) };
        let mut receiver = Self {
            socket: socket.map_err(io::Error::from)?,
            interface: index,
            groups: Vec::new(),
            buffer: vec![0; LARGEST],
        };
        for group in groups {
            receiver.join(*group)?;
        }
        Ok(receiver)
    }

    /// Listens to a multicast group too.
    pub fn join(&mut self, group: IpAddr) -> io::Result<()> {
        if self.groups.contains(&group) {
            return Ok(());
        }
        let socket = self.socket.get_ref();
        match group {
            IpAddr::V4(group) => {
                let interface = InterfaceIndexOrAddress::Index(self.interface);
                socket.join_multicast_v4_n(&group, &interface)?;
            }
            IpAddr::V6(group) => socket.join_multicast_v6(&group, self.interface)?,
        }
        self.groups.push(group);
        Ok(())
    }

    /// The next packet.
    pub async fn receive(&mut self) -> io::Result<Received<'_>> {
        let message = loop {
            let buffer = &mut self.buffer;
            let mut ready = self.socket.readable().await?;
            let receive = |socket: &AsyncFd<Socket>| message::receive(socket.get_ref(), buffer);
            if let Ok(received) = ready.try_io(receive) {
                break received?;
            }
        };
        Ok(Received {
            source: message.source,
            destination: message.destination.map(IpAddr::from),
            hop_limit: message.hop_limit,
            bytes: &self.buffer[..message.length],
        })
    }
}

fn raw(family: Family, protocol: i32, interface: &str) -> io::Result<Socket> {
    let domain = match family {
        Family::V4 => Domain::IPV4,
        Family::V6 => Domain::IPV6,
    };
    let socket = Socket::new(domain, Type::RAW, Some(Number::from(protocol)))?;
    socket.set_nonblocking(true)?;
    socket.bind_device(Some(interface.as_bytes()))?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_of_ipv6_has_its_header() {
        let (source, destination) = ("fe80::1".parse().unwrap(), "ff02::12".parse().unwrap());
        let packet = ipv6_packet(source, destination, 255, Protocol::Vrrp, &[1, 2, 3]).unwrap();
        assert_eq!(packet[..8], [0x6c, 0, 0, 0, 0, 3, 112, 255]);
        assert_eq!(packet[8..24], source.octets());
        assert_eq!(packet[24..40], destination.octets());
        assert_eq!(packet[40..], [1, 2, 3]);
        let too_long = vec![0; 70_000];
        assert_eq!(
            ipv6_packet(source, destination, 255, Protocol::Vrrp, &too_long),
            None
        );
    }
}
