//! keepalived's trailer: HMAC-SHA-256-128 over the advertisement, with a sequence number that is a time.
//!
//! | bytes | what |
//! | --- | --- |
//! | 0 | 1, for HMAC-SHA-256 cut to 128 bits |
//! | 1 | the number of the key |
//! | 2, 3 | 0 |
//! | 4 to 7 | seconds since 1970 |
//! | 8, 9 | 65536ths of a second |
//! | 10, 11 | counts within one of them |
//! | 12 to 27 | the HMAC |
//!
//! It covers a pseudo header (family, version, number of the virtual router, 0, the sender's address in 16 bytes), and the
//! advertisement with its trailer, both checksum and HMAC as 0.

use core::time::Duration;
use std::net::IpAddr;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use weir_config::model::vrrp::{HmacKey, ReplayProtection};

/// Its length.
pub(crate) const LENGTH: usize = 28;

const TYPE: u8 = 1;
const DIGEST: usize = 12;
/// So many senders are remembered; the one not heard for longest is forgotten.
const SENDERS: usize = 32;

/// What the trailer is bound to beside the bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Binding {
    /// 2 or 3.
    pub(crate) version: u8,
    /// The number of the virtual router.
    pub(crate) router_id: u8,
    /// The sender.
    pub(crate) source: IpAddr,
}

/// What is wrong with a trailer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// It is none.
    Malformed,
    /// Its key is not known.
    UnknownKey,
    /// Its HMAC.
    Digest,
    /// It is too old, or from the future.
    Stale,
    /// It has been seen.
    Replayed,
}

/// What is remembered for sending and receiving.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sequences {
    /// The last one that was sent.
    pub(crate) sent: u64,
    heard: Vec<Heard>,
    heard_last: u64,
}

#[derive(Clone, Debug)]
struct Heard {
    from: IpAddr,
    sequence: u64,
    when: u64,
}

impl Sequences {
    /// The next one to send: the time, or one more than the last where the clock has not gone on.
    fn next(&mut self, wall: Duration, replay: ReplayProtection) -> u64 {
        let clock = of_time(wall);
        if after(clock, self.sent) || self.is_stranded(clock, replay) {
            self.sent = clock;
        } else {
            self.sent = self.sent.wrapping_add(1);
        }
        self.sent
    }

    /// Whether the clock was set back by more than receivers allow: what follows on would be refused by them for long.
    fn is_stranded(&self, clock: u64, replay: ReplayProtection) -> bool {
        match replay {
            ReplayProtection::Time { window } => {
                seconds_between(self.sent, clock) > seconds(window)
            }
            ReplayProtection::None | ReplayProtection::Monotonic => false,
        }
    }

    /// Whether a number whose HMAC is right is new; it counts as seen from then on.
    fn take(
        &mut self,
        from: IpAddr,
        sequence: u64,
        wall: Duration,
        replay: ReplayProtection,
    ) -> bool {
        self.heard_last += 1;
        let when = self.heard_last;
        if let Some(known) = self.heard.iter_mut().find(|known| known.from == from) {
            known.when = when;
            // A mark outside of the window orders only what the window refuses: whose clock was set back starts anew.
            let expired = is_stale(known.sequence, wall, replay);
            if !expired && !after(sequence, known.sequence) {
                return false;
            }
            known.sequence = sequence;
            return true;
        }
        if self.heard.len() >= SENDERS {
            let oldest = self
                .heard
                .iter()
                .enumerate()
                .min_by_key(|(_, heard)| heard.when);
            if let Some((at, _)) = oldest {
                self.heard.swap_remove(at);
            }
        }
        self.heard.push(Heard {
            from,
            sequence,
            when,
        });
        true
    }
}

/// Appends the trailer to an advertisement.
pub(crate) fn append(advertisement: &mut Vec<u8>, binding: Binding, key: &HmacKey, sequence: u64) {
    advertisement.extend([TYPE, key.id, 0, 0]);
    advertisement.extend(sequence.to_be_bytes());
    let digest = digest(&key.secret, binding, advertisement);
    advertisement.extend(digest);
}

/// The next sequence number.
pub(crate) fn next_sequence(
    sequences: &mut Sequences,
    wall: Duration,
    replay: ReplayProtection,
) -> u64 {
    sequences.next(wall, replay)
}

/// Looks at an advertisement with its trailer.
pub(crate) fn verify(
    whole: &[u8],
    binding: Binding,
    keys: &[HmacKey],
    replay: ReplayProtection,
    sequences: &mut Sequences,
    wall: Duration,
) -> Result<(), Wrong> {
    let Some(trailer) = whole.last_chunk::<LENGTH>() else {
        return Err(Wrong::Malformed);
    };
    let [
        kind,
        key,
        0,
        0,
        s0,
        s1,
        s2,
        s3,
        s4,
        s5,
        s6,
        s7,
        digest_there @ ..,
    ] = trailer
    else {
        return Err(Wrong::Malformed);
    };
    if *kind != TYPE {
        return Err(Wrong::Malformed);
    }
    let sequence = u64::from_be_bytes([*s0, *s1, *s2, *s3, *s4, *s5, *s6, *s7]);
    // Before the HMAC, so that a flood of old packets costs nothing. It only refuses.
    if is_stale(sequence, wall, replay) {
        return Err(Wrong::Stale);
    }
    let key = keys.iter().find(|known| known.id == *key);
    let key = key.ok_or(Wrong::UnknownKey)?;
    let signed = whole.len() - (LENGTH - DIGEST);
    let right = digest(
        &key.secret,
        binding,
        whole.get(..signed).unwrap_or_default(),
    );
    if !super::same(digest_there, &right) {
        return Err(Wrong::Digest);
    }
    let remembers = replay != ReplayProtection::None;
    if remembers && !sequences.take(binding.source, sequence, wall, replay) {
        return Err(Wrong::Replayed);
    }
    Ok(())
}

/// The HMAC of an advertisement with its trailer up to the HMAC.
fn digest(secret: &[u8], binding: Binding, signed: &[u8]) -> [u8; LENGTH - DIGEST] {
    let mut mac = match Hmac::<Sha256>::new_from_slice(secret) {
        Ok(mac) => mac,
        Err(_) => unreachable!("HMAC takes keys of any length"),
    };
    let (family, address) = match binding.source {
        IpAddr::V4(address) => {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&address.octets());
            (4, bytes)
        }
        IpAddr::V6(address) => (6, address.octets()),
    };
    mac.update(&[family, binding.version, binding.router_id, 0]);
    mac.update(&address);
    mac.update(signed.get(..6).unwrap_or_default());
    mac.update(&[0; 2]);
    mac.update(signed.get(8..).unwrap_or_default());
    mac.update(&[0; LENGTH - DIGEST]);
    let whole = mac.finalize().into_bytes();
    let mut cut = [0; LENGTH - DIGEST];
    cut.copy_from_slice(&whole[..LENGTH - DIGEST]);
    cut
}

/// Seconds in the upper half, 65536ths of one in the next 16 bits, and a count of 0.
fn of_time(wall: Duration) -> u64 {
    let part = (u64::from(wall.subsec_nanos()) << 16) / 1_000_000_000;
    (wall.as_secs() << 32) | (part << 16)
}

/// Whether it comes after the other, also where the numbers begin again (RFC 1982).
fn after(one: u64, other: u64) -> bool {
    one.wrapping_sub(other) as i64 > 0
}

fn is_stale(sequence: u64, wall: Duration, replay: ReplayProtection) -> bool {
    match replay {
        ReplayProtection::Time { window } => {
            seconds_between(of_time(wall), sequence).abs() > seconds(window)
        }
        ReplayProtection::None | ReplayProtection::Monotonic => false,
    }
}

/// From the other to the one.
fn seconds_between(one: u64, other: u64) -> i64 {
    let difference = ((one >> 32) as u32).wrapping_sub((other >> 32) as u32);
    i64::from(difference as i32)
}

fn seconds(window: Duration) -> i64 {
    i64::try_from(window.as_secs()).unwrap_or(i64::MAX)
}
