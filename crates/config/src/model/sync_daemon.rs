//! The daemons that synchronise connections between directors.

use std::net::IpAddr;

/// A connection synchronisation daemon, as somebody wants it started (`ipvsadm --start-daemon`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SyncDaemon {
    /// Which one.
    pub role: SyncRole,
    /// What tells its messages from those of other directors.
    pub sync_id: u8,
    /// The interface that it sends or listens on.
    pub interface: String,
    /// The longest message, without its UDP and IP headers; what the interface takes when not said.
    pub max_length: Option<u16>,
    /// The multicast group; 224.0.0.81 when not said.
    pub group: Option<IpAddr>,
    /// The UDP port, of several the first; 8848 when not said.
    pub port: Option<u16>,
    /// How far messages go; 1 when not said.
    pub ttl: Option<u8>,
}

/// The two of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SyncRole {
    /// Sends.
    Master,
    /// Receives.
    Backup,
}

impl SyncRole {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Master, Self::Backup];

    /// The name that ipvsadm uses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::Backup => "backup",
        }
    }

    /// The role of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}
