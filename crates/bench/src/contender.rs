//! Who is measured, each set up as its users would: one service, four real servers, round robin, NAT.

use crate::frames::{REAL_PORT, REAL_SERVERS, VIRTUAL, VIRTUAL_PORT, real_server};
use crate::generator::Generator;
use crate::say;
use crate::topology::{CLIENTS_SIDE, SERVERS_SIDE, Topology};
use anyhow::{Context, Result, bail};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use weir_lab::{Process, until};

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
    _daemon: Option<Process>,
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
    ) -> Result<Running> {
        let mut running = Running {
            _daemon: None,
            _limits: None,
        };
        match self {
            Contender::Generator => generator.drop_at_director(topology)?,
            Contender::Floor => generator.redirect(topology, true)?,
            Contender::FloorTc => generator.redirect(topology, false)?,
            Contender::WeirXdp => {
                running._daemon = Some(set_up_weir(topology, weir, "xdp", connections)?)
            }
            Contender::WeirTc => {
                running._daemon = Some(set_up_weir(topology, weir, "tc", connections)?)
            }
            Contender::Forwarding => {
                let route = format!("route add {VIRTUAL}/32 via {}", real_server(0));
                topology.director.ip(&route)?;
            }
            Contender::Nftables => {
                running._limits = Some(ConntrackLimits::raise(connections)?);
                set_up_nftables(topology)?;
            }
            Contender::Ipvs => set_up_ipvs(topology)?,
        }
        Ok(running)
    }
}

fn set_up_weir(topology: &Topology, weir: &Path, mode: &str, connections: u32) -> Result<Process> {
    topology.own_virtual_address()?;
    let directory = topology.directory();
    let (config, socket) = (directory.join("weir.toml"), directory.join("weir.sock"));
    std::fs::write(
        &config,
        format!("[tables]\nconnections = {connections}\nconnections6 = 1024\n"),
    )?;
    let mut command = topology.director.command(weir);
    command
        .arg("run")
        .arg("--config")
        .arg(&config)
        .arg("--socket")
        .arg(&socket);
    command
        .arg("--bpffs")
        .arg(topology.bpffs()?.join("weir"))
        .args(["--mode", mode]);
    command.args(["--interface", CLIENTS_SIDE, "--interface", SERVERS_SIDE]);
    let mut daemon = Process::start(&mut command, &directory.join("weir.log"))?;
    until(
        "weir answering on its socket",
        Duration::from_secs(300),
        || !daemon.runs() || UnixStream::connect(&socket).is_ok(),
    )?;
    if !daemon.runs() {
        bail!("weir ended by itself: {}", daemon.said());
    }
    configure(topology, weir, |command| {
        command.arg("ipvsadm").env("WEIR_SOCKET", &socket);
    })?;
    say::note(&format!(
        "Weir {mode}: {}, tables for {connections} connections",
        version(weir, "--version")
    ));
    Ok(daemon)
}

fn set_up_ipvs(topology: &Topology) -> Result<()> {
    // 4 096 buckets, the default, would be slow with many flows; who has them is told to set this.
    let bits = "conn_tab_bits=18";
    weir_lab::run(Command::new("modprobe").args(["ip_vs", bits]))?;
    topology.own_virtual_address()?;
    configure(topology, Path::new("ipvsadm"), |_| {})?;
    say::note(&format!(
        "IPVS: {}, module with {bits}",
        version(Path::new("ipvsadm"), "--version")
    ));
    Ok(())
}

/// The services, by ipvsadm's words, which Weir understands too.
fn configure(topology: &Topology, program: &Path, prepare: impl Fn(&mut Command)) -> Result<()> {
    for flag in ["-t", "-u"] {
        let service = format!("{VIRTUAL}:{VIRTUAL_PORT}");
        let call = |words: &[&str]| {
            let mut command = topology.director.command(program);
            prepare(&mut command);
            weir_lab::run(command.args(words))
        };
        call(&["-A", flag, &service, "-s", "rr"])?;
        for server in (0..REAL_SERVERS).map(real_server) {
            call(&[
                "-a",
                flag,
                &service,
                "-r",
                &format!("{server}:{REAL_PORT}"),
                "-m",
            ])?;
        }
    }
    Ok(())
}

fn set_up_nftables(topology: &Topology) -> Result<()> {
    let servers: Vec<String> = (0..REAL_SERVERS)
        .map(|number| format!("{number} : {} . {REAL_PORT}", real_server(number)))
        .collect();
    let rule = |protocol: &str| {
        format!(
            "ip daddr {VIRTUAL} {protocol} dport {VIRTUAL_PORT} dnat ip to numgen inc mod {REAL_SERVERS} map {{ {} }}",
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

fn version(program: &Path, flag: &str) -> String {
    let said = weir_lab::output(Command::new(program).arg(flag));
    let text = said.map(|said| String::from_utf8_lossy(&said.stdout).into_owned());
    text.unwrap_or_default()
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}
