//! Rows of packets that go to their real server in a tunnel, and of ICMP errors about such tunnels.

use std::net::{IpAddr, SocketAddr};

use weir_abi::connection::{INACTIVE, LIVE, NO_OUTPUT};
use weir_abi::reason::Reason;
use weir_abi::service::{TUNNEL_GRE, TUNNEL_GUE, TUNNEL_IPIP, Tunnel};

use crate::answers::icmp_error_about;
use crate::cases::{client_sends, connection, from_client};
use crate::network::{DIRECTOR, Family, Link};
use crate::packet::{Packet, Transport, checksum};
use crate::related::case::{Error, arrival};
use crate::row::{After, Expected, Row};
use crate::setup::Setup;
use crate::snapshot::Connection;

const UDP: u8 = 17;
const GUE_PORT: u16 = 6080;
/// What a router says that cannot send a packet on.
const MTU: u32 = 1400;

/// The rows.
pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for within in Family::ALL {
        for outer in Family::ALL {
            for kind in [TUNNEL_IPIP, TUNNEL_GRE, TUNNEL_GUE] {
                let case = Case::new(within, outer, kind);
                rows.extend(case.kinds());
                rows.extend(case.lengths());
                rows.push(case.damaged());
                rows.push(case.unknown());
                rows.push(case.of_another_tunnel());
            }
            rows.extend(mtus(within, outer));
        }
    }
    rows.extend(that_may_be_cut());
    rows
}

/// Type, code and the word behind.
type Said = (u8, u8, u32);

/// A packet that begins a connection, goes to its real server in a tunnel, and does not get there.
#[derive(Clone)]
struct Case {
    within: Family,
    outer: Family,
    tunnel: Tunnel,
    packet: Packet,
    /// How many bytes of its transport are quoted.
    quoted: usize,
}

impl Case {
    fn new(within: Family, outer: Family, kind: u8) -> Self {
        let packet = Packet {
            service: 0x2e,
            payload: (0..900).map(|byte| byte as u8).collect(),
            ..from_client(within, 1, Transport::Udp)
        };
        let port = if kind == TUNNEL_GUE { GUE_PORT } else { 0 };
        Self {
            within,
            outer,
            tunnel: Tunnel {
                port: port.to_be(),
                kind,
                ..Tunnel::default()
            },
            packet,
            quoted: 100,
        }
    }

    fn name(&self) -> String {
        format!(
            "{:?} in {:?} by tunnel {}",
            self.within, self.outer, self.tunnel.kind
        )
    }

    fn server(&self) -> SocketAddr {
        self.outer.server(1, 8080)
    }

    /// The real server as the connection's record has it, which has room for an address of its own family.
    fn remembered(&self) -> SocketAddr {
        let mut bytes = [0; 16];
        match self.server().ip() {
            IpAddr::V4(address) => bytes[..4].copy_from_slice(&address.octets()),
            IpAddr::V6(address) => bytes.copy_from_slice(&address.octets()),
        }
        let [a, b, c, d, ..] = bytes;
        let address = match self.within {
            Family::V4 => [a, b, c, d].into(),
            Family::V6 => bytes.into(),
        };
        SocketAddr::new(address, self.server().port())
    }

    fn setup(&self) -> Setup {
        let mut setup = Setup::simple(self.within, UDP);
        setup.services[0].servers = vec![(self.server(), 1)];
        Setup {
            tunnel: Some(self.tunnel),
            ..setup
        }
    }

    /// The packet as it leaves, without a link header.
    fn passenger(&self) -> Vec<u8> {
        let packet = Packet {
            hops: self.packet.hops - 1,
            ..self.packet.clone()
        };
        packet.network()
    }

    /// What lies between the outer network header and the packet.
    fn encapsulation(&self) -> Vec<u8> {
        let (protocol, ether_type): (u8, u16) = match self.within {
            Family::V4 => (4, 0x0800),
            Family::V6 => (41, 0x86dd),
        };
        match self.tunnel.kind {
            TUNNEL_GUE => {
                let ports = [self.packet.source.port(), self.packet.destination.port()];
                let mixed = u32::from(ports[0].to_be() ^ ports[1].to_be());
                let mixed = mixed.wrapping_mul(0x61C8_8647) >> 18;
                let length = 8 + 4 + self.passenger().len();
                let mut header = (0x8000 | mixed as u16).to_be_bytes().to_vec();
                header.extend(GUE_PORT.to_be_bytes());
                header.extend((length as u16).to_be_bytes());
                header.extend([0, 0, 0, protocol, 0, 0]);
                header
            }
            TUNNEL_GRE => [&[0, 0], &ether_type.to_be_bytes()[..]].concat(),
            _ipip => Vec::new(),
        }
    }

    /// The outer packet as it leaves.
    fn outer(&self) -> Vec<u8> {
        let protocol = match (self.tunnel.kind, self.within) {
            (TUNNEL_GUE, _) => 17,
            (TUNNEL_GRE, _) => 47,
            (_ipip, Family::V4) => 4,
            (_ipip, Family::V6) => 41,
        };
        let payload = [self.encapsulation(), self.passenger()].concat();
        let (hops, service) = (self.packet.hops - 1, self.packet.service);
        let source = Link::Inside.address(self.outer, DIRECTOR);
        match (source, self.server().ip()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let mut header = vec![0x45, service];
                header.extend(((20 + payload.len()) as u16).to_be_bytes());
                header.extend([0, 0, 0, 0, hops, protocol, 0, 0]);
                header.extend(source.octets());
                header.extend(destination.octets());
                let sum = checksum(&header);
                header[10..12].copy_from_slice(&sum.to_be_bytes());
                [header, payload].concat()
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let class = 0x6000_0000u32 | u32::from(service) << 20;
                let mut header = class.to_be_bytes().to_vec();
                header.extend((payload.len() as u16).to_be_bytes());
                header.extend([protocol, hops]);
                header.extend(source.octets());
                header.extend(destination.octets());
                [header, payload].concat()
            }
            _ => panic!("one family a header"),
        }
    }

    /// How much the tunnel adds.
    fn overhead(&self) -> usize {
        self.outer().len() - self.packet.network().len()
    }

    /// The connection begins, and the packet goes.
    fn begins(&self) -> Expected {
        let ether_type: [u8; 2] = match self.outer {
            Family::V4 => [0x08, 0x00],
            Family::V6 => [0x86, 0xdd],
        };
        let (to, from) = self.packet.link;
        let frame = [&to[..], &from, &ether_type, &self.outer()].concat();
        let sent = match self.outer {
            Family::V4 => After::Numbered(Link::Inside, frame),
            Family::V6 => After::Sent(Link::Inside, frame),
        };
        let begun = Connection {
            flags: LIVE | INACTIVE | NO_OUTPUT,
            ..connection(&self.packet, self.remembered(), 0)
        };
        let (family, length) = (self.within, self.packet.length());
        Expected::new(Reason::Request, sent, move |tables| {
            tables.begin(0, begun.clone());
            // No answers are waited for.
            tables.flows.retain(|_, (_, is_reply)| !*is_reply);
            tables.count_in(0, length);
            tables.advance(family, 0, 0, 300);
        })
    }

    /// What a router between director and real server says, about the outer packet as it left.
    fn error(&self, (kind, code, information): Said) -> Error {
        let mut quoted = self.outer();
        let transport = match self.within {
            Family::V4 => 20,
            Family::V6 => 40,
        };
        quoted.truncate((self.overhead() + transport).saturating_add(self.quoted));
        Error {
            source: Link::Inside.address(self.outer, 3),
            destination: Link::Inside.address(self.outer, DIRECTOR),
            hops: 64,
            options: Vec::new(),
            kind: (kind, code),
            information,
            quoted,
        }
    }

    /// What the client is told.
    fn told(&self, error: &Error, (kind, code, information): Said) -> Expected {
        let quoted = &error.quoted[self.overhead()..];
        let kind = (kind, code);
        let mut frame = icmp_error_about(&self.packet, quoted, kind, kind, information);
        frame[..12].copy_from_slice(&error.frame(Link::Inside)[..12]);
        let bytes = (quoted.len() + frame.len() - 14) as u64;
        Expected::new(
            Reason::IcmpToClient,
            After::Sent(Link::Outside, frame),
            move |tables| {
                // The error, and what it is made of.
                tables.count_out(0, bytes);
                tables.count_out(0, 0);
            },
        )
    }

    fn row(&self, what: &str, error: &Error, expected: Expected) -> Row {
        self.row_of_frame(what, error.frame(Link::Inside), expected)
    }

    fn row_of_frame(&self, what: &str, frame: Vec<u8>, expected: Expected) -> Row {
        let steps = vec![
            client_sends(&self.packet, self.begins()),
            arrival(Link::Inside, frame, expected),
        ];
        let name = format!("{what}, {}", self.name());
        Row::new(name, self.setup(), steps)
    }

    /// Every type and code that is told, in the words of the client's family.
    fn kinds(&self) -> Vec<Row> {
        let told: &[(Said, Said)] = match (self.outer, self.within) {
            (Family::V4, Family::V4) => &[
                ((3, 0, 0), (3, 0, 0)),
                ((3, 1, 0), (3, 1, 0)),
                ((3, 2, 0), (3, 2, 0)),
                ((3, 3, 0), (3, 3, 0)),
                ((3, 13, 0), (3, 13, 0)),
                ((4, 0, 0), (4, 0, 0)),
                ((11, 0, 0), (11, 0, 0)),
                ((11, 1, 0), (11, 1, 0)),
            ],
            (Family::V4, Family::V6) => &[
                ((3, 0, 0), (1, 0, 0)),
                ((3, 1, 0), (1, 0, 0)),
                ((3, 2, 0), (1, 0, 0)),
                ((3, 3, 0), (1, 4, 0)),
                ((3, 13, 0), (1, 1, 0)),
                ((11, 0, 0), (3, 0, 0)),
                ((11, 1, 0), (3, 1, 0)),
            ],
            (Family::V6, Family::V4) => &[
                ((1, 0, 0), (3, 1, 0)),
                ((1, 1, 0), (3, 10, 0)),
                ((1, 3, 0), (3, 1, 0)),
                ((1, 4, 0), (3, 3, 0)),
                ((3, 0, 0), (11, 0, 0)),
                ((3, 1, 0), (11, 1, 0)),
                ((4, 1, 6), (3, 1, 0)),
            ],
            (Family::V6, Family::V6) => &[
                ((1, 0, 0), (1, 0, 0)),
                ((1, 1, 0), (1, 1, 0)),
                ((1, 3, 0), (1, 3, 0)),
                ((1, 4, 0), (1, 4, 0)),
                ((3, 0, 0), (3, 0, 0)),
                ((3, 1, 0), (3, 1, 0)),
                ((4, 1, 6), (1, 3, 0)),
            ],
        };
        let mut rows: Vec<Row> = told
            .iter()
            .map(|(said, told)| {
                let error = self.error(*said);
                self.row(&format!("{said:?}"), &error, self.told(&error, *told))
            })
            .collect();
        let untold: &[Said] = match (self.outer, self.within) {
            (Family::V4, Family::V4) => &[],
            (Family::V4, Family::V6) => &[(4, 0, 0)],
            (Family::V6, _) => &[(100, 0, 0)],
        };
        for said in untold {
            let error = self.error(*said);
            let expected = Expected::untouched(Reason::IcmpUndeliverable);
            rows.push(self.row(&format!("{said:?}"), &error, expected));
        }
        let others: &[Said] = match self.outer {
            Family::V4 => &[(8, 0, 0), (5, 1, 0)],
            Family::V6 => &[(128, 0, 0), (137, 0, 0)],
        };
        for said in others {
            let expected = Expected::untouched(Reason::Icmp);
            rows.push(self.row(&format!("{said:?}"), &self.error(*said), expected));
        }
        rows
    }

    /// Host unreachable.
    fn unreachable(&self) -> (Said, Said) {
        let of = |family| match family {
            Family::V4 => (3, 1, 0),
            Family::V6 => (1, 0, 0),
        };
        (of(self.outer), of(self.within))
    }

    /// How much is quoted: the ports suffice, and no error gets longer than its family allows.
    fn lengths(&self) -> Vec<Row> {
        let (said, told) = self.unreachable();
        [0, 3, 4, 8, 9, 500, usize::MAX]
            .into_iter()
            .map(|quoted| {
                let case = Self {
                    quoted,
                    ..self.clone()
                };
                let error = case.error(said);
                let expected = if quoted < 4 {
                    Expected::untouched(Reason::Icmp)
                } else {
                    case.told(&error, told)
                };
                case.row(&format!("{quoted} bytes quoted"), &error, expected)
            })
            .collect()
    }

    fn damaged(&self) -> Row {
        let mut frame = self.error(self.unreachable().0).frame(Link::Inside);
        let last = frame.len() - 1;
        frame[last] ^= 1;
        let expected = Expected::untouched(Reason::IcmpDamaged);
        self.row_of_frame("damaged", frame, expected)
    }

    /// About a packet of no connection.
    fn unknown(&self) -> Row {
        let mut case = self.clone();
        case.packet.source.set_port(40_001);
        let error = case.error(self.unreachable().0);
        self.row("of nobody", &error, Expected::untouched(Reason::Icmp))
    }

    /// The tunnel that it is about goes somewhere else.
    fn of_another_tunnel(&self) -> Row {
        let mut error = self.error(self.unreachable().0);
        let last = match self.outer {
            Family::V4 => 19,
            Family::V6 => 39,
        };
        error.quoted[last] ^= 2;
        let expected = Expected::untouched(Reason::Icmp);
        self.row("of another tunnel", &error, expected)
    }
}

/// What a client is told of the size that gets through.
fn mtus(within: Family, outer: Family) -> Vec<Row> {
    let mut rows = Vec::new();
    for kind in [TUNNEL_IPIP, TUNNEL_GRE, TUNNEL_GUE] {
        let case = Case::new(within, outer, kind);
        let overhead = case.overhead() as u32;
        let least = match within {
            Family::V4 => 68,
            Family::V6 => 1280,
        };
        for mtu in [
            0,
            68,
            least + overhead - 1,
            least + overhead,
            least + overhead + 1,
            MTU,
            1500,
        ] {
            let fits = match within {
                Family::V4 if mtu > least + overhead => mtu - overhead,
                // As IPVS: what a router says that is too little to be true.
                Family::V4 => mtu,
                Family::V6 => least.max(mtu.saturating_sub(overhead)),
            };
            let said = match outer {
                Family::V4 => (3, 4, mtu),
                Family::V6 => (2, 0, mtu),
            };
            let told = match within {
                Family::V4 => (3, 4, fits),
                Family::V6 => (2, 0, fits),
            };
            let error = case.error(said);
            let expected = case.told(&error, told);
            rows.push(case.row(&format!("a link of {mtu}"), &error, expected));
        }
    }
    rows
}

/// A packet that routers may cut: who has sent it need not know that it is too large, unless nobody cuts what it
/// is in.
fn that_may_be_cut() -> Vec<Row> {
    Family::ALL
        .map(|outer| {
            let mut case = Case::new(Family::V4, outer, TUNNEL_IPIP);
            case.packet.do_not_fragment = false;
            let fits = MTU - case.overhead() as u32;
            let (error, expected) = match outer {
                Family::V4 => {
                    let reason = Reason::IcmpUndeliverable;
                    (case.error((3, 4, MTU)), Expected::untouched(reason))
                }
                Family::V6 => {
                    let error = case.error((2, 0, MTU));
                    let expected = case.told(&error, (3, 4, fits));
                    (error, expected)
                }
            };
            case.row("of a packet that may be cut", &error, expected)
        })
        .into()
}
