//! Network address translation of an ICMP error and of the packet that it quotes.
//!
//! As IPVS leaves them (`ip_vs_nat_icmp`): of the quoted packet the network header is whole again, the
//! transport's checksum is still that of the packet that was sent, which nobody holds against it.

use weir_abi::keys::Direction;
use weir_wire::checksum::Delta;
use weir_wire::icmp::IcmpError;
use weir_wire::ipv4::Ipv4;
use weir_wire::transport::Ports;

use crate::family::{V4, V6};
use crate::hook::{Hook, Refused};
use crate::parse::Segment;
use crate::related::parse::{Errors, Quoted};
use crate::translate::{End, Hop, Translate};

/// A family whose ICMP errors are translated.
pub trait TranslateErrors: Errors + Translate {
    /// Puts an address into the quoted network header, whose own checksum is computed anew; what the
    /// ICMP checksum covers changes by what is returned.
    fn rewrite_quoted<H: Hook>(
        hook: &mut H,
        quoted: &Quoted<Self::Address>,
        direction: Direction,
        address: Self::Address,
    ) -> Result<Delta, Refused>;

    /// What the pseudo header adds to an ICMP checksum for the addresses of a packet, whose payload
    /// has that length.
    fn pseudo_header(segment: &Segment<Self::Address>, length: usize) -> Delta;

    /// What a change of the outer address means for the pseudo header.
    fn pseudo_change(addresses: Delta) -> Delta;
}

/// Translates an error in place: one on its way to the real server (a request's direction) is for it,
/// and about its packet; one on its way to the client (a reply's) is from the VIP, and about a packet
/// to there. `end` is the real server's, or the virtual one.
#[inline(always)]
pub fn translate<F: TranslateErrors, H: Hook>(
    hook: &mut H,
    segment: &Segment<F::Address>,
    quoted: &Quoted<F::Address>,
    end: End<F::Address>,
    direction: Direction,
    hop: Hop,
) -> Result<(), Refused> {
    let (from, back) = match direction {
        Direction::Request => (segment.flow.destination, Direction::Reply),
        Direction::Reply => (segment.flow.source, Direction::Request),
    };
    let outer = F::delta(from, end.address);
    let network = segment.network as usize;
    F::rewrite(hook, network, direction, end.address, outer, hop).ok_or(Refused)?;
    // What comes back: the quoted packet goes the other way.
    let header = F::rewrite_quoted(hook, quoted, back, end.address)?;
    let ports = hook
        .header_mut::<Ports>(quoted.ports as usize)
        .ok_or(Refused)?;
    let old = match back {
        Direction::Request => {
            let old = ports.destination();
            ports.set_destination(end.port);
            old
        }
        Direction::Reply => {
            let old = ports.source();
            ports.set_source(end.port);
            old
        }
    };
    hook.correct_checksum(
        segment.payload as usize + IcmpError::CHECKSUM,
        F::pseudo_change(outer),
        header.replace16(old, end.port),
        false,
    )
}

/// Whether an error's checksum is right. Of one that is longer than any router sends, it is taken to be.
#[inline(always)]
pub fn is_whole<F: TranslateErrors, H: Hook>(
    hook: &H,
    segment: &Segment<F::Address>,
) -> Result<bool, Refused> {
    const LONGEST: usize = 1500;
    let end = segment.network as usize + segment.length as usize;
    let length = end - segment.payload as usize;
    if length > LONGEST {
        return Ok(true);
    }
    let sum = hook.sum(segment.payload as usize, length)?;
    Ok(sum.and(F::pseudo_header(segment, length)).complement() == 0)
}

impl TranslateErrors for V4 {
    #[inline(always)]
    fn rewrite_quoted<H: Hook>(
        hook: &mut H,
        quoted: &Quoted<[u32; 1]>,
        direction: Direction,
        address: [u32; 1],
    ) -> Result<Delta, Refused> {
        let network = quoted.network as usize;
        let header = hook.header_mut::<Ipv4>(network).ok_or(Refused)?;
        let old_checksum = header.checksum();
        let old = match direction {
            Direction::Request => {
                let old = header.destination();
                header.set_destination(address);
                old
            }
            Direction::Reply => {
                let old = header.source();
                header.set_source(address);
                old
            }
        };
        header.set_checksum(0);
        let length = header.header_length();
        let checksum = hook.sum(network, length)?.complement();
        let header = hook.header_mut::<Ipv4>(network).ok_or(Refused)?;
        header.set_checksum(checksum);
        Ok(Delta::ZERO
            .replace_address(&old, &address)
            .replace16(old_checksum, checksum))
    }

    #[inline(always)]
    fn pseudo_header(_segment: &Segment<[u32; 1]>, _length: usize) -> Delta {
        Delta::ZERO
    }

    #[inline(always)]
    fn pseudo_change(_addresses: Delta) -> Delta {
        Delta::ZERO
    }
}

impl TranslateErrors for V6 {
    #[inline(always)]
    fn rewrite_quoted<H: Hook>(
        hook: &mut H,
        quoted: &Quoted<[u32; 4]>,
        direction: Direction,
        address: [u32; 4],
    ) -> Result<Delta, Refused> {
        let old = match direction {
            Direction::Request => quoted.answers.source,
            Direction::Reply => quoted.answers.destination,
        };
        let network = quoted.network as usize;
        let delta = Self::delta(old, address);
        Self::rewrite(hook, network, direction, address, delta, Hop::Left).ok_or(Refused)?;
        Ok(delta)
    }

    #[inline(always)]
    fn pseudo_header(segment: &Segment<[u32; 4]>, length: usize) -> Delta {
        Delta::ZERO
            .add((length as u32).to_be())
            .add(segment.flow.protocol.to_be())
            .replace_address(&[0; 4], &segment.flow.source)
            .replace_address(&[0; 4], &segment.flow.destination)
    }

    #[inline(always)]
    fn pseudo_change(addresses: Delta) -> Delta {
        addresses
    }
}
