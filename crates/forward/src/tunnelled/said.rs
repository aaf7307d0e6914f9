//! What an error about an outer packet says to who has sent the packet within.

use weir_abi::keys::{FAMILY_V4, FAMILY_V6};
use weir_wire::ipv4::Ipv4;
use weir_wire::packet::Packet;

use super::passenger::Wraps;
use crate::family::{V4, V6};
use crate::nat64::error::{Cross, Said};

/// A family whose errors tell of tunnels, or are about packets in them.
pub(super) trait Saying: Cross + Wraps {
    /// Whether it says that the packet was too large.
    fn is_too_big(said: Said) -> bool;
    /// What the next link takes; 0 where the router does not say.
    fn mtu(said: Said) -> u32;
    /// The error that says that nothing fits which is larger than such a link takes of outer packets, when
    /// wrapping adds so much.
    fn too_big(mtu: u32, overhead: u32) -> Said;
    /// What anything else is called by who has sent the packet within.
    fn in_words_of<I: Cross>(said: Said) -> Option<Said>;
    /// The type of service of the packet there.
    fn service<P: Packet>(packet: &P, at: usize) -> Option<u8>;
    /// Whether routers may cut the packet there.
    fn lets_cut<P: Packet>(packet: &P, at: usize) -> bool;
}

impl Saying for V4 {
    #[inline(always)]
    fn is_too_big(said: Said) -> bool {
        said.kind == 3 && said.code == 4
    }

    #[inline(always)]
    fn mtu(said: Said) -> u32 {
        said.information & 0xffff
    }

    #[inline(always)]
    fn too_big(mtu: u32, overhead: u32) -> Said {
        // No packet is too large for a link of that size (RFC 791).
        const LEAST: u32 = 68;
        let mtu = if mtu > LEAST + overhead {
            mtu - overhead
        } else {
            mtu
        };
        Said {
            kind: 3,
            code: 4,
            information: if mtu < 0xffff { mtu } else { 0xffff },
        }
    }

    #[inline(always)]
    fn in_words_of<I: Cross>(said: Said) -> Option<Said> {
        if I::NUMBER == FAMILY_V4 {
            return Some(said);
        }
        // Protocol unreachable: it is the tunnel that is not known there, and no header of the client's.
        let host = Said { code: 1, ..said };
        Self::say(
            if said.kind == 3 && said.code == 2 {
                host
            } else {
                said
            },
            0,
        )
    }

    #[inline(always)]
    fn service<P: Packet>(packet: &P, at: usize) -> Option<u8> {
        packet.header::<Ipv4>(at).map(Ipv4::type_of_service)
    }

    #[inline(always)]
    fn lets_cut<P: Packet>(packet: &P, at: usize) -> bool {
        match packet.header::<Ipv4>(at) {
            Some(header) => !header.do_not_fragment(),
            None => false,
        }
    }
}

impl Saying for V6 {
    #[inline(always)]
    fn is_too_big(said: Said) -> bool {
        said.kind == 2
    }

    #[inline(always)]
    fn mtu(said: Said) -> u32 {
        said.information
    }

    #[inline(always)]
    fn too_big(mtu: u32, overhead: u32) -> Said {
        // No link of IPv6 takes less (RFC 8200, 5).
        const LEAST: u32 = 1280;
        Said {
            kind: 2,
            code: 0,
            information: if mtu > LEAST + overhead {
                mtu - overhead
            } else {
                LEAST
            },
        }
    }

    #[inline(always)]
    fn in_words_of<I: Cross>(said: Said) -> Option<Said> {
        let said = match said.kind {
            1 | 3 => said,
            // It is about a header that is not the client's (RFC 2473, 8.2): address unreachable.
            4 => Said {
                kind: 1,
                code: 3,
                information: 0,
            },
            _unknown => return None,
        };
        if I::NUMBER == FAMILY_V6 {
            Some(said)
        } else {
            Self::say(said, 0)
        }
    }

    #[inline(always)]
    fn service<P: Packet>(_packet: &P, _at: usize) -> Option<u8> {
        Some(0)
    }

    #[inline(always)]
    fn lets_cut<P: Packet>(_packet: &P, _at: usize) -> bool {
        false
    }
}
