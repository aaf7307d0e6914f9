//! Rows of FTP by NAT: what its control connection says, and the data connections that follow.

use std::net::SocketAddr;
use std::rc::Rc;

use weir_abi::connection::{INACTIVE, LIVE};
use weir_abi::reason::Reason;

use crate::cases::{
    ESTABLISHED, SYN_RECV, begins, client_sends, link_of, server_sends, translated,
};
use crate::network::{Family, Link};
use crate::packet::{ACK, PSH, Packet, SYN, Transport};
use crate::row::{After, Expected, Row, Step};
use crate::sctp::row;
use crate::setup::Setup;
use crate::snapshot::Connection;

const TCP: u8 = 6;
const LISTEN: u8 = 9;
/// The sequence number that all packets of rows have who say no other.
const NUMBER: u32 = 0x0102_0304;
const CLIENT_PORT: u16 = 40_000;
const DATA_PORT: u16 = 50_000;
const SERVER_PORT: u16 = 2121;

/// The rows.
pub fn rows() -> Vec<Row> {
    let mut rows = vec![passive(), passive_twice()];
    for family in Family::ALL {
        rows.push(extended_passive(family));
        rows.push(active(family));
        rows.push(other_ports(family));
    }
    rows
}

fn setup(family: Family) -> Setup {
    let mut setup = Setup::servers(family, TCP, &[(family.server(1, SERVER_PORT), 1)]);
    setup.services[0].address = family.vip(21);
    setup
}

fn client(family: Family, flags: u8, payload: &str) -> Packet {
    let (from, to) = (family.client(1, CLIENT_PORT), family.vip(21));
    Packet {
        link: (Link::Outside.station(), Link::Outside.neighbour()),
        payload: payload.into(),
        ..Packet::new(from, to, Transport::Tcp(flags))
    }
}

fn server(family: Family, flags: u8, payload: &str) -> Packet {
    let (from, to) = (family.server(1, SERVER_PORT), family.client(1, CLIENT_PORT));
    Packet {
        link: (Link::Inside.station(), Link::Inside.neighbour()),
        payload: payload.into(),
        ..Packet::new(from, to, Transport::Tcp(flags))
    }
}

/// A packet of the connection in a slot leaves as `out`; what comes to be beside it, is in the next slot.
fn goes(
    packet: &Packet,
    out: &Packet,
    (slot, state, seconds): (u32, u8, i64),
    beside: Option<Connection>,
) -> Step {
    let family = Family::of(packet.source.ip());
    let is_reply = packet.link.0 == Link::Inside.station();
    let reason = if is_reply {
        Reason::Reply
    } else {
        Reason::Request
    };
    let length = out.length();
    let after = After::Sent(link_of(out.destination), out.frame());
    let expected = Expected::new(reason, after, move |tables| {
        if is_reply {
            tables.count_out(0, length);
            tables.see_reply(family, slot);
        } else {
            tables.count_in(0, length);
        }
        tables.advance(family, slot, state, seconds);
        if let Some(beside) = &beside {
            tables.begin(1, beside.clone());
            // Nobody was scheduled.
            tables.destinations[0].counters.connections -= 1;
        }
    });
    if is_reply {
        server_sends(packet, expected)
    } else {
        client_sends(packet, expected)
    }
}

fn to_server(packet: &Packet) -> Packet {
    let family = Family::of(packet.source.ip());
    translated(packet, family.server(1, SERVER_PORT))
}

fn to_client(packet: &Packet) -> Packet {
    let family = Family::of(packet.source.ip());
    Packet {
        source: family.vip(21),
        hops: packet.hops - 1,
        ..packet.clone()
    }
}

/// A packet of the control connection that leaves with nothing but addresses changed.
fn plain(packet: &Packet, state: u8, seconds: i64) -> Step {
    let out = if packet.link.0 == Link::Inside.station() {
        to_client(packet)
    } else {
        to_server(packet)
    };
    goes(packet, &out, (0, state, seconds), None)
}

fn handshake(family: Family) -> Vec<Step> {
    let syn = client(family, SYN, "");
    vec![
        client_sends(&syn, begins(&syn, family.server(1, SERVER_PORT))),
        plain(&server(family, SYN | ACK, ""), SYN_RECV, 60),
        plain(&client(family, ACK, ""), ESTABLISHED, 900),
        plain(
            &server(family, PSH | ACK, "220 ready\r\n"),
            ESTABLISHED,
            900,
        ),
    ]
}

fn data(client: SocketAddr, virtual_address: SocketAddr, server: SocketAddr) -> Connection {
    Connection {
        client,
        virtual_address,
        server,
        local: None,
        protocol: TCP,
        destination: 0,
        state: LISTEN,
        flags: LIVE | INACTIVE,
        seconds: 120,
    }
}

/// The client's first packet to a data connection that waits for it, and the answer.
fn client_opens(family: Family, port: u16) -> Vec<Step> {
    let (here, there) = (family.client(1, 41_000), family.server(1, port));
    let syn = Packet {
        link: (Link::Outside.station(), Link::Outside.neighbour()),
        ..Packet::new(here, family.vip(port), Transport::Tcp(SYN))
    };
    let back = Packet {
        link: (Link::Inside.station(), Link::Inside.neighbour()),
        ..Packet::new(there, here, Transport::Tcp(SYN | ACK))
    };
    let length = syn.length();
    let after = After::Sent(Link::Inside, translated(&syn, there).frame());
    let filled = Expected::new(Reason::Request, after, move |tables| {
        let connection = tables.connections.get_mut(&(family, 1)).expect("it waits");
        connection.client = here;
        tables.flows.retain(|_, value| value.0 != 1);
        let (vip, there) = (family.vip(port), family.server(1, port));
        tables.flows.insert((here, vip, TCP), (1, false));
        tables.flows.insert((there, here, TCP), (1, true));
        tables.count_in(0, length);
        tables.advance(family, 1, SYN_RECV, 60);
    });
    let out = Packet {
        source: family.vip(port),
        hops: back.hops - 1,
        ..back.clone()
    };
    vec![
        client_sends(&syn, filled),
        goes(&back, &out, (1, SYN_RECV, 60), None),
    ]
}

/// The answer to PASV names the VIP, which takes a byte more: all that follows is moved.
fn passive() -> Row {
    let family = Family::V4;
    let mut steps = handshake(family);
    let ask = client(family, PSH | ACK, "PASV\r\n");
    steps.push(plain(&ask, ESTABLISHED, 900));
    steps.push(names_vip(NUMBER, 0, true));
    let same = (0, ESTABLISHED, 900);
    // What the client has from before, and from after.
    let old = Packet {
        acknowledgement: NUMBER,
        ..client(family, ACK, "")
    };
    steps.push(goes(&old, &to_server(&old), same, None));
    let new = Packet {
        acknowledgement: NUMBER + 48,
        ..client(family, ACK, "")
    };
    let moved = Packet {
        acknowledgement: NUMBER + 47,
        ..to_server(&new)
    };
    steps.push(goes(&new, &moved, same, None));
    let reply = Packet {
        sequence: NUMBER + 47,
        ..server(family, PSH | ACK, "150 here it comes\r\n")
    };
    let moved = Packet {
        sequence: NUMBER + 48,
        ..to_client(&reply)
    };
    steps.push(goes(&reply, &moved, same, None));
    steps.extend(client_opens(family, DATA_PORT));
    row("FTP, passive".into(), setup(family), steps)
}

/// The real server's answer to PASV, moved by so much already.
fn names_vip(number: u32, moved: u32, is_first: bool) -> Step {
    let family = Family::V4;
    let answer = Packet {
        sequence: number,
        ..server(
            family,
            PSH | ACK,
            "227 Entering Passive Mode (10,1,0,1,195,80).\r\n",
        )
    };
    let out = Packet {
        sequence: number + moved,
        payload: "227 Entering Passive Mode (192,0,2,1,195,80).\r\n".into(),
        ..to_client(&answer)
    };
    let waits = data(
        family.client(1, 0),
        family.vip(DATA_PORT),
        family.server(1, DATA_PORT),
    );
    let mut step = goes(
        &answer,
        &out,
        (0, ESTABLISHED, 900),
        is_first.then_some(waits),
    );
    if let (false, Step::Arrival(arrival)) = (is_first, &mut step) {
        // A record was made and given back, before the one that waits was found.
        let moves = Rc::clone(&arrival.tc.moves);
        arrival.tc.moves = Rc::new(move |tables| {
            moves(tables);
            tables.usage.get_mut(&family).expect("both families").1 = 3;
        });
    }
    step
}

/// The same answer again is the same packet out; another adds to what is moved.
fn passive_twice() -> Row {
    let family = Family::V4;
    let ask = client(family, PSH | ACK, "PASV\r\n");
    let mut steps = handshake(family);
    steps.push(plain(&ask, ESTABLISHED, 900));
    steps.push(names_vip(NUMBER, 0, true));
    let again = Packet {
        acknowledgement: NUMBER,
        ..ask.clone()
    };
    steps.push(plain(&again, ESTABLISHED, 900));
    steps.push(names_vip(NUMBER, 0, false));
    steps.push(plain(&again, ESTABLISHED, 900));
    steps.push(names_vip(NUMBER + 100, 1, false));
    let reply = Packet {
        sequence: NUMBER + 147,
        ..server(family, ACK, "")
    };
    let moved = Packet {
        sequence: NUMBER + 149,
        ..to_client(&reply)
    };
    steps.push(goes(&reply, &moved, (0, ESTABLISHED, 900), None));
    row("FTP, passive more than once".into(), setup(family), steps)
}

/// The answer to EPSV names no address: nothing is rewritten.
fn extended_passive(family: Family) -> Row {
    let mut steps = handshake(family);
    let ask = client(family, PSH | ACK, "epsv\r\n");
    let answer = server(
        family,
        PSH | ACK,
        "229 Entering Extended Passive Mode (|||50000|)\r\n",
    );
    let waits = data(
        family.client(1, 0),
        family.vip(DATA_PORT),
        family.server(1, DATA_PORT),
    );
    steps.push(plain(&ask, ESTABLISHED, 900));
    let same = (0, ESTABLISHED, 900);
    steps.push(goes(&answer, &to_client(&answer), same, Some(waits)));
    steps.extend(client_opens(family, DATA_PORT));
    let name = format!("FTP, extended passive, {family:?}");
    row(name, setup(family), steps)
}

/// The real server opens the data connection, to the port that the client has named.
fn active(family: Family) -> Row {
    let mut steps = handshake(family);
    let address = family.client(1, 0).ip();
    let said = match family {
        Family::V4 => "PORT 198,51,100,1,195,80\r\n".to_owned(),
        Family::V6 => format!("EPRT |2|{address}|{DATA_PORT}|\r\n"),
    };
    let named = client(family, PSH | ACK, &said);
    let (here, there) = (
        family.client(1, DATA_PORT),
        family.server(1, SERVER_PORT - 1),
    );
    let waits = data(here, family.vip(20), there);
    let same = (0, ESTABLISHED, 900);
    steps.push(goes(&named, &to_server(&named), same, Some(waits)));
    let syn = Packet {
        link: (Link::Inside.station(), Link::Inside.neighbour()),
        ..Packet::new(there, here, Transport::Tcp(SYN))
    };
    let out = Packet {
        source: family.vip(20),
        hops: syn.hops - 1,
        ..syn.clone()
    };
    // LISTEN stays for a reply's SYN.
    steps.push(goes(&syn, &out, (1, LISTEN, 120), None));
    let ack = Packet {
        link: (Link::Outside.station(), Link::Outside.neighbour()),
        ..Packet::new(here, family.vip(20), Transport::Tcp(SYN | ACK))
    };
    let out = translated(&ack, there);
    steps.push(goes(&ack, &out, (1, SYN_RECV, 60), None));
    row(format!("FTP, active, {family:?}"), setup(family), steps)
}

/// What comes to FTP's address by another port is nobody's, and not refused.
fn other_ports(family: Family) -> Row {
    let step = |port: u16| {
        let packet = Packet {
            destination: family.vip(port),
            ..client(family, SYN, "")
        };
        client_sends(&packet, Expected::untouched(Reason::NotOurs))
    };
    let steps = vec![step(20), step(22), step(1023), step(1024), step(50_000)];
    row(
        format!("other ports of FTP's address, {family:?}"),
        setup(family),
        steps,
    )
}
