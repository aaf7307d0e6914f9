//! Counters as IPVS keeps them.

use crate::shared::Shared64;

/// Connections, packets and bytes; one of these per real server and processor, written only by
/// that processor. Bytes are those of the network layer (IPVS: `skb->len`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Counters {
    /// Connections scheduled.
    pub connections: u64,
    /// Packets from clients.
    pub in_packets: u64,
    /// Packets to clients.
    pub out_packets: u64,
    /// Bytes from clients.
    pub in_bytes: u64,
    /// Bytes to clients.
    pub out_bytes: u64,
}

/// The same where user space keeps them in a table: what was counted before.
#[derive(Clone, Debug, Default)]
#[repr(C)]
pub struct SharedCounters {
    /// Connections scheduled.
    pub connections: Shared64,
    /// Packets from clients.
    pub in_packets: Shared64,
    /// Packets to clients.
    pub out_packets: Shared64,
    /// Bytes from clients.
    pub in_bytes: Shared64,
    /// Bytes to clients.
    pub out_bytes: Shared64,
}

impl Counters {
    /// Each number plus the other's, wrapping.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            connections: self.connections.wrapping_add(other.connections),
            in_packets: self.in_packets.wrapping_add(other.in_packets),
            out_packets: self.out_packets.wrapping_add(other.out_packets),
            in_bytes: self.in_bytes.wrapping_add(other.in_bytes),
            out_bytes: self.out_bytes.wrapping_add(other.out_bytes),
        }
    }

    /// Each number minus the other's, wrapping.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self {
            connections: self.connections.wrapping_sub(other.connections),
            in_packets: self.in_packets.wrapping_sub(other.in_packets),
            out_packets: self.out_packets.wrapping_sub(other.out_packets),
            in_bytes: self.in_bytes.wrapping_sub(other.in_bytes),
            out_bytes: self.out_bytes.wrapping_sub(other.out_bytes),
        }
    }
}

impl SharedCounters {
    /// The numbers now.
    pub fn load(&self) -> Counters {
        Counters {
            connections: self.connections.load(),
            in_packets: self.in_packets.load(),
            out_packets: self.out_packets.load(),
            in_bytes: self.in_bytes.load(),
            out_bytes: self.out_bytes.load(),
        }
    }

    /// Puts those numbers there.
    pub fn store(&self, counters: Counters) {
        self.connections.store(counters.connections);
        self.in_packets.store(counters.in_packets);
        self.out_packets.store(counters.out_packets);
        self.in_bytes.store(counters.in_bytes);
        self.out_bytes.store(counters.out_bytes);
    }
}
