//! What is told to people: changes with their reasons.

use std::fmt;
use std::net::SocketAddr;

use weir_config::model::ServiceKey;

use crate::names;

/// Something that happened, for the log and the stream of events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The service.
    pub service: ServiceKey,
    /// The real server, when it is about one.
    pub server: Option<SocketAddr>,
    /// What.
    pub kind: EventKind,
    /// Why.
    pub reason: String,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A real server came up.
    Up {
        /// Whether it was there with weight 0 meanwhile.
        inhibited: bool,
    },
    /// A real server went down.
    Down {
        /// Whether it stays with weight 0.
        inhibited: bool,
    },
    /// A check failed, which does not count yet (`log_all_failures`).
    Failure,
    /// A real server is to have another weight.
    Weight {
        /// The weight before.
        from: u32,
        /// The weight now.
        to: u32,
    },
    /// A real server stays in though too many of its connections fail: without it the quorum were
    /// lost.
    Spared,
    /// The quorum was gained.
    QuorumGained {
        /// The weights that are up.
        sum: u64,
        /// The quorum.
        quorum: u32,
        /// Its hysteresis.
        hysteresis: u32,
    },
    /// The quorum was lost.
    QuorumLost {
        /// The weights that are up.
        sum: u64,
        /// The quorum.
        quorum: u32,
        /// Its hysteresis.
        hysteresis: u32,
    },
    /// The sorry server serves.
    SorryIn,
    /// It does so no longer.
    SorryOut,
}

/// As keepalived's log has it, with the reason behind.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let vs = names::service(&self.service);
        let rs = self
            .server
            .map(|server| names::server(&self.service, server))
            .unwrap_or_default();
        match self.kind {
            EventKind::Up { inhibited: false } => write!(f, "Adding service {rs} to VS {vs}")?,
            EventKind::Up { inhibited: true } => write!(f, "Enabling service {rs} to VS {vs}")?,
            EventKind::Down { inhibited: false } => {
                write!(f, "Removing service {rs} from VS {vs}")?;
            }
            EventKind::Down { inhibited: true } => {
                write!(f, "Disabling service {rs} from VS {vs}")?;
            }
            EventKind::Failure => write!(f, "Check of service {rs} of VS {vs} failed")?,
            EventKind::Weight { from, to } => write!(
                f,
                "Changing weight from {from} to {to} for service {rs} of VS {vs}"
            )?,
            EventKind::Spared => write!(f, "Keeping service {rs} in VS {vs}")?,
            EventKind::QuorumGained {
                sum,
                quorum,
                hysteresis,
            } => {
                let least = u64::from(quorum) + u64::from(hysteresis);
                write!(
                    f,
                    "Gained quorum {quorum}+{hysteresis}={least} <= {sum} for VS {vs}"
                )?;
            }
            EventKind::QuorumLost {
                sum,
                quorum,
                hysteresis,
            } => {
                let least = quorum.saturating_sub(hysteresis);
                write!(
                    f,
                    "Lost quorum {quorum}-{hysteresis}={least} > {sum} for VS {vs}"
                )?;
            }
            EventKind::SorryIn => write!(f, "Adding sorry server {rs} to VS {vs}")?,
            EventKind::SorryOut => write!(f, "Removing sorry server {rs} from VS {vs}")?,
        }
        match self.reason.as_str() {
            "" => Ok(()),
            reason => write!(f, ": {reason}"),
        }
    }
}

impl EventKind {
    /// A word for programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Up { .. } => "up",
            Self::Down { .. } => "down",
            Self::Failure => "failure",
            Self::Weight { .. } => "weight",
            Self::Spared => "spared",
            Self::QuorumGained { .. } => "quorum-gained",
            Self::QuorumLost { .. } => "quorum-lost",
            Self::SorryIn => "sorry-in",
            Self::SorryOut => "sorry-out",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_read_as_keepalived_writes_them() {
        let service: ServiceKey = "tcp:192.0.2.10:80".parse().unwrap();
        let address = "10.0.0.11:8080".parse().unwrap();
        let server = Some(address);
        let event = |server, kind, reason: &str| Event {
            service,
            server,
            kind,
            reason: reason.to_owned(),
        };
        let lost = EventKind::QuorumLost {
            sum: 1,
            quorum: 3,
            hysteresis: 1,
        };
        for (event, expected) in [
            (
                event(
                    server,
                    EventKind::Down { inhibited: false },
                    "connection refused",
                ),
                "Removing service [10.0.0.11]:tcp:8080 from VS [192.0.2.10]:tcp:80: connection refused",
            ),
            (
                event(None, lost, ""),
                "Lost quorum 3-1=2 > 1 for VS [192.0.2.10]:tcp:80",
            ),
            (
                event(server, EventKind::SorryIn, ""),
                "Adding sorry server [10.0.0.11]:tcp:8080 to VS [192.0.2.10]:tcp:80",
            ),
        ] {
            assert_eq!(event.to_string(), expected);
        }
    }
}
