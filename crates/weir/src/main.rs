//! The Linux Virtual Server, as one program.
fn main() {}
