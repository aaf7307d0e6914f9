//! The switches of IPVS (`net.ipv4.vs.*`), by their numbers in [`crate::settings::Settings`].

macro_rules! sysctls {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal, $default:literal, $least:literal..=$most:literal;)*) => {
        /// One of the kernel's sysctls of IPVS.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u32)]
        pub enum Sysctl {
            $($(#[$doc])* $variant = $number,)*
        }

        impl Sysctl {
            /// All of them, by number, in the kernel's order (`vs_vars`).
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Its name under `net.ipv4.vs`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it is unless somebody sets it.
            pub const fn default_value(self) -> i64 {
                match self { $(Self::$variant => $default,)* }
            }

            /// The values that it takes: the least and the greatest.
            pub const fn range(self) -> (i64, i64) {
                match self { $(Self::$variant => ($least, $most),)* }
            }
        }
    };
}

sysctls! {
    /// Pages of free memory below which the automatic defences begin.
    AmemThresh = 0, "amemthresh", 1024, -2147483648..=2147483647;
    /// One of so many new connections is dropped by `drop_packet` 3.
    AmDroprate = 1, "am_droprate", 10, -2147483648..=2147483647;
    /// Whether idle and half-open connections are dropped at random: 0 never, 1 and 2 when memory
    /// is short (2 while it is), 3 always.
    DropEntry = 2, "drop_entry", 0, 0..=3;
    /// Whether new connections are dropped by a rate, as `drop_entry` says when.
    DropPacket = 3, "drop_packet", 0, 0..=3;
    /// Whether connections are kept in the kernel's connection tracking too.
    Conntrack = 4, "conntrack", 0, -2147483648..=2147483647;
    /// Whether TCP's states are those of a director under attack, as `drop_entry` says when.
    SecureTcp = 5, "secure_tcp", 0, 0..=3;
    /// Whether replies are routed as coming from the VIP.
    SnatReroute = 6, "snat_reroute", 1, -2147483648..=2147483647;
    /// The version of the messages that the sync daemon sends.
    SyncVersion = 7, "sync_version", 1, 0..=1;
    /// How many ports the sync daemon uses: a power of two.
    SyncPorts = 8, "sync_ports", 1, 1..=2147483647;
    /// Whether of persistent services only templates are synchronised.
    SyncPersistMode = 9, "sync_persist_mode", 0, -2147483648..=2147483647;
    /// How many sync messages may wait.
    SyncQlenMax = 10, "sync_qlen_max", 65536, 0..=4294967295;
    /// Size of the sync daemon's socket buffers; 0 is the system's.
    SyncSockSize = 11, "sync_sock_size", 0, -2147483648..=2147483647;
    /// Whether a packet of a marked service without real servers goes where it was going.
    CacheBypass = 12, "cache_bypass", 0, -2147483648..=2147483647;
    /// Whether connections of removed real servers end at once.
    ExpireNodestConn = 13, "expire_nodest_conn", 0, -2147483648..=2147483647;
    /// Whether any TCP packet may begin a connection.
    SloppyTcp = 14, "sloppy_tcp", 0, -2147483648..=2147483647;
    /// Whether any SCTP packet may begin a connection.
    SloppySctp = 15, "sloppy_sctp", 0, -2147483648..=2147483647;
    /// Whether templates of quiesced real servers are not used.
    ExpireQuiescentTemplate = 16, "expire_quiescent_template", 0, -2147483648..=2147483647;
    /// A connection is synchronised when of its packets so many (`sync_threshold`'s first number)...
    SyncThreshold = 17, "sync_threshold", 3, 0..=2147483647;
    /// ...of each so many (its second number) have passed.
    SyncPeriod = 18, "sync_period", 50, 0..=2147483647;
    /// Least change of an expiry in seconds that is synchronised again.
    SyncRefreshPeriod = 19, "sync_refresh_period", 0, 0..=2147483647;
    /// How often a sync message is sent again.
    SyncRetries = 20, "sync_retries", 0, 0..=3;
    /// Whether a real server's packet of no connection is answered with an ICMP error.
    NatIcmpSend = 21, "nat_icmp_send", 0, -2147483648..=2147483647;
    /// Whether packets too large for a tunnel are answered with an ICMP error, not fragmented.
    PmtuDisc = 22, "pmtu_disc", 1, -2147483648..=2147483647;
    /// Whether a director that is a sync backup forwards nothing.
    BackupOnly = 23, "backup_only", 0, -2147483648..=2147483647;
    /// When a SYN begins anew on the port of an ended connection.
    ConnReuseMode = 24, "conn_reuse_mode", 1, -2147483648..=2147483647;
    /// Whether an ICMP error about no connection may begin one.
    ScheduleIcmp = 25, "schedule_icmp", 0, -2147483648..=2147483647;
    /// Whether packets of unknown protocols are marked as seen.
    IgnoreTunneled = 26, "ignore_tunneled", 0, -2147483648..=2147483647;
    /// How much the kernel logs.
    DebugLevel = 27, "debug_level", 0, 0..=12;
    /// Seconds after which lblc forgets an address for good.
    LblcExpiration = 28, "lblc_expiration", 86400, 0..=2147483647;
    /// Seconds after which lblcr shrinks a set.
    LblcrExpiration = 29, "lblcr_expiration", 86400, 0..=2147483647;
    /// Whether rates are reckoned.
    RunEstimation = 30, "run_estimation", 1, 0..=1;
    /// How nice those who reckon rates are.
    EstNice = 31, "est_nice", 0, -20..=19;
    /// Load factor of the connection table, as a power of two.
    ConnLfactor = 32, "conn_lfactor", -4, -8..=8;
    /// Load factor of the service table, as a power of two.
    SvcLfactor = 33, "svc_lfactor", -3, -8..=8;
    /// Most connections.
    ConnMax = 34, "conn_max", 1073741824, 0..=1073741824;
    /// Whether somebody has said which processors reckon rates...
    EstCpulist = 35, "est_cpulist", 0, 0..=1;
    /// ...and which: a bit for each of 32.
    EstCpulist0 = 36, "est_cpulist_0", 0, 0..=4294967295;
    /// The next 32.
    EstCpulist1 = 37, "est_cpulist_1", 0, 0..=4294967295;
    /// The next 32.
    EstCpulist2 = 38, "est_cpulist_2", 0, 0..=4294967295;
    /// The next 32.
    EstCpulist3 = 39, "est_cpulist_3", 0, 0..=4294967295;
    /// The next 32.
    EstCpulist4 = 40, "est_cpulist_4", 0, 0..=4294967295;
    /// The next 32.
    EstCpulist5 = 41, "est_cpulist_5", 0, 0..=4294967295;
    /// The next 32.
    EstCpulist6 = 42, "est_cpulist_6", 0, 0..=4294967295;
    /// The last 32.
    EstCpulist7 = 43, "est_cpulist_7", 0, 0..=4294967295;
}

impl Sysctl {
    /// Those that hold what `est_cpulist` says.
    pub const EST_CPULIST: [Self; 8] = [
        Self::EstCpulist0,
        Self::EstCpulist1,
        Self::EstCpulist2,
        Self::EstCpulist3,
        Self::EstCpulist4,
        Self::EstCpulist5,
        Self::EstCpulist6,
        Self::EstCpulist7,
    ];
}

/// Places for them: a power of two, with room for more.
pub const SYSCTLS: usize = 64;

const _: () = assert!(Sysctl::ALL.len() <= SYSCTLS);
