//! What can stand between a client and real servers, each set up as its own people would for speed.

use super::Bench;
use super::site::Site;
use crate::setup::STREAM_MODULE;
use crate::step::ask;
use anyhow::{Context, Result, bail};
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use weir_lab::{Director, Process, until};

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contender {
    /// Not even a director: the client has a wire to the real servers' switch.
    Direct,
    /// Nothing: the client asks the real servers themselves, by the director's plain routing.
    Forwarding,
    /// As `Forwarding`, with Weir attached in its mode `xdp`, whose service nobody asks.
    PastWeirXdp,
    /// Weir, in its mode `xdp`.
    WeirXdp,
    /// Weir, in its mode `tc`.
    WeirTc,
    /// Destination NAT by nftables, real servers in turn.
    Nftables,
    /// HAProxy in TCP mode.
    Haproxy,
    /// nginx's stream proxy.
    Nginx,
}

/// One that runs, alone.
pub struct Running {
    /// Whom the client asks.
    pub servers: Vec<SocketAddr>,
    /// From which addresses.
    pub clients: Vec<IpAddr>,
    // Nothing for forwarding.
    what: Option<What>,
}

enum What {
    Weir(Box<Director>),
    Nftables,
    Proxy(Process),
}

/// What Weir is told beside its interfaces and mode.
#[derive(Debug, Clone, Default)]
pub struct WeirOptions {
    /// A configuration file.
    pub config: Option<PathBuf>,
}

impl Contender {
    /// Its name in the report.
    pub fn name(self) -> &'static str {
        match self {
            Contender::Direct => "no director",
            Contender::Forwarding => "forwarding",
            Contender::PastWeirXdp => "forwarding past Weir XDP",
            Contender::WeirXdp => "Weir XDP",
            Contender::WeirTc => "Weir TC",
            Contender::Nftables => "nftables",
            Contender::Haproxy => "HAProxy",
            Contender::Nginx => "nginx",
        }
    }

    /// Those of `all` that the command line wants.
    pub fn taking_part(bench: &Bench, all: &[Contender]) -> Vec<Contender> {
        let wanted = all.iter().filter(|one| bench.takes_part(one.name()));
        wanted.copied().collect()
    }

    /// Starts it for the port `port`; when this returns it answers.
    pub fn start(self, bench: &mut Bench, site: &Site, port: u16) -> Result<Running> {
        self.start_as(
            bench,
            site,
            port,
            &site.real_servers(port),
            &WeirOptions::default(),
        )
    }

    /// As [`start`](Self::start), in front of these real servers and with options.
    pub fn start_as(
        self,
        bench: &mut Bench,
        site: &Site,
        port: u16,
        real_servers: &[SocketAddr],
        weir: &WeirOptions,
    ) -> Result<Running> {
        let service = Site::service(port);
        let mut servers = vec![service];
        let what = match self {
            Contender::Forwarding => {
                return Ok(Running {
                    servers: real_servers.to_vec(),
                    clients: site.clients.clone(),
                    what: None,
                });
            }
            Contender::Direct => {
                return Ok(Running {
                    servers: site.direct.servers.clone(),
                    clients: site.direct.clients.clone(),
                    what: None,
                });
            }
            Contender::PastWeirXdp => {
                servers = real_servers.to_vec();
                start_weir(bench, site, "xdp", service, real_servers, weir)?
            }
            Contender::WeirXdp => start_weir(bench, site, "xdp", service, real_servers, weir)?,
            Contender::WeirTc => start_weir(bench, site, "tc", service, real_servers, weir)?,
            Contender::Nftables => start_nftables(bench, site, service, real_servers)?,
            Contender::Haproxy => start_haproxy(bench, site, service, real_servers)?,
            Contender::Nginx => start_nginx(bench, site, service, real_servers)?,
        };
        Ok(Running {
            servers,
            clients: site.clients.clone(),
            what: Some(what),
        })
    }
}

impl Running {
    /// The director, if it is Weir.
    pub fn director(&self) -> Option<&Director> {
        match &self.what {
            Some(What::Weir(director)) => Some(director),
            Some(What::Nftables | What::Proxy(_)) | None => None,
        }
    }

    /// Ends it and all that it left in the kernel, so that the next one finds the place as this one did.
    pub fn stop(self, site: &Site) -> Result<()> {
        let namespace = &site.network.director;
        match self.what {
            None => Ok(()),
            Some(What::Weir(mut director)) => {
                director.terminate()?;
                let bpffs = director.bpffs().display().to_string();
                let said = director.weir(&["detach", "--bpffs", &bpffs])?;
                if !said.status.success() {
                    bail!("weir detach: {}", String::from_utf8_lossy(&said.stderr));
                }
                Ok(())
            }
            Some(What::Nftables) => {
                namespace.run("nft flush ruleset")?;
                namespace.run("conntrack -F")?;
                Ok(())
            }
            Some(What::Proxy(mut process)) => {
                process.terminate()?;
                Ok(())
            }
        }
    }
}

fn start_weir(
    bench: &mut Bench,
    site: &Site,
    mode: &str,
    service: SocketAddr,
    real_servers: &[SocketAddr],
    options: &WeirOptions,
) -> Result<What> {
    let config = options
        .config
        .as_ref()
        .map(|config| config.display().to_string());
    let mut further = Vec::new();
    if let Some(config) = &config {
        further.extend(["--config", config]);
    }
    let interfaces = site.network.director_interfaces();
    let director = Director::start_on(&site.network, bench.weir(), mode, interfaces, &further)?;
    director.ipvsadm(&format!("-A -t {service} -s rr"))?;
    for server in real_servers {
        director.ipvsadm(&format!("-a -t {service} -r {server} -m"))?;
    }
    bench.note(
        "Weir: one service, scheduler rr, forwarding method NAT, everything else at its defaults.",
    );
    Ok(What::Weir(Box::new(director)))
}

fn start_nftables(
    bench: &mut Bench,
    site: &Site,
    service: SocketAddr,
    real_servers: &[SocketAddr],
) -> Result<What> {
    let mut map = String::new();
    for (number, server) in real_servers.iter().enumerate() {
        let _ = write!(map, "{number} : {}, ", server.ip());
    }
    let rules = format!(
        "table ip bench {{
    chain prerouting {{
        type nat hook prerouting priority dstnat
        ip daddr {} tcp dport {} dnat to numgen inc mod {} map {{ {map} }}
    }}
}}
",
        service.ip(),
        service.port(),
        real_servers.len()
    );
    let file = site.network.lab().directory().join("bench.nft");
    std::fs::write(&file, rules).context("cannot write nftables' rules")?;
    let load = format!("nft -f {}", file.display());
    site.network.director.run(&load)?;
    let version = ask(Command::new("nft").arg("--version")).unwrap_or_default();
    bench.note(format!(
        "{version}: one rule, `dnat to numgen inc mod {} map {{..}}`, no masquerading, no flow table; the kernel's connection table at its defaults, empty at each begin.",
        real_servers.len()
    ));
    Ok(What::Nftables)
}

fn start_haproxy(
    bench: &mut Bench,
    site: &Site,
    service: SocketAddr,
    real_servers: &[SocketAddr],
) -> Result<What> {
    let mut configuration = format!(
        "global
    nbthread 2
    maxconn 5000
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    option splice-auto
    option tcp-smart-connect
    option tcp-smart-accept
listen web
    bind {service}
    balance roundrobin
"
    );
    for (number, server) in real_servers.iter().enumerate() {
        let _ = writeln!(configuration, "    server real{number} {server}");
    }
    let file = site.network.lab().directory().join("haproxy.cfg");
    std::fs::write(&file, configuration).context("cannot write HAProxy's configuration")?;
    let mut command = site.network.director.command("haproxy");
    command.arg("-db").arg("-f").arg(&file);
    let version = ask(Command::new("haproxy").arg("-v")).unwrap_or_default();
    bench.note(format!(
        "{}: mode tcp, nbthread 2, maxconn 5000, balance roundrobin, option splice-auto, tcp-smart-connect and tcp-smart-accept, no log, no health checks.",
        version.lines().next().unwrap_or("HAProxy")
    ));
    start_proxy(site, "HAProxy", &mut command, service)
}

fn start_nginx(
    bench: &mut Bench,
    site: &Site,
    service: SocketAddr,
    real_servers: &[SocketAddr],
) -> Result<What> {
    let place = site.network.lab().directory().join("stream");
    std::fs::create_dir_all(&place).context("cannot make a directory for nginx")?;
    let servers: String = real_servers
        .iter()
        .map(|server| format!("server {server}; "))
        .collect();
    let configuration = format!(
        "load_module {STREAM_MODULE};
user root;
daemon off;
pid {}/pid;
worker_processes auto;
worker_rlimit_nofile 200000;
events {{ worker_connections 65536; multi_accept on; }}
stream {{
    access_log off;
    upstream real {{ {servers}}}
    server {{
        listen {service} reuseport backlog=16384;
        proxy_pass real;
    }}
}}
",
        place.display()
    );
    let file = place.join("nginx.conf");
    std::fs::write(&file, configuration).context("cannot write nginx's configuration")?;
    let mut command = site.network.director.command("nginx");
    command
        .arg("-c")
        .arg(&file)
        .arg("-e")
        .arg(place.join("error.log"));
    let version = Command::new("nginx")
        .arg("-v")
        .output()
        .map(|said| String::from_utf8_lossy(&said.stderr).trim().to_owned())
        .unwrap_or_default();
    bench.note(format!(
        "{version}: stream proxy, worker_processes auto, worker_connections 65536, multi_accept on, listen with reuseport, no log.",
    ));
    start_proxy(site, "nginx", &mut command, service)
}

fn start_proxy(
    site: &Site,
    name: &str,
    command: &mut Command,
    service: SocketAddr,
) -> Result<What> {
    let log = site.network.lab().directory().join(format!("{name}.log"));
    let mut process = Process::start(command, &log)?;
    let listens = || {
        site.network
            .client
            .enter(|| TcpStream::connect_timeout(&service, Duration::from_secs(1)).is_ok())
            .unwrap_or(false)
    };
    until(
        &format!("{name} listening"),
        Duration::from_secs(10),
        || !process.runs() || listens(),
    )?;
    if !process.runs() {
        bail!("{name} ended: {}", process.said());
    }
    Ok(What::Proxy(process))
}
