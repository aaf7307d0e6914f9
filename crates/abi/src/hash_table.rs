//! The tables of the hashing schedulers dh, sh and mh: which real server a bucket has.
//!
//! A table is a run of pages in the `buckets` array. The director fills another run, then
//! [`Service::hash_table`](crate::service::Service::hash_table) names that in one store: a packet sees
//! the table before or the table after.

use crate::shared::Shared32;

/// Buckets of one page.
pub const BUCKETS_PER_PAGE: u32 = 256;
/// Buckets of destination hashing (IPVS: `1 << IP_VS_DH_TAB_BITS`).
pub const DH_BUCKETS: u32 = 256;
/// Buckets of source hashing (IPVS: `1 << IP_VS_SH_TAB_BITS`).
pub const SH_BUCKETS: u32 = 256;
/// Buckets of Maglev hashing: the prime of `IP_VS_MH_TAB_INDEX` 12, the default.
pub const MH_BUCKETS: u32 = 4093;

/// A part of a table.
#[derive(Debug, Clone)]
#[repr(C)]
pub struct BucketPage {
    /// The slot of the service that has the page, and 1; 0 where it is free.
    pub owner: Shared32,
    /// What is to come.
    pub reserved: Shared32,
    /// Slots of real servers.
    pub buckets: [Shared32; BUCKETS_PER_PAGE as usize],
}

impl Default for BucketPage {
    fn default() -> Self {
        Self {
            owner: Shared32::default(),
            reserved: Shared32::default(),
            buckets: [const { Shared32::new(0) }; BUCKETS_PER_PAGE as usize],
        }
    }
}

/// Where a service's table lies: its first page in the low half, how many buckets it has in the high
/// half; 0 where there is no table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct HashTable(pub u64);

impl HashTable {
    /// No table.
    pub const NONE: Self = Self(0);

    /// A table.
    #[inline(always)]
    pub const fn new(first_page: u32, buckets: u32) -> Self {
        Self(first_page as u64 | (buckets as u64) << 32)
    }

    /// Its first page.
    #[inline(always)]
    pub const fn first_page(self) -> u32 {
        self.0 as u32
    }

    /// How many buckets it has.
    #[inline(always)]
    pub const fn buckets(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// How many pages it has.
    #[inline(always)]
    pub const fn pages(self) -> u32 {
        self.buckets().div_ceil(BUCKETS_PER_PAGE)
    }
}

/// What Maglev hashing's first hash is keyed by: the place of a client, and where a real server begins
/// (`ip_vs_mh.c`).
pub const MAGLEV_KEY_1: u64 = 2_654_435_761;
/// What its second hash is keyed by: how far a real server goes each time.
pub const MAGLEV_KEY_2: u64 = 2_654_446_892;

/// Maglev hashing's hash: the kernel's `hsiphash` of four bytes, on 64-bit machines SipHash-1-3 with
/// the key twice, its lower half (lib/siphash.c).
#[inline(always)]
pub const fn maglev_hash(value: u32, key: u64) -> u32 {
    let mut v = [
        0x736f_6d65_7073_6575 ^ key,
        0x646f_7261_6e64_6f6d ^ key,
        0x6c79_6765_6e65_7261 ^ key,
        0x7465_6462_7974_6573 ^ key,
    ];
    let last = 4 << 56 | value as u64;
    v[3] ^= last;
    v = sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    v = sip_round(sip_round(sip_round(v)));
    (v[0] ^ v[1] ^ v[2] ^ v[3]) as u32
}

#[inline(always)]
const fn sip_round([a, b, c, d]: [u64; 4]) -> [u64; 4] {
    let a = a.wrapping_add(b);
    let c = c.wrapping_add(d);
    let b = b.rotate_left(13) ^ a;
    let d = d.rotate_left(16) ^ c;
    let a = a.rotate_left(32).wrapping_add(d);
    let c = c.wrapping_add(b);
    let d = d.rotate_left(21) ^ a;
    let b = b.rotate_left(17) ^ c;
    [a, b, c.rotate_left(32), d]
}
