//! What the operator wrote, as types that cannot be wrong.
#![forbid(unsafe_code)]

pub mod diagnostic;
pub mod difference;
pub mod file;
pub mod model;
pub mod pattern;
pub mod save;
pub mod sysctl;
