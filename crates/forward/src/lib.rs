//! What happens to one packet, given tables.
//!
//! [`process`](process::process) decides, generic over a [`Hook`](hook::Hook) (the packet and what
//! the kernel offers where it was taken) and [`Tables`](tables::Tables) (services, real servers,
//! connections). The BPF programs hand it the kernel's; tests and fuzzers hand it a buffer and
//! vectors ([`memory`]).
//!
//! ```text
//! parse -> flow found?  yes -> connection -> route -> account, advance, translate -> send
//!                       no  -> service -> schedule -> new connection -> as above
//! ```
#![no_std]
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]

#[cfg(any(test, feature = "memory"))]
extern crate std;

pub mod adopt;
pub mod application;
pub mod begin;
pub mod call;
pub mod carry;
pub mod check;
pub mod connection;
pub mod cut;
pub mod decapsulate;
pub mod defend;
pub mod evict;
pub mod family;
pub mod farewell;
pub mod flow_table;
pub mod fragment;
pub mod full_nat;
pub mod hook;
pub mod icmp;
mod job;
pub mod length;
pub mod local;
pub mod mark;
pub mod meet;
#[cfg(any(test, feature = "memory"))]
pub mod memory;
pub mod nat64;
pub mod observe;
pub mod parse;
pub mod part;
pub mod persist;
pub mod process;
pub mod reap;
pub mod related;
pub mod reset;
pub mod schedule;
pub mod seldom;
pub mod state;
pub mod stray;
pub mod tables;
pub mod translate;
pub mod tunnelled;
pub mod waiting;
pub mod wrap;
