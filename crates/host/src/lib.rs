//! The facts of this machine, and what is done to it outside the packet programs.
//!
//! [`privilege`] and [`kernel`] say whether a director can work here at all; [`bpffs`] makes the place
//! where its tables live, and holds it against a second one; [`interface`] says what the network
//! interfaces are and [`watch`] when that changes; [`mode`] is the one decision here, pure: which
//! hook takes the packets of an interface, and why.

pub mod bpffs;
pub mod clock;
mod ethtool;
pub mod interface;
pub mod kernel;
pub mod mode;
pub mod namespace;
mod netdev;
mod netlink;
pub mod privilege;
pub mod sysctl;
pub mod watch;
