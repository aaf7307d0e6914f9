//! Packets whose link header the kernel has lost sight of.
//!
//! Before generic XDP runs, Linux 6.9 and later copy a packet that has too little room in front
//! (`skb_pp_cow_data`), and the copy's `mac_len` is 0: the TC hook after it then sees the packet
//! begin at its network header, and so would `bpf_redirect_neigh`.

use aya_ebpf::bindings::{__sk_buff, bpf_hdr_start_off};
use aya_ebpf::helpers::{
    bpf_skb_change_head, bpf_skb_load_bytes, bpf_skb_load_bytes_relative, bpf_skb_store_bytes,
};
use weir_forward::hook::Refused;
use weir_wire::ethernet::Ethernet;
use weir_wire::packet::Packet;

/// Whether what `packet` begins with may be its network header. Cheap, and wrong now and then in
/// saying yes: then [`restore`] finds nothing to do.
#[inline(always)]
pub fn may_be_lost<P: Packet>(packet: &P, protocol: u32) -> bool {
    let Some(link) = packet.header::<[u8; Ethernet::LENGTH]>(0) else {
        return false;
    };
    let kind = u16::from_ne_bytes([link[12], link[13]]);
    // Both versions of IP: an address may look like a type, but there is no network header without.
    let version = link[0] >> 4;
    kind as u32 != protocol || version == 4 || version == 6
}

/// Puts the link header in front again, if it is not there.
#[inline(never)]
pub fn restore(skb: *mut __sk_buff) -> Result<(), Refused> {
    let mut link = [0u8; Ethernet::LENGTH];
    let mut first = [0u8; Ethernet::LENGTH];
    let length = Ethernet::LENGTH as u32;
    // SAFETY: the context is a live `__sk_buff`, the buffers are as long as is said, and nobody
    // holds a pointer into the packet.
    unsafe {
        let from_link = bpf_skb_load_bytes_relative(
            skb.cast(),
            0,
            link.as_mut_ptr().cast(),
            length,
            bpf_hdr_start_off::BPF_HDR_START_MAC,
        );
        let from_first = bpf_skb_load_bytes(skb.cast(), 0, first.as_mut_ptr().cast(), length);
        if from_link != 0 || from_first != 0 || link == first {
            return Ok(());
        }
        // Makes the room that it adds the link header, as the kernel sees it.
        if bpf_skb_change_head(skb, length, 0) != 0
            || bpf_skb_store_bytes(skb.cast(), 0, link.as_ptr().cast(), length, 0) != 0
        {
            return Err(Refused);
        }
    }
    Ok(())
}
