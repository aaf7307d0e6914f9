//! The loads of our own, against nginx without a director.
#![cfg(feature = "privileged")]

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use weir_lab::{Arrival, Family, LongConnections, Network, Nginx, Plan, Shape, ShortConnections};

const WEB: u16 = 80;

/// Declared in the order in which it must end.
struct Site {
    nginx: Vec<Nginx>,
    servers: Vec<SocketAddr>,
    clients: [IpAddr; 1],
    network: Network,
}

impl Site {
    fn new() -> Site {
        let network = Network::new(Plan {
            shape: Shape::TwoInterfaces,
            real_servers: 2,
            offload: true,
        })
        .expect("a network");
        let servers = network.real_servers.iter();
        Site {
            nginx: servers
                .clone()
                .map(|server| Nginx::start(network.lab(), server, WEB).expect("nginx"))
                .collect(),
            servers: servers.map(|server| server.at(Family::V4, WEB)).collect(),
            clients: [Family::V4.client()],
            network,
        }
    }

    fn short(&self, arrival: Arrival) -> ShortConnections<'_> {
        ShortConnections {
            servers: &self.servers,
            sources: &self.clients,
            arrival,
            duration: Duration::from_millis(500),
        }
    }

    fn long(&self) -> LongConnections<'_> {
        LongConnections {
            servers: &self.servers,
            sources: &self.clients,
            connections: 4,
            per_second: 200,
            warm_up: Duration::from_millis(100),
            duration: Duration::from_millis(500),
        }
    }
}

#[test]
fn short_connections_are_all_answered_and_counted() {
    let site = Site::new();
    let report = site.short(Arrival::AtATime(4)).run(&site.network.client);
    let report = report.expect("a report");
    let answered: usize = site.nginx.iter().map(Nginx::answered).sum();
    assert_eq!((report.answered, report.failed), (answered as u64, 0));
    assert_eq!(report.connect.count(), answered);
    assert!(answered > 50, "only {answered}");
    let paced = site.short(Arrival::PerSecond(100));
    let paced = paced.run(&site.network.client).expect("a report");
    assert_eq!((paced.answered, paced.failed), (50, 0));
}

#[test]
fn short_connections_that_nobody_takes_have_failed() {
    let mut site = Site::new();
    // Refused by the first, and without a word from the second.
    let silence = "route add blackhole 10.0.0.99";
    site.network.director.ip(silence).expect("a black hole");
    site.servers = vec![
        SocketAddr::new(site.servers[0].ip(), 81),
        SocketAddr::new([10, 0, 0, 99].into(), WEB),
    ];
    let load = site.short(Arrival::PerSecond(20));
    let report = load.run(&site.network.client).expect("a report");
    assert_eq!((report.answered, report.failed, report.cut), (0, 10, 5));
}

#[test]
fn long_connections_answer_at_their_pace() {
    let site = Site::new();
    let mut open = site.long().open(&site.network.client).expect("connections");
    let report = open.run().expect("a report");
    assert_eq!((report.connections, report.cut, report.silent), (4, 0, 0));
    assert_eq!((report.asked, report.answered), (100, 100));
    assert_eq!(report.times.count(), 100);
}

#[test]
fn long_connections_that_are_cut_or_fall_silent_are_told_apart() {
    let mut site = Site::new();
    let real1 = site.nginx.remove(0);
    let mut open = site.long().open(&site.network.client).expect("connections");
    // Half of them lead to real2, which goes without a word; the other half are closed.
    let real2 = &site.network.real_servers[1].namespace;
    real2.ip("link set eth0 down").expect("a wire cut");
    drop(real1);
    let report = open.run().expect("a report");
    assert_eq!((report.cut, report.silent, report.answered), (2, 2, 0));
}
