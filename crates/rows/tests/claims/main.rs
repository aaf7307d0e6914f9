//! FULLNAT on several processors at once: no two connections ever have one port towards one real server, and
//! nothing is left of any, however beginning and ending meet.

mod processor;

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};

use processor::{Processor, Shared};
use weir_abi::connection::Word;
use weir_abi::keys::Direction;
use weir_abi::reason::Reason;
use weir_abi::service::{FORWARD_OTHER_FAMILY, FORWARD_TWIN};
use weir_abi::tick::{Tick, Ticks};
use weir_forward::family::{Flow, Record, V4, V6};
use weir_forward::memory::BufferHook;
use weir_forward::parse::{Parsed, parse};
use weir_forward::process::process;
use weir_forward::reap;
use weir_forward::tables::Tables as _;
use weir_rows::bench::{Bench as _, Hook};
use weir_rows::cases::from_client;
use weir_rows::host::{Host, route};
use weir_rows::network::{Family, Link};
use weir_rows::packet::{Packet, SYN, Transport};
use weir_rows::setup::Setup;

const PROCESSORS: u8 = 4;
/// Connections that each begins in a turn.
const EACH: u16 = 6;
/// Fewer than all want together.
const PORTS: u32 = 20;
const TURNS: u32 = 150;
const NOW: Tick = Tick(u32::MAX - 5);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Inside {
    Same,
    Other,
}

fn tables(family: Family, inside: Inside, protocol: u8) -> Shared {
    let within = match inside {
        Inside::Same => family,
        Inside::Other => family.other(),
    };
    let local = Link::Inside.address(within, 200);
    let mut setup = Setup::servers(family, protocol, &[(within.server(1, 8080), 1)]);
    match inside {
        Inside::Same => setup.full_nat = (vec![local], PORTS),
        Inside::Other => setup.others = vec![local],
    }
    let mut host = Host::new(Hook::Tc);
    setup.fill(&mut host);
    host.services()[0].pool_ports.store(PORTS);
    host.memory.settings.now.store(NOW.0);
    Shared::new(host.memory)
}

fn packet(family: Family, transport: Transport, processor: u8, port: u16) -> Packet {
    Packet {
        source: family.client(processor + 1, port),
        ..from_client(family, 1, transport)
    }
}

/// Begins that many connections, and ends those that the processor had before one by one; how many have come to
/// be, and how many have found no port.
fn begin(
    shared: &Shared,
    family: Family,
    transport: Transport,
    processor: u8,
    (first, before): (u16, Option<u16>),
) -> (u32, u32) {
    let tables = Processor::new(shared, u32::from(first) << 8 | u32::from(processor) << 1);
    let (mut begun, mut exhausted) = (0, 0);
    for number in 0..EACH {
        if let Some(before) = before {
            let frame = packet(family, transport, processor, before + number).frame();
            end(&tables, &frame);
        }
        let frame = packet(family, transport, processor, first + number).frame();
        let reason = process(&mut arrives(&frame), &tables);
        if reason == Reason::Request {
            begun += 1;
        } else {
            assert_eq!(reason, Reason::PortsExhausted);
            exhausted += 1;
        }
    }
    (begun, exhausted)
}

fn arrives(frame: &[u8]) -> BufferHook<'static, false> {
    BufferHook::new(frame, Link::Outside.station(), &route)
}

/// Ends the connection of a packet, if it has one.
fn end(tables: &Processor<'_>, frame: &[u8]) {
    match parse(&arrives(frame), true) {
        Parsed::V4(segment) => end_of::<V4>(tables, &segment.flow),
        Parsed::V6(segment) => end_of::<V6>(tables, &segment.flow),
        Parsed::Pass(_) | Parsed::Seldom4 | Parsed::Seldom6 => panic!("a packet of TCP or UDP"),
    }
}

fn end_of<F: weir_forward::family::Family>(tables: &Processor<'_>, flow: &Flow<F::Address>) {
    if let Some(entry) = tables.search::<F>(flow) {
        let record = tables.connection::<F>(entry.slot()).expect("a slot");
        assert!(tables.end::<F>(entry.slot(), Word(record.word().load())));
    }
}

/// All processors at once; what they have begun, and what has found no port.
fn at_once(
    shared: &Shared,
    family: Family,
    transport: Transport,
    ports: (u16, Option<u16>),
) -> (u32, u32) {
    let (begun, exhausted) = (AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for processor in 0..PROCESSORS {
            let (begun, exhausted) = (&begun, &exhausted);
            scope.spawn(move || {
                let done = begin(shared, family, transport, processor, ports);
                begun.fetch_add(done.0, Ordering::Relaxed);
                exhausted.fetch_add(done.1, Ordering::Relaxed);
            });
        }
    });
    (begun.into_inner(), exhausted.into_inner())
}

/// The time of all connections comes.
fn end_all(shared: &Shared) {
    let timer = Processor::new(shared, 1);
    for number in 0..reap::STEPS {
        reap::step(&timer, number, NOW.after(Ticks::from_seconds(3600)));
    }
    shared.settings.now.store(NOW.0);
}

/// How many connections of a family live; each is found by its replies, and no two by the same.
fn live<F: weir_forward::family::Family>(shared: &Shared) -> u32 {
    let tables = Processor::new(shared, 1);
    let (mut count, mut taken) = (0, HashSet::new());
    for slot in 0..shared.connections4.len() as u32 {
        let record = tables.connection::<F>(slot).expect("a slot");
        if !Word(record.word().load()).is_live() {
            continue;
        }
        count += 1;
        let endpoints = record.endpoints().load();
        // Its twin has the replies.
        if endpoints.forwarding == FORWARD_OTHER_FAMILY {
            continue;
        }
        let replies = if endpoints.forwarding == FORWARD_TWIN {
            Flow::of(&endpoints, Direction::Reply)
        } else {
            record.flow(Direction::Reply)
        };
        let port = (
            F::widen(replies.destination),
            u16::from_be(replies.destination_port),
        );
        let found = tables.search::<F>(&replies).map(|entry| entry.slot());
        assert_eq!(found, Some(slot), "replies to {port:x?} find another");
        assert!(taken.insert(port), "{port:x?} twice");
    }
    count
}

fn is_empty(shared: &Shared) {
    let settings = &shared.settings;
    assert_eq!(shared.flows(), 0, "flows are left");
    assert_eq!((settings.live4.load(), settings.live6.load()), (0, 0));
    let used = [settings.high_water4.load(), settings.high_water6.load()];
    let all = used.map(|used| (0..used).collect::<Vec<_>>());
    assert_eq!(shared.free(), all, "slots are lost, or free twice");
    let server = &shared.destinations[0];
    assert_eq!((server.active.load(), server.inactive.load()), (0, 0));
}

/// So many connections live, each with a port of its own.
fn are_apart(shared: &Shared, family: Family, inside: Inside, begun: u32) {
    let (v4, v6) = (live::<V4>(shared), live::<V6>(shared));
    let (outside, within) = match family {
        Family::V4 => (v4, v6),
        Family::V6 => (v6, v4),
    };
    let twins = match inside {
        Inside::Same => 0,
        Inside::Other => begun,
    };
    assert_eq!((outside, within), (begun, twins));
    assert!(begun <= PORTS);
    assert_eq!(shared.flows() as u32, 2 * begun);
}

fn never_shared(family: Family, inside: Inside, transport: Transport) {
    let protocol = packet(family, transport, 0, 0).protocol();
    let shared = tables(family, inside, protocol);
    let mut refused = 0;
    for _ in 0..TURNS {
        let (begun, exhausted) = at_once(&shared, family, transport, (20_000, None));
        assert!(begun != 0);
        are_apart(&shared, family, inside, begun);
        refused += exhausted;
        // Others begin while these end.
        let ports = (30_000, Some(20_000));
        let (begun, exhausted) = at_once(&shared, family, transport, ports);
        are_apart(&shared, family, inside, begun);
        refused += exhausted;
        end_all(&shared);
        is_empty(&shared);
    }
    assert_eq!(shared.exhausted(), refused);
}

#[test]
fn a_port_is_one_connections() {
    for family in Family::ALL {
        for transport in [Transport::Tcp(SYN), Transport::Udp] {
            never_shared(family, Inside::Same, transport);
        }
    }
}

#[test]
fn so_it_is_between_the_families() {
    for family in Family::ALL {
        for transport in [Transport::Tcp(SYN), Transport::Udp] {
            never_shared(family, Inside::Other, transport);
        }
    }
}
