//! What is thrown at Weir: [`packet`] takes bytes as a frame, [`operations`] as a list of what happens
//! to a director, [`answers`] as what a real server answers to a health check, [`messages`] as a message of
//! SIP, [`vrrp`] and [`bfd`] as what another router says. All panic when something is not as it must be.
//!
//! `cargo run --release -- --seconds 20 --seed 1` runs them on stable; with nightly and cargo-fuzz
//! they are libFuzzer's targets. What was ever found lies in `regressions/`, a file each.

mod answers;
mod routers;

pub use answers::{WELL, answers};
pub use routers::{advertisements, bfd, controls, vrrp};

/// Messages whose Call-ID is found.
pub const MESSAGES: [&[u8]; 3] = [
    b"INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP c;branch=d\r\nFrom: <sip:e@f>;tag=g\r\nCall-ID: h@i\r\n\r\n",
    b"x\ri:@\rCall-ID :\r\n\tj\r\n",
    b"x\nI:\n k@\ni: l@m\n",
];

/// The packet path finds the Call-ID in a message that reading it as a whole finds.
pub fn messages(data: &[u8]) {
    let found = weir_rows::calls::reading::found(data).map(|(id, _)| id);
    assert_eq!(found.as_deref(), weir_rows::calls::reading::call_id(data));
}

use weir_abi::connection::INACTIVE;
use weir_abi::reason::{Outcome, Reason};
use weir_abi::service::{AVAILABLE, PRESENT};
use weir_abi::sysctl::Sysctl;
use weir_rows::bench::{Bench as _, Hook};
use weir_rows::cases::{from_client, from_server};
use weir_rows::host::Host;
use weir_rows::network::{Family, Link};
use weir_rows::packet::{ACK, SYN, Transport};
use weir_rows::setup::Setup;
use weir_rows::snapshot::Snapshot;

/// Room for connections of each family: few, so that tables are full now and then.
const CONNECTIONS: u32 = 5;

/// A director with a service of TCP and one of UDP for both families, two real servers each.
fn director(hook: Hook) -> Host {
    let mut setup = Setup {
        capacity: Some(CONNECTIONS),
        ..Setup::default()
    };
    for family in Family::ALL {
        let servers = [(family.server(1, 8080), 1), (family.server(2, 8080), 2)];
        for protocol in [6, 17] {
            let service = Setup::servers(family, protocol, &servers).services;
            setup.services.extend(service);
            let check = (protocol, family.vip(80), 41_000, family.server(1, 0).ip());
            setup.checks.push(check);
        }
    }
    let mut host = Host::new(hook);
    setup.fill(&mut host);
    host
}

/// The first byte says hook and link; the rest is a frame. What is passed is untouched, and the
/// tables stay consistent.
pub fn packet(data: &[u8]) {
    let Some((choice, frame)) = data.split_first() else {
        return;
    };
    let hook = if choice & 1 == 0 { Hook::Xdp } else { Hook::Tc };
    let link = if choice & 2 == 0 {
        Link::Outside
    } else {
        Link::Inside
    };
    let mut host = director(hook);
    for family in Family::ALL {
        for flags in [SYN, ACK] {
            let packet = from_client(family, 1, Transport::Tcp(flags));
            host.run(Link::Outside, &packet.frame());
        }
    }
    let verdict = host.run(link, frame);
    let outcome = verdict.reason.expect("the host says it").outcome();
    match outcome {
        Outcome::Passed | Outcome::Dropped => {
            let rewritten = [Reason::ToBeFragmented, Reason::CheckReply];
            let left_to_kernel = rewritten.map(Some).contains(&verdict.reason);
            assert!(
                left_to_kernel || verdict.frame == frame,
                "{:?}",
                verdict.reason
            );
        }
        // Kept, to be met again.
        Outcome::Held => {}
        Outcome::Answered => assert!(verdict.frame.len() <= 14 + 1280),
        Outcome::Forwarded => {
            // Two tags at most are taken off.
            let less = frame.len() - verdict.frame.len();
            assert!([0, 4, 8].contains(&less));
        }
    }
    check(&host);
}

/// Three bytes are an event: what, who, how.
pub fn operations(data: &[u8]) {
    let Some((choice, events)) = data.split_first() else {
        return;
    };
    let mut host = director(if choice & 1 == 0 { Hook::Xdp } else { Hook::Tc });
    for event in events.chunks_exact(3) {
        happens(&mut host, event[0], event[1], event[2]);
        check(&host);
    }
    host.wait(60_000);
    host.reap();
    check(&host);
    assert!(Snapshot::take(&host).connections.is_empty());
}

fn happens(host: &mut Host, what: u8, who: u8, how: u8) {
    let family = Family::ALL[usize::from(who & 1)];
    let transport = if how & 0x80 == 0 {
        Transport::Tcp(how & 0x1f)
    } else {
        Transport::Udp
    };
    let number = 1 + (who >> 1 & 1);
    let port = 40_000 + u16::from(who >> 2 & 3);
    match what % 16 {
        0..=6 => {
            let mut packet = from_client(family, number, transport);
            packet.source.set_port(port);
            packet.hops = if who & 0x80 == 0 { 64 } else { 1 };
            host.run(Link::Outside, &packet.frame());
        }
        7..=10 => {
            let mut packet = from_server(family, number, transport);
            packet.destination.set_port(port);
            host.run(Link::Inside, &packet.frame());
        }
        11 => host.wait(u32::from(who) << (how & 7)),
        12 => host.reap(),
        13 => {
            let slot = usize::from(who & 7);
            host.memory.destinations[slot]
                .weight
                .store((how & 3).into());
        }
        14 => {
            let flags = &host.memory.destinations[usize::from(who & 7)].flags;
            flags.store(PRESENT | (flags.load() ^ AVAILABLE) & AVAILABLE);
        }
        _ => {
            let settings = &host.memory.settings;
            settings
                .sysctl(Sysctl::ExpireNodestConn)
                .store((how & 1).into());
            settings
                .sysctl(Sysctl::ConnReuseMode)
                .store((who & 1).into());
        }
    }
}

/// The counters are those of the connections that live, each of which has its two flows, and no
/// slot is lost.
fn check(host: &Host) {
    let found = Snapshot::take(host);
    for family in Family::ALL {
        let own = found.connections.keys().filter(|key| key.0 == family);
        let live = own.count() as u32;
        let (counted, used) = found.usage[&family];
        assert_eq!(counted, live, "live connections of {family:?}");
        let free = match family {
            Family::V4 => &host.memory.free4,
            Family::V6 => &host.memory.free6,
        };
        let free = free.borrow();
        assert_eq!(free.len() as u32 + live, used, "slots of {family:?}");
        for slot in free.iter() {
            assert!(!found.connections.contains_key(&(family, *slot)));
        }
    }
    assert_eq!(found.flows.len(), 2 * found.connections.len());
    for (slot, server) in (0u32..).zip(&found.destinations) {
        let own = || found.connections.values().filter(|c| c.destination == slot);
        let inactive = own().filter(|c| c.flags & INACTIVE != 0).count() as u32;
        assert_eq!(server.inactive, inactive, "InActConn of {slot}");
        let active = own().count() as u32 - inactive;
        assert_eq!(server.active, active, "ActiveConn of {slot}");
    }
}
