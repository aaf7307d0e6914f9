//! The sysctls of IPVS, under their own names, as the kernel reads and shows them.

mod cpulist;

use std::collections::BTreeMap;
use std::fmt;

pub use weir_abi::sysctl::Sysctl;

/// Values for some of them, all of them in their ranges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sysctls(BTreeMap<Sysctl, i64>);

/// Why a value is refused (IPVS: `EINVAL`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadSysctl {
    /// No sysctl has that name.
    Unknown(String),
    /// It does not take that value.
    Value {
        /// Which one.
        name: &'static str,
        /// What it was given.
        given: String,
        /// What it takes.
        takes: String,
    },
}

impl Sysctls {
    /// Reads the value of one, as the kernel does when it is written to.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), BadSysctl> {
        let sysctl = by_name(name).ok_or_else(|| BadSysctl::Unknown(name.to_owned()))?;
        let bad = || BadSysctl::Value {
            name: sysctl.name(),
            given: value.to_owned(),
            takes: takes(sysctl),
        };
        if sysctl == Sysctl::EstCpulist {
            let words = cpulist::read(value).ok_or_else(bad)?;
            self.0.insert(sysctl, 1);
            let cells = Sysctl::EST_CPULIST.into_iter();
            self.0.extend(cells.zip(words.map(i64::from)));
            return Ok(());
        }
        let numbers: Result<Vec<i64>, _> = value.split_whitespace().map(str::parse).collect();
        let numbers = numbers.map_err(|_| bad())?;
        match (sysctl, &numbers[..]) {
            (Sysctl::SyncThreshold, [threshold, period]) => {
                if !fits(sysctl, *threshold)
                    || !fits(Sysctl::SyncPeriod, *period)
                    || (*period != 0 && threshold >= period)
                {
                    return Err(bad());
                }
                self.0.insert(sysctl, *threshold);
                self.0.insert(Sysctl::SyncPeriod, *period);
            }
            (Sysctl::SyncThreshold, _) => return Err(bad()),
            (_, [number]) if fits(sysctl, *number) => {
                self.0.insert(sysctl, *number);
            }
            _ => return Err(bad()),
        }
        Ok(())
    }

    /// Sets one by number; not, and false, when it is out of its range.
    pub fn put(&mut self, sysctl: Sysctl, value: i64) -> bool {
        let fits = fits(sysctl, value);
        if fits {
            self.0.insert(sysctl, value);
        }
        fits
    }

    /// All, by number: `sync_threshold`'s second number is one of its own.
    pub fn iter(&self) -> impl Iterator<Item = (Sysctl, i64)> {
        self.0.iter().map(|(sysctl, value)| (*sysctl, *value))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is said of one, if anything is.
    pub fn get(&self, sysctl: Sysctl) -> Option<i64> {
        self.0.get(&sysctl).copied()
    }

    /// The names and values, as the kernel shows them.
    pub fn shown(&self) -> impl Iterator<Item = (&'static str, String)> {
        named()
            .filter(|sysctl| self.0.contains_key(sysctl))
            .map(|sysctl| {
                let value = show(sysctl, |one| {
                    self.get(one).unwrap_or_else(|| one.default_value())
                });
                (sysctl.name(), value)
            })
    }
}

/// All that have a name of their own, in the kernel's order.
pub fn named() -> impl Iterator<Item = Sysctl> {
    let all = Sysctl::ALL.iter().copied();
    all.filter(|sysctl| *sysctl != Sysctl::SyncPeriod && !Sysctl::EST_CPULIST.contains(sysctl))
}

/// The one of that name.
pub fn by_name(name: &str) -> Option<Sysctl> {
    named().find(|sysctl| sysctl.name() == name)
}

/// What somebody who sets one should know: that nothing follows from it here, and why.
pub const fn caveat(sysctl: Sysctl) -> Option<&'static str> {
    match sysctl {
        Sysctl::Conntrack => Some(
            "packets that are balanced do not pass the kernel's connection tracking: Weir takes them \
             before it",
        ),
        Sysctl::IgnoreTunneled => Some(
            "what comes out of a tunnel comes by the tunnel's interface, and is balanced if that is \
             one of [director] interfaces, whatever this says",
        ),
        Sysctl::EstNice | Sysctl::EstCpulist => Some(
            "rates are reckoned by the daemon: its own priority and processors count (Nice=, \
             CPUAffinity= of its unit). A list without a processor stops them",
        ),
        Sysctl::DebugLevel => Some("the daemon logs the same whatever this says"),
        Sysctl::ConnLfactor | Sysctl::SvcLfactor | Sysctl::ConnMax => {
            Some("the sizes of tables are set under [tables] in weir.toml")
        }
        Sysctl::SyncVersion
        | Sysctl::SyncPorts
        | Sysctl::SyncPersistMode
        | Sysctl::SyncQlenMax
        | Sysctl::SyncSockSize
        | Sysctl::SyncThreshold
        | Sysctl::SyncPeriod
        | Sysctl::SyncRefreshPeriod
        | Sysctl::SyncRetries => Some("the sync daemons send and receive nothing yet"),
        Sysctl::AmemThresh
        | Sysctl::AmDroprate
        | Sysctl::DropEntry
        | Sysctl::DropPacket
        | Sysctl::SecureTcp
        | Sysctl::SnatReroute
        | Sysctl::CacheBypass
        | Sysctl::ExpireNodestConn
        | Sysctl::SloppyTcp
        | Sysctl::SloppySctp
        | Sysctl::ExpireQuiescentTemplate
        | Sysctl::NatIcmpSend
        | Sysctl::PmtuDisc
        | Sysctl::BackupOnly
        | Sysctl::ConnReuseMode
        | Sysctl::ScheduleIcmp
        | Sysctl::LblcExpiration
        | Sysctl::LblcrExpiration
        | Sysctl::RunEstimation
        | Sysctl::EstCpulist0
        | Sysctl::EstCpulist1
        | Sysctl::EstCpulist2
        | Sysctl::EstCpulist3
        | Sysctl::EstCpulist4
        | Sysctl::EstCpulist5
        | Sysctl::EstCpulist6
        | Sysctl::EstCpulist7 => None,
    }
}

/// The value of one as the kernel shows it: of `sync_threshold` two numbers.
pub fn show(sysctl: Sysctl, value: impl Fn(Sysctl) -> i64) -> String {
    if sysctl == Sysctl::EstCpulist {
        return cpulist::show(Sysctl::EST_CPULIST.map(|cell| value(cell) as u32));
    }
    let shown = value(sysctl).to_string();
    if sysctl == Sysctl::SyncThreshold {
        return format!("{shown}\t{}", value(Sysctl::SyncPeriod));
    }
    shown
}

/// What one takes, for messages.
pub fn takes(sysctl: Sysctl) -> String {
    if sysctl == Sysctl::SyncThreshold {
        return "two whole numbers like `3 50`, the first below the second or the second 0"
            .to_owned();
    }
    if sysctl == Sysctl::EstCpulist {
        return "a list of processors like `0-3,8`, at most 256".to_owned();
    }
    if sysctl == Sysctl::SyncPorts {
        return "a power of two".to_owned();
    }
    let (least, most) = sysctl.range();
    format!("a whole number from {least} to {most}")
}

fn fits(sysctl: Sysctl, value: i64) -> bool {
    let (least, most) = sysctl.range();
    let is_power = sysctl != Sysctl::SyncPorts || value & (value - 1) == 0;
    (least..=most).contains(&value) && is_power
}

impl fmt::Display for BadSysctl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => write!(
                f,
                "there is no sysctl `{name}`: `weir get` lists those that there are"
            ),
            Self::Value { name, given, takes } => {
                write!(f, "`{name}` cannot be `{given}`: it takes {takes}")
            }
        }
    }
}

impl std::error::Error for BadSysctl {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_takes() {
        for (name, value, taken) in [
            ("drop_entry", "3", true),
            ("drop_entry", "4", false),
            ("drop_entry", "-1", false),
            ("drop_entry", "x", false),
            ("drop_entry", "", false),
            ("drop_entry", "1 2", false),
            ("amemthresh", "-1", true),
            ("conn_reuse_mode", "7", true),
            ("expire_nodest_conn", "2147483648", false),
            ("sync_ports", "8", true),
            ("sync_ports", "6", false),
            ("sync_ports", "0", false),
            ("sync_threshold", "3 50", true),
            ("sync_threshold", "3\t50", true),
            ("sync_threshold", "3", false),
            ("sync_threshold", "50 50", false),
            ("sync_threshold", "50 0", true),
            ("sync_threshold", "-1 50", false),
            ("sync_qlen_max", "4294967295", true),
            ("sync_retries", "4", false),
            ("sync_period", "1", false),
            ("sync_version", "2", false),
            ("est_cpulist", "0-3,8", true),
            ("est_cpulist", "", true),
            ("est_cpulist", "3-0", false),
            ("est_cpulist", "x", false),
            ("est_cpulist_0", "1", false),
        ] {
            let mut sysctls = Sysctls::default();
            assert_eq!(sysctls.set(name, value).is_ok(), taken, "{name} {value}");
        }
    }

    #[test]
    fn what_was_set_is_shown() {
        let mut sysctls = Sysctls::default();
        sysctls.set("sync_threshold", "7 90").unwrap();
        sysctls.set("drop_entry", "1").unwrap();
        let shown: Vec<_> = sysctls.shown().collect();
        assert_eq!(
            shown,
            [
                ("drop_entry", "1".to_owned()),
                ("sync_threshold", "7\t90".to_owned())
            ]
        );
    }
}
