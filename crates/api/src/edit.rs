//! What shall be different about a service or a real server.

use std::fmt;

use config::model::{
    Engine, Forwarding, LocalAddresses, Persistence, RealServer, Refusal, Scheduler,
    SchedulerFlags, Service, ServiceTimeouts, Thresholds, Weight, Words,
};
use weir_config as config;

use crate::error::{Code, Error};

/// What shall be different about a service; nothing keeps what is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServiceEdit {
    /// How it shall pick.
    pub scheduler: Option<Scheduler>,
    /// The scheduler's switches.
    pub flags: Option<SchedulerFlags>,
    /// Whether and how it shall be persistent.
    pub persistence: Option<Option<Persistence>>,
    /// The persistence engine, or none.
    pub engine: Option<Option<Engine>>,
    /// Whether every packet shall be a connection of its own.
    pub one_packet: Option<bool>,
    /// Whether both ends of a connection shall be told when it expires.
    pub farewell: Option<bool>,
    /// Its own timeouts.
    pub timeouts: Option<ServiceTimeouts>,
    /// What is said to a client that no real server takes.
    pub refusal: Option<Refusal>,
    /// FULLNAT: what stands for the clients' addresses.
    pub local_addresses: Option<LocalAddresses>,
}

/// What shall be different about a real server; nothing keeps what is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerEdit {
    /// How packets shall reach it.
    pub forwarding: Option<Forwarding>,
    /// Its share.
    pub weight: Option<Weight>,
    /// No new connection from this many on.
    pub upper_threshold: Option<u32>,
    /// New connections again below this many.
    pub lower_threshold: Option<u32>,
}

impl ServiceEdit {
    /// The service as it shall be.
    #[must_use]
    pub fn of(&self, old: Service) -> Service {
        Service {
            key: old.key,
            scheduler: self.scheduler.unwrap_or(old.scheduler),
            flags: self.flags.unwrap_or(old.flags),
            persistence: self.persistence.unwrap_or(old.persistence),
            engine: self.engine.unwrap_or(old.engine),
            one_packet: self.one_packet.unwrap_or(old.one_packet),
            farewell: self.farewell.unwrap_or(old.farewell),
            timeouts: self.timeouts.unwrap_or(old.timeouts),
            refusal: self.refusal.unwrap_or(old.refusal),
            local_addresses: self.local_addresses.unwrap_or(old.local_addresses),
        }
    }

    fn words(&self) -> Words {
        let none = || "none".to_owned();
        [
            self.scheduler.map(|it| ("scheduler", it.name().to_owned())),
            self.flags.map(|it| {
                let names = it.names(self.scheduler.unwrap_or_default());
                ("flags", names.join(","))
            }),
            self.persistence.map(|it| {
                let text = it.map_or_else(none, |it| format!("{} {}", it.timeout, it.netmask));
                ("persistence", text)
            }),
            self.engine
                .map(|it| ("engine", it.map_or_else(none, |it| it.name().to_owned()))),
            self.one_packet.map(|it| ("one_packet", it.to_string())),
            self.farewell.map(|it| ("farewell", it.to_string())),
            self.timeouts.map(|it| ("timeouts", format!("{it:?}"))),
            self.refusal.map(|it| ("refusal", it.name().to_owned())),
            self.local_addresses.map(|it| {
                let addresses: Vec<_> = it.iter().map(|one| one.to_string()).collect();
                ("local_addresses", addresses.join(","))
            }),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

impl ServerEdit {
    /// The real server as it shall be.
    pub fn of(&self, old: RealServer) -> Result<RealServer, Error> {
        let upper = self.upper_threshold.unwrap_or(old.thresholds.upper());
        let lower = self.lower_threshold.unwrap_or(old.thresholds.lower());
        Ok(RealServer {
            address: old.address,
            forwarding: self.forwarding.unwrap_or(old.forwarding),
            weight: self.weight.unwrap_or(old.weight),
            thresholds: Thresholds::new(upper, lower)
                .ok_or_else(|| Error::new(Code::OutOfRange, threshold_message(upper, lower)))?,
        })
    }

    fn words(&self) -> Words {
        [
            self.forwarding.map(|it| match it {
                Forwarding::Tunnel(tunnel) => ("forwarding", format!("tun {tunnel}")),
                Forwarding::Nat | Forwarding::Direct | Forwarding::FullNat => {
                    ("forwarding", it.name().to_owned())
                }
            }),
            self.weight.map(|it| ("weight", it.get().to_string())),
            self.upper_threshold
                .map(|it| ("upper_threshold", it.to_string())),
            self.lower_threshold
                .map(|it| ("lower_threshold", it.to_string())),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// Why those thresholds are none.
pub(crate) fn threshold_message(upper: u32, lower: u32) -> String {
    format!("the lower threshold {lower} is above the upper threshold {upper}")
}

/// For a line of the log.
impl fmt::Display for ServiceEdit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_words(f, &self.words())
    }
}

/// For a line of the log.
impl fmt::Display for ServerEdit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_words(f, &self.words())
    }
}

pub(crate) fn write_words(f: &mut fmt::Formatter<'_>, words: &Words) -> fmt::Result {
    words
        .iter()
        .try_for_each(|(name, value)| write!(f, " {name} {value}"))
}
