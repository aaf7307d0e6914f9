//! ICMP errors about connections, as real hosts and routers send them: a closed port, a path that narrows.
//!
//! `far - client - director - real1 - inner`: the client and a real server are routers here, with hosts behind them.
#![cfg(feature = "privileged")]

mod common;

use common::weir;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;
use weir_lab::{Director, Family, Namespace, Network, Plan, Shape};

/// One that leaves all packets to TC, and one that takes them before.
const MODES: [&str; 2] = ["tc", "xdp"];
const PORT: u16 = 80;
const SERVER_PORT: u16 = 8080;
/// What a narrow way takes.
const NARROW: &str = "mtu lock 1300";

/// Declared in the order in which it must end.
struct Path {
    director: Director,
    far: Namespace,
    inner: Namespace,
    network: Network,
}

/// A host behind a router: the networks that they share.
struct Behind {
    v4: &'static str,
    v6: &'static str,
}

const FAR: Behind = Behind {
    v4: "203.0.113",
    v6: "2001:db8:fa:",
};
const INNER: Behind = Behind {
    v4: "10.9.0",
    v6: "2001:db8:9:",
};

impl Behind {
    fn address(&self, family: Family, number: u8) -> String {
        match family {
            Family::V4 => format!("{}.{number}", self.v4),
            Family::V6 => format!("{}:{number}", self.v6),
        }
    }

    fn host(&self, family: Family) -> IpAddr {
        self.address(family, 2).parse().expect("an address")
    }

    fn network(&self, family: Family) -> String {
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
    fn narrow(&self, router: &Namespace, name: &str) {
        for family in Family::BOTH {
            let (flag, _) = flag_and_length(family);
            let host = self.host(family);
            router
                .ip(&format!("{flag} route add {host} dev {name} {NARROW}"))
                .expect("a route");
        }
    }
}

fn flag_and_length(family: Family) -> (&'static str, u8) {
    match family {
        Family::V4 => ("-4", 24),
        Family::V6 => ("-6", 64),
    }
}

impl Path {
    fn new(mode: &str, shape: Shape) -> Path {
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
        let director = Director::start(&network, &weir(), mode).expect("a director");
        Path {
            director,
            far,
            inner,
            network,
        }
    }

    fn ipvsadm(&self, line: &str) {
        self.director.ipvsadm(line).expect("an ipvsadm line");
    }

    /// How many packets went that way.
    fn counted(&self, reason: &str) -> u64 {
        let said = self.director.weir(&["counters"]).expect("counters");
        let said = String::from_utf8(said.stdout).expect("text");
        said.lines()
            .filter(|line| line.split_whitespace().any(|word| word == reason))
            .filter_map(|line| line.split_whitespace().last()?.parse::<u64>().ok())
            .sum()
    }

    /// Sends a lot from `far` to the service and as much back.
    fn transfer(&self, family: Family, server: &Namespace, at: SocketAddr) {
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
            let service = Network::service(family, PORT);
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

#[test]
fn a_path_that_narrows_behind_the_director_is_found() {
    for mode in MODES {
        let path = Path::new(mode, Shape::TwoInterfaces);
        INNER.narrow(&path.network.real_servers[0].namespace, "inner");
        for family in Family::BOTH {
            let service = Network::service(family, PORT);
            let server = SocketAddr::new(INNER.host(family), SERVER_PORT);
            path.ipvsadm(&format!("-A -t {service} -s rr"));
            path.ipvsadm(&format!("-a -t {service} -r {server} -m"));
            let before = path.counted("icmp-to-client");
            path.transfer(family, &path.inner, server);
            let told = path.counted("icmp-to-client") - before;
            assert!(told > 0, "{mode} {family:?}: nobody was told");
        }
    }
}

#[test]
fn a_path_that_narrows_before_the_director_is_found() {
    for mode in MODES {
        let path = Path::new(mode, Shape::TwoInterfaces);
        FAR.narrow(&path.network.client, "far");
        for family in Family::BOTH {
            let service = Network::service(family, PORT);
            let server = SocketAddr::new(INNER.host(family), SERVER_PORT);
            path.ipvsadm(&format!("-A -t {service} -s rr"));
            path.ipvsadm(&format!("-a -t {service} -r {server} -m"));
            let before = path.counted("icmp-to-server");
            path.transfer(family, &path.inner, server);
            let told = path.counted("icmp-to-server") - before;
            assert!(told > 0, "{mode} {family:?}: nobody was told");
        }
    }
}

/// The real server answers past the director; what is wrong with the answers comes to the VIP, which is the director's.
#[test]
fn a_path_that_narrows_is_found_by_direct_routing() {
    for mode in MODES {
        let path = Path::new(mode, Shape::OneInterface);
        FAR.narrow(&path.network.client, "far");
        let server = &path.network.real_servers[0];
        for setting in ["arp_ignore", "arp_announce"] {
            let value = if setting == "arp_ignore" { "1" } else { "2" };
            server
                .namespace
                .sysctl(&format!("net/ipv4/conf/all/{setting}"), value)
                .expect("a quiet real server");
        }
        for family in Family::BOTH {
            let (flag, _) = flag_and_length(family);
            let service = Network::service(family, PORT);
            server
                .namespace
                .ip(&format!("{flag} address add {} dev lo", service.ip()))
                .expect("an address");
            server
                .namespace
                .ip(&format!(
                    "{flag} route replace default via {} dev eth0 onlink",
                    family.client()
                ))
                .expect("a route");
            path.ipvsadm(&format!("-A -t {service} -s rr"));
            let at = server.at(family, PORT);
            path.ipvsadm(&format!("-a -t {service} -r {at} -g"));
            let before = path.counted("icmp-to-server");
            path.transfer(family, &server.namespace, service);
            let told = path.counted("icmp-to-server") - before;
            assert!(told > 0, "{mode} {family:?}: nobody was told");
        }
    }
}

#[test]
fn a_closed_port_of_a_real_server_is_refused_by_the_service() {
    for mode in MODES {
        let path = Path::new(mode, Shape::TwoInterfaces);
        for family in Family::BOTH {
            let service = Network::service(family, PORT);
            let server = SocketAddr::new(INNER.host(family), SERVER_PORT);
            path.ipvsadm(&format!("-A -u {service} -s rr"));
            path.ipvsadm(&format!("-a -u {service} -r {server} -m"));
            let socket = path
                .far
                .enter(|| UdpSocket::bind((FAR.host(family), 0)))
                .expect("a namespace")
                .expect("a socket");
            let patience = Some(Duration::from_secs(5));
            socket.set_read_timeout(patience).expect("a timeout");
            // Connected: who else answers is not heard.
            socket.connect(service).expect("a route");
            socket.send(b"anybody?").expect("sent");
            let error = socket.recv(&mut [0; 16]).expect_err("nobody");
            assert_eq!(
                error.kind(),
                ErrorKind::ConnectionRefused,
                "{mode} {family:?}"
            );
        }
    }
}

#[test]
fn a_virtual_address_answers_a_ping() {
    for mode in MODES {
        let path = Path::new(mode, Shape::TwoInterfaces);
        for family in Family::BOTH {
            let service = Network::service(family, PORT);
            path.ipvsadm(&format!("-A -t {service} -s rr"));
            path.far
                .run(&format!("ping -c 1 -W 2 {}", service.ip()))
                .unwrap_or_else(|error| panic!("{mode} {family:?}: {error}"));
        }
    }
}
