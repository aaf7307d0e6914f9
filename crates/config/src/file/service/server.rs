//! `server = [...]` of a service.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::ops::Range;

use toml::Spanned;
use toml::de::DeValue;

use super::super::address;
use super::super::health::OfServer;
use super::super::reader::{Keys, Problems, Section};
use super::Listen;
use crate::diagnostic::Problem;
use crate::model::{
    Family, Forwarding, GueChecksum, RealServer, ServiceKey, Thresholds, Tunnel, Weight,
};

const SERVER: Keys = Keys {
    known: &[
        "address",
        "weight",
        "forward",
        "tunnel",
        "upper_threshold",
        "lower_threshold",
        // `OfServer`
        "check",
        "checks",
        "inhibit_on_failure",
        "weights",
        "slow_start",
        "passive",
        "notify",
    ],
    later: &[],
};
const SORRY: Keys = Keys {
    known: &[
        "address",
        "weight",
        "forward",
        "tunnel",
        "upper_threshold",
        "lower_threshold",
        "inhibit",
    ],
    later: &[],
};
const TUNNEL: Keys = Keys {
    known: &["type", "port", "checksum"],
    later: &[],
};
const LIST_OF_SERVERS: &str =
    r#"expected a list of tables like [{ address = "10.0.0.11:8080", weight = 1 }]"#;

/// A real server as it is written: one for each `listen` that it suits.
pub(super) struct Server {
    span: Range<usize>,
    address: IpAddr,
    port: Option<u16>,
    forwarding: Forwarding,
    weight: Weight,
    thresholds: Thresholds,
    /// What it says of its health.
    health: OfServer,
}

/// How packets reach the real servers that do not say it themselves.
pub(super) fn forwarding_of_service(section: &Section<'_>, problems: &mut Problems) -> Forwarding {
    if section.lacks("forward") {
        problems.add(
            section.span.clone(),
            "this service does not say how packets reach its real servers",
            r#"expected `forward = "nat"`"#,
        );
    }
    forwarding(section, Forwarding::Nat, problems)
}

fn forwarding(section: &Section<'_>, otherwise: Forwarding, problems: &mut Problems) -> Forwarding {
    let named = section.name(
        "forward",
        "forwarding method",
        Forwarding::from_name,
        &Forwarding::NAMES,
        problems,
    );
    let forwarding = named.unwrap_or(otherwise);
    let Some(value) = section.get("tunnel") else {
        // Who says `tun` again says nothing of the tunnel.
        return match (forwarding, otherwise) {
            (Forwarding::Tunnel(_), Forwarding::Tunnel(tunnel)) => Forwarding::Tunnel(tunnel),
            (forwarding, _) => forwarding,
        };
    };
    match forwarding {
        Forwarding::Tunnel(_) => {
            Forwarding::Tunnel(tunnel(value, problems).unwrap_or(Tunnel::Ipip))
        }
        Forwarding::Nat | Forwarding::Direct | Forwarding::FullNat => {
            problems.add(
                value.span(),
                format!("`tunnel` does not go with `{}`", forwarding.name()),
                r#"expected `forward = "tun"` beside it"#,
            );
            forwarding
        }
    }
}

fn tunnel(value: &Spanned<DeValue<'_>>, problems: &mut Problems) -> Option<Tunnel> {
    let section = Section::of_value(value, "`tunnel`", &TUNNEL, problems)?;
    if section.lacks("type") {
        problems.add(
            section.span.clone(),
            "this tunnel has no type",
            r#"expected `type = "ipip"`, `"gue"` or `"gre"`"#,
        );
    }
    let kind = section.name(
        "type",
        "tunnel",
        |name| Tunnel::NAMES.into_iter().find(|known| *known == name),
        &Tunnel::NAMES,
        problems,
    );
    let checksum = section.name(
        "checksum",
        "checksum",
        GueChecksum::from_name,
        &GueChecksum::ALL.map(GueChecksum::name),
        problems,
    );
    let port = section.number("port", 1..=u16::MAX.into(), problems);
    let kind = kind?;
    if let Some(value) = section.get("port")
        && kind != "gue"
    {
        problems.add(
            value.span(),
            format!("a tunnel of {kind} has no port"),
            "leave it out",
        );
    }
    let refused = match (kind, checksum.unwrap_or_default()) {
        ("ipip", GueChecksum::None) => return Some(Tunnel::Ipip),
        ("gre", GueChecksum::None) => return Some(Tunnel::Gre { checksum: false }),
        ("gre", GueChecksum::Full) => return Some(Tunnel::Gre { checksum: true }),
        ("gue", checksum) => {
            if section.lacks("port") {
                problems.add(
                    section.span.clone(),
                    "this tunnel of gue has no port",
                    "expected `port = 6080`",
                );
            }
            let port = NonZeroU16::new(port? as u16)?;
            return Some(Tunnel::Gue { port, checksum });
        }
        (_, checksum) => checksum,
    };
    if let Some(value) = section.get("checksum") {
        problems.add(
            value.span(),
            format!("a tunnel of {kind} has no `{}` checksum", refused.name()),
            "only gue has `remote`, and ipip has none",
        );
    }
    None
}

pub(super) fn servers(
    section: &Section<'_>,
    forwarding: Forwarding,
    problems: &mut Problems,
) -> Vec<Server> {
    let list = section.list("server", LIST_OF_SERVERS, problems);
    let values = list.into_iter().flat_map(|list| list.iter());
    values
        .filter_map(|value| server(value, forwarding, problems))
        .collect()
}

fn server(
    value: &Spanned<DeValue<'_>>,
    otherwise: Forwarding,
    problems: &mut Problems,
) -> Option<Server> {
    let section = Section::of_value(value, "a real server", &SERVER, problems)?;
    let health = OfServer::read(&section, problems);
    of_section(&section, otherwise, health, problems)
}

fn of_section(
    section: &Section<'_>,
    otherwise: Forwarding,
    health: OfServer,
    problems: &mut Problems,
) -> Option<Server> {
    let weight = section.number("weight", 0..=Weight::MAX, problems);
    let forwarding = forwarding(section, otherwise, problems);
    let thresholds = thresholds(section, problems);
    if section.lacks("address") {
        problems.add(
            section.span.clone(),
            "this real server has no address",
            r#"expected `address = "10.0.0.11:8080"`"#,
        );
    }
    let text = section.text("address", problems)?;
    match address::server(text.value) {
        Ok((address, port)) => Some(Server {
            span: text.span,
            address,
            port,
            forwarding,
            weight: weight.and_then(Weight::new).unwrap_or_default(),
            thresholds,
            health,
        }),
        Err((message, expected)) => {
            problems.add(text.span, message, expected);
            None
        }
    }
}

/// `sorry_server`: an address, or a table; and whether it gets weight 0 instead of being removed.
pub(super) fn sorry(
    section: &Section<'_>,
    otherwise: Forwarding,
    problems: &mut Problems,
) -> Option<(Server, bool)> {
    let value = section.get("sorry_server")?;
    if let DeValue::String(text) = value.get_ref() {
        return match address::server(text) {
            Ok((address, port)) => Some((
                Server {
                    span: value.span(),
                    address,
                    port,
                    forwarding: otherwise,
                    weight: Weight::default(),
                    thresholds: Thresholds::NONE,
                    health: OfServer::default(),
                },
                false,
            )),
            Err((message, expected)) => {
                problems.add(value.span(), message, expected);
                None
            }
        };
    }
    let own = Section::of_value(value, "`sorry_server`", &SORRY, problems)?;
    let inhibit = own.truth("inhibit", problems).unwrap_or(false);
    Some((
        of_section(&own, otherwise, OfServer::default(), problems)?,
        inhibit,
    ))
}

fn thresholds(section: &Section<'_>, problems: &mut Problems) -> Thresholds {
    let most = i32::MAX as u32;
    let mut read = |key| section.number(key, 0..=most, problems).unwrap_or(0);
    let (upper, lower) = (read("upper_threshold"), read("lower_threshold"));
    Thresholds::new(upper, lower).unwrap_or_else(|| {
        if let Some(value) = section.get("lower_threshold") {
            problems.add(
                value.span(),
                format!("the lower threshold is above the upper one, which is {upper}"),
                format!("expected a whole number from 0 to {upper}"),
            );
        }
        Thresholds::NONE
    })
}

/// Of which families the virtual services of a section are, and its real servers.
#[derive(Clone, Copy)]
pub(super) struct Families {
    services: [bool; 2],
    servers: [bool; 2],
}

impl Families {
    /// Those of a section.
    pub(super) fn of(listens: &[Listen], servers: &[Server]) -> Self {
        let has = [Family::V4, Family::V6];
        Self {
            services: has.map(|family| listens.iter().any(|it| it.value.family() == family)),
            servers: has.map(|family| servers.iter().any(|it| Family::of(it.address) == family)),
        }
    }

    const fn has(families: [bool; 2], family: Family) -> bool {
        match family {
            Family::V4 => families[0],
            Family::V6 => families[1],
        }
    }
}

/// A real server needs a `listen` of its family; only tunnels and FULLNAT go from one to the other.
pub(super) fn check_families(
    listens: &[Listen],
    servers: &[Server],
    families: Families,
    problems: &mut Problems,
) {
    if listens.is_empty() {
        return;
    }
    for server in servers {
        if !listens
            .iter()
            .any(|listen| suits(listen.value, server, families))
        {
            let family = Family::of(server.address);
            problems.add(
                server.span.clone(),
                format!("{} has no virtual service of its family", server.address),
                match family {
                    Family::V4 => "expected an IPv6 address, or an IPv4 address in `listen`",
                    Family::V6 => "expected an IPv4 address, or an IPv6 address in `listen`",
                },
            );
        }
    }
}

/// FULLNAT goes to the other family where one of the two has nobody of its own.
fn suits(service: ServiceKey, server: &Server, families: Families) -> bool {
    let family = Family::of(server.address);
    match server.forwarding {
        Forwarding::Tunnel(_) => true,
        Forwarding::Nat | Forwarding::Direct => family == service.family(),
        Forwarding::FullNat => {
            family == service.family()
                || !Families::has(families.services, family)
                || !Families::has(families.servers, service.family())
        }
    }
}

/// The real servers of a service: those that suit it, at its port if they have none.
pub(super) fn real_servers<'a>(
    service: ServiceKey,
    servers: &'a [Server],
    families: Families,
    problems: &mut Problems,
) -> Vec<(RealServer, &'a Server)> {
    let own_port = match service {
        ServiceKey::Address { address, .. } => Some(address.port()),
        ServiceKey::FirewallMark { .. } => None,
    };
    let mut seen: HashMap<SocketAddr, &Server> = HashMap::new();
    let mut found = Vec::new();
    for server in servers
        .iter()
        .filter(|server| suits(service, server, families))
    {
        let port = server.port.or(own_port).unwrap_or(0);
        if let Some(own_port) = own_port
            && server.forwarding.keeps_ports()
            && port != own_port
        {
            problems.add(
                server.span.clone(),
                format!(
                    "`{}` changes no port: packets to {service} reach {} at port {own_port}",
                    server.forwarding.name(),
                    server.address
                ),
                "leave the port out",
            );
            continue;
        }
        let address = SocketAddr::new(server.address, port);
        if let Some(first) = seen.get(&address) {
            problems.add_problem(Problem {
                span: server.span.clone(),
                message: format!("real server {address} is there twice"),
                expected: "here again".to_owned(),
                other: Some((first.span.clone(), "first here")),
            });
            continue;
        }
        seen.insert(address, server);
        found.push((
            RealServer {
                address,
                forwarding: server.forwarding,
                weight: server.weight,
                thresholds: server.thresholds,
            },
            server,
        ));
    }
    found
}

impl Server {
    /// What it says of its health, and where it stands.
    pub(super) fn health(&self) -> (&OfServer, Range<usize>) {
        (&self.health, self.span.clone())
    }
}
