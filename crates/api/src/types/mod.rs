//! What travels: services, real servers, connections, counters, timeouts.

mod bfd;
mod health;
mod history;
mod service;
mod settings;
mod sync_daemon;
mod vrrp;

use std::net::SocketAddr;

use config::model;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use weir_config as config;

pub use bfd::{Bfd, BfdRemote, BfdSession, BfdTransition};
pub use health::{
    CheckHealth, CheckResult, Health, HealthSummary, ServerHealth, ServiceHealth, SorryServer,
};
pub use history::{
    Audit, AuditEntry, Author, Difference, Drift, Event, History, Maintained, MaintainedServer,
    Maintenance, NewMaintenance, Revision, Rollback,
};
pub use service::{
    NewServer, NewService, Persistence, Server, ServerEdit, Service, ServiceEdit, ServiceTimeouts,
    Services, Tunnel,
};
pub use settings::{Drain, Mark, Marks, NewDrain, NewValue, Sysctl, Sysctls};
pub use sync_daemon::{SyncDaemon, SyncDaemons, role as sync_role};
pub use vrrp::{Vrrp, VrrpGroup, VrrpInstance, VrrpPeer, VrrpTracker, VrrpTransition};

/// Connections, packets and bytes since they were last zeroed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Counters {
    /// Connections scheduled.
    pub connections: u64,
    /// Packets from clients.
    pub in_packets: u64,
    /// Packets to clients.
    pub out_packets: u64,
    /// Bytes of the network layer from clients.
    pub in_bytes: u64,
    /// Bytes of the network layer to clients.
    pub out_bytes: u64,
}

/// The same per second, as IPVS's estimator reckons: every two seconds, weighted over about eight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rates {
    /// Connections scheduled per second.
    pub connections: u64,
    /// Packets from clients per second.
    pub in_packets: u64,
    /// Packets to clients per second.
    pub out_packets: u64,
    /// Bytes from clients per second.
    pub in_bytes: u64,
    /// Bytes to clients per second.
    pub out_bytes: u64,
}

/// The timeouts that `ipvsadm --set` changes, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Timeouts {
    /// TCP ESTABLISHED; 0 in a request keeps what is there.
    #[serde(default)]
    pub tcp: u32,
    /// TCP FIN_WAIT.
    #[serde(default)]
    pub tcp_fin: u32,
    /// UDP.
    #[serde(default)]
    pub udp: u32,
}

/// Counted over all services, and what became of every packet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Totals {
    /// Over all services.
    pub counters: Counters,
    /// Per second.
    pub rates: Rates,
    /// Counted by each processor since the tables were made, never zeroed.
    #[serde(default)]
    pub processors: Vec<Counters>,
    /// Every packet that came in, by what became of it and why.
    pub reasons: Vec<ReasonCount>,
}

/// How many packets left the packet path for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReasonCount {
    /// Name of the reason.
    pub reason: String,
    /// What becomes of such packets.
    pub outcome: Outcome,
    /// How many, since the tables were made.
    pub packets: u64,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Rewritten and sent on by Weir.
    Forwarded,
    /// Made an ICMP error and sent back where it came from.
    Answered,
    /// Left to the kernel's stack.
    Passed,
    /// Dropped.
    Dropped,
    /// Kept, and counted again when it goes on.
    Held,
}

/// A connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Connection {
    /// `tcp`, `udp` or `sctp`; `ip` for the template of a service by mark, whose virtual address is
    /// the mark.
    pub protocol: String,
    /// Seconds until it ends unless another packet comes.
    pub expires: u32,
    /// State, as IPVS names it.
    pub state: String,
    /// CIP and port.
    #[schema(value_type = String, example = "198.51.100.7:51234")]
    pub client: SocketAddr,
    /// VIP and port.
    #[schema(value_type = String, example = "192.0.2.10:80")]
    pub r#virtual: SocketAddr,
    /// RIP and port.
    #[schema(value_type = String, example = "10.0.0.11:8080")]
    pub server: SocketAddr,
    /// How packets reach the real server: `nat`, `dr`, `tun`, `fullnat`, `local` or `bypass`.
    pub forwarding: String,
    /// FULLNAT: the director's address and port that stand for the client's towards the real server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "10.0.0.1:1024")]
    pub local: Option<SocketAddr>,
    /// Whether it is no connection but what a persistent service remembers of a client.
    #[serde(default)]
    pub template: bool,
    /// Counted in ActiveConn, not in InActConn.
    #[serde(default)]
    pub active: bool,
    /// Whether another director told of it.
    #[serde(default)]
    pub synced: bool,
    /// What a persistence engine found in its packets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<EngineData>,
}

/// What a persistence engine found in a connection's packets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EngineData {
    /// The engine: `sip`.
    pub name: String,
    /// What it found: the Call-ID.
    pub data: String,
}

/// Some of the connections.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConnectionPage {
    /// Those that were asked for, in the table's order.
    pub connections: Vec<Connection>,
    /// `cursor` of the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Which connections are wanted. Addresses are given with or without a port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ConnectionQuery {
    /// `tcp`, `udp` or `sctp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// CIP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// VIP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#virtual: Option<String>,
    /// RIP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// State, as IPVS names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// At most this many, 1 to 10000; 1000 when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// What a configuration document changes, or would change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Plan {
    /// In the order in which it is done, a line each; empty when nothing differs.
    pub changes: Vec<String>,
    /// What the document says that only takes effect when the daemon starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl From<model::Timeouts> for Timeouts {
    fn from(timeouts: model::Timeouts) -> Self {
        Self {
            tcp: timeouts.tcp,
            tcp_fin: timeouts.tcp_fin,
            udp: timeouts.udp,
        }
    }
}

impl From<Timeouts> for model::Timeouts {
    fn from(timeouts: Timeouts) -> Self {
        Self {
            tcp: timeouts.tcp,
            tcp_fin: timeouts.tcp_fin,
            udp: timeouts.udp,
        }
    }
}
