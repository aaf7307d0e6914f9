//! What an invocation asks for.

use std::net::{Ipv4Addr, SocketAddr};

use weir_config::model::{ServiceKey, SyncDaemon, SyncRole};

/// One command with exactly what it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// `-A`
    AddService(Service),
    /// `-E`
    EditService(Service),
    /// `-D`
    DeleteService(ServiceKey),
    /// `-C`
    Flush,
    /// `-a`
    AddServer(ServiceKey, RealServer),
    /// `-e`
    EditServer(ServiceKey, RealServer),
    /// `-d`
    DeleteServer(ServiceKey, SocketAddr),
    /// `-L`, and no arguments at all
    List(List),
    /// `-Z`; nothing named means everything
    Zero(Option<ServiceKey>),
    /// `--set`
    SetTimeouts(TimeoutChange),
    /// `-S`
    Save {
        /// `-n`: numbers instead of names.
        numeric: bool,
    },
    /// `-R`
    Restore,
    /// `--start-daemon`
    StartDaemon(SyncDaemon),
    /// `--stop-daemon`
    StopDaemon {
        /// Which one.
        role: SyncRole,
        /// `--syncid`, 0 when not said; it decides nothing.
        sync_id: u8,
    },
}

/// A virtual service, as `-A` and `-E` describe it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// What it is known by.
    pub key: ServiceKey,
    /// `-s`, at most 15 bytes; `wlc` when not said. Any text passes here.
    pub scheduler: String,
    /// `-b`
    pub flags: SchedulerFlags,
    /// `-p`, in seconds; 360 when said without a value.
    pub persistent: Option<u32>,
    /// `-M`, the whole address when not said. It means something only with `-p`.
    pub netmask: Netmask,
    /// `--pe`, at most 16 bytes. Any text passes here.
    pub persistence_engine: Option<String>,
    /// `-o`
    pub one_packet: bool,
}

/// How much of a client's address counts for persistence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Netmask {
    /// A dotted mask; ipvsadm does not ask that it be one.
    V4(Ipv4Addr),
    /// A prefix length, 1 to 128.
    V6(u8),
}

/// The three flag bits of a scheduler.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SchedulerFlags {
    /// `flag-1`; with sh `sh-fallback`, with mh `mh-fallback`.
    pub first: bool,
    /// `flag-2`; with sh `sh-port`, with mh `mh-port`.
    pub second: bool,
    /// `flag-3`.
    pub third: bool,
}

/// A real server, as `-a` and `-e` describe it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RealServer {
    /// RIP and port.
    pub address: SocketAddr,
    /// `-g`, `-i` or `-m`; `-g` when not said.
    pub forwarding: Forwarding,
    /// `-w`, 0 to 2147483647 (Debian's 1.31; its manual says 65535); 1 when not said.
    pub weight: u32,
    /// `-x`; 0 means none.
    pub upper_threshold: u32,
    /// `-y`; 0 means none.
    pub lower_threshold: u32,
}

/// How packets reach a real server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarding {
    /// `-m`: network address translation, "Masq".
    Nat,
    /// `-g`: direct routing, "Route".
    DirectRouting,
    /// `-i`: a tunnel, "Tunnel".
    Tunnel(Tunnel),
    /// The director itself, "Local". No option asks for it; old kernels list it.
    Local,
    /// NAT of both ends, "FullNat". ipvsadm has neither option nor word for it; Weir lists it.
    FullNat,
}

/// What a tunnel is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tunnel {
    /// IP in IP.
    Ipip,
    /// Generic UDP encapsulation.
    Gue {
        /// `--tun-port`
        port: u16,
        /// The checksum of the encapsulation.
        checksum: TunnelChecksum,
    },
    /// Generic routing encapsulation.
    Gre {
        /// The checksum of the encapsulation; never [`TunnelChecksum::Remote`].
        checksum: TunnelChecksum,
    },
}

/// The checksum of an encapsulation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TunnelChecksum {
    /// `--tun-nocsum`, and when not said.
    #[default]
    No,
    /// `--tun-csum`
    Yes,
    /// `--tun-remcsum`
    Remote,
}

/// A tunnel's type without its options.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum TunnelKind {
    #[default]
    Ipip,
    Gue,
    Gre,
}

/// New timeouts in seconds; 0 keeps what is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeoutChange {
    /// TCP ESTABLISHED.
    pub tcp: u32,
    /// TCP FIN_WAIT.
    pub tcp_fin: u32,
    /// UDP.
    pub udp: u32,
}

/// What `-L` shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// All services.
    Services(Format),
    /// One service.
    Service(ServiceKey, Format),
    /// `-c`
    Connections {
        /// `-n`
        numeric: bool,
        /// `--persistent-conn`: the persistence engine's data.
        engine_data: bool,
    },
    /// `--timeout`
    Timeouts,
    /// `--daemon`
    Daemons,
}

/// How services are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Format {
    /// What is shown of them.
    pub columns: Columns,
    /// `-n`: numbers instead of names.
    pub numeric: bool,
    /// `--exact`: no K, M, G, T.
    pub exact: bool,
    /// `--nosort`: in the order in which the director gives them.
    pub unsorted: bool,
}

/// What is shown of services and real servers. Of several that are asked for, the first of this
/// order (but the default) is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Columns {
    /// Forwarding method, weight, connections.
    #[default]
    Default,
    /// `--stats`
    Stats,
    /// `--rate`
    Rate,
    /// `--thresholds`
    Thresholds,
    /// `--persistent-conn`
    PersistentConnections,
    /// `--tun-info`
    TunnelInfo,
}

impl TunnelKind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ipip => "ipip",
            Self::Gue => "gue",
            Self::Gre => "gre",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::Ipip, Self::Gue, Self::Gre]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}

impl Netmask {
    /// The mask under which every bit counts.
    pub const fn is_whole(self) -> bool {
        match self {
            Self::V4(mask) => mask.to_bits() == u32::MAX,
            Self::V6(length) => length == 128,
        }
    }
}

impl SchedulerFlags {
    /// Whether one is set.
    pub const fn any(self) -> bool {
        self.first || self.second || self.third
    }
}
