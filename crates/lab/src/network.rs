//! The network of a director: a client, the director, real servers behind it.

use crate::error::Result;
use crate::lab::Lab;
use crate::namespace::Namespace;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// How the director is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `clients` towards the client, `servers` towards the real servers.
    TwoInterfaces,
    /// One interface, `lan`, for both sides: everybody on one switch, in two subnets.
    OneInterface,
}

/// What to build.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// How the director is connected.
    pub shape: Shape,
    /// How many real servers.
    pub real_servers: u8,
    /// Whether hosts leave checksums and segmentation to their (virtual) network cards, as TC sees it. Under XDP they
    /// must not: a veth hands partial checksums on, and XDP cannot see that they are partial.
    pub offload: bool,
}

/// An address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4
    V4,
    /// IPv6
    V6,
}

impl Family {
    /// Both.
    pub const BOTH: [Family; 2] = [Family::V4, Family::V6];

    /// The virtual address of the services.
    pub fn virtual_address(self) -> IpAddr {
        match self {
            Family::V4 => Ipv4Addr::new(192, 0, 2, 10).into(),
            Family::V6 => Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 0x10).into(),
        }
    }

    /// The client's address.
    pub fn client(self) -> IpAddr {
        match self {
            Family::V4 => Ipv4Addr::new(192, 0, 2, 2).into(),
            Family::V6 => Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 2).into(),
        }
    }

    /// The director's address towards the clients.
    pub fn director(self) -> IpAddr {
        match self {
            Family::V4 => Ipv4Addr::new(192, 0, 2, 1).into(),
            Family::V6 => Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 1).into(),
        }
    }

    /// The director's address towards the real servers: their gateway.
    pub fn gateway(self) -> IpAddr {
        match self {
            Family::V4 => Ipv4Addr::new(10, 0, 0, 1).into(),
            Family::V6 => Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 1).into(),
        }
    }

    /// The address of real server `number`, counted from 1.
    pub fn real_server(self, number: u8) -> IpAddr {
        match self {
            Family::V4 => Ipv4Addr::new(10, 0, 0, 10 + number).into(),
            Family::V6 => {
                Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 0x10 + u16::from(number)).into()
            }
        }
    }

    fn prefix_length(self) -> u8 {
        match self {
            Family::V4 => 24,
            Family::V6 => 64,
        }
    }

    fn host_prefix_length(self) -> u8 {
        match self {
            Family::V4 => 32,
            Family::V6 => 128,
        }
    }

    fn flag(self) -> &'static str {
        match self {
            Family::V4 => "-4",
            Family::V6 => "-6",
        }
    }
}

/// A host behind the director.
#[derive(Debug)]
pub struct RealServer {
    /// Its name, as in its answers.
    pub name: String,
    /// Where it lives.
    pub namespace: Namespace,
    number: u8,
}

impl RealServer {
    pub(crate) fn new(name: String, namespace: Namespace, number: u8) -> RealServer {
        RealServer {
            name,
            namespace,
            number,
        }
    }

    /// Its address and a port, as ipvsadm takes them.
    pub fn at(&self, family: Family, port: u16) -> SocketAddr {
        SocketAddr::new(family.real_server(self.number), port)
    }
}

/// The network; dropped, it is gone.
#[derive(Debug)]
pub struct Network {
    /// Uses the services.
    pub client: Namespace,
    /// Runs `weir run`.
    pub director: Namespace,
    /// Answer.
    pub real_servers: Vec<RealServer>,
    /// Connects them.
    pub switch: Namespace,
    shape: Shape,
    offload: bool,
    // Last: the namespaces' handles go before the lab removes them.
    lab: Lab,
}

impl Network {
    /// Builds it. When this returns every host can reach every other by plain routing.
    pub fn new(plan: Plan) -> Result<Network> {
        Self::build(plan, Lab::new()?)
    }

    /// As [`new`](Self::new), in a lab made for it.
    pub fn build(plan: Plan, lab: Lab) -> Result<Network> {
        let client = lab.namespace("client")?;
        let director = lab.namespace("director")?;
        let switch = lab.namespace("switch")?;
        switch.ip("link add name bridge type bridge")?;
        switch.ip("link set bridge up")?;
        let mut network = Network {
            client,
            director,
            real_servers: Vec::new(),
            switch,
            shape: plan.shape,
            offload: plan.offload,
            lab,
        };
        network.connect_director()?;
        for number in 1..=plan.real_servers {
            network.add_real_server(number)?;
        }
        Ok(network)
    }

    /// The lab that owns all this.
    pub fn lab(&self) -> &Lab {
        &self.lab
    }

    /// As [`lab`](Self::lab).
    pub fn lab_mut(&mut self) -> &mut Lab {
        &mut self.lab
    }

    /// The director's interfaces, the clients' side first.
    pub fn director_interfaces(&self) -> &'static [&'static str] {
        match self.shape {
            Shape::TwoInterfaces => &["clients", "servers"],
            Shape::OneInterface => &["lan"],
        }
    }

    /// Where a service of this port is found.
    pub fn service(family: Family, port: u16) -> SocketAddr {
        SocketAddr::new(family.virtual_address(), port)
    }

    fn connect_director(&self) -> Result<()> {
        let director = &self.director;
        forward(director)?;
        match self.shape {
            Shape::TwoInterfaces => {
                self.client.connect("eth0", director, "clients")?;
                self.prepare(&self.client, "eth0")?;
                self.plug(director, "servers", "director")?;
            }
            Shape::OneInterface => {
                self.plug(&self.client, "eth0", "client")?;
                self.plug(director, "lan", "director")?;
            }
        }
        let interfaces = self.director_interfaces();
        let (clients, servers) = (interfaces[0], interfaces[interfaces.len() - 1]);
        for family in Family::BOTH {
            let (flag, length) = (family.flag(), family.prefix_length());
            let only = family.host_prefix_length();
            self.client.ip(&format!(
                "{flag} address add {}/{length} dev eth0",
                family.client()
            ))?;
            director.ip(&format!(
                "{flag} address add {}/{length} dev {clients}",
                family.director()
            ))?;
            director.ip(&format!(
                "{flag} address add {}/{only} dev {clients}",
                family.virtual_address()
            ))?;
            director.ip(&format!(
                "{flag} address add {}/{length} dev {servers}",
                family.gateway()
            ))?;
            self.client.ip(&format!(
                "{flag} route add default via {}",
                family.director()
            ))?;
        }
        Ok(())
    }

    fn add_real_server(&mut self, number: u8) -> Result<()> {
        let name = format!("real{number}");
        let namespace = self.lab.namespace(&name)?;
        self.plug(&namespace, "eth0", &name)?;
        for family in Family::BOTH {
            let (flag, length) = (family.flag(), family.prefix_length());
            namespace.ip(&format!(
                "{flag} address add {}/{length} dev eth0",
                family.real_server(number)
            ))?;
            namespace.ip(&format!(
                "{flag} route add default via {}",
                family.gateway()
            ))?;
        }
        self.real_servers
            .push(RealServer::new(name, namespace, number));
        Ok(())
    }

    /// Connects `interface` of a host with a port of the switch.
    fn plug(&self, host: &Namespace, interface: &str, port: &str) -> Result<()> {
        host.connect(interface, &self.switch, port)?;
        self.switch.ip(&format!("link set {port} master bridge"))?;
        self.prepare(&self.switch, port)?;
        // The director's own interfaces stay as they are: they are what is tested.
        if host.name() == self.director.name() {
            Ok(())
        } else {
            self.prepare(host, interface)
        }
    }

    /// Makes an interface fit for an XDP program on the other end of its wire.
    fn prepare(&self, namespace: &Namespace, interface: &str) -> Result<()> {
        // Without NAPI on its peer a frame that XDP redirects into a veth vanishes; GRO turns NAPI on.
        namespace.offload(interface, "gro", true)?;
        // The switch's ports too: what GRO merged there leaves them in segments with partial checksums.
        namespace.offload(interface, "tx", self.offload)
    }
}

/// Lets a namespace forward packets, whatever address they come from.
pub(crate) fn forward(director: &Namespace) -> Result<()> {
    for setting in [
        "ipv4/ip_forward",
        "ipv6/conf/all/forwarding",
        "ipv6/conf/default/forwarding",
    ] {
        director.sysctl(&format!("net/{setting}"), "1")?;
    }
    for setting in [
        "all/rp_filter",
        "default/rp_filter",
        "all/send_redirects",
        "default/send_redirects",
    ] {
        director.sysctl(&format!("net/ipv4/conf/{setting}"), "0")?;
    }
    Ok(())
}
