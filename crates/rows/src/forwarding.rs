//! Rows of packets that are forwarded, and of those that are not ours.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use weir_abi::reason::Reason;

use crate::cases::{
    ESTABLISHED, begins, client_sends, comes_back, from_client, from_server, goes_on, handshake,
    server_sends, translated,
};
use crate::network::{Family, Link};
use crate::packet::{ACK, FIN, PSH, Packet, RST, SYN, Transport};
use crate::row::{Arrival, Expected, Row, Step};
use crate::setup::Setup;

const TCP: u8 = 6;
const UDP: u8 = 17;

/// The rows.
pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for family in Family::ALL {
        rows.push(tcp_life(family));
        rows.push(tcp_reset(family));
        rows.extend(udp(family));
        rows.push(zero_sum(family));
        rows.extend(tags(family));
        rows.extend(not_ours(family));
        rows.push(other_station(family));
    }
    rows.extend(ipv4_options());
    rows.extend(ipv6_extensions());
    rows.extend(martians());
    rows.push(not_internet());
    rows
}

fn tcp_life(family: Family) -> Row {
    let server = family.server(1, 8080);
    let data = Packet {
        payload: (0..255).collect(),
        ..from_client(family, 1, Transport::Tcp(PSH | ACK))
    };
    let answer = Packet {
        payload: vec![0xff; 1400],
        ..from_server(family, 1, Transport::Tcp(PSH | ACK))
    };
    let fin = from_client(family, 1, Transport::Tcp(FIN | ACK));
    let fin_back = from_server(family, 1, Transport::Tcp(FIN | ACK));
    let last = from_client(family, 1, Transport::Tcp(ACK));
    let mut steps = handshake(family);
    steps.extend([
        client_sends(&data, goes_on(&data, server, ESTABLISHED, 900)),
        server_sends(&answer, comes_back(&answer, ESTABLISHED, 900)),
        client_sends(&fin, goes_on(&fin, server, 7, 60)),
        server_sends(&fin_back, comes_back(&fin_back, 5, 120)),
        client_sends(&last, goes_on(&last, server, 5, 120)),
    ]);
    Row::new(
        format!("a TCP connection's life, {family:?}"),
        Setup::simple(family, TCP),
        steps,
    )
}

fn tcp_reset(family: Family) -> Row {
    let reset = from_server(family, 1, Transport::Tcp(RST | ACK));
    let mut steps = handshake(family);
    steps.push(server_sends(&reset, comes_back(&reset, 6, 10)));
    Row::new(
        format!("a reset by the real server, {family:?}"),
        Setup::simple(family, TCP),
        steps,
    )
}

fn udp(family: Family) -> Vec<Row> {
    let server = family.server(1, 8080);
    let transports = [Transport::Udp, Transport::UdpUnsummed];
    let lengths = [0usize, 1, 2, 3, 1001];
    let mut rows = Vec::new();
    for (transport, length) in transports.iter().flat_map(|t| lengths.map(|l| (*t, l))) {
        let question = Packet {
            payload: vec![0xa5; length],
            service: 0x2c,
            ..from_client(family, 1, transport)
        };
        let answer = Packet {
            payload: vec![0x5a; length],
            hops: 2,
            ..from_server(family, 1, transport)
        };
        let steps = vec![
            client_sends(&question, begins(&question, server)),
            server_sends(&answer, comes_back(&answer, 0, 300)),
            client_sends(&question, goes_on(&question, server, 0, 300)),
        ];
        let name = format!("{transport:?} of {length} bytes, {family:?}");
        rows.push(Row::new(name, Setup::simple(family, UDP), steps));
    }
    rows
}

/// The checksum of the packet out would be 0, which UDP reserves for "none".
fn zero_sum(family: Family) -> Row {
    let server = family.server(1, 8080);
    let out = translated(&from_client(family, 1, Transport::Udp), server).sum_to_zero();
    let question = Packet {
        payload: out.payload,
        ..from_client(family, 1, Transport::Udp)
    };
    let steps = vec![client_sends(&question, begins(&question, server))];
    let name = format!("a UDP checksum that becomes zero, {family:?}");
    Row::new(name, Setup::simple(family, UDP), steps)
}

fn tags(family: Family) -> Vec<Row> {
    let server = family.server(1, 8080);
    [vec![(0x8100, 5)], vec![(0x88a8, 7), (0x8100, 0x2005)]]
        .into_iter()
        .map(|tags| {
            let name = format!("{} VLAN tags, {family:?}", tags.len());
            let syn = Packet {
                tags,
                ..from_client(family, 1, Transport::Tcp(SYN))
            };
            let left = Expected::untouched(Reason::Tagged);
            let steps = vec![Step::either(
                Link::Outside,
                &syn,
                begins(&syn, server),
                left,
            )];
            let mut row = Row::new(name, Setup::simple(family, TCP), steps);
            row.not_in_kernel_tc =
                Some("BPF_PROG_TEST_RUN leaves tags in the packet, which the receive path strips");
            row
        })
        .collect()
}

fn passes(name: String, packet: &Packet, reason: Reason) -> Row {
    let family = Family::of(packet.source.ip());
    let setup = Setup::simple(family, packet.protocol());
    Row::new(
        name,
        setup,
        vec![client_sends(packet, Expected::untouched(reason))],
    )
}

fn not_ours(family: Family) -> Vec<Row> {
    let mut rows = Vec::new();
    for flags in [ACK, FIN, RST, SYN | RST, FIN | ACK, PSH, 0] {
        let packet = from_client(family, 1, Transport::Tcp(flags));
        let name = format!("TCP flags {flags:#x} of no connection, {family:?}");
        rows.push(passes(name, &packet, Reason::NotConnected));
    }
    for transport in [Transport::Tcp(SYN), Transport::Udp] {
        let mut packet = from_client(family, 1, transport);
        packet.destination.set_port(81);
        let name = format!("{transport:?} to another port, {family:?}");
        rows.push(passes(name, &packet, Reason::NotOurs));
        let mut packet = from_client(family, 1, transport);
        packet.destination.set_ip(family.client(2, 0).ip());
        let name = format!("{transport:?} to another address, {family:?}");
        rows.push(passes(name, &packet, Reason::NotOurs));
        let mut packet = from_client(family, 1, transport);
        packet.source.set_port(20);
        let name = format!("{transport:?} from the FTP data port, {family:?}");
        rows.push(passes(name, &packet, Reason::NotConnected));
    }
    let packet = from_client(family, 1, Transport::Tcp(SYN));
    let steps = vec![client_sends(&packet, Expected::untouched(Reason::NotOurs))];
    let name = format!("TCP to a service of UDP, {family:?}");
    rows.push(Row::new(name, Setup::simple(family, UDP), steps));
    let packet = from_server(family, 1, Transport::Tcp(ACK));
    let steps = vec![server_sends(&packet, Expected::untouched(Reason::NotOurs))];
    let name = format!("a real server's packet of no connection, {family:?}");
    rows.push(Row::new(name, Setup::simple(family, TCP), steps));
    // ICMP, by another protocol number in an otherwise good packet.
    let mut frame = packet.frame();
    match family {
        Family::V4 => frame[14 + 9] = 1,
        Family::V6 => frame[14 + 6] = 58,
    }
    rows.push(raw(format!("ICMP, {family:?}"), frame, Reason::Icmp));
    rows
}

fn raw(name: String, mut frame: Vec<u8>, reason: Reason) -> Row {
    frame[..6].copy_from_slice(&Link::Outside.station());
    let expected = Expected::untouched(reason);
    let arrival = Arrival {
        after: 0,
        link: Link::Outside,
        frame,
        tc: expected.clone(),
        xdp: expected,
    };
    Row::new(
        name,
        Setup::simple(Family::V4, TCP),
        vec![Step::Arrival(arrival)],
    )
}

fn other_station(family: Family) -> Row {
    let mut packet = from_client(family, 1, Transport::Tcp(SYN));
    packet.link.0 = [2, 9, 9, 9, 9, 9];
    let name = format!("a SYN for another station, {family:?}");
    passes(name, &packet, Reason::OtherStation)
}

fn ipv4_options() -> Vec<Row> {
    let server = Family::V4.server(1, 8080);
    [vec![0x94, 4, 0, 0], vec![1; 20], vec![1; 40]]
        .into_iter()
        .map(|options| {
            let name = format!("{} bytes of IPv4 options", options.len());
            let syn = Packet {
                options,
                ..from_client(Family::V4, 1, Transport::Tcp(SYN))
            };
            let back = Packet {
                options: vec![1; 8],
                ..from_server(Family::V4, 1, Transport::Tcp(SYN | ACK))
            };
            let steps = vec![
                client_sends(&syn, begins(&syn, server)),
                server_sends(&back, comes_back(&back, 3, 60)),
            ];
            Row::new(name, Setup::simple(Family::V4, TCP), steps)
        })
        .collect()
}

fn ipv6_extensions() -> Vec<Row> {
    let server = Family::V6.server(1, 8080);
    let chains = [
        vec![0],
        vec![60],
        vec![43],
        vec![0, 60, 43],
        vec![0, 60, 60, 43, 60, 60],
    ];
    let mut rows: Vec<Row> = chains
        .into_iter()
        .map(|extensions| {
            let name = format!("IPv6 extension headers {extensions:?}");
            let syn = Packet {
                extensions: extensions.clone(),
                ..from_client(Family::V6, 1, Transport::Tcp(SYN))
            };
            let back = Packet {
                extensions,
                ..from_server(Family::V6, 1, Transport::Tcp(SYN | ACK))
            };
            let steps = vec![
                client_sends(&syn, begins(&syn, server)),
                server_sends(&back, comes_back(&back, 3, 60)),
            ];
            Row::new(name, Setup::simple(Family::V6, TCP), steps)
        })
        .collect();
    let syn = from_client(Family::V6, 1, Transport::Tcp(SYN));
    let too_many = Packet {
        extensions: vec![60; 7],
        ..syn.clone()
    };
    rows.push(passes(
        "seven IPv6 extension headers".into(),
        &too_many,
        Reason::OtherProtocol,
    ));
    let unknown = Packet {
        extensions: vec![135],
        ..syn
    };
    rows.push(passes(
        "a mobility header".into(),
        &unknown,
        Reason::OtherProtocol,
    ));
    rows
}

fn martians() -> Vec<Row> {
    let sources: [IpAddr; 6] = [
        Ipv4Addr::LOCALHOST.into(),
        Ipv4Addr::UNSPECIFIED.into(),
        Ipv4Addr::BROADCAST.into(),
        Ipv4Addr::new(224, 0, 0, 1).into(),
        Ipv6Addr::LOCALHOST.into(),
        Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1).into(),
    ];
    sources
        .into_iter()
        .map(|source| {
            let mut packet = from_client(Family::of(source), 1, Transport::Tcp(SYN));
            packet.source = SocketAddr::new(source, 40_000);
            passes(
                format!("a SYN from {source}"),
                &packet,
                Reason::MartianSource,
            )
        })
        .collect()
}

fn not_internet() -> Row {
    let mut frame = from_client(Family::V4, 1, Transport::Udp).frame();
    frame[12..14].copy_from_slice(&0x0806u16.to_be_bytes());
    raw("ARP".into(), frame, Reason::NotInternet)
}
