//! Which network namespace, and which mount namespace, this process lives in.

use std::fs;
use std::io;
use std::mem;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;

/// The cookie of this process's network namespace (`SO_NETNS_COOKIE`): unlike its inode it is never
/// used again while the machine runs, so tables can say whose they are.
pub fn network_cookie() -> io::Result<u64> {
    let socket = UnixDatagram::unbound()?;
    let mut cookie: u64 = 0;
    let mut length = mem::size_of::<u64>() as libc::socklen_t;
    // SAFETY: the descriptor is open while `socket` lives; `cookie` is 8 writable bytes, which
    // `length` says, and the kernel writes no more than that.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_NETNS_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut length,
        )
    };
    if result == 0 {
        Ok(cookie)
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Whether this process has a mount namespace that is not process 1's. What it mounts vanishes with
/// the last process that lives there: `ip netns exec` makes one for every command.
pub fn has_private_mounts() -> bool {
    let ours = fs::read_link("/proc/self/ns/mnt");
    let first = fs::read_link("/proc/1/ns/mnt");
    matches!((ours, first), (Ok(ours), Ok(first)) if ours != first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_keeps_its_cookie() {
        let cookie = network_cookie().expect("the kernel has SO_NETNS_COOKIE since 5.14");
        assert_ne!(cookie, 0);
        assert_eq!(cookie, network_cookie().expect("as before"));
    }
}
