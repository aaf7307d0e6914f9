//! The greeting of the PROXY protocol, version 2.

/// "This connection is the director's own" (`LOCAL`): signature, version and command, no addresses.
pub const LOCAL: [u8; 16] = *b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00";
