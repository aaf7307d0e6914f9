//! The states of a connection, as IPVS has them.

pub mod sctp;
pub mod tcp;

/// The state of a connection of a protocol without states (UDP).
pub const STATELESS: u8 = 0;
