//! What is wanted of a director, whoever wrote it: `weir.toml`, the command line or the API.
//!
//! Everything here is plain data in the field's own words. Two services are the same service when
//! their [`ServiceKey`]s are equal, two real servers of one service when their addresses are.

pub mod health;
mod key;
mod mark;
mod notify;
mod persistence;
mod scheduler;
mod server;
mod service;
mod sync_daemon;
mod timeouts;
pub mod vrrp;
mod words;

pub use key::{BadServiceKey, Family, Protocol, ServiceKey};
pub use mark::{InterfaceName, MarkRule, Ports, Prefix};
pub use notify::{Fifo, Mail, Notifications, Script, ScriptUser};
pub use persistence::{Engine, Netmask, Persistence, PrefixLength6};
pub use scheduler::{Scheduler, SchedulerFlags};
pub use server::{Forwarding, GueChecksum, RealServer, Thresholds, Tunnel, Weight, is_host};
pub use service::{LocalAddresses, Refusal, Service};
pub use sync_daemon::{SyncDaemon, SyncRole};
pub use timeouts::{ServiceTimeouts, Timeouts};
pub use words::Words;
