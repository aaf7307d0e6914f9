//! What a director can be asked: the trait behind the server, so that tests can serve a fake.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use config::model::{
    MarkRule, Protocol, RealServer, Service, ServiceKey, SyncDaemon, SyncRole, Timeouts,
};
use config::sysctl::Sysctls;
use tokio::sync::broadcast::Receiver;
use weir_config as config;

use crate::edit::{ServerEdit, ServiceEdit, write_words};
use crate::error::Error;
use crate::status::Status;
use crate::types;

/// What a director can be asked. Every call is short and may block: the server keeps it off the
/// thread that reads sockets.
pub trait Management: Send + Sync + 'static {
    /// What it says of itself.
    fn status(&self) -> Result<Status, Error>;
    /// Counted over all services, and what became of every packet.
    fn totals(&self) -> Result<types::Totals, Error>;
    /// All services, in the order in which IPVS would list them.
    fn services(&self) -> Result<Vec<types::Service>, Error>;
    /// One service.
    fn service(&self, key: ServiceKey) -> Result<types::Service, Error>;
    /// Some of the connections.
    fn connections(&self, query: &ConnectionFilter) -> Result<types::ConnectionPage, Error>;
    /// The timeouts that can be set.
    fn timeouts(&self) -> Result<Timeouts, Error>;
    /// The sync daemons that run, the master first.
    fn sync_daemons(&self) -> Result<Vec<SyncDaemon>, Error>;
    /// Starts a sync daemon.
    fn start_sync_daemon(&self, peer: Peer, daemon: SyncDaemon) -> Result<(), Error>;
    /// Stops a sync daemon.
    fn stop_sync_daemon(&self, peer: Peer, role: SyncRole) -> Result<(), Error>;
    /// All sysctls of IPVS.
    fn sysctls(&self) -> Result<Vec<types::Sysctl>, Error>;
    /// The rules that give packets firewall marks.
    fn marks(&self) -> Result<Vec<MarkRule>, Error>;
    /// Makes one change, wholly or not at all.
    fn change(&self, peer: Peer, change: Change) -> Result<(), Error>;
    /// What a configuration document would change.
    fn plan(&self, document: &Document) -> Result<types::Plan, Error>;
    /// Makes what a configuration document says so.
    fn apply(&self, peer: Peer, document: &Document) -> Result<types::Plan, Error>;
    /// What was changed, the newest first.
    fn history(&self) -> Result<types::History, Error>;
    /// One revision, whole.
    fn revision(&self, number: u64) -> Result<types::Revision, Error>;
    /// Goes back to what was before a revision; only says what that would change if `dry`.
    fn rollback(&self, peer: Peer, before: Option<u64>, dry: bool) -> Result<types::Plan, Error>;
    /// How what runs differs from what the files said.
    fn drift(&self) -> Result<types::Drift, Error>;
    /// Whether real servers are up: those of one service, or all that are watched.
    fn health(&self, service: Option<ServiceKey>) -> Result<types::Health, Error>;
    /// The last changes, whoever made them, the newest last.
    fn audit(&self, limit: usize) -> Result<types::Audit, Error>;
    /// What VRRP's instances and groups are, and why.
    fn vrrp(&self) -> Result<types::Vrrp, Error>;
    /// Which neighbours BFD reaches, and why not the others.
    fn bfd(&self) -> Result<types::Bfd, Error>;
    /// The real servers in maintenance.
    fn maintenance(&self) -> Result<types::Maintenance, Error>;
    /// Puts real servers into maintenance, or takes them back.
    fn set_maintenance(
        &self,
        peer: Peer,
        target: Target,
        on: bool,
    ) -> Result<types::Maintenance, Error>;
    /// What happens from now on.
    fn events(&self) -> Result<Receiver<Arc<types::Event>>, Error>;
}

/// Which real servers are meant: those of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Which.
    pub server: Host,
    /// Of this service; nothing is all.
    pub service: Option<ServiceKey>,
}

/// One change of what is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// `ipvsadm -A`
    AddService(Service),
    /// `ipvsadm -E`
    EditService {
        /// Which service.
        key: ServiceKey,
        /// What shall be different.
        edit: ServiceEdit,
    },
    /// `ipvsadm -D`
    DeleteService(ServiceKey),
    /// `ipvsadm -C`
    Flush,
    /// `ipvsadm -a`
    AddServer {
        /// Of which service.
        key: ServiceKey,
        /// The new one.
        server: RealServer,
    },
    /// `ipvsadm -e`
    EditServer {
        /// Of which service.
        key: ServiceKey,
        /// Which real server.
        address: SocketAddr,
        /// What shall be different.
        edit: ServerEdit,
    },
    /// `ipvsadm -d`
    DeleteServer {
        /// Of which service.
        key: ServiceKey,
        /// Which real server.
        address: SocketAddr,
    },
    /// `ipvsadm -Z`: of one service, or of all.
    Zero(Option<ServiceKey>),
    /// `ipvsadm --set`: 0 keeps what is there.
    SetTimeouts(Timeouts),
    /// `weir set`
    SetSysctls(Sysctls),
    /// All rules for firewall marks.
    SetMarks(Vec<MarkRule>),
    /// `weir drain`
    Drain {
        /// Of which service.
        key: ServiceKey,
        /// Which real server.
        address: SocketAddr,
        /// After so many seconds it goes all the same.
        timeout: Option<u32>,
    },
}

/// Which connections are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionFilter {
    /// Of this protocol.
    pub protocol: Option<Protocol>,
    /// Of this client.
    pub client: Option<Host>,
    /// To this virtual address.
    pub virtual_address: Option<Host>,
    /// To this real server.
    pub server: Option<Host>,
    /// In this state, as IPVS names it.
    pub state: Option<String>,
    /// At most this many.
    pub limit: usize,
    /// From here on.
    pub cursor: Cursor,
}

/// An address, with or without a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host {
    /// The address.
    pub address: IpAddr,
    /// Nothing is any port.
    pub port: Option<u16>,
}

/// A place between two connections: the next slot to look at, IPv4's table before IPv6's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cursor {
    /// At the very beginning.
    #[default]
    Start,
    /// Before this slot of IPv4's table.
    V4(u32),
    /// Before this slot of IPv6's table.
    V6(u32),
}

/// A configuration document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// How diagnostics call it.
    pub name: String,
    /// What it says.
    pub text: String,
    /// The file that it is, where it is one.
    pub path: Option<String>,
    /// Whether changes that were made by hand stay.
    pub keep: bool,
}

/// Who asks: the credentials of the process at the other end of the socket, as the kernel knows
/// them (`SO_PEERCRED`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Process, if the kernel knows it.
    pub process: Option<i32>,
    /// User.
    pub user: u32,
    /// Group.
    pub group: u32,
    /// What the process ran when it connected (`/proc/PID/comm`).
    pub program: Option<String>,
    /// What it calls itself (`User-Agent`).
    pub agent: Option<String>,
}

/// A line for the log.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddService(service) => {
                write!(f, "add service {}", service.key)?;
                write_words(f, &service.words())
            }
            Self::EditService { key, edit } => write!(f, "edit service {key}:{edit}"),
            Self::DeleteService(key) => write!(f, "delete service {key}"),
            Self::Flush => f.write_str("delete all services"),
            Self::AddServer { key, server } => {
                let method = server.forwarding.name();
                write!(f, "add server {} to {key}: {method}", server.address)?;
                write_words(f, &server.words())
            }
            Self::EditServer { key, address, edit } => {
                write!(f, "edit server {address} of {key}:{edit}")
            }
            Self::DeleteServer { key, address } => write!(f, "delete server {address} of {key}"),
            Self::Zero(Some(key)) => write!(f, "zero counters of {key}"),
            Self::Zero(None) => f.write_str("zero all counters"),
            Self::SetSysctls(sysctls) => {
                let mut values = sysctls.shown();
                values.try_for_each(|(name, value)| write!(f, "set sysctl {name} {value}"))
            }
            Self::SetMarks(rules) => write!(f, "set {} rules for firewall marks", rules.len()),
            Self::Drain { key, address, .. } => write!(f, "drain server {address} of {key}"),
            Self::SetTimeouts(timeouts) => write!(
                f,
                "set timeouts tcp {} tcp-fin {} udp {}",
                timeouts.tcp, timeouts.tcp_fin, timeouts.udp
            ),
        }
    }
}

impl Host {
    /// Whether `address` is this host.
    pub fn matches(&self, address: SocketAddr) -> bool {
        self.address == address.ip() && self.port.is_none_or(|port| port == address.port())
    }
}

impl ConnectionFilter {
    /// The greatest `limit`.
    pub const MAX_LIMIT: usize = 10_000;
    /// `limit` when none is given.
    pub const DEFAULT_LIMIT: usize = 1_000;
}

impl Cursor {
    /// As it travels.
    pub fn to_text(self) -> String {
        match self {
            Self::Start => "v4.0".to_owned(),
            Self::V4(slot) => format!("v4.{slot}"),
            Self::V6(slot) => format!("v6.{slot}"),
        }
    }

    /// What [`Cursor::to_text`] wrote.
    pub fn from_text(text: &str) -> Option<Self> {
        let (family, slot) = text.split_once('.')?;
        let slot = slot.parse().ok()?;
        match family {
            "v4" => Some(Self::V4(slot)),
            "v6" => Some(Self::V6(slot)),
            _ => None,
        }
    }
}
