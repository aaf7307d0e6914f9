//! Packets of checks on their way out: a real server gets what it would get from a client.

use std::net::{IpAddr, SocketAddr};

use proptest::prelude::*;
use weir_abi::check::CheckWay;
use weir_abi::reason::Reason;
use weir_abi::service::{
    DestinationAddress, FORWARD_DIRECT, FORWARD_NAT, FORWARD_TUNNEL, TUNNEL_CHECKSUM, TUNNEL_GRE,
    TUNNEL_GUE, TUNNEL_IPIP, Tunnel,
};
use weir_abi::sysctl::Sysctl;
use weir_forward::check;
use weir_forward::memory::{BufferHook, Memory};
use weir_rows::bench::{Bench, Hook};
use weir_rows::host::{Host, route};
use weir_rows::network::{DIRECTOR, Family, Link};
use weir_rows::packet::{ACK, PSH, Packet, SYN, Transport};
use weir_rows::setup::Setup;

const PORT: u16 = 41_000;

fn words(address: IpAddr) -> [u32; 4] {
    let mut bytes = [0; 16];
    match address {
        IpAddr::V4(address) => bytes[..4].copy_from_slice(&address.octets()),
        IpAddr::V6(address) => bytes = address.octets(),
    }
    std::array::from_fn(|i| u32::from_ne_bytes(std::array::from_fn(|byte| bytes[4 * i + byte])))
}

fn way(family: Family, forwarding: u8, (kind, flags): (u8, u8)) -> CheckWay {
    let (number, port) = match family {
        Family::V4 => (4, 80),
        Family::V6 => (6, 80),
    };
    CheckWay {
        virtual_address: words(family.vip(0).ip()),
        server: DestinationAddress {
            address: words(family.server(1, 0).ip()),
            port: u16::to_be(port),
            family: number,
            forwarding,
        },
        tunnel: Tunnel {
            source: [0; 4],
            port: 6080u16.to_be(),
            kind,
            flags,
        },
    }
}

/// What the check's socket sends, and what a client would have sent.
fn packets(family: Family, transport: Transport, payload: usize) -> (Packet, Packet) {
    let director: SocketAddr = (Link::Inside.address(family, DIRECTOR), PORT).into();
    let sent = Packet {
        link: (Link::Inside.neighbour(), Link::Inside.station()),
        payload: vec![3; payload],
        ..Packet::new(director, family.server(1, 80), transport)
    };
    let client = Packet {
        link: (Link::Inside.station(), Link::Inside.neighbour()),
        destination: family.vip(80),
        ..sent.clone()
    };
    (sent, client)
}

fn depart(memory: &Memory, frame: &[u8], way: &CheckWay) -> (Option<Reason>, Vec<u8>) {
    let mut hook = BufferHook::<false>::new(frame, Link::Inside.station(), &route);
    let reason = check::depart(&mut hook, memory, way);
    (reason, hook.frame)
}

/// What the director's own forwarding makes of a client's packet for that real server.
fn forwarded(family: Family, packet: &Packet, way: &CheckWay) -> Vec<u8> {
    let mut host = Host::new(Hook::Tc);
    Setup::simple(family, packet.protocol()).fill(&mut host);
    // A connection may begin with any segment.
    host.settings().sysctl(Sysctl::SloppyTcp).store(1);
    let server = &host.destinations()[0];
    server.address.store(way.server);
    server.tunnel.store(Tunnel {
        source: words(packet.source.ip()),
        ..way.tunnel
    });
    let verdict = host.run(Link::Inside, &packet.frame());
    assert_eq!(verdict.reason, Some(Reason::Request));
    verdict.frame
}

fn cases() -> impl Iterator<Item = (Family, Transport, usize)> {
    let transports = [
        Transport::Tcp(SYN),
        Transport::Tcp(ACK),
        Transport::Tcp(PSH | ACK),
        Transport::Udp,
        Transport::UdpUnsummed,
    ];
    Family::ALL.into_iter().flat_map(move |family| {
        transports
            .into_iter()
            .flat_map(move |transport| [0, 1, 2, 3, 999].map(|length| (family, transport, length)))
    })
}

#[test]
fn by_direct_routing_it_is_for_the_virtual_address_with_all_else_as_it_was() {
    for (family, transport, length) in cases() {
        let memory = Memory::new(1, 1, 1, 1);
        let way = way(family, FORWARD_DIRECT, (0, 0));
        let (sent, _) = packets(family, transport, length);
        let expected = Packet {
            destination: family.vip(80),
            ..sent.clone()
        };
        let (reason, frame) = depart(&memory, &sent.frame(), &way);
        assert_eq!(reason, Some(Reason::CheckRequest));
        assert_eq!(frame, expected.frame(), "{family:?} {transport:?} {length}");
        // On the interface below it is left alone.
        assert_eq!(depart(&memory, &frame, &way), (None, frame));
        let known: Vec<_> = memory
            .checks
            .borrow()
            .iter()
            .map(|(k, v)| (*k, *v))
            .collect();
        let [(key, server)] = known[..] else {
            panic!("one check is known, not {known:?}");
        };
        assert_eq!(server, way.server.address);
        assert_eq!(key.virtual_address, way.virtual_address);
        assert_eq!(key.port, PORT.to_be());
    }
}

#[test]
fn through_tunnels_it_is_what_forwarding_makes_of_a_clients_packet() {
    for (family, transport, length) in cases() {
        for kind in [
            (TUNNEL_IPIP, 0),
            (TUNNEL_GUE, 0),
            (TUNNEL_GUE, TUNNEL_CHECKSUM),
            (TUNNEL_GRE, 0),
            (TUNNEL_GRE, TUNNEL_CHECKSUM),
        ] {
            let memory = Memory::new(1, 1, 1, 1);
            let way = way(family, FORWARD_TUNNEL, kind);
            let (sent, client) = packets(family, transport, length);
            let (reason, frame) = depart(&memory, &sent.frame(), &way);
            assert_eq!(reason, Some(Reason::CheckRequest));
            let forwarded = forwarded(family, &client, &way);
            let link = 12;
            let name = format!("{family:?} {transport:?} {length} {kind:?}");
            assert_eq!(frame[link..], forwarded[link..], "{name}");
            assert_eq!(frame[..link], sent.frame()[..link], "{name}");
            assert_eq!(depart(&memory, &frame, &way), (None, frame), "{name}");
        }
    }
}

#[test]
fn another_real_servers_packets_and_other_methods_are_left_alone() {
    for (family, transport, length) in cases() {
        let memory = Memory::new(1, 1, 1, 1);
        let (sent, _) = packets(family, transport, length);
        let another = Packet {
            destination: family.server(2, 80),
            ..sent.clone()
        };
        for (packet, forwarding) in [(&another, FORWARD_DIRECT), (&sent, FORWARD_NAT)] {
            let frame = packet.frame();
            let way = way(family, forwarding, (0, 0));
            assert_eq!(depart(&memory, &frame, &way), (None, frame));
        }
        assert!(memory.checks.borrow().is_empty());
    }
}

proptest! {
    /// Whatever a socket sends, it goes that way or stays as it is.
    #[test]
    fn nothing_breaks_it(at in any::<prop::sample::Index>(), byte: u8, cut in any::<prop::sample::Index>(), is_ipv6: bool, wrapped: bool) {
        let family = if is_ipv6 { Family::V6 } else { Family::V4 };
        let method = if wrapped { FORWARD_TUNNEL } else { FORWARD_DIRECT };
        let way = way(family, method, (TUNNEL_GUE, TUNNEL_CHECKSUM));
        let mut frame = packets(family, Transport::Tcp(SYN), 20).0.frame();
        let at = at.index(frame.len());
        frame[at] = byte;
        frame.truncate(14 + cut.index(frame.len()));
        let memory = Memory::new(1, 1, 1, 1);
        match depart(&memory, &frame, &way) {
            (None, after) => prop_assert_eq!(after, frame),
            (Some(Reason::CheckRequest), after) => {
                prop_assert_eq!(after.len() > frame.len(), wrapped);
            }
            (Some(other), _) => prop_assert_eq!(other, Reason::KernelRefused),
        }
    }
}
