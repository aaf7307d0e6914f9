//! Whether a neighbour is reached: BFD (RFC 5880, RFC 5881, RFC 5883) in asynchronous mode, without echo, demand and
//! authentication, as keepalived speaks it.
//!
//! [`Sessions`] is all of it: it is told what happens ([`Event`]) and when, and answers with what is to be done ([`Action`]).
#![forbid(unsafe_code)]

pub mod packet;
mod session;
mod sessions;
mod view;

pub use packet::{Diagnostic, State};
pub use sessions::{Action, Datagram, Event, Received, Sessions};
pub use view::{Refusal, Refusals, SessionView, Transition};

/// The port of single hops (RFC 5881, 4).
pub const PORT: u16 = 3784;
/// The port of several hops (RFC 5883, 5).
pub const MULTIHOP_PORT: u16 = 4784;
/// The ports to send from (RFC 5881, 4).
pub const SOURCE_PORTS: core::ops::RangeInclusive<u16> = 49_152..=65_535;

/// The name of a session.
pub type Name = std::sync::Arc<str>;
