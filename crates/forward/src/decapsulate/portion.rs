//! A tunnel's packet that was fragmented on its way.
//!
//! A director wraps what it gets, and what fitted before may not fit after: then its kernel sends a
//! large portion and a small one. These two are put together here, since nobody after us could open
//! the tunnel. Packets in more portions are left to the kernel.

use weir_abi::realserver::{PORTION, PortionInfo, PortionKey};

use super::congestion::Ecn;
use super::{Arrival, Outer};
use crate::hook::Refused;

/// The place of what a packet carries in the whole, which it is itself if it is no fragment.
#[derive(Clone, Copy)]
pub struct Place {
    pub identification: u32,
    /// Where in the whole it begins, in bytes.
    pub offset: u16,
    /// Whether others come after it.
    pub more: bool,
    /// How many bytes of the whole it has.
    pub length: u16,
}

/// What has become of a portion.
pub enum Assembled {
    /// The packet now is the whole.
    Whole,
    /// It is held until the other comes.
    Held,
    /// It is none of two portions that fit together.
    Apart,
}

impl Place {
    /// Of what is no fragment.
    pub const WHOLE: Self = Self {
        identification: 0,
        offset: 0,
        more: false,
        length: 0,
    };

    #[inline(always)]
    pub const fn is_fragment(self) -> bool {
        self.more || self.offset != 0
    }

    #[inline(always)]
    pub const fn is_first(self) -> bool {
        self.offset == 0
    }

    #[inline(always)]
    pub const fn key(self, outer: &Outer) -> PortionKey {
        PortionKey {
            source: outer.source,
            destination: outer.here,
            identification: self.identification,
            protocol: outer.protocol as u16,
            is_last: !self.is_first() as u16,
        }
    }
}

/// Puts a portion together with the other, if that has come already, or holds it.
#[inline(always)]
pub fn assemble<P: Arrival>(packet: &mut P, outer: &mut Outer) -> Result<Assembled, Refused> {
    let place = outer.place;
    let length = place.length as usize;
    // Either the first of more, or the last of them.
    if place.is_first() != place.more
        || length == 0
        || length >= PORTION
        || !packet.holds(outer.at + length)
    {
        return Ok(Assembled::Apart);
    }
    let key = place.key(outer);
    let mine = PortionInfo {
        offset: place.offset.into(),
        length: place.length.into(),
        class: outer.class.into(),
    };
    let Some(other) = packet.held(&key.other()) else {
        packet.hold(&key, mine, outer.at)?;
        return Ok(Assembled::Held);
    };
    let (first, last) = if place.is_first() {
        (mine, other)
    } else {
        (other, mine)
    };
    if first.length != last.offset {
        return Ok(Assembled::Apart);
    }
    packet.join(&key.other(), length, outer.at)?;
    // Congestion that one portion met the whole has met (RFC 3168, 5.3).
    let class = other.class as u8;
    if let Ecn::Experienced = Ecn::of(class) {
        outer.class = class;
    }
    Ok(Assembled::Whole)
}
