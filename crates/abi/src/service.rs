//! Virtual services and their real servers.
//!
//! A service's real servers are a list, newest first, linked by slots: what the kernel's schedulers
//! walk, in the order in which they walk it. User space writes the list, the packet programs only
//! read it: a new server is complete before the head points to it, a removed one keeps its `next`,
//! and its slot is not used again before every walk that may stand on it has ended.

use crate::connection::HopCell;
use crate::counters::SharedCounters;
use crate::keys::ServiceKey;
use crate::shared::{Shared, Shared32, Shared64};

/// A virtual service.
#[derive(Debug, Default, Clone)]
#[repr(C, align(64))]
pub struct Service {
    /// [`PRESENT`] and the rest.
    pub flags: Shared32,
    /// A `SCHEDULER_*` number.
    pub scheduler: Shared32,
    /// Slot of the newest real server, or [`crate::NONE`].
    pub head: Shared32,
    /// Number of real servers in the list.
    pub length: Shared32,
    /// What the scheduler remembers between two picks. rr: the slot picked last, [`crate::NONE`] for
    /// the list's head. wrr: the same in the low half, the current weight in the high half.
    pub memory: Shared64,
    /// wrr: the greatest weight less (`weight_step` - 1); 0 without a usable real server.
    pub weight_limit: Shared32,
    /// wrr: greatest common divisor of the weights above 0, or 1.
    pub weight_step: Shared32,
    /// What it is known by.
    pub key: Shared<ServiceKey>,
    /// Buckets of its hash table (dh), or 0: entries of the `buckets` table.
    pub buckets: Shared32,
    /// Counted for real servers that are gone.
    pub retired: SharedCounters,
    /// What had been counted when the counters were last zeroed.
    pub zeroed: SharedCounters,
    /// What is to come: persistence, thresholds, timeouts, tunnels.
    pub reserved: [Shared32; 14],
}

/// A real server of a service.
#[derive(Debug, Default, Clone)]
#[repr(C, align(64))]
pub struct Destination {
    /// [`PRESENT`], [`AVAILABLE`], [`OVERLOADED`].
    pub flags: Shared32,
    /// Its share; 0 is quiesced.
    pub weight: Shared32,
    /// ActiveConn.
    pub active: Shared32,
    /// InActConn.
    pub inactive: Shared32,
    /// Persistence templates.
    pub persistent: Shared32,
    /// Slot of the next older real server of the service, or [`crate::NONE`].
    pub next: Shared32,
    /// The service's slot, or [`crate::NONE`] once the service is gone.
    pub service: Shared32,
    /// Where it is.
    pub address: Shared<DestinationAddress>,
    /// No new connection from this many on; 0 is none.
    pub upper_threshold: Shared32,
    /// New connections again below this many; 0 is three quarters of the upper one.
    pub lower_threshold: Shared32,
    /// The service that it belongs, or belonged, to: removed and added again, a real server finds
    /// its connections and counters.
    pub service_key: Shared<ServiceKey>,
    /// What had been counted when the counters were last zeroed.
    pub zeroed: SharedCounters,
    /// The next hop of connections' first packets to it. Its delta is not used: it is a
    /// connection's.
    pub hop: HopCell,
    /// What is to come.
    pub reserved: [Shared32; 4],
}

/// RIP, port, family and forwarding method; network byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct DestinationAddress {
    /// RIP; IPv4 in the first word.
    pub address: [u32; 4],
    /// Port; 0 for the virtual port of the connection.
    pub port: u16,
    /// [`crate::keys::FAMILY_V4`] or [`crate::keys::FAMILY_V6`].
    pub family: u8,
    /// [`FORWARD_NAT`] and its siblings to come.
    pub forwarding: u8,
}

/// The record is in use.
pub const PRESENT: u32 = 1;
/// The real server is in its service's list (IPVS: `IP_VS_DEST_F_AVAILABLE`). Without it the
/// record waits for its connections to end, or for the server to be added again.
pub const AVAILABLE: u32 = 2;
/// Above its upper threshold (IPVS: `IP_VS_DEST_F_OVERLOAD`).
pub const OVERLOADED: u32 = 4;

/// Network address translation (IPVS: `IP_VS_CONN_F_MASQ`).
pub const FORWARD_NAT: u8 = 0;

/// Round robin.
pub const SCHEDULER_RR: u32 = 1;
/// Weighted round robin.
pub const SCHEDULER_WRR: u32 = 2;
/// Least connection.
pub const SCHEDULER_LC: u32 = 3;
/// Weighted least connection.
pub const SCHEDULER_WLC: u32 = 4;
/// Destination hashing.
pub const SCHEDULER_DH: u32 = 5;

/// Buckets of destination hashing (IPVS: `1 << IP_VS_DH_TAB_BITS`).
pub const DH_BUCKETS: u32 = 256;

const _: () = assert!(size_of::<Service>() == 192);
const _: () = assert!(size_of::<Destination>() == 192);
