//! The table as commands.

use weir_config::model::{Family, Protocol, ServiceKey};

use super::{ServerListing, ServiceListing, order, protocol_of};
use crate::address;
use crate::command::{Forwarding, Netmask, Tunnel, TunnelChecksum};
use crate::names::Names;
use crate::scheduler_flags;

/// What `-S` prints. As in ipvsadm, thresholds are not saved.
pub fn save(list: &[ServiceListing], numeric: bool, names: &dyn Names) -> String {
    let names = (!numeric).then_some(names);
    let mut text = String::new();
    for service in order::services(list) {
        let name = service_name(&service.key, names);
        text += &format!(
            "-A {name} -s {}{}\n",
            service.scheduler,
            attributes(service)
        );
        for server in order::servers(&service.servers) {
            text += &server_line(&name, server, protocol_of(&service.key), names);
        }
    }
    text
}

fn service_name(key: &ServiceKey, names: Option<&dyn Names>) -> String {
    match key {
        ServiceKey::Address { protocol, address } => {
            let option = match protocol {
                Protocol::Tcp => "-t",
                Protocol::Udp => "-u",
                Protocol::Sctp => "--sctp-service",
            };
            let endpoint = address::written(address.ip(), address.port(), Some(*protocol), names);
            format!("{option} {endpoint}")
        }
        ServiceKey::FirewallMark { family, mark } => {
            let mark = mark.cast_signed();
            match family {
                Family::V4 => format!("-f {mark}"),
                Family::V6 => format!("-f {mark} -6"),
            }
        }
    }
}

fn attributes(service: &ServiceListing) -> String {
    let mut text = String::new();
    if let Some(seconds) = service.persistent {
        text += &format!(" -p {seconds}");
        match service.netmask {
            mask if mask.is_whole() => {}
            Netmask::V4(mask) => text += &format!(" -M {mask}"),
            Netmask::V6(length) => text += &format!(" -M {length}"),
        }
    }
    if let Some(engine) = &service.persistence_engine {
        text += &format!(" --pe {engine}");
    }
    if service.one_packet {
        text += " -o";
    }
    if service.flags.any() {
        let names = scheduler_flags::written(service.flags, &service.scheduler);
        text += &format!(" -b {names}");
    }
    text
}

fn server_line(
    service: &str,
    server: &ServerListing,
    protocol: Option<Protocol>,
    names: Option<&dyn Names>,
) -> String {
    let name = address::written(server.address.ip(), server.address.port(), protocol, names);
    let weight = server.weight.cast_signed();
    let (method, tunnel) = match server.forwarding {
        // What comes nearest of what ipvsadm has.
        Forwarding::Nat | Forwarding::FullNat => ("-m", String::new()),
        Forwarding::DirectRouting | Forwarding::Local => ("-g", String::new()),
        Forwarding::Tunnel(tunnel) => ("-i", tunnel_options(tunnel)),
    };
    format!("-a {service} -r {name} {method} -w {weight}{tunnel}\n")
}

fn tunnel_options(tunnel: Tunnel) -> String {
    let option = |checksum| match checksum {
        TunnelChecksum::No => "--tun-nocsum",
        TunnelChecksum::Yes => "--tun-csum",
        TunnelChecksum::Remote => "--tun-remcsum",
    };
    match tunnel {
        Tunnel::Ipip => " --tun-type ipip".to_owned(),
        Tunnel::Gue { port, checksum } => {
            format!(" --tun-type gue --tun-port {port} {}", option(checksum))
        }
        Tunnel::Gre { checksum } => format!(" --tun-type gre {}", option(checksum)),
    }
}
