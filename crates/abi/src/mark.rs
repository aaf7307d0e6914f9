//! Firewall marks that Weir sets itself, so that they work at every hook.

use crate::shared::{Shared, Shared32};

/// Which packets get a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct MarkRule {
    /// Destination addresses, network byte order; IPv4 in the first word.
    pub address: [u32; 4],
    /// The bits of them that count.
    pub mask: [u32; 4],
    /// The interface that the packet came in by; 0 for any.
    pub interface: u32,
    /// The mark, never 0.
    pub mark: u32,
    /// The first destination port, host byte order.
    pub first_port: u16,
    /// The last one.
    pub last_port: u16,
    /// IANA protocol number; 0 for any that can be scheduled.
    pub protocol: u8,
    /// [`crate::keys::FAMILY_V4`] or [`crate::keys::FAMILY_V6`].
    pub family: u8,
    /// Zero.
    pub padding: u16,
}

/// A place of the `marks` table. The first rule that fits wins.
#[derive(Debug, Default, Clone)]
#[repr(C, align(64))]
pub struct MarkRecord {
    /// The rule.
    pub rule: Shared<MarkRule>,
    /// What is to come.
    pub reserved: Shared32,
}

/// How many rules there can be.
pub const MARK_RULES: u32 = 1024;

const _: () = assert!(size_of::<MarkRecord>() == 64);
