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
    /// [`PRESENT`], [`PERSISTENT`] and the rest.
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
    /// lblc, lblcr: raised when all that the scheduler remembers is to be forgotten.
    pub locality_epoch: Shared32,
    /// Counted for real servers that are gone.
    pub retired: SharedCounters,
    /// What had been counted when the counters were last zeroed.
    pub zeroed: SharedCounters,
    /// dh, sh, mh: the [`HashTable`](crate::hash_table::HashTable) in force.
    pub hash_table: Shared64,
    /// [`PERSISTENT`]: how long a template lives after its last connection, in ticks.
    pub persistence_timeout: Shared32,
    /// [`PERSISTENT`]: which bits of a client's address count, network byte order. IPv4: the first word.
    pub netmask: [Shared32; 4],
    /// The persistence engine: [`ENGINE_NONE`] or [`ENGINE_SIP`].
    pub engine: Shared32,
    /// The service's own timeouts of ESTABLISHED, FIN_WAIT and UDP, in ticks; 0 is the director's.
    pub timeouts: [Shared32; 3],
    /// What is said to a client that no real server takes: [`REFUSE_UNREACHABLE`] and its siblings.
    pub refusal: Shared32,
    /// FULLNAT: place of the first of the service's addresses in the `pools` table.
    pub pool: Shared32,
    /// FULLNAT: how many addresses it has.
    pub pool_length: Shared32,
    /// FULLNAT: where the next free port is looked for.
    pub pool_hand: Shared32,
    /// FULLNAT: how many connections have found no free port.
    pub pool_exhausted: Shared32,
    /// FULLNAT: how many ports of an address there are from [`FIRST_PORT`](crate::pool::FIRST_PORT) on; 0 is
    /// [all](crate::pool::PORTS).
    pub pool_ports: Shared32,
    /// FULLNAT to real servers of the other family: how many addresses of that family there are, from the last
    /// of the service's places on downwards.
    pub pool_others: Shared32,
    /// The same: where the next free port of theirs is looked for.
    pub pool_others_hand: Shared32,
    /// What is to come.
    pub reserved: [Shared32; 11],
}

/// A real server of a service.
#[derive(Debug, Default, Clone)]
#[repr(C, align(64))]
pub struct Destination {
    /// [`PRESENT`], [`AVAILABLE`].
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
    /// The way through a tunnel, where that is the forwarding method.
    pub tunnel: Shared<Tunnel>,
    /// 1 above its upper threshold (IPVS: `IP_VS_DEST_F_OVERLOAD`). Written by who begins and ends
    /// connections.
    pub overloaded: Shared32,
    /// 1 where its address is the director's own.
    pub local: Shared32,
    /// mh: the last weight that was not 0 (or that it was added with): a server that is only quiesced
    /// keeps its buckets.
    pub last_weight: Shared32,
    /// Raised whenever another real server gets this slot.
    pub tenant: Shared32,
    /// [`OBSERVED`]: how it answers new connections.
    pub observed: Observed,
}

/// How a real server answers new connections of TCP. All of it only grows, until another real server gets the
/// record.
#[derive(Debug, Default, Clone)]
#[repr(C)]
pub struct Observed {
    /// How many have begun with a SYN.
    pub begun: Shared64,
    /// How many have had a SYN and ACK for it.
    pub answered: Shared64,
    /// How many have had a reset.
    pub refused: Shared64,
    /// How many have ended without either. By DR and TUN, where no answer comes by here: whose client never
    /// went on.
    pub unanswered: Shared64,
    /// The time from SYN to SYN and ACK of those that had it, in microseconds.
    pub time: Shared64,
}

impl Destination {
    /// All of its connections, as its thresholds count them (`ip_vs_dest_totalconns`).
    #[inline(always)]
    pub fn connections(&self) -> u32 {
        self.active.load().wrapping_add(self.inactive.load())
    }

    /// Sees whether it is above its upper threshold, after a change of the thresholds or of the number
    /// of connections: `ip_vs_dest_update_overload` of the kernels of 2026. Between the two it is what
    /// it was before.
    #[inline(always)]
    pub fn update_overload(&self) {
        let upper = self.upper_threshold.load();
        let connections = self.connections();
        if upper != 0 && connections >= upper {
            self.overloaded.store(1);
            return;
        }
        let lower = match self.lower_threshold.load() {
            // Three quarters, rounded up.
            0 => upper - (upper >> 2),
            lower => lower,
        };
        if upper == 0 || connections < lower {
            self.overloaded.store(0);
        }
    }
}

/// How packets are wrapped for a real server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Tunnel {
    /// The director's address towards the real server, of the RIP's family, as routing chooses it:
    /// the daemon asks and writes it. Zero until it has.
    pub source: [u32; 4],
    /// GUE's destination port, network byte order.
    pub port: u16,
    /// [`TUNNEL_IPIP`], [`TUNNEL_GUE`] or [`TUNNEL_GRE`] (IPVS: `IP_VS_CONN_F_TUNNEL_TYPE_*`).
    pub kind: u8,
    /// [`TUNNEL_CHECKSUM`], [`TUNNEL_REMOTE_CHECKSUM`] (IPVS: `IP_VS_TUNNEL_ENCAP_FLAG_*`).
    pub flags: u8,
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
    /// [`FORWARD_NAT`] and its siblings.
    pub forwarding: u8,
}

/// The record is in use.
pub const PRESENT: u32 = 1;
/// The real server is in its service's list (IPVS: `IP_VS_DEST_F_AVAILABLE`). Without it the
/// record waits for its connections to end, or for the server to be added again.
pub const AVAILABLE: u32 = 2;
/// A service's connections of one client go to one real server (IPVS: `IP_VS_SVC_F_PERSISTENT`).
pub const PERSISTENT: u32 = 8;
/// A service's connections are one packet each (IPVS: `IP_VS_SVC_F_ONEPACKET`).
pub const ONE_PACKET: u32 = 16;
/// A service's first scheduler flag (IPVS: `IP_VS_SVC_F_SCHED1`): sh-fallback, mh-fallback.
pub const SCHEDULER_FLAG_1: u32 = 32;
/// The second (IPVS: `IP_VS_SVC_F_SCHED2`): sh-port, mh-port.
pub const SCHEDULER_FLAG_2: u32 = 64;
/// The third (IPVS: `IP_VS_SVC_F_SCHED3`).
pub const SCHEDULER_FLAG_3: u32 = 128;

/// How a service's real servers answer new connections is observed.
pub const OBSERVED: u32 = 256;

/// Both ends of a service's connections are told when those expire.
pub const FAREWELL: u32 = 512;

/// Network address translation (IPVS: `IP_VS_CONN_F_MASQ`).
pub const FORWARD_NAT: u8 = 0;
/// Delivered on the director (IPVS: `IP_VS_CONN_F_LOCALNODE`).
pub const FORWARD_LOCAL: u8 = 1;
/// Wrapped for the real server (IPVS: `IP_VS_CONN_F_TUNNEL`).
pub const FORWARD_TUNNEL: u8 = 2;
/// Sent unchanged to the real server's link address (IPVS: `IP_VS_CONN_F_DROUTE`): DR.
pub const FORWARD_DIRECT: u8 = 3;
/// Sent where it was going (IPVS: `IP_VS_CONN_F_BYPASS`).
pub const FORWARD_BYPASS: u8 = 4;
/// NAT of both ends: the client's address is replaced by one of the director's.
pub const FORWARD_FULL_NAT: u8 = 5;
/// The same to a real server of the other address family: NAT64 and NAT46. The connection lies in the table
/// of the client's family, its twin, which the replies find, in that of the real server's.
pub const FORWARD_OTHER_FAMILY: u8 = 6;
/// No forwarding method, but what marks such a twin.
pub const FORWARD_TWIN: u8 = 7;

/// IP in IP (RFC 2003, RFC 2473).
pub const TUNNEL_IPIP: u8 = 0;
/// Generic UDP encapsulation.
pub const TUNNEL_GUE: u8 = 1;
/// Generic routing encapsulation (RFC 2784).
pub const TUNNEL_GRE: u8 = 2;

/// The outer header carries a checksum.
pub const TUNNEL_CHECKSUM: u8 = 1;
/// GUE's remote checksum offload.
pub const TUNNEL_REMOTE_CHECKSUM: u8 = 2;

/// Connections of one client, as its address says.
pub const ENGINE_NONE: u32 = 0;
/// Datagrams of one SIP call, as their Call-ID says.
pub const ENGINE_SIP: u32 = 1;

/// ICMP: port unreachable, as IPVS.
pub const REFUSE_UNREACHABLE: u32 = 0;
/// TCP: a reset; all else: port unreachable.
pub const REFUSE_RESET: u32 = 1;
/// Nothing.
pub const REFUSE_SILENTLY: u32 = 2;

/// None: no connection finds a real server.
pub const SCHEDULER_NONE: u32 = 0;
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
/// Shortest expected delay.
pub const SCHEDULER_SED: u32 = 6;
/// Never queue.
pub const SCHEDULER_NQ: u32 = 7;
/// Weighted failover.
pub const SCHEDULER_FO: u32 = 8;
/// Weighted overflow.
pub const SCHEDULER_OVF: u32 = 9;
/// Locality-based least connection.
pub const SCHEDULER_LBLC: u32 = 10;
/// Locality-based least connection with replication.
pub const SCHEDULER_LBLCR: u32 = 11;
/// Source hashing.
pub const SCHEDULER_SH: u32 = 12;
/// Maglev hashing.
pub const SCHEDULER_MH: u32 = 13;
/// Weighted random twos choice.
pub const SCHEDULER_TWOS: u32 = 14;

const _: () = assert!(size_of::<Service>() == 256);
const _: () = assert!(size_of::<Destination>() == 256);
