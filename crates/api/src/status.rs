//! What a director says of itself: `GET /v1/status`, `weir status`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::types::{Drain, HealthSummary, Maintained, Mark, ReasonCount, Sysctl, Timeouts};

/// What a director says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// What is wrong or likely to surprise, in sentences; empty when all is well.
    pub warnings: Vec<String>,
    /// Versions of everything that matters.
    pub versions: Versions,
    /// The daemon itself.
    pub daemon: Daemon,
    /// Where packets are taken, how, and why so.
    pub interfaces: Vec<Interface>,
    /// How full the tables are.
    pub tables: Vec<Table>,
    /// The timeouts that can be set.
    pub timeouts: Timeouts,
    /// The sysctls of IPVS that do not say what they say unless somebody sets them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sysctls: Vec<Sysctl>,
    /// The rules that give packets firewall marks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<Mark>,
    /// The real servers that are watched, counted.
    #[serde(default)]
    pub health: HealthSummary,
    /// The real servers that drain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub draining: Vec<Drain>,
    /// The real servers in maintenance.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub maintenance: Vec<Maintained>,
    /// Every packet that came in, by what became of it and why.
    pub reasons: Vec<ReasonCount>,
}

/// Versions of everything that matters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Versions {
    /// Weir.
    pub weir: String,
    /// The tables' layout.
    pub layout: u32,
    /// The kernel.
    pub kernel: String,
}

/// The daemon itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Daemon {
    /// Its process.
    pub process: u32,
    /// How long it has run, in seconds.
    pub uptime: u64,
    /// Whether it took over tables that were there.
    pub adopted: bool,
    /// Its socket.
    pub socket: String,
    /// Where its tables and programs are pinned.
    pub bpffs: String,
    /// Its configuration file, if there is one.
    pub config: Option<String>,
}

/// An interface on which packets are taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its index.
    pub index: u32,
    /// How packets are taken.
    pub mode: AttachMode,
    /// Why so.
    pub reason: String,
    /// Its MAC address.
    pub mac: Option<String>,
    /// What it is: `device`, `veth`, `vlan`, `bridge`, ...
    pub kind: String,
    /// Its driver, where it has one.
    pub driver: Option<String>,
    /// Whether XDP frames can be sent out of it.
    pub xdp_transmit: bool,
}

/// How packets are taken on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AttachMode {
    /// XDP in the driver, with TC behind it.
    Xdp,
    /// XDP in the kernel's generic hook, with TC behind it.
    XdpGeneric,
    /// TC.
    Tc,
}

/// How full a table is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Entries in use.
    pub used: u64,
    /// Entries that fit.
    pub size: u64,
}

impl AttachMode {
    /// Its name, as options and configuration write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Xdp => "xdp",
            Self::XdpGeneric => "xdp-generic",
            Self::Tc => "tc",
        }
    }
}
