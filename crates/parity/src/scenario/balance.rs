//! Who gets which connection, and what becomes of it when services and real servers change.

use super::{Kind, Play, Script};
use crate::stage::Stage;
use anyhow::Result;

pub const BALANCE: Script = Script {
    turns: 3,
    commands: balance_commands,
    packets: balance_packets,
    pauses: &[],
    timeouts: None,
};

fn balance_commands(play: &mut Play, turn: usize) -> Vec<String> {
    match turn {
        0 => play.add_all(4, ""),
        1 => {
            let (edited, weight) = (play.random.one(&[0, 1]), play.random.one(&[1, 2, 5]));
            vec![
                play.edit_server(edited, weight),
                play.delete_server(2),
                play.add_server(4, 2),
            ]
        }
        _ => vec![
            play.add_server(2, 1),
            play.edit_server(3, 0),
            play.edit_server(4, 3),
        ],
    }
}

fn balance_packets(play: &mut Play, turn: usize, stage: &mut Stage) -> Result<()> {
    let before = play.connections.len();
    for index in before..before + [9, 6, 5][turn] {
        play.begin(stage)?;
        if play.random.once_in(2) {
            play.establish(index, stage)?;
        }
        if play.random.once_in(4) {
            play.client_says(index, Kind::Close, stage)?;
            play.server_says(index, Kind::Close, stage)?;
        }
    }
    // Who was there before goes on.
    for index in 0..before.min(4) {
        play.client_says(index, Kind::Data, stage)?;
    }
    Ok(())
}

pub const EDIT: Script = Script {
    turns: 4,
    commands: edit_commands,
    packets: edit_packets,
    // A real server that comes back in another service begins at zero, which is for IPVS what its estimator saw last.
    pauses: &[0, 0, 3],
    timeouts: None,
};

fn edit_commands(play: &mut Play, turn: usize) -> Vec<String> {
    match turn {
        0 => play.add_all(3, ""),
        // Real servers go while connections use them.
        1 => vec![play.delete_server(0), play.delete_server(1)],
        // One comes back; the scheduler is another for a moment.
        2 => vec![
            play.add_server(0, 2),
            format!("-E {} -s wlc", play.service()),
            format!("-E {} {}", play.service(), play.scheduler()),
        ],
        // The service goes, and another one takes its place.
        _ => {
            let mut lines = vec![format!("-D {}", play.service())];
            lines.push(play.add_service(""));
            lines.push(play.add_server(2, 1));
            lines
        }
    }
}

fn edit_packets(play: &mut Play, turn: usize, stage: &mut Stage) -> Result<()> {
    for index in 0..play.connections.len() {
        play.client_says(index, Kind::Data, stage)?;
        play.server_says(index, Kind::Data, stage)?;
    }
    let before = play.connections.len();
    play.begin_several(if turn == 0 { 6 } else { 3 }, stage)?;
    for index in before..play.connections.len() {
        play.establish(index, stage)?;
    }
    Ok(())
}

pub const QUIESCE: Script = Script {
    turns: 3,
    commands: quiesce_commands,
    packets: quiesce_packets,
    pauses: &[],
    timeouts: None,
};

fn quiesce_commands(play: &mut Play, turn: usize) -> Vec<String> {
    match turn {
        0 => play.add_all(3, ""),
        1 => vec![play.edit_server(0, 0), play.edit_server(1, 0)],
        _ => vec![play.edit_server(0, 3), play.edit_server(2, 0)],
    }
}

fn quiesce_packets(play: &mut Play, _turn: usize, stage: &mut Stage) -> Result<()> {
    for index in 0..play.connections.len() {
        play.client_says(index, Kind::Data, stage)?;
        play.server_says(index, Kind::Data, stage)?;
    }
    let before = play.connections.len();
    play.begin_several(4, stage)?;
    for index in before..play.connections.len() {
        play.establish(index, stage)?;
    }
    Ok(())
}
