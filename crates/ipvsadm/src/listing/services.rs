//! Services and their real servers in columns.

use std::net::SocketAddr;

use weir_config::model::{Family, Protocol, ServiceKey};

use super::number::large;
use super::{
    Counters, Header, Rates, ServerListing, ServiceListing, order, protocol_name, protocol_of,
};
use crate::address;
use crate::command::{Columns, Format, Forwarding, Netmask, Tunnel, TunnelChecksum};
use crate::names::Names;
use crate::scheduler_flags;

/// What `-L` prints.
pub fn services(
    header: Header,
    list: &[ServiceListing],
    format: Format,
    names: &dyn Names,
) -> String {
    let (major, minor, patch) = header.version;
    let size = header.connection_table_size.cast_signed();
    let mut text = format!("IP Virtual Server version {major}.{minor}.{patch} (size={size})\n");
    let writer = Writer::new(format, names);
    text += &title(format.columns);
    if format.unsorted {
        list.iter()
            .for_each(|service| writer.service(service, &mut text));
    } else {
        for service in order::services(list) {
            writer.service(service, &mut text);
        }
    }
    text
}

/// What `-L` prints of one service: the same without the first line.
pub fn service(service: &ServiceListing, format: Format, names: &dyn Names) -> String {
    let mut text = title(format.columns);
    Writer::new(format, names).service(service, &mut text);
    text
}

fn title(columns: Columns) -> String {
    const LOCAL: &str = "Prot LocalAddress:Port";
    const REMOTE: &str = "  -> RemoteAddress:Port";
    let counters = |[conns, in_packets, out_packets, in_bytes, out_bytes]: [&str; 5]| {
        format!(
            "{LOCAL:<33} {conns:>8} {in_packets:>8} {out_packets:>8} {in_bytes:>8} {out_bytes:>8}\n{REMOTE}\n"
        )
    };
    match columns {
        Columns::Default => format!(
            "{LOCAL} Scheduler Flags\n{REMOTE}           Forward Weight ActiveConn InActConn\n"
        ),
        Columns::Stats => counters(["Conns", "InPkts", "OutPkts", "InBytes", "OutBytes"]),
        Columns::Rate => counters(["CPS", "InPPS", "OutPPS", "InBPS", "OutBPS"]),
        Columns::Thresholds => format!(
            "{LOCAL:<33} {:<10} {:<10} {:<10} {:<10}\n{REMOTE}\n",
            "Uthreshold", "Lthreshold", "ActiveConn", "InActConn"
        ),
        Columns::PersistentConnections => format!(
            "{LOCAL:<33} {:<9} {:<11} {:<10} {:<10}\n{REMOTE}\n",
            "Weight", "PersistConn", "ActiveConn", "InActConn"
        ),
        Columns::TunnelInfo => format!(
            "{LOCAL} Scheduler Flags\n{REMOTE}           Forward TunnelInfo    Weight ActiveConn InActConn\n"
        ),
    }
}

struct Writer<'a> {
    format: Format,
    names: Option<&'a dyn Names>,
}

impl<'a> Writer<'a> {
    fn new(format: Format, names: &'a dyn Names) -> Self {
        Self {
            format,
            names: (!format.numeric).then_some(names),
        }
    }

    fn service(&self, service: &ServiceListing, text: &mut String) {
        let name = self.service_name(&service.key);
        *text += &match self.format.columns {
            Columns::Stats => format!("{name:<33}{}", self.counters(service.counters)),
            Columns::Rate => format!("{name:<33}{}", self.rates(service.rates)),
            Columns::Default
            | Columns::Thresholds
            | Columns::PersistentConnections
            | Columns::TunnelInfo => {
                format!("{name} {}{}", service.scheduler, attributes(service))
            }
        };
        text.push('\n');
        let protocol = protocol_of(&service.key);
        if self.format.unsorted {
            service
                .servers
                .iter()
                .for_each(|server| self.server(server, protocol, text));
        } else {
            for server in order::servers(&service.servers) {
                self.server(server, protocol, text);
            }
        }
    }

    fn service_name(&self, key: &ServiceKey) -> String {
        match key {
            ServiceKey::Address { protocol, address } => {
                let endpoint =
                    address::written(address.ip(), address.port(), Some(*protocol), self.names);
                let mut name = format!("{:<4} {endpoint}", protocol_name(*protocol));
                if address.is_ipv4() {
                    address::shorten(&mut name, 33);
                }
                name
            }
            ServiceKey::FirewallMark { family, mark } => {
                let mark = mark.cast_signed();
                match family {
                    Family::V4 => format!("FWM  {mark}"),
                    Family::V6 => format!("FWM  {mark} IPv6"),
                }
            }
        }
    }

    fn server(&self, server: &ServerListing, protocol: Option<Protocol>, text: &mut String) {
        let name = self.server_name(server.address, protocol);
        let (active, inactive) = (server.active_connections, server.inactive_connections);
        let forwarding = forwarding_name(server.forwarding);
        let weight = server.weight.cast_signed();
        *text += &match self.format.columns {
            Columns::Default => {
                format!("  -> {name:<28} {forwarding:<7} {weight:<6} {active:<10} {inactive:<10}")
            }
            Columns::Stats => format!("  -> {name:<28}{}", self.counters(server.counters)),
            Columns::Rate => {
                let rates = server.rates;
                // Here the first three are never shortened, whatever their size.
                let [connections, packets_in, packets_out] =
                    [rates.connections, rates.packets_in, rates.packets_out]
                        .map(|rate| format!(" {rate:>8}"));
                let [bytes_in, bytes_out] =
                    [rates.bytes_in, rates.bytes_out].map(|rate| large(rate, self.format.exact));
                format!(
                    "  -> {name:<28}{connections}{packets_in}{packets_out}{bytes_in}{bytes_out}"
                )
            }
            Columns::Thresholds => {
                let (upper, lower) = (server.upper_threshold, server.lower_threshold);
                format!("  -> {name:<28} {upper:<10} {lower:<10} {active:<10} {inactive:<10}")
            }
            Columns::PersistentConnections => {
                let (weight, persistent) = (server.weight, server.persistent_connections);
                format!("  -> {name:<28} {weight:<9} {persistent:<11} {active:<10} {inactive:<10}")
            }
            Columns::TunnelInfo => {
                let tunnel = tunnel_info(server.forwarding);
                format!(
                    "  -> {name:<28} {forwarding:<7} {tunnel:<13} {weight:<6} {active:<10} {inactive:<10}"
                )
            }
        };
        text.push('\n');
    }

    fn server_name(&self, address: SocketAddr, protocol: Option<Protocol>) -> String {
        let mut name = address::written(address.ip(), address.port(), protocol, self.names);
        if address.is_ipv4() {
            address::shorten(&mut name, 28);
        }
        name
    }

    fn counters(&self, counters: Counters) -> String {
        [
            counters.connections,
            counters.packets_in,
            counters.packets_out,
            counters.bytes_in,
            counters.bytes_out,
        ]
        .map(|counter| large(counter, self.format.exact))
        .concat()
    }

    fn rates(&self, rates: Rates) -> String {
        [
            rates.connections,
            rates.packets_in,
            rates.packets_out,
            rates.bytes_in,
            rates.bytes_out,
        ]
        .map(|rate| large(rate, self.format.exact))
        .concat()
    }
}

/// What stands behind the scheduler's name.
fn attributes(service: &ServiceListing) -> String {
    let mut text = String::new();
    if service.flags.any() {
        let names = scheduler_flags::written(service.flags, &service.scheduler);
        text += &format!(" ({names})");
    }
    if let Some(seconds) = service.persistent {
        text += &format!(" persistent {seconds}");
        match service.netmask {
            mask if mask.is_whole() => {}
            Netmask::V4(mask) => text += &format!(" mask {mask}"),
            Netmask::V6(length) => text += &format!(" mask {length}"),
        }
        if let Some(engine) = &service.persistence_engine {
            text += &format!(" pe {engine}");
        }
    }
    if service.one_packet {
        text += " ops";
    }
    text
}

pub(crate) const fn forwarding_name(forwarding: Forwarding) -> &'static str {
    match forwarding {
        Forwarding::Nat => "Masq",
        Forwarding::Local => "Local",
        Forwarding::Tunnel(_) => "Tunnel",
        Forwarding::DirectRouting => "Route",
        Forwarding::FullNat => "FullNat",
    }
}

fn tunnel_info(forwarding: Forwarding) -> String {
    let sign = |checksum| match checksum {
        TunnelChecksum::No => "-c",
        TunnelChecksum::Yes => "+c",
        TunnelChecksum::Remote => "r+c",
    };
    match forwarding {
        Forwarding::Tunnel(Tunnel::Ipip) => "ipip".to_owned(),
        Forwarding::Tunnel(Tunnel::Gue { port, checksum }) => {
            format!("gue:{port}:{}", sign(checksum))
        }
        Forwarding::Tunnel(Tunnel::Gre { checksum }) => format!("gre:{}", sign(checksum)),
        Forwarding::Nat | Forwarding::DirectRouting | Forwarding::Local | Forwarding::FullNat => {
            "n/a".to_owned()
        }
    }
}
