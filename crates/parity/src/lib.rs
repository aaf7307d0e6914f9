//! What `cargo xtask parity` plays: the cells of its matrix, and the program that plays them.
//!
//! Two directors stand side by side, each in a namespace with a wire to the clients and one to the real servers: the
//! kernel's IPVS with the real ipvsadm, and `weir run` with `weir ipvsadm`. Nobody else is there: the program holds the
//! far ends of all four wires, puts the same packets on both directors' and compares what comes out, byte by byte.
//!
//! A [`Cell`] is a scheduler, a forwarding method, a family, a protocol and a feature. [`scenario`] says what is played for
//! it, drawn from the seed and the cell's name, so that a cell is the same alone and among all others.

pub mod batch;
pub mod cell;
pub mod director;
pub mod keepers;
pub mod listing;
pub mod packet;
pub mod random;
pub mod read;
pub mod scenario;
pub mod stage;
pub mod whole;
pub mod wire;

pub use cell::{Cell, Family, Feature, Method, Protocol, Scheduler, Transport};
