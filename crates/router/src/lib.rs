//! What a VRRP router does to its machine, and hears from it. Nothing is decided here: `vrrp` says what
//! is to be done.
//!
//! [`socket`] sends and receives advertisements, [`announce`] tells the link where an address is now,
//! [`address`], [`route`], [`rule`] and [`vmac`] put in place what an Active router has, and
//! [`links`] says what becomes of interfaces. [`hands`] does what a takeover asks for, in its order.
//! [`bfd`] has the sockets of BFD. [`herald`] tells scripts, pipes and mailboxes.

pub mod address;
pub mod announce;
pub mod bfd;
pub mod hands;
pub mod herald;
pub mod links;
mod message;
pub mod netlink;
pub mod realtime;
pub mod refuse;
pub mod route;
pub mod rule;
pub mod socket;
pub mod vmac;
