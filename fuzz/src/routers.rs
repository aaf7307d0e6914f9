//! Hostile advertisements and control packets, against a router that listens.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU8;
use std::time::Duration;

use weir_bfd::packet::Control;
use weir_bfd::{PORT, Received, Sessions};
use weir_config::model::InterfaceName;
use weir_config::model::vrrp::{
    Authentication, BfdInstance, HmacKey, HmacMode, Instance, Priority, ReplayProtection, Version,
    VirtualAddress, VirtualRouterId, Vrrp, Weighting,
};
use weir_vrrp::{Action, Event, Moment, Packet, Router, State};

const SECOND: Duration = Duration::from_secs(1);
/// 40.95 s is the longest interval that version 3 can say; four of them with the skew.
const LONGEST: Duration = Duration::from_secs(165);
/// Ways to speak: version 2 without, with password, with header; version 3 over IPv4, with HMAC, over IPv6.
const WAYS: u8 = 6;

fn address(v6: bool, last: u8) -> IpAddr {
    match v6 {
        true => Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, last.into()).into(),
        false => Ipv4Addr::new(192, 0, 2, last).into(),
    }
}

fn config(way: u8, priority: u8) -> Vrrp {
    let v6 = way == 5;
    let interface = InterfaceName::new("eth0").expect("a name");
    let number = VirtualRouterId::new(51).expect("not 0");
    let prefix = if v6 { 64 } else { 24 };
    let instance = Instance {
        version: if way < 3 { Version::V2 } else { Version::V3 },
        v6,
        priority: Priority::new(priority).expect("not 0"),
        addresses: vec![VirtualAddress::new(address(v6, 10), prefix)],
        authentication: match way {
            1 => Authentication::Password(*b"password"),
            2 => Authentication::Header(*b"password"),
            4 => Authentication::Hmac {
                keys: vec![HmacKey {
                    id: 1,
                    secret: vec![7; 32],
                    file: None,
                }],
                active: 1,
                replay: ReplayProtection::Time {
                    window: SECOND * 60,
                },
                mode: HmacMode::Enforce,
            },
            _ => Authentication::None,
        },
        ..Instance::new("v", interface, number)
    };
    Vrrp {
        instances: vec![instance],
        ..Vrrp::default()
    }
}

fn moment(now: Duration) -> Moment {
    Moment {
        now,
        wall: Duration::from_secs(1_700_000_000) + now,
    }
}

/// A router that has begun, and what it has sent until then.
fn router(way: u8, priority: u8, until: Duration) -> (Router, Vec<Vec<u8>>) {
    let mut router = Router::new(&config(way, priority), moment(SECOND), &[]);
    let mut actions = Vec::new();
    let own = [address(way == 5, priority)];
    let (interface, name) = ("eth0", "eth0");
    let events = [
        Event::Interface { name, up: true },
        Event::Addresses {
            interface,
            addresses: &own,
        },
        Event::PathInPlace(true),
        Event::Start,
    ];
    for event in events {
        router.handle(moment(SECOND), &event, &mut actions);
    }
    while let Some(at) = router.next_deadline().filter(|at| *at <= until) {
        router.handle(moment(at.max(SECOND)), &Event::Tick, &mut actions);
    }
    let sent = actions.into_iter().filter_map(|action| match action {
        Action::Send(datagram) => Some(datagram.bytes),
        _ => None,
    });
    (router, sent.collect())
}

/// Right advertisements of every way, each behind the byte that chooses it.
pub fn advertisements() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for way in 0..WAYS {
        for choice in [way, way + WAYS] {
            let (_, sent) = router(way, 200, SECOND * 10);
            let last = sent.last().expect("it advertises");
            all.push([&[choice], &last[..]].concat());
        }
    }
    all
}

/// The first byte chooses how the listener speaks and whether it is Active; the rest is a packet, which comes twice.
///
/// It is taken or counted under one name; only one that is taken does anything; nobody is silenced for longer than the
/// protocol can say, and what is remembered stays small.
pub fn vrrp(data: &[u8]) {
    let Some((choice, bytes)) = data.split_first() else {
        return;
    };
    let way = choice % WAYS;
    let v6 = way == 5;
    let begun = if choice / WAYS % 2 == 0 { 2 } else { 10 };
    let (mut router, _) = router(way, 100, SECOND * begun);
    let mut now = SECOND * begun;
    for _ in 0..2 {
        let before = counted(&router);
        let mut actions = Vec::new();
        let packet = Packet {
            interface: "eth0",
            source: address(v6, 200),
            destination: None,
            hop_limit: Some(255),
            bytes,
        };
        router.handle(moment(now), &Event::Packet(packet), &mut actions);
        let after = counted(&router);
        let taken = after.0 - before.0;
        let refused = after.1 - before.1;
        // A list of other addresses is counted, and the packet taken all the same.
        let listed = after.2 - before.2;
        match taken {
            0 => assert_eq!(refused + listed, 1, "counted once"),
            _ => assert_eq!((taken, refused), (1, 0), "counted once"),
        }
        let words = |action: &Action| matches!(action, Action::Complain { .. });
        assert!(taken == 1 || actions.iter().all(words), "{actions:?}");
        let view = &router.instances()[0];
        assert!(view.peers.len() <= 16 && view.transitions.len() <= 64);
        let next = router.next_deadline().expect("it takes part");
        assert!(next <= now + LONGEST, "silenced until {next:?}");
        now += SECOND / 2;
    }
    let end = now + LONGEST * 2;
    while let Some(at) = router.next_deadline().filter(|at| *at <= end) {
        if router.state("v") == Some(State::Active) {
            break;
        }
        router.handle(moment(at.max(now)), &Event::Tick, &mut Vec::new());
    }
    assert_eq!(
        router.state("v"),
        Some(State::Active),
        "nobody else is there"
    );
}

/// Taken, refused, and those with other addresses.
fn counted(router: &Router) -> (u64, u64, u64) {
    let mut refused = router.strangers();
    let (mut taken, mut listed) = (0, 0);
    for (name, count) in router.instances()[0].counters.each() {
        match name {
            "advert_rcvd" => taken = count,
            "addr_list_err" => listed = count,
            "advert_sent" | "become_master" | "release_master" | "pri_zero_rcvd"
            | "pri_zero_sent" => {}
            _ => refused += count,
        }
    }
    (taken, refused, listed)
}

fn session() -> BfdInstance {
    let time = Duration::from_millis(50);
    BfdInstance {
        name: "peer".to_owned(),
        neighbour: address(false, 2),
        source: None,
        least_receive: time,
        least_send: time,
        idle_send: SECOND,
        multiplier: NonZeroU8::MIN.saturating_add(2),
        passive: false,
        time_to_live: 255,
        most_hops: 0,
        multihop: false,
        weighting: Weighting::FAULT,
    }
}

/// What a neighbour says while the session comes up, one behind the other.
pub fn controls() -> Vec<Vec<u8>> {
    let mut sessions = Sessions::new(&[session()], 1, SECOND);
    let number = sessions.views()[0].number;
    let mut all = Vec::new();
    let mut said = Vec::new();
    for (state, yours) in [(1, 0), (2, number), (3, number), (3, number), (1, number)] {
        let control = Control::read(&{
            let mut bytes = [0; 24];
            bytes[0] = 0x20;
            bytes[1] = state << 6;
            (bytes[2], bytes[3]) = (3, 24);
            bytes[7] = 9;
            bytes[8..12].copy_from_slice(&yours.to_be_bytes());
            bytes[14..16].copy_from_slice(&[0xc3, 0x50]);
            bytes[18..20].copy_from_slice(&[0xc3, 0x50]);
            bytes
        });
        said.extend(control.expect("right").write());
        all.push([&[0], &said[..]].concat());
    }
    let _ = sessions.handle(SECOND, &weir_bfd::Event::Stop, &mut Vec::new());
    all
}

/// The first byte is a hop limit less 255; then come packets of 24 bytes and a rest, 10 ms apart.
///
/// Each is taken or counted once, what is remembered stays small, and nobody is silenced for longer than what was said.
pub fn bfd(data: &[u8]) {
    let Some((hops, packets)) = data.split_first() else {
        return;
    };
    let mut sessions = Sessions::new(&[session()], 1, SECOND);
    let mut now = SECOND;
    for bytes in packets.chunks(24) {
        let mut actions = Vec::new();
        let _ = sessions.handle(now, &weir_bfd::Event::Tick, &mut actions);
        let before = sessions.views();
        let strangers = sessions.strangers().total();
        let received = Received {
            source: address(false, 2),
            port: PORT,
            hop_limit: Some(255 - hops),
            bytes,
        };
        let outcome = sessions.handle(now, &weir_bfd::Event::Packet(received), &mut actions);
        let after = sessions.views();
        let taken = after[0].received - before[0].received;
        let refused = after[0].refused.total() - before[0].refused.total()
            + (sessions.strangers().total() - strangers);
        let expected = if outcome.is_ok() { (1, 0) } else { (0, 1) };
        assert_eq!((taken, refused), expected);
        assert!(after[0].transitions.len() <= 16);
        // 255 times the 71 minutes that 32 bits of microseconds can say.
        let expires = after[0].expires.unwrap_or_default();
        assert!(expires <= now + SECOND * 4_295 * 255);
        now += Duration::from_millis(10);
    }
    let _ = sessions.handle(now, &weir_bfd::Event::Stop, &mut Vec::new());
}
