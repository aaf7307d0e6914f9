//! The kernel's settings that matter on a real server, and what it makes of them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A setting that every interface has, and `all` too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Setting {
    /// Which ARP requests are answered.
    ArpIgnore,
    /// Which of the host's addresses ARP requests say to be from.
    ArpAnnounce,
    /// Whether a packet must come from where its source is routed to.
    RpFilter,
    /// Whether the interface has no IPv6.
    DisableIpv6,
}

/// One setting in its place: of an interface, or of `all`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Sysctl {
    /// Which setting.
    pub setting: Setting,
    /// The interface, or `all`.
    pub scope: String,
}

/// The scope that holds for every interface.
pub const ALL: &str = "all";

/// `arp_ignore`: a request is answered only by the interface that has the address.
pub const IGNORE_OTHERS: u32 = 1;
/// `arp_announce`: a request says to be from an address of the interface that sends it.
pub const ANNOUNCE_OWN: u32 = 2;
/// `rp_filter`: the source must be routed to the very interface that the packet came by.
pub const STRICT: u32 = 1;
/// `rp_filter`: the source must be routed to some interface.
pub const LOOSE: u32 = 2;

impl Setting {
    /// All.
    pub const EVERY: [Self; 4] = [
        Self::ArpIgnore,
        Self::ArpAnnounce,
        Self::RpFilter,
        Self::DisableIpv6,
    ];

    const fn place(self) -> (&'static str, &'static str) {
        match self {
            Self::ArpIgnore => ("ipv4", "arp_ignore"),
            Self::ArpAnnounce => ("ipv4", "arp_announce"),
            Self::RpFilter => ("ipv4", "rp_filter"),
            Self::DisableIpv6 => ("ipv6", "disable_ipv6"),
        }
    }
}

impl Sysctl {
    /// That setting of that interface, or of [`ALL`].
    pub fn new(setting: Setting, scope: &str) -> Self {
        Self {
            setting,
            scope: scope.to_owned(),
        }
    }

    /// Where it lies below `/proc/sys`.
    pub fn path(&self) -> String {
        let (family, name) = self.setting.place();
        format!("net/{family}/conf/{}/{name}", self.scope)
    }
}

/// As `sysctl` takes it, where a dot within a name is a slash.
impl fmt::Display for Sysctl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (family, name) = self.setting.place();
        let scope = self.scope.replace('.', "/");
        write!(formatter, "net.{family}.conf.{scope}.{name}")
    }
}

/// Whether `arp_ignore` keeps an interface from answering for an address that another one has.
pub const fn keeps_quiet(arp_ignore: u32) -> bool {
    // 3 is about addresses of scope host, 4 to 7 are reserved and mean nothing.
    matches!(arp_ignore, 1 | 2 | 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_has_a_path_and_a_name() {
        let sysctl = Sysctl::new(Setting::RpFilter, "eth0.100");
        assert_eq!(sysctl.path(), "net/ipv4/conf/eth0.100/rp_filter");
        assert_eq!(sysctl.to_string(), "net.ipv4.conf.eth0/100.rp_filter");
    }

    #[test]
    fn these_values_keep_quiet() {
        let quiet: Vec<u32> = (0..10).filter(|value| keeps_quiet(*value)).collect();
        assert_eq!(quiet, [1, 2, 8]);
    }
}
