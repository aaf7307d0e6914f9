//! Addresses and ports of the director's that stand for clients towards real servers (FULLNAT).

use crate::shared::Shared32;

/// A place of the `pools` table: an address in network byte order, IPv4 in the first word.
#[derive(Debug, Default, Clone)]
#[repr(C, align(16))]
pub struct PoolAddress {
    /// The address.
    pub words: [Shared32; 4],
}

/// How many addresses a service can have.
pub const POOL_ADDRESSES: u32 = 8;

/// How many places a service has in the table, at its slot times this: for its addresses and for those that
/// take their place, so that no packet sees one that is half written.
pub const POOL_PLACES: u32 = 2 * POOL_ADDRESSES;

/// The first port that is claimed: those below are for who serves there.
pub const FIRST_PORT: u16 = 1024;

/// How many ports of one address can be claimed towards one real server.
pub const PORTS: u32 = 65_536 - FIRST_PORT as u32;

const _: () = assert!(size_of::<PoolAddress>() == 16);
