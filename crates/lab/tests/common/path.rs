//! A longer path: `far - client - director - real1 - inner`. The client and a real server are routers here, with hosts
//! behind them.
#![allow(
    dead_code,
    reason = "every test file is a crate of its own and uses its part"
)]

use crate::common::weir;
use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;
use weir_lab::{Director, Family, Namespace, Network, Plan, Shape};

/// One that leaves all packets to TC, and one that takes them before.
pub const MODES: [&str; 2] = ["tc", "xdp"];
/// What a narrow way takes: also the least packet of IPv6, in a tunnel of any kind.
pub const NARROW: u16 = 1400;

/// Declared in the order in which it must end.
pub struct Path {
    pub director: Director,
    /// A client behind the client.
    pub far: Namespace,
    /// A server behind the first real server.
    pub inner: Namespace,
    pub network: Network,
}

/// A host behind a router: the networks that they share.
pub struct Behind {
    v4: &'static str,
    v6: &'static str,
}

pub const FAR: Behind = Behind {
    v4: "203.0.113",
    v6: "2001:db8:fa:",
};
pub const INNER: Behind = Behind {
    v4: "10.9.0",
    v6: "2001:db8:9:",
};

impl Behind {
    pub fn address(&self, family: Family, number: u8) -> String {
        match family {
            Family::V4 => format!("{}.{number}", self.v4),
            Family::V6 => format!("{}:{number}", self.v6),
        }
    }

    pub fn host(&self, family: Family) -> IpAddr {
        self.address(family, 2).parse().expect("an address")
    }

    pub fn network(&self, family: Family) -> String {
        match family {
            Family::V4 => format!("{}.0/24", self.v4),
            Family::V6 => format!("{}:/64", self.v6),
        }
    }

    /// Puts `host` behind `router`, on an interface of the host's name there.
    fn connect(&self, host: &Namespace, router: &Namespace, name: &str, offload: bool) {
        host.connect("eth0", router, name).expect("a wire");
        for (end, interface) in [(host, "eth0"), (router, name)] {
            end.offload(interface, "gro", true).expect("an interface");
            end.offload(interface, "tx", offload).expect("an interface");
        }
        for setting in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
            router
                .sysctl(&format!("net/{setting}"), "1")
                .expect("a router");
        }
        // Every probe is answered.
        for (end, setting) in [host, router]
            .into_iter()
            .flat_map(|end| ["ipv4/icmp_ratelimit", "ipv6/icmp/ratelimit"].map(|name| (end, name)))
        {
            end.sysctl(&format!("net/{setting}"), "0").expect("a limit");
        }
        for family in Family::BOTH {
            let (flag, length) = flag_and_length(family);
            for (end, interface, number) in [(host, "eth0", 2), (router, name, 1)] {
                end.ip(&format!(
                    "{flag} address add {}/{length} dev {interface}",
                    self.address(family, number)
                ))
                .expect("an address");
            }
            host.ip(&format!(
                "{flag} route add default via {}",
                self.address(family, 1)
            ))
            .expect("a route");
        }
    }

    /// From `router` to the host there is less room than both ends' links have.
    pub fn narrow(&self, router: &Namespace, name: &str) {
        for family in Family::BOTH {
            let (flag, _) = flag_and_length(family);
            let host = self.host(family);
            router
                .ip(&format!(
                    "{flag} route add {host} dev {name} mtu lock {NARROW}"
                ))
                .expect("a route");
        }
    }
}

pub fn flag_and_length(family: Family) -> (&'static str, u8) {
    match family {
        Family::V4 => ("-4", 24),
        Family::V6 => ("-6", 64),
    }
}

impl Path {
    pub fn new(mode: &str, shape: Shape) -> Path {
        Path::with(mode, shape, "")
    }

    /// With a `weir.toml` of this content.
    pub fn with(mode: &str, shape: Shape, configuration: &str) -> Path {
        let offload = mode == "tc";
        let network = Network::new(Plan {
            shape,
            real_servers: 1,
            offload,
        })
        .expect("a network");
        let far = network.lab().namespace("far").expect("a namespace");
        let inner = network.lab().namespace("inner").expect("a namespace");
        FAR.connect(&far, &network.client, "far", offload);
        let router = &network.real_servers[0];
        INNER.connect(&inner, &router.namespace, "inner", offload);
        for family in Family::BOTH {
            let (flag, _) = flag_and_length(family);
            for (behind, gateway) in [
                (FAR.network(family), family.client()),
                (INNER.network(family), router.at(family, 0).ip()),
            ] {
                network
                    .director
                    .ip(&format!("{flag} route add {behind} via {gateway}"))
                    .expect("a route");
            }
        }
        let file = network.lab().directory().join("weir.toml");
        std::fs::write(&file, configuration).expect("a file");
        let file = file.display().to_string();
        let interfaces = network.director_interfaces();
        let further = ["--config", &file];
        let director = Director::start_on(&network, &weir(), mode, interfaces, &further);
        let director = director.expect("a director");
        Path {
            director,
            far,
            inner,
            network,
        }
    }

    /// Lets what is behind the director answer the clients by another way: on one switch they are neighbours.
    pub fn answer_past_the_director(&self) {
        for family in Family::BOTH {
            let (flag, _) = flag_and_length(family);
            self.network.real_servers[0]
                .namespace
                .ip(&format!(
                    "{flag} route replace default via {} dev eth0 onlink",
                    family.client()
                ))
                .expect("a route");
        }
    }

    pub fn ipvsadm(&self, line: &str) {
        self.director.ipvsadm(line).expect("an ipvsadm line");
    }

    /// How many packets went that way.
    pub fn counted(&self, reason: &str) -> u64 {
        let said = self.director.weir(&["counters"]).expect("counters");
        let said = String::from_utf8(said.stdout).expect("text");
        said.lines()
            .filter(|line| line.split_whitespace().any(|word| word == reason))
            .filter_map(|line| line.split_whitespace().last()?.parse::<u64>().ok())
            .sum()
    }

    /// Sends a lot from `far` to the service and as much back.
    pub fn transfer(&self, service: SocketAddr, server: &Namespace, at: SocketAddr) {
        const LENGTH: usize = 600_000;
        let patience = Some(Duration::from_secs(20));
        let data: Vec<u8> = (0..LENGTH).map(|at| (at % 251) as u8).collect();
        let listener = server
            .enter(|| TcpListener::bind(at))
            .expect("a namespace")
            .expect("a listener");
        std::thread::scope(|scope| {
            let serving = scope.spawn(|| {
                let (mut stream, _) = listener.accept().expect("a client");
                stream.set_read_timeout(patience).expect("a timeout");
                let mut got = Vec::new();
                stream.read_to_end(&mut got).expect("all that is sent");
                stream.write_all(&got).expect("sent back");
            });
            let mut stream = self
                .far
                .enter(|| TcpStream::connect(service))
                .expect("a namespace")
                .expect("a connection");
            stream.set_read_timeout(patience).expect("a timeout");
            stream.write_all(&data).expect("sent");
            stream.shutdown(Shutdown::Write).expect("sent");
            let mut got = Vec::new();
            stream.read_to_end(&mut got).expect("all that is sent back");
            assert!(got == data, "something else came back");
            serving.join().expect("the server");
        });
    }
}
