//! The network of the demo, what runs in it, and its services.

use anyhow::{Context, Result};
use std::net::SocketAddr;
use std::path::Path;
use weir_lab::{Director, Family, Lab, Network, Nginx, Plan, Process, Shape};

/// The port of the web site, and the one of the UDP servers.
pub const WEB: u16 = 80;
pub const DNS: u16 = 53;

/// A virtual service of the demo.
pub struct Service {
    /// `-t` or `-u`.
    pub flag: &'static str,
    /// Where it listens.
    pub address: SocketAddr,
    /// Which scheduler it has.
    pub scheduler: &'static str,
    /// The weights of the three real servers.
    pub weights: [usize; 3],
}

/// The network, and what runs in it. Declared in the order in which it must end.
pub struct Scene {
    pub director: Director,
    pub nginx: Vec<Nginx>,
    udp: Vec<Process>,
    pub network: Network,
}

impl Scene {
    /// Builds the network and starts everything but the services.
    pub fn new(weir: &Path, mode: &str, stay: bool) -> Result<Scene> {
        println!("network");
        println!(
            "  client -- 192.0.2.0/24, 2001:db8:1::/64 -- director -- 10.0.0.0/24, 2001:db8:2::/64 -- real1 real2 real3"
        );
        let plan = Plan {
            shape: Shape::TwoInterfaces,
            real_servers: 3,
            offload: !mode.starts_with("xdp"),
        };
        let lab = if stay { Lab::to_keep()? } else { Lab::new()? };
        let network = Network::build(plan, lab)?;
        Nginx::make_big_file(network.lab())?;
        let nginx = network
            .real_servers
            .iter()
            .map(|server| Nginx::start(network.lab(), server, WEB));
        let nginx = nginx.collect::<Result<Vec<_>, _>>()?;
        let udp = start_udp_servers(&network)?;
        let director = Director::start(&network, weir, mode)?;
        println!(
            "  real servers: nginx on port {WEB}, a UDP server on port {DNS}; director: {}",
            director.line()
        );
        Ok(Scene {
            director,
            nginx,
            udp,
            network,
        })
    }

    /// The four services: both families, both protocols.
    pub fn services() -> [Service; 4] {
        let [v4, v6] = Family::BOTH;
        let service = |flag, family, port, scheduler, weights| Service {
            flag,
            address: Network::service(family, port),
            scheduler,
            weights,
        };
        [
            service("-t", v4, WEB, "rr", [1, 1, 1]),
            service("-t", v6, WEB, "wrr", [3, 2, 1]),
            service("-u", v4, DNS, "wrr", [1, 2, 3]),
            service("-u", v6, DNS, "lc", [1, 1, 1]),
        ]
    }

    /// Sets them up, line by line, as an operator would.
    pub fn set_up_services(&self) -> Result<()> {
        println!("\nservices");
        for service in Self::services() {
            let Service {
                flag,
                address,
                scheduler,
                weights,
            } = service;
            self.ipvsadm(&format!("-A {flag} {address} -s {scheduler}"))?;
            for (number, weight) in weights.iter().enumerate() {
                let server = self.real_server(number, address);
                self.ipvsadm(&format!("-a {flag} {address} -r {server} -m -w {weight}"))?;
            }
        }
        Ok(())
    }

    /// Real server `number`, counted from 0, of the service at `address`.
    pub fn real_server(&self, number: usize, address: SocketAddr) -> SocketAddr {
        let family = if address.is_ipv4() {
            Family::V4
        } else {
            Family::V6
        };
        self.network.real_servers[number].at(family, address.port())
    }

    /// Runs an ipvsadm line and shows it.
    pub fn ipvsadm(&self, line: &str) -> Result<String> {
        println!("  ipvsadm {line}");
        self.director
            .ipvsadm(line)
            .with_context(|| format!("ipvsadm {line}"))
    }

    /// Leaves everything up and says what to try.
    pub fn stay(mut self) -> Result<()> {
        self.network.lab_mut().keep()?;
        self.director.keep();
        self.nginx.iter_mut().for_each(Nginx::keep);
        self.udp.iter_mut().for_each(Process::keep);
        let client = self.network.client.name();
        println!("\nThe network stays up. On the director:");
        println!("  export WEIR_SOCKET={}", self.director.socket().display());
        for verb in [
            "ipvsadm -Ln",
            "ipvsadm -Lnc",
            "ipvsadm -Ln --stats",
            "status",
        ] {
            println!("  {} {verb}", self.director.binary().display());
        }
        println!("  kill -9 {}", self.director.id());
        println!(
            "  nsenter --net=/run/netns/{} {}",
            self.network.director.name(),
            self.director.line()
        );
        println!("As the client:");
        println!("  nsenter --net=/run/netns/{client} curl http://192.0.2.10/");
        println!("  nsenter --net=/run/netns/{client} curl http://[2001:db8:1::10]/");
        println!("  nsenter --net=/run/netns/{client} wrk -d 5 http://192.0.2.10/");
        println!("Take it down:\n  cargo xtask demo --down");
        Ok(())
    }
}

/// A UDP server in each real server: this program under another verb, so that it can outlive us.
fn start_udp_servers(network: &Network) -> Result<Vec<Process>> {
    let itself = std::env::current_exe().context("cannot tell our own path")?;
    let mut running = Vec::new();
    for server in &network.real_servers {
        let mut command = server.namespace.command(&itself);
        command.args(["answer-udp", &server.name, &DNS.to_string()]);
        let log = network
            .lab()
            .directory()
            .join(format!("{}-udp.log", server.name));
        let mut process = Process::start(&mut command, &log)?;
        process.wait_for_line("listening")?;
        running.push(process);
    }
    Ok(running)
}
