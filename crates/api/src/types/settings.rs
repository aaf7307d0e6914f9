//! Sysctls, rules for firewall marks, and real servers that drain, as they travel.

use std::net::SocketAddr;
use std::num::NonZeroU32;

use config::model;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use weir_config as config;

use crate::error::Error;
use crate::key::Key;

/// The sysctls of IPVS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Sysctls {
    /// All, in the kernel's order.
    pub sysctls: Vec<Sysctl>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Sysctl {
    /// Its name under `net.ipv4.vs`.
    pub name: String,
    /// What it says now, as the kernel shows it.
    pub value: String,
    /// What it says unless somebody sets it.
    pub default: String,
    /// What it takes.
    pub takes: String,
}

/// What a sysctl shall say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewValue {
    /// As it is written to the kernel's: `1`, `3 50`.
    pub value: String,
}

/// The rules that give packets firewall marks. The first one that fits wins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Marks {
    /// All, in order.
    pub marks: Vec<Mark>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// The mark, not 0.
    pub mark: u32,
    /// `tcp`, `udp` or `sctp`; any when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// Where the packets go: an address or a prefix.
    #[schema(example = "192.0.2.0/24")]
    pub destination: String,
    /// The ports that they go to: `80`, `8000-8100`; any when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ports: Option<String>,
    /// The interface that they come in by; any when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
}

/// How a real server shall drain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDrain {
    /// After so many seconds it is removed with the connections that it has still; never when not
    /// given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u32>,
}

/// A real server that gets no new connections, and goes with its last one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Drain {
    /// Its service.
    pub service: Key,
    /// RIP and port.
    #[schema(value_type = String, example = "10.0.0.11:8080")]
    pub server: SocketAddr,
    /// How many connections it has still, persistence templates too.
    pub connections: u32,
    /// Seconds until it is removed all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds_left: Option<u64>,
}

impl From<&model::MarkRule> for Mark {
    fn from(rule: &model::MarkRule) -> Self {
        Self {
            mark: rule.mark.get(),
            protocol: rule.protocol.map(|protocol| protocol.name().to_owned()),
            destination: rule.destination.to_string(),
            ports: (rule.ports != model::Ports::ALL).then(|| rule.ports.to_string()),
            interface: rule.interface.as_ref().map(|name| name.as_str().to_owned()),
        }
    }
}

impl TryFrom<&Mark> for model::MarkRule {
    type Error = Error;

    fn try_from(mark: &Mark) -> Result<Self, Error> {
        let bad = |what: &str, given: &str, takes: &str| {
            Error::invalid(format!("a rule's {what} is {takes}, not {given:?}"))
        };
        let protocol = mark.protocol.as_deref().map(|name| {
            model::Protocol::from_name(name)
                .ok_or_else(|| bad("protocol", name, "tcp, udp or sctp"))
        });
        let ports = mark.ports.as_deref().map(|text| {
            text.parse()
                .map_err(|()| bad("ports", text, "a port or a range like 8000-8100"))
        });
        let interface = mark.interface.as_deref().map(|name| {
            model::InterfaceName::new(name)
                .ok_or_else(|| bad("interface", name, "the name of one, 1 to 15 characters"))
        });
        Ok(Self {
            mark: NonZeroU32::new(mark.mark).ok_or_else(|| bad("mark", "0", "1 to 4294967295"))?,
            protocol: protocol.transpose()?,
            destination: mark.destination.parse().map_err(|()| {
                let takes = "an address or a prefix like 192.0.2.0/24";
                bad("destination", &mark.destination, takes)
            })?,
            ports: ports.transpose()?.unwrap_or(model::Ports::ALL),
            interface: interface.transpose()?,
        })
    }
}
