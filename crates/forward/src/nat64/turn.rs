//! A packet becomes one of the other family.

use weir_abi::keys::Flow;
use weir_abi::reason::Reason;
use weir_wire::bytes::Be16;
use weir_wire::checksum::Delta;
use weir_wire::ethernet::Ethernet;
use weir_wire::transport::{Ports, Tcp, Udp};

use crate::full_nat::blank_timestamps;
use crate::hook::{Hook, Refused};
use crate::job::Job;
use crate::nat64::header::{Heading, Side, difference};
use crate::parse::{Segment, Transport};
use crate::tables::Tables;

/// Makes the packet what it is on the other side.
#[cfg_attr(target_arch = "bpf", inline(never))]
pub(super) fn turn<I: Side, O: Side, H: Hook, T: Tables>(
    job: &mut Job<'_, I, H, T>,
    out: &Segment<O::Address>,
    reason: Reason,
) -> Result<(), Refused> {
    let segment = &job.segment;
    if segment.network as usize != Ethernet::LENGTH {
        // A tag in the bytes, in front of which the kernel would make room.
        return Err(Refused);
    }
    let transport = job.hook.transport(segment);
    let (checksum, udp, is_syn) = match transport {
        Transport::Tcp(control) => (Tcp::CHECKSUM, false, control.syn()),
        Transport::Udp => (Udp::CHECKSUM, true, false),
        Transport::Sctp(_) | Transport::Secured => return Err(Refused),
    };
    let removed = (segment.payload - segment.network) as usize;
    let payload = segment.transport_length();
    let (addresses, ports) = difference::<I, O>(&segment.flow, &out.flow);
    let is_unsummed = udp && O::NEEDS_SUM && is_unsummed(job.hook, segment.payload as usize);
    if is_unsummed {
        // All of it is read; a segment made large by offloading would be summed as a whole.
        if job.hook.piece_length() != 0 {
            return Err(Refused);
        }
        job.hook
            .resize((segment.network + segment.length) as usize)?;
    }
    job.hook.change_family(O::NUMBER, removed, O::HEADER)?;
    let forbids = !O::may_be_cut(out.length);
    let heading = Heading {
        class: I::class(segment.flow_information),
        // The kernel takes it from what is left to it.
        hops: if reason == Reason::ToBeFragmented {
            segment.hops
        } else {
            segment.hops.wrapping_sub(1)
        },
        protocol: segment.flow.protocol as u8,
        payload,
        identification: if forbids {
            0
        } else {
            job.tables.identification()
        },
        forbids,
    };
    O::put(job.hook, Ethernet::LENGTH, &heading, &out.flow)?;
    let at = Ethernet::LENGTH + O::HEADER;
    let header = job.hook.header_mut::<Ports>(at).ok_or(Refused)?;
    header.set_source(out.flow.source_port);
    header.set_destination(out.flow.destination_port);
    if is_unsummed {
        return fill::<O, H>(job.hook, at, payload, &out.flow, ports);
    }
    job.hook
        .correct_checksum(at + checksum, addresses, ports, udp)?;
    // As FULLNAT does, for the same reason.
    if is_syn && reason == Reason::Request {
        return blank_timestamps(job.hook, at);
    }
    Ok(())
}

/// Whether a datagram comes without a checksum (RFC 768), which IPv6 does not take (RFC 8200, 8.1).
#[inline(always)]
fn is_unsummed<H: Hook>(hook: &H, udp: usize) -> bool {
    match hook.header::<Udp>(udp) {
        Some(header) => header.checksum() == 0,
        None => false,
    }
}

/// Computes a datagram's checksum (RFC 7915, 4.5).
#[inline(always)]
fn fill<O: Side, H: Hook>(
    hook: &mut H,
    at: usize,
    length: u16,
    flow: &Flow<O::Address>,
    ports: Delta,
) -> Result<(), Refused> {
    const LONGEST: u16 = 1500;
    if length > LONGEST {
        return Err(Refused);
    }
    let mut sum = hook
        .sum(at, length as usize)?
        .add((length as u32).to_be())
        .add(flow.protocol.to_be());
    O::each_word(flow.source, |word| sum = sum.add(word));
    O::each_word(flow.destination, |word| sum = sum.add(word));
    let checksum = match sum.complement() {
        0 => u16::MAX,
        checksum => checksum,
    };
    hook.put(at + Udp::CHECKSUM, &Be16::from_raw(checksum))?;
    // The ports have changed without the kernel's knowing.
    hook.tell_of_change(ports);
    Ok(())
}
