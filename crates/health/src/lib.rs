//! Whether real servers are up, and with which weight.
//!
//! Decisions only: what is to be checked and when comes out, what was found goes in. Time is a
//! `Duration` since an arbitrary start.
#![forbid(unsafe_code)]

pub mod answer;
pub mod probe;
pub mod verdict;
