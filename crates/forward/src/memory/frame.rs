//! A frame in memory at a hook, and the routing that a test says.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::vec::Vec;
use weir_abi::fragment::Held;
use weir_abi::keys::{Direction, FAMILY_V4};
use weir_abi::reason::{Outcome, Reason};
use weir_abi::settings::{INTERFACE_XDP_TRANSMIT, Link};
use weir_wire::checksum::Delta;
use weir_wire::ethernet::{EtherType, Ethernet, Mac, VlanTag};
use weir_wire::packet::{Buffer, Header, Packet};

use crate::family::Family;
use crate::hook::{Hook, Refused, Route, Turn};
use crate::parse::Segment;
use crate::part::{self, Part};
use crate::process::process;
use crate::tables::Tables;
use crate::translate::{End, correct_in_place};
use crate::wrap::Outer;

/// A packet's way out, as a test says it.
#[derive(Clone, Copy, Debug)]
pub struct Path {
    /// The slot of the interface that it leaves by.
    pub interface: u16,
    /// What that link takes.
    pub mtu: u16,
    /// What routing answers.
    pub route: Route,
    /// The link address of the interface that it leaves by.
    pub source: Mac,
    /// The next hop's link address.
    pub destination: Mac,
}

/// A frame in memory at a hook: `XDP` or, without, TC.
pub struct BufferHook<'a, const XDP: bool> {
    /// The frame.
    pub frame: Vec<u8>,
    /// The link address of the interface that it came in by.
    pub station: Mac,
    /// The routing: what becomes of a packet to an address, of that length.
    pub routes: &'a dyn Fn(IpAddr, u16) -> Path,
    /// The firewall mark that it came with.
    pub mark: u32,
    /// The index of the interface that it came in by.
    pub ingress: u32,
    /// Whether the director has made it, and it leaves.
    pub leaves: bool,
    next: Option<Path>,
    remembered: bool,
    /// How often routing was asked.
    pub asked: u32,
    /// Frames that come in again after this one.
    pub round: Vec<Vec<u8>>,
    /// Frames that have been sent before it.
    pub copies: Vec<Vec<u8>>,
}

impl<'a, const XDP: bool> BufferHook<'a, XDP> {
    /// A frame that came in by the interface of that link address.
    pub fn new(frame: &[u8], station: Mac, routes: &'a dyn Fn(IpAddr, u16) -> Path) -> Self {
        Self {
            frame: frame.to_vec(),
            station,
            routes,
            mark: 0,
            ingress: 1,
            leaves: false,
            next: None,
            remembered: false,
            asked: 0,
            round: Vec::new(),
            copies: Vec::new(),
        }
    }

    /// Decides about the frame and sends it, as far as that changes it: XDP writes the link
    /// addresses, TC takes tags off and, unless it remembers them, leaves link addresses to the kernel.
    pub fn process<T: Tables>(&mut self, tables: &T) -> Reason {
        let reason = process(self, tables);
        if reason.outcome() == Outcome::Forwarded {
            let path = self.next.expect("forwarded without a route");
            if XDP || self.remembered {
                let link = self
                    .header_mut::<Ethernet>(0)
                    .expect("forwarded without a link header");
                link.source = path.source;
                link.destination = path.destination;
            }
            if !XDP {
                while self.header::<Ethernet>(0).map(Ethernet::ether_type) == Some(EtherType::Vlan)
                {
                    // The tag's own TPID and what it says of itself.
                    self.frame
                        .drain(Ethernet::LENGTH - 2..Ethernet::LENGTH - 2 + VlanTag::LENGTH);
                }
            }
        }
        reason
    }
}

impl<const XDP: bool> BufferHook<'_, XDP> {
    /// Asks the routing, and answers as the programs do: TC lets the kernel resolve; XDP leaves to TC
    /// what may be the kernel's to deliver.
    fn follow(&mut self, family: u8, words: [u32; 4], length: u16) -> Route {
        self.asked += 1;
        let to = if family == FAMILY_V4 {
            IpAddr::V4(Ipv4Addr::from(words[0].to_ne_bytes()))
        } else {
            let mut bytes = [0; 16];
            for (place, word) in bytes.chunks_mut(4).zip(words) {
                place.copy_from_slice(&word.to_ne_bytes());
            }
            IpAddr::V6(Ipv6Addr::from(bytes))
        };
        let path = (self.routes)(to, length);
        self.next = Some(path);
        match path.route {
            Route::NoNeighbour if !XDP => Route::Known,
            Route::Unreachable if XDP => Route::NotTransmittable,
            route @ (Route::Known
            | Route::NoNeighbour
            | Route::NotTransmittable
            | Route::Unreachable
            | Route::ForwardingDisabled
            | Route::TooBig(_)) => route,
        }
    }
}

impl<const XDP: bool> Packet for BufferHook<'_, XDP> {
    fn header<T: Header>(&self, offset: usize) -> Option<&T> {
        let bytes = self.frame.get(offset..)?.get(..size_of::<T>())?;
        // SAFETY: `bytes` has the size of T, T has alignment 1 and takes any bytes.
        Some(unsafe { &*bytes.as_ptr().cast::<T>() })
    }

    fn header_mut<T: Header>(&mut self, offset: usize) -> Option<&mut T> {
        let bytes = self.frame.get_mut(offset..)?.get_mut(..size_of::<T>())?;
        // SAFETY: `bytes` has the size of T, T has alignment 1 and takes any bytes.
        Some(unsafe { &mut *bytes.as_mut_ptr().cast::<T>() })
    }

    fn holds(&self, length: usize) -> bool {
        length <= self.frame.len()
    }
}

impl<const XDP: bool> Hook for BufferHook<'_, XDP> {
    type Verdict = Reason;

    const TAGS: bool = !XDP;
    const CHECKS: bool = !XDP;
    const MAY_LEAVE: bool = XDP;

    fn conclude(&mut self, reason: Reason) -> Reason {
        reason
    }

    fn go_on<T: Tables>(&mut self, tables: &T, part: Part) -> Reason {
        match part {
            Part::Length4 | Part::Length6 => part::run(self, tables, part),
            // As the programs do: XDP has the first two parts only, and leaves the others to TC.
            Part::Related if XDP => Reason::Icmp,
            Part::Fragment if XDP => Reason::Fragment,
            Part::Application4 | Part::Application6 if XDP => Reason::Application,
            Part::Cross4 | Part::Cross6 if XDP => Reason::OtherFamily,
            Part::Seldom4
            | Part::Seldom6
            | Part::Carry4
            | Part::Carry6
            | Part::CarryLocal4
            | Part::CarryLocal6
            | Part::FragmentSeldom
            | Part::CarrySeldom4
            | Part::CarrySeldom6
            | Part::CarryLocalSeldom4
            | Part::CarryLocalSeldom6
            | Part::Tunnelled
            | Part::Tunnelled6
            | Part::CrossError4
            | Part::CrossError6
            | Part::Check
            | Part::Call4
            | Part::Call6
            | Part::Stray
            | Part::Adopt
            | Part::Cut
                if XDP =>
            {
                Reason::PartMissing
            }
            Part::Related
            | Part::Fragment
            | Part::Application4
            | Part::Application6
            | Part::Seldom4
            | Part::Seldom6
            | Part::Carry4
            | Part::Carry6
            | Part::CarryLocal4
            | Part::CarryLocal6
            | Part::FragmentSeldom
            | Part::CarrySeldom4
            | Part::CarrySeldom6
            | Part::CarryLocalSeldom4
            | Part::CarryLocalSeldom6
            | Part::Tunnelled
            | Part::Tunnelled6
            | Part::Cross4
            | Part::Cross6
            | Part::CrossError4
            | Part::CrossError6
            | Part::Check
            | Part::Call4
            | Part::Call6
            | Part::Stray
            | Part::Adopt
            | Part::Cut => part::run(self, tables, part),
        }
    }

    fn mark(&self) -> u32 {
        // XDP is before everybody who could mark.
        if XDP { 0 } else { self.mark }
    }

    fn ingress(&self) -> u32 {
        self.ingress
    }

    fn station<T: Tables>(&self, _tables: &T) -> Option<Link> {
        XDP.then_some(Link::new(self.station, 0))
    }

    fn is_made_here(&self) -> bool {
        self.leaves
    }

    fn is_other_station(&self) -> bool {
        // The kernel's mark (`pkt_type`) counts only under TC.
        let destination = self.frame.get(..self.station.len());
        !XDP && !self.leaves && destination.is_some_and(|to| *to != self.station)
    }

    fn network_length(&self, parsed: usize, _network_offset: usize) -> u64 {
        parsed as u64
    }

    fn route<F: Family, T: Tables>(
        &mut self,
        _tables: &T,
        segment: &Segment<F::Address>,
        direction: Direction,
        end: End<F::Address>,
    ) -> Route {
        let to = F::widen(match direction {
            Direction::Request => end.address,
            Direction::Reply => segment.flow.destination,
        });
        self.follow(F::NUMBER, to, segment.length)
    }

    fn route_outer<F: Family, T: Tables>(
        &mut self,
        _tables: &T,
        segment: &Segment<F::Address>,
        outer: &Outer,
    ) -> Route {
        let length = segment.length + outer.overhead;
        self.follow(outer.family, outer.destination, length)
    }

    fn encapsulate(&mut self, room: usize, _family: u8, _protocol: u8) -> Result<(), Refused> {
        let at = Ethernet::LENGTH;
        self.frame.splice(at..at, std::iter::repeat_n(0, room));
        Ok(())
    }

    fn learnt(&self) -> Option<(Link, u16)> {
        let path = self.next?;
        match path.route {
            Route::Known => Some((Link::new(path.destination, path.interface), path.mtu)),
            Route::NoNeighbour
            | Route::NotTransmittable
            | Route::Unreachable
            | Route::ForwardingDisabled
            | Route::TooBig(_) => None,
        }
    }

    fn recall<T: Tables>(&mut self, tables: &T, hop: Link) -> bool {
        let Some(record) = tables.interface(hop.beside().into()) else {
            return false;
        };
        let link = Link(record.link.load());
        if XDP && link.beside() & INTERFACE_XDP_TRANSMIT == 0 {
            return false;
        }
        self.remembered = true;
        self.next = Some(Path {
            interface: hop.beside(),
            mtu: 0,
            route: Route::Known,
            source: link.mac(),
            destination: hop.mac(),
        });
        true
    }

    fn fits<A>(&self, segment: &Segment<A>, mtu: u16) -> bool {
        segment.length <= mtu
    }

    fn correct_checksum(
        &mut self,
        offset: usize,
        addresses: Delta,
        ports: Delta,
        udp: bool,
    ) -> Result<(), Refused> {
        let mut packet = Buffer(&mut self.frame);
        if XDP {
            correct_in_place(&mut packet, offset, addresses.and(ports), udp)
        } else {
            correct_in_place(&mut packet, offset, addresses, udp)?;
            correct_in_place(&mut packet, offset, ports, udp)
        }
    }

    fn tell_of_change(&mut self, _delta: Delta) {}

    fn put_byte(&mut self, offset: usize, byte: u8) -> Result<(), Refused> {
        *self.frame.get_mut(offset).ok_or(Refused)? = byte;
        Ok(())
    }

    fn change_family(&mut self, _family: u8, removed: usize, added: usize) -> Result<(), Refused> {
        let at = Ethernet::LENGTH;
        if self.frame.len() < at + removed {
            return Err(Refused);
        }
        let room = std::iter::repeat_n(0, added);
        self.frame.splice(at..at + removed, room);
        Ok(())
    }

    fn put<T: Header>(&mut self, offset: usize, header: &T) -> Result<(), Refused> {
        let place = self.frame.get_mut(offset..).ok_or(Refused)?;
        let place = place.get_mut(..size_of::<T>()).ok_or(Refused)?;
        // SAFETY: a header is bytes only, and so many of them.
        let bytes = unsafe {
            core::slice::from_raw_parts(core::ptr::from_ref(header).cast::<u8>(), size_of::<T>())
        };
        place.copy_from_slice(bytes);
        Ok(())
    }

    fn resize(&mut self, length: usize) -> Result<(), Refused> {
        self.frame.resize(length, 0);
        Ok(())
    }

    fn piece_length(&self) -> usize {
        0
    }

    fn turns<S: Turn<Self>>(&mut self, turns: u32, turn: &mut S) {
        for index in 0..turns {
            if turn.turn(self, index).is_break() {
                return;
            }
        }
    }

    fn is_sum_left_open(&mut self, _offset: usize) -> bool {
        // The kernel's TC can tell; XDP takes it so, and here nobody leaves anything to a card.
        XDP
    }

    fn is_checksum_left_open(&mut self, _offset: usize) -> bool {
        XDP
    }

    fn save(&self, held: &Held, offset: usize, length: usize) -> Result<(), Refused> {
        // SAFETY: who calls has taken the place.
        let bytes = unsafe { &mut *held.bytes() };
        let room = bytes.get_mut(..length).ok_or(Refused)?;
        let saved = self.frame.get(offset..offset + length).ok_or(Refused)?;
        room.copy_from_slice(saved);
        Ok(())
    }

    fn shorten(&mut self, length: usize) -> Result<(), Refused> {
        self.frame.truncate(length);
        Ok(())
    }

    fn restore(&mut self, held: &Held, offset: usize, length: usize) -> Result<(), Refused> {
        // SAFETY: who calls has taken the place.
        let bytes = unsafe { &*held.bytes() };
        self.frame.truncate(offset);
        self.frame
            .extend_from_slice(bytes.get(..length).ok_or(Refused)?);
        Ok(())
    }

    fn reshape(&mut self, keep: usize, room: usize) -> Result<(), Refused> {
        self.frame.truncate(keep);
        self.frame.splice(0..0, std::iter::repeat_n(0, room));
        Ok(())
    }

    fn strip(&mut self, keep: usize, surplus: usize) -> Result<(), Refused> {
        self.frame.truncate(keep);
        let at = Ethernet::LENGTH;
        self.frame.drain(at..at + surplus);
        Ok(())
    }

    fn keep(&self, held: &Held) -> Result<(), Refused> {
        // SAFETY: who calls has taken the place.
        let bytes = unsafe { &mut *held.bytes() };
        let room = bytes.get_mut(..self.frame.len()).ok_or(Refused)?;
        room.copy_from_slice(&self.frame);
        held.length.store(self.frame.len() as u32);
        Ok(())
    }

    fn become_held(&mut self, held: &Held) -> Result<(), Refused> {
        // SAFETY: who calls has taken the place.
        let bytes = unsafe { &*held.bytes() };
        self.frame = bytes[..held.length.load() as usize].to_vec();
        Ok(())
    }

    fn go_round(&mut self) -> Result<(), Refused> {
        self.round.push(self.frame.clone());
        Ok(())
    }

    fn send_copy(&mut self) -> Result<(), Refused> {
        let path = self.next.ok_or(Refused)?;
        let mut copy = self.frame.clone();
        copy[..6].copy_from_slice(&path.destination);
        copy[6..12].copy_from_slice(&path.source);
        self.copies.push(copy);
        Ok(())
    }

    fn sum(&self, offset: usize, length: usize) -> Result<Delta, Refused> {
        let bytes = self.frame.get(offset..offset + length).ok_or(Refused)?;
        let mut sum = Delta::ZERO;
        for chunk in bytes.chunks(4) {
            let mut word = [0; 4];
            word[..chunk.len()].copy_from_slice(chunk);
            sum = sum.add(u32::from_ne_bytes(word));
        }
        Ok(sum)
    }
}
