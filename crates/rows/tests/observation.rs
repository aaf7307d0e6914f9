//! How long real servers take to answer: what the rows cannot show, who have no clock of microseconds.

use weir_rows::bench::{Bench as _, Hook};
use weir_rows::cases::{from_client, from_server};
use weir_rows::host::Host;
use weir_rows::network::{Family, Link};
use weir_rows::packet::{ACK, PSH, Packet, SYN, Transport};
use weir_rows::setup::Setup;

fn director(family: Family) -> Host {
    let mut host = Host::new(Hook::Tc);
    let setup = Setup {
        observed: true,
        ..Setup::simple(family, 6)
    };
    setup.fill(&mut host);
    host
}

/// A packet of a client's connection from that port, each way.
fn of(packet: Packet, port: u16) -> Packet {
    let mut packet = packet;
    if packet.destination.port() == 80 {
        packet.source.set_port(port);
    } else {
        packet.destination.set_port(port);
    }
    packet
}

fn request(host: &mut Host, family: Family, port: u16, flags: u8) {
    let packet = of(from_client(family, 1, Transport::Tcp(flags)), port);
    host.run(Link::Outside, &packet.frame());
}

fn reply(host: &mut Host, family: Family, port: u16, flags: u8) {
    let packet = of(from_server(family, 1, Transport::Tcp(flags)), port);
    host.run(Link::Inside, &packet.frame());
}

#[test]
fn time_runs_from_the_first_syn_to_the_first_answer() {
    for family in Family::ALL {
        let mut host = director(family);
        let mut expected = 0;
        // The clock wraps, and is 0 now and then.
        for (number, (from, took)) in [(7, 250), (u32::MAX - 9, 1000), (0, 40), (u32::MAX, 1)]
            .into_iter()
            .enumerate()
        {
            let port = 1000 + number as u16;
            host.memory.microseconds.set(from);
            request(&mut host, family, port, SYN);
            host.memory.microseconds.set(from.wrapping_add(took / 2));
            request(&mut host, family, port, SYN);
            host.memory.microseconds.set(from.wrapping_add(took));
            // Nothing that would be an answer.
            reply(&mut host, family, port, PSH | ACK);
            reply(&mut host, family, port, SYN | ACK);
            host.memory.microseconds.set(from.wrapping_add(77_777));
            reply(&mut host, family, port, SYN | ACK);
            request(&mut host, family, port, ACK);
            reply(&mut host, family, port, PSH | ACK);
            expected += u64::from(took);
            let observed = &host.destinations()[0].observed;
            assert_eq!(observed.answered.load(), number as u64 + 1);
            // What began at 0 is taken to have begun at 1.
            let at_zero = u64::from(number >= 2);
            assert_eq!(observed.time.load(), expected - at_zero, "{number}");
            assert_eq!(observed.refused.load() + observed.unanswered.load(), 0);
        }
    }
}

/// In a full table connections make room for others: that says nothing of who would have answered.
#[test]
fn who_had_to_make_room_has_not_waited_in_vain() {
    for family in Family::ALL {
        let mut host = director(family);
        let connections = 200;
        for port in 1..=connections {
            request(&mut host, family, port, SYN);
        }
        let seen = || {
            let observed = &host.destinations()[0].observed;
            (observed.begun.load(), observed.unanswered.load())
        };
        let (begun, unanswered) = seen();
        let live = match family {
            Family::V4 => host.settings().live4.load(),
            Family::V6 => host.settings().live6.load(),
        };
        assert!(begun > 2 * u64::from(live) && unanswered == 0);
        host.wait(60_000);
        host.reap();
        let observed = &host.destinations()[0].observed;
        assert_eq!(observed.unanswered.load(), u64::from(live));
    }
}
