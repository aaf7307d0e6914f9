//! Instances.

use std::net::IpAddr;
use std::num::NonZeroU8;
use std::path::PathBuf;
use std::time::Duration;

use super::{Tracking, VirtualAddress, VirtualRoute, VirtualRule};
use crate::model::{InterfaceName, Script};

/// A virtual router as this director takes part in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Its name.
    pub name: String,
    /// The interface on which it speaks.
    pub interface: InterfaceName,
    /// What it speaks from.
    pub kind: InterfaceKind,
    /// Its number on the link.
    pub router_id: VirtualRouterId,
    /// The protocol's version.
    pub version: Version,
    /// Whether it speaks IPv6 (by its first virtual address).
    pub v6: bool,
    /// Its priority.
    pub priority: Priority,
    /// From one advertisement to the next: seconds in version 2, centiseconds in version 3.
    pub interval: Duration,
    /// So many advertisements may be missed (`down_timer_adverts`, 3).
    pub missed: NonZeroU8,
    /// What it begins as.
    pub wish: StateWish,
    /// Whether it takes over from a router with a lower priority.
    pub preemption: Preemption,
    /// From where it speaks; nothing is the interface's first address.
    pub source: Option<IpAddr>,
    /// Whether it is in Fault while that address is not there (`track_src_ip`).
    pub track_source: bool,
    /// To whom.
    pub peers: Peers,
    /// How it proves who it is.
    pub authentication: Authentication,
    /// Whether others reach the addresses while it is Active and not their owner.
    pub acceptance: Acceptance,
    /// The addresses that are said in advertisements.
    pub addresses: Vec<VirtualAddress>,
    /// Further addresses.
    pub excluded_addresses: Vec<VirtualAddress>,
    /// Routes.
    pub routes: Vec<VirtualRoute>,
    /// Rules.
    pub rules: Vec<VirtualRule>,
    /// What it depends on.
    pub tracking: Tracking,
    /// How its addresses are announced.
    pub announcements: Announcements,
    /// Whether the secondary addresses of an interface stay when the first one goes.
    pub promote_secondaries: bool,
    /// Who is told.
    pub notify: Notify,
    /// Whether addresses in advertisements are not compared with ours (`skip_check_adv_addr`).
    pub any_addresses: bool,
    /// Whether a lower priority is not answered by an advertisement (`lower_prio_no_advert`).
    pub lower_priority_silent: bool,
    /// Whether a last advertisement is sent to a higher priority (`higher_prio_send_advert`).
    pub higher_priority_answered: bool,
    /// Whether the owner of the addresses does not hear other routers (`owner_ignore_adverts`).
    pub owner_ignores_others: bool,
    /// Version 3's checksum without the pseudo header over IPv4 (`v3_checksum_as_v2`).
    pub checksum_as_version_2: bool,
    /// Which checksum version 3 has over unicast IPv4 (`old_unicast_checksum`).
    pub unicast_checksum: UnicastChecksum,
    /// Whether it does only what the RFCs have ([`super::Violation`]).
    pub strict: bool,
}

impl Instance {
    /// Version 3 over IPv4, a multicast advertisement a second, priority 100, no addresses: what `weir.toml` says of an
    /// instance that says no more.
    pub fn new(name: &str, interface: InterfaceName, router_id: VirtualRouterId) -> Self {
        Self {
            name: name.to_owned(),
            interface,
            kind: InterfaceKind::default(),
            router_id,
            version: Version::V3,
            v6: false,
            priority: Priority::default(),
            interval: Self::INTERVAL,
            missed: Self::MISSED,
            wish: StateWish::default(),
            preemption: Preemption::default(),
            source: None,
            track_source: false,
            peers: Peers::default(),
            authentication: Authentication::None,
            acceptance: Acceptance::default(),
            addresses: Vec::new(),
            excluded_addresses: Vec::new(),
            routes: Vec::new(),
            rules: Vec::new(),
            tracking: Tracking::default(),
            announcements: Announcements::default(),
            promote_secondaries: false,
            notify: Notify::default(),
            any_addresses: false,
            lower_priority_silent: false,
            higher_priority_answered: false,
            owner_ignores_others: false,
            checksum_as_version_2: false,
            unicast_checksum: UnicastChecksum::default(),
            strict: false,
        }
    }

    /// From one advertisement to the next, unless it is said.
    pub const INTERVAL: Duration = Duration::from_secs(1);
    /// So many advertisements may be missed, unless it is said.
    pub const MISSED: NonZeroU8 = NonZeroU8::MIN.saturating_add(2);
}

/// Instances that change together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncGroup {
    /// Its name.
    pub name: String,
    /// The names of its instances.
    pub members: Vec<String>,
    /// What all of them depend on.
    pub tracking: Tracking,
    /// Whether trackers with a weight count in groups (`sync_group_tracking_weight`).
    pub weights_count: bool,
    /// Who is told.
    pub notify: Notify,
}

/// A number of a virtual router, 1 to 255.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VirtualRouterId(pub NonZeroU8);

/// A priority, 1 to 255; 255 owns the addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(pub NonZeroU8);

/// The protocol's version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// RFC 3768.
    V2,
    /// RFC 5798 and RFC 9568.
    V3,
}

/// What it speaks from.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum InterfaceKind {
    /// The interface itself.
    #[default]
    Plain,
    /// A macvlan with the virtual router's link address (`use_vmac`).
    VirtualMac {
        /// Its name; nothing is `vrrp.ID`.
        name: Option<InterfaceName>,
        /// Its link address; nothing is 00:00:5e:00:01:ID (or 02 for IPv6).
        link_address: Option<[u8; 6]>,
        /// Whether advertisements leave by the interface itself (`vmac_xmit_base`).
        transmit_by_base: bool,
    },
}

/// What it begins as. It becomes Active by an election all the same, but for the owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum StateWish {
    /// As Backup.
    #[default]
    Backup,
    /// As Active.
    Active,
}

/// Whether it takes over from a router with a lower priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Preemption {
    /// Never.
    Never,
    /// After this time.
    After(Duration),
}

/// To whom it speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peers {
    /// The group of the protocol, 224.0.0.18 or ff02::12 unless others are named.
    Multicast {
        /// Another group.
        group: Option<IpAddr>,
    },
    /// Each by itself.
    Unicast {
        /// They.
        peers: Vec<Peer>,
        /// The time to live of what is sent.
        time_to_live: u8,
        /// Whether only they are listened to (`check_unicast_src`).
        check_source: bool,
        /// Whether it is in Fault without any (`unicast_fault_no_peer`).
        fault_without: bool,
    },
}

/// A router that is spoken to by its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// The least time to live that what it sends may have.
    pub least_time_to_live: u8,
    /// The greatest.
    pub most_time_to_live: u8,
}

/// How a router proves who it is.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Authentication {
    /// Not at all.
    #[default]
    None,
    /// Version 2: eight bytes in clear text.
    Password([u8; 8]),
    /// Version 2: IPsec's authentication header with HMAC-MD5-96.
    Header([u8; 8]),
    /// keepalived's trailer with HMAC-SHA-256-128.
    Hmac {
        /// The keys that are known.
        keys: Vec<HmacKey>,
        /// The number of the one that is used.
        active: u8,
        /// How old packets are told.
        replay: ReplayProtection,
        /// What becomes of packets without, or with a wrong one.
        mode: HmacMode,
    },
}

/// A key of the trailer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HmacKey {
    /// Its number.
    pub id: u8,
    /// Its bytes; empty while they are in a file that has not been read.
    pub secret: Vec<u8>,
    /// The file that has them: whoever starts VRRP reads it into `secret`.
    pub file: Option<PathBuf>,
}

/// How packets that were sent before are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum ReplayProtection {
    /// They are not.
    #[default]
    None,
    /// By the time of day, which may differ by so much.
    Time {
        /// The difference.
        window: Duration,
    },
    /// By a clock that only goes on.
    Monotonic,
}

/// What becomes of packets without a trailer, or with a wrong one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum HmacMode {
    /// They are dropped.
    #[default]
    Enforce,
    /// They are told and taken; ours have it.
    Permissive,
    /// They are told and taken; ours do not have it.
    ReceiveOnly,
}

/// Which checksum version 3 has over unicast IPv4: keepalived before 1.3.6 summed up the multicast group instead of the
/// destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum UnicastChecksum {
    /// The right one, until a peer is heard with the old one.
    #[default]
    AsHeard,
    /// The right one, whatever is heard.
    Right,
    /// The old one.
    Old,
}

/// Whether others reach the addresses while it is Active and not their owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Acceptance {
    /// They do.
    #[default]
    Accept,
    /// Only what is forwarded is taken (RFC 9568, Accept_Mode false).
    Refuse,
}

/// How addresses are announced by gratuitous ARP and unsolicited NA.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Announcements {
    /// So many at once when it becomes Active (`garp_master_repeat`, 5).
    pub repeat: u16,
    /// As many again after this (`garp_master_delay`, 5 s).
    pub delay: Duration,
    /// As many when a lower priority was heard (`garp_lower_prio_repeat`).
    pub lower_repeat: u16,
    /// As many again after this (`garp_lower_prio_delay`).
    pub lower_delay: Duration,
    /// Again and again while it is Active; nothing is never (`garp_master_refresh`).
    pub refresh: Option<Duration>,
    /// So many then (`garp_master_refresh_repeat`, 1).
    pub refresh_repeat: u16,
}

/// Who is told of an instance's or a group's changes.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Notify {
    /// `notify_master`
    pub active: Option<Script>,
    /// `notify_backup`
    pub backup: Option<Script>,
    /// `notify_fault`
    pub fault: Option<Script>,
    /// `notify_stop`
    pub stop: Option<Script>,
    /// `notify_deleted`
    pub deleted: Option<Script>,
    /// `notify`: every change, with what it is as arguments.
    pub any: Option<Script>,
    /// `notify_master_rx_lower_pri`
    pub lower_priority: Option<Script>,
    /// `smtp_alert`
    pub mail: bool,
}

impl HmacKey {
    /// How long a secret can be, as keepalived has it.
    pub const LENGTHS: core::ops::RangeInclusive<usize> = 32..=64;

    /// The secret in a file: its text without the end of the line, or `hex:` and digits. Nothing when it does not fit.
    pub fn secret_of(text: &str) -> Option<Vec<u8>> {
        let text = text.trim_end_matches(['\n', '\r']);
        let secret = match text.strip_prefix("hex:") {
            Some(digits) => Self::secret_of_hex(digits)?,
            None => text.as_bytes().to_vec(),
        };
        Self::LENGTHS.contains(&secret.len()).then_some(secret)
    }

    /// Bytes of pairs of digits.
    pub fn secret_of_hex(text: &str) -> Option<Vec<u8>> {
        let digits = text.chars().map(|digit| digit.to_digit(16));
        let digits: Vec<u32> = digits.collect::<Option<_>>()?;
        let (pairs, rest) = digits.as_chunks::<2>();
        // Two digits are a byte.
        let bytes = pairs.iter().map(|[high, low]| (high << 4 | low) as u8);
        rest.is_empty().then(|| bytes.collect())
    }
}

impl VirtualRouterId {
    /// The number, or nothing for 0.
    pub const fn new(number: u8) -> Option<Self> {
        match NonZeroU8::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The number.
    pub const fn get(self) -> u8 {
        self.0.get()
    }
}

impl Priority {
    /// The one who owns the addresses (RFC 9568, 5.2.4).
    pub const OWNER: Self = Self(NonZeroU8::MAX);

    /// A priority, or nothing for 0, which is no router's.
    pub const fn new(number: u8) -> Option<Self> {
        match NonZeroU8::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The number.
    pub const fn get(self) -> u8 {
        self.0.get()
    }

    /// Whether it owns the addresses.
    pub const fn is_owner(self) -> bool {
        self.get() == u8::MAX
    }
}

impl Default for Priority {
    /// RFC 9568, 5.2.4: 100.
    fn default() -> Self {
        Self(NonZeroU8::MIN.saturating_add(99))
    }
}

impl Default for Preemption {
    fn default() -> Self {
        Self::After(Duration::ZERO)
    }
}

impl Default for Peers {
    fn default() -> Self {
        Self::Multicast { group: None }
    }
}

impl Default for Announcements {
    /// keepalived's.
    fn default() -> Self {
        Self {
            repeat: 5,
            delay: Duration::from_secs(5),
            lower_repeat: 5,
            lower_delay: Duration::from_secs(5),
            refresh: None,
            refresh_repeat: 1,
        }
    }
}
