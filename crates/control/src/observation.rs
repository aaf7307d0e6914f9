//! What the director sees of its real servers without asking: how they answer new connections of TCP.

use std::net::SocketAddr;
use std::time::Duration;

use weir_abi::service::{OBSERVED, Observed};
use weir_abi::settings::USE_OBSERVATION;
use weir_config::model::ServiceKey;

use crate::director::Director;
use crate::error::Error;
use crate::record::ServerKey;
use crate::settings::note_use;
use crate::tables::Tables;

/// How a real server has answered new connections of TCP: totals that only grow, until the real server is gone
/// or its service is.
///
/// By NAT and FULLNAT. By DR and TUN answers do not come by the director: it sees connections begin, and those
/// whose client has never gone on, whoever of the two was silent; a client with an invented address is among
/// them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Observation {
    /// How many have begun.
    pub begun: u64,
    /// How many have been answered (SYN and ACK).
    pub answered: u64,
    /// How many have been refused (RST).
    pub refused: u64,
    /// How many have ended, a minute after their last SYN, without either.
    pub unanswered: u64,
    /// How long those that were answered have waited, all together: from the client's first SYN on.
    pub waited: Duration,
}

impl Observation {
    /// What has come since. (Where a total is less than it was, another record counts now: from the start.)
    pub fn since(&self, earlier: &Self) -> Self {
        let differences = (
            self.begun.checked_sub(earlier.begun),
            self.answered.checked_sub(earlier.answered),
            self.refused.checked_sub(earlier.refused),
            self.unanswered.checked_sub(earlier.unanswered),
            self.waited.checked_sub(earlier.waited),
        );
        match differences {
            (Some(begun), Some(answered), Some(refused), Some(unanswered), Some(waited)) => Self {
                begun,
                answered,
                refused,
                unanswered,
                waited,
            },
            _another_record => *self,
        }
    }

    /// How long an answer has taken, in the mean; nothing without any.
    pub fn mean(&self) -> Option<Duration> {
        let nanoseconds = self.waited.as_nanos().checked_div(self.answered.into())?;
        u64::try_from(nanoseconds).ok().map(Duration::from_nanos)
    }

    fn of(observed: &Observed) -> Self {
        Self {
            begun: observed.begun.load(),
            answered: observed.answered.load(),
            refused: observed.refused.load(),
            unanswered: observed.unanswered.load(),
            waited: Duration::from_micros(observed.time.load()),
        }
    }
}

/// A record gets another real server.
pub(crate) fn forget(observed: &Observed) {
    for cell in [
        &observed.begun,
        &observed.answered,
        &observed.refused,
        &observed.unanswered,
        &observed.time,
    ] {
        cell.store(0);
    }
}

impl Director {
    /// Says whether the real servers of a service are to be observed: it costs each of its new connections
    /// something, and others nothing. It holds until the service is deleted, or it is said otherwise.
    pub fn observe<T: Tables>(
        &self,
        tables: &T,
        key: &ServiceKey,
        wanted: bool,
    ) -> Result<(), Error<T::Error>> {
        let slot = self.held(key)?.slot;
        let flags = &tables.services()[slot as usize].flags;
        let before = flags.load();
        if wanted {
            note_use(tables.settings(), USE_OBSERVATION, true);
            flags.store(before | OBSERVED);
        } else {
            flags.store(before & !OBSERVED);
        }
        Ok(())
    }

    /// What has been seen of a real server of a service.
    pub fn observation<T: Tables>(
        &self,
        tables: &T,
        key: &ServiceKey,
        server: SocketAddr,
    ) -> Option<Observation> {
        let held = self.held::<T::Error>(key).ok()?;
        let slot = *held.servers.get(&ServerKey::of_address(server))?;
        let record = tables.destinations().get(slot as usize)?;
        Some(Observation::of(&record.observed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_begin_anew_with_another_record() {
        let earlier = Observation {
            begun: 10,
            answered: 6,
            refused: 2,
            unanswered: 1,
            waited: Duration::from_millis(60),
        };
        let later = Observation {
            begun: 15,
            answered: 10,
            refused: 2,
            unanswered: 1,
            waited: Duration::from_millis(68),
        };
        let since = later.since(&earlier);
        assert_eq!((since.begun, since.answered), (5, 4));
        assert_eq!(since.mean(), Some(Duration::from_millis(2)));
        assert_eq!(earlier.since(&later), earlier);
        assert_eq!(Observation::default().mean(), None);
    }
}
