//! The memory of arrays that are shared with the kernel.

use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::ptr::NonNull;

use crate::Error;

/// An array of the kernel's, mapped: its records are read and written where they lie.
pub struct Shared<T> {
    start: NonNull<T>,
    length: usize,
    records: PhantomData<T>,
}

// SAFETY: the records are made of cells that may be used from any thread and by the kernel at the
// same time (`weir_abi::shared`); the mapping itself is never changed.
unsafe impl<T: Sync> Sync for Shared<T> {}
// SAFETY: the mapping belongs to the process, not to a thread.
unsafe impl<T: Sync> Send for Shared<T> {}

impl<T> Shared<T> {
    /// Maps the array behind a map's descriptor; `size` is that of a value, and their number.
    pub fn map(
        descriptor: BorrowedFd<'_>,
        table: &'static str,
        (value, length): (u32, u32),
    ) -> Result<Self, Error> {
        if value as usize != size_of::<T>() {
            return Err(Error::OtherLayout(table));
        }
        let length = length as usize;
        // SAFETY: a fresh shared mapping of a file, at an address of the kernel's choice.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                length * size_of::<T>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                descriptor.as_raw_fd(),
                0,
            )
        };
        match NonNull::new(start) {
            Some(start) if start.as_ptr() != libc::MAP_FAILED => Ok(Self {
                start: start.cast(),
                length,
                records: PhantomData,
            }),
            Some(_) | None => Err(Error::Memory {
                table,
                source: io::Error::last_os_error(),
            }),
        }
    }

    /// All records.
    pub fn all(&self) -> &[T] {
        // SAFETY: the mapping has that many records, any bits are a record of cells (zeroes at
        // first), and it lives as long as `self`.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }

    /// The first record: that of an array of one.
    pub fn first(&self) -> &T {
        // SAFETY: a map has at least one entry; the rest as for `all`.
        unsafe { self.start.as_ref() }
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        // SAFETY: the mapping that `map` made, of that length; no reference outlives `self`.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.length * size_of::<T>()) };
    }
}
