//! [`weir_fuzz::messages`], by libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| weir_fuzz::messages(data));
