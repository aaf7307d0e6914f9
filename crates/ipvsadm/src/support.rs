//! What of ipvsadm's syntax Weir has not got yet.

use std::fmt;

use weir_config::model::{self, Protocol, Scheduler, ServiceKey, Weight};

use crate::command::{Command, Forwarding, RealServer, Service};
use crate::exit::Exit;

/// The schedulers of IPVS, whether or not Weir has them.
const IPVS_SCHEDULERS: &[&str] = &[
    "rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh", "twos",
    "none",
];

/// An option that IPVS has and Weir has not yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// The option, as it can be written.
    pub option: String,
    /// What it is for.
    pub feature: &'static str,
}

/// Why a service is not one that Weir can have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotWanted {
    /// Weir has not got it yet.
    Unsupported(Unsupported),
    /// No IPVS has a scheduler of that name.
    SchedulerNotFound,
}

/// Refuses what Weir has not got yet. A scheduler that no IPVS has passes: the director refuses it.
pub fn supported(command: &Command) -> Result<(), Unsupported> {
    match command {
        Command::AddService(service) | Command::EditService(service) => match service.wanted() {
            Ok(_) | Err(NotWanted::SchedulerNotFound) => Ok(()),
            Err(NotWanted::Unsupported(unsupported)) => Err(unsupported),
        },
        Command::AddServer(key, server) | Command::EditServer(key, server) => {
            supported_key(key)?;
            server.wanted().map(|_| ())
        }
        Command::StartDaemon(_) => Err(missing("--start-daemon", "connection synchronisation")),
        Command::StopDaemon { .. } => Err(missing("--stop-daemon", "connection synchronisation")),
        Command::DeleteService(_)
        | Command::DeleteServer(..)
        | Command::Flush
        | Command::List(_)
        | Command::Zero(_)
        | Command::SetTimeouts(_)
        | Command::Save { .. }
        | Command::Restore => Ok(()),
    }
}

impl Service {
    /// The service as Weir's model has it.
    pub fn wanted(&self) -> Result<model::Service, NotWanted> {
        supported_key(&self.key).map_err(NotWanted::Unsupported)?;
        let refused = [
            (self.persistent.is_some(), "-p", "persistence"),
            (
                self.persistence_engine.is_some(),
                "--pe",
                "persistence engines",
            ),
            (self.one_packet, "-o", "one-packet scheduling"),
            (self.flags.any(), "-b", "scheduler flags"),
        ];
        if let Some((_, option, feature)) = refused.into_iter().find(|(given, ..)| *given) {
            return Err(NotWanted::Unsupported(missing(option, feature)));
        }
        match Scheduler::from_name(&self.scheduler) {
            Some(scheduler) => Ok(model::Service {
                scheduler,
                ..model::Service::new(self.key)
            }),
            None if IPVS_SCHEDULERS.contains(&self.scheduler.as_str()) => {
                let option = format!("-s {}", self.scheduler);
                Err(NotWanted::Unsupported(missing(option, "this scheduler")))
            }
            None => Err(NotWanted::SchedulerNotFound),
        }
    }
}

impl RealServer {
    /// The real server as Weir's model has it.
    pub fn wanted(&self) -> Result<model::RealServer, Unsupported> {
        let forwarding = match self.forwarding {
            Forwarding::Nat => model::Forwarding::Nat,
            Forwarding::DirectRouting | Forwarding::Local => {
                return Err(missing(
                    "-g (the default: say -m for NAT)",
                    "direct routing",
                ));
            }
            Forwarding::Tunnel(_) => return Err(missing("-i", "tunneling")),
        };
        if self.upper_threshold != 0 {
            return Err(missing("-x", "connection thresholds"));
        }
        if self.lower_threshold != 0 {
            return Err(missing("-y", "connection thresholds"));
        }
        let weight = Weight::new(self.weight)
            .ok_or_else(|| missing(format!("-w {}", self.weight), "a weight as great as this"))?;
        Ok(model::RealServer {
            weight,
            ..model::RealServer::new(self.address, forwarding)
        })
    }
}

fn supported_key(key: &ServiceKey) -> Result<(), Unsupported> {
    match key {
        ServiceKey::FirewallMark { .. } => Err(missing("-f", "services by firewall mark")),
        ServiceKey::Address {
            protocol: Protocol::Sctp,
            ..
        } => Err(missing("--sctp-service", "SCTP")),
        ServiceKey::Address {
            protocol: Protocol::Tcp | Protocol::Udp,
            ..
        } => Ok(()),
    }
}

fn missing(option: impl Into<String>, feature: &'static str) -> Unsupported {
    Unsupported {
        option: option.into(),
        feature,
    }
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { option, feature } = self;
        write!(
            f,
            "Weir does not take {option} yet: {feature} is still to come"
        )
    }
}

impl std::error::Error for Unsupported {}

impl From<Unsupported> for Exit {
    fn from(unsupported: Unsupported) -> Self {
        Self::usage(unsupported.to_string())
    }
}
