//! Cells that the packet programs and user space change at the same time.
//!
//! On the BPF target `core::sync::atomic` has no read-modify-write, so the compiler's intrinsics
//! stand in for it: they become `lock xadd` and `cmpxchg` (target-cpu v3). Every other target uses
//! the standard atomics. All operations are sequentially consistent where they modify, relaxed
//! where they only load or store: BPF's loads and stores of up to 8 aligned bytes are single.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;

macro_rules! shared {
    ($(#[$doc:meta])* $name:ident, $int:ty, $atomic:ty) => {
        $(#[$doc])*
        #[repr(transparent)]
        #[derive(Default)]
        pub struct $name(UnsafeCell<$int>);

        // SAFETY: every access goes through single-copy atomic loads and stores or atomic
        // read-modify-writes of the one integer inside.
        unsafe impl Sync for $name {}

        impl $name {
            /// A cell that holds `value`.
            pub const fn new(value: $int) -> Self {
                Self(UnsafeCell::new(value))
            }

            #[cfg(not(target_arch = "bpf"))]
            #[inline(always)]
            fn atomic(&self) -> &$atomic {
                // SAFETY: the atomic has the size and alignment of the integer, and all other
                // access to the cell is atomic too.
                unsafe { <$atomic>::from_ptr(self.0.get()) }
            }

            /// The value now.
            #[inline(always)]
            pub fn load(&self) -> $int {
                #[cfg(not(target_arch = "bpf"))]
                return self.atomic().load(core::sync::atomic::Ordering::Relaxed);
                #[cfg(target_arch = "bpf")]
                // SAFETY: the cell is aligned and alive; an aligned load is single on BPF.
                return unsafe { self.0.get().read_volatile() };
            }

            /// Puts `value` there.
            #[inline(always)]
            pub fn store(&self, value: $int) {
                #[cfg(not(target_arch = "bpf"))]
                self.atomic().store(value, core::sync::atomic::Ordering::Release);
                #[cfg(target_arch = "bpf")]
                // SAFETY: the cell is aligned and alive; an aligned store is single on BPF.
                unsafe {
                    self.0.get().write_volatile(value)
                };
            }

            /// Adds, wrapping; the value before.
            #[inline(always)]
            pub fn add(&self, value: $int) -> $int {
                #[cfg(not(target_arch = "bpf"))]
                return self.atomic().fetch_add(value, core::sync::atomic::Ordering::SeqCst);
                #[cfg(target_arch = "bpf")]
                // SAFETY: the cell is aligned and alive.
                return unsafe {
                    core::intrinsics::atomic_xadd::<
                        $int,
                        $int,
                        { core::intrinsics::AtomicOrdering::SeqCst },
                    >(self.0.get(), value)
                };
            }

            /// Puts `new` there; the value before.
            #[inline(always)]
            pub fn swap(&self, new: $int) -> $int {
                #[cfg(not(target_arch = "bpf"))]
                return self.atomic().swap(new, core::sync::atomic::Ordering::SeqCst);
                #[cfg(target_arch = "bpf")]
                // SAFETY: the cell is aligned and alive.
                return unsafe {
                    core::intrinsics::atomic_xchg::<
                        $int,
                        { core::intrinsics::AtomicOrdering::SeqCst },
                    >(self.0.get(), new)
                };
            }

            /// Puts `new` there if the value is `old`; whether it was.
            #[inline(always)]
            pub fn replace(&self, old: $int, new: $int) -> bool {
                #[cfg(not(target_arch = "bpf"))]
                return self
                    .atomic()
                    .compare_exchange(
                        old,
                        new,
                        core::sync::atomic::Ordering::SeqCst,
                        core::sync::atomic::Ordering::SeqCst,
                    )
                    .is_ok();
                #[cfg(target_arch = "bpf")]
                // SAFETY: the cell is aligned and alive.
                return unsafe {
                    core::intrinsics::atomic_cxchg::<
                        $int,
                        { core::intrinsics::AtomicOrdering::SeqCst },
                        { core::intrinsics::AtomicOrdering::SeqCst },
                    >(self.0.get(), old, new)
                    .1
                };
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                self.load().fmt(f)
            }
        }

        impl Clone for $name {
            fn clone(&self) -> Self {
                Self::new(self.load())
            }
        }
    };
}

shared!(
    /// Thirty-two bits that both sides change.
    Shared32,
    u32,
    core::sync::atomic::AtomicU32
);
shared!(
    /// Sixty-four bits that both sides change.
    Shared64,
    u64,
    core::sync::atomic::AtomicU64
);

/// A value that is written before it is published and read after, or whose torn read is caught by
/// comparing it with what was looked for (a connection's identity).
#[repr(transparent)]
#[derive(Default)]
pub struct Shared<T: Copy>(UnsafeCell<T>);

// SAFETY: reads and writes are volatile copies of plain integers (every `T` used here is made of
// them, so any bit pattern is a value); whoever reads checks the identity against what it asked for.
unsafe impl<T: Copy + Send> Sync for Shared<T> {}

/// Reads a word.
///
/// # Safety
///
/// As for `read_volatile`.
#[inline(always)]
unsafe fn read_once(from: *const u32) -> u32 {
    #[cfg(not(target_arch = "bpf"))]
    // SAFETY: the caller's.
    return unsafe { from.read_volatile() };
    // A plain load here, so that the compiler leaves out the words that nobody looks at; it has no
    // reason to read one again that it has.
    #[cfg(target_arch = "bpf")]
    // SAFETY: the caller's.
    return unsafe { from.read() };
}

impl<T: Copy> Shared<T> {
    /// A cell that holds `value`.
    pub const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// A copy of the value now, each of its 32-bit words read once.
    #[inline(always)]
    pub fn load(&self) -> T {
        const { assert!(align_of::<T>() >= 4 && size_of::<T>().is_multiple_of(4)) };
        let mut value = MaybeUninit::<T>::uninit();
        let mut word = 0;
        // One by one: of a volatile copy of the whole the compiler makes one by way of the stack.
        while word < size_of::<T>() / 4 {
            // SAFETY: the cell is aligned and alive, `value` is as large, and `word` is within both.
            unsafe {
                let from = self.0.get().cast::<u32>().add(word);
                let to = value.as_mut_ptr().cast::<u32>().add(word);
                to.write(read_once(from));
            }
            word += 1;
        }
        // SAFETY: every word is written, and any bit pattern is a value.
        unsafe { value.assume_init() }
    }

    /// Puts `value` there.
    #[inline(always)]
    pub fn store(&self, value: T) {
        #[cfg(not(target_arch = "bpf"))]
        // SAFETY: the cell is aligned and alive.
        unsafe {
            self.0.get().write_volatile(value)
        }
        // Word by word: the whole would be made on the stack first, field by field.
        #[cfg(target_arch = "bpf")]
        {
            const { assert!(align_of::<T>() >= 4 && size_of::<T>().is_multiple_of(4)) };
            let value = MaybeUninit::new(value);
            let mut word = 0;
            while word < size_of::<T>() / 4 {
                // SAFETY: the cell is aligned and alive, `value` is as large, `word` is within both, and
                // there is no padding in what lies in cells.
                unsafe {
                    let from = value.as_ptr().cast::<u32>().add(word);
                    let to = self.0.get().cast::<u32>().add(word);
                    to.write_volatile(from.read());
                }
                word += 1;
            }
        }
    }
}

impl<T: Copy + core::fmt::Debug> core::fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.load().fmt(f)
    }
}

impl<T: Copy> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self::new(self.load())
    }
}
