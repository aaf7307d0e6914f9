//! How long connections last.

use std::num::NonZeroU32;

/// The three timeouts that `ipvsadm --set` changes, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Timeouts {
    /// TCP ESTABLISHED (default 900).
    pub tcp: u32,
    /// TCP FIN_WAIT (default 120).
    pub tcp_fin: u32,
    /// UDP (default 300).
    pub udp: u32,
}

impl Timeouts {
    /// Three times 0: as `ipvsadm --set 0 0 0`, which keeps what is.
    pub const UNCHANGED: Self = Self {
        tcp: 0,
        tcp_fin: 0,
        udp: 0,
    };
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            tcp: 900,
            tcp_fin: 120,
            udp: 300,
        }
    }
}

/// A service's own timeouts in seconds; the director's where nothing is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct ServiceTimeouts {
    /// TCP ESTABLISHED.
    pub tcp: Option<NonZeroU32>,
    /// TCP FIN_WAIT.
    pub tcp_fin: Option<NonZeroU32>,
    /// UDP.
    pub udp: Option<NonZeroU32>,
}
