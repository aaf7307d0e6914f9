//! Virtual router redundancy (RFC 9568, and keepalived's older and further ways).
//!
//! The defaults of what is left out are the language's; what is here is whole.

mod address;
mod instance;
mod strict;
mod track;

pub use address::{AddressFlags, NextHop, RouteKind, VirtualAddress, VirtualRoute, VirtualRule};
pub use instance::{
    Acceptance, Announcements, Authentication, HmacKey, HmacMode, Instance, InterfaceKind, Notify,
    Peer, Peers, Preemption, Priority, ReplayProtection, StateWish, SyncGroup, UnicastChecksum,
    Version, VirtualRouterId,
};
pub use strict::Violation;
pub use track::{
    BfdInstance, TrackedAddress, TrackedBfd, TrackedFile, TrackedInterface, TrackedProcess,
    TrackedScript, Tracking, VrrpFile, VrrpProcess, VrrpScript, Weighting,
};

use super::SyncRole;

/// All of it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Vrrp {
    /// The instances, their names each once.
    pub instances: Vec<Instance>,
    /// Instances that change together.
    pub groups: Vec<SyncGroup>,
    /// Scripts that are watched.
    pub scripts: Vec<VrrpScript>,
    /// Files that are watched.
    pub files: Vec<VrrpFile>,
    /// Processes that are watched.
    pub processes: Vec<VrrpProcess>,
    /// BFD sessions.
    pub bfd: Vec<BfdInstance>,
    /// Addresses that are there whatever the state.
    pub static_addresses: Vec<VirtualAddress>,
    /// Routes that are there whatever the state.
    pub static_routes: Vec<VirtualRoute>,
    /// Rules that are there whatever the state.
    pub static_rules: Vec<VirtualRule>,
    /// The connection sync daemon that follows an instance (`lvs_sync_daemon`): its interface, and the instance.
    pub sync_daemon: Option<FollowingSync>,
    /// All instances wait so long before they begin (`vrrp_startup_delay`).
    pub startup_delay: core::time::Duration,
    /// They begin no sooner than so long after the machine did (`vrrp_delay_after_boot`).
    pub delay_after_boot: core::time::Duration,
    /// Gratuitous ARP and NA between two packets of one interface, at least.
    pub announcement_interval: core::time::Duration,
    /// The real-time priority of the thread that keeps it (`vrrp_rt_priority`); 0 is none.
    pub realtime_priority: u8,
}

/// A sync daemon that has the role of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FollowingSync {
    /// The daemon as it runs in the role that its `role` says while no instance is named.
    pub daemon: super::SyncDaemon,
    /// Its role follows this instance: [`SyncRole::Master`] while that is Active.
    pub instance: Option<String>,
    /// The role that it has beside, when no instance is named.
    pub beside: Option<SyncRole>,
}
