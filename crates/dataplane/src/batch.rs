//! Many values of a table with one system call.
//!
//! A director with tens of thousands of real servers reads all their counters every two seconds. aya
//! has no call for `BPF_MAP_LOOKUP_BATCH`.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use weir_abi::counters::Counters;

/// `BPF_MAP_LOOKUP_BATCH` (linux/bpf.h; for arrays per processor since Linux 5.13).
const LOOKUP_BATCH: libc::c_long = 24;
/// Values of so many slots at once: some pages for each processor.
const AT_ONCE: u32 = 512;

/// The part of `union bpf_attr` that `BPF_MAP_LOOKUP_BATCH` reads and writes.
#[repr(C)]
#[derive(Default)]
struct LookupBatch {
    from: u64,
    to: u64,
    keys: u64,
    values: u64,
    count: u32,
    map: u32,
    element_flags: u64,
    flags: u64,
}

/// Shows the counters of the first `slots` slots of an array that has a value for each of so many
/// processors: those of each slot in turn.
pub fn each(
    map: BorrowedFd<'_>,
    slots: usize,
    processors: usize,
    mut show: impl FnMut(&[Counters]),
) -> io::Result<()> {
    let mut shown = 0;
    let mut keys = vec![0u32; AT_ONCE as usize];
    let mut values = vec![Counters::default(); AT_ONCE as usize * processors];
    let mut position = 0u32;
    while shown < slots {
        let left = (slots - shown) as u32;
        let mut batch = LookupBatch {
            // Nothing at first: the beginning.
            from: if shown == 0 {
                0
            } else {
                &raw mut position as u64
            },
            to: &raw mut position as u64,
            keys: keys.as_mut_ptr() as u64,
            values: values.as_mut_ptr() as u64,
            count: left.min(AT_ONCE),
            map: map.as_raw_fd() as u32,
            ..LookupBatch::default()
        };
        // SAFETY: the kernel writes `count` keys and as many values for each processor, for which
        // there is room; a position is a key; and it takes the rest of the union for zero.
        let result = unsafe {
            libc::syscall(
                libc::SYS_bpf,
                LOOKUP_BATCH,
                &raw mut batch,
                size_of::<LookupBatch>(),
            )
        };
        let end = result < 0;
        if end {
            let error = io::Error::last_os_error();
            // So it says that these were the last.
            if error.raw_os_error() != Some(libc::ENOENT) {
                return Err(error);
            }
        }
        let read = values.chunks_exact(processors).take(batch.count as usize);
        read.for_each(&mut show);
        shown += batch.count as usize;
        if end {
            break;
        }
    }
    Ok(())
}
