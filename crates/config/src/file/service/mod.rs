//! `[[service]]`.

mod attributes;
mod server;

use std::collections::HashMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::DeValue;

use super::address;
use super::health::OfService;
use super::reader::{Keys, Placed, Problems, Section, text};
use crate::diagnostic::Problem;
use crate::model::health::{ServiceHealth, Sorry};
use crate::model::{RealServer, Service, ServiceKey};
use attributes::Attributes;
use server::Families;

const SERVICE: Keys = Keys {
    known: &[
        "name",
        "listen",
        "scheduler",
        "flags",
        "persistence",
        "netmask",
        "netmask6",
        "engine",
        "one_packet",
        "farewell",
        "timeouts",
        "refusal",
        "local_addresses",
        "forward",
        "tunnel",
        "server",
        // `OfService`, and its list of these.
        "check",
        "checks",
        "quorum",
        "sorry_server",
        "inhibit_on_failure",
        "only_while_active",
        "weights",
        "slow_start",
        "passive",
        "notify",
        "omega",
    ],
    later: &[],
};
const LIST_OF_SERVICES: &str = "expected sections that begin with [[service]]";
const LIST_OF_LISTEN: &str = r#"expected a list like ["tcp 192.0.2.10:80"]"#;

type Listen = Placed<ServiceKey>;

/// A virtual service, its real servers, and how they are watched.
pub(super) struct Written {
    pub(super) service: Service,
    pub(super) servers: Vec<RealServer>,
    pub(super) health: Option<ServiceHealth>,
}

/// All virtual services, in the order in which they stand in the file.
pub(super) fn services(file: &Section<'_>, problems: &mut Problems) -> Vec<Written> {
    let mut services = Vec::new();
    let mut seen: HashMap<ServiceKey, Range<usize>> = HashMap::new();
    let list = file.list("service", LIST_OF_SERVICES, problems);
    for value in list.into_iter().flat_map(|list| list.iter()) {
        for placed in service(value, problems) {
            let key = placed.value.service.key;
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
fn service(value: &Spanned<DeValue<'_>>, problems: &mut Problems) -> Vec<Placed<Written>> {
    let Some(section) = Section::of_value(value, "[[service]]", &SERVICE, problems) else {
        return Vec::new();
    };
    section.text("name", problems);
    let attributes = Attributes::read(&section, problems);
    let forwarding = server::forwarding_of_service(&section, problems);
    let listens = listens(&section, problems);
    let servers = server::servers(&section, forwarding, problems);
    attributes.check(&section, &listens, problems);
    let families = Families::of(&listens, &servers);
    server::check_families(&listens, &servers, families, problems);
    let health = OfService::read(&section, problems);
    let sorry = server::sorry(&section, forwarding, problems);
    if let Some((sorry, _)) = &sorry {
        server::check_families(&listens, std::slice::from_ref(sorry), families, problems);
    }
    listens
        .into_iter()
        .map(|listen| {
            let key = listen.value;
            let found = server::real_servers(key, &servers, families, problems);
            let sorry = sorry.as_ref().and_then(|(sorry, inhibit)| {
                let sorry =
                    server::real_servers(key, std::slice::from_ref(sorry), families, problems);
                sorry.first().map(|(server, _)| Sorry {
                    server: *server,
                    inhibit: *inhibit,
                })
            });
            let watched = found.iter().map(|(server, written)| {
                let (health, span) = written.health();
                (*server, health, span)
            });
            Placed {
                value: Written {
                    service: attributes.of(key),
                    health: health.health(key, watched, sorry, problems),
                    servers: found.iter().map(|(server, _)| *server).collect(),
                },
                span: listen.span,
            }
        })
        .collect()
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
