//! The one record that holds what is true for the whole director.

use crate::counters::SharedCounters;
use crate::flow_table::HASH_KEYS;
use crate::shared::{Shared32, Shared64};
use crate::sysctl::{SYSCTLS, Sysctl};

/// Places for TCP states, as IPVS numbers them (NONE 0 to LAST 11): a power of two, so that masked
/// bits index them without a bound to prove.
pub const TCP_STATES: usize = 16;

/// Places for SCTP states, as IPVS numbers them.
pub const SCTP_STATES: usize = 16;

/// Settings of the director and the bookkeeping of its tables.
#[derive(Debug, Default, Clone)]
#[repr(C, align(64))]
pub struct Settings {
    /// [`crate::LAYOUT_VERSION`] of who made the tables; 0 before the tables are ready.
    pub layout_version: Shared32,
    /// Whether TCP's states are those of a director under attack (`secure_tcp`), now.
    pub secure_tcp: Shared32,
    /// One of so many packets that would begin a connection is dropped (`drop_packet`), now; 0 none.
    pub drop_rate: Shared32,
    /// How many connections of IPv4 the table holds.
    pub capacity4: Shared32,
    /// How many connections of IPv6 the table holds.
    pub capacity6: Shared32,
    /// Buckets of the flow table of IPv4.
    pub flow_buckets4: Shared32,
    /// Buckets of the flow table of IPv6.
    pub flow_buckets6: Shared32,
    /// Where the search for a half-open connection of IPv4 to evict goes on.
    pub hand4: Shared32,
    /// The same for IPv6.
    pub hand6: Shared32,
    /// The slot of IPv4 that the timer looks at next.
    pub sweep4: Shared32,
    /// The same for IPv6.
    pub sweep6: Shared32,
    /// Slots of the IPv4 table that have ever been used: those below may hold a connection.
    pub high_water4: Shared32,
    /// Slots of the IPv6 table that have ever been used.
    pub high_water6: Shared32,
    /// How many connections of IPv4 the table holds now.
    pub live4: Shared32,
    /// How many connections of IPv6 the table holds now.
    pub live6: Shared32,
    /// Timeout of each TCP state, in ticks.
    pub tcp_timeouts: [Shared32; TCP_STATES],
    /// Timeout of each SCTP state, in ticks.
    pub sctp_timeouts: [Shared32; SCTP_STATES],
    /// Timeout of UDP, in ticks.
    pub udp_timeout: Shared32,
    /// Counts packets for `drop_rate`.
    pub drop_count: Shared32,
    /// Whether connections are dropped at random (`drop_entry`), now.
    pub drop_entry: Shared32,
    /// How many rules the `marks` table has.
    pub marks: Shared32,
    /// How many services are named by a firewall mark.
    pub mark_services: Shared32,
    /// How many services have port 0.
    pub any_port_services: Shared32,
    /// How many services are FTP's (TCP, port 21).
    pub ftp_services: Shared32,
    /// The first port that anybody may listen on (`ip_unprivileged_port_start`, default 1024).
    pub unprivileged_port: Shared32,
    /// The sysctls of IPVS as somebody set them, by number: ask [`Settings::sysctl`].
    pub sysctls: Sysctls,
    /// The tick that it is. The timer that ends connections writes it, about once a tick: a packet
    /// reads it instead of asking the clock.
    pub now: Shared32,
    /// Which knowledge of routes, neighbours, interfaces and available real servers is in force. What
    /// a connection remembers was learnt under one number, and holds for that number only. Raised
    /// after anything of it has changed.
    pub routes_generation: Shared32,
    /// The tick when somebody who raises that number was last alive. When it is two seconds old, the
    /// reaper's timer raises the number once a second instead.
    pub routes_watched: Shared32,
    /// What the hash of the flow tables is keyed by: random, so that nobody can choose packets that
    /// fill one bucket.
    pub hash_keys: [Shared64; HASH_KEYS],
    /// Cookie of the network namespace that the director works in (`SO_NETNS_COOKIE`).
    pub network_namespace: Shared64,
    /// How many fragments can wait for the first one of their packet.
    pub held_capacity: Shared32,
    /// How many wait now.
    pub held: Shared32,
    /// Where the next place for one is looked for.
    pub held_hand: Shared32,
    /// What services have ever wanted that costs packets something: [`USE_OWN_TIMEOUTS`],
    /// [`USE_FULL_NAT`] and the rest. (Connections outlive their services: most is never taken back.)
    pub uses: Shared32,
    /// How many connections have gone into the `farewells` table.
    pub farewells: Shared32,
    /// Counted for services that are gone.
    pub retired: SharedCounters,
    /// What had been counted when all counters were last zeroed.
    pub zeroed: SharedCounters,
}

/// Of [`Settings::uses`]: timeouts of their own.
pub const USE_OWN_TIMEOUTS: u32 = 1;
/// Of [`Settings::uses`]: addresses for FULLNAT.
pub const USE_FULL_NAT: u32 = 2;

/// Of [`Settings::uses`]: checks that go the way of the traffic. (Of the daemon's wanting, and taken back.)
pub const USE_CHECKS: u32 = 4;

/// Of [`Settings::uses`]: services whose real servers are observed.
pub const USE_OBSERVATION: u32 = 8;

/// Of [`Settings::uses`]: real servers by NAT that are the director itself. (Taken back where there are none.)
pub const USE_LOCAL_REPLIES: u32 = 16;

/// Of [`Settings::uses`]: services whose connections do not expire without a word.
pub const USE_FAREWELLS: u32 = 64;

/// Of [`Settings::uses`]: addresses for FULLNAT to real servers of the other family.
pub const USE_OTHER_FAMILY: u32 = 32;

/// Of [`Settings::uses`]: services whose connections persist by the Call-ID of SIP.
pub const USE_CALLS: u32 = 128;

/// Of [`Settings::uses`]: a sync daemon that is a backup. (Of the daemon's wanting, and taken back.)
pub const USE_SYNC_BACKUP: u32 = 256;

/// The index of the loopback interface: the same in every network namespace.
pub const LOOPBACK_INDEX: u32 = 1;

/// Of [`Settings::uses`]: clients on the director itself. (Of the daemon's wanting, and taken back.)
pub const USE_LOCAL_CLIENTS: u32 = 512;

/// A cell for each sysctl.
#[derive(Debug, Clone)]
#[repr(transparent)]
pub struct Sysctls([Shared32; SYSCTLS]);

impl Default for Sysctls {
    fn default() -> Self {
        Self([const { Shared32::new(0) }; SYSCTLS])
    }
}

impl Settings {
    /// Whether a service has ever wanted [`USE_OWN_TIMEOUTS`] or one of its siblings.
    #[inline(always)]
    pub fn uses(&self, what: u32) -> bool {
        self.uses.load() & what != 0
    }

    /// A sysctl of IPVS: an `i32`, but for `sync_qlen_max`.
    #[inline(always)]
    pub const fn sysctl(&self, which: Sysctl) -> &Shared32 {
        &self.sysctls.0[which as usize]
    }
}

/// An interface, as somebody says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Interface {
    /// Its MAC address.
    pub mac: [u8; 6],
    /// [`INTERFACE_XDP_TRANSMIT`] and its siblings.
    pub flags: u16,
}

/// An interface in a slot of the `interfaces` table.
#[derive(Debug, Default, Clone)]
#[repr(C)]
pub struct InterfaceRecord {
    /// Its [`Link`]: its own MAC address, and its flags.
    pub link: Shared64,
    /// Its index; 0 in a slot that is free.
    pub index: Shared32,
    /// What is to come.
    pub reserved: Shared32,
}

/// A MAC address and sixteen bits beside it in one word, so that both are read at once.
///
/// Bits 0..48 the address as it lies in a frame (the first byte lowest), 48..64 the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(transparent)]
pub struct Link(pub u64);

impl Link {
    /// An address with what is said beside it.
    #[inline(always)]
    pub const fn new(mac: [u8; 6], beside: u16) -> Self {
        let [a, b, c, d, e, f] = mac;
        let [g, h] = beside.to_le_bytes();
        Self(u64::from_le_bytes([a, b, c, d, e, f, g, h]))
    }

    /// The address.
    #[inline(always)]
    pub const fn mac(self) -> [u8; 6] {
        let [a, b, c, d, e, f, _, _] = self.0.to_le_bytes();
        [a, b, c, d, e, f]
    }

    /// What is said beside it.
    #[inline(always)]
    pub const fn beside(self) -> u16 {
        (self.0 >> 48) as u16
    }
}

/// How many interfaces the programs know.
pub const INTERFACES: u32 = 4096;

/// XDP frames can be sent out of this interface (it has `ndo_xdp_xmit`, and for veth a peer that
/// polls).
pub const INTERFACE_XDP_TRANSMIT: u16 = 1;
