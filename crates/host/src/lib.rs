//! Sockets, netlink and the facts of this machine.
