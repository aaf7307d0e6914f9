//! Packet headers in place, and checksums.
//!
//! A header here is a view on the bytes of a packet: fixed size, alignment 1, fields in network byte
//! order behind methods that give real numbers. Nothing is copied but what is asked for.
//!
//! ```text
//! Packet::header::<Ethernet>(0) -> header::<Ipv4>(14) -> header::<Tcp>(34)
//! ```
#![no_std]

pub mod bytes;
pub mod checksum;
pub mod crc32c;
pub mod ethernet;
pub mod gre;
pub mod gue;
pub mod icmp;
pub mod ipv4;
pub mod ipv6;
pub mod packet;
pub mod sctp;
pub mod transport;
