//! Packet cases as rows: tables, packets in, and for each packet the reason, every byte of the packet
//! out, and everything in the tables that moved. The same rows run on the host and in the kernel.
//!
//! Nothing here uses the packet path's own parsing, checksums or rewriting: expected packets are
//! built from scratch.

pub mod answers;
pub mod bench;
pub mod calls;
pub mod cases;
pub mod checks;
pub mod forwarding;
pub mod fragments;
pub mod ftp;
pub mod full_nat;
pub mod host;
pub mod machine;
mod malformed;
mod nat64;
pub mod network;
pub mod observation;
pub mod packet;
pub mod related;
pub mod removal;
pub mod row;
pub mod scheduling;
pub mod sctp;
pub mod secured;
pub mod setup;
pub mod snapshot;
pub mod states;
pub mod sysctls;
mod tunnelled;
pub mod tunnels;
