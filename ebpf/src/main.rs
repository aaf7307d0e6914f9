//! The packet programs: maps, and entry points that hand the kernel's packet and tables to
//! `weir_forward`. No logic lives here.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod calls;
mod decapsulate;
mod frame;
mod link_header;
mod maps;
mod reaper;
mod route;
mod tables;
mod tc;
mod xdp;

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    // The verifier refuses a program that could come here.
    loop {}
}

/// The kernel lends some helpers only to programs under its own licence.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 4] = *b"GPL\0";
