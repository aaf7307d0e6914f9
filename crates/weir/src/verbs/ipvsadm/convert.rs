//! Between ipvsadm's words and those of the management API.

use api::{Key, types};
use config::model::{Family, Protocol, ServiceKey, SyncDaemon, SyncRole};
use ipvsadm::listing::{
    ConnectionListing, ConnectionProtocol, Counters, Rates, ServerListing, ServiceListing,
};
use ipvsadm::{
    ErrorCode, Forwarding, Netmask, RealServer, SchedulerFlags, Service, Tunnel, TunnelChecksum,
};
use weir_api as api;
use weir_config as config;
use weir_ipvsadm as ipvsadm;

/// What `-A` asks for.
pub fn new_service(service: &Service) -> types::NewService {
    types::NewService {
        scheduler: Some(service.scheduler.clone()),
        scheduler_flags: flag_names(service.flags),
        persistence: persistence(service),
        engine: service.persistence_engine.clone(),
        one_packet: service.one_packet,
        ..types::NewService::new(Key(service.key))
    }
}

/// What `-E` asks for: it says everything that ipvsadm has a word for. The rest stays.
pub fn service_edit(service: &Service) -> types::ServiceEdit {
    types::ServiceEdit {
        scheduler: Some(service.scheduler.clone()),
        scheduler_flags: Some(flag_names(service.flags)),
        persistence: Some(persistence(service)),
        engine: Some(service.persistence_engine.clone()),
        one_packet: Some(service.one_packet),
        ..types::ServiceEdit::default()
    }
}

/// What `-a` asks for.
pub fn new_server(server: &RealServer) -> types::NewServer {
    types::NewServer {
        address: server.address.to_string(),
        forwarding: Some(forwarding_name(server.forwarding).to_owned()),
        tunnel: tunnel(server.forwarding),
        weight: Some(server.weight),
        upper_threshold: Some(server.upper_threshold),
        lower_threshold: Some(server.lower_threshold),
    }
}

/// What `-e` asks for: it says everything.
pub fn server_edit(server: &RealServer) -> types::ServerEdit {
    let types::NewServer {
        address: _,
        forwarding,
        tunnel,
        weight,
        upper_threshold,
        lower_threshold,
    } = new_server(server);
    types::ServerEdit {
        forwarding,
        tunnel,
        weight,
        upper_threshold,
        lower_threshold,
    }
}

/// A service as `-L` shows it.
pub fn service_listing(service: types::Service) -> ServiceListing {
    let key = service.key.0;
    let mask = service
        .persistence
        .as_ref()
        .and_then(|one| one.netmask.as_deref());
    ServiceListing {
        key,
        netmask: netmask(key, mask),
        scheduler: service.scheduler,
        flags: flags_of(&service.scheduler_flags),
        persistent: service.persistence.map(|persistence| persistence.timeout),
        persistence_engine: service.engine,
        one_packet: service.one_packet,
        counters: counters(service.counters),
        rates: rates(service.rates),
        servers: service.servers.iter().map(server_listing).collect(),
    }
}

/// A connection as `-L -c` shows it. One of a protocol that this version does not know is left out.
pub fn connection_listing(connection: types::Connection) -> Option<ConnectionListing> {
    let protocol = match connection.protocol.as_str() {
        "ip" => ConnectionProtocol::Ip,
        name => ConnectionProtocol::Transport(Protocol::from_name(name)?),
    };
    Some(ConnectionListing {
        protocol,
        expires: connection.expires,
        state: connection.state,
        client: connection.client,
        virtual_address: connection.r#virtual,
        destination: connection.server,
        engine_data: connection.engine.map(|one| (one.name, one.data)),
        synced: connection.synced,
    })
}

/// A sync daemon as `-L --daemon` shows it; nothing for a role that this version does not know.
pub fn sync_daemon(daemon: types::SyncDaemon) -> Option<SyncDaemon> {
    Some(SyncDaemon {
        role: SyncRole::from_name(&daemon.role)?,
        sync_id: daemon.sync_id,
        interface: daemon.interface,
        max_length: daemon.max_length,
        group: daemon.group,
        port: daemon.port,
        ttl: daemon.ttl,
    })
}

/// Totals.
pub const fn counters(counters: types::Counters) -> Counters {
    Counters {
        connections: counters.connections,
        packets_in: counters.in_packets,
        packets_out: counters.out_packets,
        bytes_in: counters.in_bytes,
        bytes_out: counters.out_bytes,
    }
}

/// The same per second.
pub const fn rates(rates: types::Rates) -> Rates {
    Rates {
        connections: rates.connections,
        packets_in: rates.in_packets,
        packets_out: rates.out_packets,
        bytes_in: rates.in_bytes,
        bytes_out: rates.out_bytes,
    }
}

/// The reason for which ipvsadm has words.
pub const fn error_code(code: api::Code) -> ErrorCode {
    match code {
        api::Code::ServiceExists => ErrorCode::ServiceExists,
        api::Code::ServiceNotFound => ErrorCode::ServiceNotFound,
        api::Code::ServerExists => ErrorCode::ServerExists,
        api::Code::ServerNotFound => ErrorCode::ServerNotFound,
        api::Code::SchedulerNotFound => ErrorCode::SchedulerNotFound,
        api::Code::Invalid => ErrorCode::Invalid,
        api::Code::OutOfRange => ErrorCode::OutOfRange,
        api::Code::NotSupported => ErrorCode::NotSupported,
        api::Code::PermissionDenied => ErrorCode::PermissionDenied,
        api::Code::TableFull => ErrorCode::TableFull,
        api::Code::DaemonExists => ErrorCode::DaemonExists,
        api::Code::DaemonNotFound => ErrorCode::DaemonNotFound,
        api::Code::NoSuchDevice => ErrorCode::NoSuchDevice,
        api::Code::NetworkUnreachable => ErrorCode::NetworkUnreachable,
        api::Code::NotFound
        | api::Code::RevisionNotFound
        | api::Code::MethodNotAllowed
        | api::Code::TooLarge
        | api::Code::Internal => ErrorCode::Failed,
    }
}

fn server_listing(server: &types::Server) -> ServerListing {
    ServerListing {
        address: server.address,
        forwarding: forwarding_of(server),
        weight: server.weight,
        active_connections: server.active_connections,
        inactive_connections: server.inactive_connections,
        persistent_connections: server.persistent_connections,
        upper_threshold: server.upper_threshold,
        lower_threshold: server.lower_threshold,
        counters: counters(server.counters),
        rates: rates(server.rates),
    }
}

fn flag_names(flags: SchedulerFlags) -> Vec<String> {
    [
        (flags.first, "flag-1"),
        (flags.second, "flag-2"),
        (flags.third, "flag-3"),
    ]
    .into_iter()
    .filter(|(set, _)| *set)
    .map(|(_, name)| name.to_owned())
    .collect()
}

fn flags_of(names: &[String]) -> SchedulerFlags {
    let set = |of: [&str; 3]| names.iter().any(|name| of.contains(&name.as_str()));
    SchedulerFlags {
        first: set(["flag-1", "sh-fallback", "mh-fallback"]),
        second: set(["flag-2", "sh-port", "mh-port"]),
        third: set(["flag-3"; 3]),
    }
}

fn persistence(service: &Service) -> Option<types::Persistence> {
    let timeout = service.persistent?;
    let netmask = match service.netmask {
        Netmask::V4(mask) => mask.to_string(),
        Netmask::V6(length) => length.to_string(),
    };
    Some(types::Persistence {
        timeout,
        netmask: Some(netmask),
    })
}

/// The mask, a whole address when none is said.
fn netmask(key: ServiceKey, text: Option<&str>) -> Netmask {
    match key.family() {
        Family::V4 => Netmask::V4(
            text.and_then(|text| text.parse().ok())
                .unwrap_or(std::net::Ipv4Addr::BROADCAST),
        ),
        Family::V6 => Netmask::V6(text.and_then(|text| text.parse().ok()).unwrap_or(128)),
    }
}

/// What the management API calls it.
const fn forwarding_name(forwarding: Forwarding) -> &'static str {
    match forwarding {
        Forwarding::Nat => "nat",
        Forwarding::DirectRouting => "dr",
        Forwarding::Tunnel(_) => "tun",
        Forwarding::Local => "local",
        Forwarding::FullNat => "fullnat",
    }
}

fn forwarding_of(server: &types::Server) -> Forwarding {
    match server.forwarding.as_str() {
        "dr" => Forwarding::DirectRouting,
        "tun" => Forwarding::Tunnel(tunnel_of(server.tunnel.as_ref())),
        "local" => Forwarding::Local,
        "fullnat" => Forwarding::FullNat,
        _ => Forwarding::Nat,
    }
}

fn tunnel(forwarding: Forwarding) -> Option<types::Tunnel> {
    let Forwarding::Tunnel(tunnel) = forwarding else {
        return None;
    };
    let (kind, port, checksum) = match tunnel {
        Tunnel::Ipip => ("ipip", None, None),
        Tunnel::Gue { port, checksum } => ("gue", Some(port), Some(checksum)),
        Tunnel::Gre { checksum } => ("gre", None, Some(checksum)),
    };
    let checksum = checksum.map(|checksum| match checksum {
        TunnelChecksum::No => "none",
        TunnelChecksum::Yes => "full",
        TunnelChecksum::Remote => "remote",
    });
    Some(types::Tunnel {
        r#type: kind.to_owned(),
        port,
        checksum: checksum.map(str::to_owned),
    })
}

fn tunnel_of(tunnel: Option<&types::Tunnel>) -> Tunnel {
    let Some(tunnel) = tunnel else {
        return Tunnel::Ipip;
    };
    let checksum = match tunnel.checksum.as_deref() {
        Some("full") => TunnelChecksum::Yes,
        Some("remote") => TunnelChecksum::Remote,
        _ => TunnelChecksum::No,
    };
    match tunnel.r#type.as_str() {
        "gue" => Tunnel::Gue {
            port: tunnel.port.unwrap_or(0),
            checksum,
        },
        "gre" => Tunnel::Gre { checksum },
        _ => Tunnel::Ipip,
    }
}
