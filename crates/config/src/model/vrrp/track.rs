//! What an instance depends on.

use std::net::IpAddr;
use std::num::{NonZeroU8, NonZeroU32};
use std::path::PathBuf;
use std::time::Duration;

use crate::model::{InterfaceName, Script, ServiceKey};

/// What an instance or a group depends on.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Tracking {
    /// Interfaces that must be up.
    pub interfaces: Vec<TrackedInterface>,
    /// Scripts.
    pub scripts: Vec<TrackedScript>,
    /// Files.
    pub files: Vec<TrackedFile>,
    /// Processes.
    pub processes: Vec<TrackedProcess>,
    /// BFD sessions.
    pub bfd: Vec<TrackedBfd>,
    /// Services of ours whose quorum counts.
    pub services: Vec<(ServiceKey, Weighting)>,
    /// Addresses that must be there, whoever has put them (keepalived's static ones with a `track_group`).
    pub addresses: Vec<TrackedAddress>,
    /// Whether the state of the instance's own interface does not matter (`dont_track_primary`).
    pub own_interface_ignored: bool,
}

/// What follows from a tracked thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Weighting {
    /// Fault while it is down (weight 0).
    Fault {
        /// Fault while it is up.
        reverse: bool,
    },
    /// Added to the priority while it is up (above 0), or while it is down (below 0).
    Add {
        /// -253 to 253, not 0.
        weight: i16,
        /// Whether up and down change places.
        reverse: bool,
    },
}

impl Weighting {
    /// What follows unless something else is said.
    pub const FAULT: Self = Self::Fault { reverse: false };
}

/// A tracked interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackedInterface {
    /// Which.
    pub interface: InterfaceName,
    /// What follows.
    pub weighting: Weighting,
}

/// A tracked script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackedScript {
    /// Its name.
    pub name: String,
    /// What follows; nothing is what the script itself says.
    pub weighting: Option<Weighting>,
}

/// A tracked file: its number is multiplied by a factor and added to the priority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackedFile {
    /// Its name.
    pub name: String,
    /// The factor; 0 is Fault while its number is not 0, nothing is what the file itself says.
    pub factor: Option<i32>,
    /// Whether it counts the other way round.
    pub reverse: bool,
}

/// A tracked process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackedProcess {
    /// Its name.
    pub name: String,
    /// What follows; nothing is what the process itself says.
    pub weighting: Option<Weighting>,
}

/// A tracked BFD session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackedBfd {
    /// Its name.
    pub name: String,
    /// What follows.
    pub weighting: Option<Weighting>,
}

/// An address that must be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackedAddress {
    /// Which.
    pub address: IpAddr,
    /// Where; nothing is on any interface.
    pub interface: Option<InterfaceName>,
}

/// A script that is run again and again (`vrrp_script`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VrrpScript {
    /// Its name.
    pub name: String,
    /// The script: 0 is up.
    pub script: Script,
    /// From one run to the next.
    pub interval: Duration,
    /// How long it may take.
    pub timeout: Duration,
    /// So many that succeed in a row are up.
    pub rise: NonZeroU32,
    /// So many that fail in a row are down.
    pub fall: NonZeroU32,
    /// Whether it is down until it has succeeded (`init_fail`).
    pub fails_first: bool,
    /// What follows.
    pub weighting: Weighting,
}

/// A file with a number (`track_file`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VrrpFile {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// The factor where an instance says none.
    pub factor: i32,
    /// Whether it counts the other way round.
    pub reverse: bool,
    /// What it is created with when it is not there (`init_file`), and whether an existing one is overwritten.
    pub initial: Option<(i32, bool)>,
}

/// Processes of one name (`track_process`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VrrpProcess {
    /// Its name.
    pub name: String,
    /// The program.
    pub program: String,
    /// Its arguments, if they count.
    pub arguments: Option<Vec<String>>,
    /// So many must run.
    pub least: u32,
    /// No more may run.
    pub most: Option<u32>,
    /// How long it must have been down to count.
    pub delay_down: Duration,
    /// How long it must have been up to count.
    pub delay_up: Duration,
    /// What follows.
    pub weighting: Weighting,
}

/// A BFD session (`bfd_instance`, RFC 5880).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BfdInstance {
    /// Its name.
    pub name: String,
    /// With whom.
    pub neighbour: IpAddr,
    /// From where.
    pub source: Option<IpAddr>,
    /// The least time between two packets that we take.
    pub least_receive: Duration,
    /// The least time between two packets that we send.
    pub least_send: Duration,
    /// The same while the session is down.
    pub idle_send: Duration,
    /// So many may be missed.
    pub multiplier: NonZeroU8,
    /// Whether we wait until the other end speaks.
    pub passive: bool,
    /// The time to live (hop limit) of what we send.
    pub time_to_live: u8,
    /// So many hops may lie between.
    pub most_hops: u8,
    /// Whether the port is that of several hops (RFC 5883, 4784).
    pub multihop: bool,
    /// What follows for who tracks it.
    pub weighting: Weighting,
}
