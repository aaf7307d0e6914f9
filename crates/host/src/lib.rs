//! The facts of this machine, and what is done to it outside the packet programs.
//!
//! [`privilege`] and [`kernel`] say whether a director can work here at all; [`bpffs`] makes the place
//! where its tables live, and holds it against a second one; [`interface`] says what the network
//! interfaces are, [`neighbour`] who is on their links, and [`watch`] when that or a route changes; [`process`] which processes run. [`script`] runs others' programs.
//! Two decisions are made here, both pure: [`mode`], which hook takes the packets of an interface, and
//! why; and whether what the kernel says of a neighbour matters.

pub mod bpffs;
pub mod clock;
mod ethtool;
pub mod farewell;
pub mod file;
pub mod interface;
pub mod kernel;
pub mod limits;
pub mod memory;
pub mod mode;
pub mod namespace;
pub mod neighbour;
mod netdev;
pub mod netlink;
pub mod privilege;
pub mod process;
pub mod realserver;
pub mod route;
pub mod script;
pub mod sysctl;
pub mod watch;
