//! Ethernet II and IEEE 802.1Q tags.

use crate::bytes::Be16;
use crate::packet::Header;

/// An Ethernet header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Ethernet {
    /// Who it is for.
    pub destination: Mac,
    /// Who sent it.
    pub source: Mac,
    ether_type: Be16,
}

/// A link address.
pub type Mac = [u8; 6];

/// What follows a TPID: an 802.1Q or 802.1ad tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct VlanTag {
    control: Be16,
    ether_type: Be16,
}

/// What an Ethernet frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EtherType {
    /// IPv4, 0x0800.
    Ipv4,
    /// IPv6, 0x86dd.
    Ipv6,
    /// An 802.1Q (0x8100) or 802.1ad (0x88a8) tag.
    Vlan,
    /// Something else.
    Other(u16),
}

// SAFETY: byte arrays only.
unsafe impl Header for Ethernet {}
// SAFETY: byte arrays only.
unsafe impl Header for VlanTag {}

impl EtherType {
    #[inline(always)]
    fn from_raw(raw: u16) -> Self {
        const IPV4: u16 = 0x0800u16.to_be();
        const IPV6: u16 = 0x86ddu16.to_be();
        const VLAN: u16 = 0x8100u16.to_be();
        const VLAN_STACKED: u16 = 0x88a8u16.to_be();
        match raw {
            IPV4 => Self::Ipv4,
            IPV6 => Self::Ipv6,
            VLAN | VLAN_STACKED => Self::Vlan,
            other => Self::Other(u16::from_be(other)),
        }
    }

    /// The number on the wire.
    pub const fn number(self) -> u16 {
        match self {
            Self::Ipv4 => 0x0800,
            Self::Ipv6 => 0x86dd,
            Self::Vlan => 0x8100,
            Self::Other(number) => number,
        }
    }
}

impl Ethernet {
    /// Its length in bytes.
    pub const LENGTH: usize = size_of::<Self>();

    /// A header of those parts.
    pub const fn new(destination: Mac, source: Mac, ether_type: EtherType) -> Self {
        Self {
            destination,
            source,
            ether_type: Be16::new(ether_type.number()),
        }
    }

    /// What it carries.
    #[inline(always)]
    pub fn ether_type(&self) -> EtherType {
        EtherType::from_raw(self.ether_type.raw())
    }

    /// Puts both addresses there, each as it lies in the lower 48 bits of a little-endian word.
    #[inline(always)]
    pub fn set_addresses(&mut self, destination: u64, source: u64) {
        #[cfg(target_arch = "bpf")]
        // SAFETY: both addresses lie within `self`. The BPF machine stores to any address of a
        // packet; going by bytes costs twelve instructions where four do.
        unsafe {
            let at = core::ptr::from_mut(self).cast::<u8>();
            at.cast::<u32>().write(destination as u32);
            at.add(4).cast::<u16>().write((destination >> 32) as u16);
            at.add(6).cast::<u16>().write(source as u16);
            at.add(8).cast::<u32>().write((source >> 16) as u32);
        }
        #[cfg(not(target_arch = "bpf"))]
        {
            let low = |word: u64| {
                let [a, b, c, d, e, f, _, _] = word.to_le_bytes();
                [a, b, c, d, e, f]
            };
            self.destination = low(destination);
            self.source = low(source);
        }
    }

    /// Whether it is for the station whose address lies in the lower 48 bits of a little-endian word,
    /// whatever is beside it.
    #[inline(always)]
    pub fn is_for(&self, station: u64) -> bool {
        #[cfg(target_arch = "bpf")]
        // SAFETY: the address lies within `self`. As in `set_addresses`.
        unsafe {
            let at = core::ptr::from_ref(self).cast::<u8>();
            at.cast::<u32>().read() == station as u32
                && at.add(4).cast::<u16>().read() == (station >> 32) as u16
        }
        #[cfg(not(target_arch = "bpf"))]
        {
            let [a, b, c, d, e, f, _, _] = station.to_le_bytes();
            self.destination == [a, b, c, d, e, f]
        }
    }

    /// Whether it is for a group of stations (broadcast included).
    #[inline(always)]
    pub const fn is_group(&self) -> bool {
        self.destination[0] & 1 != 0
    }
}

impl VlanTag {
    /// Its length in bytes.
    pub const LENGTH: usize = size_of::<Self>();

    /// What the tagged frame carries.
    #[inline(always)]
    pub fn ether_type(&self) -> EtherType {
        EtherType::from_raw(self.ether_type.raw())
    }
}
