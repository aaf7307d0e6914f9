//! Networks of namespaces for demo, tests and benches.
//!
//! ```text
//!   client                 director                     switch            real1 .. realN
//!   eth0 ------------------ clients
//!                           servers ------------------- bridge ---------- eth0
//! ```
//!
//! A [`Network`] is a value: making it makes the namespaces, dropping it removes them and everything that runs in them,
//! after a panic too. What a killed process left behind is removed when the next [`Lab`] is made. No traffic leaves
//! these namespaces: they have no way out.
//!
//! Order of calls: [`Network::new`], start servers ([`Nginx`], [`UdpEcho`]), [`Director::start`], then talk.

mod command;
mod counted;
mod director;
mod error;
mod http;
mod lab;
mod load;
mod long;
mod namespace;
mod network;
mod nginx;
mod pair;
mod percentiles;
mod poller;
mod process;
mod short;
mod udp;
mod wait;

pub use command::{output, run};
pub use counted::{CountedReport, CountedUdp};
pub use director::Director;
pub use error::{Error, Result};
pub use lab::{Lab, is_root, take_down_kept, take_down_ours};
pub use load::{RunningWrk, Tally, Wrk, WrkReport, curl, curl_exit, curl_hash};
pub use long::{LongConnections, LongReport, OpenConnections};
pub use namespace::Namespace;
pub use network::{Family, Network, Plan, RealServer, Shape};
pub use nginx::{BIG_FILE_BYTES, Nginx};
pub use pair::{Keeper, Pair, PairSite};
pub use percentiles::Percentiles;
pub use process::Process;
pub use rustix::process::Signal;
pub use short::{Arrival, ShortConnections, ShortReport};
pub use udp::{UdpEcho, UdpLoad, serve_udp};
pub use wait::until;
