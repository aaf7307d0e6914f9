//! What network headers tell of fragments.

use weir_wire::ipv4::Ipv4;
use weir_wire::ipv6::{ExtensionHeader, FragmentHeader, Ipv6, NextHeader};
use weir_wire::packet::Packet;

use crate::family::{Family, V4, V6};
use crate::parse::EXTENSION_HEADERS;

/// A family whose packets are fragmented.
pub trait Fragmented: Family {
    /// Which fragment of which packet it is.
    fn piece<P: Packet>(packet: &P, network: usize) -> Option<Piece>;

    /// Whether something else may lie between the network header and a transport, where fragments
    /// are cut.
    fn may_hide_transport(protocol: u8) -> bool;
}

/// A fragment, as its network header tells of it.
pub struct Piece {
    /// What the fragments of one packet have in common.
    pub(super) identification: u32,
    /// The protocol, where that is common to them too.
    pub(super) protocol: u8,
    /// Whether no other comes behind it.
    pub(super) is_last: bool,
    /// How many bytes of the packet are before its own.
    pub(super) offset: u32,
    /// Where in the frame its own begin.
    pub(super) begin: usize,
}

impl Fragmented for V4 {
    #[inline(always)]
    fn piece<P: Packet>(packet: &P, network: usize) -> Option<Piece> {
        let header = packet.header::<Ipv4>(network)?;
        Some(Piece {
            identification: header.identification() as u32,
            protocol: header.protocol(),
            is_last: !header.more_fragments(),
            offset: (header.fragment_offset() as u32) << 3,
            begin: network + header.header_length(),
        })
    }

    #[inline(always)]
    fn may_hide_transport(_protocol: u8) -> bool {
        false
    }
}

impl Fragmented for V6 {
    #[inline(always)]
    fn piece<P: Packet>(packet: &P, network: usize) -> Option<Piece> {
        let mut next = packet.header::<Ipv6>(network)?.next_header();
        let mut at = network + Ipv6::LENGTH;
        let mut turn = 0;
        while turn < EXTENSION_HEADERS {
            match NextHeader::of(next) {
                NextHeader::Payload(_) => return None,
                NextHeader::Fragment => {
                    let header = packet.header::<FragmentHeader>(at)?;
                    return Some(Piece {
                        identification: header.identification(),
                        protocol: 0,
                        is_last: !header.more(),
                        offset: (header.offset() as u32) << 3,
                        begin: at + FragmentHeader::LENGTH,
                    });
                }
                NextHeader::Extension => {
                    let extension = packet.header::<ExtensionHeader>(at)?;
                    next = extension.next_header;
                    at += extension.length();
                }
            }
            turn += 1;
        }
        None
    }

    #[inline(always)]
    fn may_hide_transport(protocol: u8) -> bool {
        NextHeader::of(protocol) == NextHeader::Extension
    }
}
