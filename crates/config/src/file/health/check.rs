//! One check.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::super::reader::{Keys, Problems, Section};
use super::super::script;
use super::{http, tls};
use crate::model::health::{
    Agent, Check, CheckKind, DnsCheck, DnsType, FileCheck, GrpcCheck, Pace, PingCheck, ScriptCheck,
    SmtpCheck, Source, TcpCheck, UdpCheck, Way,
};
use crate::model::{InterfaceName, RealServer};

/// What is asked: the key that says so, and the keys that go with it.
const KINDS: [(&str, &[&str]); 12] = [
    ("tcp", &["tls", "proxy"]),
    ("http", &http::KEYS),
    ("https", &http::KEYS),
    ("smtp", &["extended"]),
    ("dns", &["record", "over_tcp"]),
    (
        "udp",
        &[
            "payload",
            "payload_hex",
            "reply",
            "least_length",
            "greatest_length",
        ],
    ),
    ("ping", &[]),
    ("script", &["dynamic"]),
    ("file", &["factor", "reverse"]),
    ("bfd", &[]),
    ("grpc", &["tls"]),
    ("agent", &[]),
];
const CHECK: Keys = Keys {
    known: &[
        // What.
        "tcp",
        "http",
        "https",
        "smtp",
        "dns",
        "udp",
        "ping",
        "script",
        "file",
        "bfd",
        "grpc",
        "agent", // Of some.
        "tls",
        "proxy",
        "method",
        "host",
        "headers",
        "status",
        "body",
        "version",
        "in_turn",
        "fast_recovery",
        "extended",
        "record",
        "over_tcp",
        "payload",
        "payload_hex",
        "reply",
        "least_length",
        "greatest_length",
        "dynamic",
        "factor",
        "reverse", // Of all.
        "interval",
        "timeout",
        "warm_up",
        "rise",
        "fall",
        "retry_delay",
        "alpha",
        "first_failure_counts",
        "port",
        "address",
        "source",
        "way",
        "log_all_failures",
    ],
    later: &[],
};
const SOURCE: Keys = Keys {
    known: &["address", "port", "interface", "mark"],
    later: &[],
};
const WHAT: &str = r#"expected one of `tcp = true`, `http = "/healthz"`, `https = "/"`, `smtp = true`, `dns = "example.org"`, `udp = true`, `ping = true`, `script = "/path arguments"`, `file = "/path"`, `bfd = "name"`, `grpc = true`, `agent = true`"#;
pub(super) const LONGEST: Duration = Duration::from_secs(86_400);
const SHORTEST: Duration = Duration::from_millis(1);

/// A check as it is written: one for each real server that it is for.
#[derive(Clone)]
pub(super) struct Written {
    check: Check,
    /// The port at the real server's address, or at another.
    place: Place,
}

/// Whom to ask instead of the real server at its own port.
#[derive(Clone, Copy, Default)]
pub(super) struct Place {
    address: Option<IpAddr>,
    port: Option<u16>,
}

impl Written {
    pub(super) fn read(value: &Spanned<DeValue<'_>>, problems: &mut Problems) -> Option<Self> {
        let section = Section::of_value(value, "a check", &CHECK, problems)?;
        let name = what(&section, problems);
        let pace = pace(&section, problems);
        let source = source(&section, problems);
        let way = section.name(
            "way",
            "way",
            |name| match name {
                "server" => Some(Way::Server),
                "traffic" => Some(Way::Traffic),
                _ => None,
            },
            &["server", "traffic"],
            problems,
        );
        let log_all_failures = section.truth("log_all_failures", problems);
        let place = Place::read(&section, problems);
        let kind = kind(name?, &section, problems)?;
        Some(Self {
            check: Check {
                kind,
                pace,
                target: None,
                source,
                way: way.unwrap_or_default(),
                log_all_failures: log_all_failures.unwrap_or(false),
            },
            place,
        })
    }

    /// The check of one real server.
    pub(super) fn of(
        &self,
        server: &RealServer,
        span: &Range<usize>,
        problems: &mut Problems,
    ) -> Check {
        let needs_port = match self.check.kind {
            CheckKind::Tcp(_)
            | CheckKind::Http(_)
            | CheckKind::Smtp(_)
            | CheckKind::Dns(_)
            | CheckKind::Udp(_)
            | CheckKind::Grpc(_)
            | CheckKind::Agent(_) => true,
            CheckKind::Ping(_) | CheckKind::Script(_) | CheckKind::File(_) | CheckKind::Bfd(_) => {
                false
            }
        };
        if needs_port {
            self.place.check(server, span, problems);
        }
        Check {
            target: self.place.target(server),
            ..self.check.clone()
        }
    }
}

impl Place {
    pub(super) fn read(section: &Section<'_>, problems: &mut Problems) -> Self {
        let port = section.number("port", 1..=u16::MAX.into(), problems);
        let mut place = Self {
            address: None,
            port: port.map(|port| port as u16),
        };
        if let Some(text) = section.text("address", problems) {
            match text.value.parse() {
                Ok(address) => place.address = Some(address),
                Err(_) => problems.add(
                    text.span,
                    format!("`{}` is no address", text.value),
                    "expected one like `10.0.0.11`; the port goes into `port`",
                ),
            }
        }
        place
    }

    pub(super) fn target(self, server: &RealServer) -> Option<SocketAddr> {
        if self.address.is_none() && self.port.is_none() {
            return None;
        }
        let address = self.address.unwrap_or(server.address.ip());
        Some(SocketAddr::new(
            address,
            self.port.unwrap_or(server.address.port()),
        ))
    }

    /// A real server of a firewall mark may have no port of its own.
    pub(super) fn check(self, server: &RealServer, span: &Range<usize>, problems: &mut Problems) {
        if server.address.port() == 0 && self.port.is_none() {
            problems.add(
                span.clone(),
                format!("at which port of {} is it checked?", server.address.ip()),
                "expected `port = 80` in the check",
            );
        }
    }
}

/// Which of the kinds it is.
fn what(section: &Section<'_>, problems: &mut Problems) -> Option<&'static str> {
    let mut here = KINDS.iter().filter(|(name, _)| section.get(name).is_some());
    let Some((name, own)) = here.next() else {
        if KINDS.iter().all(|(name, _)| section.lacks(name)) {
            problems.add(
                section.span.clone(),
                "this check does not say what is asked",
                WHAT,
            );
        }
        return None;
    };
    for (other, _) in here {
        let value = section.get(other).map(Spanned::span);
        problems.add(
            value.unwrap_or(section.span.clone()),
            format!("a check is either `{name}` or `{other}`"),
            "expected two checks: `checks = [{ ... }, { ... }]`",
        );
    }
    let of_some = KINDS.iter().flat_map(|(_, keys)| keys.iter());
    for key in of_some {
        if let Some(value) = section.get(key)
            && !own.contains(key)
        {
            problems.add(
                value.span(),
                format!("`{key}` does not go with `{name}`"),
                "leave it out",
            );
        }
    }
    Some(name)
}

fn pace(section: &Section<'_>, problems: &mut Problems) -> Pace {
    let interval = section.duration("interval", SHORTEST..=LONGEST, problems);
    let default = Pace::of_interval(interval.unwrap_or(Pace::WEIR.interval));
    let mut duration = |key, least| section.duration(key, least..=LONGEST, problems);
    let timeout = duration("timeout", SHORTEST);
    let warm_up = duration("warm_up", Duration::ZERO);
    let retry_delay = duration("retry_delay", Duration::ZERO);
    let mut number = |key| {
        let number = section.number(key, 1..=1000, problems);
        number.and_then(NonZeroU32::new)
    };
    let (rise, fall) = (number("rise"), number("fall"));
    Pace {
        interval: default.interval,
        timeout: timeout.unwrap_or(default.timeout),
        warm_up: warm_up.unwrap_or(default.warm_up),
        rise: rise.unwrap_or(default.rise),
        fall: fall.unwrap_or(default.fall),
        retry_delay: retry_delay.unwrap_or(default.retry_delay),
        alpha: section.truth("alpha", problems).unwrap_or(default.alpha),
        first_counts: section
            .truth("first_failure_counts", problems)
            .unwrap_or(default.first_counts),
    }
}

fn source(section: &Section<'_>, problems: &mut Problems) -> Source {
    let value = section.get("source");
    let own = value.and_then(|value| Section::of_value(value, "`source`", &SOURCE, problems));
    let Some(own) = own else {
        return Source::default();
    };
    let mut source = Source {
        port: own
            .number("port", 0..=u16::MAX.into(), problems)
            .unwrap_or(0) as u16,
        mark: own.number("mark", 0..=u32::MAX, problems).unwrap_or(0),
        ..Source::default()
    };
    if let Some(text) = own.text("address", problems) {
        source.address = text.value.parse().ok();
        if source.address.is_none() {
            problems.add(
                text.span,
                format!("`{}` is no address", text.value),
                "expected one of this director's, like `10.0.0.1`",
            );
        }
    }
    if let Some(text) = own.text("interface", problems) {
        source.interface = InterfaceName::new(text.value);
        if source.interface.is_none() {
            problems.add(
                text.span,
                format!("`{}` is no interface", text.value),
                "expected 1 to 15 characters, no space and no `/`",
            );
        }
    }
    source
}

fn kind(name: &str, section: &Section<'_>, problems: &mut Problems) -> Option<CheckKind> {
    let tls = section
        .get("tls")
        .and_then(|value| tls::read(value, problems));
    let value = section.get(name)?;
    Some(match name {
        "tcp" => {
            truth(section, "tcp", problems)?;
            CheckKind::Tcp(TcpCheck {
                proxy: section.truth("proxy", problems).unwrap_or(false),
                tls,
            })
        }
        "http" => CheckKind::Http(http::read(section, "http", tls, problems)?),
        "https" => {
            let tls = Some(tls.unwrap_or_default());
            CheckKind::Http(http::read(section, "https", tls, problems)?)
        }
        "smtp" => CheckKind::Smtp(SmtpCheck {
            greeting: truth_or_text(section, "smtp", problems)?,
            extended: section.truth("extended", problems).unwrap_or(false),
        }),
        "dns" => {
            let name = section.text("dns", problems)?;
            let names = DnsType::ALL.map(DnsType::name);
            let record = section.name("record", "record", DnsType::from_name, &names, problems);
            CheckKind::Dns(DnsCheck {
                name: name.value.to_owned(),
                record: record.unwrap_or(DnsType::Soa),
                tcp: section.truth("over_tcp", problems).unwrap_or(false),
            })
        }
        "udp" => {
            truth(section, "udp", problems)?;
            CheckKind::Udp(udp(section, problems))
        }
        "ping" => {
            truth(section, "ping", problems)?;
            CheckKind::Ping(PingCheck {})
        }
        "script" => CheckKind::Script(ScriptCheck {
            script: script::script(value, "script", problems)?,
            dynamic: section.truth("dynamic", problems).unwrap_or(false),
        }),
        "file" => {
            let path = section.text("file", problems)?;
            CheckKind::File(FileCheck {
                path: PathBuf::from(path.value),
                weight: section.signed("factor", problems).unwrap_or(0),
                reverse: section.truth("reverse", problems).unwrap_or(false),
            })
        }
        "bfd" => CheckKind::Bfd(section.text("bfd", problems)?.value.to_owned()),
        "grpc" => CheckKind::Grpc(GrpcCheck {
            service: truth_or_text(section, "grpc", problems)?.unwrap_or_default(),
            tls,
        }),
        "agent" => CheckKind::Agent(Agent {
            send: truth_or_text(section, "agent", problems)?.unwrap_or_default(),
        }),
        _ => return None,
    })
}

/// `tcp = true`.
fn truth(section: &Section<'_>, key: &str, problems: &mut Problems) -> Option<()> {
    if !section.truth(key, problems)? {
        let span = section.get(key).map(Spanned::span).unwrap_or_default();
        problems.add(
            span,
            "a check that is not wanted is left out",
            format!("expected `{key} = true`"),
        );
        return None;
    }
    Some(())
}

/// `smtp = true`, or with a text.
fn truth_or_text(
    section: &Section<'_>,
    key: &str,
    problems: &mut Problems,
) -> Option<Option<String>> {
    if let Some(DeValue::String(text)) = section.get(key).map(Spanned::get_ref) {
        return Some(Some(text.as_ref().to_owned()));
    }
    truth(section, key, problems).map(|()| None)
}

fn udp(section: &Section<'_>, problems: &mut Problems) -> UdpCheck {
    let payload = section.text("payload", problems);
    let mut hex = |key| {
        let text = section.text(key, problems)?;
        let bytes = nibbles(text.value);
        if bytes.is_none() {
            problems.add(
                text.span,
                format!("`{}` is not hexadecimal", text.value),
                r#"expected pairs of digits like "de ad 0x", where x is any digit in `reply`"#,
            );
        }
        bytes
    };
    let payload_hex = match section.get("payload_hex") {
        Some(_) => hex("payload_hex"),
        None => None,
    };
    let reply = match section.get("reply").map(Spanned::get_ref) {
        None | Some(DeValue::Boolean(false)) => None,
        Some(DeValue::Boolean(true)) => Some(Vec::new()),
        Some(_) => hex("reply"),
    };
    if let Some(value) = section.get("payload_hex")
        && payload.is_some()
    {
        problems.add(
            value.span(),
            "there is `payload` and `payload_hex`",
            "leave one of them out",
        );
    }
    let payload_hex = payload_hex.map(|bytes| bytes.into_iter().map(|(byte, _)| byte).collect());
    let mut length = |key, otherwise| {
        let length = section.number(key, 0..=u16::MAX.into(), problems);
        length.map_or(otherwise, |length| length as u16)
    };
    UdpCheck {
        least: length("least_length", 0),
        most: length("greatest_length", u16::MAX),
        payload: payload
            .map(|text| text.value.as_bytes().to_vec())
            .or(payload_hex)
            .unwrap_or_default(),
        reply,
    }
}

/// Bytes in hexadecimal, and which of their bits count.
fn nibbles(text: &str) -> Option<Vec<(u8, u8)>> {
    let letters: Vec<char> = text
        .chars()
        .filter(|letter| !letter.is_whitespace())
        .collect();
    if !letters.len().is_multiple_of(2) {
        return None;
    }
    let nibble = |letter: char| match letter {
        'x' | 'X' => Some((0, 0)),
        digit => digit.to_digit(16).map(|digit| (digit as u8, 0xf)),
    };
    letters
        .chunks(2)
        .map(|pair| {
            let (high, low) = (nibble(pair[0])?, nibble(pair[1])?);
            Some((high.0 << 4 | low.0, high.1 << 4 | low.1))
        })
        .collect()
}
