//! `authentication` of an instance.

use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::super::reader::{Keys, Placed, Problems, Section};
use super::{entries, require};
use crate::model::vrrp::{Authentication, HmacKey, HmacMode, ReplayProtection};

const AUTHENTICATION: Keys = Keys {
    known: &[
        "password", "header", "keys", "active", "replay", "window", "mode",
    ],
    later: &[],
};
const KEY: Keys = Keys {
    known: &["id", "secret", "secret_hex", "secret_file"],
    later: &[],
};
const KEYS: &str = "expected a list like [{ id = 1, secret_file = \"/etc/weir/vrrp.key\" }]";
const REPLAY: [&str; 3] = ["time", "monotonic", "none"];
const MODES: [&str; 3] = ["enforce", "permissive", "receive-only"];
const LONGEST_WINDOW: Duration = Duration::from_secs(300);
const LEAST_WINDOW: Duration = Duration::from_secs(5);

impl HmacMode {
    /// The name in `weir.toml`, which is keepalived's.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Permissive => "permissive",
            Self::ReceiveOnly => "receive-only",
        }
    }

    /// The mode of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        let all = [Self::Enforce, Self::Permissive, Self::ReceiveOnly];
        all.into_iter().find(|mode| mode.name() == name)
    }
}

/// The window that keepalived takes for an interval when none is said: three of them, but not too little.
pub(crate) fn window(interval: Duration) -> Duration {
    Duration::from_secs(interval.as_secs() * 3).clamp(LEAST_WINDOW, LONGEST_WINDOW)
}

pub(super) fn authentication(
    section: &Section<'_>,
    interval: Duration,
    problems: &mut Problems,
) -> Authentication {
    let value = section.get("authentication");
    let read = |value| Section::of_value(value, "`authentication`", &AUTHENTICATION, problems);
    let Some(section) = value.and_then(read) else {
        return Authentication::None;
    };
    let ways = ["password", "header", "keys"];
    let said: Vec<&str> = ways
        .into_iter()
        .filter(|key| section.get(key).is_some())
        .collect();
    if said.len() != 1 {
        let message = match said.len() {
            0 => "`authentication` says nothing",
            _ => "`authentication` says several things",
        };
        let expected = "expected one of `password`, `header` (IPsec's authentication header) and `keys` (HMAC)";
        problems.add(section.span.clone(), message, expected);
    }
    if let Some(password) = password(&section, "password", problems) {
        return Authentication::Password(password);
    }
    if let Some(password) = password(&section, "header", problems) {
        return Authentication::Header(password);
    }
    if section.get("keys").is_none() {
        return Authentication::None;
    }
    hmac(&section, interval, problems)
}

/// Up to eight bytes, filled up with 0.
fn password(section: &Section<'_>, key: &str, problems: &mut Problems) -> Option<[u8; 8]> {
    let text = section.text(key, problems)?;
    let bytes = text.value.as_bytes();
    if bytes.is_empty() || bytes.len() > 8 || bytes.contains(&0) {
        let message = format!("`{key}` does not fit");
        problems.add(text.span, message, "expected 1 to 8 bytes");
        return None;
    }
    let mut password = [0; 8];
    for (place, byte) in password.iter_mut().zip(bytes) {
        *place = *byte;
    }
    Some(password)
}

fn hmac(section: &Section<'_>, interval: Duration, problems: &mut Problems) -> Authentication {
    let mut keys: Vec<HmacKey> = Vec::new();
    for (key, span) in entries(section, "keys", KEYS, problems, key) {
        if keys.iter().any(|other| other.id == key.id) {
            let message = format!("there is another key {}", key.id);
            problems.add(span, message, "expected a number of its own");
        }
        keys.push(key);
    }
    let first = keys.first().map(|key| key.id);
    let active = section
        .number("active", 0..=255, problems)
        .map(|id| id as u8);
    let active = active.or(first).unwrap_or_default();
    if !keys.is_empty() && keys.iter().all(|key| key.id != active) {
        let span = section
            .get("active")
            .map_or(section.span.clone(), Spanned::span);
        problems.add(
            span,
            format!("there is no key {active}"),
            "expected one of `keys`",
        );
    }
    let second = Duration::from_secs(1);
    let said = section.duration("window", second..=LONGEST_WINDOW, problems);
    let replay = |name: &str| match name {
        "time" => Some(ReplayProtection::Time {
            window: said.unwrap_or_else(|| window(interval)),
        }),
        "monotonic" => Some(ReplayProtection::Monotonic),
        "none" => Some(ReplayProtection::None),
        _ => None,
    };
    let replay = match section.get("replay") {
        Some(_) => section.name(
            "replay",
            "protection against replay",
            replay,
            &REPLAY,
            problems,
        ),
        None => replay("time"),
    };
    let mode = section.name("mode", "mode", HmacMode::from_name, &MODES, problems);
    Authentication::Hmac {
        keys,
        active,
        replay: replay.unwrap_or_default(),
        mode: mode.unwrap_or_default(),
    }
}

type Span = core::ops::Range<usize>;

fn key(value: &Spanned<DeValue<'_>>, problems: &mut Problems) -> Option<(HmacKey, Span)> {
    let section = Section::of_value(value, "a key", &KEY, problems)?;
    require(&section, &[("id", "expected `id = 1`")], problems);
    let id = section.number("id", 0..=255, problems);
    let file = section.text("secret_file", problems);
    let file = file.map(|file| PathBuf::from(file.value));
    let secret = match (
        section.text("secret", problems),
        section.text("secret_hex", problems),
    ) {
        (Some(text), _) => fitting(text.value.as_bytes().to_vec(), &text, problems),
        (None, Some(digits)) => fitting(
            HmacKey::secret_of_hex(digits.value).unwrap_or_default(),
            &digits,
            problems,
        ),
        (None, None) => None,
    };
    if section.lacks("secret") && section.lacks("secret_hex") && file.is_none() {
        let message = "the key has no secret";
        let expected =
            "expected `secret_file = \"...\"`, `secret = \"...\"` or `secret_hex = \"...\"`";
        problems.add(section.span.clone(), message, expected);
    }
    let key = HmacKey {
        id: id? as u8,
        secret: secret.unwrap_or_default(),
        file,
    };
    Some((key, section.span.clone()))
}

fn fitting(secret: Vec<u8>, text: &Placed<&str>, problems: &mut Problems) -> Option<Vec<u8>> {
    if HmacKey::LENGTHS.contains(&secret.len()) {
        return Some(secret);
    }
    problems.add(
        text.span.clone(),
        "the secret is too short or too long",
        "expected 32 to 64 bytes",
    );
    None
}
