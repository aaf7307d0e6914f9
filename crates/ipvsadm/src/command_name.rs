//! What messages call a command and an option.

/// A command, as messages name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CommandName {
    AddService,
    EditService,
    DeleteService,
    Flush,
    List,
    AddServer,
    DeleteServer,
    EditServer,
    Set,
    StartDaemon,
    StopDaemon,
    Restore,
    Save,
    Zero,
}

impl CommandName {
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::AddService => "add-service",
            Self::EditService => "edit-service",
            Self::DeleteService => "delete-service",
            Self::Flush => "flush",
            Self::List => "list",
            Self::AddServer => "add-server",
            Self::DeleteServer => "delete-server",
            Self::EditServer => "edit-server",
            Self::Set => "set",
            Self::StartDaemon => "start-daemon",
            Self::StopDaemon => "stop-daemon",
            Self::Restore => "restore",
            Self::Save => "save",
            Self::Zero => "zero",
        }
    }
}

macro_rules! option_names {
    ($($name:ident $text:literal,)*) => {
        /// An option, as messages name it; several ways to write it can share a name. They are
        /// checked in this order, so the first that is wrong is the one complained about.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum OptionName {
            $($name,)*
        }

        impl OptionName {
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)*];

            pub(crate) const fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

option_names! {
    Numeric "numeric",
    Connection "connection",
    Service "service-address",
    Scheduler "scheduler",
    Persistent "persistent",
    Netmask "netmask",
    Server "real-server",
    Forwarding "forwarding-method",
    Weight "weight",
    UpperThreshold "u-threshold",
    LowerThreshold "l-threshold",
    McastInterface "mcast-interface",
    Timeout "timeout",
    Daemon "daemon",
    Stats "stats",
    Rate "rate",
    Thresholds "thresholds",
    PersistentConnections "persistent-conn",
    NoSort "nosort",
    SyncId "syncid",
    Exact "exact",
    OnePacket "ops",
    PersistenceEngine "pe",
    SchedulerFlags "sched-flags",
    McastGroup "mcast-group",
    McastPort "mcast-port",
    McastTtl "mcast-ttl",
    SyncMaxLength "sync-maxlen",
    TunnelInfo "tun-info",
    TunnelType "tun-type",
    TunnelPort "tun-port",
    TunnelNoChecksum "tun-nocsum",
    TunnelChecksum "tun-csum",
    TunnelRemoteChecksum "tun-remcsum",
}

/// The options that were given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct OptionSet(u64);

impl OptionSet {
    /// Adds one; false when it was there already.
    pub(crate) fn insert(&mut self, option: OptionName) -> bool {
        let new = !self.contains(option);
        self.0 |= 1 << option as u64;
        new
    }

    pub(crate) const fn contains(self, option: OptionName) -> bool {
        self.0 & (1 << option as u64) != 0
    }

    pub(crate) fn contains_any(self, options: &[OptionName]) -> bool {
        options.iter().any(|&option| self.contains(option))
    }
}
