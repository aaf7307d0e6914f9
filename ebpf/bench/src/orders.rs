//! What the driver tells the programs. The driver (`crates/bench`) includes this very file.

/// Ports of the clients: a flow's number, its lowest bits, above the first port.
pub const PORT_BITS: u32 = 15;
/// Bytes of a frame, without its check sequence: the shortest that Ethernet has.
pub const FRAME: usize = 60;

/// The generator's frame, and which flows to send it on. Flow `n` is the client whose address is `first_client` plus
/// `n >> PORT_BITS`, and whose port is 1 024 plus the rest.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Orders {
    /// The frame, as it lies in memory, with zeros for what depends on the flow.
    pub template: [u64; 8],
    /// Sum of the 16-bit words of the template's IPv4 header, as they lie in memory.
    pub network_sum: u32,
    /// As `network_sum`, of the pseudo header and the transport header.
    pub transport_sum: u32,
    /// Where the transport checksum is in the frame: 40 for UDP, 50 for TCP.
    pub checksum_at: u32,
    /// Whether real servers send to clients.
    pub reply: u32,
    /// The interface to send to.
    pub interface: u32,
    /// The first client's address, as a number.
    pub first_client: u32,
    /// How many flows there are.
    pub flows: u32,
    /// From one packet's flow to the next one's, modulo `flows`.
    pub step: u32,
    /// The next packet's flow.
    pub next: u32,
    /// Fills up to eight bytes.
    pub reserved: u32,
}

/// Where the bare redirect sends what comes in by an interface.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Hop {
    /// Destination and source, as they lie at the frame's begin, in the first twelve bytes.
    pub macs: [u32; 3],
    /// The interface.
    pub interface: u32,
}
