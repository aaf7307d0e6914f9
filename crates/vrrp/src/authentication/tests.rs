use core::time::Duration;
use std::net::{IpAddr, Ipv4Addr};

use weir_config::model::vrrp::{HmacKey, ReplayProtection};

use super::header;
use super::trailer::{self, Binding, Sequences, Wrong};

const WALL: Duration = Duration::from_secs(0x6800_0000);
const TIME: ReplayProtection = ReplayProtection::Time {
    window: Duration::from_secs(5),
};

/// The wire images of the draft that keepalived tests itself against: key 00..1f, router 51, priority 200, sequence
/// 0x6800000080000000.
const OVER_V4: &str = "3133c80100644402c0000264010100006800000080000000\
                       1b84bc4e8e43892dc6d98448f8ee2265";
const OVER_V6: &str = "3133c8010064a2e9fe800000000000000000000000000100\
                       010100006800000080000000c8c56146ebfd66ee10ec4d8186461b78";

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<char> = hex.chars().filter(char::is_ascii_hexdigit).collect();
    let pairs = digits.chunks(2).map(|pair| pair.iter().collect::<String>());
    pairs
        .map(|pair| u8::from_str_radix(&pair, 16).expect("hex"))
        .collect()
}

fn key(id: u8) -> HmacKey {
    HmacKey {
        id,
        secret: (0..32).collect(),
        file: None,
    }
}

fn binding(source: &str) -> Binding {
    Binding {
        version: 3,
        router_id: 51,
        source: source.parse().expect("an address"),
    }
}

fn verify(whole: &[u8], binding: Binding, replay: ReplayProtection) -> Result<(), Wrong> {
    let mut fresh = Sequences::default();
    trailer::verify(whole, binding, &[key(1)], replay, &mut fresh, WALL)
}

#[test]
fn the_wire_images_of_keepalived_are_right() {
    let images = [(OVER_V4, "198.51.100.10"), (OVER_V6, "fe80::10")];
    for (image, source) in images {
        let image = bytes(image);
        let checked = verify(&image, binding(source), ReplayProtection::Monotonic);
        assert_eq!(checked, Ok(()), "{source}");
        // And ours are the same to the byte.
        let mut ours = image[..image.len() - trailer::LENGTH].to_vec();
        trailer::append(&mut ours, binding(source), &key(1), 0x6800_0000_8000_0000);
        assert_eq!(ours, image, "{source}");
    }
}

#[test]
fn one_wrong_byte_is_told_by_what_it_is() {
    let image = bytes(OVER_V6);
    let rows = [
        ("priority", 2, Err(Wrong::Digest)),
        ("interval", 5, Err(Wrong::Digest)),
        ("checksum, which is not covered", 6, Ok(())),
        ("address", 23, Err(Wrong::Digest)),
        ("type", 24, Err(Wrong::Malformed)),
        ("key", 25, Err(Wrong::UnknownKey)),
        ("reserved", 26, Err(Wrong::Malformed)),
        ("seconds", 31, Err(Wrong::Digest)),
        ("counter", 35, Err(Wrong::Digest)),
        ("HMAC", 36, Err(Wrong::Digest)),
    ];
    for (what, at, expected) in rows {
        let mut wrong = image.clone();
        wrong[at] ^= 1;
        let checked = verify(&wrong, binding("fe80::10"), ReplayProtection::Monotonic);
        assert_eq!(checked, expected, "{what}");
    }
    let from_another = verify(&image, binding("fe80::20"), ReplayProtection::Monotonic);
    assert_eq!(from_another, Err(Wrong::Digest));
    let of_another = Binding {
        router_id: 52,
        ..binding("fe80::10")
    };
    assert_eq!(
        verify(&image, of_another, ReplayProtection::Monotonic),
        Err(Wrong::Digest)
    );
    assert_eq!(
        verify(&[], binding("fe80::10"), ReplayProtection::None),
        Err(Wrong::Malformed)
    );
}

#[test]
fn what_was_seen_is_refused_unless_nobody_asks() {
    let image = bytes(OVER_V4);
    let mut sequences = Sequences::default();
    let mut check = |replay| {
        let binding = binding("198.51.100.10");
        trailer::verify(&image, binding, &[key(1)], replay, &mut sequences, WALL)
    };
    assert_eq!(check(ReplayProtection::Monotonic), Ok(()));
    assert_eq!(check(ReplayProtection::Monotonic), Err(Wrong::Replayed));
    assert_eq!(check(TIME), Err(Wrong::Replayed));
    assert_eq!(check(ReplayProtection::None), Ok(()));
}

#[test]
fn what_is_outside_of_the_window_is_stale() {
    let image = bytes(OVER_V4);
    for (seconds, expected) in [
        (-6_i64, Err(Wrong::Stale)),
        (-5, Ok(())),
        (0, Ok(())),
        (5, Ok(())),
        (6, Err(Wrong::Stale)),
    ] {
        let wall = Duration::from_secs((0x6800_0000 + seconds) as u64);
        let mut fresh = Sequences::default();
        let binding = binding("198.51.100.10");
        let checked = trailer::verify(&image, binding, &[key(1)], TIME, &mut fresh, wall);
        assert_eq!(checked, expected, "{seconds} s");
    }
}

#[test]
fn numbers_grow_though_the_clock_stands_or_goes_back() {
    let mut sequences = Sequences::default();
    let first = trailer::next_sequence(&mut sequences, WALL, TIME);
    assert_eq!(first, 0x6800_0000_0000_0000);
    assert_eq!(
        trailer::next_sequence(&mut sequences, WALL, TIME),
        first + 1
    );
    let earlier = WALL - Duration::from_secs(3);
    assert_eq!(
        trailer::next_sequence(&mut sequences, earlier, TIME),
        first + 2
    );
    // So far back that receivers would refuse what follows on.
    let long_ago = WALL - Duration::from_secs(60);
    let restarted = trailer::next_sequence(&mut sequences, long_ago, TIME);
    assert_eq!(restarted, (0x6800_0000_u64 - 60) << 32);
    let mut strict = Sequences::default();
    strict.sent = first;
    let next = trailer::next_sequence(&mut strict, long_ago, ReplayProtection::Monotonic);
    assert_eq!(next, first + 1);
}

/// RFC 2402: type of service, flags and checksum may change on the way, all else may not.
#[test]
fn the_header_covers_all_that_stays() {
    let source = Ipv4Addr::new(192, 0, 2, 1);
    let secret = *b"password";
    let mut packet = vec![0x45, 0xc0, 0, 60, 0, 1, 0, 0, 255, 51, 0, 0];
    packet.extend(source.octets());
    packet.extend([224, 0, 0, 18]);
    packet.extend(header::write(source, 7));
    packet.extend([0x21, 51, 100, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    header::sign(&mut packet, 20, &secret, false);
    let check = |packet: &[u8], last| header::verify(packet, 20, source, &secret, false, last);
    assert_eq!(check(&packet, 6), Ok(7));
    assert_eq!(check(&packet, 7), Err(header::Wrong::Sequence));
    for at in 0..packet.len() {
        let mut changed = packet.clone();
        changed[at] ^= 1;
        let expected = match at {
            1 | 6 | 7 | 10 | 11 => Ok(7),
            _ => Err(header::Wrong::Digest),
        };
        assert_eq!(check(&changed, 6), expected, "byte {at}");
    }
    // Between unicast peers the time to live may change too.
    header::sign(&mut packet, 20, &secret, true);
    packet[8] = 64;
    let checked = header::verify(&packet, 20, source, &secret, true, 0);
    assert_eq!(checked, Ok(7));
    let other = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
    let IpAddr::V4(other) = other else { return };
    let checked = header::verify(&packet, 20, other, &secret, true, 0);
    assert_eq!(checked, Err(header::Wrong::Index));
}
