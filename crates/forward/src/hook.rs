//! Where a packet was taken, and what the kernel offers there.

use core::ops::ControlFlow;

use weir_abi::fragment::Held;
use weir_abi::keys::Direction;
use weir_abi::reason::Reason;
use weir_abi::settings::Link;
use weir_wire::checksum::Delta;
use weir_wire::crc32c;
use weir_wire::packet::{Header, Packet};
use weir_wire::transport::{Ports, Tcp, Udp};

use crate::family::Family;
use crate::parse::{Portion, Segment, Transport};
use crate::part::Part;
use crate::tables::Tables;
use crate::translate::End;
use crate::wrap::Outer;

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

/// A loop's body that reads or writes the packet, byte by byte. It is called with the number of the turn,
/// and must count on nothing but that: see [`crate::tables::Step`].
pub trait Turn<H> {
    /// One turn.
    fn turn(&mut self, hook: &mut H, index: u32) -> ControlFlow<()>;
}

/// XDP or TC in the kernel, a buffer at home.
pub trait Hook: Packet {
    /// What a program at this hook returns.
    type Verdict: Copy;

    /// Does with the packet what the reason says, and counts it.
    ///
    /// Called at the end of each way, so that on the fast ones the reason is a constant.
    fn conclude(&mut self, reason: Reason) -> Self::Verdict;

    /// Goes on with another part of the packet path, where this hook has it.
    fn go_on<T: Tables>(&mut self, tables: &T, part: Part) -> Self::Verdict;

    /// The firewall mark that somebody before us has put on the packet; 0 for none.
    fn mark(&self) -> u32;

    /// The index of the interface that the packet came in by.
    fn ingress(&self) -> u32;

    /// Where the VLAN tags end and the network header begins is found by parsing; a hook that
    /// cannot rewrite tagged frames says so, and they are left to one that can.
    const TAGS: bool;

    /// Whether replies to checks are recognised here.
    const CHECKS: bool;

    /// Whether this hook leaves packets to a slower one of ours.
    const MAY_LEAVE: bool;

    /// The segment's transport, as far as this program meets such.
    fn transport<A>(&self, segment: &Segment<A>) -> Transport {
        segment.transport()
    }

    /// The link address of the interface, to tell frames for other stations; nothing where the
    /// kernel has told them already.
    fn station<T: Tables>(&self, tables: &T) -> Option<Link>;

    /// Whether the packet was taken at a hook where the kernel has marked it as another station's.
    fn is_other_station(&self) -> bool;

    /// Whether the packet leaves the director, which has made it.
    fn is_made_here(&self) -> bool {
        false
    }

    /// The length that counters count: that of the network layer. `parsed` is what the header says;
    /// a segment that offloading has made larger than that has its own.
    fn network_length(&self, parsed: usize, network_offset: usize) -> u64;

    /// Asks the kernel's routing where the packet goes once `end` has replaced its destination (a
    /// request) or source (a reply), and remembers the next hop, if there is one, until the packet
    /// is sent.
    fn route<F: Family, T: Tables>(
        &mut self,
        tables: &T,
        segment: &Segment<F::Address>,
        direction: Direction,
        end: End<F::Address>,
    ) -> Route;

    /// Asks where a packet goes once it is wrapped, and remembers the next hop as [`Hook::route`] does.
    fn route_outer<F: Family, T: Tables>(
        &mut self,
        tables: &T,
        segment: &Segment<F::Address>,
        outer: &Outer,
    ) -> Route;

    /// Makes `room` bytes of room between the link header and the network header, for an outer packet
    /// of that family and protocol; with [`NOTHING_TOLD`](crate::wrap::NOTHING_TOLD) it is room and nothing more.
    fn encapsulate(&mut self, room: usize, family: u8, protocol: u8) -> Result<(), Refused>;

    /// The hop that [`Hook::route`] has just found, for others to go by: its link address with the
    /// slot of the interface that leads there, and the MTU. Nothing where this hook leaves part of
    /// the way to the kernel.
    fn learnt(&self) -> Option<(Link, u16)>;

    /// Goes by a hop that was learnt; whether this hook can.
    fn recall<T: Tables>(&mut self, tables: &T, hop: Link) -> bool;

    /// Whether a packet fits a link of that MTU. A segment made large by offloading does if what it
    /// is cut into does.
    fn fits<A>(&self, segment: &Segment<A>, mtu: u16) -> bool;

    /// Corrects the transport checksum at `offset` for a change of addresses (pseudo header) and of
    /// ports. A UDP checksum of zero stays zero (RFC 768), one that becomes zero is sent as ones.
    fn correct_checksum(
        &mut self,
        offset: usize,
        addresses: Delta,
        ports: Delta,
        udp: bool,
    ) -> Result<(), Refused>;

    /// Puts a port into the header of TCP or UDP that begins at `offset`, and corrects its checksum for that
    /// and for a change of addresses. Of the header, its ports and its checksum need be there.
    #[inline(always)]
    fn put_port(
        &mut self,
        offset: usize,
        direction: Direction,
        (old, new): (u16, u16),
        addresses: Delta,
        udp: bool,
    ) -> Result<(), Refused> {
        let header = self.header_mut::<Ports>(offset).ok_or(Refused)?;
        header.set_translated(direction == Direction::Request, new);
        let checksum = if udp { Udp::CHECKSUM } else { Tcp::CHECKSUM };
        let ports = Delta::ZERO.replace16(old, new);
        self.correct_checksum(offset + checksum, addresses, ports, udp)
    }

    /// Which part of a packet a segment is, as far as this program meets such.
    #[inline(always)]
    fn portion<A>(&self, segment: &Segment<A>) -> Portion {
        segment.portion()
    }

    /// Says that the addresses of a packet that is left to the kernel have changed by so much, and that its
    /// network header has no checksum which would make up for it: the kernel may have summed the whole.
    fn tell_of_change(&mut self, delta: Delta);

    /// Puts a byte there.
    fn put_byte(&mut self, offset: usize, byte: u8) -> Result<(), Refused>;

    /// Makes the packet one of that family: `removed` bytes behind the link header go, `added` ones to be
    /// written come, and what offloading knows of the packet changes too.
    fn change_family(&mut self, family: u8, removed: usize, added: usize) -> Result<(), Refused>;

    /// Puts a header there, also where the kernel has summed the whole packet.
    fn put<T: Header>(&mut self, offset: usize, header: &T) -> Result<(), Refused>;

    /// Makes the frame so long, at its end, and readable as a whole.
    fn resize(&mut self, length: usize) -> Result<(), Refused>;

    /// How large the pieces are that a segment made large by offloading is cut into; 0 for one that is
    /// whole.
    fn piece_length(&self) -> usize;

    /// Calls a loop's body until it breaks, at most so often.
    fn turns<S: Turn<Self>>(&mut self, turns: u32, turn: &mut S)
    where
        Self: Sized;

    /// Whether the transport checksum at `offset`, which is 0, is left to a network card: SCTP's, whose
    /// CRC has no part that could stand for it meanwhile. A whole one is 0 once in four billion packets.
    fn is_sum_left_open(&mut self, offset: usize) -> bool;

    /// Whether the checksum of TCP or UDP at `offset` is left to a network card: what is there is the pseudo
    /// header's sum alone.
    fn is_checksum_left_open(&mut self, offset: usize) -> bool;

    /// [`crc32c::change`], as a function of its own.
    fn crc_change(&self, first: u32, length: u16) -> u32 {
        crc32c::change(first, length)
    }

    /// Cuts the frame to its first `keep` bytes and makes room for `room` bytes in front of it.
    fn reshape(&mut self, keep: usize, room: usize) -> Result<(), Refused>;

    /// Cuts the frame to its first `keep` bytes and takes `surplus` bytes out behind the link header.
    fn strip(&mut self, keep: usize, surplus: usize) -> Result<(), Refused>;

    /// Copies the frame to where it is to wait.
    fn keep(&self, held: &Held) -> Result<(), Refused>;

    /// Makes the frame the one that has waited there.
    fn become_held(&mut self, held: &Held) -> Result<(), Refused>;

    /// Copies `length` bytes of the frame from `offset` there.
    fn save(&self, held: &Held, offset: usize, length: usize) -> Result<(), Refused>;

    /// Cuts the frame to its first `length` bytes, of which the headers are readable.
    fn shorten(&mut self, length: usize) -> Result<(), Refused>;

    /// Lets the `length` bytes that were saved there follow the frame's first `offset` bytes, as its end.
    fn restore(&mut self, held: &Held, offset: usize, length: usize) -> Result<(), Refused>;

    /// Sends a copy of the frame, as it is now, round again: it comes in once more by the interface
    /// that it has come by.
    fn go_round(&mut self) -> Result<(), Refused>;

    /// Sends a copy of the frame, as it is now, by the hop that [`Hook::recall`] has said.
    fn send_copy(&mut self) -> Result<(), Refused>;

    /// The one's complement sum of `length` bytes from `offset`, `length` at most 1500.
    fn sum(&self, offset: usize, length: usize) -> Result<Delta, Refused>;
}
