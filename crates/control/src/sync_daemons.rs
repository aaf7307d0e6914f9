//! Which sync daemons run, and what IPVS says to who starts and stops them.

use std::net::{IpAddr, Ipv4Addr};

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
