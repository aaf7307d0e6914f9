//! Rows of schedulers' picks in the packet path, and of several services. The picks through all
//! changes of servers are held to the real IPVS where the director is tested.

use std::net::IpAddr;

use weir_abi::hash_table::{MAGLEV_KEY_1, MH_BUCKETS, maglev_hash};
use weir_abi::reason::Reason;
use weir_abi::service::{
    Destination, SCHEDULER_DH, SCHEDULER_FO, SCHEDULER_LBLC, SCHEDULER_LBLCR, SCHEDULER_LC,
    SCHEDULER_MH, SCHEDULER_NQ, SCHEDULER_OVF, SCHEDULER_SED, SCHEDULER_SH, SCHEDULER_TWOS,
    SCHEDULER_WLC, SCHEDULER_WRR,
};

use crate::cases::{
    answered, arrives, begins_in, client_sends, connection, first_state, from_client, from_server,
    link_of, server_sends, translated,
};
use crate::network::{Family, Link};
use crate::packet::{ACK, SYN, Transport};
use crate::row::{After, Expected, Row, Step};
use crate::setup::Setup;

/// The rows.
pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for family in Family::ALL {
        // Servers are counted from the oldest; the list begins with the newest.
        let wrr = |weights: &[u32], picks: &[u32]| {
            let greatest = weights.iter().max().copied().unwrap_or(0);
            let setup = setup(family, 17, SCHEDULER_WRR, weights, (greatest, 1));
            picked(format!("wrr {weights:?}"), family, setup, picks)
        };
        rows.push(wrr(&[2, 3, 4], &[2, 2, 1, 2, 1, 0, 2, 1, 0, 2, 2, 1]));
        rows.push(wrr(&[1, 3], &[1, 1, 1, 0, 1, 1, 1, 0]));
        rows.push(wrr(&[0, 1, 0], &[1, 1, 1]));
        let lc = |scheduler, name: &str, weights: &[u32], picks: &[u32]| {
            let setup = setup(family, 17, scheduler, weights, (0, 0));
            picked(format!("{name} {weights:?}"), family, setup, picks)
        };
        rows.push(lc(SCHEDULER_LC, "lc", &[1, 9, 1], &[2, 1, 0, 2, 1, 0]));
        rows.push(lc(SCHEDULER_LC, "lc", &[1, 0, 1], &[2, 0, 2, 0]));
        rows.push(lc(
            SCHEDULER_WLC,
            "wlc",
            &[1, 2, 4],
            &[2, 1, 0, 2, 2, 1, 2, 2, 1, 0],
        ));
        rows.push(lc(SCHEDULER_FO, "fo", &[1, 5, 3], &[1, 1, 1]));
        rows.push(lc(SCHEDULER_LBLC, "lblc", &[1, 1], &[1, 1, 1]));
        let active = |scheduler, name: &str, weights: &[u32], picks: &[u32]| {
            let setup = setup(family, 6, scheduler, weights, (0, 0));
            let name = format!("{name} {weights:?}, active");
            began(name, family, Transport::Tcp(SYN), setup, picks)
        };
        rows.push(active(SCHEDULER_SED, "sed", &[1, 3], &[1, 1, 1, 0, 1]));
        rows.push(active(
            SCHEDULER_NQ,
            "nq",
            &[1, 3],
            &[1, 0, 1, 1, 1, 1, 1, 0],
        ));
        rows.push(active(SCHEDULER_OVF, "ovf", &[1, 2], &[1, 1, 1, 0, 0]));
        rows.push(active(SCHEDULER_LBLC, "lblc", &[1, 1], &[1, 1, 0, 0, 0]));
        rows.push(active(
            SCHEDULER_LBLCR,
            "lblcr",
            &[1, 1],
            &[1, 1, 0, 0, 0, 1],
        ));
        rows.push(active(SCHEDULER_TWOS, "twos", &[0, 7, 0], &[1, 1, 1]));
        rows.push(active_weigh_more(family));
        rows.push(active_weighs_256(family));
        rows.push(hashed(family));
        rows.push(hashed_by_client(family, SCHEDULER_SH));
        rows.push(hashed_by_client(family, SCHEDULER_MH));
        rows.push(same_replies(family));
        rows.push(port_of_the_service(family));
        rows.push(one_packet(family));
    }
    rows
}

fn setup(
    family: Family,
    protocol: u8,
    scheduler: u32,
    servers: &[u32],
    weights: (u32, u32),
) -> Setup {
    let servers: Vec<_> = (1..)
        .zip(servers)
        .map(|(number, weight)| (family.server(number, 8080), *weight))
        .collect();
    let mut setup = Setup::servers(family, protocol, &servers);
    setup.services[0].scheduler = scheduler;
    setup.services[0].weights = weights;
    setup
}

/// What begins a connection, whatever the scheduler then remembers: that is the director's and the
/// scheduler's own affair.
fn begins_somehow(expected: Expected) -> Expected {
    Expected {
        forgets_memory: true,
        ..expected
    }
}

/// New connections of UDP, one after the other.
fn picked(name: String, family: Family, setup: Setup, picks: &[u32]) -> Row {
    began(name, family, Transport::Udp, setup, picks)
}

/// New connections, one after the other.
fn began(name: String, family: Family, transport: Transport, setup: Setup, picks: &[u32]) -> Row {
    let mut steps = Vec::new();
    for (slot, pick) in (0..).zip(picks) {
        let mut packet = from_client(family, 1, transport);
        packet.source.set_port(40_000 + slot as u16);
        let server = family.server(*pick as u8 + 1, 8080);
        let expected = begins_in(&packet, server, slot, *pick);
        steps.push(client_sends(&packet, begins_somehow(expected)));
    }
    Row::new(format!("{name}, {family:?}"), setup, steps)
}

/// A connection in ActiveConn weighs 256 times one in InActConn.
fn active_weigh_more(family: Family) -> Row {
    let setup = setup(family, 6, SCHEDULER_WLC, &[1, 255], (0, 0));
    let mut steps = Vec::new();
    // Equal at first, so the newest; then the other has none, which beats any weight; then 256 to
    // 256/255.
    for (slot, pick) in [(0, 1), (1, 0), (2, 1), (3, 1)] {
        let mut packet = from_client(family, 1, Transport::Tcp(SYN));
        packet.source.set_port(40_000 + slot as u16);
        let server = family.server(pick as u8 + 1, 8080);
        let expected = begins_in(&packet, server, slot, pick);
        steps.push(client_sends(&packet, begins_somehow(expected)));
    }
    Row::new(
        format!("wlc with active connections, {family:?}"),
        setup,
        steps,
    )
}

fn lean_to_255(servers: &[Destination]) {
    servers[0].active.store(1);
    servers[1].inactive.store(255);
}

/// One active connection against 255, 256 and 257 inactive ones.
fn active_weighs_256(family: Family) -> Row {
    let setup = setup(family, 17, SCHEDULER_LC, &[1, 1], (0, 0));
    let mut row = picked("lc leans".into(), family, setup, &[1, 1, 0, 1]);
    row.steps.insert(0, Step::Edit(lean_to_255));
    row
}

/// Everything to one address is one server's, whose removal is not another's gain.
fn hashed(family: Family) -> Row {
    let setup = setup(family, 17, SCHEDULER_DH, &[1, 1, 1], (0, 0));
    // hash_32 of the VIP, its upper eight bits; buckets go round the list from the newest.
    let folded = match family {
        Family::V4 => 0xc000_0201u32,
        Family::V6 => 0x2001_0db8 ^ 1,
    };
    let bucket = folded.wrapping_mul(0x61c8_8647) >> 24;
    let pick = 2 - bucket % 3;
    picked("dh".into(), family, setup, &[pick; 4])
}

/// The same by the client's address.
fn hashed_by_client(family: Family, scheduler: u32) -> Row {
    let setup = setup(family, 17, scheduler, &[1, 1, 1], (0, 0));
    let folded = match from_client(family, 1, Transport::Udp).source.ip() {
        IpAddr::V4(address) => u32::from(address),
        IpAddr::V6(address) => {
            let address = u128::from(address);
            let words = [96, 64, 32, 0].map(|bits| (address >> bits) as u32);
            words.into_iter().fold(0, |folded, word| folded ^ word)
        }
    };
    let bucket = if scheduler == SCHEDULER_MH {
        maglev_hash(folded, MAGLEV_KEY_1) % MH_BUCKETS
    } else {
        folded.wrapping_mul(0x61c8_8647) >> 24
    };
    let pick = 2 - bucket % 3;
    picked(
        format!("scheduler {scheduler} by the client"),
        family,
        setup,
        &[pick; 4],
    )
}

/// Two services with one real server: connections of one client port have the same replies, and the
/// newest gets them.
fn same_replies(family: Family) -> Row {
    let server = family.server(1, 8080);
    let mut setup = Setup::simple(family, 6);
    let mut other = setup.services[0].clone();
    other.address.set_port(81);
    setup.services.push(other);
    let first = from_client(family, 1, Transport::Tcp(SYN));
    let mut second = first.clone();
    second.destination.set_port(81);
    let reply = from_server(family, 1, Transport::Tcp(SYN | ACK));
    let mut out = answered(&reply, family);
    out.source.set_port(81);
    let made = connection(&second, server, 1);
    let (length, (state, seconds)) = (second.length(), first_state(second.transport));
    let begins_second = Expected::new(
        Reason::Request,
        After::Sent(link_of(server), translated(&second, server).frame()),
        move |tables| {
            tables.begin(1, made.clone());
            tables.count_in(1, length);
            tables.advance(family, 1, state, seconds);
        },
    );
    let length = reply.length();
    let of_second = Expected::new(
        Reason::Reply,
        After::Sent(Link::Outside, out.frame()),
        move |tables| {
            tables.count_out(1, length);
            tables.advance(family, 1, 3, 60);
        },
    );
    let ack = from_client(family, 1, Transport::Tcp(ACK));
    let length = ack.length();
    let of_first = Expected::new(
        Reason::Request,
        After::Sent(link_of(server), translated(&ack, server).frame()),
        move |tables| {
            tables.count_in(0, length);
            tables.advance(family, 0, 1, 900);
        },
    );
    let steps = vec![
        client_sends(&first, begins_in(&first, server, 0, 0)),
        client_sends(&second, begins_somehow(begins_second)),
        server_sends(&reply, of_second),
        client_sends(&ack, of_first),
    ];
    Row::new(
        format!("two services with one real server, {family:?}"),
        setup,
        steps,
    )
}

/// A real server's port 0 stands for the service's.
fn port_of_the_service(family: Family) -> Row {
    let packet = from_client(family, 1, Transport::Tcp(SYN));
    let setup = Setup::servers(family, 6, &[(family.server(1, 0), 1)]);
    let steps: Vec<Step> = vec![client_sends(
        &packet,
        begins_in(&packet, family.server(1, 80), 0, 0),
    )];
    Row::new(
        format!("a real server without a port, {family:?}"),
        setup,
        steps,
    )
}

/// Every packet of one port is a connection of its own (`-o`), which nothing finds: XDP schedules none, so that what it
/// would leave to TC is not scheduled twice.
fn one_packet(family: Family) -> Row {
    let packet = from_client(family, 1, Transport::Udp);
    let servers = [1, 2, 3].map(|number| (family.server(number, 8080), 1));
    let setup = Setup {
        one_packet: true,
        ..Setup::servers(family, 17, &servers)
    };
    let mut steps = Vec::new();
    for pick in [2, 1, 0, 2] {
        let server = servers[pick as usize].0;
        let sent = After::Sent(link_of(server), translated(&packet, server).frame());
        let comes = arrives(&packet, server, 0, pick);
        let tc = Expected::new(Reason::Request, sent, move |tables| {
            comes(tables);
            tables.end(family, 0);
        });
        let xdp = Expected::untouched(Reason::NotTransmittable);
        steps.push(Step::either(
            Link::Outside,
            &packet,
            begins_somehow(tc),
            xdp,
        ));
    }
    Row::new(format!("one-packet scheduling, {family:?}"), setup, steps)
}
