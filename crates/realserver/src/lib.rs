//! The other end of direct routing and tunnels: what a real server needs, what is wrong on one that
//! was set up by hand, and how to put back what was before.
//!
//! Facts come in, changes go out: [`prepare::prepare`] compares what is wanted with the
//! [`facts::Facts`] of the host, [`record::restore`] undoes what a [`record::Record`] remembers, and
//! [`check::check`] says what is wrong, each a sentence with what to do.

pub mod check;
pub mod facts;
pub mod prepare;
pub mod record;
pub mod setting;
#[cfg(test)]
mod testing;
