//! Connections remember where their packets go: they must not when that becomes another way.
#![cfg(feature = "privileged")]

mod common;

use common::{DNS, Site};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};
use weir_lab::{Family, Namespace, Network, Shape};

/// Connections of UDP that stay, to both real servers in turn.
struct Flows(Vec<UdpSocket>);

impl Flows {
    fn open(client: &Namespace) -> Flows {
        let open = || {
            let services = Family::BOTH.map(|family| Network::service(family, DNS));
            services.iter().cycle().take(8).map(open).collect()
        };
        let flows = Flows(client.enter(open).expect("the client's namespace"));
        flows.wait_for_answers(Duration::from_secs(5));
        flows
    }

    /// Asks on every flow until each has answered; all of them within that time.
    fn wait_for_answers(&self, within: Duration) {
        let begin = Instant::now();
        for (number, flow) in self.0.iter().enumerate() {
            while !answers(flow) {
                assert!(begin.elapsed() < within, "flow {number} has no answer");
            }
        }
    }
}

fn open(service: &SocketAddr) -> UdpSocket {
    let any: SocketAddr = match service {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).expect("a socket");
    socket.connect(service).expect("a service");
    let patience = Some(Duration::from_millis(100));
    socket.set_read_timeout(patience).expect("a timeout");
    socket
}

fn answers(flow: &UdpSocket) -> bool {
    // What is refused or comes late is asked again.
    flow.send(b"still there?").is_ok() && flow.recv(&mut [0; 256]).is_ok()
}

/// Gives both real servers other link addresses, as when others take their addresses over. They say so themselves, as
/// whoever takes an address over does.
fn move_real_servers(site: &Site, last: u8) {
    for (server, number) in site.network.real_servers.iter().zip(1..) {
        let host = &server.namespace;
        host.sysctl("net/ipv4/conf/eth0/arp_notify", "1")
            .expect("a sysctl");
        host.sysctl("net/ipv6/conf/eth0/ndisc_notify", "1")
            .expect("a sysctl");
        let address = format!("02:00:00:00:{number:02x}:{last:02x}");
        host.ip(&format!("link set eth0 address {address}"))
            .expect("an address");
        for family in Family::BOTH {
            let neighbour = server.at(family, DNS).ip();
            let line =
                format!("neigh replace {neighbour} lladdr {address} dev servers nud reachable");
            site.network.director.ip(&line).expect("a neighbour");
        }
    }
}

/// Gives the director's interface towards the clients another link address, and clients that know it.
fn move_director(site: &Site) {
    let address = "02:00:00:00:07:07";
    let line = format!("link set clients address {address}");
    site.network.director.ip(&line).expect("an address");
    for family in Family::BOTH {
        for neighbour in [family.director(), family.virtual_address()] {
            let line = format!("neigh replace {neighbour} lladdr {address} dev eth0 nud reachable");
            site.network.client.ip(&line).expect("a neighbour");
        }
    }
}

#[test]
fn connections_follow_neighbours_and_interfaces() {
    for mode in ["tc", "xdp"] {
        let mut site = Site::new(mode, Shape::TwoInterfaces);
        let flows = Flows::open(&site.network.client);
        // The daemon tells the programs at once.
        move_real_servers(&site, 1);
        flows.wait_for_answers(Duration::from_secs(2));
        move_director(&site);
        flows.wait_for_answers(Duration::from_secs(2));
        // Without it they find out themselves: two seconds until they miss it, one to look anew.
        site.director.kill();
        move_real_servers(&site, 2);
        flows.wait_for_answers(Duration::from_secs(5));
        // It does not know what happened meanwhile.
        site.director.start_again().expect("a daemon");
        move_real_servers(&site, 3);
        flows.wait_for_answers(Duration::from_secs(2));
    }
}

#[test]
fn a_real_server_that_only_xdp_sends_to_is_not_forgotten() {
    let site = Site::new("xdp", Shape::TwoInterfaces);
    let flows = Flows::open(&site.network.client);
    let director = &site.network.director;
    let is_stale = |neighbour: &IpAddr| {
        let line = format!("neigh show {neighbour} dev servers nud stale");
        !director.ip(&line).expect("neighbours").is_empty()
    };
    let servers = site.network.real_servers.iter();
    let neighbours: Vec<_> = servers
        .flat_map(|server| Family::BOTH.map(|family| server.at(family, DNS).ip()))
        .collect();
    for neighbour in &neighbours {
        let line = format!("neigh change {neighbour} dev servers nud stale");
        director.ip(&line).expect("a neighbour");
        assert!(is_stale(neighbour));
    }
    weir_lab::until(
        "the kernel makes sure of them",
        Duration::from_secs(15),
        || {
            assert!(flows.0.iter().any(answers), "answers go on");
            !neighbours.iter().any(is_stale)
        },
    )
    .expect("the daemon lets it make sure");
}
