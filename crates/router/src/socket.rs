//! Advertisements out and in: raw sockets, each of one interface and family.

use std::io;
use std::mem::{self, MaybeUninit};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::AsRawFd;

use config::model::Family;
use socket2::{Domain, InterfaceIndexOrAddress, Protocol as Number, Socket, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use weir_config as config;

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
    family: Family,
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
                set_v6(&socket, libc::IPV6_FREEBIND)?;
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
                set_v6(&socket, libc::IPV6_RECVPKTINFO)?;
            }
        }
        // SAFETY: a socket keeps its descriptor, open and the same, until it is dropped.
        let socket = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) };
        let mut receiver = Self {
            socket: socket.map_err(io::Error::from)?,
            interface: index,
            family,
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
        let (length, meta) = loop {
            let buffer = &mut self.buffer;
            let mut ready = self.socket.readable().await?;
            if let Ok(read) = ready.try_io(|socket| read(socket.get_ref(), buffer)) {
                break read?;
            }
        };
        let bytes = &self.buffer[..length];
        Ok(match self.family {
            Family::V4 => Received {
                source: source4(bytes).into(),
                destination: None,
                hop_limit: None,
                bytes,
            },
            Family::V6 => Received {
                source: meta.source.into(),
                destination: meta.destination.map(IpAddr::from),
                hop_limit: meta.hop_limit,
                bytes,
            },
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

/// The kernel gives no packet without a header.
fn source4(packet: &[u8]) -> Ipv4Addr {
    match packet.get(12..16) {
        Some(bytes) => Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]),
        None => Ipv4Addr::UNSPECIFIED,
    }
}

fn set_v6(socket: &Socket, option: libc::c_int) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the value is readable for its length; the descriptor is open while `socket` lives.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IPV6,
            option,
            (&raw const on).cast(),
            mem::size_of_val(&on) as libc::socklen_t,
        )
    };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// What IPv6 says beside the payload.
#[derive(Clone, Copy)]
struct Meta {
    source: Ipv6Addr,
    destination: Option<Ipv6Addr>,
    hop_limit: Option<u8>,
}

/// Room for two control messages, aligned for their headers.
#[repr(align(8))]
struct Control([u8; 128]);

fn read(socket: &Socket, buffer: &mut [u8]) -> io::Result<(usize, Meta)> {
    let mut from = MaybeUninit::<libc::sockaddr_in6>::zeroed();
    let mut control = Control([0; 128]);
    let mut part = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    // SAFETY: all of the structure is numbers and pointers, for which zero is a value.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_name = from.as_mut_ptr().cast();
    message.msg_namelen = mem::size_of::<libc::sockaddr_in6>() as libc::socklen_t;
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = control.0.len();
    // SAFETY: name, buffer and control are ours to write for the lengths that the message says.
    let length = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, 0) };
    let length = usize::try_from(length).map_err(|_| io::Error::last_os_error())?;
    // SAFETY: it was zeroed, which is a value of it, and the kernel wrote an address into it.
    let from = unsafe { from.assume_init() };
    let mut meta = Meta {
        source: from.sin6_addr.s6_addr.into(),
        destination: None,
        hop_limit: None,
    };
    // SAFETY: the kernel has written the message's control part and its length.
    let mut next = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
    // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR return null or a header within the control part, which is
    // aligned for it.
    while let Some(header) = unsafe { next.as_ref() } {
        // SAFETY: as above; data follows the header.
        let data = unsafe { libc::CMSG_DATA(next) };
        match (header.cmsg_level, header.cmsg_type) {
            (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT) => {
                // SAFETY: the kernel writes an int here (RFC 3542, 6.3).
                let limit = unsafe { data.cast::<libc::c_int>().read_unaligned() };
                meta.hop_limit = u8::try_from(limit).ok();
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                // SAFETY: the kernel writes an in6_pktinfo here (RFC 3542, 6.2).
                let info = unsafe { data.cast::<libc::in6_pktinfo>().read_unaligned() };
                meta.destination = Some(info.ipi6_addr.s6_addr.into());
            }
            _ => {}
        }
        // SAFETY: as above.
        next = unsafe { libc::CMSG_NXTHDR(&raw const message, next) };
    }
    Ok((length, meta))
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
