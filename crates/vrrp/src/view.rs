//! What can be seen of a router.

use core::fmt;
use core::time::Duration;
use std::net::IpAddr;

use weir_config::model::InterfaceName;
use weir_config::model::vrrp::{Instance, InterfaceKind};

use crate::{Name, State};

/// A change of state and its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// When.
    pub at: Duration,
    /// What it was.
    pub from: State,
    /// What it became.
    pub to: State,
    /// Why.
    pub why: Reason,
}

/// Why a state changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The router began.
    Started,
    /// It owns the addresses (priority 255).
    Owner,
    /// An earlier daemon was Active just now.
    Adopted,
    /// Nobody advertised for the master down interval.
    Silence {
        /// The interval.
        interval: Duration,
        /// Who advertised before, if anybody.
        after: Option<IpAddr>,
    },
    /// The Active router said that it stops (priority 0).
    HandedOver {
        /// Who.
        by: IpAddr,
    },
    /// Only lower priorities advertised, and it preempts.
    Preempted {
        /// Whom.
        whom: IpAddr,
        /// The priority of theirs.
        theirs: u8,
        /// Our priority.
        ours: u8,
    },
    /// A higher priority advertised.
    HigherPriority {
        /// Who.
        by: IpAddr,
        /// Its priority.
        theirs: u8,
        /// Our priority.
        ours: u8,
    },
    /// The same priority advertised from a higher address.
    HigherAddress {
        /// Who.
        by: IpAddr,
        /// Our address.
        ours: IpAddr,
    },
    /// The group went there, because of this member.
    Group {
        /// The group.
        group: Name,
        /// The member.
        member: Name,
    },
    /// Something that it depends on is not there.
    Fault(Fault),
    /// All that it depends on is there again.
    Recovered,
    /// A stop was asked for.
    Stopped,
    /// The configuration changed.
    Reloaded,
}

/// Why an instance takes no part.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// The packet path is not in place.
    NoPath,
    /// An interface is down.
    Interface(String),
    /// There is no address to speak from.
    NoSource,
    /// The address to speak from (`track_source`) is not there.
    SourceMissing(IpAddr),
    /// It has no unicast peers, and that counts as a fault.
    NoPeers,
    /// A script failed.
    Script(String),
    /// A file says so.
    File(String),
    /// Too few or too many processes.
    Process(String),
    /// A BFD session is down.
    Bfd(String),
    /// A service has no quorum.
    Quorum(String),
    /// An address that it depends on is not there.
    Address(IpAddr),
    /// Another member of its group.
    Member(Name),
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPath => formatter.write_str("the packet path is not in place"),
            Self::Interface(name) => write!(formatter, "interface {name} is down"),
            Self::NoSource => formatter.write_str("its interface has no address to speak from"),
            Self::SourceMissing(address) => {
                write!(formatter, "its source address {address} is not there")
            }
            Self::NoPeers => formatter.write_str("it has no unicast peers"),
            Self::Script(name) => write!(formatter, "script {name} fails"),
            Self::File(name) => write!(formatter, "file {name} says so"),
            Self::Process(name) => write!(formatter, "process {name} has no quorum"),
            Self::Bfd(name) => write!(formatter, "BFD session {name} is down"),
            Self::Quorum(service) => write!(formatter, "service {service} has no quorum"),
            Self::Address(address) => write!(formatter, "the address {address} is not there"),
            Self::Member(name) => write!(formatter, "{name} of its group is in Fault"),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started => formatter.write_str("started"),
            Self::Owner => formatter.write_str("it owns the addresses"),
            Self::Adopted => formatter.write_str("it was Active before the daemon was replaced"),
            Self::Silence {
                interval,
                after: Some(after),
            } => write!(
                formatter,
                "nothing heard from {after} for {:.2} s",
                interval.as_secs_f64()
            ),
            Self::Silence {
                interval,
                after: None,
            } => write!(
                formatter,
                "nobody heard for {:.2} s",
                interval.as_secs_f64()
            ),
            Self::HandedOver { by } => write!(formatter, "{by} handed over (priority 0)"),
            Self::Preempted { whom, theirs, ours } => {
                write!(
                    formatter,
                    "{whom} has priority {theirs}, less than our {ours}"
                )
            }
            Self::HigherPriority { by, theirs, ours } => {
                write!(
                    formatter,
                    "{by} has priority {theirs}, more than our {ours}"
                )
            }
            Self::HigherAddress { by, ours } => {
                write!(
                    formatter,
                    "{by} has the same priority and a higher address than {ours}"
                )
            }
            Self::Group { group, member } => {
                write!(formatter, "group {group} went there with {member}")
            }
            Self::Fault(fault) => fault.fmt(formatter),
            Self::Recovered => formatter.write_str("all that it depends on is there again"),
            Self::Stopped => formatter.write_str("stopped"),
            Self::Reloaded => formatter.write_str("the configuration changed"),
        }
    }
}

/// A raw socket that is wanted. Instances with equal sockets share one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Socket {
    /// The interface that it is bound to, and that packets from it are said to come by: the virtual link of an instance
    /// with `use_vmac` (unless it transmits by the interface), else its interface.
    pub interface: InterfaceName,
    /// Of IPv6.
    pub v6: bool,
    /// 112, or 51 under the authentication header.
    pub protocol: u8,
    /// The group to join; nothing for unicast.
    pub group: Option<IpAddr>,
}

/// The interface that an instance speaks on: its virtual link (`use_vmac`, by default called `vrrp.ID`, or `vrrp6.ID` for
/// IPv6), unless it transmits by the interface itself.
pub fn speaking_interface(instance: &Instance) -> InterfaceName {
    let InterfaceKind::VirtualMac {
        transmit_by_base: false,
        ..
    } = &instance.kind
    else {
        return instance.interface.clone();
    };
    virtual_link(instance).unwrap_or_else(|| instance.interface.clone())
}

/// The name of an instance's virtual link, if it has one.
pub fn virtual_link(instance: &Instance) -> Option<InterfaceName> {
    let InterfaceKind::VirtualMac { name, .. } = &instance.kind else {
        return None;
    };
    let family = if instance.v6 { "6" } else { "" };
    let usual = || InterfaceName::new(&format!("vrrp{family}.{}", instance.router_id.get()));
    name.clone().or_else(usual)
}

/// An instance as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceView {
    /// Its name.
    pub name: Name,
    /// What it is.
    pub state: State,
    /// Since when.
    pub since: Duration,
    /// The priority that is configured.
    pub base_priority: u8,
    /// The priority that it has: with what its trackers add.
    pub priority: u8,
    /// From where it speaks.
    pub source: Option<IpAddr>,
    /// Why it takes no part, each reason.
    pub faults: Vec<Fault>,
    /// The router that is Active as far as is known, if it is another: its address and priority.
    pub active: Option<(IpAddr, u8)>,
    /// When an advertisement was last taken.
    pub last_received: Option<Duration>,
    /// When an advertisement was last sent.
    pub last_sent: Option<Duration>,
    /// From one advertisement to the next, of the Active router.
    pub active_interval: Duration,
    /// How long nobody may be heard.
    pub master_down_interval: Duration,
    /// When it acts next: as Active it advertises, as Backup it takes over.
    pub deadline: Option<Duration>,
    /// Whom it heard, last heard first.
    pub peers: Vec<PeerView>,
    /// The last changes, the last one first.
    pub transitions: Vec<Transition>,
    /// What was counted.
    pub counters: Counters,
    /// What its trackers say.
    pub trackers: Vec<TrackerView>,
    /// The group that it belongs to.
    pub group: Option<Name>,
}

/// A router that was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerView {
    /// Its address.
    pub address: IpAddr,
    /// The priority that it last said.
    pub priority: u8,
    /// When.
    pub heard: Duration,
}

/// What a tracker says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackerView {
    /// interface, script, file, process, bfd, service, address.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// Up or down; nothing is not known yet.
    pub up: Option<bool>,
    /// What it adds to the priority now.
    pub adds: i32,
    /// Whether it is the reason for a Fault now.
    pub faults: bool,
}

/// A group as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupView {
    /// Its name.
    pub name: Name,
    /// What it is.
    pub state: State,
    /// Since when.
    pub since: Duration,
    /// Its members.
    pub members: Vec<Name>,
    /// The last changes, the last one first.
    pub transitions: Vec<Transition>,
}

/// What an instance counts; the names are those of keepalived's statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Counters {
    /// Advertisements taken.
    pub advert_rcvd: u64,
    /// Advertisements sent.
    pub advert_sent: u64,
    /// Times it became Active.
    pub become_master: u64,
    /// Times it was Active no more.
    pub release_master: u64,
    /// Packets that are too short or too long.
    pub packet_len_err: u64,
    /// Version 2: another interval than ours.
    pub advert_interval_err: u64,
    /// Another hop limit than 255 (or, of a peer, than allowed).
    pub ip_ttl_err: u64,
    /// Not an advertisement.
    pub invalid_type_rcvd: u64,
    /// Other addresses than ours, or multicast for unicast.
    pub addr_list_err: u64,
    /// Version 2: an authentication type that is none.
    pub invalid_authtype: u64,
    /// Version 2: another authentication type than ours.
    pub authtype_mismatch: u64,
    /// A wrong password or authentication header.
    pub auth_failure: u64,
    /// Priority 0 received.
    pub pri_zero_rcvd: u64,
    /// Priority 0 sent.
    pub pri_zero_sent: u64,
    /// Another version than ours.
    pub vers_err: u64,
    /// A wrong checksum.
    pub chk_err: u64,
    /// From a source that is not a peer.
    pub unknown_source: u64,
    /// No HMAC trailer.
    pub auth_ext_missing: u64,
    /// An HMAC trailer that is none.
    pub auth_ext_malformed: u64,
    /// An HMAC trailer with a key that is not known.
    pub auth_ext_unknown_key: u64,
    /// A wrong HMAC.
    pub auth_ext_invalid_hmac: u64,
    /// An HMAC trailer that is too old or from the future.
    pub auth_ext_stale: u64,
    /// An HMAC trailer that was seen before.
    pub auth_ext_replay: u64,
}

impl Counters {
    /// All of them by keepalived's names.
    pub const fn each(&self) -> [(&'static str, u64); 23] {
        [
            ("advert_rcvd", self.advert_rcvd),
            ("advert_sent", self.advert_sent),
            ("become_master", self.become_master),
            ("release_master", self.release_master),
            ("packet_len_err", self.packet_len_err),
            ("advert_interval_err", self.advert_interval_err),
            ("ip_ttl_err", self.ip_ttl_err),
            ("invalid_type_rcvd", self.invalid_type_rcvd),
            ("addr_list_err", self.addr_list_err),
            ("invalid_authtype", self.invalid_authtype),
            ("authtype_mismatch", self.authtype_mismatch),
            ("auth_failure", self.auth_failure),
            ("pri_zero_rcvd", self.pri_zero_rcvd),
            ("pri_zero_sent", self.pri_zero_sent),
            ("vers_err", self.vers_err),
            ("chk_err", self.chk_err),
            ("unknown_source", self.unknown_source),
            ("auth_ext_missing", self.auth_ext_missing),
            ("auth_ext_malformed", self.auth_ext_malformed),
            ("auth_ext_unknown_key", self.auth_ext_unknown_key),
            ("auth_ext_invalid_hmac", self.auth_ext_invalid_hmac),
            ("auth_ext_stale", self.auth_ext_stale),
            ("auth_ext_replay", self.auth_ext_replay),
        ]
    }
}
