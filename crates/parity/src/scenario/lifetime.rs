//! States, timeouts, and ports that are used again.

use super::{Kind, Play, Script};
use crate::cell::Protocol;
use crate::packet::{chunk, flag};
use crate::stage::Stage;
use anyhow::Result;

pub const STATES: Script = Script {
    turns: 1,
    commands: two_servers,
    packets: states_packets,
    pauses: &[],
    timeouts: None,
};

fn two_servers(play: &mut Play, turn: usize) -> Vec<String> {
    if turn == 0 {
        play.add_all(2, "")
    } else {
        Vec::new()
    }
}

/// Mostly what happens in life.
const TCP: &[(bool, u8)] = &[
    (false, flag::SYN | flag::ACK),
    (false, flag::SYN | flag::ACK),
    (true, flag::ACK),
    (true, flag::ACK),
    (true, flag::PSH | flag::ACK),
    (false, flag::PSH | flag::ACK),
    (true, flag::FIN | flag::ACK),
    (false, flag::FIN | flag::ACK),
    (true, flag::SYN),
    (true, flag::RST),
    (false, flag::RST | flag::ACK),
    (false, flag::ACK),
    (true, flag::SYN | flag::ACK),
    (false, flag::SYN),
    (true, 0),
    (false, 0),
    (true, flag::SYN | flag::FIN),
];

const SCTP: &[(bool, u8)] = &[
    (false, chunk::INIT_ACK),
    (true, chunk::COOKIE_ECHO),
    (false, chunk::COOKIE_ACK),
    (true, chunk::DATA),
    (false, chunk::DATA),
    (true, chunk::SHUTDOWN),
    (false, chunk::SHUTDOWN),
    (true, chunk::SHUTDOWN_ACK),
    (false, chunk::SHUTDOWN_ACK),
    (true, chunk::SHUTDOWN_COMPLETE),
    (false, chunk::SHUTDOWN_COMPLETE),
    (true, chunk::ABORT),
    (false, chunk::ABORT),
    (true, chunk::ERROR),
    (true, chunk::INIT),
    (true, chunk::INIT_ACK),
];

fn states_packets(play: &mut Play, _turn: usize, stage: &mut Stage) -> Result<()> {
    for index in 0..12 {
        play.begin(stage)?;
        for _ in 0..play.random.below(7) {
            let (from_client, kind) = match play.cell.transport.protocol {
                Protocol::Tcp => play.random.one(TCP),
                Protocol::Sctp => play.random.one(SCTP),
                Protocol::Udp => (play.random.once_in(2), 0),
            };
            if from_client {
                play.client_says(index, Kind::Raw(kind), stage)?;
            } else {
                play.server_says(index, Kind::Raw(kind), stage)?;
            }
        }
    }
    Ok(())
}

/// Long enough for each to be seen alive once and gone once.
pub const TIMEOUTS: Script = Script {
    turns: 4,
    commands: two_servers,
    packets: timeouts_packets,
    pauses: &[3, 8, 14, 20],
    timeouts: Some([20, 6, 8]),
};

fn timeouts_packets(play: &mut Play, turn: usize, stage: &mut Stage) -> Result<()> {
    if turn > 0 {
        return Ok(());
    }
    for index in 0..8 {
        play.begin(stage)?;
        if index > 1 {
            play.establish(index, stage)?;
        }
        match index {
            4 => {
                play.client_says(index, Kind::Close, stage)?;
                play.server_says(index, Kind::Closed, stage)?;
            }
            5 => {
                play.client_says(index, Kind::Close, stage)?;
                play.server_says(index, Kind::Close, stage)?;
                play.client_says(index, Kind::Closed, stage)?;
            }
            6 => play.client_says(index, Kind::Reset, stage)?,
            7 => play.server_says(index, Kind::Reset, stage)?,
            _ => {}
        }
    }
    Ok(())
}

pub const REUSE: Script = Script {
    turns: 2,
    commands: reuse_commands,
    packets: reuse_packets,
    pauses: &[],
    timeouts: None,
};

fn reuse_commands(play: &mut Play, turn: usize) -> Vec<String> {
    match turn {
        0 => play.add_all(3, ""),
        _ => vec![play.edit_server(0, 0)],
    }
}

fn reuse_packets(play: &mut Play, _turn: usize, stage: &mut Stage) -> Result<()> {
    let before = play.connections.len();
    play.begin_several(4, stage)?;
    for index in before..before + 4 {
        play.establish(index, stage)?;
        // The first goes on, the second is being closed, the third has been, the fourth was cut off.
        match index - before {
            1 => play.client_says(index, Kind::Close, stage)?,
            2 => {
                play.client_says(index, Kind::Close, stage)?;
                play.server_says(index, Kind::Close, stage)?;
                play.client_says(index, Kind::Closed, stage)?;
            }
            3 => play.client_says(index, Kind::Reset, stage)?,
            _ => {}
        }
    }
    for index in 0..play.connections.len() {
        let connection = play.connections[index];
        play.client_says(index, Kind::Open, stage)?;
        play.connections[index] = connection;
        play.client_says(index, Kind::Confirm, stage)?;
    }
    Ok(())
}
