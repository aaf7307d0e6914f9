//! Packet headers in place, and checksums.
#![no_std]
