//! Rows of real servers that are quiesced or removed, of ports that are used again, and of full
//! tables.

use weir_abi::reason::Reason;
use weir_abi::service::{AVAILABLE, Destination};

use crate::cases::{
    CLOSE, ESTABLISHED, arrives, begins, begins_in, client_sends, comes_back, from_client,
    from_server, goes_on, handshake, link_of, server_sends, translated,
};
use crate::network::Family;
use crate::packet::{ACK, RST, SYN, Transport};
use crate::row::{After, Expected, Row, Step};
use crate::setup::Setup;

/// The rows.
pub fn rows() -> Vec<Row> {
    Family::ALL
        .into_iter()
        .flat_map(|family| {
            [
                quiesced(family),
                quiesced_and_expired(family),
                removed(family),
                removed_and_expired(family),
                reused(family, false),
                reused(family, true),
                full(family),
                evicted(family),
                rotation(family),
            ]
        })
        .collect()
}

fn quiesce_first(servers: &[Destination]) {
    servers[0].weight.store(0);
}

fn remove_first(servers: &[Destination]) {
    let flags = servers[0].flags.load();
    servers[0].flags.store(flags & !AVAILABLE);
    // Out of the list, as the director leaves it.
    servers[1].next.store(weir_abi::NONE);
}

/// The first server is picked last by a walk that begins with the newest: so it takes the second
/// connection, and a row that wants it first quiesces the other.
fn two_servers(family: Family) -> Setup {
    Setup::servers(
        family,
        6,
        &[(family.server(1, 8080), 1), (family.server(2, 8080), 0)],
    )
}

fn wake_second(servers: &[Destination]) {
    servers[1].weight.store(1);
}

fn quiesced(family: Family) -> Row {
    let server = family.server(1, 8080);
    let data = from_client(family, 1, Transport::Tcp(ACK));
    let syn = from_client(family, 2, Transport::Tcp(SYN));
    let mut steps = handshake(family);
    steps.extend([
        Step::Edit(wake_second),
        Step::Edit(quiesce_first),
        client_sends(&data, goes_on(&data, server, ESTABLISHED, 900)),
        client_sends(&syn, begins_in(&syn, family.server(2, 8080), 1, 1)),
    ]);
    Row::new(
        format!("a quiesced real server keeps its connections, {family:?}"),
        two_servers(family),
        steps,
    )
}

/// `expire_nodest_conn`: a new SYN of a client whose real server is quiesced gets another.
fn quiesced_and_expired(family: Family) -> Row {
    let (first, second) = (family.server(1, 8080), family.server(2, 8080));
    let data = from_client(family, 1, Transport::Tcp(ACK));
    let syn = from_client(family, 1, Transport::Tcp(SYN));
    let mut again = begins_in(&syn, second, 0, 1);
    let begin = again.moves;
    again.moves = std::rc::Rc::new(move |tables| {
        tables.end(family, 0);
        begin(tables);
    });
    let mut steps = handshake(family);
    steps.extend([
        Step::Edit(wake_second),
        Step::Edit(quiesce_first),
        client_sends(&data, goes_on(&data, first, ESTABLISHED, 900)),
        client_sends(&syn, again),
    ]);
    let mut setup = two_servers(family);
    setup.expire_without_destination = true;
    Row::new(
        format!("a SYN to a quiesced real server gets another, {family:?}"),
        setup,
        steps,
    )
}

fn removed(family: Family) -> Row {
    let data = from_client(family, 1, Transport::Tcp(ACK));
    let reply = from_server(family, 1, Transport::Tcp(ACK));
    let out = comes_back(&reply, ESTABLISHED, 900);
    // A removed server's replies pass, but nothing is counted for it.
    let passed = Expected::new(Reason::Reply, out.frame, move |tables| {
        tables.advance(family, 0, ESTABLISHED, 900);
    });
    let mut steps = handshake(family);
    steps.extend([
        Step::Edit(wake_second),
        Step::Edit(remove_first),
        client_sends(&data, Expected::untouched(Reason::DestinationGone)),
        server_sends(&reply, passed),
    ]);
    Row::new(
        format!("a removed real server's connections are silent, {family:?}"),
        two_servers(family),
        steps,
    )
}

fn removed_and_expired(family: Family) -> Row {
    let data = from_client(family, 1, Transport::Tcp(ACK));
    let syn = from_client(family, 1, Transport::Tcp(SYN));
    let server = family.server(2, 8080);
    let mut steps = handshake(family);
    steps.extend([
        Step::Edit(wake_second),
        Step::Edit(remove_first),
        client_sends(
            &data,
            Expected::new(Reason::NotConnected, After::Same, move |tables| {
                tables.end(family, 0)
            }),
        ),
        client_sends(&syn, begins_in(&syn, server, 0, 1)),
    ]);
    let mut setup = two_servers(family);
    setup.expire_without_destination = true;
    Row::new(
        format!("a removed real server's connections end at once, {family:?}"),
        setup,
        steps,
    )
}

/// `conn_reuse_mode`: a SYN of a connection that was reset.
fn reused(family: Family, no_reuse: bool) -> Row {
    let server = family.server(1, 8080);
    let reset = from_server(family, 1, Transport::Tcp(RST));
    let syn = from_client(family, 1, Transport::Tcp(SYN));
    let again = if no_reuse {
        goes_on(&syn, server, 3, 60)
    } else {
        let begin = arrives(&syn, server, 0, 0);
        let out = translated(&syn, server).frame();
        Expected::new(
            Reason::Request,
            After::Sent(link_of(server), out),
            move |tables| {
                tables.end(family, 0);
                begin(tables);
            },
        )
    };
    let mut steps = handshake(family);
    steps.extend([
        server_sends(&reset, comes_back(&reset, CLOSE, 10)),
        client_sends(&syn, again),
    ]);
    let mut setup = Setup::simple(family, 6);
    setup.no_reuse = no_reuse;
    Row::new(
        format!("a port used again (conn_reuse_mode 0: {no_reuse}), {family:?}"),
        setup,
        steps,
    )
}

fn full(family: Family) -> Row {
    let server = family.server(1, 8080);
    let first = from_client(family, 1, Transport::Udp);
    let second = from_client(family, 2, Transport::Udp);
    let back = from_server(family, 1, Transport::Udp);
    let steps = vec![
        client_sends(&first, begins(&first, server)),
        server_sends(&back, comes_back(&back, 0, 300)),
        client_sends(&first, goes_on(&first, server, 0, 300)),
        // The first client has answered what the server said: it is not evicted.
        client_sends(&second, Expected::untouched(Reason::TableFull)),
        client_sends(&first, goes_on(&first, server, 0, 300)),
    ];
    let mut setup = Setup::simple(family, 17);
    setup.capacity = Some(1);
    Row::new(format!("a full table, {family:?}"), setup, steps)
}

/// In a full table a new connection takes the place of one whose client has not answered.
fn evicted(family: Family) -> Row {
    let server = family.server(1, 8080);
    let first = from_client(family, 1, Transport::Udp);
    let second = from_client(family, 2, Transport::Udp);
    let begun = begins(&second, server);
    let takes_its_place = Expected::new(begun.reason, begun.frame, move |tables| {
        tables.end(family, 0);
        (begun.moves)(tables);
    });
    let steps = vec![
        client_sends(&first, begins(&first, server)),
        client_sends(&second, takes_its_place),
    ];
    let mut setup = Setup::simple(family, 17);
    setup.capacity = Some(1);
    Row::new(
        format!("a full table of the unproven, {family:?}"),
        setup,
        steps,
    )
}

/// rr walks from the newest to the oldest and again.
fn rotation(family: Family) -> Row {
    let servers: Vec<_> = (1..=3)
        .map(|number| (family.server(number, 8080), 1))
        .collect();
    let setup = Setup::servers(family, 17, &servers);
    let mut steps = Vec::new();
    for (slot, pick) in (0..).zip([2u32, 1, 0, 2, 1, 0, 2]) {
        let mut packet = from_client(family, 1, Transport::Udp);
        packet.source.set_port(40_000 + slot as u16);
        let server = servers[pick as usize].0;
        steps.push(client_sends(
            &packet,
            begins_in(&packet, server, slot, pick),
        ));
    }
    Row::new(format!("rr takes turns, {family:?}"), setup, steps)
}
