//! What a VRRP router does to its machine, and hears from it. Nothing is decided here: `vrrp` says what
//! is to be done.
//!
//! [`socket`] sends and receives advertisements, [`announce`] tells the link where an address is now,
//! [`address`], [`route`], [`rule`] and [`vmac`] put in place what an Active router has, and
//! [`links`] says what becomes of interfaces.

pub mod address;
pub mod announce;
pub mod links;
pub mod netlink;
pub mod route;
pub mod rule;
pub mod socket;
pub mod vmac;
