//! Fragments: what has become of the first one of a packet, and those that came before it.
//!
//! Only a packet's first fragment has ports. What is decided about it is remembered for the later ones
//! under what they have in common. One that comes before the first is copied and waits for it, in a
//! list that is closed by the decision: who puts a fragment there and who decides at the same moment
//! meet in one word, so that none is left behind.

use core::cell::UnsafeCell;

use crate::keys::FlowValue;
use crate::shared::{Shared32, Shared64};
use crate::tick::Ticks;

/// What the fragments of one packet have in common (RFC 791, RFC 8200, 4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Hash)]
#[repr(C)]
pub struct FragmentKey {
    /// Source address, network byte order (IPv4: the first word).
    pub source: [u32; 4],
    /// Destination address.
    pub destination: [u32; 4],
    /// The identification, as it lies.
    pub identification: u32,
    /// IANA protocol number; 0 for IPv6, where it does not count.
    pub protocol: u16,
    /// [`crate::keys::FAMILY_V4`] or [`crate::keys::FAMILY_V6`].
    pub family: u16,
}

/// An address of one of our services or real servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Hash)]
#[repr(C)]
pub struct AddressKey {
    /// The address, network byte order (IPv4: the first word).
    pub address: [u32; 4],
    /// [`crate::keys::FAMILY_V4`] or [`crate::keys::FAMILY_V6`].
    pub family: u32,
}

/// A packet of which fragments have been seen.
#[derive(Debug, Default, Clone)]
#[repr(C)]
pub struct FragmentRecord {
    /// A [`Decision`]; none as long as the first fragment has not been seen.
    pub decision: Shared64,
    /// The fragment that came last before the first: a [`Waiting`].
    pub waiting: Shared64,
    /// When it is forgotten, as a tick.
    pub expires: Shared32,
    /// Bits 0..15 how many fragments have waited, 15 whether the first one has begun its connection and has
    /// not gone on yet, 16..32 how many bytes all of them make together: known once the last one has come.
    /// The latter two are only asked for of SCTP, AH and ESP.
    pub count: Shared32,
}

impl FragmentRecord {
    const BEGUN: u32 = 1 << 15;

    /// Counts one that is to wait; how many have before.
    #[inline(always)]
    pub fn count_one(&self) -> u32 {
        self.count.add(1) & (Self::BEGUN - 1)
    }

    /// How many bytes all fragments make together; 0 while nobody knows.
    #[inline(always)]
    pub fn length(&self) -> u16 {
        (self.count.load() >> 16) as u16
    }

    /// Lets that be known, if nobody else has; whether that is so.
    #[inline(always)]
    pub fn learn_length(&self, length: u16) -> bool {
        let mut tries = 0;
        while tries < 4 {
            let count = self.count.load();
            if count >> 16 != 0 {
                return false;
            }
            if self.count.replace(count, count | (length as u32) << 16) {
                return true;
            }
            tries += 1;
        }
        false
    }

    /// Those that have waited come anew.
    #[inline(always)]
    pub fn forget_count(&self) {
        self.count.store(self.count.load() & !(Self::BEGUN - 1));
    }

    /// Remembers that the first fragment has begun its connection.
    #[inline(always)]
    pub fn remember_begun(&self) {
        self.count.store(self.count.load() | Self::BEGUN);
    }

    /// Whether it has, and has not gone on since; now it does.
    #[inline(always)]
    pub fn take_begun(&self) -> bool {
        let count = self.count.load();
        count & Self::BEGUN != 0 && self.count.replace(count, count & !Self::BEGUN)
    }
}

/// What has been decided about a packet's first fragment, and so about the later ones.
///
/// Bits 0..32 a [`FlowValue`], 32..48 the generation of the connection's record, 48..64 what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Decision(pub u64);

/// What has been decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decided {
    /// Nothing yet.
    Nothing,
    /// It belongs to a connection, whose record has that generation.
    Connection(FlowValue, u16),
    /// It is left to the kernel's stack.
    Passed,
    /// It was not forwarded.
    Refused,
}

/// A list of fragments that wait: the newest one, by its place and the place's turn.
///
/// Bits 0..32 the place and 1, 32..64 the turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Waiting(pub u64);

/// A place for a fragment that waits.
#[repr(C, align(8))]
pub struct Held {
    /// The next older one that waits for the same: a [`Waiting`].
    pub next: Shared64,
    /// Whose turn it is, and what the place is used for: a [`Turn`].
    pub turn: Shared32,
    /// When it is lost, as a tick.
    pub expires: Shared32,
    /// How long the frame is.
    pub length: Shared32,
    /// Fills up to eight bytes.
    pub padding: Shared32,
    bytes: UnsafeCell<[u8; HELD_BYTES]>,
}

// SAFETY: the cells are atomic; the bytes are those of whoever has taken the place (`Turn::BUSY`), one
// at a time.
unsafe impl Sync for Held {}

/// A place's turn, counted up each time that it is taken, and its use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Turn(pub u32);

/// The longest frame that can wait.
pub const HELD_BYTES: usize = 2048;

/// How many packets' fragments are remembered.
pub const FRAGMENTS: u32 = 16_384;

/// How many fragments can wait: as much memory as the kernel gives to reassembly
/// (`ipfrag_high_thresh`).
pub const HELD: u32 = 2048;

/// How many fragments of one packet can wait: all of 65 535 bytes by links of 576.
pub const HELD_OF_ONE: u32 = 128;

/// How long fragments wait for each other (`ipfrag_time`, `ip6frag_time` is twice that).
pub const PATIENCE: Ticks = Ticks::from_seconds(30);

impl Decision {
    /// As a word.
    #[inline(always)]
    pub const fn new(decided: Decided) -> Self {
        Self(match decided {
            Decided::Nothing => 0,
            Decided::Connection(flow, generation) => {
                flow.0 as u64 | (generation as u64) << 32 | 1 << 48
            }
            Decided::Passed => 2 << 48,
            Decided::Refused => 3 << 48,
        })
    }

    /// What it is.
    #[inline(always)]
    pub const fn decided(self) -> Decided {
        match self.0 >> 48 {
            1 => Decided::Connection(FlowValue(self.0 as u32), (self.0 >> 32) as u16),
            2 => Decided::Passed,
            3 => Decided::Refused,
            _nothing => Decided::Nothing,
        }
    }
}

impl Waiting {
    /// None.
    pub const NOBODY: Self = Self(0);
    /// None, and none will: it is decided.
    pub const CLOSED: Self = Self(u64::MAX);

    /// That one, in front of those that it names as next.
    #[inline(always)]
    pub const fn new(place: u32, turn: Turn) -> Self {
        Self((place + 1) as u64 | ((turn.0 & !Turn::USE) as u64) << 32)
    }

    /// The place.
    #[inline(always)]
    pub const fn place(self) -> u32 {
        (self.0 as u32).wrapping_sub(1)
    }

    /// The turn in which it waits.
    #[inline(always)]
    pub const fn turn(self) -> Turn {
        Turn((self.0 >> 32) as u32).held()
    }
}

impl Turn {
    const USE: u32 = 3;
    const BUSY: u32 = 1;
    const HELD: u32 = 2;

    /// Whether somebody reads or writes the frame.
    #[inline(always)]
    pub const fn is_busy(self) -> bool {
        self.0 & Self::USE == Self::BUSY
    }

    /// Whether a fragment waits there.
    #[inline(always)]
    pub const fn is_held(self) -> bool {
        self.0 & Self::USE == Self::HELD
    }

    /// The same turn, free.
    #[inline(always)]
    pub const fn free(self) -> Self {
        Self(self.0 & !Self::USE)
    }

    /// The same turn, somebody's alone.
    #[inline(always)]
    pub const fn busy(self) -> Self {
        Self(self.0 & !Self::USE | Self::BUSY)
    }

    /// The same turn, waiting.
    #[inline(always)]
    pub const fn held(self) -> Self {
        Self(self.0 & !Self::USE | Self::HELD)
    }

    /// The next turn, somebody's alone.
    #[inline(always)]
    pub const fn next(self) -> Self {
        Self(self.0.wrapping_add(Self::USE + 1)).busy()
    }
}

impl Held {
    /// The frame's bytes, for whoever has taken the place.
    #[inline(always)]
    pub const fn bytes(&self) -> *mut [u8; HELD_BYTES] {
        self.bytes.get()
    }
}

impl Default for Held {
    fn default() -> Self {
        Self {
            next: Shared64::default(),
            turn: Shared32::default(),
            expires: Shared32::default(),
            length: Shared32::default(),
            padding: Shared32::default(),
            bytes: UnsafeCell::new([0; HELD_BYTES]),
        }
    }
}

impl core::fmt::Debug for Held {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Held")
            .field("turn", &self.turn)
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

const _: () = assert!(size_of::<FragmentKey>() == 40);
const _: () = assert!(size_of::<FragmentRecord>() == 24);
const _: () = assert!(size_of::<AddressKey>() == 20);
const _: () = assert!(size_of::<Held>() == 24 + HELD_BYTES);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Direction;

    #[test]
    fn decisions_come_back() {
        let flow = FlowValue::new(77, Direction::Reply);
        for decided in [
            Decided::Nothing,
            Decided::Connection(flow, 0),
            Decided::Connection(flow, u16::MAX),
            Decided::Passed,
            Decided::Refused,
        ] {
            assert_eq!(Decision::new(decided).decided(), decided);
        }
    }

    #[test]
    fn a_place_is_known_by_its_turn() {
        let first = Turn(0).next();
        assert!(first.is_busy() && !first.is_held());
        let waiting = Waiting::new(0, first);
        assert_ne!(waiting, Waiting::NOBODY);
        assert_eq!((waiting.place(), waiting.turn()), (0, first.held()));
        assert_ne!(first.free().next().held(), waiting.turn());
        // The turn after the last is the first again, and no list is taken for a closed one.
        let last = Turn(u32::MAX).held();
        assert_ne!(Waiting::new(HELD - 1, last), Waiting::CLOSED);
        assert_eq!(last.next().free(), Turn(0));
    }
}
