//! What `-L` and `-S` print, from plain facts about the director.

mod connections;
mod number;
mod order;
mod save;
mod services;

use std::net::SocketAddr;

use weir_config::model::{Protocol, ServiceKey, SyncDaemon, Timeouts};

use crate::address;
use crate::command::{Forwarding, Netmask, SchedulerFlags};

pub use connections::connections;
pub use save::save;
pub(crate) use services::forwarding_name;
pub use services::{service, services};

/// What the first line of a listing says of the director.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The IPVS version, 1.2.1 in every kernel of today.
    pub version: (u8, u8, u8),
    /// The size of the connection table, printed as a signed number.
    pub connection_table_size: u32,
}

/// A virtual service as it is, with its real servers.
///
/// Services and real servers come in the director's order (the kernel's lists real servers newest
/// first); `--nosort` shows that order, and the sorting starts from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceListing {
    /// What it is known by.
    pub key: ServiceKey,
    /// The scheduler's name.
    pub scheduler: String,
    /// The scheduler's flags.
    pub flags: SchedulerFlags,
    /// The persistence timeout in seconds.
    pub persistent: Option<u32>,
    /// Shown only with persistence, and when it is not the whole address.
    pub netmask: Netmask,
    /// The persistence engine's name.
    pub persistence_engine: Option<String>,
    /// One-packet scheduling.
    pub one_packet: bool,
    /// What it has done.
    pub counters: Counters,
    /// What it does.
    pub rates: Rates,
    /// Its real servers.
    pub servers: Vec<ServerListing>,
}

/// A real server as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerListing {
    /// RIP and port.
    pub address: SocketAddr,
    /// How packets reach it.
    pub forwarding: Forwarding,
    /// Its share.
    pub weight: u32,
    /// ActiveConn.
    pub active_connections: u32,
    /// InActConn.
    pub inactive_connections: u32,
    /// PersistConn.
    pub persistent_connections: u32,
    /// Uthreshold, 0 for none.
    pub upper_threshold: u32,
    /// Lthreshold, 0 for none.
    pub lower_threshold: u32,
    /// What it has done.
    pub counters: Counters,
    /// What it does.
    pub rates: Rates,
}

/// Totals since the start or since `-Z`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Conns
    pub connections: u64,
    /// InPkts
    pub packets_in: u64,
    /// OutPkts
    pub packets_out: u64,
    /// InBytes
    pub bytes_in: u64,
    /// OutBytes
    pub bytes_out: u64,
}

/// The same per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// CPS
    pub connections: u64,
    /// InPPS
    pub packets_in: u64,
    /// OutPPS
    pub packets_out: u64,
    /// InBPS
    pub bytes_in: u64,
    /// OutBPS
    pub bytes_out: u64,
}

/// A connection as it is. `-L -c` shows them in the order in which they are given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionListing {
    /// Its protocol.
    pub protocol: ConnectionProtocol,
    /// Seconds until it ends if nothing comes.
    pub expires: u32,
    /// The name of its state, as in `/proc/net/ip_vs_conn`.
    pub state: String,
    /// Where it comes from.
    pub client: SocketAddr,
    /// VIP and port.
    pub virtual_address: SocketAddr,
    /// RIP and port.
    pub destination: SocketAddr,
    /// The persistence engine and its data, shown with `--persistent-conn`.
    pub engine_data: Option<(String, String)>,
    /// Whether the director has it from another one, by synchronisation.
    pub synced: bool,
}

/// What a connection can be of: a transport protocol, or IP for the persistence template of a
/// firewall mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionProtocol {
    /// TCP, UDP or SCTP.
    Transport(Protocol),
    /// IP.
    Ip,
}

/// What `-L --timeout` prints.
pub fn timeouts(timeouts: Timeouts) -> String {
    // Printed as signed numbers by ipvsadm.
    let Timeouts { tcp, tcp_fin, udp } = timeouts;
    let [tcp, tcp_fin, udp] = [tcp, tcp_fin, udp].map(u32::cast_signed);
    format!("Timeout (tcp tcpfin udp): {tcp} {tcp_fin} {udp}\n")
}

/// What `-L --daemon` prints of the daemons that run; the master comes first.
pub fn daemons(daemons: &[SyncDaemon]) -> String {
    let mut text = String::new();
    for daemon in daemons {
        let role = daemon.role.name();
        text += &format!(
            "{role} sync daemon (mcast={}, syncid={}",
            daemon.interface, daemon.sync_id
        );
        if let Some(length) = daemon.max_length {
            text += &format!(", maxlen={length}");
        }
        if let Some(group) = daemon.group {
            text += &format!(", group={}", address::numeric(group));
        }
        if let Some(port) = daemon.port {
            text += &format!(", port={port}");
        }
        if let Some(ttl) = daemon.ttl {
            text += &format!(", ttl={ttl}");
        }
        text += ")\n";
    }
    text
}

pub(crate) const fn protocol_name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "TCP",
        Protocol::Udp => "UDP",
        Protocol::Sctp => "SCTP",
    }
}

/// The protocol by which the ports of a service and its real servers have names; a firewall mark
/// has none.
const fn protocol_of(key: &ServiceKey) -> Option<Protocol> {
    match key {
        ServiceKey::Address { protocol, .. } => Some(*protocol),
        ServiceKey::FirewallMark { .. } => None,
    }
}
