//! Advertisements with every field wrong: refused, counted under what is wrong, and without effect.

mod network;

use std::time::Duration;

use network::configuration::{instance, of_one, with_priority};
use network::{Link, moment};
use weir_config::model::vrrp::{
    Authentication, HmacKey, HmacMode, Instance, Peer, Peers, ReplayProtection, Version,
};
use weir_vrrp::{Action, Datagram, Event, Packet, Router, State};

const SECOND: Duration = Duration::from_secs(1);
const OURS: &str = "192.0.2.1";
const THEIRS: &str = "192.0.2.2";
/// What counts packets that are right.
const USUAL: [&str; 6] = [
    "advert_rcvd",
    "advert_sent",
    "become_master",
    "release_master",
    "pri_zero_rcvd",
    "pri_zero_sent",
];

/// A router that listens, and what another one has said to it.
struct Heard {
    router: Router,
    now: Duration,
    said: Datagram,
}

/// The listener is Backup, or, with the higher priority, Active.
fn heard(change: impl Fn(&mut Instance), state: State) -> Heard {
    let config = |priority| {
        let mut one = with_priority(instance("v", 51), priority);
        change(&mut one);
        of_one(one)
    };
    let (ours, theirs) = match state {
        State::Active => (200, 100),
        State::Backup | State::Initialize | State::Fault => (100, 200),
    };
    // Each has a link of its own first, so that the other one is Active too.
    let mut link = Link::new(1);
    let other = link.add(&config(theirs), &[THEIRS]);
    link.run(SECOND * 10, |_| {});
    let sent = link.stations[other].log.iter().rev();
    let mut said = sent.filter_map(|(_, action)| {
        let Action::Send(datagram) = action else {
            return None;
        };
        Some(datagram.clone())
    });
    let said = said.next().expect("it advertises");
    let at = link.add(&config(ours), &[OURS]);
    let router = match state {
        State::Active => {
            link.kill(other);
            link.run(SECOND * 10, |_| {});
            link.stations.remove(at).router
        }
        State::Backup | State::Initialize | State::Fault => link.stations.remove(at).router,
    };
    assert_eq!(router.state("v"), Some(state));
    Heard {
        router,
        now: link.now,
        said,
    }
}

/// How all refusals are counted, by their names, with those that are about no instance.
fn counted(router: &Router) -> Vec<(&'static str, u64)> {
    let counters = router.instances()[0].counters.each();
    let refusals = counters
        .into_iter()
        .filter(|(name, _)| !USUAL.contains(name));
    refusals
        .chain([("strangers", router.strangers())])
        .collect()
}

fn taken(router: &Router) -> u64 {
    router.instances()[0].counters.advert_rcvd
}

impl Heard {
    /// What is counted when these bytes come, and what follows.
    fn tell(&self, bytes: &[u8], hop_limit: u8) -> (Vec<&'static str>, bool, Vec<Action>) {
        let mut router = self.router.clone();
        let (before, had) = (counted(&router), taken(&router));
        let mut actions = Vec::new();
        let packet = Packet {
            interface: "eth0",
            source: self.said.source,
            destination: Some(self.said.destination),
            hop_limit: Some(hop_limit),
            bytes,
        };
        router.handle(moment(self.now), &Event::Packet(packet), &mut actions);
        let after = counted(&router);
        let more = after.iter().zip(&before);
        let more = more.flat_map(|((name, is), (_, was))| vec![*name; (is - was) as usize]);
        (more.collect(), taken(&router) > had, actions)
    }
}

fn hmac(mode: HmacMode) -> Authentication {
    Authentication::Hmac {
        keys: vec![HmacKey {
            id: 1,
            secret: vec![7; 32],
            file: None,
        }],
        active: 1,
        replay: ReplayProtection::Time {
            window: SECOND * 60,
        },
        mode,
    }
}

fn version_2(one: &mut Instance) {
    one.version = Version::V2;
}

fn password(one: &mut Instance) {
    one.version = Version::V2;
    one.authentication = Authentication::Password(*b"password");
}

fn header(one: &mut Instance) {
    one.version = Version::V2;
    one.authentication = Authentication::Header(*b"password");
}

fn version_3(_: &mut Instance) {}

fn signed(one: &mut Instance) {
    one.authentication = hmac(HmacMode::Enforce);
}

fn unicast(one: &mut Instance) {
    let peer = |text: &str| Peer {
        address: text.parse().expect("an address"),
        least_time_to_live: 255,
        most_time_to_live: 255,
    };
    one.peers = Peers::Unicast {
        peers: vec![peer(OURS), peer(THEIRS)],
        time_to_live: 255,
        check_source: true,
        fault_without: false,
    };
}

/// How two routers speak.
type Way = fn(&mut Instance);
/// What is wrong, how it comes about, and the counter.
type Change = (&'static str, fn(&mut Vec<u8>), &'static str);

const WAYS: [(&str, Way); 6] = [
    ("version 2", version_2),
    ("password", password),
    ("header", header),
    ("version 3", version_3),
    ("hmac", signed),
    ("unicast", unicast),
];

/// Each field by itself, and under which name it is counted.
#[test]
fn every_wrong_field_is_counted_by_its_name() {
    // Where the advertisement begins behind the IPv4 header.
    const V: usize = 20;
    let all: [Change; 6] = [
        (
            "more addresses than there are",
            |b| b[V + 3] += 1,
            "packet_len_err",
        ),
        (
            "fewer addresses than there are",
            |b| b[V + 3] -= 1,
            "packet_len_err",
        ),
        ("cut off", |b| b.truncate(b.len() - 1), "packet_len_err"),
        ("longer", |b| b.extend([0; 40]), "packet_len_err"),
        ("another router", |b| b[V + 1] = 52, "strangers"),
        ("nothing but a header", |b| b.truncate(V), "strangers"),
    ];
    let of_3: [Change; 6] = [
        ("another version", |b| b[V] = b[V] & 0xf | 0x50, "vers_err"),
        (
            "another type",
            |b| b[V] = b[V] & 0xf0 | 2,
            "invalid_type_rcvd",
        ),
        ("checksum", |b| b[V + 6] ^= 1, "chk_err"),
        ("priority", |b| b[V + 2] ^= 1, "chk_err"),
        ("interval", |b| b[V + 5] ^= 1, "chk_err"),
        ("address", |b| b[V + 8] ^= 1, "chk_err"),
    ];
    let of_2: [Change; 3] = [
        (
            "an authentication that there is not",
            |b| b[V + 4] = 3,
            "invalid_authtype",
        ),
        (
            "another authentication",
            |b| b[V + 4] ^= 1,
            "authtype_mismatch",
        ),
        ("interval", |b| b[V + 5] += 1, "advert_interval_err"),
    ];
    let of_password: [Change; 1] = [("password", |b| b[V + 12] ^= 1, "auth_failure")];
    let of_hmac: [Change; 2] = [
        (
            "hmac",
            |b| *b.last_mut().expect("one") ^= 1,
            "auth_ext_invalid_hmac",
        ),
        ("no hmac", |b| b.truncate(V + 12), "auth_ext_missing"),
    ];
    let tables: [(Way, Vec<Change>); 4] = [
        (version_3, [&all[..], &of_3].concat()),
        (version_2, [&all[..], &of_2].concat()),
        (password, [&all[..], &of_2, &of_password].concat()),
        (signed, of_hmac.to_vec()),
    ];
    for (way, changes) in tables {
        for state in [State::Backup, State::Active] {
            let heard = heard(way, state);
            for (what, change, name) in &changes {
                let mut bytes = heard.said.bytes.clone();
                change(&mut bytes);
                let (counted, taken, actions) = heard.tell(&bytes, 255);
                assert_eq!(counted, [*name], "{what}");
                assert!(!taken, "{what}");
                let only_words = |action: &Action| matches!(action, Action::Complain { .. });
                assert!(actions.iter().all(only_words), "{what}: {actions:?}");
            }
        }
    }
}

/// Whatever bit is wrong: a packet is taken or counted under one name, and one that is not taken changes nothing.
#[test]
fn every_wrong_bit_is_refused_by_one_name_or_does_not_matter() {
    for (name, way) in WAYS {
        for state in [State::Backup, State::Active] {
            let heard = heard(way, state);
            if name == "header" && state == State::Active {
                // One sequence counts for both ways, and its own advertisements have gone past what was said.
                continue;
            }
            let (counted, taken, _) = heard.tell(&heard.said.bytes, 255);
            assert_eq!(
                (counted, taken),
                (Vec::new(), true),
                "{name}: as it was said"
            );
            for bit in 0..heard.said.bytes.len() * 8 {
                let mut bytes = heard.said.bytes.clone();
                bytes[bit / 8] ^= 1 << (bit % 8);
                let (counted, taken, actions) = heard.tell(&bytes, 255);
                // A list that is not ours is told, and the advertisement counts all the same.
                let refused = counted
                    .iter()
                    .filter(|name| !taken || **name != "addr_list_err");
                let refused = refused.count();
                assert_eq!(
                    refused + usize::from(taken),
                    1,
                    "{name}: bit {bit}: {counted:?}"
                );
                let does = actions
                    .iter()
                    .any(|one| !matches!(one, Action::Complain { .. }));
                assert!(taken || !does, "{name}: bit {bit}: {actions:?}");
                // The checksum or a digest covers all of the advertisement.
                let in_advertisement = bit / 8 >= 20;
                assert!(!taken || !in_advertisement, "{name}: bit {bit} is taken");
            }
        }
    }
}

#[test]
fn whoever_is_not_on_the_link_is_refused() {
    for (name, way) in [("multicast", version_3 as Way), ("unicast", unicast)] {
        let heard = heard(way, State::Backup);
        let mut bytes = heard.said.bytes.clone();
        bytes[8] = 254;
        let (counted, taken, _) = heard.tell(&bytes, 254);
        assert_eq!((counted, taken), (vec!["ip_ttl_err"], false), "{name}");
    }
    // Another source than a peer's.
    let heard = heard(unicast, State::Backup);
    let mut bytes = heard.said.bytes.clone();
    bytes[15] = 77;
    let (counted, taken, _) = heard.tell(&bytes, 255);
    assert_eq!((counted, taken), (vec!["unknown_source"], false));
}
