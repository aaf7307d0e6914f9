//! What the schedulers lblc and lblcr remember: which real servers an address has.

use crate::shared::{Shared32, Shared64};

/// The address that a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Hash)]
#[repr(C)]
pub struct LocalityKey {
    /// The service's slot.
    pub service: u32,
    /// The destination address, network byte order (IPv4: the first word).
    pub address: [u32; 4],
}

/// How many real servers an address can have. (IPVS knows no limit; a set that is full stays as it is.)
pub const MEMBERS: usize = 16;

/// The real servers of one address.
#[derive(Debug, Default, Clone)]
#[repr(C)]
pub struct Locality {
    /// It counts only under the service's own number
    /// ([`Service::locality_epoch`](crate::service::Service::locality_epoch)).
    pub epoch: Shared32,
    /// The tick of the last connection to the address.
    pub last_use: Shared32,
    /// The tick of the last change of the members.
    pub changed: Shared32,
    /// 1 while a processor changes the members. Who finds it so leaves them as they are.
    pub lock: Shared32,
    /// How many members there are.
    pub length: Shared32,
    /// What is to come.
    pub reserved: Shared32,
    /// [`Member`]s, the newest last.
    pub members: [Shared64; MEMBERS],
}

/// A real server: its slot in the low half, in the high half whose the slot is
/// ([`Destination::tenant`](crate::service::Destination::tenant)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Member(pub u64);

impl Member {
    /// That tenant of a slot.
    #[inline(always)]
    pub const fn new(slot: u32, tenant: u32) -> Self {
        Self(slot as u64 | (tenant as u64) << 32)
    }

    /// The slot.
    #[inline(always)]
    pub const fn slot(self) -> u32 {
        self.0 as u32
    }

    /// Its tenant.
    #[inline(always)]
    pub const fn tenant(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// How many addresses of one service are remembered before the oldest are given up (IPVS:
/// `IP_VS_LBLC_TAB_SIZE * 16`).
pub const LOCALITIES_OF_SERVICE: u32 = 16_384;

const _: () = assert!(size_of::<Locality>() == 152);
const _: () = assert!(size_of::<LocalityKey>() == 20);
