//! Which sync daemons run, and what IPVS says to who starts and stops them.

use std::net::{IpAddr, Ipv4Addr};

use weir_config::model::vrrp::FollowingSync;
use weir_config::model::{SyncDaemon, SyncRole};

/// The multicast group when none is said (IPVS: `IP_VS_SYNC_GROUP`).
const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 81);
/// The port when none is said (IPVS: `IP_VS_SYNC_PORT`).
const PORT: u16 = 8848;
/// How far messages go when it is not said.
const TTL: u8 = 1;
/// Headers of IPv4, or of IPv6, and of UDP.
const HEADERS4: u32 = 20 + 8;
const HEADERS6: u32 = 40 + 8;

/// The sync daemons that run: of each role one at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyncDaemons {
    master: Option<SyncDaemon>,
    backup: Option<SyncDaemon>,
    /// Those that the configuration has had started last.
    followed: Vec<SyncDaemon>,
    /// Why it could not start one, while it cannot.
    refused: Option<SyncError>,
}

/// The sync daemons that a configuration wants (keepalived's `lvs_sync_daemon`): that of its instance's role, or,
/// without an instance, those of the roles that it names.
pub fn following(sync: &FollowingSync, active: bool) -> Vec<SyncDaemon> {
    let of_role = |role| SyncDaemon {
        role,
        ..sync.daemon.clone()
    };
    match (&sync.instance, active) {
        (Some(_), true) => vec![of_role(SyncRole::Master)],
        (Some(_), false) => vec![of_role(SyncRole::Backup)],
        (None, _) => {
            let beside = sync.beside.filter(|role| *role != sync.daemon.role);
            let own = core::iter::once(sync.daemon.clone());
            own.chain(beside.map(of_role)).collect()
        }
    }
}

/// What matters of the interface that a sync daemon is to work on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The largest packet that it takes.
    pub mtu: u32,
    /// Whether it is up.
    pub up: bool,
}

/// Why a sync daemon was not started or stopped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SyncError {
    /// One of that role runs (IPVS: `EEXIST`).
    #[error("the {} sync daemon runs already: stop it first to start it otherwise", .0.name())]
    Exists(SyncRole),
    /// None of that role runs (IPVS: `ESRCH`).
    #[error("the {} sync daemon does not run", .0.name())]
    NotFound(SyncRole),
    /// No such interface (IPVS: `ENODEV`).
    #[error("there is no interface {0} in the director's network namespace")]
    NoSuchDevice(String),
    /// A master cannot send there (IPVS: `ENETUNREACH`).
    #[error("interface {0} is down: nothing can be sent there")]
    Unreachable(String),
    /// The messages have no place for a real server of another family (IPVS: `EINVAL`).
    #[error(
        "connections to real servers of another address family than their service's cannot be \
         synchronised: delete those real servers first"
    )]
    MixedFamilies,
}

impl SyncDaemons {
    /// Starts one. `link` is the interface that it names, if there is one; `mixed` whether a service
    /// has a real server of another family.
    pub fn start(
        &mut self,
        wanted: SyncDaemon,
        link: Option<Link>,
        mixed: bool,
    ) -> Result<(), SyncError> {
        if mixed {
            return Err(SyncError::MixedFamilies);
        }
        let Some(link) = link else {
            return Err(SyncError::NoSuchDevice(wanted.interface));
        };
        let role = wanted.role;
        if self.of(role).is_some() {
            return Err(SyncError::Exists(role));
        }
        if role == SyncRole::Master && !link.up {
            return Err(SyncError::Unreachable(wanted.interface));
        }
        *self.of(role) = Some(complete(wanted, link));
        Ok(())
    }

    /// Stops one.
    pub fn stop(&mut self, role: SyncRole) -> Result<(), SyncError> {
        match self.of(role).take() {
            Some(_) => Ok(()),
            None => Err(SyncError::NotFound(role)),
        }
    }

    /// Whether these have been started by [`Self::follow`] and nothing is to be done.
    pub fn follows(&self, wanted: &[SyncDaemon]) -> bool {
        self.followed == wanted
    }

    /// Lets those run that a configuration wants, and no others, when it wants others than before: what somebody starts or
    /// stops by hand stays so until then. One that cannot be started is tried again when this is asked again. `link` finds an
    /// interface. Says what has changed, and what is wrong if that is news.
    pub fn follow(
        &mut self,
        wanted: &[SyncDaemon],
        link: impl Fn(&str) -> Option<Link>,
        mixed: bool,
    ) -> Result<bool, SyncError> {
        if self.follows(wanted) {
            return Ok(false);
        }
        let mut stays = Vec::new();
        for role in SyncRole::ALL {
            let one = wanted.iter().find(|one| one.role == role);
            if one.is_some_and(|one| self.followed.contains(one)) {
                stays.push(role);
            } else {
                *self.of(role) = None;
            }
        }
        self.followed.retain(|one| stays.contains(&one.role));
        for one in wanted.iter().filter(|one| !stays.contains(&one.role)) {
            if let Err(error) = self.start(one.clone(), link(&one.interface), mixed) {
                let known = self.refused.replace(error.clone()) == Some(error.clone());
                return if known { Ok(false) } else { Err(error) };
            }
            self.followed.push(one.clone());
        }
        // In their order, so that they are known again.
        self.followed = wanted.to_vec();
        self.refused = None;
        Ok(true)
    }

    /// Those that run, the master first, with nothing left unsaid.
    pub fn running(&self) -> impl Iterator<Item = &SyncDaemon> {
        self.master.iter().chain(&self.backup)
    }

    const fn of(&mut self, role: SyncRole) -> &mut Option<SyncDaemon> {
        match role {
            SyncRole::Master => &mut self.master,
            SyncRole::Backup => &mut self.backup,
        }
    }
}

/// What was not said, as IPVS chooses it.
fn complete(wanted: SyncDaemon, link: Link) -> SyncDaemon {
    let group = wanted.group.unwrap_or(IpAddr::V4(GROUP));
    let headers = if group.is_ipv4() { HEADERS4 } else { HEADERS6 };
    let (largest_packet, least) = match wanted.role {
        SyncRole::Master => (1_500, 1),
        SyncRole::Backup => (link.mtu.clamp(1_500, 65_535), 1_024),
    };
    let length = match wanted.max_length {
        Some(length) => u32::from(length).clamp(least, 65_535 - headers),
        None => largest_packet - headers,
    };
    SyncDaemon {
        max_length: u16::try_from(length).ok(),
        group: Some(group),
        port: wanted.port.or(Some(PORT)),
        ttl: wanted.ttl.or(Some(TTL)),
        ..wanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn daemon(role: SyncRole) -> SyncDaemon {
        SyncDaemon {
            role,
            sync_id: 0,
            interface: "eth0".to_owned(),
            max_length: None,
            group: None,
            port: None,
            ttl: None,
        }
    }

    fn up(_: &str) -> Option<Link> {
        Some(Link {
            mtu: 1_500,
            up: true,
        })
    }

    fn roles(daemons: &SyncDaemons) -> Vec<SyncRole> {
        daemons.running().map(|daemon| daemon.role).collect()
    }

    /// keepalived: `ipvs_syncd_master` and `ipvs_syncd_backup` when the instance changes.
    #[test]
    fn one_follows_its_instance() {
        use SyncRole::{Backup, Master};
        let sync = FollowingSync {
            daemon: daemon(Master),
            instance: Some("VI_1".to_owned()),
            beside: None,
        };
        let mut daemons = SyncDaemons::default();
        for (active, changes, role) in [
            (false, true, Backup),
            (false, false, Backup),
            (true, true, Master),
            (true, false, Master),
            (false, true, Backup),
        ] {
            let changed = daemons.follow(&following(&sync, active), up, false);
            assert_eq!(changed, Ok(changes));
            assert_eq!(roles(&daemons), [role]);
        }
        // By hand, until the next change.
        daemons.stop(Backup).unwrap();
        assert_eq!(
            daemons.follow(&following(&sync, false), up, false),
            Ok(false)
        );
        assert_eq!(roles(&daemons), []);
        daemons.start(daemon(Backup), up(""), false).unwrap();
        assert_eq!(daemons.follow(&following(&sync, true), up, false), Ok(true));
        assert_eq!(roles(&daemons), [Master]);
        // Not configured any more.
        assert_eq!(daemons.follow(&[], up, false), Ok(true));
        assert_eq!(roles(&daemons), []);
    }

    #[test]
    fn without_an_instance_both_run() {
        use SyncRole::{Backup, Master};
        let sync = FollowingSync {
            daemon: daemon(Master),
            instance: None,
            beside: Some(Backup),
        };
        let mut daemons = SyncDaemons::default();
        let wanted = following(&sync, true);
        let down = |_: &str| {
            Some(Link {
                mtu: 1_500,
                up: false,
            })
        };
        let unreachable = SyncError::Unreachable("eth0".to_owned());
        assert_eq!(
            daemons.follow(&wanted, down, false),
            Err(unreachable.clone())
        );
        // Said once, and tried again.
        assert_eq!(daemons.follow(&wanted, down, false), Ok(false));
        assert_eq!(daemons.follow(&wanted, up, false), Ok(true));
        assert_eq!(roles(&daemons), [Master, Backup]);
        // Another number: both begin anew.
        let other = FollowingSync {
            daemon: SyncDaemon {
                sync_id: 7,
                ..daemon(Master)
            },
            ..sync
        };
        let wanted = following(&other, true);
        assert_eq!(daemons.follow(&wanted, up, false), Ok(true));
        assert!(daemons.running().all(|one| one.sync_id == 7));
        assert_eq!(roles(&daemons), [Master, Backup]);
    }

    #[test]
    fn lengths_are_those_of_linux() {
        use SyncRole::{Backup, Master};
        let v6 = Some("ff02::1".parse().unwrap());
        for (role, group, mtu, said, length) in [
            (Master, None, 9_000, None, 1_472),
            (Master, v6, 9_000, None, 1_452),
            (Master, None, 1_500, Some(1), 1),
            (Master, v6, 1_500, Some(65_507), 65_487),
            (Backup, None, 9_000, None, 8_972),
            (Backup, None, 68, None, 1_472),
            (Backup, None, 65_536, None, 65_507),
            (Backup, v6, 65_536, None, 65_487),
            (Backup, None, 1_500, Some(1), 1_024),
            (Backup, None, 1_500, Some(9_000), 9_000),
        ] {
            let wanted = SyncDaemon {
                group,
                max_length: said,
                ..daemon(role)
            };
            let link = Link { mtu, up: true };
            assert_eq!(
                complete(wanted, link).max_length,
                Some(length),
                "{mtu} {said:?}"
            );
        }
    }

    #[test]
    fn of_several_mistakes_the_one_is_told_that_linux_tells() {
        let up = Some(Link {
            mtu: 1_500,
            up: true,
        });
        let down = up.map(|link| Link { up: false, ..link });
        let master = || daemon(SyncRole::Master);
        let mut daemons = SyncDaemons::default();
        assert_eq!(
            daemons.start(master(), None, true),
            Err(SyncError::MixedFamilies)
        );
        let no_device = Err(SyncError::NoSuchDevice("eth0".to_owned()));
        assert_eq!(daemons.start(master(), None, false), no_device);
        let unreachable = Err(SyncError::Unreachable("eth0".to_owned()));
        assert_eq!(daemons.start(master(), down, false), unreachable);
        assert_eq!(daemons.start(master(), up, false), Ok(()));
        assert_eq!(daemons.start(master(), None, false), no_device);
        let exists = Err(SyncError::Exists(SyncRole::Master));
        assert_eq!(daemons.start(master(), down, false), exists);
        // A backup only listens.
        assert_eq!(daemons.start(daemon(SyncRole::Backup), down, false), Ok(()));
        assert_eq!(daemons.running().count(), 2);
        assert_eq!(daemons.stop(SyncRole::Master), Ok(()));
        let not_found = Err(SyncError::NotFound(SyncRole::Master));
        assert_eq!(daemons.stop(SyncRole::Master), not_found);
    }
}
