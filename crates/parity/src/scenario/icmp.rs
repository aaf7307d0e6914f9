//! ICMP errors, whole and truncated.

use super::{Kind, Play, Script};
use crate::cell::{Family, Method};
use crate::director::{ROUTER, Side, own, router};
use crate::packet::{self, Header, number};
use crate::read::{self, Seen};
use crate::stage::Stage;
use anyhow::Result;
use std::net::IpAddr;

/// Type, code and the word after the checksum: what matters of ICMP.
const ERRORS4: &[(u8, u8, u32)] = &[
    (3, 0, 0),
    (3, 1, 0),
    (3, 3, 0),
    (3, 4, 1280),
    (3, 13, 0),
    (11, 0, 0),
    (11, 1, 0),
    (4, 0, 0),
    (12, 0, 0),
    (5, 1, 0x0a00_0002),
];

/// The same of ICMPv6. With a smaller MTU nothing would fit a tunnel any more: IPv6 must be left 1280.
const ERRORS6: &[(u8, u8, u32)] = &[
    (1, 0, 0),
    (1, 1, 0),
    (1, 3, 0),
    (1, 4, 0),
    (2, 0, 1400),
    (3, 0, 0),
    (3, 1, 0),
    (4, 0, 0),
];

fn errors(v6: bool) -> &'static [(u8, u8, u32)] {
    if v6 { ERRORS6 } else { ERRORS4 }
}

/// An error about a packet, of which so many bytes are quoted.
fn error(from: IpAddr, to: IpAddr, kind: (u8, u8, u32), about: &[u8], quoted: usize) -> Vec<u8> {
    let quoted = &about[..about.len().min(quoted)];
    let message = packet::icmp(from, to, kind.0, kind.1, kind.2, quoted);
    let protocol = if from.is_ipv6() {
        number::ICMPV6
    } else {
        number::ICMP
    };
    packet::ip(from, to, protocol, &message, Header::default())
}

/// How much of a packet is quoted: ports only, and everything.
fn lengths(v6: bool) -> [usize; 2] {
    [if v6 { 48 } else { 28 }, 1280]
}

pub const TO_SERVER: Script = Script {
    turns: 1,
    commands: two_servers,
    packets: to_server,
    pauses: &[],
    timeouts: None,
};

fn two_servers(play: &mut Play, _turn: usize) -> Vec<String> {
    play.add_all(2, "")
}

/// Errors from the client's side about what the virtual service sent, and a ping.
fn to_server(play: &mut Play, _turn: usize, stage: &mut Stage) -> Result<()> {
    play.begin(stage)?;
    play.establish(0, stage)?;
    let (v6, address) = (play.v6(), play.address);
    let connection = play.connections[0];
    let answer = super::connection::packet_between(
        play,
        connection.to,
        connection.client,
        Kind::Data,
        Some(64),
    );
    let from = router(Side::Clients, v6);
    for &kind in errors(v6) {
        for length in lengths(v6) {
            let packet = error(from, address, kind, &answer, length);
            stage.send(
                &format!("ICMP {} code {}", kind.0, kind.1),
                Side::Clients,
                &[packet],
            )?;
        }
    }
    // About a connection that there is not.
    let stranger = play.new_client();
    let answer =
        super::connection::packet_between(play, connection.to, stranger, Kind::Data, Some(64));
    let packet = error(from, address, errors(v6)[1], &answer, 1280);
    stage.send("ICMP about nothing", Side::Clients, &[packet])?;
    let echo = packet::icmp(
        connection.client.ip(),
        address,
        if v6 { 128 } else { 8 },
        0,
        0x0007_0001,
        b"ping",
    );
    let protocol = if v6 { number::ICMPV6 } else { number::ICMP };
    let ping = packet::ip(
        connection.client.ip(),
        address,
        protocol,
        &echo,
        Header::default(),
    );
    stage.send("ping", Side::Clients, &[ping])?;
    Ok(())
}

pub const TO_CLIENT: Script = Script {
    turns: 2,
    commands: servers_then_zero,
    packets: to_client,
    pauses: &[3],
    timeouts: None,
};

/// What Weir alone has told counts for Weir alone: with the second turn, when the kernel's counters have caught up, all
/// begin anew.
fn servers_then_zero(play: &mut Play, turn: usize) -> Vec<String> {
    if turn == 0 {
        return play.add_all(2, "");
    }
    let tells_more = match play.cell.transport.method {
        Method::Nat | Method::Dr => false,
        Method::Ipip | Method::Gue | Method::Gre => play.cell.transport.family != Family::V4,
    };
    if tells_more {
        vec![format!("-Z {}", play.service())]
    } else {
        Vec::new()
    }
}

/// Errors from real servers and from the way to them, about what clients sent.
fn to_client(play: &mut Play, turn: usize, stage: &mut Stage) -> Result<()> {
    if turn > 0 {
        return Ok(());
    }
    play.begin(stage)?;
    play.establish(0, stage)?;
    let connection = play.connections[0];
    let request = connection.from_client(play, Kind::Data);
    let got = stage.send_for_both("data", Side::Clients, std::slice::from_ref(&request))?;
    let Some(server) = connection.server else {
        return Ok(());
    };
    let sent = |which: usize| -> Option<&Seen> { got[which][1].first() };
    let (Some(of_ipvs), Some(of_weir)) = (sent(0), sent(1)) else {
        return Ok(());
    };
    match play.cell.transport.method {
        Method::Nat => {
            let v6 = play.v6();
            for &kind in errors(v6) {
                for length in lengths(v6) {
                    for from in [server.ip(), router(Side::Servers, v6)] {
                        let packet =
                            error(from, connection.client.ip(), kind, &of_ipvs.packet, length);
                        stage.send(
                            &format!("ICMP {} code {}", kind.0, kind.1),
                            Side::Servers,
                            &[packet],
                        )?;
                    }
                }
            }
        }
        Method::Dr => {
            // To the client directly; the director only routes it.
            let v6 = play.v6();
            let packet = error(
                server.ip(),
                connection.client.ip(),
                errors(v6)[2],
                &of_ipvs.packet,
                1280,
            );
            stage.send("ICMP past the director", Side::Servers, &[packet])?;
        }
        Method::Ipip | Method::Gue | Method::Gre => {
            let v6 = server.is_ipv6();
            let Some(_) = read::ip(&of_ipvs.packet) else {
                return Ok(());
            };
            for &kind in errors(v6) {
                for length in [if v6 { 96 } else { 84 }, 1280] {
                    let overhead = of_ipvs.packet.len() - request.len();
                    let quoting = |seen: &Seen| {
                        vec![error(
                            router(Side::Servers, v6),
                            own(v6),
                            kind,
                            &seen.packet,
                            length,
                        )]
                    };
                    stage.send_each(
                        &format!("ICMP {} code {} about the tunnel", kind.0, kind.1),
                        Side::Servers,
                        [quoting(of_ipvs), quoting(of_weir)],
                        |seen| match kind_within(kind, v6, play.v6(), overhead) {
                            Words::OfIpvs => {
                                for one in seen {
                                    tell_at_once(&mut one.packet, kind, overhead);
                                }
                            }
                            Words::None => {}
                            Words::OfWeir(told) => {
                                let within = length.min(of_weir.packet.len()) - overhead;
                                let about = &of_weir.packet[overhead..][..within];
                                seen.push(tell(play.address, connection.client.ip(), told, about));
                            }
                        },
                    )?;
                }
            }
        }
    }
    Ok(())
}

/// Who tells the client of an error about a tunnel, and how.
enum Words {
    /// IPVS does, and Weir alike: all is IPv4.
    OfIpvs,
    /// Only Weir does where there is IPv6 inside or outside.
    OfWeir((u8, u8, u32)),
    /// There is no word for it in the other family.
    None,
}

/// What the client hears of an error of the outer family: in the same family the same, of another in its words
/// (RFC 7915, 4.2 and 5.2), of IPv6's parameter problem that the host is not reached (RFC 2473, 8.2).
fn kind_within(kind: (u8, u8, u32), outer_v6: bool, inner_v6: bool, overhead: usize) -> Words {
    let overhead = u32::try_from(overhead).unwrap_or(0);
    let told = match (outer_v6, inner_v6, kind) {
        (false, false, _) => return Words::OfIpvs,
        // No link of IPv6 takes less than 1280 bytes.
        (true, true, (2, 0, mtu)) => (2, 0, (mtu - overhead).max(1280)),
        (true, true, (4, ..)) => (1, 3, 0),
        (true, true, same) => same,
        (true, false, (1, 1, _)) => (3, 10, 0),
        (true, false, (1, 4, _)) => (3, 3, 0),
        (true, false, (1 | 4, ..)) => (3, 1, 0),
        (true, false, (2, _, mtu)) => (3, 4, mtu - overhead),
        (true, false, (3, code, _)) => (11, code, 0),
        (false, true, (3, 0 | 1, _)) => (1, 0, 0),
        (false, true, (3, 3, _)) => (1, 4, 0),
        (false, true, (3, 4, mtu)) => (2, 0, (mtu - overhead).max(1280)),
        (false, true, (3, 13, _)) => (1, 1, 0),
        (false, true, (11, code, _)) => (3, code, 0),
        (true, false, _) | (false, true, _) => return Words::None,
    };
    Words::OfWeir(told)
}

/// The error that a client gets about its packet.
fn tell(address: IpAddr, client: IpAddr, kind: (u8, u8, u32), about: &[u8]) -> Seen {
    let message = packet::icmp(address, client, kind.0, kind.1, kind.2, about);
    let (protocol, tos) = if address.is_ipv6() {
        (number::ICMPV6, 0)
    } else {
        // Internetwork control, and the packet's own type of service, as Linux marks its errors.
        (number::ICMP, about.get(1).unwrap_or(&0) & 0x1e | 0xc0)
    };
    let header = Header {
        tos,
        id: 0,
        dont_fragment: false,
        ..Header::default()
    };
    Seen {
        hop: ROUTER,
        packet: packet::ip(address, client, protocol, &message, header),
    }
}

/// IPVS tells the client what its route to the real server says of the path's MTU. It asks for that route anew with the
/// next packet only, so that for the first errors this is what the link takes. What it should say is what the router has
/// said, less what wrapping adds.
fn tell_at_once(packet: &mut [u8], kind: (u8, u8, u32), overhead: usize) {
    const TOO_BIG: (u8, u8) = (3, 4);
    const LINK: usize = 1500;
    const HEADER: usize = 20;
    let link = u16::try_from(LINK - overhead).unwrap_or(0);
    let of_the_link = packet.len() >= HEADER + 8
        && packet[9] == number::ICMP
        && (packet[HEADER], packet[HEADER + 1]) == TOO_BIG
        && packet[HEADER + 6..HEADER + 8] == link.to_be_bytes();
    if (kind.0, kind.1) != TOO_BIG || !of_the_link {
        return;
    }
    let right = u16::try_from(kind.2 as usize - overhead).unwrap_or(0);
    packet[HEADER + 6..HEADER + 8].copy_from_slice(&right.to_be_bytes());
    packet[HEADER + 2..HEADER + 4].fill(0);
    let sum = packet::checksum(&[&packet[HEADER..]]);
    packet[HEADER + 2..HEADER + 4].copy_from_slice(&sum.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_link_takes_is_told_otherwise() {
        let [from, to] = [1, 2].map(|last| IpAddr::from([192, 0, 2, last]));
        let said = |kind, mtu| error(from, to, (3, kind, mtu), &[0x45; 28], 28);
        for (kind, mtu, then) in [(4, 1480, 1260), (4, 1400, 1400), (1, 1480, 1480)] {
            let mut packet = said(kind, mtu);
            tell_at_once(&mut packet, (3, kind, 1280), 20);
            assert_eq!(packet, said(kind, then));
        }
    }
}
