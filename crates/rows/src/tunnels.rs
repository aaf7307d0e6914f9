//! Packets that come to a real server, in tunnels and not, and what its program makes of them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use weir_abi::realserver::{Decapsulation, Prepared, mapped};

use crate::packet::{ACK, PSH, Packet, SYN, Transport, checksum, pseudo};

mod fragments;

pub use fragments::fragments;

/// One packet.
pub struct Arrival {
    /// What is special about it.
    pub name: String,
    /// As it comes.
    pub frame: Vec<u8>,
    /// What becomes of it.
    pub became: Option<Decapsulation>,
    /// As it goes on; of no matter where it is dropped.
    pub after: Vec<u8>,
}

const VIP4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
const VIP6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 0x10);
const HERE4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 11);
const HERE6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 0x11);
const DIRECTOR4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const DIRECTOR6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 1);
const CLIENT4: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);
const CLIENT6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xc, 0, 0, 0, 0, 7);
const GUE_PORT: u16 = 6080;

/// What the real server of all rows was prepared for.
pub fn prepared() -> Vec<Prepared> {
    vec![
        Prepared::virtual_address(words(VIP4.into())),
        Prepared::virtual_address(words(VIP6.into())),
        Prepared::here(words(HERE4.into())),
        Prepared::here(words(HERE6.into())),
        Prepared::gue_port(GUE_PORT.to_be()),
    ]
}

fn words(address: IpAddr) -> [u32; 4] {
    match address {
        IpAddr::V4(address) => mapped(u32::from_ne_bytes(address.octets())),
        IpAddr::V6(address) => {
            let bytes = address.octets();
            std::array::from_fn(|i| {
                u32::from_ne_bytes(std::array::from_fn(|byte| bytes[4 * i + byte]))
            })
        }
    }
}

/// The outer network header.
#[derive(Clone, Copy, Debug)]
struct Outer {
    is_ipv6: bool,
    /// IPv4: four bytes of options; IPv6: destination options with the limit of encapsulation.
    options: bool,
    class: u8,
    /// IPv4: flags and offset.
    fragment: u16,
    /// IPv4, and IPv6 where it is a fragment.
    identification: u16,
    to: Option<IpAddr>,
}

const PLAIN4: Outer = Outer {
    is_ipv6: false,
    options: false,
    class: 0,
    fragment: 0,
    identification: 0x4321,
    to: None,
};
const PLAIN6: Outer = Outer {
    is_ipv6: true,
    ..PLAIN4
};

/// What lies between both network headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tunnel {
    Ipip,
    Gre {
        sum: bool,
    },
    Gue,
    /// With four bytes of options that mean nothing.
    GuePadded,
    GueRemote,
}

impl Tunnel {
    const ALL: [Self; 6] = [
        Self::Ipip,
        Self::Gre { sum: false },
        Self::Gre { sum: true },
        Self::Gue,
        Self::GuePadded,
        Self::GueRemote,
    ];

    fn became(self) -> Decapsulation {
        match self {
            Self::Ipip => Decapsulation::Ipip,
            Self::Gre { .. } => Decapsulation::Gre,
            Self::Gue | Self::GuePadded | Self::GueRemote => Decapsulation::Gue,
        }
    }
}

/// Ethernet, for whoever has the link address that a test's device has.
fn ethernet(is_ipv6: bool, network: &[u8]) -> Vec<u8> {
    let kind: u16 = if is_ipv6 { 0x86dd } else { 0x0800 };
    let source = [2, 0, 0, 0, 0, 9];
    [&[0; 6], &source[..], &kind.to_be_bytes(), network].concat()
}

/// A network header and what it carries, in a frame.
fn outer_frame(outer: Outer, protocol: u8, payload: &[u8]) -> Vec<u8> {
    if outer.is_ipv6 {
        let options: &[u8] = if outer.options {
            // Tunnel encapsulation limit (RFC 2473, 5.1), padded.
            &[protocol, 0, 4, 1, 4, 1, 1, 0]
        } else {
            &[]
        };
        let next = if outer.options { 60 } else { protocol };
        let (offset, more) = (outer.fragment << 3, outer.fragment >> 13 & 1);
        let fragment = [
            &[next, 0],
            &(offset | more).to_be_bytes()[..],
            &u32::from(outer.identification).to_be_bytes(),
        ]
        .concat();
        let (next, fragment) = match outer.fragment {
            0 => (next, &[][..]),
            _ => (44, &fragment[..]),
        };
        let length = (fragment.len() + options.len() + payload.len()) as u16;
        let mut header = (0x6000_0000u32 | u32::from(outer.class) << 20)
            .to_be_bytes()
            .to_vec();
        header.extend(length.to_be_bytes());
        header.extend([next, 63]);
        header.extend(DIRECTOR6.octets());
        let IpAddr::V6(to) = outer.to.unwrap_or(HERE6.into()) else {
            panic!("one family a header");
        };
        header.extend(to.octets());
        return ethernet(true, &[&header, fragment, options, payload].concat());
    }
    // Three times "no operation", and the end.
    let options: &[u8] = if outer.options { &[1, 1, 1, 0] } else { &[] };
    let words = 5 + options.len() as u8 / 4;
    let length = usize::from(words) * 4 + payload.len();
    let mut header = vec![0x40 | words, outer.class];
    header.extend((length as u16).to_be_bytes());
    header.extend(outer.identification.to_be_bytes());
    header.extend(outer.fragment.to_be_bytes());
    header.extend([63, protocol, 0, 0]);
    header.extend(DIRECTOR4.octets());
    let IpAddr::V4(to) = outer.to.unwrap_or(HERE4.into()) else {
        panic!("one family a header");
    };
    header.extend(to.octets());
    header.extend(options);
    let sum = checksum(&header);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    ethernet(false, &[&header, payload].concat())
}

/// A network packet in a tunnel.
fn wrapped(outer: Outer, tunnel: Tunnel, inner: &Packet) -> Vec<u8> {
    let inner_is_ipv6 = inner.source.is_ipv6();
    let network = inner.network();
    let protocol = if inner_is_ipv6 { 41 } else { 4 };
    match tunnel {
        Tunnel::Ipip => outer_frame(outer, protocol, &network),
        Tunnel::Gre { sum } => outer_frame(outer, 47, &gre(sum, inner_is_ipv6, &network)),
        Tunnel::Gue => outer_frame(outer, 17, &gue(&[0, protocol, 0, 0], &network)),
        Tunnel::GuePadded => {
            let header = [1, protocol, 0, 0, 0, 0, 0, 0];
            outer_frame(outer, 17, &gue(&header, &network))
        }
        Tunnel::GueRemote => {
            let (start, field) = transport_at(inner);
            let mut header = vec![2, protocol, 0, 1, 0x80, 0, 0, 0];
            header.extend((start as u16).to_be_bytes());
            header.extend((field as u16).to_be_bytes());
            let network = unfinished(inner);
            outer_frame(outer, 17, &gue(&header, &network))
        }
    }
}

fn gre(sum: bool, is_ipv6: bool, inner: &[u8]) -> Vec<u8> {
    let kind: [u8; 2] = if is_ipv6 { [0x86, 0xdd] } else { [0x08, 0x00] };
    if !sum {
        return [&[0, 0], &kind[..], inner].concat();
    }
    let mut all = [&[0x80, 0], &kind[..], &[0; 4], inner].concat();
    let sum = checksum(&all);
    all[4..6].copy_from_slice(&sum.to_be_bytes());
    all
}

/// UDP without a checksum, GUE and what it carries.
fn gue(header: &[u8], inner: &[u8]) -> Vec<u8> {
    let length = (8 + header.len() + inner.len()) as u16;
    let udp = [
        54_321u16.to_be_bytes(),
        GUE_PORT.to_be_bytes(),
        length.to_be_bytes(),
        [0, 0],
    ]
    .concat();
    [&udp, header, inner].concat()
}

/// Where the transport header begins in the network packet, and where its checksum lies.
fn transport_at(inner: &Packet) -> (usize, usize) {
    let start = if inner.source.is_ipv6() {
        40 + 8 * inner.extensions.len()
    } else {
        20 + inner.options.len()
    };
    let field = if inner.protocol() == 6 { 16 } else { 6 };
    (start, start + field)
}

/// The network packet as a director leaves it that wants the checksum finished by the real server:
/// in its place is the sum of the pseudo header.
fn unfinished(inner: &Packet) -> Vec<u8> {
    let mut network = inner.network();
    let (start, field) = transport_at(inner);
    let length = network.len() - start;
    let (source, destination) = (inner.source.ip(), inner.destination.ip());
    let mut pseudo = pseudo(source, destination, inner.protocol(), &vec![0; length]);
    pseudo.truncate(pseudo.len() - length);
    let sum = !checksum(&pseudo);
    network[field..field + 2].copy_from_slice(&sum.to_be_bytes());
    network
}

fn inner(is_ipv6: bool, transport: Transport) -> Packet {
    let (client, vip): (IpAddr, IpAddr) = if is_ipv6 {
        (CLIENT6.into(), VIP6.into())
    } else {
        (CLIENT4.into(), VIP4.into())
    };
    let client = SocketAddr::new(client, 40_000);
    Packet::new(client, SocketAddr::new(vip, 80), transport)
}

fn taken_out(name: String, outer: Outer, tunnel: Tunnel, packet: &Packet) -> Arrival {
    Arrival {
        name,
        frame: wrapped(outer, tunnel, packet),
        became: Some(tunnel.became()),
        after: ethernet(packet.source.is_ipv6(), &packet.network()),
    }
}

/// A packet that goes on as it came.
fn untouched(name: &str, frame: Vec<u8>, became: Option<Decapsulation>) -> Arrival {
    Arrival {
        name: name.to_owned(),
        after: frame.clone(),
        frame,
        became,
    }
}

/// All rows.
pub fn all() -> Vec<Arrival> {
    let mut rows = every_tunnel();
    rows.extend(sizes());
    rows.extend(congestion());
    rows.extend(not_ours());
    rows.extend(strange());
    rows.extend(wrong_remote_checksums());
    rows
}

fn every_tunnel() -> Vec<Arrival> {
    let mut rows = Vec::new();
    for plain in [PLAIN4, PLAIN6] {
        for options in [false, true] {
            for tunnel in Tunnel::ALL {
                for is_ipv6 in [false, true] {
                    for transport in [
                        Transport::Tcp(SYN),
                        Transport::Tcp(PSH | ACK),
                        Transport::Udp,
                    ] {
                        let outer = Outer { options, ..plain };
                        let packet = inner(is_ipv6, transport);
                        let name = format!("{tunnel:?} with {transport:?}, {is_ipv6} in {outer:?}");
                        rows.push(taken_out(name, outer, tunnel, &packet));
                    }
                }
            }
        }
    }
    rows
}

/// Empty, odd and large payloads, options inside, the checksum that comes out as zero.
fn sizes() -> Vec<Arrival> {
    let mut rows = Vec::new();
    for tunnel in [Tunnel::Ipip, Tunnel::GueRemote] {
        for is_ipv6 in [false, true] {
            for length in [0usize, 1, 2, 3, 999, 1400] {
                let mut packet = inner(is_ipv6, Transport::Tcp(ACK));
                packet.payload = (0..length).map(|i| (i * 7 + 3) as u8).collect();
                let name = format!("{tunnel:?} with {length} bytes, {is_ipv6}");
                rows.push(taken_out(name, PLAIN4, tunnel, &packet));
            }
            let packet = inner(is_ipv6, Transport::Udp).sum_to_zero();
            let name = format!("{tunnel:?} with a sum of zero, {is_ipv6}");
            rows.push(taken_out(name, PLAIN6, tunnel, &packet));
        }
        let mut packet = inner(false, Transport::Udp);
        packet.options = vec![1, 1, 1, 0];
        let name = format!("{tunnel:?} with options inside");
        rows.push(taken_out(name, PLAIN4, tunnel, &packet));
    }
    // What a switch adds to a short frame is not the packet's.
    let packet = inner(false, Transport::Udp);
    let mut row = taken_out(
        "padded to the least frame".to_owned(),
        PLAIN4,
        Tunnel::GueRemote,
        &packet,
    );
    row.frame.extend([0xee; 9]);
    row.after.extend([0xee; 9]);
    rows.push(row);
    rows
}

/// Inner and outer notification, and what goes on (RFC 6040, figure 4).
fn congestion() -> Vec<Arrival> {
    let outside = |inside: u8, outer: u8| match (inside, outer) {
        (0, 3) => None,
        (0, _) => Some(0),
        (_, 3) => Some(3),
        (2, 1) => Some(1),
        (inside, _) => Some(inside),
    };
    let mut rows = Vec::new();
    for plain in [PLAIN4, PLAIN6] {
        for is_ipv6 in [false, true] {
            for tunnel in [Tunnel::Ipip, Tunnel::GueRemote] {
                for (inside, outer) in (0..16).map(|n| (n / 4, n % 4)) {
                    let mut packet = inner(is_ipv6, Transport::Tcp(ACK));
                    // The rest of the class is the sender's.
                    packet.service = 0xb8 | inside;
                    let header = Outer {
                        class: 0x28 | outer,
                        ..plain
                    };
                    let frame = wrapped(header, tunnel, &packet);
                    let goes_on = outside(inside, outer);
                    packet.service = 0xb8 | goes_on.unwrap_or(inside);
                    rows.push(Arrival {
                        name: format!(
                            "congestion {inside} in {outer}, {tunnel:?}, {is_ipv6} in {header:?}"
                        ),
                        frame,
                        became: Some(match goes_on {
                            Some(_) => tunnel.became(),
                            None => Decapsulation::Congestion,
                        }),
                        after: ethernet(is_ipv6, &packet.network()),
                    });
                }
            }
        }
    }
    rows
}

fn not_ours() -> Vec<Arrival> {
    let packet = inner(false, Transport::Tcp(SYN));
    let packet6 = inner(true, Transport::Udp);
    let mut elsewhere = packet.clone();
    elsewhere
        .destination
        .set_ip(Ipv4Addr::new(192, 0, 2, 11).into());
    let mut elsewhere6 = packet6.clone();
    elsewhere6.destination.set_ip(HERE6.into());
    let other_host = Outer {
        to: Some(DIRECTOR4.into()),
        ..PLAIN4
    };
    let other_host6 = Outer {
        to: Some(VIP6.into()),
        ..PLAIN6
    };
    let other = Some(Decapsulation::OtherDestination);
    let mut other_port = wrapped(PLAIN4, Tunnel::Gue, &packet);
    other_port[14 + 20 + 2..][..2].copy_from_slice(&6081u16.to_be_bytes());
    let mut rows = vec![
        untouched("no tunnel", ethernet(false, &packet.network()), None),
        untouched("no tunnel, IPv6", ethernet(true, &packet6.network()), None),
        untouched(
            "no Internet packet",
            [&[0; 12], &[0x08, 0x06][..], &[0; 46]].concat(),
            None,
        ),
        untouched("another port", other_port, None),
    ];
    for tunnel in Tunnel::ALL {
        let mut row = |what: &str, outer, packet, became| {
            let name = format!("{what}, {tunnel:?}");
            rows.push(untouched(&name, wrapped(outer, tunnel, packet), became));
        };
        row("inside for another", PLAIN4, &elsewhere, other);
        row("inside for another", PLAIN6, &elsewhere6, other);
        row("outside for another", other_host, &packet, None);
        row("outside for a virtual address", other_host6, &packet6, None);
    }
    rows
}

fn strange() -> Vec<Arrival> {
    let strange = Some(Decapsulation::Strange);
    let packet = inner(false, Transport::Tcp(SYN));
    let network = packet.network();
    let gre_with = |flags: u8, version: u8, kind: [u8; 2]| {
        let header = [&[flags, version], &kind[..], &[0; 4]].concat();
        outer_frame(PLAIN4, 47, &[&header, &network[..]].concat())
    };
    let gue_with = |header: &[u8]| outer_frame(PLAIN4, 17, &gue(header, &network));
    let mut without_options = outer_frame(PLAIN4, 4, &[]);
    without_options[14] = 0x4f;
    let mut rows = Vec::new();
    let frames = [
        ("options announced, none there", without_options),
        (
            "IPv6 announced, IPv4 there",
            outer_frame(PLAIN4, 41, &network),
        ),
        (
            "IPv6 in GUE announced, IPv4 there",
            gue_with(&[0, 41, 0, 0]),
        ),
        ("nothing inside", outer_frame(PLAIN4, 4, &[])),
        (
            "half a header inside",
            outer_frame(PLAIN4, 4, &network[..19]),
        ),
        ("GRE with a key", gre_with(0x20, 0, [8, 0])),
        ("GRE with sequence numbers", gre_with(0x10, 0, [8, 0])),
        ("GRE with routing", gre_with(0x40, 0, [8, 0])),
        ("GRE of version 1 (PPTP)", gre_with(0, 1, [8, 0])),
        ("GRE with Ethernet", gre_with(0, 0, [0x65, 0x58])),
        ("half a GRE header", outer_frame(PLAIN4, 47, &[0, 0, 8])),
        ("GUE control message", gue_with(&[0x20, 4, 0, 0])),
        ("GUE of variant 1", gue_with(&[0x45, 4, 0, 0])),
        ("GUE with another protocol", gue_with(&[0, 6, 0, 0])),
        (
            "GUE with unknown options",
            gue_with(&[1, 4, 0, 2, 0, 0, 0, 0]),
        ),
        (
            "GUE with other private options",
            gue_with(&[2, 4, 0, 1, 0x40, 0, 0, 0, 0, 20, 0, 36]),
        ),
        (
            "GUE with too few options",
            gue_with(&[1, 4, 0, 1, 0x80, 0, 0, 0, 0, 20, 0, 36]),
        ),
        (
            "GUE that ends in its options",
            outer_frame(PLAIN4, 17, &gue(&[31, 4, 0, 0], &[0; 8])),
        ),
        (
            "half a GUE header",
            outer_frame(PLAIN4, 17, &gue(&[0, 4], &[])),
        ),
    ];
    for (name, frame) in frames {
        rows.push(untouched(name, frame, strange));
    }
    rows
}

/// Where the checksum would lie outside of the packet.
fn wrong_remote_checksums() -> Vec<Arrival> {
    let packet = inner(false, Transport::Tcp(SYN));
    let network = packet.network();
    let length = network.len() as u16;
    [(length + 1, 36), (20, length - 1), (0xffff, 0xffff)]
        .into_iter()
        .map(|(start, field)| {
            let mut header = vec![2, 4, 0, 1, 0x80, 0, 0, 0];
            header.extend(start.to_be_bytes());
            header.extend(field.to_be_bytes());
            Arrival {
                name: format!("remote checksum from {start} at {field}"),
                frame: outer_frame(PLAIN4, 17, &gue(&header, &network)),
                became: Some(Decapsulation::KernelRefused),
                after: Vec::new(),
            }
        })
        .collect()
}
