//! The keys of the hash tables. Addresses and ports lie in network byte order; padding is zero.

use crate::connection::{Endpoints, Local};
use crate::service::FORWARD_FULL_NAT;

/// A flow of one direction: what a packet says of itself, and what its family's flow table is hashed
/// by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Hash)]
#[repr(C)]
pub struct Flow<A> {
    /// Source address, network byte order.
    pub source: A,
    /// Destination address, network byte order.
    pub destination: A,
    /// Source port, network byte order.
    pub source_port: u16,
    /// Destination port, network byte order.
    pub destination_port: u16,
    /// IANA protocol number; as wide as this leaves no byte of the whole unset.
    pub protocol: u32,
}

/// What a flow table holds: the connection's slot, and which way the flow runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct FlowValue(pub u32);

/// Which way a packet of a connection goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client (IPVS: INPUT).
    Request,
    /// From the real server (IPVS: OUTPUT).
    Reply,
}

/// A virtual service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Hash)]
#[repr(C)]
pub struct ServiceKey {
    /// VIP in network byte order (IPv4: the first word), or the firewall mark in host byte order in
    /// the first word.
    pub address: [u32; 4],
    /// Port in network byte order; 0 for a firewall mark.
    pub port: u16,
    /// IANA protocol number; 0 for a firewall mark.
    pub protocol: u8,
    /// [`FAMILY_V4`] or [`FAMILY_V6`].
    pub family: u8,
}

/// A real server, as its own packets and errors about tunnels to it say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Hash)]
#[repr(C)]
pub struct ServerKey {
    /// RIP in network byte order (IPv4: the first word).
    pub address: [u32; 4],
    /// Its port in network byte order (NAT), the tunnel's (GUE), or 0 (IPIP, GRE).
    pub port: u16,
    /// The service's protocol (NAT); of a tunnel's packets: 4 or 41 (IPIP), 17 (GUE), 47 (GRE).
    pub protocol: u8,
    /// [`FAMILY_V4`] or [`FAMILY_V6`].
    pub family: u8,
}

/// IPv4, as `family` fields say it.
pub const FAMILY_V4: u8 = 4;
/// IPv6, as `family` fields say it.
pub const FAMILY_V6: u8 = 6;

impl FlowValue {
    /// The greatest slot that fits.
    pub const MAX_SLOT: u32 = (u32::MAX >> 1) - 1;

    /// A flow of the connection in `slot`.
    #[inline(always)]
    pub const fn new(slot: u32, direction: Direction) -> Self {
        Self(slot << 1 | matches!(direction, Direction::Reply) as u32)
    }

    /// The connection's slot.
    #[inline(always)]
    pub const fn slot(self) -> u32 {
        self.0 >> 1
    }

    /// Which way the flow runs.
    #[inline(always)]
    pub const fn direction(self) -> Direction {
        if self.0 & 1 == 0 {
            Direction::Request
        } else {
            Direction::Reply
        }
    }
}

impl<A: Copy> Flow<A> {
    /// The flow of a connection in one direction, as its packets arrive at the director.
    #[inline(always)]
    pub const fn of(endpoints: &Endpoints<A>, direction: Direction) -> Self {
        match direction {
            Direction::Request => Self {
                source: endpoints.client,
                destination: endpoints.virtual_address,
                source_port: endpoints.client_port,
                destination_port: endpoints.virtual_port,
                protocol: endpoints.protocol as u32,
            },
            Direction::Reply => Self {
                source: endpoints.server,
                destination: endpoints.client,
                source_port: endpoints.server_port,
                destination_port: endpoints.client_port,
                protocol: endpoints.protocol as u32,
            },
        }
    }
}

impl<A: Copy> Flow<A> {
    /// The same of a connection that may have an end of the director's own (FULLNAT): replies go there.
    #[inline(always)]
    pub const fn of_any(endpoints: &Endpoints<A>, local: &Local<A>, direction: Direction) -> Self {
        let mut flow = Self::of(endpoints, direction);
        if matches!(direction, Direction::Reply) && endpoints.forwarding == FORWARD_FULL_NAT {
            flow.destination = local.address;
            flow.destination_port = local.port;
        }
        flow
    }
}

const _: () = assert!(size_of::<Flow<[u32; 1]>>() == 16);
const _: () = assert!(size_of::<Flow<[u32; 4]>>() == 40);
const _: () = assert!(size_of::<ServiceKey>() == 20);
