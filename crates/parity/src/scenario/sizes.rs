//! TTLs, MTUs, fragments.

use super::connection::packet_between;
use super::{Kind, NARROW_SERVER, Play, Script};
use crate::cell::Method;
use crate::director::Side;
use crate::packet;
use crate::stage::Stage;
use anyhow::Result;

pub const TTL: Script = Script {
    turns: 1,
    commands: two_servers,
    packets: ttl_packets,
    pauses: &[],
    timeouts: None,
};

fn two_servers(play: &mut Play, _turn: usize) -> Vec<String> {
    play.add_all(2, "")
}

fn set_ttl(packet: &mut [u8], ttl: u8) {
    if packet[0] >> 4 == 4 {
        packet[8] = ttl;
        packet::seal(packet);
    } else {
        packet[7] = ttl;
    }
}

fn ttl_packets(play: &mut Play, _turn: usize, stage: &mut Stage) -> Result<()> {
    play.begin(stage)?;
    play.establish(0, stage)?;
    for ttl in [2, 1, 0] {
        let connection = play.connections[0];
        let mut packet = connection.from_client(play, Kind::Data);
        set_ttl(&mut packet, ttl);
        stage.send(&format!("ttl {ttl}"), Side::Clients, &[packet])?;
        if play.cell.transport.method == Method::Nat
            && let Some(mut packet) = connection.from_server(play, Kind::Data)
        {
            set_ttl(&mut packet, ttl);
            stage.send(&format!("ttl {ttl}"), Side::Servers, &[packet])?;
        }
    }
    // A connection that begins so.
    let (client, to) = (play.new_client(), play.virtual_end());
    let mut packet = packet_between(play, client, to, Kind::Open, None);
    set_ttl(&mut packet, 1);
    stage.send("ttl 1", Side::Clients, &[packet])?;
    Ok(())
}

pub const MTU: Script = Script {
    turns: 1,
    commands: narrow_server,
    packets: mtu_packets,
    pauses: &[],
    timeouts: None,
};

fn narrow_server(play: &mut Play, _turn: usize) -> Vec<String> {
    vec![play.add_service(""), play.add_server(NARROW_SERVER, 1)]
}

fn mtu_packets(play: &mut Play, _turn: usize, stage: &mut Stage) -> Result<()> {
    play.begin(stage)?;
    play.establish(0, stage)?;
    let connection = play.connections[0];
    for length in [1200, 1300, 1330, 1350, 1400, 1440] {
        let packet = packet_between(
            play,
            connection.client,
            connection.to,
            Kind::Data,
            Some(length),
        );
        stage.send(
            &format!("{length} bytes"),
            Side::Clients,
            std::slice::from_ref(&packet),
        )?;
        if packet[0] >> 4 == 4 {
            let mut packet = packet;
            packet[6] &= !0x40;
            packet::seal(&mut packet);
            stage.send(
                &format!("{length} bytes without DF"),
                Side::Clients,
                &[packet],
            )?;
        }
    }
    Ok(())
}

pub const FRAGMENTS: Script = Script {
    turns: 1,
    commands: two_servers,
    packets: fragments_packets,
    pauses: &[],
    timeouts: None,
};

fn fragments_packets(play: &mut Play, _turn: usize, stage: &mut Stage) -> Result<()> {
    play.begin_several(2, stage)?;
    play.establish(0, stage)?;
    for (order, about) in [
        ([0, 1, 2], "fragments in order"),
        ([2, 1, 0], "fragments backwards"),
        ([1, 0, 2], "fragments, the second first"),
    ] {
        let connection = play.connections[0];
        let (client, to) = (connection.client, connection.to);
        let packet = packet_between(play, client, to, Kind::Data, Some(1000));
        send(about, play, &packet, order, Side::Clients, stage)?;
        // A datagram that begins a connection.
        let client = play.new_client();
        let packet = packet_between(play, client, to, Kind::Open, Some(1000));
        send(about, play, &packet, order, Side::Clients, stage)?;
        if let (Method::Nat, Some(server)) = (play.cell.transport.method, connection.server) {
            let packet = packet_between(play, server, connection.client, Kind::Data, Some(1000));
            send(about, play, &packet, order, Side::Servers, stage)?;
        }
    }
    Ok(())
}

fn send(
    about: &str,
    _play: &Play,
    packet: &[u8],
    order: [usize; 3],
    side: Side,
    stage: &mut Stage,
) -> Result<()> {
    let mut packet = packet.to_vec();
    if packet[0] >> 4 == 4 {
        packet[6] &= !0x40;
    }
    let pieces = packet::fragments(&packet, 400);
    let ordered: Vec<_> = order
        .iter()
        .filter_map(|&at| pieces.get(at).cloned())
        .collect();
    stage.send(about, side, &ordered)?;
    Ok(())
}
