//! Replies of a real server that is the director itself, on their way out.

use std::net::IpAddr;

use weir_abi::reason::Reason;
use weir_abi::service::{FORWARD_DIRECT, FORWARD_LOCAL, FORWARD_TUNNEL};
use weir_forward::memory::BufferHook;
use weir_forward::process::process;
use weir_rows::bench::{Bench as _, Hook};
use weir_rows::cases::{CLOSE, ESTABLISHED, SYN_RECV, from_client};
use weir_rows::fragments::pieces::{cut, datagram};
use weir_rows::host::{Host, route};
use weir_rows::network::{Family, Link};
use weir_rows::packet::{ACK, PSH, Packet, RST, SYN, Transport, checksum};
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

/// The same director, whose real server gets requests as they are or in a tunnel.
fn director_by(family: Family, protocol: u8, forwarding: u8) -> Host {
    let host = director(family, protocol);
    let mut address = host.destinations()[0].address.load();
    address.forwarding = forwarding;
    host.destinations()[0].address.store(address);
    host
}

#[test]
fn by_direct_routing_and_tunnels_they_count_and_leave_as_they_are() {
    for family in Family::ALL {
        for forwarding in [FORWARD_DIRECT, FORWARD_TUNNEL, FORWARD_LOCAL] {
            let mut host = director_by(family, 6, forwarding);
            let begun = request(&mut host, family, Transport::Tcp(SYN));
            assert_eq!(begun, Some(Reason::LocalServer));
            let reset = Packet {
                source: family.vip(80),
                ..reply(family, Transport::Tcp(RST | ACK), 0)
            };
            let expected = (Some(Reason::LocalReply), reset.frame());
            assert_eq!(answer(&host, &reset), expected, "{family:?} {forwarding}");
            let state = Snapshot::take(&host).connections[&(family, 0)].state;
            assert_eq!(state, CLOSE, "{family:?} {forwarding}");
            let counters = host.counters(0);
            let counted = (counters.out_packets, counters.out_bytes);
            assert_eq!(counted, (1, reset.length()));
            // From another port it is nobody's.
            let other = Packet {
                source: family.vip(81),
                ..reset
            };
            assert_eq!(answer(&host, &other), (None, other.frame()));
        }
    }
}

/// The stack's error about a packet, from the address that this was for.
fn unreachable(about: &Packet) -> Vec<u8> {
    unreachable_quoting(about, about.network())
}

fn unreachable_quoting(about: &Packet, quoted: Vec<u8>) -> Vec<u8> {
    let (from, to) = (about.destination.ip(), about.source.ip());
    let octets = |address: IpAddr| match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let kind = if from.is_ipv4() { [3, 3] } else { [1, 4] };
    let mut icmp = [&kind[..], &[0; 6], &quoted].concat();
    let mut covered = Vec::new();
    if from.is_ipv6() {
        covered.extend(octets(from));
        covered.extend(octets(to));
        covered.extend((icmp.len() as u32).to_be_bytes());
        covered.extend([0, 0, 0, 58]);
    }
    covered.extend(&icmp);
    icmp[2..4].copy_from_slice(&checksum(&covered).to_be_bytes());
    let mut frame = [Link::Outside.neighbour(), Link::Outside.station()].concat();
    if from.is_ipv4() {
        let mut header = vec![0x45, 0xc0];
        header.extend((20 + icmp.len() as u16).to_be_bytes());
        header.extend([0x12, 0x34, 0, 0, 64, 1, 0, 0]);
        header.extend(octets(from));
        header.extend(octets(to));
        let sum = checksum(&header);
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        frame.extend([8, 0]);
        frame.extend(header);
    } else {
        frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
        frame.extend((icmp.len() as u16).to_be_bytes());
        frame.extend([58, 64]);
        frame.extend(octets(from));
        frame.extend(octets(to));
    }
    frame.extend(icmp);
    frame
}

#[test]
fn errors_about_requests_come_from_the_virtual_address() {
    for family in Family::ALL {
        for (transport, protocol) in [(Transport::Udp, 17), (Transport::Tcp(SYN), 6)] {
            let mut host = director(family, protocol);
            request(&mut host, family, transport);
            let sent = from_client(family, 1, transport);
            let arrived = Packet {
                destination: family.lost_server(8080),
                ..sent.clone()
            };
            let (reason, frame) = leaves(&host, &unreachable(&arrived));
            assert_eq!(reason, Some(Reason::LocalReply), "{family:?} {protocol}");
            // As in IPVS, what is quoted keeps the transport checksum that the real server has seen.
            let mut quoted = sent.network();
            let at =
                if family == Family::V4 { 20 } else { 40 } + if protocol == 6 { 16 } else { 6 };
            quoted[at..at + 2].copy_from_slice(&arrived.network()[at..at + 2]);
            let expected = unreachable_quoting(&sent, quoted);
            assert_eq!(frame, expected, "{family:?} {protocol}");
            let counters = host.counters(0);
            let counted = (counters.out_packets, counters.out_bytes);
            assert_eq!(counted, (1, frame.len() as u64 - 14));
            // Of a real server elsewhere it is not the director's to send.
            host.destinations()[0].local.store(0);
            assert_eq!(leaves(&host, &unreachable(&arrived)).0, None);
        }
    }
}

#[test]
fn errors_about_requests_that_are_left_as_they_are_count() {
    for family in Family::ALL {
        for forwarding in [FORWARD_DIRECT, FORWARD_TUNNEL] {
            let mut host = director_by(family, 17, forwarding);
            request(&mut host, family, Transport::Udp);
            let error = unreachable(&from_client(family, 1, Transport::Udp));
            let (reason, frame) = leaves(&host, &error);
            assert_eq!((reason, &frame), (Some(Reason::Icmp), &error));
            let counters = host.counters(0);
            let counted = (counters.out_packets, counters.out_bytes);
            assert_eq!(counted, (1, error.len() as u64 - 14));
        }
    }
}

#[test]
fn so_do_those_that_pass_by_from_a_real_server() {
    for family in Family::ALL {
        let mut host = director_by(family, 17, FORWARD_DIRECT);
        request(&mut host, family, Transport::Udp);
        let error = unreachable(&from_client(family, 1, Transport::Udp));
        let verdict = host.run(Link::Inside, &passing(&error, 64));
        assert_eq!(verdict.reason, Some(Reason::Icmp));
        assert_eq!(host.counters(0).out_packets, 1);
        // The kernel does not forward it.
        host.run(Link::Inside, &passing(&error, 1));
        assert_eq!(host.counters(0).out_packets, 1);
    }
}

/// The frame as it comes to the director's station, with so many hops left.
fn passing(frame: &[u8], hops: u8) -> Vec<u8> {
    let mut frame = frame.to_vec();
    frame[..6].copy_from_slice(&Link::Inside.station());
    if frame[12..14] == [8, 0] {
        frame[22] = hops;
        frame[24..26].fill(0);
        let sum = checksum(&frame[14..34]);
        frame[24..26].copy_from_slice(&sum.to_be_bytes());
    } else {
        frame[21] = hops;
    }
    frame
}
