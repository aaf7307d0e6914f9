//! Connections over time: when they end, what they leave behind, and slots that are used again.

use weir_abi::connection::{LIVE, Word};
use weir_abi::flow_table::BUCKET_ENTRIES;
use weir_abi::reason::Reason;
use weir_abi::tick::Ticks;
use weir_rows::bench::{Bench as _, Hook};
use weir_rows::cases::{from_client, from_server, handshake};
use weir_rows::host::Host;
use weir_rows::network::{Family, Link};
use weir_rows::packet::{ACK, Packet, SYN, Transport};
use weir_rows::row::{Row, play};
use weir_rows::setup::Setup;
use weir_rows::snapshot::Snapshot;

/// A host with one real server and an established connection.
fn established(family: Family) -> Host {
    let mut host = Host::new(Hook::Xdp);
    let row = Row::new("before", Setup::simple(family, 6), handshake(family));
    play(&mut host, &row).unwrap();
    host
}

fn send(host: &mut Host, packet: &Packet) -> Option<Reason> {
    host.run(Link::Outside, &packet.frame()).reason
}

fn word(host: &Host, family: Family, slot: usize) -> Word {
    Word(match family {
        Family::V4 => host.memory.connections4[slot].word.load(),
        Family::V6 => host.memory.connections6[slot].word.load(),
    })
}

/// Writes that into the upper half of so many entries of the first bucket of both families.
fn fill_first_bucket(host: &Host, entries: usize, tag: u64) {
    for buckets in [&host.memory.flows4, &host.memory.flows6] {
        for entry in &buckets[0].entries[..entries] {
            entry.store(tag << 32);
        }
    }
}

/// Entries in the flow tables.
fn taken(host: &Host) -> usize {
    let buckets = host.memory.flows4.iter().chain(&host.memory.flows6);
    let entries = buckets.flat_map(|bucket| &bucket.entries);
    entries.filter(|entry| entry.load() != 0).count()
}

/// Live connections, slots ever used, ActiveConn and InActConn.
fn usage(host: &Host) -> (u32, u32, u32, u32) {
    let settings = &host.memory.settings;
    let server = &host.memory.destinations[0];
    (
        live(host),
        settings.high_water4.load() + settings.high_water6.load(),
        server.active.load(),
        server.inactive.load(),
    )
}

fn live(host: &Host) -> u32 {
    host.memory.settings.live4.load() + host.memory.settings.live6.load()
}

#[test]
fn the_timer_ends_a_connection_at_its_tick_and_not_before() {
    for family in Family::ALL {
        let mut host = established(family);
        let whole = Ticks::from_seconds(900).0 + Ticks::REFRESH.0;
        host.wait(whole - 1);
        host.reap();
        assert_eq!(live(&host), 1);
        host.wait(1);
        let mut expected = Snapshot::take(&host);
        expected.end(family, 0);
        host.reap();
        assert_eq!(Snapshot::take(&host), expected);
        assert!(expected.flows.is_empty());
        let free = [&host.memory.free4, &host.memory.free6];
        assert_eq!(
            free.map(|slots| slots.borrow().len()).iter().sum::<usize>(),
            1
        );
    }
}

#[test]
fn a_packet_puts_the_end_off_but_not_for_less_than_the_slack() {
    for family in Family::ALL {
        let mut host = established(family);
        let ack = from_client(family, 1, Transport::Tcp(ACK));
        let first = word(&host, family, 0).expires();
        host.wait(Ticks::REFRESH.0 - 1);
        assert_eq!(send(&mut host, &ack), Some(Reason::Request));
        assert_eq!(word(&host, family, 0).expires(), first);
        host.wait(1);
        assert_eq!(send(&mut host, &ack), Some(Reason::Request));
        assert_eq!(
            word(&host, family, 0).expires(),
            first.after(Ticks::REFRESH)
        );
    }
}

#[test]
fn a_packet_that_meets_an_expired_connection_ends_it() {
    for family in Family::ALL {
        for (transport, reason) in [
            (Transport::Tcp(ACK), Reason::NotConnected),
            (Transport::Tcp(SYN), Reason::Request),
        ] {
            let mut host = established(family);
            host.wait(Ticks::from_seconds(900).0 + Ticks::REFRESH.0);
            let before = word(&host, family, 0).generation();
            assert_eq!(
                send(&mut host, &from_client(family, 1, transport)),
                Some(reason)
            );
            let after = word(&host, family, 0);
            let begun = u32::from(reason == Reason::Request);
            assert_eq!(live(&host), begun);
            // The slot is used again, by another generation.
            assert_eq!(after.flags() & LIVE != 0, begun == 1);
            assert_eq!(u32::from(after.generation() - before), begun);
            let server = &host.memory.destinations[0];
            assert_eq!((server.active.load(), server.inactive.load()), (begun, 0));
        }
    }
}

#[test]
fn a_reply_of_an_expired_connection_is_nobodys() {
    for family in Family::ALL {
        let mut host = established(family);
        host.wait(Ticks::from_seconds(900).0 + Ticks::REFRESH.0);
        let reply = from_server(family, 1, Transport::Tcp(ACK)).frame();
        let reason = host.run(Link::Inside, &reply).reason;
        assert_eq!(reason, Some(Reason::NotOurs));
        assert_eq!(live(&host), 0);
    }
}

#[test]
fn a_flow_table_without_room_leaves_nothing_behind() {
    for family in Family::ALL {
        for room in [0, 1] {
            let mut host = Host::new(Hook::Tc);
            Setup::simple(family, 17).fill(&mut host);
            // One bucket, which strangers fill but for that room.
            host.memory.settings.flow_buckets4.store(1);
            host.memory.settings.flow_buckets6.store(1);
            let strangers = BUCKET_ENTRIES - room;
            fill_first_bucket(&host, strangers, 0x10);
            let mut expected = usage(&host);
            let datagram = from_client(family, 1, Transport::Udp);
            let reason = send(&mut host, &datagram);
            assert!(
                matches!(reason, Some(Reason::TableFull | Reason::Contended)),
                "{reason:?}"
            );
            // A slot has been used; all else is as before.
            expected.1 = 1;
            assert_eq!(usage(&host), expected);
            assert_eq!(taken(&host), 2 * strangers);
            // The slot is free again.
            fill_first_bucket(&host, BUCKET_ENTRIES, 0);
            assert_eq!(send(&mut host, &datagram), Some(Reason::Request));
            assert_eq!(Snapshot::take(&host).usage[&family], (1, 1));
        }
    }
}

#[test]
fn all_slots_are_used_and_used_again() {
    let family = Family::V4;
    let mut host = Host::new(Hook::Xdp);
    let mut setup = Setup::simple(family, 17);
    setup.capacity = Some(50);
    setup.fill(&mut host);
    for round in 1..=3u64 {
        for client in 0..60 {
            let mut datagram = from_client(family, 1, Transport::Udp);
            datagram.source.set_port(1000 + client);
            // The last ten take the places of the first, who have not answered anything.
            assert_eq!(send(&mut host, &datagram), Some(Reason::Request));
        }
        assert_eq!(live(&host), 50);
        assert_eq!(host.memory.settings.high_water4.load(), 50);
        assert_eq!(host.counters(0).connections, 60 * round);
        host.wait(Ticks::from_seconds(301).0);
        host.reap();
        assert_eq!(live(&host), 0);
        assert_eq!(taken(&host), 0);
        let mut free = host.memory.free4.borrow().clone();
        free.sort_unstable();
        assert_eq!(free, (0..50).collect::<Vec<_>>());
    }
}

#[test]
fn routing_is_asked_once_for_each_direction_until_something_changes() {
    for family in Family::ALL {
        for hook in [Hook::Xdp, Hook::Tc] {
            let mut host = Host::new(hook);
            let row = Row::new("before", Setup::simple(family, 6), handshake(family));
            play(&mut host, &row).unwrap();
            let asked = host.asked;
            let request = from_client(family, 1, Transport::Tcp(ACK)).frame();
            let reply = from_server(family, 1, Transport::Tcp(ACK)).frame();
            for _ in 0..3 {
                assert_eq!(
                    host.run(Link::Outside, &request).reason,
                    Some(Reason::Request)
                );
                assert_eq!(host.run(Link::Inside, &reply).reason, Some(Reason::Reply));
            }
            assert_eq!(host.asked, asked);
            host.memory.settings.routes_generation.add(1);
            host.run(Link::Outside, &request);
            host.run(Link::Inside, &reply);
            assert_eq!(host.asked, asked + 2);
        }
    }
}

#[test]
fn a_slot_used_again_remembers_nothing_of_its_former_tenant() {
    for family in Family::ALL {
        let mut host = established(family);
        host.wait(Ticks::from_seconds(901).0);
        host.reap();
        let asked = host.asked;
        let syn = from_client(family, 2, Transport::Tcp(SYN));
        assert_eq!(send(&mut host, &syn), Some(Reason::Request));
        assert_eq!(host.asked, asked + 1);
        // Nor does its second packet go by the hop of the first tenant's replies.
        let mut back = from_server(family, 1, Transport::Tcp(SYN | ACK));
        back.destination = syn.source;
        let reason = host.run(Link::Inside, &back.frame()).reason;
        assert_eq!(reason, Some(Reason::Reply));
        assert_eq!(host.asked, asked + 2);
    }
}

#[test]
fn unwatched_routes_are_believed_for_a_round_of_the_timer_only() {
    let mut host = Host::new(Hook::Xdp);
    let settings = &host.memory.settings;
    let generation = settings.routes_generation.load();
    settings.routes_watched.store(host.now.0);
    host.wait(Ticks::from_seconds(2).0);
    host.reap();
    assert_eq!(host.memory.settings.routes_generation.load(), generation);
    host.wait(1);
    host.reap();
    host.reap();
    assert_eq!(
        host.memory.settings.routes_generation.load(),
        generation + 2
    );
}

#[test]
fn a_flood_evicts_only_who_has_not_answered() {
    for family in Family::ALL {
        let mut host = Host::new(Hook::Xdp);
        let mut setup = Setup::simple(family, 6);
        setup.capacity = Some(10);
        play(&mut host, &Row::new("before", setup, handshake(family))).unwrap();
        // Eleven times as many as there is room for.
        for number in 0..110 {
            let mut syn = from_client(family, 2, Transport::Tcp(SYN));
            syn.source.set_port(1000 + number);
            assert_eq!(send(&mut host, &syn), Some(Reason::Request));
        }
        assert_eq!(live(&host), 10);
        let ack = from_client(family, 1, Transport::Tcp(ACK));
        assert_eq!(send(&mut host, &ack), Some(Reason::Request));
        assert_eq!(word(&host, family, 0).state(), 1);
    }
}

/// `drop_entry`: every slot is looked at twice a second, and one look in sixty-four counts.
#[test]
fn under_attack_half_open_connections_end_early_and_proven_ones_do_not() {
    const CLIENTS: u8 = 60;
    for family in Family::ALL {
        let mut host = established(family);
        for client in 2..=CLIENTS {
            let syn = from_client(family, client, Transport::Tcp(SYN));
            assert_eq!(send(&mut host, &syn), Some(Reason::Request));
        }
        let half_a_second = Ticks::from_seconds(1).0 / 2;
        let pass_twenty_seconds = |host: &mut Host| {
            for _ in 0..40 {
                host.wait(half_a_second);
                host.reap();
            }
        };
        pass_twenty_seconds(&mut host);
        assert_eq!(live(&host), CLIENTS.into(), "nobody attacks");
        host.memory.settings.drop_entry.store(1);
        pass_twenty_seconds(&mut host);
        let left = live(&host);
        assert!((20..50).contains(&left), "{left} of {CLIENTS} are left");
        assert!(word(&host, family, 0).is_live(), "the proven one is not");
    }
}
