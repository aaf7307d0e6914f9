//! Puts the object with the packet programs where the crate can include it.

use std::path::Path;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-env-changed=WEIR_BPF_OBJECT");
    if env::var_os("CARGO_FEATURE_EMBED_BPF").is_none() {
        return;
    }
    let Ok(object) = env::var("WEIR_BPF_OBJECT") else {
        println!(
            "cargo::error=feature embed-bpf wants WEIR_BPF_OBJECT, the object with the packet \
             programs: `cargo xtask build` makes it and names it"
        );
        return;
    };
    println!("cargo::rerun-if-changed={object}");
    let directory = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    if let Err(error) = fs::copy(&object, Path::new(&directory).join("weir-ebpf")) {
        println!("cargo::error=cannot read {object}: {error}");
    }
}
