//! Writing a `weir.toml`.

use std::fmt::Write;

use toml::Value;

use crate::file::{Config, DirectorConfig, Sysctls, TableSizes};
use crate::model::{Forwarding, RealServer, Service, ServiceKey, Timeouts};

/// A `weir.toml` that says what `config` says. Defaults are left out.
///
/// Services that a `weir.toml` cannot have yet, those of a firewall mark, are left out as well.
pub fn save(config: &Config) -> String {
    let sections = [
        section("director", director(&config.director)),
        section("tables", tables(config.tables)),
        section("timeouts", timeouts(config.timeouts)),
        section("sysctl", sysctls(config.sysctls)),
    ];
    let services = config
        .services
        .iter()
        .filter_map(|(service, servers)| self::service(service, servers));
    let parts: Vec<String> = sections.into_iter().flatten().chain(services).collect();
    parts.join("\n")
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

fn sysctls(sysctls: Sysctls) -> Vec<(&'static str, Value)> {
    let expire = sysctls.expire_without_destination.map(u32::from);
    [
        ("conn_reuse_mode", sysctls.connection_reuse_mode),
        ("expire_nodest_conn", expire),
    ]
    .into_iter()
    .filter_map(|(key, number)| Some((key, Value::from(number?))))
    .collect()
}

fn service(service: &Service, servers: &[RealServer]) -> Option<String> {
    let ServiceKey::Address { protocol, address } = service.key else {
        return None;
    };
    let listen = format!("{} {address}", protocol.name());
    let forwarding = servers.first().map_or(Forwarding::Nat, |s| s.forwarding);
    let mut text = "[[service]]\n".to_owned();
    line(&mut text, "listen", &Value::from(vec![listen]));
    line(
        &mut text,
        "scheduler",
        &Value::from(service.scheduler.name()),
    );
    line(&mut text, "forward", &Value::from(forwarding.name()));
    if !servers.is_empty() {
        text.push_str("server = [\n");
        for server in servers {
            let _ = writeln!(
                text,
                "  {{ address = \"{}\", weight = {} }},",
                server.address,
                server.weight.get()
            );
        }
        text.push_str("]\n");
    }
    Some(text)
}

fn line(text: &mut String, key: &str, value: &Value) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{key} = {value}");
}
