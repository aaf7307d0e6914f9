//! ipvsadm 1.31: its arguments, its listings, its messages and its exit codes, byte for byte.
//!
//! Nothing here talks to anything. [`parse()`] turns arguments into a [`Command`]; the functions of
//! [`listing`] turn facts into the text that ipvsadm prints; [`refusal`] turns a refusal of the
//! director into ipvsadm's message and exit code. [`Invocation`] does the whole of it, given a
//! [`Director`] to talk to and [`Names`] to look up.
//!
//! Beside them are the files of `/proc/net` that the kernel's IPVS has ([`proc`]) and the scripts
//! that come with ipvsadm ([`scripts`]). What the tests compare with was recorded from the real
//! ipvsadm (Debian 12) on a kernel with IPVS: see `tests/recorded`.

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
pub mod proc;
pub mod restore;
mod run;
pub mod saved;
mod scheduler_flags;
pub mod scripts;

pub use command::{
    Columns, Command, Format, Forwarding, List, Netmask, RealServer, SchedulerFlags, Service,
    TimeoutChange, Tunnel, TunnelChecksum,
};
pub use exit::{Exit, RestoreGoes};
pub use message::{ErrorCode, Operation, Refused, refusal};
pub use names::{Names, NoNames};
pub use parse::parse;
pub use run::{Director, Invocation, Stream};
