//! Rows of replies to checks that went the way of the traffic.

use weir_abi::reason::Reason;

use crate::cases::from_server;
use crate::network::{DIRECTOR, Family, Link};
use crate::packet::{ACK, Packet, RST, SYN, Transport};
use crate::row::{After, Expected, Row, Step};
use crate::setup::Setup;

const TCP: u8 = 6;
const UDP: u8 = 17;
/// The check's own.
const PORT: u16 = 41_000;

/// The rows.
pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for family in Family::ALL {
        rows.push(answers(family));
        rows.push(others(family));
        rows.push(without_checks(family));
    }
    rows
}

/// From the virtual address to a check's port.
fn reply(family: Family, transport: Transport) -> Packet {
    let mut packet = from_server(family, 1, transport);
    packet.source = family.vip(80);
    packet.destination = (Link::Inside.address(family, DIRECTOR), PORT).into();
    packet
}

fn setup(family: Family, protocol: u8) -> Setup {
    let server = family.server(1, 0).ip();
    Setup {
        checks: vec![(protocol, family.vip(80), PORT, server)],
        ..Setup::simple(family, protocol)
    }
}

fn answers(family: Family) -> Row {
    let mut steps = Vec::new();
    for transport in [
        Transport::Tcp(SYN | ACK),
        Transport::Tcp(RST | ACK),
        Transport::Tcp(ACK),
    ] {
        for payload in [0, 1, 1000] {
            let packet = Packet {
                payload: vec![7; payload],
                hops: 1,
                ..reply(family, transport)
            };
            let restored = Packet {
                source: (family.server(1, 0).ip(), 80).into(),
                ..packet.clone()
            };
            let frame = After::Frame(restored.frame());
            let tc = Expected::new(Reason::CheckReply, frame, |_| {});
            let xdp = Expected::untouched(Reason::NotOurs);
            steps.push(Step::either(Link::Inside, &packet, tc, xdp));
        }
    }
    let name = format!("replies to a check get the real server's address, {family:?}");
    Row::new(name, setup(family, TCP), steps)
}

fn others(family: Family) -> Row {
    let to_another_port = Packet {
        destination: (Link::Inside.address(family, DIRECTOR), PORT + 1).into(),
        ..reply(family, Transport::Udp)
    };
    let from_another_port = Packet {
        source: family.vip(81),
        ..reply(family, Transport::Udp)
    };
    let from_itself = Packet {
        source: family.server(1, 80),
        ..reply(family, Transport::Udp)
    };
    let another_protocol = reply(family, Transport::Tcp(ACK));
    let mut steps: Vec<Step> = [
        to_another_port,
        from_another_port,
        from_itself,
        another_protocol,
    ]
    .iter()
    .map(|packet| Step::packet(Link::Inside, packet, Expected::untouched(Reason::NotOurs)))
    .collect();
    for transport in [Transport::Udp, Transport::UdpUnsummed] {
        let packet = reply(family, transport);
        let restored = Packet {
            source: (family.server(1, 0).ip(), 80).into(),
            ..packet.clone()
        };
        let frame = After::Frame(restored.frame());
        steps.push(Step::either(
            Link::Inside,
            &packet,
            Expected::new(Reason::CheckReply, frame, |_| {}),
            Expected::untouched(Reason::NotOurs),
        ));
    }
    let name = format!("only a check's own replies are its, {family:?}");
    Row::new(name, setup(family, UDP), steps)
}

fn without_checks(family: Family) -> Row {
    let packet = reply(family, Transport::Tcp(SYN | ACK));
    let untouched = Expected::untouched(Reason::NotOurs);
    let steps = vec![Step::packet(Link::Inside, &packet, untouched)];
    let name = format!("without checks nobody looks for replies, {family:?}");
    Row::new(name, Setup::simple(family, TCP), steps)
}
