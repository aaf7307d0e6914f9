//! The program of a real server: takes packets out of the tunnels in which a director sends them.

use core::mem::offset_of;

use aya_ebpf::bindings::bpf_adj_room_mode::BPF_ADJ_ROOM_MAC;
use aya_ebpf::bindings::{
    __sk_buff, BPF_F_ADJ_ROOM_FIXED_GSO, BPF_F_RECOMPUTE_CSUM, TC_ACT_SHOT, TC_ACT_UNSPEC,
};
use aya_ebpf::btf_maps::{HashMap, LruHashMap, PerCpuArray};
use aya_ebpf::helpers::{
    bpf_ktime_get_ns, bpf_set_hash_invalid, bpf_skb_adjust_room, bpf_skb_change_proto,
    bpf_skb_change_tail, bpf_skb_load_bytes, bpf_skb_pull_data, bpf_skb_store_bytes,
};
use aya_ebpf::macros::{btf_map, classifier};
use aya_ebpf::programs::TcContext;
use weir_abi::realserver::{
    DECAPSULATIONS, PORTION, PORTIONS, PREPARED, Portion, PortionInfo, PortionKey, Prepared,
};
use weir_forward::decapsulate::{Arrival, Version, decapsulate};
use weir_forward::hook::Refused;
use weir_wire::checksum::Delta;
use weir_wire::packet::{Header, Packet};

use crate::frame;

#[btf_map(name = "prepared")]
static PREPARED_TABLE: HashMap<Prepared, u32, PREPARED> = HashMap::new();
#[btf_map(name = "decapsulations")]
static DECAPSULATION_COUNTS: PerCpuArray<u64, DECAPSULATIONS> = PerCpuArray::new();
#[btf_map(name = "portions")]
static PORTION_TABLE: LruHashMap<PortionKey, Portion, PORTIONS> = LruHashMap::new();
#[btf_map(name = "portion_scratch")]
static PORTION_SCRATCH: PerCpuArray<Portion, 1> = PerCpuArray::new();

/// How long a portion waits for the other, in nanoseconds: they were sent together.
const PATIENCE: u64 = 1_000_000_000;

/// Link header, IPv6, UDP: enough to see that a packet is in no tunnel.
const FIRST: u32 = 62;
/// Link header, IPv4 with all its options or IPv6 with some, UDP, GUE with its options, IPv6.
const HEADERS: u32 = 144;

/// A packet at the TC ingress hook of a real server.
struct Frame(*mut __sk_buff);

#[classifier]
pub fn weir_decapsulate(context: TcContext) -> i32 {
    let mut frame = Frame(context.skb.skb);
    if !frame.is_for_us() {
        return TC_ACT_UNSPEC;
    }
    frame.pull(FIRST);
    let Some(became) = decapsulate(&mut frame) else {
        return TC_ACT_UNSPEC;
    };
    if let Some(count) = DECAPSULATION_COUNTS.get_ptr_mut(became as u32) {
        // SAFETY: a value of this processor, which no other changes.
        unsafe { *count += 1 };
    }
    if became.is_passed() {
        TC_ACT_UNSPEC
    } else {
        TC_ACT_SHOT
    }
}

impl Frame {
    #[inline(always)]
    fn context(&self) -> &__sk_buff {
        // SAFETY: the context is a live `__sk_buff`.
        unsafe { &*self.0 }
    }

    /// Whether this station is meant, and this interface: a tagged packet is another's.
    #[inline(always)]
    fn is_for_us(&self) -> bool {
        const PACKET_HOST: u32 = 0;
        self.context().pkt_type == PACKET_HOST && self.context().vlan_present == 0
    }

    /// Makes the first bytes readable.
    #[inline(always)]
    fn pull(&mut self, length: u32) {
        let linear = self.data_end() - self.data();
        let whole = self.context().len;
        let wanted = if whole < length { whole } else { length };
        if linear < wanted as usize {
            // What cannot be pulled is not there for parsing either.
            // SAFETY: the context is a live `__sk_buff`; pointers are taken anew after the call.
            let _ = unsafe { bpf_skb_pull_data(self.0, wanted) };
        }
    }

    #[inline(always)]
    fn data(&self) -> usize {
        let data: u64;
        // SAFETY: a load from the live `__sk_buff`, written out because to the compiler a pointer
        // into the packet is a number of 32 bits there, and half a pointer is none to the verifier.
        unsafe {
            core::arch::asm!(
                "{0} = *(u32 *)({1} + {2})",
                out(reg) data,
                in(reg) self.0,
                const offset_of!(__sk_buff, data),
                options(nostack, readonly)
            );
        }
        data as usize
    }

    #[inline(always)]
    fn data_end(&self) -> usize {
        let end: u64;
        // SAFETY: as for `data`.
        unsafe {
            core::arch::asm!(
                "{0} = *(u32 *)({1} + {2})",
                out(reg) end,
                in(reg) self.0,
                const offset_of!(__sk_buff, data_end),
                options(nostack, readonly)
            );
        }
        end as usize
    }
}

impl Packet for Frame {
    #[inline(always)]
    fn header<T: Header>(&self, offset: usize) -> Option<&T> {
        let at = frame::pointer::<T>(self.data(), self.data_end(), offset)?;
        // SAFETY: within the packet, and T takes any bytes.
        Some(unsafe { &*at })
    }

    #[inline(always)]
    fn header_mut<T: Header>(&mut self, offset: usize) -> Option<&mut T> {
        let at = frame::pointer::<T>(self.data(), self.data_end(), offset)?;
        // SAFETY: within the packet, T takes any bytes, and `self` is borrowed for as long.
        Some(unsafe { &mut *at })
    }

    #[inline(always)]
    fn holds(&self, length: usize) -> bool {
        length as u32 <= self.context().len
    }
}

impl Arrival for Frame {
    #[inline(always)]
    fn is_prepared(&self, what: &Prepared) -> bool {
        // SAFETY: nothing is read of the value.
        unsafe { PREPARED_TABLE.get(what) }.is_some()
    }

    #[inline(always)]
    fn is_merged(&self) -> bool {
        let size: u64;
        // SAFETY: a load from the live `__sk_buff`, written out because the verifier wants the
        // context's own address with the offset in the instruction.
        unsafe {
            core::arch::asm!(
                "{0} = *(u32 *)({1} + {2})",
                out(reg) size,
                in(reg) self.0,
                const offset_of!(__sk_buff, gso_size),
                options(nostack, readonly, pure)
            );
        }
        size != 0
    }

    #[inline(always)]
    fn reach(&mut self) {
        self.pull(HEADERS);
    }

    #[inline(always)]
    fn strip(&mut self, outer: Version, inner: Version, length: usize) -> Result<(), Refused> {
        // The kernel has to know the version before the bytes go: it keeps room for such a header.
        // Linux has a flag for that from 6.3 on; changing the version first works in all, and moves
        // the bytes by which the headers differ.
        const LONGER: i32 = 20;
        const IPV4: u16 = 0x0800u16.to_be();
        const IPV6: u16 = 0x86ddu16.to_be();
        let change = match (outer, inner) {
            (Version::V4, Version::V6) => Some((IPV6, LONGER)),
            (Version::V6, Version::V4) => Some((IPV4, -LONGER)),
            (Version::V4, Version::V4) | (Version::V6, Version::V6) => None,
        };
        let mut surplus = length as i32;
        // SAFETY: the context is a live `__sk_buff`; pointers into the packet are taken anew after
        // each call.
        unsafe {
            if let Some((protocol, longer)) = change {
                if bpf_skb_change_proto(self.0, protocol, 0) != 0 {
                    return Err(Refused);
                }
                surplus += longer;
            }
            let flags = BPF_F_ADJ_ROOM_FIXED_GSO as u64;
            if bpf_skb_adjust_room(self.0, -surplus, BPF_ADJ_ROOM_MAC, flags) != 0 {
                return Err(Refused);
            }
            bpf_set_hash_invalid(self.0);
        }
        self.pull(HEADERS);
        Ok(())
    }

    #[inline(always)]
    fn store(&mut self, offset: usize, bytes: [u8; 2]) -> Result<(), Refused> {
        // SAFETY: the context is a live `__sk_buff`, and the bytes are as many as is said.
        let stored = unsafe {
            bpf_skb_store_bytes(
                self.0,
                offset as u32,
                bytes.as_ptr().cast(),
                bytes.len() as u32,
                BPF_F_RECOMPUTE_CSUM as u64,
            )
        };
        if stored == 0 { Ok(()) } else { Err(Refused) }
    }

    #[inline(always)]
    fn sum(&mut self, offset: usize, length: usize) -> Result<Delta, Refused> {
        self.pull((offset + length) as u32);
        frame::sum(self, offset, length)
    }

    #[inline(always)]
    fn held(&self, key: &PortionKey) -> Option<PortionInfo> {
        let portion = PORTION_TABLE.get_ptr(key)?;
        // SAFETY: a live value of the table; another processor may change it meanwhile, which gives
        // numbers that do not fit together at worst. The helper has no arguments.
        unsafe {
            let age = bpf_ktime_get_ns().wrapping_sub((*portion).arrived);
            (age < PATIENCE).then_some((*portion).about)
        }
    }

    #[inline(always)]
    fn hold(&mut self, key: &PortionKey, info: PortionInfo, at: usize) -> Result<(), Refused> {
        let portion = PORTION_SCRATCH.get_ptr_mut(0).ok_or(Refused)?;
        self.load(at, portion, info.length)?;
        // SAFETY: a value of this processor, which no other changes.
        let portion = unsafe {
            (*portion).arrived = bpf_ktime_get_ns();
            (*portion).about = info;
            &*portion
        };
        PORTION_TABLE.insert(key, portion, 0).map_err(|_| Refused)
    }

    #[inline(always)]
    fn join(&mut self, key: &PortionKey, length: usize, at: usize) -> Result<(), Refused> {
        let other = PORTION_TABLE.get_ptr(key).ok_or(Refused)?;
        // SAFETY: a live value of the table.
        let others = unsafe { (*other).about.length } as usize;
        let whole = (at + length + others) as u32;
        if key.is_last != 0 {
            self.resize(whole)?;
            self.put(at + length, other, others as u32)?;
        } else {
            let mine = PORTION_SCRATCH.get_ptr_mut(0).ok_or(Refused)?;
            self.load(at, mine, length as u32)?;
            self.resize(whole)?;
            self.put(at, other, others as u32)?;
            self.put(at + others, mine, length as u32)?;
        }
        // Gone already is as good.
        let _ = PORTION_TABLE.remove(key);
        Ok(())
    }
}

impl Frame {
    /// Copies bytes of the packet into a portion.
    #[inline(always)]
    fn load(&self, at: usize, portion: *mut Portion, length: u32) -> Result<(), Refused> {
        let length = bounded(length);
        // SAFETY: the context is a live `__sk_buff`; the portion is alive and has room for more bytes
        // than a bounded length can say.
        let loaded = unsafe {
            let bytes = (&raw mut (*portion).bytes).cast();
            bpf_skb_load_bytes(self.0.cast(), at as u32, bytes, length)
        };
        if loaded == 0 { Ok(()) } else { Err(Refused) }
    }

    /// Copies a portion's bytes into the packet.
    #[inline(always)]
    fn put(&self, at: usize, portion: *const Portion, length: u32) -> Result<(), Refused> {
        let length = bounded(length);
        // SAFETY: as for `load`.
        let stored = unsafe {
            let bytes = (&raw const (*portion).bytes).cast();
            bpf_skb_store_bytes(
                self.0,
                at as u32,
                bytes,
                length,
                BPF_F_RECOMPUTE_CSUM as u64,
            )
        };
        if stored == 0 { Ok(()) } else { Err(Refused) }
    }

    #[inline(always)]
    fn resize(&self, length: u32) -> Result<(), Refused> {
        // SAFETY: the context is a live `__sk_buff`; pointers into the packet are taken anew after.
        let resized = unsafe { bpf_skb_change_tail(self.0, length, 0) };
        if resized == 0 { Ok(()) } else { Err(Refused) }
    }
}

/// A length from 1 to what a portion has room for, as the verifier can see; others are none of a
/// portion that is held.
#[inline(always)]
fn bounded(length: u32) -> u32 {
    let mut length = (length as u64).wrapping_sub(1);
    // SAFETY: cuts a number. Written out, because the compiler knows that nothing is cut, and leaves
    // it out. (Linux 6.1 learns from a comparison with zero only where it is equal.)
    unsafe {
        core::arch::asm!("{0} &= {1}", inout(reg) length, const PORTION - 1, options(nomem, nostack));
    }
    (length + 1) as u32
}
