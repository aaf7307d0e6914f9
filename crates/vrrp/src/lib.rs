//! Who holds the addresses: VRRP (RFC 9568, RFC 5798, RFC 3768) as keepalived speaks it.
//!
//! [`Router`] is all of it: it is told what happens ([`Event`]) and at which [`Moment`], and answers
//! with what is to be done ([`Action`]) and when it wants to be asked again. It has no sockets and no clock, so an
//! hour of three routers on a lossy network is a unit test.
#![forbid(unsafe_code)]

mod action;
mod authentication;
mod event;
mod group;
mod instance;
mod packet;
mod router;
mod tracking;
pub mod view;

pub use action::{Action, Datagram, Notice, Subject};
pub use event::{Event, Memory, Moment, Packet};
pub use router::Router;

/// The name of an instance or a group.
pub type Name = std::sync::Arc<str>;

/// What an instance or a group is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// It has not begun, or waits for the first results of its scripts.
    Initialize,
    /// Another router has the addresses.
    Backup,
    /// It has the addresses.
    Active,
    /// Something that it depends on is not there: it takes no part.
    Fault,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Initialize, Self::Backup, Self::Active, Self::Fault];

    /// Whether it neither listens nor speaks.
    const fn takes_no_part(self) -> bool {
        match self {
            Self::Initialize | Self::Fault => true,
            Self::Backup | Self::Active => false,
        }
    }

    /// The RFC's word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Initialize => "Initialize",
            Self::Backup => "Backup",
            Self::Active => "Active",
            Self::Fault => "Fault",
        }
    }
}
