//! Builds, tests and shows Weir.
fn main() {}
