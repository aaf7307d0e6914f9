//! What holds for any addresses, any packets, any order of events.

use std::collections::HashSet;

use proptest::prelude::*;
use weir_abi::connection::{INACTIVE, Word};
use weir_abi::reason::Outcome;
use weir_abi::service::{AVAILABLE, PRESENT};
use weir_abi::sysctl::Sysctl;
use weir_abi::tick::Ticks;
use weir_rows::bench::{Bench as _, Hook};
use weir_rows::cases::{from_client, from_server};
use weir_rows::host::Host;
use weir_rows::network::{Family, Link};
use weir_rows::packet::{Packet, Transport, checksum};
use weir_rows::setup::Setup;
use weir_rows::snapshot::Snapshot;
use weir_wire::checksum::Delta;

/// Something that happens to a director.
#[derive(Clone, Debug)]
enum Event {
    /// A client (number, port) sends TCP with those flags, or UDP.
    Request(u8, u16, Option<u8>),
    /// A real server (number) answers a client's port.
    Reply(u8, u16, Option<u8>),
    /// Time goes by.
    Wait(u32),
    /// The timer looks at all slots.
    Reap,
    /// A real server gets a weight.
    Weight(u32, u32),
    /// A real server is removed, or added again.
    Toggle(u32),
    /// `expire_nodest_conn` and `conn_reuse_mode`.
    Sysctls(bool, bool),
}

fn event() -> impl Strategy<Value = Event> {
    let transport = prop_oneof![
        Just(None),
        (0u8..32).prop_map(Some),
        Just(Some(2)),
        Just(Some(16))
    ];
    let port = 40_000u16..40_004;
    prop_oneof![
        6 => (1u8..=2, port.clone(), transport.clone())
            .prop_map(|(client, port, transport)| Event::Request(client, port, transport)),
        4 => (1u8..=3, port, transport)
            .prop_map(|(server, port, transport)| Event::Reply(server, port, transport)),
        1 => prop_oneof![0u32..40, 0u32..60_000].prop_map(Event::Wait),
        1 => Just(Event::Reap),
        1 => (0u32..3, 0u32..3).prop_map(|(server, weight)| Event::Weight(server, weight)),
        1 => (0u32..3).prop_map(Event::Toggle),
        1 => any::<(bool, bool)>().prop_map(|(expire, reuse)| Event::Sysctls(expire, reuse)),
    ]
}

/// Three real servers for TCP and the same three for UDP, room for six connections.
fn director(family: Family, hook: Hook) -> Host {
    let servers: Vec<_> = (1..=3)
        .map(|number| (family.server(number, 8080), 1))
        .collect();
    let mut setup = Setup::servers(family, 6, &servers);
    let mut datagrams = Setup::servers(family, 17, &servers).services;
    setup.services.append(&mut datagrams);
    setup.capacity = Some(6);
    let mut host = Host::new(hook);
    setup.fill(&mut host);
    host
}

fn transport(flags: Option<u8>) -> Transport {
    flags.map_or(Transport::Udp, Transport::Tcp)
}

fn happens(host: &mut Host, family: Family, event: &Event) {
    match event {
        Event::Request(client, port, flags) => {
            let mut packet = from_client(family, *client, transport(*flags));
            packet.source.set_port(*port);
            host.run(Link::Outside, &packet.frame());
        }
        Event::Reply(server, port, flags) => {
            let mut packet = from_server(family, *server, transport(*flags));
            packet.destination.set_port(*port);
            host.run(Link::Inside, &packet.frame());
        }
        Event::Wait(ticks) => host.wait(*ticks),
        Event::Reap => host.reap(),
        Event::Weight(server, weight) => {
            for slot in [*server, *server + 3] {
                host.memory.destinations[slot as usize]
                    .weight
                    .store(*weight);
            }
        }
        Event::Toggle(server) => {
            for slot in [*server, *server + 3] {
                let flags = &host.memory.destinations[slot as usize].flags;
                flags.store(PRESENT | (flags.load() ^ AVAILABLE) & AVAILABLE);
            }
            host.memory.settings.routes_generation.add(1);
        }
        Event::Sysctls(expire, reuse) => {
            let settings = &host.memory.settings;
            settings
                .sysctl(Sysctl::ExpireNodestConn)
                .store((*expire).into());
            settings
                .sysctl(Sysctl::ConnReuseMode)
                .store((*reuse).into());
            settings.routes_generation.add(1);
        }
    }
}

/// What holds at all times, counted from the connections themselves.
fn check(host: &Host, family: Family) -> Result<(), TestCaseError> {
    let found = Snapshot::take(host);
    let live = found.connections.len() as u32;
    prop_assert_eq!(found.usage[&family].0, live);
    for (slot, server) in (0u32..).zip(&found.destinations) {
        let own = || found.connections.values().filter(|c| c.destination == slot);
        let inactive = own().filter(|c| c.flags & INACTIVE != 0).count() as u32;
        prop_assert_eq!(server.inactive, inactive, "InActConn of {}", slot);
        prop_assert_eq!(
            server.active,
            own().count() as u32 - inactive,
            "ActiveConn of {}",
            slot
        );
        for connection in own() {
            let active = connection.protocol == 6 && [1, 2, 3, 10].contains(&connection.state);
            prop_assert_eq!(active, connection.flags & INACTIVE == 0);
        }
    }
    // Two flows a connection: no two services here share a real server's address and protocol.
    prop_assert_eq!(found.flows.len(), 2 * found.connections.len());
    for ((_, slot), connection) in &found.connections {
        let (client, protocol) = (connection.client, connection.protocol);
        let request = found
            .flows
            .get(&(client, connection.virtual_address, protocol));
        let reply = found.flows.get(&(connection.server, client, protocol));
        prop_assert_eq!(request, Some(&(*slot, false)));
        prop_assert_eq!(reply, Some(&(*slot, true)));
    }
    // Every slot ever used is free or live, and never both.
    let (free, words): (_, Vec<Word>) = match family {
        Family::V4 => {
            let records = host.memory.connections4.iter();
            (
                &host.memory.free4,
                records.map(|r| Word(r.word.load())).collect(),
            )
        }
        Family::V6 => {
            let records = host.memory.connections6.iter();
            (
                &host.memory.free6,
                records.map(|r| Word(r.word.load())).collect(),
            )
        }
    };
    let free = free.borrow();
    let distinct: HashSet<u32> = free.iter().copied().collect();
    prop_assert_eq!(distinct.len(), free.len(), "a slot is free twice");
    for slot in &distinct {
        prop_assert!(
            !words[*slot as usize].is_live(),
            "slot {} is free and live",
            slot
        );
    }
    prop_assert_eq!(free.len() as u32 + live, found.usage[&family].1);
    Ok(())
}

fn frame() -> impl Strategy<Value = Vec<u8>> {
    let families = prop_oneof![Just(Family::V4), Just(Family::V6)];
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    (
        families,
        any::<bool>(),
        prop::option::of(0u8..32),
        changes,
        0usize..120,
    )
        .prop_map(|(family, tagged, flags, changes, payload)| {
            let mut packet = Packet {
                payload: vec![0x55; payload],
                ..from_client(family, 1, transport(flags))
            };
            if tagged {
                packet.tags = vec![(0x8100, 1)];
            }
            let mut frame = packet.frame();
            for (at, value) in changes {
                let at = at.index(frame.len());
                frame[at] = value;
            }
            frame
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// RFC 1624 against RFC 1071.
    #[test]
    fn an_updated_checksum_is_the_recomputed_one(
        mut words in prop::collection::vec(any::<u16>(), 8..40),
        new in any::<[u16; 3]>(),
        at in 0usize..5,
    ) {
        // A header that is all zeros is none: there one's complement has two zeros.
        words[7] |= 1;
        let bytes = |words: &[u16]| words.iter().flat_map(|w| w.to_ne_bytes()).collect::<Vec<_>>();
        let sum = checksum(&bytes(&words)).to_be();
        let word = |words: &[u16]| u32::from_ne_bytes(
            bytes(&words[at..at + 2]).try_into().expect("two words"),
        );
        let old32 = word(&words);
        let old16 = words[at + 2];
        words[at..at + 3].copy_from_slice(&new);
        let delta = Delta::ZERO.replace32(old32, word(&words)).replace16(old16, new[2]);
        let expected = checksum(&bytes(&words)).to_be();
        prop_assert_eq!(delta.apply(sum), expected);
        let in_two = Delta::ZERO.replace16(old16, new[2]).apply(
            Delta::ZERO.replace32(old32, u32::from_ne_bytes(
                bytes(&new[..2]).try_into().expect("two words"),
            )).apply(sum),
        );
        prop_assert_eq!(in_two, expected);
    }

    /// Whatever happens, the counters are those of the connections that live.
    #[test]
    fn no_sequence_of_events_leaves_a_counter_wrong(
        is_v6 in any::<bool>(),
        is_tc in any::<bool>(),
        events in prop::collection::vec(event(), 1..150),
    ) {
        let family = if is_v6 { Family::V6 } else { Family::V4 };
        let mut host = director(family, if is_tc { Hook::Tc } else { Hook::Xdp });
        for event in &events {
            happens(&mut host, family, event);
            check(&host, family)?;
        }
        // All ends once nobody speaks any more.
        host.wait(Ticks::from_seconds(901).0);
        host.reap();
        check(&host, family)?;
        prop_assert!(Snapshot::take(&host).connections.is_empty());
    }

    /// Any bytes: no panic; what is passed is untouched; what is forwarded is whole.
    #[test]
    fn hostile_frames_are_whole_or_untouched(frames in prop::collection::vec(frame(), 1..20)) {
        for hook in [Hook::Xdp, Hook::Tc] {
            let mut host = director(Family::V4, hook);
            for frame in &frames {
                let verdict = host.run(Link::Outside, frame);
                let outcome = verdict.reason.expect("the host says it").outcome();
                match outcome {
                    Outcome::Passed | Outcome::Dropped | Outcome::Held => prop_assert_eq!(&verdict.frame, frame),
                    Outcome::Answered => prop_assert!(verdict.frame.len() <= 14 + 1280),
                    Outcome::Forwarded => {
                        prop_assert!(verdict.frame.len() == frame.len()
                            || verdict.frame.len() + 4 == frame.len()
                            || verdict.frame.len() + 8 == frame.len());
                    }
                }
                check(&host, Family::V4)?;
            }
        }
    }

    /// What a client sends and what comes back of an echo are the same packet with ends swapped.
    #[test]
    fn the_two_directions_are_inverse(
        is_v6 in any::<bool>(),
        port in 1024u16..,
        payload in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let family = if is_v6 { Family::V6 } else { Family::V4 };
        let mut host = director(family, Hook::Tc);
        let mut packet = Packet { payload, ..from_client(family, 1, Transport::Udp) };
        packet.source.set_port(port);
        let out = host.run(Link::Outside, &packet.frame()).frame;
        // The server swaps addresses and ports; no checksum changes by that.
        let mut back = out.clone();
        let (addresses, length, ports) = match family {
            Family::V4 => (14 + 12, 4, 14 + 20),
            Family::V6 => (14 + 8, 16, 14 + 40),
        };
        for (at, length) in [(addresses, length), (ports, 2)] {
            back[at..at + length].copy_from_slice(&out[at + length..at + 2 * length]);
            back[at + length..at + 2 * length].copy_from_slice(&out[at..at + length]);
        }
        back[..6].copy_from_slice(&Link::Inside.station());
        let returned = host.run(Link::Inside, &back).frame;
        let mut expected = Packet { source: packet.destination, destination: packet.source, ..packet };
        expected.hops -= 2;
        expected.link = (Link::Inside.station(), Link::Outside.neighbour());
        prop_assert_eq!(returned, expected.frame());
    }
}
