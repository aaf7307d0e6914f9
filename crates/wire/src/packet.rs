//! What a packet is to the code that reads and rewrites it.

/// A type that is nothing but bytes: any bytes are a value of it.
///
/// # Safety
///
/// The type has alignment 1, no padding and no invalid bit patterns.
pub unsafe trait Header: Sized {}

// SAFETY: bytes.
unsafe impl<const N: usize> Header for [u8; N] {}

/// A frame, from its Ethernet header on: a buffer on the host, an XDP or TC context in the kernel.
///
/// A view borrows the packet, so that whatever moves its bytes ends all views: the borrow checker
/// says at home what the verifier would say in the kernel.
pub trait Packet {
    /// The header at `offset`, or nothing when the packet ends before it does.
    fn header<T: Header>(&self, offset: usize) -> Option<&T>;

    /// The header at `offset`, to be changed.
    fn header_mut<T: Header>(&mut self, offset: usize) -> Option<&mut T>;

    /// A copy of the header at `offset`, also of one that lies outside the part that can be read directly.
    #[inline(always)]
    fn read<T: Header + Copy>(&self, offset: usize) -> Option<T> {
        self.header(offset).copied()
    }

    /// Whether the frame has at least that many bytes, counting also what lies outside the part
    /// that can be read directly.
    fn holds(&self, length: usize) -> bool;
}

/// A packet in a buffer.
#[derive(Debug)]
pub struct Buffer<'a>(pub &'a mut [u8]);

impl Packet for Buffer<'_> {
    fn header<T: Header>(&self, offset: usize) -> Option<&T> {
        let bytes = self.0.get(offset..)?.get(..size_of::<T>())?;
        // SAFETY: `bytes` has the size of T, T has alignment 1 and takes any bytes.
        Some(unsafe { &*bytes.as_ptr().cast::<T>() })
    }

    fn header_mut<T: Header>(&mut self, offset: usize) -> Option<&mut T> {
        let bytes = self.0.get_mut(offset..)?.get_mut(..size_of::<T>())?;
        // SAFETY: `bytes` has the size of T, T has alignment 1 and takes any bytes.
        Some(unsafe { &mut *bytes.as_mut_ptr().cast::<T>() })
    }

    fn holds(&self, length: usize) -> bool {
        length <= self.0.len()
    }
}
