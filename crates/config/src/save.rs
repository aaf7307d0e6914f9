//! Writing a `weir.toml`.

mod check;
mod health;
mod notifications;
mod raw;
mod vrrp;

use std::collections::HashMap;
use std::fmt::Write;
use std::net::SocketAddr;

use toml::{Table, Value};

use crate::file::{Config, DirectorConfig, TableSizes};
use crate::model::health::ServiceHealth;
use crate::model::{
    Family, Forwarding, GueChecksum, MarkRule, Netmask, Ports, RealServer, Refusal, Service,
    ServiceKey, Timeouts, Tunnel,
};
use crate::sysctl::Sysctls;
use raw::Entries;

/// A `weir.toml` that says what `config` says. Defaults are left out.
pub fn save(config: &Config) -> String {
    let sections = [
        section("director", director(&config.director)),
        section("tables", tables(config.tables)),
        section("timeouts", timeouts(config.timeouts)),
        section("sysctl", sysctls(&config.sysctls)),
        notifications::section(&config.notifications),
    ];
    let marks = config.marks.iter().map(mark);
    let health: HashMap<ServiceKey, &ServiceHealth> =
        config.health.iter().map(|one| (one.key, one)).collect();
    let services = config.services.iter().map(|(service, servers)| {
        self::service(service, servers, health.get(&service.key).copied())
    });
    let sections = sections.into_iter().flatten();
    let vrrp = vrrp::sections(&config.vrrp);
    let parts: Vec<String> = sections.chain(marks).chain(services).chain(vrrp).collect();
    parts.join("\n")
}

/// What is said of the health of a service, and of each of its real servers, as TOML.
pub(crate) fn health_of(health: &ServiceHealth) -> Vec<(Option<SocketAddr>, String)> {
    let parts = health::apart(health).into_iter();
    let parts = parts.map(|(server, entries)| {
        let lines = entries.into_iter();
        let lines = lines.map(|(key, value)| format!("{key} = {value}\n"));
        (server, lines.collect())
    });
    parts.collect()
}

fn section(name: &str, entries: Vec<(&str, Value)>) -> Option<String> {
    if entries.is_empty() {
        return None;
    }
    let mut text = format!("[{name}]\n");
    for (key, value) in entries {
        line(&mut text, key, &value);
    }
    Some(text)
}

fn director(config: &DirectorConfig) -> Vec<(&'static str, Value)> {
    let default = DirectorConfig::default();
    let path = |path: &std::path::Path| Value::from(path.to_string_lossy().into_owned());
    let mut entries = Vec::new();
    if !config.interfaces.is_empty() {
        entries.push(("interfaces", Value::from(config.interfaces.clone())));
    }
    if config.mode != default.mode {
        entries.push(("mode", Value::from(config.mode.name())));
    }
    if config.socket != default.socket {
        entries.push(("socket", path(&config.socket)));
    }
    if config.bpffs != default.bpffs {
        entries.push(("bpffs", path(&config.bpffs)));
    }
    if let Some(state) = &config.state {
        entries.push(("state", path(state)));
    }
    if let Some(audit) = &config.audit {
        entries.push(("audit", path(audit)));
    }
    if config.by_hand != default.by_hand {
        entries.push(("by_hand", Value::from(config.by_hand.name())));
    }
    if config.watch {
        entries.push(("watch", Value::from(true)));
    }
    if config.local_clients {
        entries.push(("local_clients", Value::from(true)));
    }
    entries
}

fn tables(sizes: TableSizes) -> Vec<(&'static str, Value)> {
    let default = TableSizes::default();
    [
        ("services", sizes.services, default.services),
        ("real_servers", sizes.real_servers, default.real_servers),
        ("connections", sizes.connections4, default.connections4),
        ("connections6", sizes.connections6, default.connections6),
    ]
    .into_iter()
    .filter(|(_, size, default)| size != default)
    .map(|(key, size, _)| (key, Value::from(size)))
    .collect()
}

fn timeouts(timeouts: Timeouts) -> Vec<(&'static str, Value)> {
    [
        ("tcp", timeouts.tcp),
        ("tcp_fin", timeouts.tcp_fin),
        ("udp", timeouts.udp),
    ]
    .into_iter()
    .filter(|(_, seconds)| *seconds != 0)
    .map(|(key, seconds)| (key, Value::from(seconds)))
    .collect()
}

fn sysctls(sysctls: &Sysctls) -> Vec<(&'static str, Value)> {
    let shown = sysctls.shown();
    shown
        .map(|(name, value)| {
            let number = value.parse::<i64>();
            (name, number.map_or(Value::from(value), Value::from))
        })
        .collect()
}

fn mark(rule: &MarkRule) -> String {
    let mut text = "[[mark]]\n".to_owned();
    line(&mut text, "mark", &Value::from(rule.mark.get()));
    if let Some(protocol) = rule.protocol {
        line(&mut text, "protocol", &Value::from(protocol.name()));
    }
    let destination = rule.destination.to_string();
    line(&mut text, "destination", &Value::from(destination));
    if rule.ports != Ports::ALL {
        line(&mut text, "ports", &Value::from(rule.ports.to_string()));
    }
    if let Some(interface) = &rule.interface {
        line(&mut text, "interface", &Value::from(interface.as_str()));
    }
    text
}

/// A service as `listen` has it.
fn listen(key: ServiceKey) -> String {
    match key {
        ServiceKey::Address { protocol, address } => format!("{} {address}", protocol.name()),
        ServiceKey::FirewallMark {
            family: Family::V4,
            mark,
        } => format!("fwmark {mark}"),
        ServiceKey::FirewallMark {
            family: Family::V6,
            mark,
        } => format!("fwmark6 {mark}"),
    }
}

fn service(service: &Service, servers: &[RealServer], health: Option<&ServiceHealth>) -> String {
    let forwarding = servers.first().map_or(Forwarding::Nat, |s| s.forwarding);
    let mut text = "[[service]]\n".to_owned();
    line(&mut text, "listen", &Value::from(vec![listen(service.key)]));
    for (key, value) in attributes(service) {
        line(&mut text, key, &value);
    }
    line(&mut text, "forward", &Value::from(forwarding.name()));
    if let Forwarding::Tunnel(tunnel) = forwarding
        && tunnel != Tunnel::Ipip
    {
        line(&mut text, "tunnel", &self::tunnel(tunnel));
    }
    let health = health.map(|health| health::of_service(health, servers, forwarding));
    let health = health.unwrap_or_default();
    for (key, value) in &health.service {
        let _ = writeln!(text, "{key} = {value}");
    }
    if !servers.is_empty() {
        text.push_str("server = [\n");
        for server in servers {
            let mut entries = self::server(server, forwarding);
            entries.extend(health.of_server(server.address));
            let _ = writeln!(text, "  {},", raw::table(&entries));
        }
        text.push_str("]\n");
    }
    text
}

fn attributes(service: &Service) -> Vec<(&'static str, Value)> {
    let mut entries = vec![("scheduler", Value::from(service.scheduler.name()))];
    let flags = service.flags.names(service.scheduler);
    if !flags.is_empty() {
        entries.push(("flags", Value::from(flags)));
    }
    if let Some(persistence) = service.persistence {
        entries.push(("persistence", Value::from(persistence.timeout)));
        match persistence.netmask {
            whole if whole == Netmask::whole(service.family()) => {}
            Netmask::V4(mask) => entries.push(("netmask", Value::from(mask.to_string()))),
            Netmask::V6(length) => {
                entries.push(("netmask6", Value::from(u32::from(length.get()))));
            }
        }
    }
    if let Some(engine) = service.engine {
        entries.push(("engine", Value::from(engine.name())));
    }
    if service.farewell {
        entries.push(("farewell", Value::from(true)));
    }
    if service.one_packet {
        entries.push(("one_packet", Value::from(true)));
    }
    let own = service.timeouts;
    let own = [("tcp", own.tcp), ("tcp_fin", own.tcp_fin), ("udp", own.udp)];
    let own = own
        .into_iter()
        .filter_map(|(key, seconds)| Some((key.to_owned(), Value::from(seconds?.get()))));
    let own: Table = own.collect();
    if !own.is_empty() {
        entries.push(("timeouts", Value::Table(own)));
    }
    if service.refusal != Refusal::default() {
        entries.push(("refusal", Value::from(service.refusal.name())));
    }
    if !service.local_addresses.is_empty() {
        let addresses = service.local_addresses.iter();
        let addresses: Vec<String> = addresses.map(|address| address.to_string()).collect();
        entries.push(("local_addresses", Value::from(addresses)));
    }
    entries
}

fn tunnel(tunnel: Tunnel) -> Value {
    let mut table = Table::new();
    table.insert("type".to_owned(), Value::from(tunnel.name()));
    let checksum = match tunnel {
        Tunnel::Ipip => GueChecksum::None,
        Tunnel::Gue { port, checksum } => {
            table.insert("port".to_owned(), Value::from(u32::from(port.get())));
            checksum
        }
        Tunnel::Gre { checksum: true } => GueChecksum::Full,
        Tunnel::Gre { checksum: false } => GueChecksum::None,
    };
    if checksum != GueChecksum::None {
        table.insert("checksum".to_owned(), Value::from(checksum.name()));
    }
    Value::Table(table)
}

/// On one line: there may be many.
fn server(server: &RealServer, of_service: Forwarding) -> Entries {
    let address = match server.address.port() {
        0 => server.address.ip().to_string(),
        _ => server.address.to_string(),
    };
    let mut entries = vec![
        ("address", raw::value(address)),
        ("weight", raw::value(server.weight.get())),
    ];
    if server.forwarding != of_service {
        entries.push(("forward", raw::value(server.forwarding.name())));
        if let Forwarding::Tunnel(tunnel) = server.forwarding {
            entries.push(("tunnel", self::tunnel(tunnel).to_string()));
        }
    }
    for (name, threshold) in [
        ("upper_threshold", server.thresholds.upper()),
        ("lower_threshold", server.thresholds.lower()),
    ] {
        if threshold != 0 {
            entries.push((name, raw::value(threshold)));
        }
    }
    entries
}

fn line(text: &mut String, key: &str, value: &Value) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{key} = {value}");
}
