//! Whether it answers a ping.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use socket2::Protocol;
use tokio::net::UdpSocket;
use weir_health::answer::echo::{Version, is_reply, request, without_ipv4_header};
use weir_health::verdict::{Outcome, Reading};

use crate::Finding;
use crate::socket::{self, refused};
use crate::talk::{Fault, Talk};
use crate::udp::send;

/// Replies are as long as the request, and some network may show a header before.
const READ: usize = 256;

/// Whether the kernel lets us have sockets of ICMP alone (`net.ipv4.ping_group_range`). Once it has
/// not, packets are taken at once.
static DATAGRAMS: AtomicBool = AtomicBool::new(true);

pub async fn check(talk: &mut Talk<'_>) -> Finding {
    let (version, protocol) = match talk.target {
        SocketAddr::V4(_) => (Version::V4, Protocol::ICMPV4),
        SocketAddr::V6(_) => (Version::V6, Protocol::ICMPV6),
    };
    let (socket, raw) = open(talk, protocol)?;
    let (id, sequence) = (talk.prober.number(), talk.prober.number());
    send(talk, &socket, &request(version, id, sequence)).await?;
    let receiving = async {
        let mut packet = vec![0; READ];
        loop {
            let received = socket.recv(&mut packet).await;
            let length = received.map_err(|error| refused(&error))?;
            let packet = match (raw, version) {
                (true, Version::V4) => without_ipv4_header(&packet[..length]),
                (true, Version::V6) | (false, _) => &packet[..length],
            };
            if is_reply(version, packet, raw.then_some(id), sequence) {
                return Ok::<_, Fault>(length);
            }
        }
    };
    let length = talk.step("echo reply", receiving).await?;
    talk.tell("echo reply", || format!("{length} bytes"));
    Ok((Outcome::Passed, Reading::default()))
}

/// A socket, and whether it shows whole packets.
fn open(talk: &Talk<'_>, protocol: Protocol) -> Result<(UdpSocket, bool), Fault> {
    if DATAGRAMS.load(Ordering::Relaxed) {
        match socket::datagrams(talk, protocol) {
            Err(Fault::Ours(_)) => {}
            other => return other.map(|socket| (socket, false)),
        }
        let raw = socket::packets(talk, protocol)?;
        DATAGRAMS.store(false, Ordering::Relaxed);
        return Ok((raw, true));
    }
    Ok((socket::packets(talk, protocol)?, true))
}
