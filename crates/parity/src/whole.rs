//! What fragments make together: a director may cut where it likes. IPVS puts a packet together, wraps it, and leaves it to
//! the kernel to cut the outer packet; Weir wraps every fragment by itself. The real server gets the same of both.

use crate::packet::{checksum, number, seal, transport_checksum};
use crate::read::{Seen, ip, word};
use std::net::IpAddr;

/// Puts fragments of one packet together where all are there, the outer ones of tunnels and then the inner ones.
/// `wrappers` are the directors' own addresses, which tunnels come from.
pub fn whole(seen: Vec<Seen>, wrappers: &[IpAddr]) -> Vec<Seen> {
    let (wrapped, plain): (Vec<Seen>, Vec<Seen>) = seen
        .into_iter()
        .partition(|one| is_wrapped(&one.packet, wrappers));
    let mut out = joined(plain);
    out.extend(unwrapped(wrapped));
    out
}

/// Puts all fragments among these together, behind what is whole.
fn joined(seen: Vec<Seen>) -> Vec<Seen> {
    let mut out: Vec<Seen> = Vec::new();
    let mut pieces: Vec<(usize, Seen)> = Vec::new();
    for one in seen {
        match ip(&one.packet).and_then(|ip| ip.fragment) {
            Some(offset) => pieces.push((offset, one)),
            None => out.push(one),
        }
    }
    pieces.sort_by_key(|(offset, _)| *offset);
    let wrong = pieces
        .iter()
        .any(|(_, piece)| !is_header_right(&piece.packet));
    let mut pieces = pieces.into_iter().map(|(_, seen)| seen);
    let Some(mut first) = pieces.next() else {
        return out;
    };
    for piece in pieces {
        if let Some(ip) = ip(&piece.packet) {
            first.packet.extend(&piece.packet[ip.payload..]);
        }
    }
    // Neither length nor place mean anything any more; IPv6's identification is made anew by who cuts again.
    if first.packet[0] >> 4 == 4 {
        first.packet[2..4].fill(0);
        first.packet[6..8].fill(0);
        seal(&mut first.packet);
    } else {
        first.packet[4..6].fill(0);
        first.packet[42..48].fill(0);
    }
    if wrong {
        first
            .packet
            .extend(b" FRAGMENTS WITH A WRONG HEADER CHECKSUM");
    }
    out.push(first);
    out
}

fn is_header_right(packet: &[u8]) -> bool {
    let header = ip(packet).map_or(0, |ip| ip.payload);
    packet[0] >> 4 != 4 || checksum(&[&packet[..header]]) == 0
}

fn is_wrapped(packet: &[u8], wrappers: &[IpAddr]) -> bool {
    ip(packet).is_some_and(|ip| {
        let tunnels = [number::IPIP, number::IPV6, number::GRE, number::UDP];
        wrappers.contains(&ip.source) && tunnels.contains(&ip.protocol)
    })
}

/// Where the inner packet begins in a tunnel's.
fn inside(packet: &[u8]) -> Option<usize> {
    let ip = ip(packet)?;
    let header = match ip.protocol {
        number::IPIP | number::IPV6 => 0,
        number::GRE
            if packet
                .get(ip.payload)
                .is_some_and(|flags| flags & 0x80 != 0) =>
        {
            8
        }
        number::GRE => 4,
        // UDP, and the words of GUE's header behind the first.
        number::UDP => 12 + 4 * usize::from(packet.get(ip.payload + 8)? & 0x1f),
        _ => return None,
    };
    Some(ip.payload + header)
}

/// What tunnels' packets are for who opens them: an outer header, and the inner packet as a whole. Of one that was cut the
/// outer headers must be alike.
fn unwrapped(seen: Vec<Seen>) -> Vec<Seen> {
    let mut out = Vec::new();
    let mut headers: Vec<Vec<u8>> = Vec::new();
    let mut pieces = Vec::new();
    for one in joined(seen) {
        let Some(at) = inside(&one.packet).filter(|at| *at < one.packet.len()) else {
            out.push(one);
            continue;
        };
        let mut header = outer(&one.packet, at);
        let inner = one.packet[at..].to_vec();
        if length(&inner) != Some(inner.len()) {
            header.extend(b" A WRONG INNER LENGTH ");
        }
        if ip(&inner).is_some_and(|ip| ip.fragment.is_some()) {
            headers.push(header);
            pieces.push(Seen {
                packet: inner,
                ..one
            });
        } else {
            header.extend(without_places(inner));
            out.push(Seen {
                packet: header,
                ..one
            });
        }
    }
    let Some(first) = headers.first() else {
        return out;
    };
    let same = headers.iter().all(|header| header == first);
    for one in joined(pieces) {
        let mut packet = first.clone();
        packet.extend(without_places(one.packet));
        if !same {
            packet.extend(b" OUTER HEADERS THAT DIFFER");
        }
        out.push(Seen { packet, ..one });
    }
    out
}

/// How long a packet says that it is.
fn length(packet: &[u8]) -> Option<usize> {
    match packet.first()? >> 4 {
        4 => word(packet, 2).map(usize::from),
        _ => word(packet, 4).map(|payload| 40 + usize::from(payload)),
    }
}

/// A tunnel's headers, without what follows from where it was cut: lengths, places, checksums.
fn outer(packet: &[u8], inner: usize) -> Vec<u8> {
    let Some(ip) = ip(packet) else {
        return Vec::new();
    };
    let mut told: Vec<u8> = Vec::new();
    if !is_header_right(packet) {
        told.extend(b" WRONG OUTER HEADER CHECKSUM ");
    }
    let mut tunnel = packet[ip.payload..inner].to_vec();
    if ip.protocol == number::UDP {
        let sum = word(packet, ip.payload + 6);
        let whole = &packet[ip.payload..];
        let is_right = transport_checksum(ip.source, ip.destination, number::UDP, whole) == 0;
        told.extend(match (sum, is_right) {
            (Some(0), _) => b" no checksum ".as_slice(),
            (_, true) => b" a checksum ",
            (_, false) => b" WRONG OUTER CHECKSUM ",
        });
        // Ports and checksum.
        tunnel[..2].fill(0);
        tunnel[4..8].fill(0);
    }
    let mut header = without_places(packet[..ip.payload].to_vec());
    if header[0] >> 4 == 4 {
        // The kernel's choice.
        header[4..6].fill(0);
        seal(&mut header);
    }
    header.extend(tunnel);
    header.extend(told);
    header
}

/// A packet without its length, its place in another, and IPv6's fragment header.
fn without_places(mut packet: Vec<u8>) -> Vec<u8> {
    if packet[0] >> 4 == 4 {
        packet[2..4].fill(0);
        packet[6] &= 0x40;
        packet[7] = 0;
        seal(&mut packet);
    } else {
        packet[4..6].fill(0);
        if packet[6] == number::FRAGMENT {
            packet[6] = packet[40];
            packet.drain(40..48);
        }
    }
    packet
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{self, Header};

    const HOP: [u8; 6] = [2, 0, 0, 0, 4, 1];

    fn seen(packets: Vec<Vec<u8>>) -> Vec<Seen> {
        packets
            .into_iter()
            .map(|packet| Seen { hop: HOP, packet })
            .collect()
    }

    /// A packet of the client's in a tunnel's, with what lies between.
    fn wrapped(outer: [&str; 2], between: &[u8], inner: &[u8], id: u16) -> Vec<u8> {
        let [from, to] = outer.map(|text| text.parse::<IpAddr>().unwrap());
        let mut payload = between.to_vec();
        payload.extend(inner);
        let protocol = match (between.len(), inner[0] >> 4) {
            (0, 4) => number::IPIP,
            (0, _) => number::IPV6,
            (4, _) => number::GRE,
            _ => number::UDP,
        };
        let header = Header {
            id,
            dont_fragment: false,
            ..Header::default()
        };
        packet::ip(from, to, protocol, &payload, header)
    }

    #[test]
    fn a_tunnel_gives_the_same_wherever_it_was_cut() {
        let header = Header {
            dont_fragment: false,
            ..Header::default()
        };
        for outer in [["10.0.0.1", "10.0.0.17"], ["2001:db8::1", "2001:db8::2"]] {
            let wrappers: [IpAddr; 1] = [outer[0].parse().unwrap()];
            // IPIP, GRE, GUE.
            for between in [
                &[][..],
                &[0, 0, 8, 0],
                &[0x80, 1, 0x17, 0xd5, 0, 0, 0, 0, 0, 4, 0, 0],
            ] {
                for client in ["203.0.113.9", "2001:db8:c::9"] {
                    let client: IpAddr = client.parse().unwrap();
                    let data: Vec<u8> = (0..=255).cycle().take(1000).collect();
                    let inner = packet::ip(client, client, number::UDP, &data, header);
                    let cut_outside = packet::fragments(&wrapped(outer, between, &inner, 7), 400);
                    let cut_inside: Vec<_> = packet::fragments(&inner, 400)
                        .iter()
                        .zip(20..)
                        .map(|(piece, id)| {
                            // Of IPv6 it is the flow label, which is the packet's.
                            let id = if wrappers[0].is_ipv4() { id } else { 7 };
                            wrapped(outer, between, piece, id)
                        })
                        .collect();
                    assert_eq!(cut_outside.len(), 3);
                    assert_eq!(cut_inside.len(), 3);
                    let one = whole(seen(cut_outside), &wrappers);
                    let not_cut = seen(vec![wrapped(outer, between, &inner, 7)]);
                    assert_eq!(whole(not_cut, &wrappers), one);
                    let other = whole(seen(cut_inside.clone()), &wrappers);
                    assert_eq!(one.len(), 1);
                    assert_eq!(one, other);
                    // Another byte is another packet.
                    let mut wrong = cut_inside;
                    *wrong[1].last_mut().unwrap() ^= 1;
                    assert_ne!(whole(seen(wrong), &wrappers), other);
                }
            }
        }
    }

    #[test]
    fn a_wrong_length_is_seen() {
        let client: IpAddr = "203.0.113.9".parse().unwrap();
        let inner = packet::ip(client, client, number::UDP, &[1; 50], Header::default());
        let mut longer = inner.clone();
        longer[3] += 1;
        packet::seal(&mut longer);
        let wrappers = ["10.0.0.1".parse().unwrap()];
        let seen = |inner: &[u8]| {
            let packets = seen(vec![wrapped(["10.0.0.1", "10.0.0.17"], &[], inner, 7)]);
            whole(packets, &wrappers)
        };
        assert_ne!(seen(&inner), seen(&longer));
    }
}
