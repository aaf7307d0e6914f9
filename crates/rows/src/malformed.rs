//! Packets that are cut short, or whose lengths contradict each other: never rewritten, never
//! counted for anybody, left as they came.

use weir_abi::reason::Outcome;

use crate::bench::Bench;
use crate::cases::{from_client, from_server, handshake};
use crate::network::{Family, Link};
use crate::packet::{ACK, Packet, SYN, Transport};
use crate::row::{Row, play};
use crate::setup::Setup;
use crate::snapshot::Snapshot;

/// Frames with what is wrong with them, and the link that they come in by. None is shorter than
/// `least` bytes.
fn frames(family: Family, least: usize) -> Vec<(String, Link, Vec<u8>)> {
    let mut frames = Vec::new();
    for (link, packet) in packets(family) {
        let frame = packet.frame();
        for length in least..frame.len() {
            let name = format!("{} of {} bytes of {packet:?}", length, frame.len());
            frames.push((name, link, frame[..length].to_vec()));
        }
    }
    let frame = from_client(family, 1, Transport::Tcp(SYN)).frame();
    for (name, at, bytes) in contradictions(family) {
        let mut frame = frame.clone();
        frame[at..at + bytes.len()].copy_from_slice(&bytes);
        frames.push((name.to_owned(), Link::Outside, frame));
    }
    frames
}

fn packets(family: Family) -> Vec<(Link, Packet)> {
    let syn = from_client(family, 1, Transport::Tcp(SYN));
    let request = from_client(family, 1, Transport::Tcp(ACK));
    let reply = from_server(family, 1, Transport::Tcp(ACK));
    let datagram = from_client(family, 1, Transport::Udp);
    let mut packets = vec![
        (
            Link::Outside,
            Packet {
                tags: vec![(0x88a8, 1), (0x8100, 2)],
                ..syn.clone()
            },
        ),
        (Link::Outside, request),
        (Link::Inside, reply),
        (Link::Outside, datagram),
    ];
    packets.push(match family {
        Family::V4 => (
            Link::Outside,
            Packet {
                options: vec![1; 40],
                ..syn.clone()
            },
        ),
        Family::V6 => (
            Link::Outside,
            Packet {
                extensions: vec![0, 60, 43],
                ..syn.clone()
            },
        ),
    });
    packets.push((Link::Outside, syn));
    packets
}

/// What is wrong, where, and the bytes that say it.
fn contradictions(family: Family) -> Vec<(&'static str, usize, Vec<u8>)> {
    const NETWORK: usize = 14;
    match family {
        Family::V4 => vec![
            ("version 6 in IPv4", NETWORK, vec![0x65]),
            ("version 0 in IPv4", NETWORK, vec![0x05]),
            ("a header of 16 bytes", NETWORK, vec![0x44]),
            ("a header of 0 bytes", NETWORK, vec![0x40]),
            ("a header longer than the packet", NETWORK, vec![0x4f]),
            ("total length 0", NETWORK + 2, vec![0, 0]),
            (
                "total length of the header less one",
                NETWORK + 2,
                vec![0, 19],
            ),
            ("total length of the header", NETWORK + 2, vec![0, 20]),
            ("total length that cuts TCP", NETWORK + 2, vec![0, 39]),
            ("total length beyond the frame", NETWORK + 2, vec![0, 45]),
            (
                "total length far beyond the frame",
                NETWORK + 2,
                vec![0xff, 0xff],
            ),
        ],
        Family::V6 => vec![
            ("version 4 in IPv6", NETWORK, vec![0x40]),
            ("payload length 0", NETWORK + 4, vec![0, 0]),
            ("payload length that cuts TCP", NETWORK + 4, vec![0, 19]),
            ("payload length beyond the frame", NETWORK + 4, vec![0, 25]),
            (
                "payload length far beyond the frame",
                NETWORK + 4,
                vec![0xff, 0xff],
            ),
            (
                "an extension header beyond the packet",
                NETWORK + 6,
                vec![60],
            ),
        ],
    }
}

/// Sends all such frames while a connection exists that most of them would belong to. How many.
///
/// # Errors
///
/// Those that were not left alone.
pub fn every_frame<B: Bench>(bench: &mut B, family: Family, least: usize) -> Result<usize, String> {
    let mut setup = Setup::simple(family, 6);
    let mut datagrams = Setup::simple(family, 17).services;
    setup.services.append(&mut datagrams);
    play(
        bench,
        &Row::new("before the frames", setup, handshake(family)),
    )?;
    let before = Snapshot::take(bench);
    let frames = frames(family, least);
    let mut wrong = Vec::new();
    for (name, link, frame) in &frames {
        let verdict = bench.run(*link, frame);
        let outcome = verdict
            .reason
            .map_or(Outcome::Passed, |reason| reason.outcome());
        let mut after = Snapshot::take(bench);
        // Only time goes by.
        for (key, connection) in &mut after.connections {
            if let Some(known) = before.connections.get(key) {
                connection.seconds = known.seconds;
            }
        }
        if outcome != Outcome::Passed || verdict.frame != *frame || after != before {
            wrong.push(format!("{name}: {:?}", verdict.reason));
        }
    }
    if wrong.is_empty() {
        Ok(frames.len())
    } else {
        Err(wrong.join("\n"))
    }
}
