//! The director's settings: timeouts and sysctls, as IPVS begins with them and as they are changed.

use weir_abi::settings::{
    Settings, USE_CHECKS, USE_LOCAL_CLIENTS, USE_LOCAL_REPLIES, USE_SYNC_BACKUP,
};
use weir_abi::sysctl::Sysctl;
use weir_abi::tick::Ticks;
use weir_config::model::{MarkRule, Timeouts};
use weir_config::sysctl::Sysctls;

use crate::wanted::TimeoutName;

/// Seconds that each TCP state lasts, by IPVS's numbers of the states (NONE to LAST).
const TCP_SECONDS: [u32; 12] = [2, 900, 120, 60, 120, 120, 10, 60, 30, 120, 120, 2];
const TCP_ESTABLISHED: usize = 1;
const TCP_FIN_WAIT: usize = 4;
/// Seconds that each SCTP state lasts, by IPVS's numbers of the states (NONE to LAST).
const SCTP_SECONDS: [u32; 15] = [2, 4, 61, 61, 61, 61, 61, 61, 900, 61, 61, 61, 4, 61, 2];
/// `ip_unprivileged_port_start` unless somebody sets it.
const UNPRIVILEGED_PORT: u32 = 1024;
const UDP_SECONDS: u32 = 300;

/// The greatest timeout that is taken: IPVS's limit (`INT_MAX / HZ`) on a kernel with 250 ticks.
pub const MAX_TIMEOUT: u32 = (i32::MAX / 250) as u32;

/// All that can be set beside services.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Running {
    /// The timeouts.
    pub timeouts: Timeouts,
    /// All sysctls.
    pub sysctls: Sysctls,
    /// The rules that give packets firewall marks.
    pub marks: Vec<MarkRule>,
}

impl Running {
    /// What the tables say; the rules name interfaces, which only the host knows.
    pub fn read(settings: &Settings, marks: Vec<MarkRule>) -> Self {
        let mut sysctls = Sysctls::default();
        for which in Sysctl::ALL {
            sysctls.put(*which, sysctl(settings, *which));
        }
        Self {
            timeouts: timeouts(settings),
            sysctls,
            marks,
        }
    }

    /// One of the timeouts.
    pub const fn timeout(&self, name: TimeoutName) -> u32 {
        match name {
            TimeoutName::Tcp => self.timeouts.tcp,
            TimeoutName::TcpFin => self.timeouts.tcp_fin,
            TimeoutName::Udp => self.timeouts.udp,
        }
    }
}

/// Puts IPVS's defaults into settings that were just made.
pub fn set_defaults(settings: &Settings) {
    let beyond = TCP_SECONDS[TCP_SECONDS.len() - 1];
    let seconds = TCP_SECONDS.into_iter().chain(std::iter::repeat(beyond));
    for (cell, seconds) in settings.tcp_timeouts.iter().zip(seconds) {
        cell.store(Ticks::from_seconds(seconds).0);
    }
    settings
        .udp_timeout
        .store(Ticks::from_seconds(UDP_SECONDS).0);
    let beyond = SCTP_SECONDS[SCTP_SECONDS.len() - 1];
    let seconds = SCTP_SECONDS.into_iter().chain(std::iter::repeat(beyond));
    for (cell, seconds) in settings.sctp_timeouts.iter().zip(seconds) {
        cell.store(Ticks::from_seconds(seconds).0);
    }
    settings.unprivileged_port.store(UNPRIVILEGED_PORT);
    for &sysctl in Sysctl::ALL {
        settings.sysctl(sysctl).store(sysctl.default_value() as u32);
    }
}

/// The three timeouts that can be set, in seconds.
pub fn timeouts(settings: &Settings) -> Timeouts {
    Timeouts {
        tcp: Ticks(settings.tcp_timeouts[TCP_ESTABLISHED].load()).to_seconds(),
        tcp_fin: Ticks(settings.tcp_timeouts[TCP_FIN_WAIT].load()).to_seconds(),
        udp: Ticks(settings.udp_timeout.load()).to_seconds(),
    }
}

/// Notes that something is used that packets ask for only where it is (`USE_*`), or no more.
pub(crate) fn note_use(settings: &Settings, what: u32, is_used: bool) {
    loop {
        let before = settings.uses.load();
        let after = if is_used {
            before | what
        } else {
            before & !what
        };
        if before == after || settings.uses.replace(before, after) {
            return;
        }
    }
}

/// Says whether there are checks that go the way of the traffic, so that their replies are looked for.
pub fn use_checks(settings: &Settings, wanted: bool) {
    note_use(settings, USE_CHECKS, wanted);
}

/// Lets the packet programs look for services in what the director sends itself, or no more.
pub fn use_local_clients(settings: &Settings, wanted: bool) {
    note_use(settings, USE_LOCAL_CLIENTS, wanted);
}

/// Says whether there are real servers by NAT that are the director itself, so that their replies are looked
/// for.
pub fn use_local_replies(settings: &Settings, wanted: bool) {
    note_use(settings, USE_LOCAL_REPLIES, wanted);
}

/// Says whether a sync daemon runs that is a backup: with `backup_only` the director then leaves to the kernel
/// all but replies.
pub fn use_sync_backup(settings: &Settings, runs: bool) {
    if settings.uses(USE_SYNC_BACKUP) != runs {
        note_use(settings, USE_SYNC_BACKUP, runs);
        forget_routes(settings);
    }
}

/// Whether rates are reckoned: `run_estimation`, and that `est_cpulist` names a processor or is not set.
pub fn estimates(settings: &Settings) -> bool {
    let says = |which| sysctl(settings, which);
    let named = (Sysctl::EST_CPULIST.iter()).any(|which| says(*which) != 0);
    says(Sysctl::RunEstimation) != 0 && (named || says(Sysctl::EstCpulist) == 0)
}

/// Lets whatever connections remember of routes and real servers be learnt anew: to be called after
/// something of it has changed.
pub fn forget_routes(settings: &Settings) {
    // 0 is never in force: it is what a hop says that nobody has learnt.
    if settings.routes_generation.add(1) == u32::MAX {
        settings.routes_generation.add(1);
    }
}

/// What a sysctl says.
pub fn sysctl(settings: &Settings, which: Sysctl) -> i64 {
    let word = settings.sysctl(which).load();
    match which.range() {
        (_, most) if most > i64::from(i32::MAX) => i64::from(word),
        _ => i64::from(word as i32),
    }
}

/// Sets what is said, if it differs: connections remember what they decided by it.
pub(crate) fn set_sysctls(settings: &Settings, sysctls: &Sysctls) {
    let mut changed = false;
    for (which, wanted) in sysctls.iter() {
        if sysctl(settings, which) != wanted {
            settings.sysctl(which).store(wanted as u32);
            changed = true;
        }
    }
    if changed {
        forget_routes(settings);
    }
}

/// Sets the timeouts that are not 0 and differ. They must not be above [`MAX_TIMEOUT`].
pub(crate) fn set_timeouts(settings: &Settings, timeouts: Timeouts) {
    for (cell, seconds) in [
        (&settings.tcp_timeouts[TCP_ESTABLISHED], timeouts.tcp),
        (&settings.tcp_timeouts[TCP_FIN_WAIT], timeouts.tcp_fin),
        (&settings.udp_timeout, timeouts.udp),
    ] {
        let wanted = Ticks::from_seconds(seconds).0;
        if seconds != 0 && cell.load() != wanted {
            cell.store(wanted);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_ipvs() {
        let settings = Settings::default();
        set_defaults(&settings);
        assert_eq!(timeouts(&settings), Timeouts::default());
        let seconds: Vec<u32> = settings
            .tcp_timeouts
            .iter()
            .map(|cell| Ticks(cell.load()).to_seconds())
            .collect();
        assert_eq!(seconds[..TCP_SECONDS.len()], TCP_SECONDS);
        assert!(seconds[TCP_SECONDS.len()..].iter().all(|s| *s == 2));
        assert_eq!(settings.sysctl(Sysctl::ConnReuseMode).load(), 1);
    }

    #[test]
    fn every_sysctl_reads_back_as_it_was_set() {
        let settings = Settings::default();
        for &which in Sysctl::ALL {
            let (least, most) = which.range();
            for value in [least, which.default_value(), most] {
                settings.sysctl(which).store(value as u32);
                assert_eq!(sysctl(&settings, which), value, "{}", which.name());
            }
        }
    }

    #[test]
    fn no_generation_of_routes_is_0() {
        let settings = Settings::default();
        settings.routes_generation.store(u32::MAX - 1);
        let generations = [(); 3].map(|()| {
            forget_routes(&settings);
            settings.routes_generation.load()
        });
        assert_eq!(generations, [u32::MAX, 1, 2]);
    }

    #[test]
    fn every_timeout_reads_back_as_it_was_set() {
        let settings = Settings::default();
        for seconds in (1..100_000).chain([MAX_TIMEOUT]) {
            let set = Timeouts {
                tcp: seconds,
                tcp_fin: seconds,
                udp: seconds,
            };
            set_timeouts(&settings, set);
            assert_eq!(timeouts(&settings), set);
        }
    }
}
