//! What decides beside the scheduler: thresholds, persistence, marks, nobody there.

use super::{Kind, Play, Script};
use crate::director::{self, Side};
use crate::stage::Stage;
use anyhow::Result;
use std::net::SocketAddr;

const PLAIN: Script = Script {
    turns: 2,
    commands: nothing,
    packets: eight_connections,
    pauses: &[],
    timeouts: None,
};

fn nothing(_play: &mut Play, _turn: usize) -> Vec<String> {
    Vec::new()
}

fn eight_connections(play: &mut Play, _turn: usize, stage: &mut Stage) -> Result<()> {
    play.begin_several(8, stage)
}

pub const THRESHOLDS: Script = Script {
    turns: 3,
    commands: thresholds_commands,
    packets: thresholds_packets,
    ..PLAIN
};

fn thresholds_commands(play: &mut Play, turn: usize) -> Vec<String> {
    match turn {
        0 => vec![
            play.add_service(""),
            play.with_server("-a", 0, "-w 1 -x 2 -y 1"),
            play.with_server("-a", 1, "-w 2 -x 3"),
            play.with_server("-a", 2, "-w 1 -x 1"),
        ],
        // More room; then none that is limited.
        1 => vec![
            play.with_server("-e", 0, "-w 1 -x 5 -y 2"),
            play.with_server("-e", 2, "-w 1 -x 2"),
        ],
        _ => vec![
            play.with_server("-e", 1, "-w 2"),
            play.with_server("-e", 0, "-w 1 -x 1 -y 0"),
        ],
    }
}

fn thresholds_packets(play: &mut Play, turn: usize, stage: &mut Stage) -> Result<()> {
    let before = play.connections.len();
    play.begin_several(if turn == 0 { 8 } else { 6 }, stage)?;
    for index in before..before + 3 {
        play.establish(index, stage)?;
    }
    Ok(())
}

pub const PERSISTENT: Script = Script {
    turns: 3,
    commands: persistent_commands,
    packets: persistent_packets,
    ..PLAIN
};

pub const MARK_PERSISTENT: Script = PERSISTENT;

fn persistent_commands(play: &mut Play, turn: usize) -> Vec<String> {
    match turn {
        0 => play.add_all(3, "-p 50"),
        1 => vec![play.edit_server(0, 0)],
        _ => vec![play.delete_server(1), play.edit_server(0, 2)],
    }
}

fn persistent_packets(play: &mut Play, turn: usize, stage: &mut Stage) -> Result<()> {
    for number in 1..6 {
        for _ in 0..2 {
            let port = play.new_client().port();
            let client = SocketAddr::new(director::client(play.v6(), number), port);
            let to = play.virtual_end();
            play.begin_between(client, to, stage)?;
        }
        if number % 2 == 0 {
            play.establish(play.connections.len() - 1, stage)?;
        }
    }
    if turn > 0 {
        for index in 0..6 {
            play.client_says(index, Kind::Data, stage)?;
        }
    }
    Ok(())
}

pub const NETMASK: Script = Script {
    turns: 2,
    commands: netmask_commands,
    packets: netmask_packets,
    ..PLAIN
};

fn netmask_commands(play: &mut Play, turn: usize) -> Vec<String> {
    let mask = if play.v6() { "124" } else { "255.255.255.240" };
    match turn {
        0 => play.add_all(3, &format!("-p 50 -M {mask}")),
        _ => vec![format!("-E {} {} -p 40", play.service(), play.scheduler())],
    }
}

fn netmask_packets(play: &mut Play, _turn: usize, stage: &mut Stage) -> Result<()> {
    for number in [1, 2, 14, 17, 18, 33, 34, 60] {
        let port = play.new_client().port();
        let client = SocketAddr::new(director::client(play.v6(), number), port);
        let to = play.virtual_end();
        play.begin_between(client, to, stage)?;
    }
    Ok(())
}

pub const PORT_ZERO: Script = Script {
    commands: port_zero_commands,
    packets: ports_packets,
    ..PLAIN
};

fn port_zero_commands(play: &mut Play, turn: usize) -> Vec<String> {
    match turn {
        0 => play.add_all(3, "-p 50"),
        _ => vec![play.edit_server(1, 0)],
    }
}

/// Connections of few clients to several ports.
fn ports_packets(play: &mut Play, _turn: usize, stage: &mut Stage) -> Result<()> {
    for number in 1..5 {
        for port in 0..3 {
            let client = SocketAddr::new(
                director::client(play.v6(), number),
                play.new_client().port(),
            );
            let to = SocketAddr::new(play.address, play.port + port);
            play.begin_between(client, to, stage)?;
        }
    }
    Ok(())
}

pub const MARK: Script = Script {
    commands: mark_commands,
    packets: ports_packets,
    ..PLAIN
};

fn mark_commands(play: &mut Play, turn: usize) -> Vec<String> {
    match turn {
        0 => play.add_all(3, ""),
        _ => vec![play.edit_server(1, 0), play.delete_server(0)],
    }
}

pub const ONE_PACKET: Script = Script {
    commands: one_packet_commands,
    packets: one_packet_packets,
    ..PLAIN
};

fn one_packet_commands(play: &mut Play, turn: usize) -> Vec<String> {
    match turn {
        0 => play.add_all(3, "-o"),
        _ => vec![play.edit_server(0, 0)],
    }
}

fn one_packet_packets(play: &mut Play, _turn: usize, stage: &mut Stage) -> Result<()> {
    let before = play.connections.len();
    play.begin_several(4, stage)?;
    for index in before..before + 2 {
        play.client_says(index, Kind::Data, stage)?;
        play.server_says(index, Kind::Data, stage)?;
        play.client_says(index, Kind::Data, stage)?;
    }
    Ok(())
}

pub const NO_SERVER: Script = Script {
    commands: no_server_commands,
    packets: no_server_packets,
    ..PLAIN
};

fn no_server_commands(play: &mut Play, turn: usize) -> Vec<String> {
    match turn {
        0 => vec![play.add_service("")],
        _ => vec![play.add_server(0, 0), play.add_server(1, 0)],
    }
}

fn no_server_packets(play: &mut Play, _turn: usize, stage: &mut Stage) -> Result<()> {
    play.begin_several(2, stage)?;
    // What belongs to nothing.
    let (client, to) = (play.new_client(), play.virtual_end());
    for kind in [Kind::Data, Kind::Reset] {
        let packet = super::connection::packet_between(play, client, to, kind, None);
        stage.send("stray", Side::Clients, &[packet])?;
    }
    Ok(())
}

pub const LOCAL: Script = Script {
    turns: 1,
    commands: local_commands,
    packets: local_packets,
    ..PLAIN
};

/// The director itself is a real server beside another.
fn local_commands(play: &mut Play, _turn: usize) -> Vec<String> {
    let own = SocketAddr::new(director::own(play.v6()), play.server_port);
    vec![
        play.add_service(""),
        format!("-a {} -r {own} {} -w 1", play.service(), play.method()),
        play.add_server(0, 1),
    ]
}

/// Nobody listens on the director: what its stack says to that comes back as the service's answer.
fn local_packets(play: &mut Play, _turn: usize, stage: &mut Stage) -> Result<()> {
    play.begin_several(4, stage)
}
