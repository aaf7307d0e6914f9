//! ipvsadm 1.31: its arguments, its listings, its messages and its exit codes, byte for byte.
//!
//! Nothing here talks to anything. [`parse()`] turns arguments into a [`Command`]; the functions of
//! [`listing`] turn facts into the text that ipvsadm prints; [`refusal`] turns a refusal of the
//! director into ipvsadm's message and exit code. [`Invocation`] does the whole of it, given a
//! [`Director`] to talk to and [`Names`] to look up.
//!
//! The whole syntax of 1.31 is read, so that every mistake is told as ipvsadm tells it;
//! [`supported`] then refuses what Weir has not got yet. What the tests compare with was recorded
//! from the real ipvsadm (Debian 12) on a kernel with IPVS: see `tests/recorded`.

mod address;
mod command;
mod command_name;
mod draft;
mod exit;
mod help;
mod legality;
pub mod listing;
mod message;
mod names;
mod number;
mod option;
mod parse;
pub mod restore;
mod run;
mod scheduler_flags;
mod support;

pub use command::{
    Columns, Command, Format, Forwarding, List, Netmask, RealServer, SchedulerFlags, Service,
    SyncDaemon, SyncRole, TimeoutChange, Tunnel, TunnelChecksum,
};
pub use exit::{Exit, RestoreGoes};
pub use message::{ErrorCode, Operation, Refused, refusal};
pub use names::{Names, NoNames};
pub use parse::parse;
pub use run::{Director, Invocation, Stream};
pub use support::{NotWanted, Unsupported, supported};
