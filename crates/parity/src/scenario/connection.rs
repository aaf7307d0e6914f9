//! Packets of a connection, whatever its protocol.

use super::Play;
use crate::cell::Protocol;
use crate::packet::{self, chunk, flag, number};
use std::net::SocketAddr;

/// A connection as its ends know it.
#[derive(Clone, Copy, Debug)]
pub struct Connection {
    /// The client.
    pub client: SocketAddr,
    /// What it talks to.
    pub to: SocketAddr,
    /// The real server that IPVS chose.
    pub server: Option<SocketAddr>,
}

/// What a packet does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// SYN, INIT.
    Open,
    /// SYN ACK, INIT ACK.
    Accept,
    /// ACK, COOKIE ECHO.
    Confirm,
    /// COOKIE ACK; an ACK in TCP.
    Confirmed,
    /// Data.
    Data,
    /// FIN, SHUTDOWN.
    Close,
    /// An ACK of that, SHUTDOWN ACK.
    Closed,
    /// RST, ABORT.
    Reset,
    /// TCP's flags or SCTP's chunk type, as they are.
    Raw(u8),
}

impl Kind {
    /// For reports.
    pub fn about(self) -> &'static str {
        match self {
            Kind::Open => "opening",
            Kind::Accept | Kind::Confirm | Kind::Confirmed => "handshake",
            Kind::Data => "data",
            Kind::Close | Kind::Closed => "closing",
            Kind::Reset => "reset",
            Kind::Raw(_) => "state",
        }
    }

    /// Whether it asks for a connection.
    pub fn opens(self, protocol: Protocol) -> bool {
        match protocol {
            Protocol::Tcp => self.flags() & flag::SYN != 0,
            Protocol::Sctp => self.chunk() == chunk::INIT,
            Protocol::Udp => false,
        }
    }

    fn flags(self) -> u8 {
        match self {
            Kind::Open => flag::SYN,
            Kind::Accept => flag::SYN | flag::ACK,
            Kind::Confirm | Kind::Confirmed | Kind::Closed => flag::ACK,
            Kind::Data => flag::PSH | flag::ACK,
            Kind::Close => flag::FIN | flag::ACK,
            Kind::Reset => flag::RST,
            Kind::Raw(flags) => flags,
        }
    }

    fn chunk(self) -> u8 {
        match self {
            Kind::Open => chunk::INIT,
            Kind::Accept => chunk::INIT_ACK,
            Kind::Confirm => chunk::COOKIE_ECHO,
            Kind::Confirmed => chunk::COOKIE_ACK,
            Kind::Data => chunk::DATA,
            Kind::Close => chunk::SHUTDOWN,
            Kind::Closed => chunk::SHUTDOWN_ACK,
            Kind::Reset => chunk::ABORT,
            Kind::Raw(kind) => kind,
        }
    }
}

impl Connection {
    /// A connection that nobody has answered.
    pub fn new(client: SocketAddr, to: SocketAddr) -> Connection {
        Connection {
            client,
            to,
            server: None,
        }
    }

    /// A packet from the client.
    pub fn from_client(&self, play: &mut Play, kind: Kind) -> Vec<u8> {
        packet_between(play, self.client, self.to, kind, None)
    }

    /// A packet from the real server, if one is known.
    pub fn from_server(&self, play: &mut Play, kind: Kind) -> Option<Vec<u8>> {
        self.server
            .map(|server| packet_between(play, server, self.client, kind, None))
    }
}

/// A packet of the cell's protocol, with so much data, or some.
pub fn packet_between(
    play: &mut Play,
    from: SocketAddr,
    to: SocketAddr,
    kind: Kind,
    length: Option<usize>,
) -> Vec<u8> {
    let protocol = play.cell.transport.protocol;
    let says_something = protocol == Protocol::Udp || matches!(kind, Kind::Data);
    let length = length.unwrap_or(if says_something {
        play.random.one(&[1, 8, 33, 200])
    } else {
        0
    });
    let data: Vec<u8> = (0..length)
        .map(|_| play.random.number().to_be_bytes()[0])
        .collect();
    let numbers = (
        play.random.number().to_be_bytes(),
        play.random.number().to_be_bytes(),
    );
    let word = |bytes: [u8; 8]| u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    let numbers = (word(numbers.0), word(numbers.1));
    let (number, payload) = match protocol {
        Protocol::Tcp => (
            number::TCP,
            packet::tcp(from, to, kind.flags(), numbers, &data),
        ),
        Protocol::Udp => (number::UDP, packet::udp(from, to, &data, true)),
        Protocol::Sctp => (
            number::SCTP,
            packet::sctp(from, to, numbers.0, kind.chunk(), &data),
        ),
    };
    let header = play.header();
    packet::ip(from.ip(), to.ip(), number, &payload, header)
}
