//! Clients and real servers on the director itself.
#![cfg(feature = "privileged")]

mod common;

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use common::{DNS, WEB, url, weir};
use weir_lab::{
    Director, Family, Network, Nginx, Plan, Shape, UdpEcho, curl, curl_exit, curl_hash, until,
};

const MODES: [&str; 2] = ["tc", "xdp"];
const PATIENCE: Duration = Duration::from_secs(30);

/// Declared in the order in which it must end.
struct Site {
    director: Director,
    _nginx: Vec<Nginx>,
    _udp: Vec<UdpEcho>,
    network: Network,
}

impl Site {
    fn new(mode: &str) -> Site {
        let network = Network::new(Plan {
            shape: Shape::TwoInterfaces,
            real_servers: 2,
            offload: !mode.starts_with("xdp"),
        })
        .expect("a network");
        let servers = network.real_servers.iter();
        let nginx = servers.map(|server| Nginx::start(network.lab(), server, WEB));
        let nginx = nginx.collect::<Result<_, _>>().expect("nginx");
        let servers = network.real_servers.iter();
        let udp = servers.map(|server| UdpEcho::start(&server.namespace, &server.name, DNS));
        let udp = udp.collect::<Result<_, _>>().expect("UDP servers");
        let director = Director::start_on(
            &network,
            &weir(),
            mode,
            network.director_interfaces(),
            &["--local-clients"],
        )
        .expect("a director");
        Site {
            director,
            _nginx: nginx,
            _udp: udp,
            network,
        }
    }

    /// Makes the services of both families, whose real servers are reached by that method.
    fn serve(&self, method: &str) {
        let mut text = String::new();
        for family in Family::BOTH {
            let local = match method {
                "fullnat" => format!("local_addresses = [\"{}\"]\n", family.gateway()),
                _ => String::new(),
            };
            for (protocol, port) in [("tcp", WEB), ("udp", DNS)] {
                let service = Network::service(family, port);
                let servers = self.network.real_servers.iter();
                let servers: Vec<String> = servers
                    .map(|server| format!("{{ address = \"{}\" }}", server.at(family, port)))
                    .collect();
                text += &format!(
                    "[[service]]\nlisten = [\"{protocol} {service}\"]\nscheduler = \"rr\"\nforward = \"{method}\"\n\
                     {local}server = [{}]\n",
                    servers.join(", ")
                );
            }
        }
        let file = self.network.lab().directory().join("local.toml");
        fs::write(&file, text).expect("a file");
        let name = file.display().to_string();
        let said = self.director.weir(&["apply", &name]).expect("weir apply");
        let error = String::from_utf8_lossy(&said.stderr);
        assert!(said.status.success(), "{error}");
    }

    fn listed(&self) -> String {
        let said = self.director.weir(&["connections"]).expect("connections");
        String::from_utf8(said.stdout).expect("text")
    }
}

#[test]
fn the_director_is_a_client_of_its_own_services() {
    for mode in MODES {
        let site = Site::new(mode);
        Nginx::make_big_file(site.network.lab()).expect("a large file");
        let here = &site.network.director;
        for method in ["nat", "fullnat"] {
            site.serve(method);
            for family in Family::BOTH {
                let tally = curl(here, &url(family, ""), 6).expect("answers");
                let both = (tally.of("real1"), tally.of("real2"));
                assert_eq!(both, (3, 3), "{mode} {method} {family:?}");
                // Clients elsewhere are served beside.
                let tally = curl(&site.network.client, &url(family, ""), 2).expect("answers");
                assert_eq!(tally.total(), 2, "{mode} {method} {family:?}");
                let hash = curl_hash(here, &url(family, "big"), 100).expect("a file");
                let beside = site.network.real_servers[0].at(family, WEB);
                let straight = curl_hash(here, &format!("http://{beside}/big"), 100);
                assert_eq!(
                    hash,
                    straight.expect("the file"),
                    "{mode} {method} {family:?}"
                );
                for length in [1, 1400] {
                    echo(&site, family, length, &format!("{mode} {method}"));
                }
            }
            let listed = site.listed();
            let vip = Family::V4.virtual_address();
            let from_itself = listed
                .lines()
                .filter(|line| line.matches(&format!("{vip}:")).count() == 2);
            assert!(from_itself.count() > 0, "{mode} {method}: {listed}");
        }
    }
}

/// A datagram that is sent back.
fn echo(site: &Site, family: Family, length: usize, what: &str) {
    let service = Network::service(family, DNS);
    let socket = site
        .network
        .director
        .enter(|| UdpSocket::bind((family.director(), 0)))
        .expect("a namespace")
        .expect("a socket");
    socket.connect(service).expect("a route");
    let short = Some(Duration::from_millis(500));
    socket.set_read_timeout(short).expect("a timeout");
    let question: Vec<u8> = (0..length).map(|number| (number % 251) as u8).collect();
    until(&format!("{what} {family:?} {length}"), PATIENCE, || {
        let mut answer = vec![0; 65_536];
        let sent = socket.send(&question).is_ok();
        sent && socket
            .recv(&mut answer)
            .is_ok_and(|got| answer[..got].ends_with(&question))
    })
    .expect("an answer");
}

/// A real server by NAT that is the director itself: what it answers in pieces.
#[test]
fn a_real_server_on_the_director_answers_in_pieces() {
    const PORT: u16 = 5353;
    for mode in MODES {
        let site = Site::new(mode);
        let here = &site.network.director;
        let _echo = UdpEcho::start(here, "director", PORT).expect("a UDP server");
        for family in Family::BOTH {
            let service = Network::service(family, PORT);
            let own = SocketAddr::new(family.director(), PORT);
            for line in [
                format!("-A -u {service} -s rr"),
                format!("-a -u {service} -r {own} -m"),
            ] {
                site.director.ipvsadm(&line).expect("an ipvsadm line");
            }
            for (namespace, address) in [
                (&site.network.client, family.client()),
                (here, family.virtual_address()),
            ] {
                let socket = namespace.enter(|| UdpSocket::bind((address, 0)));
                let socket = socket.expect("a namespace").expect("a socket");
                socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
                for length in [1, 1400, 8000] {
                    let question = vec![7; length];
                    socket.send_to(&question, service).expect("sent");
                    let mut answer = vec![0; 65_536];
                    let (got, from) = socket
                        .recv_from(&mut answer)
                        .unwrap_or_else(|error| panic!("{mode} {address} {length}: {error}"));
                    assert_eq!(from, service, "{mode} {address}");
                    assert!(
                        answer[..got].ends_with(&question),
                        "{mode} {address} {length}"
                    );
                }
            }
        }
    }
}

/// By direct routing, as with IPVS: a VIP that is not the director's own address.
#[test]
fn a_virtual_address_elsewhere_is_reached_by_direct_routing() {
    for mode in MODES {
        let site = Site::new(mode);
        for family in Family::BOTH {
            let (flag, length) = match family {
                Family::V4 => ("-4", 32),
                Family::V6 => ("-6", 128),
            };
            let vip = family.virtual_address();
            let here = &site.network.director;
            here.ip(&format!("{flag} address del {vip}/{length} dev clients"))
                .expect("the VIP");
            // Where it is thought to be.
            here.ip(&format!("{flag} route add {vip} via {}", family.client()))
                .expect("a route");
            for server in &site.network.real_servers {
                let namespace = &server.namespace;
                namespace
                    .ip(&format!("{flag} address add {vip}/{length} dev lo"))
                    .expect("the VIP");
            }
        }
        site.serve("dr");
        for family in Family::BOTH {
            let tally = curl(&site.network.director, &url(family, ""), 4).expect("answers");
            let both = (tally.of("real1"), tally.of("real2"));
            assert_eq!(both, (2, 2), "{mode} {family:?}");
        }
    }
}

/// What is not a service's is left alone, and without a real server the client is told at once.
#[test]
fn what_nobody_serves_is_told_at_once() {
    for mode in MODES {
        let site = Site::new(mode);
        site.serve("nat");
        for family in Family::BOTH {
            let here = &site.network.director;
            let beside = site.network.real_servers[0].at(family, WEB);
            let tally = curl(here, &format!("http://{beside}/"), 2).expect("answers");
            assert_eq!(tally.of("real1"), 2, "{mode} {family:?}");
            for server in &site.network.real_servers {
                let service = Network::service(family, WEB);
                let line = format!("-d -t {service} -r {}", server.at(family, WEB));
                site.director.ipvsadm(&line).expect("removed");
            }
            let refused = curl_exit(here, &url(family, "")).expect("curl");
            assert_eq!(refused, Some(7), "{mode} {family:?}");
        }
    }
}
