//! The name of a virtual service in URLs and JSON: `tcp:192.0.2.10:80`, `udp:[2001:db8::1]:53`,
//! `fwmark:7`, `fwmark6:7`.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use config::model::ServiceKey;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use weir_config as config;

use crate::error::Error;

/// What a virtual service is known by, as it travels.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(into = "String", try_from = "String")]
#[schema(value_type = String, example = "tcp:192.0.2.10:80")]
pub struct Key(pub ServiceKey);

/// An address with its port, as `192.0.2.10:80` or `[2001:db8::1]:80`.
pub fn parse_address(text: &str) -> Result<SocketAddr, Error> {
    let address = text.parse().map_err(|_| {
        Error::invalid(format!(
            "{text:?} is not an address with a port: expected 192.0.2.10:80 or [2001:db8::1]:80"
        ))
    })?;
    without_scope(address)
}

/// A scope is not part of what a packet carries, so it cannot be part of what is looked up.
fn without_scope(address: SocketAddr) -> Result<SocketAddr, Error> {
    match address {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => Err(Error::invalid(format!(
            "{address} has a scope: virtual services and real servers take addresses without one"
        ))),
        SocketAddr::V4(_) | SocketAddr::V6(_) => Ok(address),
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Key {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let key = text
            .parse()
            .map_err(|error: config::model::BadServiceKey| Error::invalid(error.to_string()))?;
        if let ServiceKey::Address { address, .. } = key {
            without_scope(address)?;
        }
        Ok(Self(key))
    }
}

impl From<Key> for String {
    fn from(key: Key) -> Self {
        key.to_string()
    }
}

impl TryFrom<String> for Key {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_travels_as_text() {
        let key: Key = serde_json::from_str("\"udp:[2001:db8::1]:53\"").expect("a key");
        assert_eq!(
            serde_json::to_string(&key).expect("text"),
            "\"udp:[2001:db8::1]:53\""
        );
    }

    #[test]
    fn nonsense_is_refused_with_a_reason() {
        for text in ["", "tcp:192.0.2.10", "tcp:[fe80::1%2]:80", "icmp:1.2.3.4:5"] {
            let refusal = text.parse::<Key>().expect_err(text);
            assert!(!refusal.message.is_empty());
        }
    }
}
