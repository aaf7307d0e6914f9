//! Connections whose time has come while their ends may not know: the daemon tells both.

use crate::shared::Shared32;

/// One of them, in a ring of places. All but the first cells as they lie in packets.
#[derive(Debug, Default, Clone)]
#[repr(C, align(16))]
pub struct Farewell {
    /// How many there have been with this one, once it is written; 0 while it is.
    pub number: Shared32,
    /// The client's family in the low byte, the protocol above it, the forwarding method above that.
    pub kind: Shared32,
    /// The real server's slot.
    pub destination: Shared32,
    /// What the client has acknowledged last, and what the real server has, or where it is not heard what the client
    /// has sent: numbers of TCP, each by which that end takes a reset (RFC 5961, 3.2). 0 is none.
    pub acknowledged: [Shared32; 2],
    /// The client's port, and above it the virtual one.
    pub outside: Shared32,
    /// The port that stands for the client's towards the real server, and above it the real server's.
    pub inside: Shared32,
    /// What is to come.
    pub reserved: Shared32,
    /// CIP.
    pub client: [Shared32; 4],
    /// VIP.
    pub virtual_address: [Shared32; 4],
    /// What stands for the client towards the real server, of the real server's family.
    pub local: [Shared32; 4],
}

/// How many places there are.
pub const FAREWELLS: u32 = 1024;

const _: () = assert!(size_of::<Farewell>() == 80);
