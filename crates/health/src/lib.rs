//! Whether real servers are up, and with which weight.
//!
//! Decisions only: what is to be checked and when comes out, what was found goes in. Time is a
//! `Duration` since an arbitrary start. [`Fleet`] is the whole of it.
#![forbid(unsafe_code)]

pub mod answer;
mod check;
mod event;
mod fleet;
pub mod names;
mod notice;
mod passive;
pub mod probe;
mod quorum;
mod random;
mod round;
mod slab;
mod timers;
pub mod verdict;
pub mod view;
mod weight;

pub use event::{Event, EventKind};
pub use fleet::{Fleet, Output, Recall, Remembered, WantedServer, WantedService};
pub use notice::{Notice, NoticeKind};
pub use passive::Totals;
