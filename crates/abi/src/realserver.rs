//! What a real server's program for tunnels shares with user space: what it was told, and what it
//! counts. It has tables of its own, since a real server need not be a director.

/// The program that takes packets out of their tunnels.
pub const PROGRAM_DECAPSULATE: &str = "weir_decapsulate";
/// [`Prepared`] -> nothing that matters: whatever is in it was prepared.
pub const MAP_PREPARED: &str = "prepared";
/// [`Decapsulation`] -> packets, per processor.
pub const MAP_DECAPSULATIONS: &str = "decapsulations";

/// [`PortionKey`] -> [`Portion`].
pub const MAP_PORTIONS: &str = "portions";
/// A [`Portion`] to work with, per processor.
pub const MAP_PORTION_SCRATCH: &str = "portion_scratch";

/// How much can be prepared on one real server.
pub const PREPARED: usize = 16_384;

/// Something that a real server was prepared for. IPv4 addresses are mapped into IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct Prepared {
    kind: u32,
    value: [u32; 4],
}

const VIRTUAL: u32 = 1;
const HERE: u32 = 2;
const GUE_PORT: u32 = 3;

/// What a [`Prepared`] stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// A virtual address: packets for it are taken out of their tunnels.
    Virtual([u32; 4]),
    /// An address of this host: tunnels may end at it.
    Here([u32; 4]),
    /// A UDP port to which GUE is sent, as it lies.
    GuePort(u16),
}

impl Prepared {
    /// A virtual address, as it lies.
    #[inline(always)]
    pub const fn virtual_address(address: [u32; 4]) -> Self {
        Self {
            kind: VIRTUAL,
            value: address,
        }
    }

    /// An address of this host, as it lies.
    #[inline(always)]
    pub const fn here(address: [u32; 4]) -> Self {
        Self {
            kind: HERE,
            value: address,
        }
    }

    /// A UDP port to which GUE is sent, as it lies.
    #[inline(always)]
    pub const fn gue_port(port: u16) -> Self {
        Self {
            kind: GUE_PORT,
            value: [port as u32, 0, 0, 0],
        }
    }

    /// What it stands for; nothing for what no version of this type has made.
    pub const fn meaning(self) -> Option<Meaning> {
        match self.kind {
            VIRTUAL => Some(Meaning::Virtual(self.value)),
            HERE => Some(Meaning::Here(self.value)),
            GUE_PORT => Some(Meaning::GuePort(self.value[0] as u16)),
            _other => None,
        }
    }
}

/// An IPv4 address as it lies, mapped into IPv6 (RFC 4291, 2.5.5.2).
#[inline(always)]
pub const fn mapped(address: u32) -> [u32; 4] {
    [0, 0, 0xffffu32.to_be(), address]
}

/// One of the two portions of a tunnel's packet that was fragmented on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct PortionKey {
    /// Outer source, as [`Prepared`] has addresses.
    pub source: [u32; 4],
    /// Outer destination.
    pub destination: [u32; 4],
    /// What all portions of one packet have in common.
    pub identification: u32,
    /// What the packet carries: its IANA number.
    pub protocol: u16,
    /// 1 for the last portion, 0 for the first.
    pub is_last: u16,
}

impl PortionKey {
    /// The other portion of the same packet.
    #[inline(always)]
    #[must_use]
    pub const fn other(self) -> Self {
        Self {
            is_last: 1 - self.is_last,
            ..self
        }
    }
}

/// How long a portion can be: what the largest of usual links carries, but for jumbo frames.
pub const PORTION: usize = 2048;
/// How many portions are held; the oldest give way.
pub const PORTIONS: usize = 256;

/// A portion that waits for the other.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Portion {
    /// When it came, by the kernel's monotonic clock, in nanoseconds.
    pub arrived: u64,
    /// What else is known of it.
    pub about: PortionInfo,
    /// Unused.
    pub reserved: u32,
    /// Its bytes, of which as many count as are said.
    pub bytes: [u8; PORTION],
}

/// What is known of a portion beside its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct PortionInfo {
    /// Where in the whole it begins.
    pub offset: u32,
    /// How long it is.
    pub length: u32,
    /// The outer traffic class.
    pub class: u32,
}

/// What became of a packet that came in a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Decapsulation {
    /// Taken out of IPIP: IPv4 or IPv6 in either.
    Ipip = 0,
    /// Taken out of GUE.
    Gue = 1,
    /// Taken out of GRE.
    Gre = 2,
    /// Passed to the kernel as it came: its inner destination is no virtual address that was prepared.
    OtherDestination = 3,
    /// Passed to the kernel as it came: a fragment of a tunnel's packet that came in more than two, or
    /// in portions that do not fit together.
    Fragment = 4,
    /// Passed to the kernel as it came: a header says what cannot be, or something that no director
    /// sends.
    Strange = 5,
    /// Dropped: the network said that it is congested, to a connection that does not understand that
    /// (RFC 6040, 4.2).
    Congestion = 6,
    /// Dropped: the kernel refused to change the packet.
    KernelRefused = 7,
    /// Kept: one of two fragments of a tunnel's packet. When the other comes, the whole is counted as
    /// what it is.
    FragmentHeld = 8,
}

/// How many kinds of [`Decapsulation`] there are.
pub const DECAPSULATIONS: usize = 9;

impl Decapsulation {
    /// All, in the order of their numbers.
    pub const ALL: [Self; DECAPSULATIONS] = [
        Self::Ipip,
        Self::Gue,
        Self::Gre,
        Self::OtherDestination,
        Self::Fragment,
        Self::Strange,
        Self::Congestion,
        Self::KernelRefused,
        Self::FragmentHeld,
    ];

    /// Its name, for counters.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ipip => "ipip",
            Self::Gue => "gue",
            Self::Gre => "gre",
            Self::OtherDestination => "other-destination",
            Self::Fragment => "fragment",
            Self::Strange => "strange",
            Self::Congestion => "congestion",
            Self::KernelRefused => "kernel-refused",
            Self::FragmentHeld => "fragment-held",
        }
    }

    /// Whether the packet goes no further.
    #[inline(always)]
    pub const fn is_dropped(self) -> bool {
        matches!(self, Self::Congestion | Self::KernelRefused)
    }

    /// Whether the packet goes on to the kernel's stack now.
    #[inline(always)]
    pub const fn is_passed(self) -> bool {
        !self.is_dropped() && !matches!(self, Self::FragmentHeld)
    }
}
