//! Puts the VIP in the place of the real server's address, in its answer to PASV.

use core::ops::ControlFlow;

use weir_abi::handover::Listener;
use weir_wire::checksum::Delta;
use weir_wire::ipv4::Ipv4;
use weir_wire::transport::Tcp;

use super::ftp::Heard;
use super::sequence::note;
use super::{LONGEST, gather, payload};
use crate::family::{Record, V4};
use crate::hook::{Hook, Refused, Turn};
use crate::job::Job;
use crate::tables::Tables;

/// Rewrites the six numbers of an address and port that were heard. The packet's length changes with theirs.
#[cfg_attr(target_arch = "bpf", inline(never))]
pub(super) fn name_vip<H: Hook, T: Tables>(
    job: &mut Job<'_, V4, H, T>,
    slot: u32,
    heard: &Heard,
) -> Result<(), Refused> {
    let record = job.tables.connection::<V4>(slot).ok_or(Refused)?;
    gather(job)?;
    let (at, length) = payload(job).ok_or(Refused)?;
    let [vip] = record.endpoints().load().virtual_address;
    let numbers = (u32::from_be(vip) as u64) << 16 | heard.numbers & 0xffff;
    let (old, new) = (heard.end - heard.start, text_length(numbers));
    let end = at as u32 + heard.end;
    if length > LONGEST || heard.end as usize > length || heard.end < heard.start {
        return Err(Refused);
    }
    let rest = length as u32 - heard.end;
    let before = job.hook.sum(at, length)?;
    let whole = at as u32 + length as u32;
    let by = new.wrapping_sub(old);
    if new > old {
        job.hook.resize((whole + by) as usize)?;
        let mut shift = Shift {
            first: whole as u64 - 1,
            step: u64::MAX,
            by: by as u64,
        };
        job.hook.turns(rest, &mut shift);
    } else if new < old {
        let mut shift = Shift {
            first: end as u64,
            step: 1,
            by: ((old - new) as u64).wrapping_neg(),
        };
        job.hook.turns(rest, &mut shift);
        job.hook.resize((whole - (old - new)) as usize)?;
    }
    let handover = job.tables.handover().ok_or(Refused)?;
    let cursor = &handover.listener;
    cursor.start.store(at as u32 + heard.start);
    job.hook.turns(6 * 4, &mut Writer { cursor, numbers });
    let after = job.hook.sum(at, length.wrapping_add(by as i32 as usize))?;
    let network = job.segment.network as usize;
    let long = job.segment.length.wrapping_add(by as u16);
    let lengths = Delta::ZERO.replace16(job.segment.length.to_be(), long.to_be());
    let header = job.hook.header_mut::<Ipv4>(network).ok_or(Refused)?;
    header.set_total_length(long);
    header.adjust_checksum(lengths);
    job.segment.length = long;
    let tcp = job.segment.payload as usize;
    job.hook.correct_checksum(
        tcp + Tcp::CHECKSUM,
        lengths,
        Delta::ZERO.replace32(before.folded32(), after.folded32()),
        false,
    )?;
    let number = job.hook.header::<Tcp>(tcp).ok_or(Refused)?.sequence();
    if by != 0 {
        note(record.speech(), number, by);
    }
    Ok(())
}

/// How many bytes the six numbers and the commas between them take.
#[inline(always)]
const fn text_length(numbers: u64) -> u32 {
    let mut length = 5;
    let mut place = 0;
    while place < 6 {
        let number = numbers >> (8 * place) & 0xff;
        // Comparisons would be branches, and each double what the verifier has to follow.
        length += 1 + ((number + 246) >> 8) as u32 + ((number + 156) >> 8) as u32;
        place += 1;
    }
    length
}

/// Moves bytes, from `first` on, each by so much.
#[repr(C)]
struct Shift {
    first: u64,
    step: u64,
    by: u64,
}

impl<H: Hook> Turn<H> for Shift {
    #[inline(always)]
    fn turn(&mut self, hook: &mut H, index: u32) -> ControlFlow<()> {
        let from = self
            .first
            .wrapping_add(self.step.wrapping_mul(index as u64));
        let Some([byte]) = hook.read::<[u8; 1]>(from as usize) else {
            return ControlFlow::Break(());
        };
        match hook.put_byte(from.wrapping_add(self.by) as usize, byte) {
            Ok(()) => ControlFlow::Continue(()),
            Err(Refused) => ControlFlow::Break(()),
        }
    }
}

/// Writes six numbers with commas between them. Each has four turns: hundreds, tens, ones, comma.
struct Writer<'t> {
    /// Where it is (`start`).
    cursor: &'t Listener,
    numbers: u64,
}

impl<H: Hook> Turn<H> for Writer<'_> {
    #[inline(always)]
    fn turn(&mut self, hook: &mut H, index: u32) -> ControlFlow<()> {
        let place = index >> 2 & 7;
        let number = (self.numbers << 16 << (8 * place) >> 56) as u32;
        let (is_written, byte) = match index & 3 {
            0 => (number >= 100, b'0' as u32 + number / 100),
            1 => (number >= 10, b'0' as u32 + number / 10 % 10),
            2 => (true, b'0' as u32 + number % 10),
            _comma => (place < 5, b',' as u32),
        };
        if !is_written {
            return ControlFlow::Continue(());
        }
        let at = self.cursor.start.load();
        self.cursor.start.store(at + 1);
        match hook.put_byte(at as usize, byte as u8) {
            Ok(()) => ControlFlow::Continue(()),
            Err(Refused) => ControlFlow::Break(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_to_three_digits() {
        for (numbers, text) in [
            ([0u8, 0, 0, 0, 0, 0], "0,0,0,0,0,0"),
            ([192, 0, 2, 1, 195, 80], "192,0,2,1,195,80"),
            ([255, 100, 99, 10, 9, 255], "255,100,99,10,9,255"),
        ] {
            let packed = numbers.iter().fold(0, |all, n| all << 8 | u64::from(*n));
            assert_eq!(text_length(packed) as usize, text.len(), "{text}");
        }
    }
}
