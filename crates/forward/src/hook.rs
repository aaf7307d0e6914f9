//! Where a packet was taken, and what the kernel offers there.

use weir_abi::tick::Tick;
use weir_wire::checksum::Delta;
use weir_wire::ethernet::Mac;
use weir_wire::packet::Packet;

use crate::family::Family;

/// What routing needs to know of a packet as it will leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteQuery<A> {
    /// Source address.
    pub source: A,
    /// Destination address.
    pub destination: A,
    /// IPv4: type of service. IPv6: traffic class and flow label as they lie.
    pub flow_information: u32,
    /// IANA protocol number.
    pub protocol: u8,
    /// Source port, network byte order.
    pub source_port: u16,
    /// Destination port, network byte order.
    pub destination_port: u16,
    /// Length of the network layer in bytes.
    pub length: u16,
}

/// Where a packet can go next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// To a hop that the hook remembers until the packet is sent.
    Known,
    /// The hop's link address is not known, and this hook cannot resolve it.
    NoNeighbour,
    /// This hook cannot send out of the interface that the route names.
    NotTransmittable,
    /// No route, or one that forbids.
    Unreachable,
    /// The kernel does not forward here.
    ForwardingDisabled,
    /// Larger than the next link, which takes that many bytes.
    TooBig(u16),
}

/// The kernel could not do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused;

/// XDP or TC in the kernel, a buffer at home.
pub trait Hook: Packet {
    /// Where the VLAN tags end and the network header begins is found by parsing; a hook that
    /// cannot rewrite tagged frames says so, and they are left to one that can.
    const TAGS: bool;

    /// Now.
    fn now(&self) -> Tick;

    /// The link address of the interface, to tell frames for other stations; nothing where the
    /// kernel has told them already.
    fn station(&self) -> Option<Mac>;

    /// Whether the packet was taken at a hook where the kernel has marked it as another station's.
    fn is_other_station(&self) -> bool;

    /// The length that counters count: that of the network layer. `parsed` is what the header says;
    /// a segment that offloading has made larger than that has its own.
    fn network_length(&self, parsed: usize, network_offset: usize) -> u64;

    /// Asks the kernel's routing, and remembers the next hop if there is one.
    fn route<F: Family>(&mut self, query: &RouteQuery<F::Address>) -> Route;

    /// Corrects the transport checksum at `offset` for a change of addresses (pseudo header) and of
    /// ports. A UDP checksum of zero stays zero (RFC 768), one that becomes zero is sent as ones.
    fn correct_checksum(
        &mut self,
        offset: usize,
        addresses: Delta,
        ports: Delta,
        udp: bool,
    ) -> Result<(), Refused>;

    /// Cuts the frame to its first `keep` bytes and makes room for `room` bytes in front of it.
    fn reshape(&mut self, keep: usize, room: usize) -> Result<(), Refused>;

    /// The one's complement sum of `length` bytes from `offset`, `length` at most 1500.
    fn sum(&self, offset: usize, length: usize) -> Result<Delta, Refused>;
}
