//! Replies of a real server that is the director itself, on their way out.

use weir_abi::reason::Reason;
use weir_forward::memory::BufferHook;
use weir_forward::process::process;
use weir_rows::bench::{Bench as _, Hook};
use weir_rows::cases::{ESTABLISHED, SYN_RECV, from_client};
use weir_rows::fragments::pieces::{cut, datagram};
use weir_rows::host::{Host, route};
use weir_rows::network::{Family, Link};
use weir_rows::packet::{ACK, PSH, Packet, SYN, Transport};
use weir_rows::setup::Setup;
use weir_rows::snapshot::Snapshot;

/// A director whose only real server is itself, by an address to which nothing is routed.
fn director(family: Family, protocol: u8) -> Host {
    let mut host = Host::new(Hook::Tc);
    let setup = Setup {
        observed: true,
        ..Setup::servers(family, protocol, &[(family.lost_server(8080), 1)])
    };
    setup.fill(&mut host);
    host.destinations()[0].local.store(1);
    host
}

fn request(host: &mut Host, family: Family, transport: Transport) -> Option<Reason> {
    let packet = from_client(family, 1, transport);
    host.run(Link::Outside, &packet.frame()).reason
}

/// What the kernel's stack sends.
fn reply(family: Family, transport: Transport, payload: usize) -> Packet {
    let client = family.client(1, 40_000);
    Packet {
        link: (Link::Outside.neighbour(), Link::Outside.station()),
        payload: vec![9; payload],
        ..Packet::new(family.lost_server(8080), client, transport)
    }
}

fn answer(host: &Host, packet: &Packet) -> (Option<Reason>, Vec<u8>) {
    leaves(host, &packet.frame())
}

fn leaves(host: &Host, frame: &[u8]) -> (Option<Reason>, Vec<u8>) {
    host.memory.settings.now.store(host.now.0);
    let mut hook = BufferHook::<false>::new(frame, Link::Outside.station(), &route);
    hook.leaves = true;
    let reason = process(&mut hook, &host.memory);
    ((reason != Reason::NotOurs).then_some(reason), hook.frame)
}

fn translated(packet: &Packet, family: Family) -> Vec<u8> {
    let translated = Packet {
        source: family.vip(80),
        ..packet.clone()
    };
    translated.frame()
}

#[test]
fn they_come_from_the_virtual_address_and_are_their_connections() {
    for family in Family::ALL {
        let mut host = director(family, 6);
        let passed = Some(Reason::LocalServer);
        assert_eq!(request(&mut host, family, Transport::Tcp(SYN)), passed);
        let syn_ack = reply(family, Transport::Tcp(SYN | ACK), 0);
        let replied = Some(Reason::LocalReply);
        assert_eq!(
            answer(&host, &syn_ack),
            (replied, translated(&syn_ack, family))
        );
        let state = |host: &Host| Snapshot::take(host).connections[&(family, 0)].state;
        assert_eq!(state(&host), SYN_RECV);
        assert_eq!(host.destinations()[0].observed.answered.load(), 1);
        assert_eq!(request(&mut host, family, Transport::Tcp(ACK)), passed);
        assert_eq!(state(&host), ESTABLISHED);
        let data = reply(family, Transport::Tcp(PSH | ACK), 1001);
        assert_eq!(answer(&host, &data), (replied, translated(&data, family)));
        let counters = host.counters(0);
        assert_eq!((counters.in_packets, counters.out_packets), (2, 2));
        assert_eq!(counters.out_bytes, syn_ack.length() + data.length());
    }
}

#[test]
fn so_they_do_by_udp() {
    for family in Family::ALL {
        for transport in [Transport::Udp, Transport::UdpUnsummed] {
            let mut host = director(family, 17);
            request(&mut host, family, transport);
            let packet = reply(family, transport, 33);
            let expected = (Some(Reason::LocalReply), translated(&packet, family));
            assert_eq!(answer(&host, &packet), expected);
        }
    }
}

#[test]
fn so_they_do_in_pieces() {
    for family in Family::ALL {
        let mut host = director(family, 17);
        request(&mut host, family, Transport::Udp);
        let whole = datagram(reply(family, Transport::Udp, 0), 200);
        let came = Packet {
            source: family.vip(80),
            ..whole.clone()
        };
        for (frame, out) in cut(&whole, 7).iter().zip(cut(&came, 7)) {
            let expected = (Some(Reason::LocalReply), out);
            assert_eq!(leaves(&host, frame), expected, "{family:?}");
        }
        let counters = host.counters(0);
        assert_eq!(
            (counters.out_packets, counters.out_bytes),
            (1, whole.length())
        );
    }
}

#[test]
fn so_they_do_by_sctp() {
    for family in Family::ALL {
        let mut host = director(family, 132);
        request(&mut host, family, Transport::Sctp(1));
        let packet = reply(family, Transport::Sctp(2), 0);
        let expected = (Some(Reason::LocalReply), translated(&packet, family));
        assert_eq!(answer(&host, &packet), expected, "{family:?}");
    }
}

#[test]
fn all_else_that_the_director_sends_is_left_alone() {
    for family in Family::ALL {
        let mut host = director(family, 6);
        request(&mut host, family, Transport::Tcp(SYN));
        let own = reply(family, Transport::Tcp(SYN | ACK), 0);
        let another_port = Packet {
            source: family.lost_server(8081),
            ..own.clone()
        };
        // As the client's packet: from the director it is no request.
        let as_request = Packet {
            source: family.client(1, 40_000),
            destination: family.vip(80),
            ..own.clone()
        };
        let untouched = |host: &Host, packet: &Packet| {
            assert_eq!(answer(host, packet), (None, packet.frame()));
        };
        untouched(&host, &another_port);
        untouched(&host, &as_request);
        untouched(&host, &reply(family, Transport::Udp, 4));
        // Of a real server elsewhere, whose address the director has come to have.
        host.destinations()[0].local.store(0);
        untouched(&host, &own);
        host.destinations()[0].local.store(1);
        host.wait(60_000);
        untouched(&host, &own);
    }
}
