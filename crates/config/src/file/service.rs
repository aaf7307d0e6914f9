//! `[[service]]`.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use toml::Spanned;
use toml::de::DeValue;

use super::address;
use super::reader::{Keys, Placed, Problems, Section, suggestion, text};
use crate::diagnostic::Problem;
use crate::model::{
    Family, Forwarding, Protocol, RealServer, Scheduler, Service, ServiceKey, Weight,
};

const SERVICE: Keys = Keys {
    known: &["name", "listen", "scheduler", "forward", "server"],
    later: &[
        "check",
        "flags",
        "netmask",
        "one_packet",
        "persistence",
        "sorry_server",
        "timeouts",
    ],
};
const SERVER: Keys = Keys {
    known: &["address", "weight"],
    later: &["check", "forward", "lower_threshold", "upper_threshold"],
};
const LIST_OF_SERVICES: &str = "expected sections that begin with [[service]]";
const LIST_OF_LISTEN: &str = r#"expected a list like ["tcp 192.0.2.10:80"]"#;
const LIST_OF_SERVERS: &str =
    r#"expected a list of tables like [{ address = "10.0.0.11:8080", weight = 1 }]"#;

/// A real server as it is written: one for each `listen` of its family.
struct Server {
    span: Range<usize>,
    address: IpAddr,
    port: Option<u16>,
    weight: Weight,
}

type Listen = Placed<(Protocol, SocketAddr)>;

/// All virtual services, in the order in which they stand in the file.
pub(super) fn services(
    file: &Section<'_>,
    problems: &mut Problems,
) -> Vec<(Service, Vec<RealServer>)> {
    let mut services = Vec::new();
    let mut seen: HashMap<ServiceKey, Range<usize>> = HashMap::new();
    let list = file.list("service", LIST_OF_SERVICES, problems);
    for value in list.into_iter().flat_map(|list| list.iter()) {
        for placed in service(value, problems) {
            let key = placed.value.0.key;
            if let Some(first) = seen.get(&key) {
                problems.add_problem(Problem {
                    span: placed.span,
                    message: format!("virtual service {key} is there twice"),
                    expected: "here again".to_owned(),
                    other: Some((first.clone(), "first here")),
                });
            } else {
                seen.insert(key, placed.span);
                services.push(placed.value);
            }
        }
    }
    services
}

/// The virtual services of one section: as many as it has `listen` entries.
fn service(
    value: &Spanned<DeValue<'_>>,
    problems: &mut Problems,
) -> Vec<Placed<(Service, Vec<RealServer>)>> {
    let Some(section) = Section::of_value(value, "[[service]]", &SERVICE, problems) else {
        return Vec::new();
    };
    section.text("name", problems);
    let scheduler = scheduler(&section, problems);
    let forwarding = forwarding(&section, problems);
    let listens = listens(&section, problems);
    let servers = servers(&section, problems);
    check_families(&listens, &servers, problems);
    listens
        .into_iter()
        .map(|listen| {
            let (protocol, address) = listen.value;
            let key = ServiceKey::Address { protocol, address };
            let servers = real_servers(address, &servers, forwarding, problems);
            Placed {
                value: (
                    Service {
                        scheduler,
                        ..Service::new(key)
                    },
                    servers,
                ),
                span: listen.span,
            }
        })
        .collect()
}

fn scheduler(section: &Section<'_>, problems: &mut Problems) -> Scheduler {
    let Some(name) = section.text("scheduler", problems) else {
        return Scheduler::default();
    };
    Scheduler::from_name(name.value).unwrap_or_else(|| {
        refuse_name(
            "scheduler",
            name,
            &Scheduler::ALL.map(Scheduler::name),
            problems,
        );
        Scheduler::default()
    })
}

fn forwarding(section: &Section<'_>, problems: &mut Problems) -> Forwarding {
    if section.lacks("forward") {
        problems.add(
            section.span.clone(),
            "this service does not say how packets reach its real servers",
            r#"expected `forward = "nat"`"#,
        );
    }
    let Some(name) = section.text("forward", problems) else {
        return Forwarding::Nat;
    };
    Forwarding::from_name(name.value).unwrap_or_else(|| {
        refuse_name("forwarding method", name, &Forwarding::NAMES, problems);
        Forwarding::Nat
    })
}

fn refuse_name(what: &str, name: Placed<&str>, known: &[&'static str], problems: &mut Problems) {
    problems.add(
        name.span,
        format!("there is no {what} `{}`", name.value),
        suggestion(name.value, known),
    );
}

fn listens(section: &Section<'_>, problems: &mut Problems) -> Vec<Listen> {
    let list = section.list("listen", LIST_OF_LISTEN, problems);
    let empty = list.filter(|list| list.is_empty());
    let empty = empty.and_then(|_| section.get("listen"));
    if section.lacks("listen") || empty.is_some() {
        problems.add(
            empty.map_or(section.span.clone(), toml::Spanned::span),
            "this service listens nowhere",
            r#"expected `listen = ["tcp 192.0.2.10:80"]`"#,
        );
    }
    let mut listens = Vec::new();
    for value in list.into_iter().flat_map(|list| list.iter()) {
        let Some(text) = text(value, "an entry of `listen`", LIST_OF_LISTEN, problems) else {
            continue;
        };
        match address::listen(text.value) {
            Ok(listen) => listens.push(Placed {
                value: listen,
                span: text.span,
            }),
            Err((message, expected)) => problems.add(text.span, message, expected),
        }
    }
    listens
}

fn servers(section: &Section<'_>, problems: &mut Problems) -> Vec<Server> {
    let list = section.list("server", LIST_OF_SERVERS, problems);
    let values = list.into_iter().flat_map(|list| list.iter());
    values.filter_map(|value| server(value, problems)).collect()
}

fn server(value: &Spanned<DeValue<'_>>, problems: &mut Problems) -> Option<Server> {
    let section = Section::of_value(value, "a real server", &SERVER, problems)?;
    let weight = section.number("weight", 0..=Weight::MAX, problems);
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
            weight: weight.and_then(Weight::new).unwrap_or_default(),
        }),
        Err((message, expected)) => {
            problems.add(text.span, message, expected);
            None
        }
    }
}

/// A real server needs a `listen` of its family; only tunnels go from one to the other.
fn check_families(listens: &[Listen], servers: &[Server], problems: &mut Problems) {
    if listens.is_empty() {
        return;
    }
    for server in servers {
        let family = Family::of(server.address);
        let fits = |listen: &Listen| Family::of(listen.value.1.ip()) == family;
        if !listens.iter().any(fits) {
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

/// The real servers of the service at `listen`: those of its family, at its port if they have none.
fn real_servers(
    listen: SocketAddr,
    servers: &[Server],
    forwarding: Forwarding,
    problems: &mut Problems,
) -> Vec<RealServer> {
    let mut seen: HashMap<SocketAddr, &Server> = HashMap::new();
    let mut found = Vec::new();
    for server in servers {
        if Family::of(server.address) != Family::of(listen.ip()) {
            continue;
        }
        let address = SocketAddr::new(server.address, server.port.unwrap_or(listen.port()));
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
        found.push(RealServer {
            weight: server.weight,
            ..RealServer::new(address, forwarding)
        });
    }
    found
}
