//! What a router is told.

use core::time::Duration;
use std::net::IpAddr;

use weir_config::model::ServiceKey;
use weir_config::model::vrrp::Vrrp;

use crate::Name;

/// A point in time, on two clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment {
    /// By a clock that only goes on, since whenever.
    pub now: Duration,
    /// By the time of day, since 1970. Only the HMAC trailer asks for it.
    pub wall: Duration,
}

/// What happens.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// All that is known at the start has been told: begin. Until then everything is in Initialize.
    Start,
    /// A packet came.
    Packet(Packet<'a>),
    /// An interface is up (running) or down or not there. Of interfaces never told of, it is down.
    Interface {
        /// Its name.
        name: &'a str,
        /// Whether it carries packets.
        up: bool,
    },
    /// The addresses of an interface, the first one first, those that are not usable yet left out. Which one is
    /// spoken from is decided here.
    Addresses {
        /// The name of the interface.
        interface: &'a str,
        /// All addresses of both families.
        addresses: &'a [IpAddr],
    },
    /// A script of `vrrp.scripts` has ended: with 0 or not, in time or not.
    Script {
        /// Its name.
        name: &'a str,
        /// Whether it ended with 0 in time.
        passed: bool,
    },
    /// The number in a file of `vrrp.files`; a file that is not there or has none is 0.
    File {
        /// Its name.
        name: &'a str,
        /// The number.
        number: i32,
    },
    /// So many processes of `vrrp.processes` run.
    Process {
        /// Its name.
        name: &'a str,
        /// How many.
        count: u32,
    },
    /// A BFD session is up or not.
    Bfd {
        /// Its name.
        name: &'a str,
        /// Whether it is up.
        up: bool,
    },
    /// A service of ours has its quorum or not.
    Quorum {
        /// The service.
        service: ServiceKey,
        /// Whether it has.
        up: bool,
    },
    /// The packet path is in place or not. It is not until this is said.
    PathInPlace(bool),
    /// Another configuration holds from now on. What has not changed goes on as it is.
    Reload(&'a Vrrp),
    /// The deadline has come.
    Tick,
    /// Hand over everything and end.
    Stop,
}

/// A packet of protocol 112 (or 51) as a raw socket gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The interface whose socket it came by: see [`crate::view::Socket::interface`].
    pub interface: &'a str,
    /// From whom.
    pub source: IpAddr,
    /// To whom, if known: of IPv4 its header says it.
    pub destination: Option<IpAddr>,
    /// The hop limit, if known: of IPv4 its header says it.
    pub hop_limit: Option<u8>,
    /// Of IPv4 with its header, of IPv6 without.
    pub bytes: &'a [u8],
}

/// What an earlier daemon knew of an instance: see [`crate::Router::memories`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory {
    /// The instance.
    pub name: Name,
    /// Whether it was Active.
    pub active: bool,
    /// How long ago its last advertisement was sent.
    pub last_advertisement: Option<Duration>,
    /// The last sequence number of the authentication header.
    pub header_sequence: u32,
    /// The last sequence number of the HMAC trailer.
    pub trailer_sequence: u64,
}
