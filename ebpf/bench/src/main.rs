//! The bench's programs: a packet generator, a bare redirect, a sink.
#![no_std]
#![no_main]

mod orders;

use aya_ebpf::bindings::TC_ACT_SHOT;
use aya_ebpf::bindings::xdp_action::XDP_DROP;
use aya_ebpf::btf_maps::{Array, PerCpuArray};
use aya_ebpf::helpers::bpf_redirect;
use aya_ebpf::macros::{btf_map, classifier, xdp};
use aya_ebpf::programs::{TcContext, XdpContext};
use orders::{FRAME, Hop, Orders, PORT_BITS};

/// The least port of a client.
const FIRST_PORT: u32 = 1024;
const ETHER_TYPE: usize = 12;
const IPV4: u16 = 0x0800_u16.to_be();
const NETWORK_CHECKSUM: usize = 24;
const SOURCE: usize = 26;
const DESTINATION: usize = 30;
const SOURCE_PORT: usize = 34;
const DESTINATION_PORT: usize = 36;

#[btf_map(name = "orders")]
static ORDERS: Array<Orders, 1> = Array::new();
/// The bare redirect's table: interface that a frame came in by -> where it goes.
#[btf_map(name = "hops")]
static HOPS: Array<Hop, 64> = Array::new();
/// Packets that came out: 0 at the real servers, 1 at the clients.
#[btf_map(name = "arrived")]
static ARRIVED: PerCpuArray<u64, 2> = PerCpuArray::new();
/// Flow -> the real server that got it: address, as it lies in the packet. The driver sets its size.
#[btf_map(name = "assigned")]
static ASSIGNED: Array<u32, 1> = Array::new();

/// Writes the whole frame anew, since frames are used again with whatever was done to them, and sends it.
#[xdp]
pub fn generate(context: XdpContext) -> u32 {
    let Some(orders) = ORDERS.get_ptr_mut(0) else {
        return XDP_DROP;
    };
    let Some(frame) = at::<[u8; FRAME]>(&context, 0) else {
        return XDP_DROP;
    };
    // SAFETY: the map's only element, which no other program changes while packets are generated.
    let orders = unsafe { &mut *orders };
    let flow = orders.next;
    let next = flow.wrapping_add(orders.step);
    orders.next = if next >= orders.flows {
        next.wrapping_sub(orders.flows)
    } else {
        next
    };

    let client = (orders.first_client.wrapping_add(flow >> PORT_BITS)).to_be();
    let port = ((FIRST_PORT + (flow & ((1 << PORT_BITS) - 1))) as u16).to_be();
    let mut addresses = halves(client);
    // SAFETY: all within the 60 bytes that were compared with the packet's end, which begin where the kernel's generator
    // lets them, at a multiple of eight; so every field is aligned to the two bytes that it is written by.
    unsafe {
        let words = frame.cast::<u64>();
        words.write(orders.template[0]);
        words.add(1).write(orders.template[1]);
        words.add(2).write(orders.template[2]);
        words.add(3).write(orders.template[3]);
        words.add(4).write(orders.template[4]);
        words.add(5).write(orders.template[5]);
        words.add(6).write(orders.template[6]);
        words.add(7).cast::<u32>().write(orders.template[7] as u32);
        let field = |offset: usize| frame.cast::<u16>().add(offset / 2);
        if orders.reply == 0 {
            write_address(field(SOURCE), client);
            field(SOURCE_PORT).write(port);
        } else {
            let Some(server) = ASSIGNED.get(flow) else {
                return XDP_DROP;
            };
            addresses += halves(*server);
            write_address(field(SOURCE), *server);
            write_address(field(DESTINATION), client);
            field(DESTINATION_PORT).write(port);
        }
        field(NETWORK_CHECKSUM).write(checksum(orders.network_sum + addresses));
        let transport = checksum(orders.transport_sum + addresses + port as u32);
        if orders.checksum_at == 40 {
            field(40).write(transport);
        } else {
            field(50).write(transport);
        }
        bpf_redirect(orders.interface, 0) as u32
    }
}

/// The floor: rewrites the link addresses from a table, and redirects.
#[xdp]
pub fn redirect(context: XdpContext) -> u32 {
    // SAFETY: the context is a live `xdp_md`.
    let interface = unsafe { (*context.ctx).ingress_ifindex };
    let Some(hop) = HOPS.get(interface) else {
        return XDP_DROP;
    };
    if !readdress(context.data(), context.data_end(), hop) {
        return XDP_DROP;
    }
    // SAFETY: a helper without memory arguments.
    unsafe { bpf_redirect(hop.interface, 0) as u32 }
}

/// As `redirect`, of packets that are socket buffers.
#[classifier]
pub fn redirect_tc(context: TcContext) -> i32 {
    // SAFETY: the context is a live `__sk_buff`.
    let interface = unsafe { (*context.skb.skb).ingress_ifindex };
    let Some(hop) = HOPS.get(interface) else {
        return TC_ACT_SHOT;
    };
    if !readdress(context.data(), context.data_end(), hop) {
        return TC_ACT_SHOT;
    }
    // SAFETY: a helper without memory arguments.
    unsafe { bpf_redirect(hop.interface, 0) as i32 }
}

/// Writes the link addresses, if there is a frame to write them to.
#[inline(always)]
fn readdress(start: usize, end: usize, hop: &Hop) -> bool {
    if start + size_of::<[u32; 3]>() > end {
        return false;
    }
    let words = start as *mut u32;
    // SAFETY: twelve bytes that were compared with the packet's end; the generator's frames begin at a multiple of eight,
    // also when they have become socket buffers.
    unsafe {
        words.write(hop.macs[0]);
        words.add(1).write(hop.macs[1]);
        words.add(2).write(hop.macs[2]);
    }
    true
}

/// Counts what came out at the real servers, and drops it.
#[xdp]
pub fn count_requests(context: XdpContext) -> u32 {
    count(&context, 0)
}

/// Counts what came out at the clients, and drops it.
#[xdp]
pub fn count_replies(context: XdpContext) -> u32 {
    count(&context, 1)
}

/// As `count_requests`; writes down which real server the flow got.
#[xdp]
pub fn learn(context: XdpContext) -> u32 {
    let (Some(addresses), Some(orders)) = (at::<[u16; 5]>(&context, SOURCE), ORDERS.get(0)) else {
        return XDP_DROP;
    };
    // SAFETY: within the packet, as compared with its end, at a multiple of two.
    let [c0, c1, s0, s1, port] = unsafe { addresses.read() };
    let client = c0 as u32 | (c1 as u32) << 16;
    let server = s0 as u32 | (s1 as u32) << 16;
    let address = u32::from_be(client).wrapping_sub(orders.first_client);
    let flow = (address << PORT_BITS) + (u16::from_be(port) as u32).wrapping_sub(FIRST_PORT);
    if let Some(assigned) = ASSIGNED.get_ptr_mut(flow) {
        // SAFETY: an element of the map.
        unsafe { *assigned = server };
    }
    count(&context, 0)
}

#[inline(always)]
fn count(context: &XdpContext, side: u32) -> u32 {
    let (Some(ether_type), Some(arrived)) =
        (at::<u16>(context, ETHER_TYPE), ARRIVED.get_ptr_mut(side))
    else {
        return XDP_DROP;
    };
    // The hosts' own talk, like neighbour discovery, does not count. SAFETY: within the packet; this processor's element.
    unsafe {
        if ether_type.read() == IPV4 {
            *arrived += 1;
        }
    }
    XDP_DROP
}

#[inline(always)]
fn at<T>(context: &XdpContext, offset: usize) -> Option<*mut T> {
    let start = context.data() + offset;
    (start + size_of::<T>() <= context.data_end()).then_some(start as *mut T)
}

/// SAFETY: as writing two words at `field`.
#[inline(always)]
unsafe fn write_address(field: *mut u16, address: u32) {
    // SAFETY: the caller's.
    unsafe {
        field.write(address as u16);
        field.add(1).write((address >> 16) as u16);
    }
}

#[inline(always)]
fn halves(word: u32) -> u32 {
    (word >> 16) + (word & 0xffff)
}

/// The checksum for a sum; never zero, which would mean "none" in UDP.
#[inline(always)]
fn checksum(sum: u32) -> u16 {
    let once = (sum >> 16) + (sum & 0xffff);
    let twice = (once >> 16) + (once & 0xffff);
    let sum = !(twice as u16);
    if sum == 0 { 0xffff } else { sum }
}

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    // The verifier refuses a program that could come here.
    loop {}
}

/// The kernel lends some helpers only to programs under its own licence.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 4] = *b"GPL\0";
