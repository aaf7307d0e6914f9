//! The management API: what can be asked of a director, by whom, and what it answers.
//!
//! HTTP with JSON on a Unix socket, version prefix `/v1`, described by `/v1/openapi.json`:
//!
//! ```text
//!   client::Client ──HTTP──> server::serve ──> dyn Management   (the daemon, or a test's fake)
//!                   types::*                    config::model::*
//! ```
//!
//! Text becomes values once, at the border: [`types`] is what travels, `config::model` is what a
//! [`Management`] sees. The command line is a client like any other and uses nothing else.

pub mod client;
pub mod edit;
pub mod error;
mod handlers;
pub mod key;
pub mod management;
mod openapi;
pub mod server;
pub mod status;
pub mod time;
pub mod types;

pub use error::{Code, Error};
pub use key::Key;
pub use management::{Change, Management, Peer};
pub use openapi::document;

/// Where the socket is unless something else is said.
pub const DEFAULT_SOCKET: &str = "/run/weir/weir.sock";
/// The environment variable that names another socket.
pub const SOCKET_VARIABLE: &str = "WEIR_SOCKET";
