//! The files of `/proc/net` that the kernel's IPVS has, as it writes them: programs read those that
//! have no use for a command.

mod connections;
mod services;
mod statistics;

use std::fmt;
use std::net::{IpAddr, SocketAddr};

pub use connections::{connection_line, connection_title};
pub use services::services;
pub use statistics::{statistics, statistics_by_processor};

/// One of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum File {
    /// `ip_vs`: services and real servers.
    Services,
    /// `ip_vs_app`: the application helpers.
    Applications,
    /// `ip_vs_conn`: connections.
    Connections,
    /// `ip_vs_conn_sync`: connections, with where the director has them from.
    ConnectionOrigins,
    /// `ip_vs_stats`: what the whole director has done.
    Statistics,
    /// `ip_vs_stats_percpu`: the same by processor.
    StatisticsByProcessor,
}

impl File {
    /// All of them, in the order of their names.
    pub const ALL: [Self; 6] = [
        Self::Services,
        Self::Applications,
        Self::Connections,
        Self::ConnectionOrigins,
        Self::Statistics,
        Self::StatisticsByProcessor,
    ];

    /// Its name under `/proc/net`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Services => "ip_vs",
            Self::Applications => "ip_vs_app",
            Self::Connections => "ip_vs_conn",
            Self::ConnectionOrigins => "ip_vs_conn_sync",
            Self::Statistics => "ip_vs_stats",
            Self::StatisticsByProcessor => "ip_vs_stats_percpu",
        }
    }

    /// The file of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|file| file.name() == name)
    }
}

/// A helper that translates what an application says of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Application {
    /// Its name.
    pub name: &'static str,
    /// The port whose connections it reads, over TCP.
    pub port: u16,
    /// How many connections it reads now.
    pub connections: u32,
}

/// `ip_vs_app`
pub fn applications(applications: &[Application]) -> String {
    let mut text = "prot port    usecnt name\n".to_owned();
    for Application {
        name,
        port,
        connections,
    } in applications
    {
        text += &format!("TCP  {port:<7} {connections:<6} {name:<17}\n");
    }
    text
}

/// An IP address in hexadecimal, IPv6 without any shortening.
struct Hexadecimal(IpAddr);

impl fmt::Display for Hexadecimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => write!(f, "{:08X}", address.to_bits()),
            IpAddr::V6(address) => {
                let [a, b, c, d, e, g, h, i] = address.segments();
                write!(
                    f,
                    "{a:04x}:{b:04x}:{c:04x}:{d:04x}:{e:04x}:{g:04x}:{h:04x}:{i:04x}"
                )
            }
        }
    }
}

/// `address:port`, IPv6 in brackets.
fn endpoint(address: SocketAddr) -> String {
    let (host, port) = (Hexadecimal(address.ip()), address.port());
    match address {
        SocketAddr::V4(_) => format!("{host}:{port:04X}"),
        SocketAddr::V6(_) => format!("[{host}]:{port:04X}"),
    }
}
