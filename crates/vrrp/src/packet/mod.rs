//! Advertisements as bytes (RFC 9568, 5.2; RFC 3768, 5.3).
//!
//! | bytes | version 2 | version 3 |
//! | --- | --- | --- |
//! | 0 | version, type | version, type |
//! | 1 | number of the virtual router | same |
//! | 2 | priority | same |
//! | 3 | number of addresses | same |
//! | 4, 5 | authentication type, interval in s | 4 bits of 0, interval in cs |
//! | 6, 7 | checksum | checksum |
//! | 8 | the addresses, over IPv4 8 bytes of authentication | the addresses |

mod checksum;
mod explain;
mod read;
mod write;

#[cfg(test)]
mod tests;

use core::time::Duration;
use std::net::IpAddr;

use weir_config::model::vrrp::Version;

pub(crate) use checksum::PROTOCOL;
pub(crate) use explain::explain;
pub(crate) use read::{Addressed, Expected, Refusal, read, router_id};
pub(crate) use write::{Outgoing, write};

/// Before the addresses.
const FIXED: usize = 8;
/// After the addresses in version 2 over IPv4.
const AUTHENTICATION_DATA: usize = 8;
/// The type of the only packet that there is.
const ADVERTISEMENT: u8 = 1;
/// An IPv4 header without options.
const IP_HEADER: usize = 20;

/// An advertisement that is what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Advertisement {
    /// Who sent it.
    pub(crate) source: IpAddr,
    /// Its priority; 0 stops.
    pub(crate) priority: u8,
    /// From one advertisement to the next.
    pub(crate) interval: Duration,
    /// The sequence number of its authentication header.
    pub(crate) header_sequence: Option<u32>,
    /// Whether its addresses are ours.
    pub(crate) addresses: Addresses,
    /// Whether it has the checksum that keepalived had before 1.3.6.
    pub(crate) old_checksum: bool,
}

/// Whether the addresses in an advertisement are ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Addresses {
    /// They are, or nobody asked.
    Same,
    /// There are so many others.
    Number(u8),
    /// This one of ours is missing.
    Missing(IpAddr),
}

const fn number(version: Version) -> u8 {
    match version {
        Version::V2 => 2,
        Version::V3 => 3,
    }
}
