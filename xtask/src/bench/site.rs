//! The network in which real programs are measured.

use anyhow::Result;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use weir_lab::{Family, Namespace, Network, Nginx, Plan, Shape};

/// The port of the web servers.
pub const WEB: u16 = 80;

/// How many real servers there are.
pub const REAL_SERVERS: u8 = 3;

/// From which addresses the client connects: enough for a million ports.
const CLIENTS: std::ops::RangeInclusive<u8> = 100..=119;

/// How the hosts' (virtual) network cards are set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cards {
    /// As the kernel makes a veth.
    Defaults,
    /// As XDP needs it on a veth: checksums finished by the hosts, NAPI (GRO) on.
    ForXdp,
}

impl Cards {
    /// For the report.
    pub fn describe(self) -> &'static str {
        match self {
            Cards::Defaults => "offloads as the kernel makes a veth (TSO and tx checksums on)",
            Cards::ForXdp => {
                "hosts and switch finish their checksums (`tx off`, so no TSO) and have GRO on, as XDP needs it on a veth"
            }
        }
    }
}

/// A client, a director's place that is empty, and three nginx. Declared in the order in which it must end.
pub struct Site {
    _nginx: Vec<Nginx>,
    /// Where it happens.
    pub network: Network,
    /// The client's addresses.
    pub clients: Vec<IpAddr>,
    /// The way past the director.
    pub direct: Direct,
}

/// A wire of its own from the client to the real servers' switch.
pub struct Direct {
    /// The client's addresses on it.
    pub clients: Vec<IpAddr>,
    /// The web servers on it.
    pub servers: Vec<SocketAddr>,
}

impl Site {
    /// Builds it.
    pub fn new(cards: Cards) -> Result<Site> {
        let network = Network::new(Plan {
            shape: Shape::TwoInterfaces,
            real_servers: REAL_SERVERS,
            offload: cards == Cards::Defaults,
        })?;
        let hosts = network.real_servers.iter().map(|server| &server.namespace);
        for host in hosts.chain([&network.client, &network.director]) {
            // The machine's choice would be measured too (BBR paces itself by timers); a namespace may choose this one only.
            host.sysctl("net/ipv4/tcp_congestion_control", "reno")?;
        }
        network
            .client
            .connect("direct", &network.switch, "client")?;
        network.switch.ip("link set client master bridge")?;
        let direct = [(&network.client, "direct"), (&network.switch, "client")];
        for (host, interface) in direct.into_iter().chain(wires(&network)) {
            host.offload(interface, "gro", cards == Cards::ForXdp)?;
            host.offload(interface, "tx", cards == Cards::Defaults)?;
        }
        let clients = CLIENTS.map(|last| Ipv4Addr::new(192, 0, 2, last));
        let clients = add_addresses(&network.client, "eth0", clients)?;
        let direct = Direct {
            clients: add_addresses(
                &network.client,
                "direct",
                CLIENTS.map(|last| Ipv4Addr::new(10, 1, 0, last)),
            )?,
            servers: direct_servers(&network)?,
        };
        let nginx = network
            .real_servers
            .iter()
            .map(|server| Nginx::start_without_log(network.lab(), server, WEB))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Site {
            _nginx: nginx,
            network,
            clients,
            direct,
        })
    }

    /// The real servers themselves, at `port`.
    pub fn real_servers(&self, port: u16) -> Vec<SocketAddr> {
        let servers = self.network.real_servers.iter();
        servers.map(|server| server.at(Family::V4, port)).collect()
    }

    /// The virtual service at `port`.
    pub fn service(port: u16) -> SocketAddr {
        Network::service(Family::V4, port)
    }
}

/// The ends of wires that are not the director's: those stay as the kernel makes them.
fn wires(network: &Network) -> impl Iterator<Item = (&Namespace, &str)> {
    let servers = network.real_servers.iter();
    servers
        .flat_map(|server| {
            [
                (&server.namespace, "eth0"),
                (&network.switch, server.name.as_str()),
            ]
        })
        .chain([(&network.client, "eth0"), (&network.switch, "director")])
}

fn add_addresses(
    host: &Namespace,
    interface: &str,
    addresses: impl Iterator<Item = Ipv4Addr>,
) -> Result<Vec<IpAddr>> {
    addresses
        .map(|address| {
            host.ip(&format!("address add {address}/24 dev {interface}"))?;
            Ok(address.into())
        })
        .collect()
}

/// Gives the real servers addresses that the client reaches without the director.
fn direct_servers(network: &Network) -> Result<Vec<SocketAddr>> {
    let mut servers = Vec::new();
    for (server, last) in network.real_servers.iter().zip(11..) {
        let addresses = std::iter::once(Ipv4Addr::new(10, 1, 0, last));
        let added = add_addresses(&server.namespace, "eth0", addresses)?;
        servers.extend(added.into_iter().map(|ip| SocketAddr::new(ip, WEB)));
    }
    Ok(servers)
}
