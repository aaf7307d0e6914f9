//! Rows of fragments. XDP leaves them all to TC.

mod outgoing;
pub mod pieces;
mod seldom;

use std::net::SocketAddr;

use weir_abi::connection::{INACTIVE, LIVE, NO_OUTPUT};
use weir_abi::reason::Reason;
use weir_abi::service::{Destination, FORWARD_DIRECT};

use crate::cases::{answered, arrives, connection, from_client, translated};
use crate::network::{Family, Link};
use crate::packet::{Packet, SYN, Transport};
use crate::row::{After, Expected, Row, Step};
use crate::setup::Setup;
use crate::snapshot::{Connection, Snapshot};
use pieces::{
    adds, answer, begins, comes, counted, cut, cut_by, datagram, fragment, goes, question,
    released, sent, through, waits,
};

const TCP: u8 = 6;
const UDP: u8 = 17;

/// The rows.
pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for family in Family::ALL {
        rows.push(in_order(family));
        rows.push(reversed(family));
        rows.push(interleaved(family));
        rows.push(by_direct_routing(family));
        rows.push(first_lost(family));
        rows.push(forgotten(family));
        rows.push(duplicates(family));
        rows.push(tiny(family));
        rows.push(overlapping(family));
        rows.push(of_tcp(family));
        rows.push(not_ours(family));
        rows.push(another_port(family));
        rows.push(no_real_server(family));
        rows.push(too_many(family));
        rows.push(full_house(family));
        rows.push(hops_run_out(family));
    }
    rows.extend(outgoing::rows());
    rows.push(atomic());
    rows.push(behind_another_header());
    rows.extend(seldom::rows());
    rows
}

fn in_order(family: Family) -> Row {
    let server = family.server(1, 8080);
    let packet = question(family, 200);
    let (incoming, outgoing) = through(&packet, 7, server);
    let mut steps = vec![goes(
        &incoming[0],
        &outgoing[0],
        begins(&packet, &incoming[0], server),
    )];
    for (frame, out) in incoming.iter().zip(&outgoing).skip(1) {
        let moves = adds(&packet, frame, false);
        steps.push(goes(frame, out, moves));
    }
    let back = answer(family, 150);
    let replies = cut(&back, 9);
    let out = cut(&answered(&back, family), 9);
    for (number, (frame, out)) in replies.iter().zip(&out).enumerate() {
        let bytes = counted(&back, frame, number == 0);
        let moves = move |tables: &mut Snapshot| {
            if number == 0 {
                tables.see_reply(family, 0);
                tables.advance(family, 0, 0, 300);
                tables.destinations[0].counters.out_packets += 1;
            }
            tables.destinations[0].counters.out_bytes += bytes;
        };
        let expected = Expected::new(
            Reason::Reply,
            After::Sent(Link::Outside, out.clone()),
            moves,
        );
        steps.push(comes(Link::Inside, frame, expected));
    }
    let name = format!("fragments in order, both ways, {family:?}");
    Row::new(name, Setup::simple(family, UDP), steps)
}

fn reversed(family: Family) -> Row {
    let server = family.server(1, 8080);
    let packet = question(family, 300);
    let (incoming, outgoing) = through(&packet, 7, server);
    let (first, later) = incoming.split_first().expect("several");
    let waited: Vec<Vec<u8>> = later.iter().rev().cloned().collect();
    let mut steps: Vec<Step> = waited.iter().map(|frame| waits(frame)).collect();
    let mut out = vec![outgoing[0].clone()];
    out.extend(outgoing[1..].iter().rev().cloned());
    steps.push(released(&packet, first, &waited, &out, server));
    // Nothing waits any more: one that comes late goes at once.
    let moves = adds(&packet, &later[0], false);
    steps.push(goes(&later[0], &outgoing[1], moves));
    let name = format!("fragments in reverse, {family:?}");
    Row::new(name, Setup::simple(family, UDP), steps)
}

/// DR: of the second fragment, the first and the third only a hop changes.
fn by_direct_routing(family: Family) -> Row {
    let server = family.server(1, 8080);
    let packet = question(family, 150);
    let begun = Connection {
        flags: LIVE | INACTIVE | NO_OUTPUT,
        ..connection(&packet, server, 0)
    };
    let incoming = cut(&packet, 7);
    let outgoing = cut(
        &Packet {
            hops: packet.hops - 1,
            ..packet.clone()
        },
        7,
    );
    let bytes = counted(&packet, &incoming[0], true) + counted(&packet, &incoming[1], false);
    let mut released = Expected::new(Reason::FragmentsReleased, After::Same, move |tables| {
        tables.begin(0, begun.clone());
        // No answers are waited for.
        tables.flows.retain(|_, (_, is_reply)| !*is_reply);
        tables.count_in(0, bytes);
        tables.advance(family, 0, 0, 300);
        tables.held -= 1;
    });
    released.round = outgoing[..2]
        .iter()
        .map(|frame| (Reason::Request, sent(frame)))
        .collect();
    let steps = vec![
        Step::Edit(|servers: &[Destination]| {
            let mut address = servers[0].address.load();
            address.forwarding = FORWARD_DIRECT;
            servers[0].address.store(address);
        }),
        waits(&incoming[1]),
        comes(Link::Outside, &incoming[0], released),
        goes(
            &incoming[2],
            &outgoing[2],
            adds(&packet, &incoming[2], false),
        ),
    ];
    let name = format!("fragments by direct routing, {family:?}");
    Row::new(name, Setup::simple(family, UDP), steps)
}

/// Fragments of two datagrams, of which each is a list of its own.
fn interleaved(family: Family) -> Row {
    let server = family.server(1, 8080);
    let packet = question(family, 200);
    let (one_in, one_out) = through(&packet, 7, server);
    let (two_in, two_out) = through(&packet, 8, server);
    let mut steps = vec![
        waits(&one_in[1]),
        waits(&two_in[2]),
        waits(&one_in[2]),
        waits(&two_in[1]),
    ];
    let waited = [one_in[1].clone(), one_in[2].clone()];
    steps.push(released(
        &packet,
        &one_in[0],
        &waited,
        &one_out[..3],
        server,
    ));
    let bytes = counted(&packet, &two_in[0], true)
        + counted(&packet, &two_in[1], false)
        + counted(&packet, &two_in[2], false);
    let mut second = Expected::new(Reason::FragmentsReleased, After::Same, move |tables| {
        tables.count_in(0, bytes);
        tables.advance(family, 0, 0, 300);
        tables.held -= 2;
    });
    second.round = [&two_out[0], &two_out[2], &two_out[1]]
        .map(|frame| (Reason::Request, sent(frame)))
        .to_vec();
    steps.push(comes(Link::Outside, &two_in[0], second));
    let name = format!("fragments of two datagrams, mixed, {family:?}");
    Row::new(name, Setup::simple(family, UDP), steps)
}

/// The first fragment never comes.
fn first_lost(family: Family) -> Row {
    let packet = question(family, 200);
    let incoming = cut(&packet, 7);
    let steps = vec![
        waits(&incoming[1]),
        waits(&incoming[2]),
        Step::reap(29, family, &[]),
        Step::Reap(2, std::rc::Rc::new(|tables| tables.held = 0)),
        // The record is as old: this one begins anew.
        waits(&incoming[3]),
    ];
    let mut row = Row::new(
        format!("fragments without a first one, {family:?}"),
        Setup::simple(family, UDP),
        steps,
    );
    row.not_in_kernel = Some("time does not go by for what waits");
    row
}

/// What was decided is forgotten: later ones wait again.
fn forgotten(family: Family) -> Row {
    let server = family.server(1, 8080);
    let packet = question(family, 200);
    let (incoming, outgoing) = through(&packet, 7, server);
    let begin = begins(&packet, &incoming[0], server);
    let moves = adds(&packet, &incoming[1], false);
    let steps = vec![
        goes(&incoming[0], &outgoing[0], begin),
        goes(&incoming[1], &outgoing[1], moves).later(29),
        waits(&incoming[2]).later(1),
    ];
    let mut row = Row::new(
        format!("a fragment after half a minute, {family:?}"),
        Setup::simple(family, UDP),
        steps,
    );
    row.not_in_kernel = Some("time does not go by for what is remembered");
    row
}

/// Every fragment twice.
fn duplicates(family: Family) -> Row {
    let server = family.server(1, 8080);
    let packet = question(family, 150);
    let (incoming, outgoing) = through(&packet, 7, server);
    let waited = [incoming[1].clone(), incoming[1].clone()];
    let out = [
        outgoing[0].clone(),
        outgoing[1].clone(),
        outgoing[1].clone(),
    ];
    let bytes = counted(&packet, &incoming[0], true);
    let again = move |tables: &mut Snapshot| {
        tables.count_in(0, bytes);
        tables.advance(family, 0, 0, 300);
    };
    let last = adds(&packet, &incoming[2], false);
    let steps = vec![
        waits(&incoming[1]),
        waits(&incoming[1]),
        released(&packet, &incoming[0], &waited, &out, server),
        goes(&incoming[0], &outgoing[0], again),
        goes(&incoming[2], &outgoing[2], last.clone()),
        goes(&incoming[2], &outgoing[2], last),
    ];
    let name = format!("fragments that come twice, {family:?}");
    Row::new(name, Setup::simple(family, UDP), steps)
}

/// A first fragment that ends within the transport header is the kernel's, and so are the others.
fn tiny(family: Family) -> Row {
    let packet = Packet {
        do_not_fragment: false,
        ..from_client(family, 1, Transport::Tcp(SYN))
    };
    let fragments = cut_by(&packet, 7, 8);
    let mut released = Expected::new(Reason::FragmentsReleased, After::Same, |tables| {
        tables.held -= 1;
    });
    released.round = fragments[..2]
        .iter()
        .map(|frame| (Reason::Fragment, After::Frame(frame.clone())))
        .collect();
    let steps = vec![
        waits(&fragments[1]),
        comes(Link::Outside, &fragments[0], released),
        comes(
            Link::Outside,
            &fragments[2],
            Expected::untouched(Reason::Fragment),
        ),
    ];
    let name = format!("a first fragment without all of its TCP header, {family:?}");
    Row::new(name, Setup::simple(family, TCP), steps)
}

/// Fragments that overlap are the real server's to judge: each goes as it is.
fn overlapping(family: Family) -> Row {
    let server = family.server(1, 8080);
    let packet = question(family, 150);
    let out = translated(&packet, server);
    let (incoming, outgoing) = through(&packet, 7, server);
    let liar = |packet| fragment(packet, 7, 1, false, &[0xee; 40]);
    let moves = adds(&packet, &liar(&packet), false);
    let begin = begins(&packet, &incoming[0], server);
    let steps = vec![
        goes(&incoming[0], &outgoing[0], begin),
        goes(&liar(&packet), &liar(&out), moves),
    ];
    let name = format!("fragments that overlap, {family:?}");
    Row::new(name, Setup::simple(family, UDP), steps)
}

fn of_tcp(family: Family) -> Row {
    let server = family.server(1, 8080);
    let packet = datagram(from_client(family, 1, Transport::Tcp(SYN)), 100);
    let (incoming, outgoing) = through(&packet, 7, server);
    let begin = begins(&packet, &incoming[0], server);
    let moves = adds(&packet, &incoming[1], false);
    let steps = vec![
        goes(&incoming[0], &outgoing[0], begin),
        goes(&incoming[1], &outgoing[1], moves),
    ];
    let name = format!("fragments of a SYN with data, {family:?}");
    Row::new(name, Setup::simple(family, TCP), steps)
}

/// What has nothing to do with us is not held up, in whatever order it comes.
fn not_ours(family: Family) -> Row {
    let packet = Packet {
        destination: SocketAddr::new(Link::Inside.address(family, 4), 80),
        ..question(family, 150)
    };
    let fragments = cut(&packet, 7);
    let mut steps: Vec<Step> = [2, 1]
        .into_iter()
        .map(|number: usize| {
            comes(
                Link::Outside,
                &fragments[number],
                Expected::untouched(Reason::Fragment),
            )
        })
        .collect();
    steps.push(comes(
        Link::Outside,
        &fragments[0],
        Expected::untouched(Reason::NotOurs),
    ));
    let name = format!("fragments of others, {family:?}");
    Row::new(name, Setup::simple(family, UDP), steps)
}

/// The same address, but a port that no service has: held up until that is known, and then passed.
fn another_port(family: Family) -> Row {
    let packet = Packet {
        destination: family.vip(81),
        ..question(family, 150)
    };
    let fragments = cut(&packet, 7);
    let mut released = Expected::new(Reason::FragmentsReleased, After::Same, |tables| {
        tables.held -= 1;
    });
    released.round = vec![
        (Reason::NotOurs, After::Frame(fragments[0].clone())),
        (Reason::Fragment, After::Frame(fragments[2].clone())),
    ];
    let steps = vec![
        waits(&fragments[2]),
        comes(Link::Outside, &fragments[0], released),
        comes(
            Link::Outside,
            &fragments[1],
            Expected::untouched(Reason::Fragment),
        ),
    ];
    let name = format!("fragments to another port of the VIP, {family:?}");
    Row::new(name, Setup::simple(family, UDP), steps)
}

/// No real server: the first fragment is answered, the others are lost with it.
fn no_real_server(family: Family) -> Row {
    let packet = question(family, 150);
    let fragments = cut(&packet, 7);
    let mut answered = Expected::new(
        Reason::NoDestination,
        After::Frame(crate::answers::port_unreachable(&packet, &fragments[0])),
        |tables: &mut Snapshot| tables.held -= 1,
    );
    answered.lost = 1;
    let lost = Expected::untouched(Reason::FragmentLost);
    let steps = vec![
        waits(&fragments[2]),
        comes(Link::Outside, &fragments[0], answered),
        comes(Link::Outside, &fragments[1], lost),
    ];
    let name = format!("fragments for nobody, {family:?}");
    Row::new(name, Setup::servers(family, UDP, &[]), steps)
}

/// No packet has that many fragments.
fn too_many(family: Family) -> Row {
    let packet = question(family, 100);
    let fragments = cut(&packet, 7);
    let mut steps: Vec<Step> = (0..128)
        .map(|number| {
            let lost = u64::from(number >= 32);
            let mut held = Expected::new(Reason::FragmentHeld, After::Same, move |tables| {
                tables.held += 1 - lost as u32;
            });
            held.lost = lost;
            comes(Link::Outside, &fragments[1], held)
        })
        .collect();
    steps.push(comes(
        Link::Outside,
        &fragments[1],
        Expected::untouched(Reason::FragmentLost),
    ));
    let name = format!("more fragments than a packet has, {family:?}");
    Row::new(name, Setup::simple(family, UDP), steps)
}

/// Where all places are taken the oldest is given up.
fn full_house(family: Family) -> Row {
    let server = family.server(1, 8080);
    let packet = question(family, 100);
    let (incoming, outgoing) = through(&packet, 1000, server);
    let mut steps: Vec<Step> = (0..33)
        .map(|number| {
            let fragments = cut(&packet, 1000 + number);
            let lost = u64::from(number == 32);
            let mut held = Expected::new(Reason::FragmentHeld, After::Same, move |tables| {
                tables.held += 1 - lost as u32;
            });
            held.lost = lost;
            comes(Link::Outside, &fragments[1], held)
        })
        .collect();
    let begin = begins(&packet, &incoming[0], server);
    let mut alone = Expected::new(Reason::FragmentsReleased, After::Same, begin);
    alone.round = vec![(Reason::Request, sent(&outgoing[0]))];
    steps.push(comes(Link::Outside, &incoming[0], alone));
    let name = format!("no place for another fragment, {family:?}");
    Row::new(name, Setup::simple(family, UDP), steps)
}

/// Nothing is said about a later fragment.
fn hops_run_out(family: Family) -> Row {
    let server = family.server(1, 8080);
    let packet = question(family, 100);
    let (incoming, outgoing) = through(&packet, 7, server);
    let last = Packet {
        hops: 1,
        ..packet.clone()
    };
    let begin = begins(&packet, &incoming[0], server);
    let moves = adds(&packet, &incoming[1], false);
    let steps = vec![
        goes(&incoming[0], &outgoing[0], begin),
        comes(
            Link::Outside,
            &cut(&last, 7)[1],
            Expected::new(Reason::FragmentLost, After::Same, moves),
        ),
    ];
    let name = format!("a later fragment whose hops run out, {family:?}");
    Row::new(name, Setup::simple(family, UDP), steps)
}

/// A fragment header around all of a packet (RFC 6946).
fn atomic() -> Row {
    let server = Family::V6.server(1, 8080);
    let packet = question(Family::V6, 20);
    let frame = |packet: &Packet| fragment(packet, 7, 0, false, &packet.network()[40..]);
    let begin = arrives(&packet, server, 0, 0);
    let moves = move |tables: &mut Snapshot| {
        begin(tables);
        tables.destinations[0].counters.in_bytes += 8;
    };
    let out = frame(&translated(&packet, server));
    let step = goes(&frame(&packet), &out, moves);
    Row::new(
        "an atomic fragment",
        Setup::simple(Family::V6, UDP),
        vec![step],
    )
}

/// IPv6: hop-by-hop options before the fragment header.
fn behind_another_header() -> Row {
    let server = Family::V6.server(1, 8080);
    let packet = question(Family::V6, 100);
    let shift = |frames: Vec<Vec<u8>>| -> Vec<Vec<u8>> {
        frames
            .into_iter()
            .map(|mut frame| {
                let length = u16::from_be_bytes([frame[18], frame[19]]) + 8;
                frame[18..20].copy_from_slice(&length.to_be_bytes());
                frame[20] = 0;
                frame.splice(54..54, [44, 0, 1, 4, 0, 0, 0, 0]);
                frame
            })
            .collect()
    };
    let (incoming, outgoing) = through(&packet, 7, server);
    let begin = begins(&packet, &incoming[0], server);
    let moves = adds(&packet, &incoming[1], false);
    let (incoming, outgoing) = (shift(incoming), shift(outgoing));
    let steps = vec![
        goes(&incoming[0], &outgoing[0], move |tables| {
            begin(tables);
            tables.destinations[0].counters.in_bytes += 8;
        }),
        goes(&incoming[1], &outgoing[1], moves),
    ];
    Row::new(
        "fragments behind hop-by-hop options",
        Setup::simple(Family::V6, UDP),
        steps,
    )
}
