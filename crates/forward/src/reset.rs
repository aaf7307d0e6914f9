//! Turns a TCP segment that nobody takes into the reset that answers it (RFC 9293, 3.10.7.1), for
//! services that would rather say so than let the client wait.

use weir_abi::keys::FAMILY_V4;
use weir_wire::checksum::Delta;
use weir_wire::ethernet::Ethernet;
use weir_wire::ipv4::Ipv4;
use weir_wire::ipv6::Ipv6;
use weir_wire::transport::{TCP, Tcp};

use crate::family::Family;
use crate::hook::{Hook, Refused};
use crate::parse::Segment;

/// Makes the segment the reset, to be sent back where it came from.
#[cfg_attr(target_arch = "bpf", inline(never))]
pub fn reset<F: Family, H: Hook>(
    hook: &mut H,
    segment: &Segment<F::Address>,
) -> Result<(), Refused> {
    if segment.network as usize != Ethernet::LENGTH {
        // A tag in the bytes: the answer would have to carry it. TC sees single tags stripped.
        return Err(Refused);
    }
    let (sequence, acknowledgement, flags) = numbers(hook, segment)?;
    let network = if F::NUMBER == FAMILY_V4 {
        Ipv4::LENGTH
    } else {
        Ipv6::LENGTH
    };
    let transport = Ethernet::LENGTH + network;
    hook.reshape(transport + Tcp::LENGTH, 0)?;
    let link = hook.header_mut::<Ethernet>(0).ok_or(Refused)?;
    *link = Ethernet::new(link.source, link.destination, link.ether_type());

    let flow = &segment.flow;
    if F::NUMBER == FAMILY_V4 {
        let header = hook.header_mut::<Ipv4>(Ethernet::LENGTH).ok_or(Refused)?;
        *header = Ipv4::new(TCP, 0, Tcp::LENGTH as u16);
        header.set_source([F::widen(flow.destination)[0]]);
        header.set_destination([F::widen(flow.source)[0]]);
        header.fill_checksum();
    } else {
        let header = hook.header_mut::<Ipv6>(Ethernet::LENGTH).ok_or(Refused)?;
        *header = Ipv6::new(TCP, Tcp::LENGTH as u16);
        header.set_source(F::widen(flow.destination));
        header.set_destination(F::widen(flow.source));
    }
    let mut pseudo = Delta::ZERO
        .add((TCP as u32).to_be())
        .add((Tcp::LENGTH as u32).to_be());
    F::each_word(flow.source, |word| pseudo = pseudo.add(word));
    F::each_word(flow.destination, |word| pseudo = pseudo.add(word));
    let ports = (flow.destination_port, flow.source_port);
    let header = hook.header_mut::<Tcp>(transport).ok_or(Refused)?;
    *header = Tcp::bare(ports, sequence, acknowledgement, flags, pseudo);
    Ok(())
}

/// Sequence number, acknowledgement number and control bits of the reset.
#[inline(always)]
fn numbers<A: Copy, H: Hook>(hook: &H, segment: &Segment<A>) -> Result<(u32, u32, u8), Refused> {
    const RST: u8 = 0x04;
    const ACK: u8 = 0x10;
    let tcp = hook
        .header::<Tcp>(segment.payload as usize)
        .ok_or(Refused)?;
    let flags = tcp.flags();
    if flags.rst() {
        // A reset is never answered.
        return Err(Refused);
    }
    if flags.ack() {
        return Ok((tcp.acknowledgement(), 0, RST));
    }
    let before = segment.payload as u32 - segment.network as u32 + tcp.header_length() as u32;
    let data = (segment.length as u32).saturating_sub(before);
    let counted = data + flags.syn() as u32 + flags.fin() as u32;
    Ok((0, tcp.sequence().wrapping_add(counted), RST | ACK))
}
