//! A case of an ICMP error: the packet that it is about, and how it comes and goes on.

use std::net::{IpAddr, SocketAddr};

use weir_abi::reason::Reason;

use super::{PORT, TCP};
use crate::cases::handshake;
use crate::network::{Family, Link};
use crate::packet::{ACK, Packet, Transport, checksum, pseudo};
use crate::row::{After, Arrival, Expected, Row, Step};
use crate::setup::Setup;

/// Whom an error goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum To {
    /// The client: it is about a request.
    Client,
    /// The real server: it is about a reply.
    Server,
}

impl To {
    pub(crate) const BOTH: [Self; 2] = [Self::Client, Self::Server];

    /// The link that it comes in by.
    pub(crate) const fn from(self) -> Link {
        match self {
            Self::Client => Link::Inside,
            Self::Server => Link::Outside,
        }
    }

    /// The link that it leaves by.
    pub(crate) const fn link(self) -> Link {
        match self {
            Self::Client => Link::Outside,
            Self::Server => Link::Inside,
        }
    }
}

/// An ICMP error.
#[derive(Clone)]
pub(crate) struct Error {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) hops: u8,
    /// IPv4 only.
    pub(crate) options: Vec<u8>,
    pub(crate) kind: (u8, u8),
    pub(crate) information: u32,
    pub(crate) quoted: Vec<u8>,
}

impl Error {
    pub(crate) fn network(&self) -> Vec<u8> {
        let mut error = vec![self.kind.0, self.kind.1, 0, 0];
        error.extend(self.information.to_be_bytes());
        error.extend(&self.quoted);
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let length = 20 + self.options.len();
                let sum = checksum(&error);
                error[2..4].copy_from_slice(&sum.to_be_bytes());
                let mut header = vec![0x40 | (length / 4) as u8, 0xc0];
                header.extend(((length + error.len()) as u16).to_be_bytes());
                header.extend([0x43, 0x21, 0, 0, self.hops, 1, 0, 0]);
                header.extend(source.octets());
                header.extend(destination.octets());
                header.extend(&self.options);
                let sum = checksum(&header);
                header[10..12].copy_from_slice(&sum.to_be_bytes());
                header.extend(error);
                header
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let sum = checksum(&pseudo(self.source, self.destination, 58, &error));
                error[2..4].copy_from_slice(&sum.to_be_bytes());
                let mut header = vec![0x60, 0, 0, 0];
                header.extend((error.len() as u16).to_be_bytes());
                header.extend([58, self.hops]);
                header.extend(source.octets());
                header.extend(destination.octets());
                header.extend(error);
                header
            }
            _ => panic!("one family a packet"),
        }
    }

    /// Its frame, for the director's station on a link.
    pub(crate) fn frame(&self, link: Link) -> Vec<u8> {
        let mut frame = Vec::new();
        frame.extend(link.station());
        frame.extend(link.neighbour());
        frame.extend(if self.source.is_ipv4() {
            [0x08, 0x00]
        } else {
            [0x86, 0xdd]
        });
        frame.extend(self.network());
        frame
    }

    pub(crate) fn length(&self) -> u64 {
        self.network().len() as u64
    }
}

/// A case: the packet that was sent, as it came to where the error was made and as who hears of it
/// sent it, and the error about it.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) family: Family,
    pub(crate) to: To,
    pub(crate) arrived: Packet,
    pub(crate) sent: Packet,
    pub(crate) source: IpAddr,
    pub(crate) hops: u8,
    pub(crate) options: Vec<u8>,
    pub(crate) kind: (u8, u8),
    pub(crate) information: u32,
    /// How many bytes of the transport are quoted.
    pub(crate) quoted: usize,
}

impl Case {
    pub(crate) fn new(family: Family, to: To) -> Self {
        Self::about(family, to, Transport::Tcp(ACK))
    }

    /// About a packet of the first client's connection with the first real server.
    pub(crate) fn about(family: Family, to: To, transport: Transport) -> Self {
        let (client, server, vip) = (
            family.client(1, PORT),
            family.server(1, 8080),
            family.vip(80),
        );
        let (arrived, sent, source) = match to {
            To::Client => ((client, server), (client, vip), server),
            To::Server => ((vip, client), (server, client), client),
        };
        let packet = |(source, destination): (SocketAddr, SocketAddr)| Packet {
            hops: 61,
            ..Packet::new(source, destination, transport)
        };
        Self {
            family,
            to,
            arrived: packet(arrived),
            sent: packet(sent),
            source: source.ip(),
            hops: 64,
            options: Vec::new(),
            kind: match family {
                Family::V4 => (3, 1),
                Family::V6 => (1, 3),
            },
            information: 0,
            quoted: usize::MAX,
        }
    }

    /// The same packet changed in the same way where it was sent and where it arrived.
    pub(crate) fn with(mut self, change: impl Fn(&mut Packet)) -> Self {
        change(&mut self.arrived);
        change(&mut self.sent);
        self
    }

    /// Where the quoted packet's transport begins.
    pub(crate) fn transport(&self) -> usize {
        let fixed = match self.family {
            Family::V4 => 20,
            Family::V6 => 40,
        };
        fixed + self.arrived.options.len() + self.arrived.extensions.len() * 8
    }

    fn cut(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        bytes.truncate(self.quoted.saturating_add(self.transport()));
        bytes
    }

    /// As it comes.
    pub(crate) fn error(&self) -> Error {
        Error {
            source: self.source,
            destination: match self.to {
                To::Client => self.family.client(1, PORT).ip(),
                To::Server => self.family.vip(80).ip(),
            },
            hops: self.hops,
            options: self.options.clone(),
            kind: self.kind,
            information: self.information,
            quoted: self.cut(self.arrived.network()),
        }
    }

    /// As it goes on.
    pub(crate) fn out(&self) -> Error {
        let mut quoted = self.sent.network();
        // The transport's checksum is that of the packet that arrived.
        let (offset, length) = match self.arrived.transport {
            Transport::Tcp(_) => (16, 2),
            Transport::Udp | Transport::UdpUnsummed => (6, 2),
            Transport::Sctp(_) | Transport::SctpTwice(..) => (8, 4),
            Transport::Secured(_) => (0, 0),
        };
        let at = self.transport() + offset;
        quoted[at..at + length].copy_from_slice(&self.arrived.network()[at..at + length]);
        let error = self.error();
        let (source, destination) = match self.to {
            To::Client => (self.family.vip(80).ip(), error.destination),
            To::Server => (error.source, self.family.server(1, 8080).ip()),
        };
        Error {
            source,
            destination,
            hops: self.hops - 1,
            quoted: self.cut(quoted),
            ..error
        }
    }

    /// The error goes on, and is counted.
    pub(crate) fn goes_on(&self) -> Expected {
        let (length, to) = (self.error().length(), self.to);
        let reason = match to {
            To::Client => Reason::IcmpToClient,
            To::Server => Reason::IcmpToServer,
        };
        let frame = self.out().frame(self.to.from());
        Expected::new(
            reason,
            After::Sent(to.link(), frame),
            move |tables| match to {
                To::Client => tables.count_out(0, length),
                To::Server => tables.count_in(0, length),
            },
        )
    }

    /// A step: it comes, and TC does that. XDP leaves it to TC.
    pub(crate) fn step(&self, tc: Expected) -> Step {
        arrival(self.to.from(), self.error().frame(self.to.from()), tc)
    }

    pub(crate) fn row(&self, name: impl std::fmt::Display, tc: Expected) -> Row {
        let mut steps = handshake(self.family);
        steps.push(self.step(tc));
        Row::new(
            format!("{name}, to the {:?}, {:?}", self.to, self.family),
            Setup::simple(self.family, TCP),
            steps,
        )
    }
}

pub(crate) fn arrival(link: Link, frame: Vec<u8>, tc: Expected) -> Step {
    Step::Arrival(Arrival {
        after: 0,
        link,
        frame,
        tc,
        xdp: Expected::untouched(Reason::Icmp),
    })
}
