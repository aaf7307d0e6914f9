//! BFD's packets out and in: UDP sockets that know hop limits (RFC 5881, 4 and 5).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use config::model::Family;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use weir_config as config;

use crate::message;

/// A control packet has 24 bytes, with authentication some more.
const LARGEST: usize = 256;
/// Room for packets that nobody has read yet.
const RECEIVE_BUFFER: usize = 64 << 10;
/// Internetwork control (RFC 4594).
const TRAFFIC_CLASS: u32 = 0xc0;

/// Receives on a port, from any neighbour of a family.
#[derive(Debug)]
pub struct Receiver {
    socket: AsyncFd<Socket>,
    port: u16,
}

/// What came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// From whom.
    pub source: IpAddr,
    /// The hop limit that was left.
    pub hop_limit: Option<u8>,
    /// What it says.
    pub bytes: Vec<u8>,
}

/// Sends to one neighbour, from a port of its own.
#[derive(Debug)]
pub struct Sender(Socket);

impl Receiver {
    /// A receiver on that port.
    pub fn open(family: Family, port: u16) -> io::Result<Self> {
        let socket = Socket::new(domain(family), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        // A daemon that takes the place of another one begins while that is ending.
        socket.set_reuse_address(true)?;
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
        let any: IpAddr = match family {
            Family::V4 => {
                message::switch_on(&socket, libc::IPPROTO_IP, libc::IP_RECVTTL)?;
                Ipv4Addr::UNSPECIFIED.into()
            }
            Family::V6 => {
                socket.set_only_v6(true)?;
                socket.set_recv_hoplimit_v6(true)?;
                Ipv6Addr::UNSPECIFIED.into()
            }
        };
        socket.bind(&SocketAddr::new(any, port).into())?;
        // SAFETY: a socket keeps its descriptor, open and the same, until it is dropped.
        let socket = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) };
        Ok(Self {
            socket: socket.map_err(io::Error::from)?,
            port,
        })
    }

    /// The port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The next packet.
    pub async fn receive(&self) -> io::Result<Received> {
        loop {
            let mut ready = self.socket.readable().await?;
            if let Ok(read) = ready.try_io(|socket| read(socket.get_ref())) {
                return read;
            }
        }
    }
}

impl Sender {
    /// A sender to that neighbour and port, from one of these ports; `first` says where to begin to look for one.
    pub fn open(
        source: Option<IpAddr>,
        neighbour: SocketAddr,
        hop_limit: u8,
        ports: core::ops::RangeInclusive<u16>,
        first: u16,
    ) -> io::Result<Self> {
        let family = Family::of(neighbour.ip());
        let socket = Socket::new(domain(family), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        let any: IpAddr = match family {
            Family::V4 => {
                socket.set_ttl_v4(hop_limit.into())?;
                socket.set_tos_v4(TRAFFIC_CLASS)?;
                Ipv4Addr::UNSPECIFIED.into()
            }
            Family::V6 => {
                socket.set_unicast_hops_v6(hop_limit.into())?;
                socket.set_tclass_v6(TRAFFIC_CLASS)?;
                Ipv6Addr::UNSPECIFIED.into()
            }
        };
        let source = source.unwrap_or(any);
        let count = u32::from(ports.end() - ports.start()) + 1;
        let mut last = io::Error::from(io::ErrorKind::AddrInUse);
        for step in 0..count {
            let offset = (u32::from(first) + step) % count;
            // Within the range.
            let port = ports.start() + offset as u16;
            match socket.bind(&SocketAddr::new(source, port).into()) {
                Ok(()) => {
                    socket.connect(&neighbour.into())?;
                    // Nobody reads here.
                    socket.set_recv_buffer_size(0)?;
                    return Ok(Self(socket));
                }
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    /// Sends a packet. That the neighbour refused an earlier one is no error of this one.
    pub fn send(&self, bytes: &[u8]) -> io::Result<()> {
        match self.0.send(bytes) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                self.0.send(bytes).map(drop)
            }
            sent => sent.map(drop),
        }
    }
}

const fn domain(family: Family) -> Domain {
    match family {
        Family::V4 => Domain::IPV4,
        Family::V6 => Domain::IPV6,
    }
}

fn read(socket: &Socket) -> io::Result<Received> {
    let mut buffer = [0_u8; LARGEST];
    let message = message::receive(socket, &mut buffer)?;
    Ok(Received {
        source: message.source,
        hop_limit: message.hop_limit,
        bytes: buffer.get(..message.length).unwrap_or_default().to_vec(),
    })
}
