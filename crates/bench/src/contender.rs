//! Who is measured, each set up as its users would: one service, four real servers, round robin, NAT.

use crate::frames::{REAL_PORT, VIRTUAL, VIRTUAL_PORT, real_server};
use crate::generator::Generator;
use crate::say;
use crate::service::Service;
use crate::topology::Topology;
use crate::weir::{Room, Weir};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Who forwards the packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Contender {
    /// Nobody: the director drops them. What generator and veth cost alone.
    Generator,
    /// An XDP program that rewrites the link addresses and redirects.
    Floor,
    /// A TC program that does the same.
    FloorTc,
    /// Weir's XDP program.
    WeirXdp,
    /// Weir's TC program.
    WeirTc,
    /// The kernel, routing, without any balancing.
    Forwarding,
    /// Destination NAT of nftables, `numgen inc`.
    Nftables,
    /// The kernel's IPVS, NAT, round robin.
    Ipvs,
}

/// What runs as long as a contender is set up.
pub struct Running {
    _weir: Option<Weir>,
    _limits: Option<ConntrackLimits>,
}

impl Contender {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Contender::Generator => "generator",
            Contender::Floor => "floor",
            Contender::FloorTc => "floor TC",
            Contender::WeirXdp => "Weir XDP",
            Contender::WeirTc => "Weir TC",
            Contender::Forwarding => "forwarding",
            Contender::Nftables => "nftables",
            Contender::Ipvs => "IPVS",
        }
    }

    /// Whether it remembers connections, so that new ones cost something of their own.
    pub fn remembers(self) -> bool {
        match self {
            Contender::Generator
            | Contender::Floor
            | Contender::FloorTc
            | Contender::Forwarding => false,
            Contender::WeirXdp | Contender::WeirTc | Contender::Nftables | Contender::Ipvs => true,
        }
    }

    /// Sets it up on the director, with room for so many connections.
    pub fn set_up(
        self,
        topology: &Topology,
        generator: &mut Generator,
        weir: &Path,
        connections: u32,
        service: &Service,
    ) -> Result<Running> {
        let mut running = Running {
            _weir: None,
            _limits: None,
        };
        let room = Room {
            connections4: connections,
            connections6: 1_024,
        };
        match self {
            Contender::Generator => generator.drop_at_director(topology)?,
            Contender::Floor => generator.redirect(topology, true)?,
            Contender::FloorTc => generator.redirect(topology, false)?,
            Contender::WeirXdp => {
                running._weir = Some(Weir::start(topology, weir, "xdp", room, service)?)
            }
            Contender::WeirTc => {
                running._weir = Some(Weir::start(topology, weir, "tc", room, service)?)
            }
            Contender::Forwarding => {
                let route = format!("route add {VIRTUAL}/32 via {}", real_server(0));
                topology.director.ip(&route)?;
            }
            Contender::Nftables => {
                running._limits = Some(ConntrackLimits::raise(connections)?);
                set_up_nftables(topology, service)?;
            }
            Contender::Ipvs => set_up_ipvs(topology, service)?,
        }
        Ok(running)
    }
}

fn set_up_ipvs(topology: &Topology, service: &Service) -> Result<()> {
    // 4 096 buckets, the default, would be slow with many flows; who has them is told to set this.
    let bits = "conn_tab_bits=18";
    weir_lab::run(Command::new("modprobe").args(["ip_vs", bits]))?;
    topology.own_virtual_address()?;
    service.restore(topology, &mut topology.director.command("ipvsadm"))?;
    say::note(&format!(
        "IPVS: {}, module with {bits}",
        version(Path::new("ipvsadm"), "--version")
    ));
    Ok(())
}

fn set_up_nftables(topology: &Topology, service: &Service) -> Result<()> {
    let servers: Vec<String> = (0..service.servers)
        .map(|number| format!("{number} : {} . {REAL_PORT}", real_server(number)))
        .collect();
    let rule = |protocol: &str| {
        format!(
            "ip daddr {VIRTUAL} {protocol} dport {VIRTUAL_PORT} dnat ip to numgen inc mod {} map {{ {} }}",
            service.servers,
            servers.join(", ")
        )
    };
    let text = format!(
        "table ip bench {{\n chain prerouting {{\n  type nat hook prerouting priority dstnat; policy accept;\n  {}\n  {}\n }}\n}}\n",
        rule("tcp"),
        rule("udp")
    );
    let path = topology.directory().join("nftables");
    std::fs::write(&path, text)?;
    weir_lab::run(topology.director.command("nft").arg("-f").arg(&path))?;
    say::note(&format!(
        "nftables: {}, `{}`",
        version(Path::new("nft"), "--version"),
        rule("tcp")
    ));
    Ok(())
}

/// Room in the kernel's connection tracking, which all namespaces share; dropped, it is as it was.
struct ConntrackLimits(Vec<(PathBuf, String)>);

impl ConntrackLimits {
    fn raise(connections: u32) -> Result<ConntrackLimits> {
        // Fails where it is built in.
        let _ = weir_lab::output(Command::new("modprobe").arg("nf_conntrack"));
        let mut limits = ConntrackLimits(Vec::new());
        // As many buckets as connections: the kernel's own ratio.
        for (place, value) in [
            (
                "/proc/sys/net/netfilter/nf_conntrack_max",
                connections.saturating_mul(2),
            ),
            ("/sys/module/nf_conntrack/parameters/hashsize", connections),
        ] {
            let path = PathBuf::from(place);
            let before = std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read {place}: is connection tracking there?"))?;
            if before.trim().parse().unwrap_or(0) < value {
                std::fs::write(&path, value.to_string())
                    .with_context(|| format!("cannot write {place}"))?;
                limits.0.push((path, before));
            }
        }
        Ok(limits)
    }
}

impl Drop for ConntrackLimits {
    fn drop(&mut self) {
        for (path, before) in &self.0 {
            // Nothing can be done about it here.
            let _ = std::fs::write(path, before.trim());
        }
    }
}

/// What a program says of its version, in a line.
pub fn version(program: &Path, flag: &str) -> String {
    let said = weir_lab::output(Command::new(program).arg(flag));
    let text = said.map(|said| String::from_utf8_lossy(&said.stdout).into_owned());
    text.unwrap_or_default()
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}
