//! Sequence numbers of a connection some of whose replies have another length than they were sent with.
//!
//! As the kernel's `nf_conntrack_seqadj` does it: it is remembered how far numbers are moved up to the last
//! packet that was changed, and how far after it. What comes again from before it is moved as before.

use core::ops::ControlFlow;

use weir_abi::connection::Speech;
use weir_abi::handover::Listener;
use weir_abi::keys::{Direction, FlowValue};
use weir_wire::bytes::Be32;
use weir_wire::checksum::Delta;
use weir_wire::transport::Tcp;

use super::gather;
use crate::family::{Record, V4};
use crate::hook::{Hook, Refused, Turn};
use crate::job::Job;
use crate::tables::Tables;

/// How far numbers are moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Moved {
    position: u32,
    before: u32,
    after: u32,
}

impl Moved {
    /// As a connection remembers it.
    #[inline(always)]
    pub fn of(speech: &Speech) -> Self {
        Self {
            position: speech.position.load(),
            before: speech.before.load(),
            after: speech.after.load(),
        }
    }

    /// Whether nothing is moved.
    #[inline(always)]
    pub const fn is_nothing(&self) -> bool {
        self.before | self.after == 0
    }

    /// The number that the client sees in place of the real server's.
    #[inline(always)]
    pub const fn to_client(&self, number: u32) -> u32 {
        let by = if is_after(number, self.position) {
            self.after
        } else {
            self.before
        };
        number.wrapping_add(by)
    }

    /// The number that the real server sees in place of the client's.
    #[inline(always)]
    pub const fn to_server(&self, number: u32) -> u32 {
        let by = if is_after(number.wrapping_sub(self.before), self.position) {
            self.after
        } else {
            self.before
        };
        number.wrapping_sub(by)
    }
}

/// Remembers that the reply with that number was made longer by so much. One that comes again changes
/// nothing more.
#[inline(always)]
pub fn note(speech: &Speech, number: u32, by: u32) {
    let moved = Moved::of(speech);
    if moved.before == moved.after || is_after(number, moved.position) {
        speech.position.store(number);
        speech.before.store(moved.after);
        speech.after.store(moved.after.wrapping_add(by));
    }
}

#[inline(always)]
const fn is_after(number: u32, other: u32) -> bool {
    other.wrapping_sub(number) as i32 <= -1
}

/// Moves the numbers of a packet: sequence in replies, acknowledgement and SACK blocks in requests.
#[cfg_attr(target_arch = "bpf", inline(never))]
pub(super) fn adjust<H: Hook, T: Tables>(
    job: &mut Job<'_, V4, H, T>,
    entry: FlowValue,
) -> Result<(), Refused> {
    let record = job.tables.connection::<V4>(entry.slot()).ok_or(Refused)?;
    let moved = Moved::of(record.speech());
    if moved.is_nothing() {
        return Ok(());
    }
    let at = job.segment.payload as usize;
    let delta = match entry.direction() {
        Direction::Reply => {
            let tcp = job.hook.header_mut::<Tcp>(at).ok_or(Refused)?;
            let old = tcp.sequence();
            let new = moved.to_client(old);
            tcp.set_sequence(new);
            Delta::ZERO.replace32(old.to_be(), new.to_be())
        }
        Direction::Request => {
            let tcp = job.hook.header_mut::<Tcp>(at).ok_or(Refused)?;
            if !tcp.flags().ack() {
                return Ok(());
            }
            let old = tcp.acknowledgement();
            let new = moved.to_server(old);
            tcp.set_acknowledgement(new);
            let header = tcp.header_length();
            let delta = Delta::ZERO.replace32(old.to_be(), new.to_be());
            if header > Tcp::LENGTH {
                let handover = job.tables.handover().ok_or(Refused)?;
                let cursor = &handover.listener;
                cursor.start.store((at + Tcp::LENGTH) as u32);
                cursor.end.store((at + header) as u32);
                cursor.count.store(0);
                cursor.numbers.store(0);
                // A segment made large by offloading has its options in front.
                let _ = gather(job);
                job.hook.turns(OPTIONS, &mut Options { cursor, moved });
                delta.and(Delta::from_wide(cursor.numbers.load()))
            } else {
                delta
            }
        }
    };
    job.hook
        .correct_checksum(at + Tcp::CHECKSUM, Delta::ZERO, delta, false)
}

/// No more options and edges of blocks than there are bytes for.
const OPTIONS: u32 = 40;

/// Looks for SACK among the options.
struct Options<'t> {
    /// Where it is (`start`), where the options end (`end`), how many edges of blocks lie ahead (`count`),
    /// and the sum of what has changed (`numbers`).
    cursor: &'t Listener,
    moved: Moved,
}

impl<H: Hook> Turn<H> for Options<'_> {
    #[inline(always)]
    fn turn(&mut self, hook: &mut H, _index: u32) -> ControlFlow<()> {
        const END: u8 = 0;
        const NOTHING: u8 = 1;
        const SACK: u8 = 5;
        let (at, end) = (self.cursor.start.load(), self.cursor.end.load());
        if at >= end {
            return ControlFlow::Break(());
        }
        let edges = self.cursor.count.load();
        if edges != 0 {
            self.move_edge(hook, at as usize);
            self.cursor.count.store(edges - 1);
            self.cursor.start.store(at + 4);
            return ControlFlow::Continue(());
        }
        let Some([kind]) = hook.read::<[u8; 1]>(at as usize) else {
            return ControlFlow::Break(());
        };
        if kind == NOTHING {
            self.cursor.start.store(at + 1);
            return ControlFlow::Continue(());
        }
        let Some([length]) = hook.read::<[u8; 1]>(at as usize + 1) else {
            return ControlFlow::Break(());
        };
        if kind == END || length < 2 || at + length as u32 > end {
            return ControlFlow::Break(());
        }
        if kind == SACK {
            self.cursor.count.store((length as u32 - 2) / 4);
            self.cursor.start.store(at + 2);
        } else {
            self.cursor.start.store(at + length as u32);
        }
        ControlFlow::Continue(())
    }
}

impl Options<'_> {
    #[inline(always)]
    fn move_edge<H: Hook>(&mut self, hook: &mut H, at: usize) {
        if let Some(edge) = hook.header_mut::<Be32>(at) {
            let old = edge.get();
            let new = self.moved.to_server(old);
            edge.set(new);
            let change = (!old.to_be()) as u64 + new.to_be() as u64;
            let sum = &self.cursor.numbers;
            sum.store(sum.load() + change);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(speech: &Speech, numbers: &[u32]) -> std::vec::Vec<u32> {
        let moved = Moved::of(speech);
        numbers.iter().map(|n| moved.to_client(*n)).collect()
    }

    #[test]
    fn what_comes_after_a_longer_reply_is_moved_and_back() {
        let speech = Speech::default();
        note(&speech, 1000, 3);
        assert_eq!(
            told(&speech, &[900, 1000, 1001, 2000]),
            [900, 1000, 1004, 2003]
        );
        let moved = Moved::of(&speech);
        // The client acknowledges what it has seen.
        assert_eq!(
            [900, 1000, 1050, 2003].map(|n| moved.to_server(n)),
            [900, 1000, 1047, 2000]
        );
        // The same again, and what lies before: nothing new.
        note(&speech, 1000, 3);
        note(&speech, 900, 3);
        assert_eq!(Moved::of(&speech), moved);
        // The next one is shorter.
        note(&speech, 2000, 2u32.wrapping_neg());
        assert_eq!(told(&speech, &[1500, 2000, 2001]), [1503, 2003, 2002]);
        assert_eq!(Moved::of(&speech).to_server(3001), 3000);
    }

    #[test]
    fn numbers_wrap() {
        let speech = Speech::default();
        note(&speech, u32::MAX - 10, 5);
        assert_eq!(
            told(&speech, &[u32::MAX - 10, u32::MAX, 7]),
            [u32::MAX - 10, 4, 12]
        );
        let moved = Moved::of(&speech);
        for number in [u32::MAX - 20, u32::MAX - 9, u32::MAX, 0, 1, 77] {
            assert_eq!(moved.to_server(moved.to_client(number)), number);
        }
    }
}
