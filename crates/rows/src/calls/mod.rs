//! Services that persist by the Call-ID of SIP.

pub mod reading;

use std::net::SocketAddr;
use std::rc::Rc;

use weir_abi::reason::Reason;
use weir_abi::sysctl::Sysctl;

use crate::cases::{arrives, from_client, from_server, link_of, server_sends, translated};
use crate::fragments::pieces::cut_by;
use crate::network::{Family, Link};
use crate::packet::{ACK, Packet, SYN, Transport};
use crate::related::case::{Case, To};
use crate::row::{After, Expected, Row, Step};
use crate::setup::Setup;
use crate::snapshot::{Call, Snapshot};
use reading::call_id;

const UDP: u8 = 17;
const TCP: u8 = 6;

/// How long a template lives in these rows.
pub const TIMEOUT: u32 = 360;

/// A message of that call.
pub fn message(call: &str) -> Vec<u8> {
    format!("INVITE sip:a@example SIP/2.0\r\nVia: SIP/2.0/UDP c\r\nCall-ID: {call}\r\n\r\n")
        .into_bytes()
}

/// The rows.
pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for family in Family::ALL {
        rows.push(one_call(family));
        rows.push(of_networks(family));
        rows.push(what_is_read(family));
        rows.push(what_is_not(family));
        rows.push(over_tcp(family));
        rows.extend(in_an_error(family));
        rows.push(one_packet(family));
        rows.push(left_by_xdp(family));
        rows.push(in_fragments(family));
        rows.push(lives_on(family));
        rows.push(server_gone(family));
        rows.push(from_inside(family));
        rows.push(from_inside_elsewhere(family));
    }
    rows
}

fn setup(family: Family, protocol: u8) -> Setup {
    let servers = [(family.server(1, 8080), 1), (family.server(2, 8080), 1)];
    let mut setup = Setup::servers(family, protocol, &servers);
    setup.calls = Some(match family {
        Family::V4 => [u32::MAX, 0, 0, 0],
        Family::V6 => [u32::MAX; 4],
    });
    setup
}

fn row(name: &str, family: Family, setup: Setup, steps: Vec<Step>) -> Row {
    Row {
        not_in_xdp: Some("XDP leaves what begins a connection of a call to TC"),
        ..Row::new(format!("calls: {name}, {family:?}"), setup, steps)
    }
}

fn says(family: Family, client: u8, port: u16, payload: Vec<u8>) -> Packet {
    Packet {
        source: family.client(client, port),
        payload,
        ..from_client(family, client, Transport::Udp)
    }
}

/// A real server's slot, its number and its address.
fn server(family: Family, slot: u32) -> SocketAddr {
    family.server(slot as u8 + 1, 8080)
}

/// A packet that begins the connection in a slot, of the call whose template is in another, which is new or not.
fn begins(packet: &Packet, template: u32, slot: u32, destination: u32, call: Option<&str>) -> Step {
    let family = Family::of(packet.source.ip());
    let to = server(family, destination);
    let out = translated(packet, to).frame();
    let moves = arrives(packet, to, slot, destination);
    let new = call.map(|id| (id.to_owned(), packet.source));
    let moves = move |tables: &mut Snapshot| {
        if let Some((id, client)) = &new {
            tables.begin_call(
                family,
                template,
                Call::new(id, client.ip(), to, destination, TIMEOUT),
            );
        } else {
            tables.prolong_call(family, template, TIMEOUT);
        }
        let picked = tables.memory[0];
        moves(tables);
        if new.is_none() {
            tables.memory[0] = picked;
        }
        tables.hold_call(family, template, 1);
    };
    Step::packet(
        Link::Outside,
        packet,
        Expected::new(Reason::Request, After::Sent(link_of(to), out), moves),
    )
}

/// rr picks the newest first, and then in turn.
fn one_call(family: Family) -> Row {
    let one = message("one@here");
    let two = message("two@here");
    let steps = vec![
        begins(
            &says(family, 1, 40_000, one.clone()),
            0,
            1,
            1,
            Some("one@here"),
        ),
        begins(&says(family, 1, 40_001, one.clone()), 0, 2, 1, None),
        begins(
            &says(family, 1, 40_002, two.clone()),
            3,
            4,
            0,
            Some("two@here"),
        ),
        begins(&says(family, 1, 40_003, one), 0, 5, 1, None),
        begins(&says(family, 1, 40_004, two), 3, 6, 0, None),
    ];
    row("from several ports", family, setup(family, UDP), steps)
}

/// The client's network counts too: by the netmask one station's call is another's or is not.
fn of_networks(family: Family) -> Row {
    let call = message("one");
    let mut wide = setup(family, UDP);
    wide.calls = Some(match family {
        Family::V4 => [u32::from_ne_bytes([255, 255, 255, 0]), 0, 0, 0],
        Family::V6 => [u32::MAX, u32::MAX, 0, 0],
    });
    let network = family.client(0, 0).ip();
    let mut first = begins(&says(family, 1, 40_000, call.clone()), 0, 1, 1, Some("one"));
    if let Step::Arrival(arrival) = &mut first {
        let moves = Rc::clone(&arrival.tc.moves);
        arrival.tc.moves = Rc::new(move |tables| {
            moves(tables);
            let call = tables.calls.get_mut(&(family, 0)).expect("a call");
            call.client = network;
        });
    }
    let steps = vec![first, begins(&says(family, 2, 40_000, call), 0, 2, 1, None)];
    row("of one network", family, wide, steps)
}

fn what_is_read(family: Family) -> Row {
    let long = "x".repeat(255);
    let texts = [
        ("INVITE\r\nCall-ID: a\r\n".to_owned(), "a"),
        ("INVITE\ncall-id:b@c\n".to_owned(), "b@c"),
        ("\ri :\td\r".to_owned(), "d"),
        ("x\r\nCall-ID\r\n :\r\n\te\r\n".to_owned(), "e"),
        ("x\r\nI: @\r\nCall-ID: f\r\n".to_owned(), "f"),
        (format!("x\r\nCall-ID: {long}\r\n"), &long),
        (
            format!("x{}\r\nCall-ID: {{[g]}}~'\r\n", "\r\nVia: y".repeat(120)),
            "{[g]}~'",
        ),
    ];
    let steps = (0..).zip(&texts).map(|(number, (text, id))| {
        let packet = says(family, 1, 41_000 + number as u16, text.clone().into_bytes());
        assert_eq!(call_id(text.as_bytes()), Some(id.as_bytes()));
        begins(
            &packet,
            2 * number,
            2 * number + 1,
            (number + 1) % 2,
            Some(id),
        )
    });
    let steps = steps.collect();
    row("what is read", family, setup(family, UDP), steps)
}

fn what_is_not(family: Family) -> Row {
    let texts = [
        String::new(),
        "weir".to_owned(),
        "Call-ID: first line\r\n".to_owned(),
        "x\r\nCall-ID: a b\r\n".to_owned(),
        "x\r\nCall-ID: a".to_owned(),
        "x\r\nCall-ID: a \r\n".to_owned(),
        "x\r\nCall-ID: a,b\r\n".to_owned(),
        "x\r\nCall-ID:\r\nFrom: y\r\n".to_owned(),
        "x\r\nCall-ID a\r\n".to_owned(),
        "x\r\nix: a\r\n".to_owned(),
        format!("x\r\nCall-ID: {}\r\n", "x".repeat(256)),
    ];
    let steps = texts.iter().map(|text| {
        let packet = says(family, 1, 40_000, text.clone().into_bytes());
        assert_eq!(call_id(text.as_bytes()), None, "{text:?}");
        Step::packet(
            Link::Outside,
            &packet,
            Expected::untouched(Reason::NoCallId),
        )
    });
    let steps = steps.collect();
    row("what is not read", family, setup(family, UDP), steps)
}

fn over_tcp(family: Family) -> Row {
    let packet = from_client(family, 1, Transport::Tcp(SYN));
    let steps = vec![Step::packet(
        Link::Outside,
        &packet,
        Expected::untouched(Reason::NoCallId),
    )];
    Row::new(
        format!("calls: over TCP, {family:?}"),
        setup(family, TCP),
        steps,
    )
}

/// With `schedule_icmp`: what an error quotes has no Call-ID, so it begins nothing, and is dropped.
fn in_an_error(family: Family) -> Vec<Row> {
    let transports = [(UDP, Transport::Udp), (TCP, Transport::Tcp(ACK))];
    transports
        .into_iter()
        .map(|(protocol, transport)| {
            let setup = Setup {
                sysctls: vec![(Sysctl::ScheduleIcmp, 1)],
                ..setup(family, protocol)
            };
            let case = Case::about(family, To::Server, transport);
            let steps = vec![case.step(Expected::untouched(Reason::NoCallId))];
            let name = format!("an ICMP error about {transport:?}");
            row(&name, family, setup, steps)
        })
        .collect()
}

/// With one-packet scheduling as well: connections end with their packets, the template stays.
fn one_packet(family: Family) -> Row {
    let setup = Setup {
        one_packet: true,
        ..setup(family, UDP)
    };
    let steps = [(1, Some("one")), (2, None), (3, None)].map(|(port, new)| {
        let packet = says(family, 1, 40_000 + port, message("one"));
        let mut step = begins(&packet, 0, 1, 1, new);
        if let Step::Arrival(arrival) = &mut step {
            let moves = Rc::clone(&arrival.tc.moves);
            arrival.tc.moves = Rc::new(move |tables| {
                moves(tables);
                tables.end(family, 1);
                tables.hold_call(family, 0, -1);
            });
        }
        step
    });
    row("one-packet scheduling", family, setup, steps.into())
}

fn left_by_xdp(family: Family) -> Row {
    let packet = says(family, 1, 40_000, message("one"));
    let mut step = begins(&packet, 0, 1, 1, Some("one"));
    if let Step::Arrival(arrival) = &mut step {
        arrival.xdp = Expected::untouched(Reason::Application);
    }
    let name = format!("calls: left by XDP, {family:?}");
    Row::new(name, setup(family, UDP), vec![step])
}

/// The first fragment has the Call-ID; the later ones go where it went.
fn in_fragments(family: Family) -> Row {
    let mut payload = message("one");
    payload.resize(400, b'x');
    let packet = says(family, 1, 40_000, payload);
    let to = server(family, 1);
    let (incoming, outgoing) = (
        cut_by(&packet, 7, 200),
        cut_by(&translated(&packet, to), 7, 200),
    );
    let first = crate::fragments::pieces::begins(&packet, &incoming[0], to);
    let client = packet.source.ip();
    let mut steps = vec![crate::fragments::pieces::goes(
        &incoming[0],
        &outgoing[0],
        move |tables| {
            tables.begin_call(family, 0, Call::new("one", client, to, 1, TIMEOUT));
            tables.calls.get_mut(&(family, 0)).expect("a call").holds = 1;
            first(tables);
            let connection = tables
                .connections
                .remove(&(family, 0))
                .expect("a connection");
            tables.connections.insert(
                (family, 1),
                crate::snapshot::Connection {
                    destination: 1,
                    ..connection
                },
            );
            for flow in tables.flows.values_mut() {
                flow.0 = 1;
            }
            tables.usage.get_mut(&family).expect("both").1 = 2;
            tables.destinations.swap(0, 1);
            let records = (tables.destinations[0].record, tables.destinations[1].record);
            (tables.destinations[1].record, tables.destinations[0].record) = records;
            tables.memory[0] = 1;
        },
    )];
    for (frame, out) in incoming.iter().zip(&outgoing).skip(1) {
        let bytes = crate::fragments::pieces::counted(&packet, frame, false);
        steps.push(crate::fragments::pieces::goes(
            frame,
            out,
            move |tables: &mut Snapshot| {
                tables.destinations[1].counters.in_bytes += bytes;
            },
        ));
    }
    row("in fragments", family, setup(family, UDP), steps)
}

/// The template outlives its connections by its timeout, and is as good as new until then.
fn lives_on(family: Family) -> Row {
    let call = message("one");
    let steps = vec![
        begins(&says(family, 1, 40_000, call.clone()), 0, 1, 1, Some("one")),
        Step::Reap(
            301,
            Rc::new(move |tables| {
                tables.end(family, 1);
                tables.hold_call(family, 0, -1);
            }),
        ),
        begins(&says(family, 1, 40_001, call.clone()), 0, 1, 1, None),
        Step::Reap(
            301,
            Rc::new(move |tables| {
                tables.end(family, 1);
                tables.hold_call(family, 0, -1);
            }),
        ),
        Step::Reap(60, Rc::new(move |tables| tables.end_call(family, 0))),
        begins(&says(family, 1, 40_002, call), 0, 1, 0, Some("one")),
    ];
    row("the template lives on", family, setup(family, UDP), steps)
}

/// A removed real server's calls are others' from then on.
fn server_gone(family: Family) -> Row {
    let call = message("one");
    let mut last = begins(&says(family, 1, 40_001, call.clone()), 2, 3, 0, Some("one"));
    if let Step::Arrival(arrival) = &mut last {
        let moves = Rc::clone(&arrival.tc.moves);
        arrival.tc.moves = Rc::new(move |tables| {
            // Found no more, and listed without ports, as in IPVS.
            let old = tables.calls.get_mut(&(family, 0)).expect("a call");
            old.virtual_port = u16::MAX;
            old.server.set_port(u16::MAX);
            old.flows = 0;
            moves(tables);
        });
    }
    let steps = vec![
        begins(&says(family, 1, 40_000, call), 0, 1, 1, Some("one")),
        Step::Edit(|servers| {
            let flags = servers[1].flags.load();
            servers[1]
                .flags
                .store(flags & !weir_abi::service::AVAILABLE);
        }),
        last,
    ];
    row("its real server is gone", family, setup(family, UDP), steps)
}

/// A real server calls; what the client says to the VIP then, from whatever port, is for that real server.
fn from_inside(family: Family) -> Row {
    let packet = Packet {
        payload: message("own"),
        ..from_server(family, 1, Transport::Udp)
    };
    let client = packet.destination;
    let out = Packet {
        source: family.vip(80),
        hops: packet.hops - 1,
        ..packet.clone()
    };
    let to = server(family, 0);
    let length = packet.length();
    let as_if = says(family, 1, client.port(), Vec::new());
    let begun = crate::cases::connection(&as_if, to, 0);
    let calls = Expected::new(
        Reason::Reply,
        After::Sent(Link::Outside, out.frame()),
        move |tables| {
            let picked = tables.memory[0];
            tables.begin_call(family, 0, Call::new("own", client.ip(), to, 0, TIMEOUT));
            tables.hold_call(family, 0, 1);
            tables.begin(1, begun.clone());
            tables.memory[0] = picked;
            tables.count_out(0, length);
            tables.advance(family, 1, 0, 300);
            tables
                .calls
                .get_mut(&(family, 0))
                .expect("a call")
                .is_assured = true;
        },
    );
    let steps = vec![
        server_sends(&packet, calls),
        begins(&says(family, 1, 45_000, message("own")), 0, 2, 0, None),
        begins(
            &says(family, 1, 45_001, message("other")),
            3,
            4,
            1,
            Some("other"),
        ),
    ];
    row("a real server's own", family, setup(family, UDP), steps)
}

/// What of a real server's own is the kernel's.
fn from_inside_elsewhere(family: Family) -> Row {
    let packet = Packet {
        payload: message("own"),
        ..from_server(family, 1, Transport::Udp)
    };
    let untouched = || Expected::untouched(Reason::NotOurs);
    let said_nothing = Packet {
        payload: b"hello".to_vec(),
        ..packet.clone()
    };
    let another_port = Packet {
        source: family.server(1, 8081),
        ..packet.clone()
    };
    let no_server = Packet {
        source: family.server(3, 8080),
        ..packet.clone()
    };
    let no_way = Packet {
        destination: family.lost_server(5060),
        ..packet.clone()
    };
    let last_hop = Packet { hops: 1, ..packet };
    let steps = [said_nothing, another_port, no_server, no_way, last_hop]
        .iter()
        .map(|packet| server_sends(packet, untouched()))
        .collect();
    row("not a real server's own", family, setup(family, UDP), steps)
}
