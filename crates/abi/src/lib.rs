//! Every type, name and number that crosses the border between kernel and user space, and nothing
//! else.
//!
//! The packet programs and the daemon read and write the same memory: the tables of services, real
//! servers and connections are arrays that user space maps. So every field that can change while
//! somebody reads it is a [`shared`] cell, and a change of any layout here is a change of
//! [`LAYOUT_VERSION`], which is part of the path where the tables are pinned.
#![no_std]
#![cfg_attr(
    target_arch = "bpf",
    feature(core_intrinsics),
    allow(internal_features)
)]

pub mod call;
pub mod check;
pub mod connection;
pub mod counters;
pub mod farewell;
pub mod flow_table;
pub mod fragment;
pub mod handover;
pub mod hash_table;
pub mod keys;
pub mod locality;
pub mod mark;
pub mod names;
pub mod pool;
pub mod realserver;
pub mod reason;
pub mod service;
pub mod settings;
pub mod shared;
pub mod sysctl;
pub mod tick;

/// The version of everything in this crate. Tables of another version are never adopted as they are.
pub const LAYOUT_VERSION: u32 = 5;

/// A slot number that stands for "none", in links and picks.
pub const NONE: u32 = u32::MAX;
