//! Numbers in network byte order, at any address.

/// Sixteen bits in network byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(transparent)]
pub struct Be16([u8; 2]);

/// Thirty-two bits in network byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(transparent)]
pub struct Be32([u8; 4]);

macro_rules! big_endian {
    ($name:ident, $int:ty) => {
        // SAFETY: bytes.
        unsafe impl crate::packet::Header for $name {}

        impl $name {
            /// From a number.
            #[inline(always)]
            pub const fn new(value: $int) -> Self {
                Self(value.to_be_bytes())
            }

            /// From a number as it lies.
            #[inline(always)]
            pub const fn from_raw(raw: $int) -> Self {
                Self(raw.to_ne_bytes())
            }

            /// The number.
            #[inline(always)]
            pub fn get(&self) -> $int {
                <$int>::from_be(self.raw())
            }

            /// The bytes as they lie, as one word: what tables and checksums work on.
            #[inline(always)]
            pub fn raw(&self) -> $int {
                #[cfg(target_arch = "bpf")]
                // SAFETY: the bytes are alive. The BPF machine loads from any address (the kernels
                // supported have efficient unaligned access); going by bytes costs ten instructions
                // where one does.
                return unsafe { core::ptr::from_ref(self).cast::<$int>().read() };
                #[cfg(not(target_arch = "bpf"))]
                return <$int>::from_ne_bytes(self.0);
            }

            /// Puts the bytes of `raw` there as they lie.
            #[inline(always)]
            pub fn set_raw(&mut self, raw: $int) {
                #[cfg(target_arch = "bpf")]
                // SAFETY: as for `raw`.
                unsafe {
                    core::ptr::from_mut(self).cast::<$int>().write(raw)
                };
                #[cfg(not(target_arch = "bpf"))]
                {
                    self.0 = raw.to_ne_bytes();
                }
            }

            /// Puts a number there.
            #[inline(always)]
            pub fn set(&mut self, value: $int) {
                self.set_raw(value.to_be());
            }
        }
    };
}

big_endian!(Be16, u16);
big_endian!(Be32, u32);
