//! Ends a pinned attachment at once.
//!
//! Removing the pin of a link detaches its program too, but some time later, when the kernel frees
//! the inode: whoever attaches anew in between is told that something is there. aya has no call for
//! `BPF_LINK_DETACH`.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// `BPF_OBJ_GET` (linux/bpf.h).
const OBJECT_GET: libc::c_long = 7;
/// `BPF_LINK_DETACH` (linux/bpf.h, Linux 5.9).
const LINK_DETACH: libc::c_long = 34;

/// The part of `union bpf_attr` that `BPF_OBJ_GET` reads.
#[repr(C)]
#[derive(Default)]
struct ObjectGet {
    path: u64,
    descriptor: u32,
    flags: u32,
}

/// The part of `union bpf_attr` that `BPF_LINK_DETACH` reads.
#[repr(C)]
#[derive(Default)]
struct LinkDetach {
    descriptor: u32,
}

/// Detaches what the link pinned at `path` has attached; the pin stays.
pub fn detach(path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let link = call(
        OBJECT_GET,
        &ObjectGet {
            path: path.as_ptr() as u64,
            ..ObjectGet::default()
        },
    )?;
    // SAFETY: the kernel has just given this descriptor to nobody else.
    let link = unsafe { OwnedFd::from_raw_fd(link) };
    call(
        LINK_DETACH,
        &LinkDetach {
            descriptor: link.as_raw_fd() as u32,
        },
    )?;
    Ok(())
}

fn call<A>(command: libc::c_long, attributes: &A) -> io::Result<libc::c_int> {
    // SAFETY: the kernel reads as many bytes as are given, takes the rest of the union for zero, and
    // what the attributes point to is alive.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_ref(attributes),
            size_of::<A>(),
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result as libc::c_int)
}
