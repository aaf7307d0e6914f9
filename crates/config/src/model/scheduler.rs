//! The schedulers of IPVS.

/// How a real server is picked for a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Scheduler {
    /// Round robin.
    RoundRobin,
    /// Weighted round robin.
    WeightedRoundRobin,
    /// Least connection.
    LeastConnection,
    /// Weighted least connection: what ipvsadm takes when nothing is said.
    #[default]
    WeightedLeastConnection,
    /// Shortest expected delay.
    ShortestExpectedDelay,
    /// Never queue.
    NeverQueue,
    /// Weighted failover.
    WeightedFailover,
    /// Weighted overflow.
    WeightedOverflow,
    /// Locality-based least connection.
    LocalityBasedLeastConnection,
    /// Locality-based least connection with replication.
    LocalityBasedLeastConnectionWithReplication,
    /// Destination hashing.
    DestinationHashing,
    /// Source hashing.
    SourceHashing,
    /// Maglev hashing.
    MaglevHashing,
    /// Weighted random choice of two.
    WeightedRandomTwosChoice,
    /// None: no connection finds a real server (`ipvsadm -s none`).
    None,
}

/// A scheduler's three switches. Only sh and mh ask for them, but IPVS keeps them for any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct SchedulerFlags {
    /// sh-fallback, mh-fallback: who cannot take a connection is passed over.
    pub flag1: bool,
    /// sh-port, mh-port: the client's port counts too.
    pub flag2: bool,
    /// No scheduler asks for it.
    pub flag3: bool,
}

impl Scheduler {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::RoundRobin,
        Self::WeightedRoundRobin,
        Self::LeastConnection,
        Self::WeightedLeastConnection,
        Self::ShortestExpectedDelay,
        Self::NeverQueue,
        Self::WeightedFailover,
        Self::WeightedOverflow,
        Self::LocalityBasedLeastConnection,
        Self::LocalityBasedLeastConnectionWithReplication,
        Self::DestinationHashing,
        Self::SourceHashing,
        Self::MaglevHashing,
        Self::WeightedRandomTwosChoice,
        Self::None,
    ];

    /// The name that ipvsadm and the kernel use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RoundRobin => "rr",
            Self::WeightedRoundRobin => "wrr",
            Self::LeastConnection => "lc",
            Self::WeightedLeastConnection => "wlc",
            Self::ShortestExpectedDelay => "sed",
            Self::NeverQueue => "nq",
            Self::WeightedFailover => "fo",
            Self::WeightedOverflow => "ovf",
            Self::LocalityBasedLeastConnection => "lblc",
            Self::LocalityBasedLeastConnectionWithReplication => "lblcr",
            Self::DestinationHashing => "dh",
            Self::SourceHashing => "sh",
            Self::MaglevHashing => "mh",
            Self::WeightedRandomTwosChoice => "twos",
            Self::None => "none",
        }
    }

    /// The scheduler of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.name() == name)
    }

    /// Its names for its flags, where it has any: `sh-fallback` and `sh-port`.
    pub const fn flag_names(self) -> [&'static str; 3] {
        match self {
            Self::SourceHashing => ["sh-fallback", "sh-port", "flag-3"],
            Self::MaglevHashing => ["mh-fallback", "mh-port", "flag-3"],
            Self::RoundRobin
            | Self::WeightedRoundRobin
            | Self::LeastConnection
            | Self::WeightedLeastConnection
            | Self::ShortestExpectedDelay
            | Self::NeverQueue
            | Self::WeightedFailover
            | Self::WeightedOverflow
            | Self::LocalityBasedLeastConnection
            | Self::LocalityBasedLeastConnectionWithReplication
            | Self::DestinationHashing
            | Self::WeightedRandomTwosChoice
            | Self::None => ["flag-1", "flag-2", "flag-3"],
        }
    }
}

impl SchedulerFlags {
    /// No switch is set.
    pub const NONE: Self = Self {
        flag1: false,
        flag2: false,
        flag3: false,
    };

    /// The names of those that are set, as that scheduler calls them.
    pub fn names(self, scheduler: Scheduler) -> Vec<&'static str> {
        scheduler
            .flag_names()
            .into_iter()
            .zip([self.flag1, self.flag2, self.flag3])
            .filter_map(|(name, is_set)| is_set.then_some(name))
            .collect()
    }

    /// Sets the one of that name, as that scheduler calls it or by its number (`flag-1`); false when
    /// there is none.
    pub fn set(&mut self, scheduler: Scheduler, name: &str) -> bool {
        let place = scheduler
            .flag_names()
            .into_iter()
            .position(|known| known == name)
            .or_else(|| {
                ["flag-1", "flag-2", "flag-3"]
                    .iter()
                    .position(|n| *n == name)
            });
        match place {
            Some(0) => self.flag1 = true,
            Some(1) => self.flag2 = true,
            Some(_) => self.flag3 = true,
            None => return false,
        }
        true
    }
}
