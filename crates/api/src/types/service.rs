//! Services and real servers, as they travel.

use std::net::{IpAddr, SocketAddr};

use config::model;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use weir_config as config;

use super::{Counters, Rates};
use crate::key::Key;

/// A virtual service with its real servers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Service {
    /// What it is known by.
    pub key: Key,
    /// How it picks: `rr`, `wrr`, `lc`, `wlc`, `sed`, `nq`, `fo`, `ovf`, `lblc`, `lblcr`, `dh`, `sh`,
    /// `mh`, `twos` or `none`.
    pub scheduler: String,
    /// The scheduler's switches that are set: `sh-fallback`, `mh-port`, `flag-3` and the like.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scheduler_flags: Vec<String>,
    /// Present where the connections of one client go to one real server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persistence: Option<Persistence>,
    /// The persistence engine: `sip`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// Whether every packet is a connection of its own.
    #[serde(default)]
    pub one_packet: bool,
    /// Whether both ends of a connection are told when it expires.
    #[serde(default)]
    pub farewell: bool,
    /// Its own timeouts.
    #[serde(default)]
    pub timeouts: ServiceTimeouts,
    /// What is said to a client that no real server takes: `unreachable`, `reset` or `silent`.
    #[serde(default = "unreachable")]
    pub refusal: String,
    /// FULLNAT: the director's addresses that stand for the clients'.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub local_addresses: Vec<IpAddr>,
    /// FULLNAT: how many connections have found no port of these addresses free towards their real server.
    #[serde(default)]
    pub ports_exhausted: u32,
    /// Counted for the service.
    pub counters: Counters,
    /// Per second.
    pub rates: Rates,
    /// Its real servers, in the order in which the scheduler walks them: newest first.
    pub servers: Vec<Server>,
}

/// A real server of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Server {
    /// RIP and port.
    #[schema(value_type = String, example = "10.0.0.11:8080")]
    pub address: SocketAddr,
    /// How packets reach it: `nat`, `dr`, `tun` or `fullnat`.
    pub forwarding: String,
    /// How they are wrapped, with `tun`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tunnel: Option<Tunnel>,
    /// Its share of new connections; 0 is quiesced.
    pub weight: u32,
    /// No new connection from this many on; 0 is no limit.
    #[serde(default)]
    pub upper_threshold: u32,
    /// New connections again below this many; 0 is three quarters of the upper one.
    #[serde(default)]
    pub lower_threshold: u32,
    /// Whether it is over its upper threshold.
    #[serde(default)]
    pub overloaded: bool,
    /// ActiveConn.
    pub active_connections: u32,
    /// InActConn.
    pub inactive_connections: u32,
    /// Persistence templates.
    pub persistent_connections: u32,
    /// Counted for the real server.
    pub counters: Counters,
    /// Per second.
    pub rates: Rates,
}

/// All services.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Services {
    /// Each with its real servers.
    pub services: Vec<Service>,
}

/// How a service is persistent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Persistence {
    /// How long a client is remembered after its last connection, in seconds; 360 when not given, as
    /// with ipvsadm.
    #[serde(default = "default_persistence")]
    pub timeout: u32,
    /// Which clients are one: a mask like `255.255.255.0`, of IPv6 a prefix length like `64`; every
    /// client of its own when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub netmask: Option<String>,
}

/// A service's own timeouts in seconds; the director's where none is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceTimeouts {
    /// TCP ESTABLISHED.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp: Option<u32>,
    /// TCP FIN_WAIT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp_fin: Option<u32>,
    /// UDP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub udp: Option<u32>,
}

/// How packets are wrapped for a real server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Tunnel {
    /// `ipip`, `gue` or `gre`.
    pub r#type: String,
    /// GUE: where the real server takes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The outer header's checksum: `none`, `full` or, of GUE, `remote`; `none` when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
}

/// A service to be added. What is not given is as ipvsadm has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewService {
    /// What it shall be known by.
    pub key: Key,
    /// How it shall pick; `wlc` when not given, as with ipvsadm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduler: Option<String>,
    /// The scheduler's switches to be set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scheduler_flags: Vec<String>,
    /// How it shall be persistent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persistence: Option<Persistence>,
    /// The persistence engine: `sip`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// Whether every packet shall be a connection of its own.
    #[serde(default)]
    pub one_packet: bool,
    /// Whether both ends of a connection shall be told when it expires.
    #[serde(default)]
    pub farewell: bool,
    /// Its own timeouts.
    #[serde(default)]
    pub timeouts: ServiceTimeouts,
    /// What is said to a client that no real server takes; `unreachable` when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// FULLNAT: the director's addresses that stand for the clients'.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub local_addresses: Vec<IpAddr>,
}

/// What shall be different about a service; what is not given stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceEdit {
    /// How it shall pick.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduler: Option<String>,
    /// All of the scheduler's switches to be set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduler_flags: Option<Vec<String>>,
    /// How it shall be persistent; null: not.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "given"
    )]
    #[schema(value_type = Option<Persistence>)]
    pub persistence: Option<Option<Persistence>>,
    /// The persistence engine; null: none.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "given"
    )]
    #[schema(value_type = Option<String>)]
    pub engine: Option<Option<String>>,
    /// Whether every packet shall be a connection of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub one_packet: Option<bool>,
    /// Whether both ends of a connection shall be told when it expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub farewell: Option<bool>,
    /// All of its own timeouts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeouts: Option<ServiceTimeouts>,
    /// What is said to a client that no real server takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// FULLNAT: all of the director's addresses that stand for the clients'.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    pub local_addresses: Option<Vec<IpAddr>>,
}

/// A real server to be added.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewServer {
    /// RIP and port.
    #[schema(example = "10.0.0.11:8080")]
    pub address: String,
    /// How packets shall reach it: `nat`, `dr`, `tun` or `fullnat`; `nat` when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forwarding: Option<String>,
    /// How they are wrapped, with `tun`; IP in IP when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tunnel: Option<Tunnel>,
    /// Its share, 0 to 2147483647; 1 when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
    /// No new connection from this many on; no limit when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upper_threshold: Option<u32>,
    /// New connections again below this many; three quarters of the upper one when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lower_threshold: Option<u32>,
}

/// What shall be different about a real server; what is not given stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerEdit {
    /// How packets shall reach it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forwarding: Option<String>,
    /// How they shall be wrapped, with `tun`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tunnel: Option<Tunnel>,
    /// Its share, 0 to 2147483647.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
    /// No new connection from this many on; 0 is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upper_threshold: Option<u32>,
    /// New connections again below this many; 0 is three quarters of the upper one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lower_threshold: Option<u32>,
}

impl NewService {
    /// A service of which nothing else is said.
    pub fn new(key: Key) -> Self {
        Self {
            key,
            scheduler: None,
            scheduler_flags: Vec::new(),
            persistence: None,
            engine: None,
            one_packet: false,
            farewell: false,
            timeouts: ServiceTimeouts::default(),
            refusal: None,
            local_addresses: Vec::new(),
        }
    }
}

impl From<&model::Service> for NewService {
    fn from(service: &model::Service) -> Self {
        let flags = service.flags.names(service.scheduler).into_iter();
        Self {
            key: Key(service.key),
            scheduler: Some(service.scheduler.name().to_owned()),
            scheduler_flags: flags.map(str::to_owned).collect(),
            persistence: service.persistence.map(Persistence::from),
            engine: service.engine.map(|engine| engine.name().to_owned()),
            one_packet: service.one_packet,
            farewell: service.farewell,
            timeouts: service.timeouts.into(),
            refusal: Some(service.refusal.name().to_owned()),
            local_addresses: service.local_addresses.iter().collect(),
        }
    }
}

impl From<&model::RealServer> for NewServer {
    fn from(server: &model::RealServer) -> Self {
        Self {
            address: server.address.to_string(),
            forwarding: Some(server.forwarding.name().to_owned()),
            tunnel: match server.forwarding {
                model::Forwarding::Tunnel(tunnel) => Some(tunnel.into()),
                model::Forwarding::Nat | model::Forwarding::Direct | model::Forwarding::FullNat => {
                    None
                }
            },
            weight: Some(server.weight.get()),
            upper_threshold: Some(server.thresholds.upper()),
            lower_threshold: Some(server.thresholds.lower()),
        }
    }
}

impl From<model::Persistence> for Persistence {
    fn from(persistence: model::Persistence) -> Self {
        Self {
            timeout: persistence.timeout,
            netmask: Some(persistence.netmask.to_string()),
        }
    }
}

impl From<model::ServiceTimeouts> for ServiceTimeouts {
    fn from(timeouts: model::ServiceTimeouts) -> Self {
        Self {
            tcp: timeouts.tcp.map(u32::from),
            tcp_fin: timeouts.tcp_fin.map(u32::from),
            udp: timeouts.udp.map(u32::from),
        }
    }
}

impl From<model::Tunnel> for Tunnel {
    fn from(tunnel: model::Tunnel) -> Self {
        let (port, checksum) = match tunnel {
            model::Tunnel::Ipip => (None, None),
            model::Tunnel::Gue { port, checksum } => (Some(port.get()), Some(checksum.name())),
            model::Tunnel::Gre { checksum } => {
                let checksum = if checksum {
                    model::GueChecksum::Full
                } else {
                    model::GueChecksum::None
                };
                (None, Some(checksum.name()))
            }
        };
        Self {
            r#type: tunnel.name().to_owned(),
            port,
            checksum: checksum.map(str::to_owned),
        }
    }
}

fn unreachable() -> String {
    model::Refusal::Unreachable.name().to_owned()
}

const fn default_persistence() -> u32 {
    model::Persistence::DEFAULT_TIMEOUT
}

/// Tells null from what is not given.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
