//! How a router proves who it is.

use std::path::PathBuf;
use std::time::Duration;

use weir_config::model::vrrp::{Authentication, HmacKey, HmacMode, ReplayProtection};

use super::values::Troubles;
use crate::grammar::Node;
use crate::language::Word;
use crate::language::place::Place;

/// A proof whose defaults hang on the instance.
#[derive(Debug)]
pub(super) enum Proof {
    None,
    Of(Authentication),
    /// Without a window that is said: three intervals, and 5 seconds at least.
    Timed {
        keys: Vec<HmacKey>,
        active: u8,
        mode: HmacMode,
    },
}

impl Proof {
    pub(super) fn with(self, other: Self, place: Place, troubles: &mut Troubles) -> Self {
        match (self, other) {
            (Self::None, other) => other,
            (before, Self::None) => before,
            (before, _) => {
                let message = "there is an authentication already";
                troubles.error(
                    place,
                    message,
                    "expected `authentication` or `auth_hmac`, once",
                );
                before
            }
        }
    }

    pub(super) fn finish(self, interval: Duration) -> Authentication {
        match self {
            Self::None => Authentication::None,
            Self::Of(authentication) => authentication,
            Self::Timed { keys, active, mode } => Authentication::Hmac {
                keys,
                active,
                replay: ReplayProtection::Time {
                    window: (interval * 3).max(Duration::from_secs(5)),
                },
                mode,
            },
        }
    }
}

pub(super) fn proof(node: &Node, troubles: &mut Troubles) -> Proof {
    match node.name() {
        "auth_hmac" => hmac(node, troubles),
        _ => password(node, troubles),
    }
}

fn password(node: &Node, troubles: &mut Troubles) -> Proof {
    let kind = node.last("auth_type");
    let known = [("PASS", false), ("AH", true)];
    let header = kind.and_then(|node| troubles.one_of(node, &known));
    let word = node.last("auth_pass").and_then(|node| troubles.word(node));
    let Some(word) = word else {
        let message = "the authentication has no password";
        troubles.warning(node.place(), message, "expected `auth_pass PASSWORD` in it");
        return Proof::None;
    };
    if word.text.len() > 8 {
        let message = "the password is longer than 8 characters";
        troubles.warning(
            word.place,
            message,
            "the first 8 are taken, as keepalived does",
        );
    }
    let mut bytes = [0; 8];
    let length = word.text.len().min(8);
    bytes[..length].copy_from_slice(&word.text.as_bytes()[..length]);
    match header {
        Some(true) => Proof::Of(Authentication::Header(bytes)),
        Some(false) => Proof::Of(Authentication::Password(bytes)),
        None => Proof::None,
    }
}

fn hmac(node: &Node, troubles: &mut Troubles) -> Proof {
    let mut keys: Vec<HmacKey> = Vec::new();
    let mut active = None;
    let mut window = None;
    let mut monotonic = false;
    let mut mode = HmacMode::Enforce;
    for inner in &node.nodes {
        match inner.name() {
            "key" => {
                let Some(key) = key(inner, troubles) else {
                    continue;
                };
                if keys.iter().any(|other| other.id == key.id) {
                    let message = format!("key {} is there twice", key.id);
                    troubles.error(inner.place(), message, "expected each number once");
                } else {
                    keys.push(key);
                }
            }
            "active_key" => {
                let number = troubles.number(inner, 1..=255);
                active = number.and_then(|number| u8::try_from(number).ok());
            }
            "time_window" => {
                let seconds = troubles.number(inner, 1..=300);
                window = seconds.map(|seconds| Duration::from_secs(seconds.into()));
            }
            "anti_replay" => {
                let known = [("time", false), ("monotonic", true)];
                monotonic = troubles.one_of(inner, &known).unwrap_or(monotonic);
            }
            "mode" => {
                let known = [
                    ("enforce", HmacMode::Enforce),
                    ("permissive", HmacMode::Permissive),
                    ("receive-only", HmacMode::ReceiveOnly),
                ];
                mode = troubles.one_of(inner, &known).unwrap_or(mode);
            }
            _ => {}
        }
    }
    let Some(active) = active.or(keys.first().map(|key| key.id)) else {
        let message = "the authentication has no keys";
        troubles.error(node.place(), message, "expected `key ID hex:DIGITS` in it");
        return Proof::None;
    };
    if !keys.iter().any(|key| key.id == active) {
        let message = format!("there is no key {active}");
        troubles.error(
            node.place(),
            message,
            "expected the active key among the keys",
        );
    }
    let replay = match (monotonic, window) {
        (true, _) => ReplayProtection::Monotonic,
        (false, Some(window)) => ReplayProtection::Time { window },
        (false, None) => return Proof::Timed { keys, active, mode },
    };
    Proof::Of(Authentication::Hmac {
        keys,
        active,
        replay,
        mode,
    })
}

fn key(node: &Node, troubles: &mut Troubles) -> Option<HmacKey> {
    let [id, value] = node.words() else {
        troubles.missing(node);
        return None;
    };
    let id = troubles.number_in(id, 1..=255);
    let secret = match value.text.strip_prefix("file:") {
        None => decode(&value.text, value, troubles),
        Some(path) => match troubles.surroundings.read(path) {
            Ok(text) => decode(text.trim_end_matches(['\n', '\r']), value, troubles),
            Err(why) => {
                let message = format!("the key is not read: {why}");
                troubles.error(value.place, message, "expected a file with the key");
                None
            }
        },
    }?;
    if !(32..=64).contains(&secret.len()) {
        let message = format!("the key has {} bytes", secret.len());
        troubles.error(value.place, message, "expected 32 to 64");
        return None;
    }
    Some(HmacKey {
        id: u8::try_from(id?).ok()?,
        secret,
        file: value.text.strip_prefix("file:").map(PathBuf::from),
    })
}

fn decode(text: &str, word: &Word, troubles: &mut Troubles) -> Option<Vec<u8>> {
    let Some(digits) = text.strip_prefix("hex:") else {
        return Some(text.as_bytes().to_vec());
    };
    let digits: Option<Vec<u8>> = digits
        .chars()
        .map(|letter| {
            letter
                .to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok())
        })
        .collect();
    match digits {
        Some(digits) if digits.len().is_multiple_of(2) => Some(
            digits
                .chunks(2)
                .map(|pair| pair[0] << 4 | pair[1])
                .collect(),
        ),
        _ => {
            troubles.wrong(word, "expected pairs of hexadecimal digits");
            None
        }
    }
}
