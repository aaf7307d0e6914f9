//! Three namespaces in a row: clients, director, real servers.

use crate::frames::{
    CLIENTS_FAR, CLIENTS_NEAR, Mac, SERVERS_FAR, SERVERS_NEAR, VIRTUAL, real_server,
};
use anyhow::{Context, Result};
use std::path::PathBuf;
use weir_lab::{Lab, Namespace};

/// The clients' interface.
pub const CLIENTS_END: &str = "far0";
/// The director's interface towards clients.
pub const CLIENTS_SIDE: &str = "clients";
/// The director's interface towards real servers.
pub const SERVERS_SIDE: &str = "servers";
/// The real servers' interface.
pub const SERVERS_END: &str = "far1";

/// The network; dropped, it is gone.
pub struct Topology {
    /// Where the generator of requests is, and replies come out.
    pub clients: Namespace,
    /// In the middle.
    pub director: Namespace,
    /// Where requests come out, and the generator of replies is.
    pub servers: Namespace,
    // Last: the namespaces' handles go before the lab removes them.
    lab: Lab,
}

impl Topology {
    /// Builds it, with neighbours for four real servers.
    pub fn new() -> Result<Topology> {
        Topology::with_servers(4)
    }

    /// Builds it with neighbours for so many real servers.
    pub fn with_servers(servers: u32) -> Result<Topology> {
        let lab = Lab::new()?;
        let topology = Topology {
            clients: lab.namespace("clients")?,
            director: lab.namespace("director")?,
            servers: lab.namespace("servers")?,
            lab,
        };
        topology
            .clients
            .connect(CLIENTS_END, &topology.director, CLIENTS_SIDE)?;
        topology
            .director
            .connect(SERVERS_SIDE, &topology.servers, SERVERS_END)?;
        topology.set_up_director(servers)?;
        topology.set_up_ends()?;
        Ok(topology)
    }

    /// A directory for files.
    pub fn directory(&self) -> PathBuf {
        self.lab.directory()
    }

    /// A BPF file system of this network's own.
    pub fn bpffs(&self) -> Result<PathBuf> {
        Ok(self.lab.bpffs()?)
    }

    fn set_up_director(&self, servers: u32) -> Result<()> {
        let director = &self.director;
        director.sysctl("net/ipv4/ip_forward", "1")?;
        for place in ["all", "default", CLIENTS_SIDE, SERVERS_SIDE] {
            director.sysctl(&format!("net/ipv4/conf/{place}/rp_filter"), "0")?;
            director.sysctl(&format!("net/ipv4/conf/{place}/send_redirects"), "0")?;
        }
        let mut lines = vec![
            format!("link set {CLIENTS_SIDE} address {}", text(CLIENTS_NEAR)),
            format!("link set {SERVERS_SIDE} address {}", text(SERVERS_NEAR)),
            format!("address add 198.51.100.1/24 dev {CLIENTS_SIDE}"),
            format!("address add 10.0.0.1/16 dev {SERVERS_SIDE}"),
            format!(
                "neighbour add 198.51.100.2 lladdr {} dev {CLIENTS_SIDE} nud permanent",
                text(CLIENTS_FAR)
            ),
            "route add 198.18.0.0/15 via 198.51.100.2".to_owned(),
        ];
        for server in (0..servers).map(real_server) {
            lines.push(format!(
                "neighbour add {server} lladdr {} dev {SERVERS_SIDE} nud permanent",
                text(SERVERS_FAR)
            ));
        }
        self.batch(director, &lines)?;
        // XDP can send into a wire only if its far end polls, which GRO makes it do; so can the generator.
        for interface in [CLIENTS_SIDE, SERVERS_SIDE] {
            director.offload(interface, "gro", true)?;
        }
        Ok(())
    }

    fn set_up_ends(&self) -> Result<()> {
        for (end, interface, mac) in [
            (&self.clients, CLIENTS_END, CLIENTS_FAR),
            (&self.servers, SERVERS_END, SERVERS_FAR),
        ] {
            self.batch(
                end,
                &[format!("link set {interface} address {}", text(mac))],
            )?;
            end.offload(interface, "gro", true)?;
        }
        Ok(())
    }

    /// Makes the service's address one of the director's own.
    pub fn own_virtual_address(&self) -> Result<()> {
        self.director
            .ip(&format!("address add {VIRTUAL}/32 dev lo"))?;
        Ok(())
    }

    /// The number of an interface.
    pub fn interface(&self, namespace: &Namespace, name: &str) -> Result<u32> {
        let said = namespace.ip(&format!("-o link show dev {name}"))?;
        let number = said
            .split(':')
            .next()
            .and_then(|number| number.trim().parse().ok());
        number.with_context(|| format!("expected an interface's number, got `{said}`"))
    }

    /// Lines of `ip` in one process.
    fn batch(&self, namespace: &Namespace, lines: &[String]) -> Result<()> {
        let path = self.directory().join("batch");
        std::fs::write(&path, lines.join("\n") + "\n")?;
        namespace.ip(&format!("-batch {}", path.display()))?;
        Ok(())
    }
}

fn text(mac: Mac) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}
