//! A packet that goes through a tunnel, as the packet path wraps its requests.

use std::net::IpAddr;

use weir_config::model::{GueChecksum, Tunnel};

use super::{UDP, checksum, packet, pseudo};

const IPV4: u8 = 4;
const IPV6: u8 = 41;
const GRE: u8 = 47;

/// A packet wrapped from one address for another.
pub(super) fn wrapped(tunnel: Tunnel, from: IpAddr, to: IpAddr, inner: &[u8]) -> Vec<u8> {
    let is_v4 = inner[0] >> 4 == 4;
    let protocol = if is_v4 { IPV4 } else { IPV6 };
    match tunnel {
        Tunnel::Ipip => packet(from, to, protocol, inner),
        Tunnel::Gue {
            port,
            checksum: wanted,
        } => packet(
            from,
            to,
            UDP,
            &gue(port.get(), wanted, (from, to), protocol, inner),
        ),
        Tunnel::Gre { checksum } => packet(from, to, GRE, &gre(checksum, is_v4, inner)),
    }
}

/// draft-ietf-intarea-gue, version 0, without options.
fn gue(
    port: u16,
    wanted: GueChecksum,
    (from, to): (IpAddr, IpAddr),
    protocol: u8,
    inner: &[u8],
) -> Vec<u8> {
    let length = 12 + inner.len();
    let mut udp = Vec::with_capacity(length);
    // Out of the upper half of ports, as of other flows.
    udp.extend(port.wrapping_mul(31).max(0x8000).to_be_bytes());
    udp.extend(port.to_be_bytes());
    udp.extend((length as u16).to_be_bytes());
    udp.extend([0, 0, 0, protocol, 0, 0]);
    udp.extend(inner);
    match wanted {
        GueChecksum::None => {}
        GueChecksum::Full | GueChecksum::Remote => {
            let sum = match checksum(&[&pseudo(from, to, UDP, length), &udp]) {
                [0, 0] => [0xff; 2],
                sum => sum,
            };
            udp[6..8].copy_from_slice(&sum);
        }
    }
    udp
}

/// RFC 2784.
fn gre(has_checksum: bool, is_v4: bool, inner: &[u8]) -> Vec<u8> {
    let kind = if is_v4 { [0x08, 0x00] } else { [0x86, 0xdd] };
    let mut gre = vec![if has_checksum { 0x80 } else { 0 }, 0];
    gre.extend(kind);
    if has_checksum {
        gre.extend([0; 4]);
    }
    gre.extend(inner);
    if has_checksum {
        let sum = checksum(&[&gre]);
        gre[4..6].copy_from_slice(&sum);
    }
    gre
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use super::*;
    use crate::farewell::reset;

    #[test]
    fn what_is_wrapped_comes_out() {
        let outside = [
            ("203.0.113.1", "203.0.113.2"),
            ("2001:db8:1::1", "2001:db8:1::2"),
        ];
        let inside = [
            ("198.51.100.7:4711", "192.0.2.10:80"),
            ("[2001:db8::7]:4711", "[2001:db8::10]:80"),
        ];
        for (from, to) in outside.map(|(from, to)| (from.parse().unwrap(), to.parse().unwrap())) {
            for (client, service) in inside {
                let inner = reset(client.parse().unwrap(), service.parse().unwrap(), 7);
                let port = NonZeroU16::new(6080).unwrap();
                for (tunnel, room) in [
                    (Tunnel::Ipip, 0),
                    (Tunnel::Gre { checksum: false }, 4),
                    (Tunnel::Gre { checksum: true }, 8),
                    (gue(port, GueChecksum::None), 12),
                    (gue(port, GueChecksum::Full), 12),
                ] {
                    let whole = wrapped(tunnel, from, to, &inner);
                    let network = if from.is_ipv4() { 20 } else { 40 };
                    assert_eq!(whole[network + room..], inner, "{tunnel:?}");
                    let body = &whole[network..];
                    match tunnel {
                        Tunnel::Ipip | Tunnel::Gre { checksum: false } => {}
                        Tunnel::Gre { checksum: true } => assert_eq!(checksum(&[body]), [0, 0]),
                        Tunnel::Gue {
                            checksum: GueChecksum::None,
                            ..
                        } => {
                            assert_eq!(body[6..8], [0, 0]);
                        }
                        Tunnel::Gue { .. } => {
                            let before = pseudo(from, to, UDP, body.len());
                            assert_eq!(super::checksum(&[&before, body]), [0, 0]);
                        }
                    }
                }
            }
        }
    }

    fn gue(port: NonZeroU16, checksum: GueChecksum) -> Tunnel {
        Tunnel::Gue { port, checksum }
    }
}
