//! `weir services`: the virtual services with their real servers.

use std::collections::HashMap;

use clap::Args;
use weir_abi::pool::PORTS;
use weir_api::Key;
use weir_api::types::{Health, Server, Service, ServiceHealth, Services};

use super::{Form, Target, columns};
use crate::amount::Amount;
use crate::exit::{Code, Failure, Outcome};

/// List virtual services with their real servers
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  weir services
  weir services tcp:192.0.2.10:80
  weir services --json | jq '.services[].servers[].address'

`weir ipvsadm -L` lists the same as ipvsadm does.")]
pub struct Arguments {
    /// One service only: `tcp:192.0.2.10:80`, `udp:[2001:db8::1]:53`, `fwmark:7`
    pub key: Option<String>,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    form: Form,
}

/// Asks and prints.
pub fn run(arguments: &Arguments) -> Outcome {
    let client = arguments.target.client()?;
    let services = match &arguments.key {
        None => client.services()?,
        Some(text) => {
            let key: Key = text
                .parse()
                .map_err(|error| Failure::new(Code::Usage, error))?;
            Services {
                services: vec![client.service(key.0)?],
            }
        }
    };
    if arguments.form.json {
        return arguments.form.print(&services, |_| String::new());
    }
    let health = client.health(None)?;
    arguments
        .form
        .print(&services, |services| render(services, &health))
}

fn render(services: &Services, health: &Health) -> String {
    if services.services.is_empty() {
        return "no services\n".to_owned();
    }
    let watched: HashMap<_, _> = health.services.iter().map(|one| (one.key.0, one)).collect();
    let services = services.services.iter();
    let blocks: Vec<String> = services
        .map(|service| {
            let watched = watched.get(&service.key.0);
            let health = watched.map(|health| out(health, service));
            render_service(service) + &health.unwrap_or_default()
        })
        .collect();
    blocks.join("\n")
}

/// Those that are not there because of their health.
fn out(health: &ServiceHealth, service: &Service) -> String {
    let mut text = String::new();
    if let Some(sorry) = health.sorry_server.filter(|sorry| sorry.serves) {
        text += &format!("  no quorum: sorry server {} serves\n", sorry.address);
    }
    for server in health.servers.iter().filter(|server| !server.up) {
        let here = service
            .servers
            .iter()
            .any(|one| one.address == server.address);
        let place = match here {
            true => "inhibited",
            false => "out",
        };
        let state = super::health::state(server);
        text += &format!("  {place}: {} {state}\n", server.address);
    }
    text
}

fn render_service(service: &Service) -> String {
    let mut text = format!(
        "{}  {}  {}, {} now per second\n",
        service.key,
        service.scheduler,
        Amount(service.counters.connections, "connection"),
        service.rates.connections
    );
    let attributes = attributes(service);
    if !attributes.is_empty() {
        text += &format!("  {}\n", attributes.join(", "));
    }
    if service.servers.is_empty() {
        return text + &format!("  no real servers: clients get {}\n", refusal(service));
    }
    let persistent = service.persistence.is_some();
    let limited = service
        .servers
        .iter()
        .any(|server| server.upper_threshold != 0);
    let mut titles = vec!["real server", "method", "weight", "active", "inactive"];
    titles.extend(persistent.then_some("clients"));
    titles.extend(limited.then_some("limit"));
    let is_full_nat = !service.local_addresses.is_empty();
    titles.extend(is_full_nat.then_some("local ports"));
    titles.push("connections");
    let mut rows = vec![titles.into_iter().map(str::to_owned).collect()];
    rows.extend(service.servers.iter().map(|server| {
        let mut row = vec![
            server.address.to_string(),
            method(server),
            match server.weight {
                0 => "0 (quiesced)".to_owned(),
                weight => weight.to_string(),
            },
            server.active_connections.to_string(),
            server.inactive_connections.to_string(),
        ];
        row.extend(persistent.then(|| server.persistent_connections.to_string()));
        row.extend(limited.then(|| limit(server)));
        row.extend(is_full_nat.then(|| local_ports(service, server)));
        row.push(server.counters.connections.to_string());
        row
    }));
    text += &columns(&rows);
    text
}

/// What is special about it.
fn attributes(service: &Service) -> Vec<String> {
    let mut attributes = service.scheduler_flags.clone();
    if let Some(persistence) = &service.persistence {
        let whole = [Some("255.255.255.255"), Some("128"), None];
        let netmask = match persistence.netmask.as_deref() {
            mask if whole.contains(&mask) => String::new(),
            mask => format!(" by {}", mask.unwrap_or_default()),
        };
        attributes.push(format!("persistent for {} s{netmask}", persistence.timeout));
    }
    attributes.extend(service.engine.iter().map(|name| format!("engine {name}")));
    if service.farewell {
        attributes.push("expiry is told".to_owned());
    }
    if service.one_packet {
        attributes.push("every packet a connection".to_owned());
    }
    let timeouts = service.timeouts;
    for (name, seconds) in [
        ("tcp", timeouts.tcp),
        ("tcp-fin", timeouts.tcp_fin),
        ("udp", timeouts.udp),
    ] {
        attributes.extend(seconds.map(|seconds| format!("timeout {name} {seconds} s")));
    }
    if !service.local_addresses.is_empty() {
        let addresses: Vec<_> = service
            .local_addresses
            .iter()
            .map(ToString::to_string)
            .collect();
        attributes.push(format!("from {}", addresses.join(" ")));
    }
    if service.ports_exhausted > 0 {
        attributes.push(format!(
            "{} connections found no free port of these",
            service.ports_exhausted
        ));
    }
    attributes
}

/// What a client gets that no real server takes.
fn refusal(service: &Service) -> &'static str {
    match service.refusal.as_str() {
        "reset" => "a TCP reset or ICMP port unreachable",
        "silent" => "no answer",
        _ => "ICMP port unreachable",
    }
}

/// How many ports of the service's addresses are claimed towards a real server: one for each connection.
fn local_ports(service: &Service, server: &Server) -> String {
    if server.forwarding != "fullnat" {
        return String::new();
    }
    let used = server.active_connections + server.inactive_connections;
    let all = service.local_addresses.len() as u32 * PORTS;
    format!("{used} of {all}")
}

fn method(server: &Server) -> String {
    let Some(tunnel) = &server.tunnel else {
        return server.forwarding.clone();
    };
    let port = tunnel.port.map(|port| format!(" to port {port}"));
    let checksum = match tunnel.checksum.as_deref() {
        None | Some("none") => String::new(),
        Some(name) => format!(", {name} checksum"),
    };
    let (method, kind) = (&server.forwarding, &tunnel.r#type);
    format!("{method} {kind}{}{checksum}", port.unwrap_or_default())
}

/// From when on it takes no new connection, and below what it does again.
fn limit(server: &Server) -> String {
    if server.upper_threshold == 0 {
        return "none".to_owned();
    }
    let again = match server.lower_threshold {
        0 => String::new(),
        lower => format!(", again below {lower}"),
    };
    let full = if server.overloaded { " (full)" } else { "" };
    format!("{}{again}{full}", server.upper_threshold)
}
