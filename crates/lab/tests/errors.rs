//! ICMP errors about connections, as real hosts and routers send them: a closed port, a path that narrows.
#![cfg(feature = "privileged")]

mod common;
#[path = "common/path.rs"]
mod path;

use path::{FAR, INNER, MODES, Path, flag_and_length};
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;
use weir_lab::{Family, Network, Shape};

const PORT: u16 = 80;
const SERVER_PORT: u16 = 8080;

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
            path.transfer(Network::service(family, PORT), &path.inner, server);
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
            path.transfer(Network::service(family, PORT), &path.inner, server);
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
            path.transfer(service, &server.namespace, service);
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
