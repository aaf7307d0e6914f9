//! Rows of what sysctls change.

use std::net::SocketAddr;

use weir_abi::connection::{INACTIVE, LIVE};
use weir_abi::reason::Reason;
use weir_abi::sysctl::Sysctl;

use crate::answers::{a_hop_on, icmp_error_about};
use crate::cases::{client_sends, connection, from_client, from_server, handshake, server_sends};
use crate::network::{DIRECTOR, Family, Link};
use crate::packet::{ACK, Packet, RST, SYN, Transport};
use crate::related::case::{Case, To};
use crate::row::{After, Expected, Row, Step};
use crate::setup::Setup;
use crate::snapshot::{Connection, Snapshot};

const TCP: u8 = 6;
const UDP: u8 = 17;

/// The rows.
pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for family in Family::ALL {
        rows.extend(strays(family));
        rows.push(stray_of_a_connection(family));
        rows.extend(errors_that_begin(family));
        rows.push(errors_that_begin_nothing(family));
        rows.extend(backup_only(family));
    }
    rows
}

fn told(family: Family, protocol: u8) -> Setup {
    Setup {
        sysctls: vec![(Sysctl::NatIcmpSend, 1)],
        ..Setup::simple(family, protocol)
    }
}

/// With `nat_icmp_send` a real server hears that it has no such connection, from the director.
fn strays(family: Family) -> Vec<Row> {
    let director = SocketAddr::new(Link::Inside.address(family, DIRECTOR), 0);
    let stray = |transport| Packet {
        payload: vec![5; 700],
        ..from_server(family, 1, transport)
    };
    let answered = |packet: &Packet| {
        let asked = Packet {
            destination: director,
            ..packet.clone()
        };
        let quoted = a_hop_on(packet).network();
        let answer = icmp_error_about(&asked, &quoted, (3, 3), (1, 4), 0);
        Expected::new(Reason::Stray, After::Frame(answer), |_| {})
    };
    let untouched = Expected::untouched(Reason::NotOurs);
    let for_us = Packet {
        destination: director,
        ..stray(Transport::Udp)
    };
    let mut port = stray(Transport::Udp);
    port.source.set_port(8081);
    let last_hop = Packet {
        hops: 1,
        ..stray(Transport::Udp)
    };
    let (tcp, udp) = (stray(Transport::Tcp(ACK)), stray(Transport::Udp));
    let cases = [
        ("TCP", tcp.clone(), answered(&tcp)),
        ("UDP", udp.clone(), answered(&udp)),
        (
            "a reset",
            stray(Transport::Tcp(RST | ACK)),
            untouched.clone(),
        ),
        ("for the director", for_us, untouched.clone()),
        ("from another port", port, untouched.clone()),
        ("on its last hop", last_hop, untouched),
    ];
    cases
        .into_iter()
        .map(|(name, packet, tc)| {
            let protocol = packet.protocol();
            let xdp = Expected::untouched(Reason::PartMissing);
            Row::new(
                format!("a real server's packet of no connection: {name}, {family:?}"),
                told(family, protocol),
                vec![Step::either(Link::Inside, &packet, tc, xdp)],
            )
        })
        .collect()
}

/// Its connections' packets go on.
fn stray_of_a_connection(family: Family) -> Row {
    let name = format!("connections where real servers hear of strays, {family:?}");
    Row::new(name, told(family, TCP), handshake(family))
}

fn scheduling(family: Family, protocol: u8, server: SocketAddr) -> Setup {
    Setup {
        sysctls: vec![(Sysctl::ScheduleIcmp, 1)],
        ..Setup::servers(family, protocol, &[(server, 1)])
    }
}

/// With `schedule_icmp` an error about a reply of no connection begins it, and goes to its real server.
fn errors_that_begin(family: Family) -> Vec<Row> {
    let server = family.server(1, 8080);
    let transports = [(TCP, Transport::Tcp(ACK)), (UDP, Transport::Udp)];
    transports
        .into_iter()
        .map(|(protocol, transport)| {
            let case = Case::about(family, To::Server, transport);
            let packet = from_client(family, 1, transport);
            let begun = Connection {
                flags: LIVE | INACTIVE,
                state: 0,
                seconds: 3,
                ..connection(&packet, server, 0)
            };
            let goes_on = case.goes_on();
            let counted = goes_on.moves.clone();
            let expected = Expected {
                moves: std::rc::Rc::new(move |tables: &mut Snapshot| {
                    tables.begin(0, begun.clone());
                    counted(tables);
                }),
                ..goes_on
            };
            let again = case.goes_on();
            Row::new(
                format!("an ICMP error about {transport:?} that begins its connection, {family:?}"),
                scheduling(family, protocol, server),
                vec![case.step(expected), case.step(again)],
            )
        })
        .collect()
}

/// Of another protocol than the service's.
fn errors_that_begin_nothing(family: Family) -> Row {
    let case = Case::about(family, To::Server, Transport::Udp);
    let steps = vec![case.step(Expected::untouched(Reason::Icmp))];
    let name = format!("an ICMP error about what no service has, {family:?}");
    Row::new(name, scheduling(family, TCP, family.server(1, 8080)), steps)
}

/// A sync backup leaves all but replies to the kernel, with `backup_only`; without, or without the daemon,
/// it forwards.
fn backup_only(family: Family) -> Vec<Row> {
    let setup = |sysctl, sync_backup| Setup {
        sysctls: vec![(Sysctl::BackupOnly, sysctl)],
        sync_backup,
        ..Setup::simple(family, TCP)
    };
    let syn = from_client(family, 1, Transport::Tcp(SYN));
    let mut elsewhere = syn.clone();
    elsewhere.destination.set_ip(family.client(2, 0).ip());
    let left = vec![
        client_sends(&syn, Expected::untouched(Reason::BackupOnly)),
        client_sends(&elsewhere, Expected::untouched(Reason::NotOurs)),
        server_sends(
            &from_server(family, 1, Transport::Tcp(ACK)),
            Expected::untouched(Reason::NotOurs),
        ),
    ];
    let name = |about| format!("{about}, {family:?}");
    vec![
        Row::new(name("a sync backup and no more"), setup(1, true), left),
        Row::new(name("a sync backup"), setup(0, true), handshake(family)),
        Row::new(name("no sync backup"), setup(1, false), handshake(family)),
    ]
}
