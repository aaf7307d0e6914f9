//! How much memory this machine has to spare.

use std::io;
use std::mem::MaybeUninit;

/// Pages of free memory and of buffers: what IPVS holds against `amemthresh`.
pub fn available_pages() -> io::Result<u64> {
    let mut answer = MaybeUninit::<libc::sysinfo>::uninit();
    // SAFETY: the kernel fills the structure.
    if unsafe { libc::sysinfo(answer.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it has been filled.
    let answer = unsafe { answer.assume_init() };
    // SAFETY: a call without pointers.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    let page = u64::try_from(page).map_err(|_| io::Error::last_os_error())?;
    let units = answer.freeram.saturating_add(answer.bufferram);
    Ok(units.saturating_mul(u64::from(answer.mem_unit)) / page.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_some() {
        assert_ne!(available_pages().unwrap(), 0);
    }
}
