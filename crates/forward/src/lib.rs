//! What happens to one packet, given tables.
#![no_std]
