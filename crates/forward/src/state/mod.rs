//! The states of a connection, as IPVS has them.

pub mod sctp;
pub mod tcp;

/// The state of a connection of a protocol without states (UDP).
pub const STATELESS: u8 = 0;

/// A number that only some packets have, to be looked at where it is known that this one does. The compiler
/// would look earlier, before the branch: for the other packets at whatever a register holds, which may be a
/// pointer, and the verifier refuses that.
#[inline(always)]
#[cfg_attr(not(target_arch = "bpf"), expect(unused_mut, reason = "for BPF"))]
fn not_sooner(mut bits: u8) -> usize {
    #[cfg(target_arch = "bpf")]
    // SAFETY: copies a register to itself.
    unsafe {
        core::arch::asm!("{0} = {0}", inout(reg) bits, options(nomem, nostack))
    };
    bits as usize
}
