use core::time::Duration;
use std::net::IpAddr;

use proptest::prelude::*;
use weir_config::model::vrrp::{
    Authentication, HmacKey, HmacMode, ReplayProtection, UnicastChecksum, Version,
};

use super::*;
use crate::authentication::trailer::Sequences;
use crate::event::Packet;

const WALL: Duration = Duration::from_secs(1_700_000_000);

/// A sender and a receiver that agree.
#[derive(Clone, Debug)]
struct Pair {
    version: Version,
    v6: bool,
    unicast: bool,
    authentication: Authentication,
    priority: u8,
    interval: Duration,
    addresses: Vec<IpAddr>,
    as_version_2: bool,
    checksum: UnicastChecksum,
}

impl Pair {
    fn of(version: Version, v6: bool) -> Self {
        let addresses = match v6 {
            false => vec!["192.0.2.100", "192.0.2.101"],
            true => vec!["fe80::100", "2001:db8::100"],
        };
        Self {
            version,
            v6,
            unicast: false,
            authentication: Authentication::None,
            priority: 100,
            interval: Duration::from_secs(1),
            addresses: addresses
                .into_iter()
                .map(|address| address.parse().expect("one"))
                .collect(),
            as_version_2: false,
            checksum: UnicastChecksum::AsHeard,
        }
    }

    fn ends(&self) -> (IpAddr, IpAddr) {
        let (source, destination) = match (self.v6, self.unicast) {
            (false, false) => ("192.0.2.1", "224.0.0.18"),
            (false, true) => ("192.0.2.1", "192.0.2.2"),
            (true, false) => ("fe80::1", "ff02::12"),
            (true, true) => ("fe80::1", "fe80::2"),
        };
        (
            source.parse().expect("one"),
            destination.parse().expect("one"),
        )
    }

    fn write(&self) -> Vec<u8> {
        let (source, destination) = self.ends();
        let group = "224.0.0.18".parse().expect("one");
        let summed = match self.checksum {
            UnicastChecksum::Old if self.unicast => group,
            UnicastChecksum::Old | UnicastChecksum::AsHeard | UnicastChecksum::Right => destination,
        };
        write(&Outgoing {
            version: self.version,
            router_id: 51,
            priority: self.priority,
            interval: self.interval,
            addresses: &self.addresses,
            authentication: &self.authentication,
            source,
            destination,
            unicast: self.unicast,
            hop_limit: 255,
            summed_destination: (!self.as_version_2).then_some(summed),
            identification: 1,
            header_sequence: 1,
            trailer_sequence: WALL.as_secs() << 32,
        })
    }

    fn read(&self, bytes: &[u8]) -> Result<Advertisement, Refusal> {
        let (source, destination) = self.ends();
        let packet = Packet {
            interface: "eth0",
            source,
            destination: Some(destination),
            hop_limit: Some(255),
            bytes,
        };
        self.read_packet(&packet)
    }

    fn read_packet(&self, packet: &Packet<'_>) -> Result<Advertisement, Refusal> {
        let found = Addressed::find(packet).ok_or(Refusal::Length)?;
        let expected = Expected {
            version: self.version,
            interval: self.interval,
            addresses: &self.addresses,
            compare: true,
            authentication: &self.authentication,
            unicast: self.unicast,
            checksum_as_version_2: self.as_version_2,
            unicast_checksum: self.checksum,
            source: None,
            header_sequence: 0,
            wall: WALL,
        };
        read(&found, &expected, &mut Sequences::default())
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
            window: Duration::from_secs(5),
        },
        mode,
    }
}

/// Every kind of pair that can be configured.
fn pairs() -> Vec<Pair> {
    let mut pairs = Vec::new();
    for version in [Version::V2, Version::V3] {
        for v6 in [false, true] {
            for unicast in [false, true] {
                let mut ways = vec![Authentication::None, hmac(HmacMode::Enforce)];
                if version == Version::V2 && !v6 {
                    ways.push(Authentication::Password(*b"weir\0\0\0\0"));
                    ways.push(Authentication::Header(*b"weir\0\0\0\0"));
                }
                for authentication in ways {
                    pairs.push(Pair {
                        unicast,
                        authentication,
                        ..Pair::of(version, v6)
                    });
                }
            }
        }
    }
    pairs
}

#[test]
fn what_is_written_is_read() {
    for pair in pairs() {
        let advertisement = pair.read(&pair.write()).unwrap_or_else(|refusal| {
            panic!("{pair:?}: {refusal:?}");
        });
        assert_eq!(advertisement.priority, 100, "{pair:?}");
        assert_eq!(advertisement.interval, pair.interval, "{pair:?}");
        assert_eq!(advertisement.addresses, Addresses::Same, "{pair:?}");
    }
}

/// What keepalived 2.2.7 sends for version 3, router 51, priority 100, 192.0.2.100, from 192.0.2.1, but for the
/// identification and what the kernel fills in.
#[test]
fn the_bytes_are_those_of_the_rfc() {
    let pair = Pair {
        addresses: vec!["192.0.2.100".parse().expect("one")],
        ..Pair::of(Version::V3, false)
    };
    let packet = pair.write();
    assert_eq!(
        packet[..12],
        [0x45, 0xc0, 0, 32, 0, 1, 0, 0, 255, 112, 0, 0]
    );
    assert_eq!(packet[12..20], [192, 0, 2, 1, 224, 0, 0, 18]);
    assert_eq!(packet[20..26], [0x31, 51, 100, 1, 0, 100]);
    assert_eq!(packet[28..], [192, 0, 2, 100]);
    let version_2 = Pair {
        version: Version::V2,
        ..pair
    };
    let packet = version_2.write();
    assert_eq!(packet[20..26], [0x21, 51, 100, 1, 0, 1]);
    assert_eq!(packet.len(), 20 + 8 + 4 + 8);
}

/// RFC 9568, 5.2.8 and keepalived's two other checksums of version 3.
#[test]
fn checksums_agree_as_configured() {
    let usual = Pair::of(Version::V3, false);
    let as_version_2 = Pair {
        as_version_2: true,
        ..usual.clone()
    };
    let unicast = Pair {
        unicast: true,
        ..usual.clone()
    };
    let right_only = Pair {
        checksum: UnicastChecksum::Right,
        ..unicast.clone()
    };
    let old = Pair {
        checksum: UnicastChecksum::Old,
        ..unicast.clone()
    };
    let rows = [
        (
            "no pseudo header",
            &as_version_2,
            &usual,
            Err(Refusal::Checksum),
        ),
        ("is not asked for", &usual, &as_version_2, Ok(false)),
        ("alike", &as_version_2, &as_version_2, Ok(false)),
        ("the old one is heard", &old, &unicast, Ok(true)),
        (
            "the old one is refused",
            &old,
            &right_only,
            Err(Refusal::Checksum),
        ),
        ("the old one is wanted", &old, &old, Ok(true)),
        ("only the old one", &unicast, &old, Err(Refusal::Checksum)),
    ];
    for (what, sender, receiver, expected) in rows {
        let read = receiver.read(&sender.write());
        assert_eq!(read.map(|read| read.old_checksum), expected, "{what}");
    }
}

/// What is wrong, who receives it, the packet, and what becomes of it.
type Row<'a> = (&'a str, &'a Pair, Vec<u8>, Result<(), Refusal>);

/// Each check with a packet that fails nothing else.
#[test]
fn every_wrong_field_has_its_reason() {
    let v3 = Pair::of(Version::V3, false);
    let v2 = Pair::of(Version::V2, false);
    let password = Pair {
        authentication: Authentication::Password(*b"weir\0\0\0\0"),
        ..v2.clone()
    };
    let header = Pair {
        authentication: Authentication::Header(*b"weir\0\0\0\0"),
        ..v2.clone()
    };
    let enforced = Pair {
        authentication: hmac(HmacMode::Enforce),
        ..v3.clone()
    };
    let permissive = Pair {
        authentication: hmac(HmacMode::Permissive),
        ..v3.clone()
    };
    let receiving = Pair {
        authentication: hmac(HmacMode::ReceiveOnly),
        ..v3.clone()
    };
    let unicast = Pair {
        unicast: true,
        ..v3.clone()
    };
    let slower = Pair {
        interval: Duration::from_secs(2),
        ..v2.clone()
    };
    let other_password = Pair {
        authentication: Authentication::Password(*b"rive\0\0\0\0"),
        ..v2.clone()
    };
    let other_key = Pair {
        authentication: Authentication::Header(*b"rive\0\0\0\0"),
        ..v2.clone()
    };
    let none = Pair {
        interval: Duration::ZERO,
        ..v3.clone()
    };
    let with = |pair: &Pair, at: usize, value: u8| {
        let mut bytes = pair.write();
        bytes[at] = value;
        bytes
    };
    let cut = |pair: &Pair, by: usize| {
        let mut bytes = pair.write();
        bytes.truncate(bytes.len() - by);
        bytes
    };
    let rows: [Row<'_>; 24] = [
        (
            "version",
            &v3,
            with(&v3, 20, 0x41),
            Err(Refusal::Version(4)),
        ),
        ("type", &v3, with(&v3, 20, 0x32), Err(Refusal::Type(2))),
        (
            "hop limit",
            &v3,
            with(&v3, 8, 254),
            Err(Refusal::HopLimit(254)),
        ),
        ("checksum", &v3, with(&v3, 26, 0xaa), Err(Refusal::Checksum)),
        (
            "number of addresses",
            &v3,
            with(&v3, 23, 9),
            Err(Refusal::Length),
        ),
        ("cut", &v3, cut(&v3, 4), Err(Refusal::Length)),
        ("cut in the header", &v3, cut(&v3, 16), Err(Refusal::Length)),
        ("total length", &v3, with(&v3, 3, 99), Err(Refusal::Length)),
        ("no interval", &v3, none.write(), Err(Refusal::Interval(0))),
        (
            "interval of version 2",
            &v2,
            slower.write(),
            Err(Refusal::Interval(2)),
        ),
        (
            "authentication type",
            &v2,
            with(&v2, 24, 3),
            Err(Refusal::InvalidAuthentication(3)),
        ),
        (
            "password for none",
            &v2,
            password.write(),
            Err(Refusal::OtherAuthentication),
        ),
        (
            "none for password",
            &password,
            v2.write(),
            Err(Refusal::OtherAuthentication),
        ),
        (
            "password",
            &password,
            other_password.write(),
            Err(Refusal::Password),
        ),
        (
            "header for none",
            &v2,
            header.write(),
            Err(Refusal::OtherAuthentication),
        ),
        (
            "none for header",
            &header,
            v2.write(),
            Err(Refusal::OtherAuthentication),
        ),
        (
            "header",
            &header,
            other_key.write(),
            Err(Refusal::Header(
                crate::authentication::header::Wrong::Digest,
            )),
        ),
        (
            "no trailer",
            &enforced,
            v3.write(),
            Err(Refusal::TrailerMissing),
        ),
        ("no trailer, which may be", &permissive, v3.write(), Ok(())),
        ("sends none", &receiving, receiving.write(), Ok(())),
        ("takes some", &receiving, enforced.write(), Ok(())),
        (
            "a trailer for none",
            &v3,
            enforced.write(),
            Err(Refusal::Length),
        ),
        (
            "multicast for unicast",
            &unicast,
            v3.write(),
            Err(Refusal::Reach),
        ),
        (
            "unicast for multicast",
            &v3,
            unicast.write(),
            Err(Refusal::Reach),
        ),
    ];
    for (what, receiver, bytes, expected) in rows {
        assert_eq!(receiver.read(&bytes).map(|_| ()), expected, "{what}");
    }
}

#[test]
fn other_addresses_are_told_and_taken() {
    let ours = Pair::of(Version::V3, false);
    let fewer = Pair {
        addresses: ours.addresses[..1].to_vec(),
        ..ours.clone()
    };
    let read = ours.read(&fewer.write()).map(|read| read.addresses);
    assert_eq!(read, Ok(Addresses::Number(1)));
    let others = Pair {
        addresses: vec![ours.addresses[0], "192.0.2.9".parse().expect("one")],
        ..ours.clone()
    };
    let read = ours.read(&others.write()).map(|read| read.addresses);
    assert_eq!(read, Ok(Addresses::Missing(ours.addresses[1])));
}

/// Ethernet fills up to 46 bytes, less what VLAN tags took.
#[test]
fn padding_is_not_taken_for_length() {
    let pair = Pair {
        addresses: vec!["192.0.2.100".parse().expect("one")],
        ..Pair::of(Version::V3, false)
    };
    let packet = pair.write();
    for length in packet.len()..60 {
        let mut padded = packet.clone();
        padded.resize(length, 0);
        let taken = pair.read(&padded).is_ok();
        let allowed = length == packet.len() || (length <= 46 && (46 - length) % 4 == 0);
        assert_eq!(taken, allowed, "{length}");
    }
}

proptest! {
    /// Nothing that comes makes it fall over, whatever is configured.
    #[test]
    fn any_bytes_are_taken_or_refused(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        which in 0..pairs().len(),
    ) {
        let pair = &pairs()[which];
        let _ = pair.read(&bytes);
    }

    /// Nor does a right one that was changed; where it is taken, nothing that counts has changed.
    #[test]
    fn changed_packets_are_taken_or_refused(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        length in any::<prop::sample::Index>(),
        which in 0..pairs().len(),
    ) {
        let pair = &pairs()[which];
        let mut bytes = pair.write();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let _ = pair.read(&bytes);
        bytes.truncate(length.index(bytes.len() + 1));
        let _ = pair.read(&bytes);
    }
}
