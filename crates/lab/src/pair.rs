//! Two directors in front of the same real servers, of which one is Active.
//!
//! ```text
//!              outside                        inside
//!   client ---- bridge ---- director1 --------- bridge ---- real1 .. realN
//!                    \----- director2 ---------/
//! ```
//!
//! The virtual addresses are whoever's is Active: [`Family::virtual_address`] outside, and inside the gateway of the
//! real servers, [`Family::gateway`]. IPv4 only.

mod keeper;
mod site;

pub use keeper::Keeper;
pub use site::PairSite;

use crate::error::Result;
use crate::lab::Lab;
use crate::namespace::Namespace;
use crate::network::{self, Family, RealServer};
use rustix::process::{Pid, Signal};
use std::net::{IpAddr, Ipv4Addr};

/// The first director's own address towards the real servers.
pub(crate) const FIRST_INSIDE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 3);

/// The network; dropped, it is gone.
#[derive(Debug)]
pub struct Pair {
    /// Uses the services.
    pub client: Namespace,
    /// Of the first one the configuration wants that it is Active.
    pub directors: [Namespace; 2],
    /// Answer.
    pub real_servers: Vec<RealServer>,
    /// Connects the client with the directors; their ports are `director1` and `director2`.
    pub outside: Namespace,
    /// Connects the directors with the real servers, with ports of the same names.
    pub inside: Namespace,
    // Last: the namespaces' handles go before the lab removes them.
    lab: Lab,
}

impl Pair {
    /// Builds it, with neither virtual address anywhere.
    pub fn new(real_servers: u8) -> Result<Pair> {
        let lab = Lab::new()?;
        let outside = switch(&lab, "outside")?;
        let inside = switch(&lab, "inside")?;
        let client = lab.namespace("client")?;
        plug(&client, "eth0", &outside, "client")?;
        client.ip(&format!("address add {}/24 dev eth0", Family::V4.client()))?;
        let directors = [director(&lab, 0)?, director(&lab, 1)?];
        for (number, director) in (0..).zip(&directors) {
            let port = format!("director{}", number + 1);
            for (interface, switch, network) in [
                ("clients", &outside, [192, 0, 2]),
                ("servers", &inside, [10, 0, 0]),
            ] {
                plug(director, interface, switch, &port)?;
                let [a, b, c] = network;
                let own = IpAddr::from(Ipv4Addr::new(a, b, c, 3 + number));
                director.ip(&format!("address add {own}/24 dev {interface}"))?;
            }
        }
        let mut pair = Pair {
            client,
            directors,
            real_servers: Vec::new(),
            outside,
            inside,
            lab,
        };
        for number in 1..=real_servers {
            pair.add_real_server(number)?;
        }
        Ok(pair)
    }

    /// The lab that owns all this.
    pub fn lab(&self) -> &Lab {
        &self.lab
    }

    /// Which director has the virtual addresses: both, where they do not know of each other.
    pub fn active(&self) -> Result<Vec<usize>> {
        let address = Family::V4.virtual_address();
        let mut active = Vec::new();
        for (number, director) in self.directors.iter().enumerate() {
            let said = director.ip(&format!("-o address show to {address}"))?;
            if !said.trim().is_empty() {
                active.push(number);
            }
        }
        Ok(active)
    }

    /// Sends a signal to everything that runs in a director's namespace.
    pub fn signal(&self, director: usize, signal: Signal) -> Result<()> {
        let name = self.directors[director].name();
        let said = crate::run(std::process::Command::new("ip").args(["netns", "pids", name]))?;
        for id in said.split_whitespace().filter_map(|word| word.parse().ok()) {
            if let Some(process) = Pid::from_raw(id) {
                // Who has ended meanwhile needs no signal.
                let _ = rustix::process::kill_process(process, signal);
            }
        }
        Ok(())
    }

    /// Lets nothing through between a director and the others, or lets it through again; its links stay up.
    pub fn cut_off(&self, director: usize, cut: bool) -> Result<()> {
        let port = format!("director{}", director + 1);
        let master = if cut { "nomaster" } else { "master bridge" };
        for switch in [&self.outside, &self.inside] {
            switch.ip(&format!("link set {port} {master}"))?;
        }
        Ok(())
    }

    fn add_real_server(&mut self, number: u8) -> Result<()> {
        let name = format!("real{number}");
        let namespace = self.lab.namespace(&name)?;
        plug(&namespace, "eth0", &self.inside, &name)?;
        let address = Family::V4.real_server(number);
        namespace.ip(&format!("address add {address}/24 dev eth0"))?;
        namespace.ip(&format!("route add default via {}", Family::V4.gateway()))?;
        self.real_servers
            .push(RealServer::new(name, namespace, number));
        Ok(())
    }
}

fn switch(lab: &Lab, role: &str) -> Result<Namespace> {
    let switch = lab.namespace(role)?;
    switch.ip("link add name bridge type bridge")?;
    switch.ip("link set bridge up")?;
    Ok(switch)
}

fn director(lab: &Lab, number: u8) -> Result<Namespace> {
    let director = lab.namespace(&format!("director{}", number + 1))?;
    network::forward(&director)?;
    Ok(director)
}

fn plug(host: &Namespace, interface: &str, switch: &Namespace, port: &str) -> Result<()> {
    host.connect(interface, switch, port)?;
    switch.ip(&format!("link set {port} master bridge"))?;
    Ok(())
}
