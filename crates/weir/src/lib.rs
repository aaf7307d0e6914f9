//! The Linux Virtual Server, as one program: the daemon, and the command line that speaks to it.
//!
//! [`verbs`] has a file for each thing that can be asked of the command line; all but `run` and
//! `detach` are clients of the management API and nothing else. [`daemon`] is what `run` serves: the
//! management API in front of `control::Director`, on any [`plane::Plane`].

mod amount;
pub mod command_line;
pub mod daemon;
pub mod exit;
mod kernel;
pub mod languages;
pub mod names;
pub mod plane;
pub mod verbs;
