//! Checks that go the way of their service's packets: how a socket of the daemon's says it, and what is
//! remembered for the replies.

use crate::service::{DestinationAddress, Tunnel};

/// What becomes of the packets of a socket that is connected to a real server. It belongs to the socket (an
/// entry of [`MAP_CHECK_WAYS`](crate::names::MAP_CHECK_WAYS)), and goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct CheckWay {
    /// VIP, which takes the RIP's place; of the RIP's family.
    pub virtual_address: [u32; 4],
    /// RIP, and how packets reach it.
    pub server: DestinationAddress,
    /// How they are wrapped, where they are. (The source is that of each packet.)
    pub tunnel: Tunnel,
}

/// The replies of a check, as they come: from the virtual address to a port of the director's. The port is
/// the check's alone, so the director's address need not be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Hash)]
#[repr(C)]
pub struct CheckKey {
    /// VIP.
    pub virtual_address: [u32; 4],
    /// The port there, network byte order.
    pub virtual_port: u16,
    /// The director's port, network byte order.
    pub port: u16,
    /// IANA protocol number.
    pub protocol: u8,
    /// [`crate::keys::FAMILY_V4`] or [`crate::keys::FAMILY_V6`].
    pub family: u8,
    /// Fills up to four bytes.
    pub padding: u16,
}

/// Who is checked by a [`CheckKey`]: the RIP, in network byte order.
pub type Checked = [u32; 4];

/// How many checks' replies are known at once. What is forgotten is learnt again from the next packet.
pub const CHECKS: u32 = 16_384;

const _: () = assert!(size_of::<CheckWay>() == 56);
const _: () = assert!(size_of::<CheckKey>() == 24);
