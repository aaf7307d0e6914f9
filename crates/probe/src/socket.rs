//! Sockets of checks: from where, and on which way.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use weir_config::model::health::Way;
use weir_config::model::{Forwarding, ServiceKey};

use crate::talk::{Fault, Talk};

/// What fits into a tunnel on the way to the real server, whatever it is.
const SEGMENT_IN_TUNNEL: u32 = 1200;

/// A connection to the target.
pub async fn connect(talk: &mut Talk<'_>) -> Result<TcpStream, Fault> {
    let target = talk.target;
    let socket = prepared(talk, Type::STREAM, Some(Protocol::TCP))?;
    // Small requests, at once.
    let _ = socket.set_tcp_nodelay(true);
    let socket = TcpSocket::from_std_stream(socket.into());
    let connecting = async {
        socket
            .connect(target)
            .await
            .map_err(|error| refused(&error))
    };
    let stream = talk
        .step("answer to the connection attempt", connecting)
        .await?;
    talk.tell("connect", || match stream.local_addr() {
        Ok(local) => format!("{local} to {target}"),
        Err(_) => target.to_string(),
    });
    Ok(stream)
}

/// A socket for datagrams to the target alone, and from it.
pub fn datagrams(talk: &Talk<'_>, protocol: Protocol) -> Result<UdpSocket, Fault> {
    connected(talk, Type::DGRAM, protocol)
}

/// The same for packets.
pub fn packets(talk: &Talk<'_>, protocol: Protocol) -> Result<UdpSocket, Fault> {
    connected(talk, Type::RAW, protocol)
}

fn connected(talk: &Talk<'_>, kind: Type, protocol: Protocol) -> Result<UdpSocket, Fault> {
    let mut target = talk.target;
    if kind == Type::RAW {
        // A raw socket of IPv6 takes a port for a protocol.
        target.set_port(0);
    }
    let socket = prepared(talk, kind, Some(protocol))?;
    socket
        .connect(&target.into())
        .map_err(|error| refused(&error))?;
    // The calls that it is used with are the same for all that sends datagrams.
    UdpSocket::from_std(socket.into()).map_err(Fault::ours)
}

/// A socket that is not connected yet. What fails here is not the server's fault.
fn prepared(talk: &Talk<'_>, kind: Type, protocol: Option<Protocol>) -> Result<Socket, Fault> {
    let domain = Domain::for_address(talk.target);
    let socket = Socket::new(domain, kind.nonblocking().cloexec(), protocol)
        .map_err(|error| Fault::Ours(format!("no socket for the check: {error}")))?;
    let source = talk.source;
    if source.mark != 0 {
        socket
            .set_mark(source.mark)
            .map_err(|error| Fault::Ours(format!("mark {}: {error}", source.mark)))?;
    }
    if let Some(interface) = &source.interface {
        socket
            .bind_device(Some(interface.as_str().as_bytes()))
            .map_err(|error| Fault::Ours(format!("interface {}: {error}", interface.as_str())))?;
    }
    let way = takes_the_way(talk);
    bind(&socket, talk, way)?;
    if let Some(way) = way {
        carry(&socket, talk, kind, way)?;
    }
    Ok(socket)
}

/// Binds it where that is asked for. On the way of the traffic the port must be ours alone, so that
/// answers from one virtual address cannot be mistaken: the kernel sees to it for ports that it gives
/// to sockets that share none.
fn bind(socket: &Socket, talk: &Talk<'_>, way: Option<Carried>) -> Result<(), Fault> {
    let source = talk.source;
    if source.address.is_none() && source.port == 0 && way.is_none() {
        return Ok(());
    }
    let any = match talk.target {
        SocketAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::from(Ipv6Addr::UNSPECIFIED),
    };
    let from = SocketAddr::new(source.address.unwrap_or(any), source.port);
    if source.port != 0 && way.is_none() {
        // The last check's connection may linger on that port.
        socket.set_reuse_address(true).map_err(Fault::ours)?;
    }
    socket
        .bind(&from.into())
        .map_err(|error| Fault::Ours(format!("source {from}: {error}")))
}

/// How a check's packets are carried to the virtual address.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Carried {
    Unchanged,
    InTunnel,
}

/// Whether the packets of clients go another way than to the real server's address.
fn takes_the_way(talk: &Talk<'_>) -> Option<Carried> {
    let (server, service) = (&talk.subject.server, &talk.subject.service);
    if talk.way == Way::Server || talk.target.ip() != server.address.ip() {
        return None;
    }
    let ServiceKey::Address { address, .. } = service else {
        return None;
    };
    if address.is_ipv4() != talk.target.is_ipv4() {
        return None;
    }
    match server.forwarding {
        Forwarding::Direct => Some(Carried::Unchanged),
        Forwarding::Tunnel(_) => Some(Carried::InTunnel),
        Forwarding::Nat | Forwarding::FullNat => None,
    }
}

fn carry(socket: &Socket, talk: &Talk<'_>, kind: Type, way: Carried) -> Result<(), Fault> {
    let Some(traffic) = &talk.prober.traffic else {
        let text = "the packet path is not in place to carry the check to the virtual address";
        return Err(Fault::Ours(text.to_owned()));
    };
    if kind == Type::STREAM {
        if way == Carried::InTunnel {
            socket.set_tcp_mss(SEGMENT_IN_TUNNEL).map_err(Fault::ours)?;
        }
        // Its port would wait for a minute after each check, and there are not so many.
        socket
            .set_linger(Some(std::time::Duration::ZERO))
            .map_err(Fault::ours)?;
    }
    traffic
        .carry(socket.as_fd(), talk.subject)
        .map_err(|error| Fault::Ours(format!("the way of the traffic: {error}")))
}

/// What an error of a connection means for an operator.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "of the kernel's many errors these are the ones that can be explained"
)]
pub fn refused(error: &io::Error) -> Fault {
    let text = match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused: nothing listens there",
        io::ErrorKind::ConnectionReset => "connection reset by the server",
        io::ErrorKind::BrokenPipe
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::UnexpectedEof => "the server closed the connection",
        io::ErrorKind::HostUnreachable => {
            "host unreachable: it is down, or does not answer ARP or neighbour discovery"
        }
        io::ErrorKind::NetworkUnreachable => "network unreachable: the director has no route there",
        io::ErrorKind::TimedOut => "the connection timed out",
        io::ErrorKind::PermissionDenied => {
            "not permitted: a firewall or a route on the way forbids it"
        }
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::AddrInUse => {
            return Fault::Ours(format!("no free port or address for the check: {error}"));
        }
        io::ErrorKind::OutOfMemory => return Fault::Ours(error.to_string()),
        _ => return Fault::Servers(error.to_string()),
    };
    Fault::Servers(text.to_owned())
}
