//! Threads that must not wait for others.

use std::io;

/// Lets this thread, and none that it starts, go before all that have no such priority (`SCHED_RR`), and
/// keeps the memory that the process uses from being swapped out. 0 changes nothing.
pub fn prefer_this_thread(priority: u8) -> io::Result<()> {
    if priority == 0 {
        return Ok(());
    }
    let parameters = libc::sched_param {
        sched_priority: priority.into(),
    };
    let policy = libc::SCHED_RR | libc::SCHED_RESET_ON_FORK;
    // SAFETY: the parameters are readable; 0 is the calling thread.
    if unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // What is used is locked, not all that could be.
    let flags = libc::MCL_CURRENT | libc::MCL_FUTURE | libc::MCL_ONFAULT;
    // SAFETY: no pointers are passed.
    if unsafe { libc::mlockall(flags) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
