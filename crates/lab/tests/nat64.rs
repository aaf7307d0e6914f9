//! NAT64 and NAT46 with real programs: clients of one family, real servers of the other.
#![cfg(feature = "privileged")]

mod common;
#[path = "common/echo.rs"]
mod echo;

use common::{DNS, Site, WEB, url};
use echo::{serve, talk};
use std::net::SocketAddr;
use weir_lab::{Family, Network, Nginx, Shape, UdpLoad, curl, curl_hash};

/// The echo server's port.
const ECHO: u16 = 7;

fn other(family: Family) -> Family {
    match family {
        Family::V4 => Family::V6,
        Family::V6 => Family::V4,
    }
}

/// Services of both families, all of whose real servers are of the other.
fn site(mode: &str, shape: Shape) -> Site {
    let site = Site::without_services(mode, shape);
    for server in &site.network.real_servers {
        serve(&server.namespace, ECHO);
    }
    let mut text = String::new();
    for family in Family::BOTH {
        for (protocol, port) in [("tcp", WEB), ("udp", DNS), ("tcp", ECHO)] {
            let servers = site.network.real_servers.iter();
            let servers = servers
                .map(|server| format!("{{ address = \"{}\" }}", server.at(other(family), port)))
                .collect::<Vec<_>>()
                .join(", ");
            text.push_str(&format!(
                "[[service]]\nlisten = [\"{protocol} {}\"]\nscheduler = \"rr\"\nforward = \"fullnat\"\n\
                 local_addresses = [\"{}\"]\nserver = [{servers}]\n\n",
                Network::service(family, port),
                other(family).gateway(),
            ));
        }
    }
    let file = site.network.lab().directory().join("nat64.toml");
    std::fs::write(&file, text).expect("a file");
    let file = file.display().to_string();
    for verb in ["check", "apply"] {
        let said = site.director.weir(&[verb, &file]).expect("a verb");
        assert!(said.status.success(), "{verb}: {said:?}");
    }
    site
}

fn carries(mode: &str, shape: Shape) {
    let site = site(mode, shape);
    let client = &site.network.client;
    let file = Nginx::make_big_file(site.network.lab()).expect("a big file");
    let sum = client
        .run(&format!("sha256sum {}", file.display()))
        .expect("a sum");
    for family in Family::BOTH {
        let answers = curl(client, &url(family, ""), 40).expect("answers");
        assert_eq!(
            (answers.of("real1"), answers.of("real2")),
            (20, 20),
            "{mode} {family:?} TCP"
        );
        let load = UdpLoad {
            service: Network::service(family, DNS),
            questions: 40,
        };
        let answers = load.run(client).expect("answers");
        assert_eq!(
            (answers.of("real1"), answers.of("real2")),
            (20, 20),
            "{mode} {family:?} UDP"
        );
        let fetched = curl_hash(client, &url(family, "big"), 60).expect("the file");
        assert_eq!(
            sum.split(' ').next(),
            Some(fetched.as_str()),
            "{mode} {family:?}"
        );
        talk(client, Network::service(family, ECHO), 3_000_000)
            .unwrap_or_else(|error| panic!("{mode} {family:?} both ways: {error}"));
    }
    is_listed(&site);
}

/// Connections and real servers are shown with the addresses of both families.
fn is_listed(site: &Site) {
    let connections = site.ipvsadm("-Lnc");
    let services = site.ipvsadm("-Ln");
    for family in Family::BOTH {
        let client = family.client().to_string();
        let virtual_address = Network::service(family, WEB).to_string();
        for server in &site.network.real_servers {
            let server: SocketAddr = server.at(other(family), WEB);
            let has = |line: &str| {
                let words: Vec<_> = line.split_whitespace().collect();
                words.iter().any(|word| word.contains(&client))
                    && words.contains(&virtual_address.as_str())
                    && words.contains(&server.to_string().as_str())
            };
            assert!(connections.lines().any(has), "{family:?}: {connections}");
            let is_server = |line: &str| line.contains(&format!("{server} "));
            assert!(services.lines().any(is_server), "{family:?}: {services}");
        }
    }
    assert!(services.contains("FullNat"), "{services}");
}

#[test]
fn tc_translates_between_the_families() {
    carries("tc", Shape::TwoInterfaces);
}

#[test]
fn xdp_leaves_it_to_tc() {
    carries("xdp", Shape::TwoInterfaces);
}

#[test]
fn one_interface_is_enough() {
    carries("tc", Shape::OneInterface);
}

/// Behind a link that takes less, on either side, what is too large is told in the family of who has sent it.
#[test]
fn the_path_mtu_is_found() {
    let site = site("tc", Shape::TwoInterfaces);
    let network = &site.network;
    let servers: Vec<_> = network
        .real_servers
        .iter()
        .map(|it| &it.namespace)
        .collect();
    for (director, hosts, is_narrow) in [
        ("servers", &servers, true),
        ("servers", &servers, false),
        ("clients", &vec![&network.client], true),
    ] {
        let mtu = if is_narrow { 1400 } else { 1500 };
        let line = |name: &str| format!("link set {name} mtu {mtu}");
        network.director.ip(&line(director)).expect("an MTU");
        for host in hosts {
            host.ip(&line("eth0")).expect("an MTU");
            for family in Family::BOTH {
                // Whom they talk to is not to know it from their SYN.
                let peer = match director {
                    "servers" => family.gateway(),
                    _clients => family.virtual_address(),
                };
                let bits = host_bits(family);
                let line = format!("route replace {peer}/{bits} dev eth0 advmss 1440");
                host.ip(&line).expect("a route");
            }
        }
        for family in Family::BOTH {
            talk(&network.client, Network::service(family, ECHO), 1_000_000)
                .unwrap_or_else(|error| panic!("{director} {family:?}: {error}"));
        }
    }
    let status = site.director.weir(&["status"]).expect("a status");
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(status.contains("too-big"), "{status}");
}

fn host_bits(family: Family) -> u8 {
    match family {
        Family::V4 => 32,
        Family::V6 => 128,
    }
}
