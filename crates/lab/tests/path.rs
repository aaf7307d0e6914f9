//! The special ways of a packet: unresolved neighbours, traffic that is not ours, services without real servers.
#![cfg(feature = "privileged")]

mod common;

use common::{DNS, MODES, Site, WEB, url};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;
use weir_lab::{Family, Network, Shape, UdpLoad, curl};

#[test]
fn a_neighbour_is_resolved_by_the_first_packet() {
    for mode in MODES {
        let site = Site::new(mode, Shape::TwoInterfaces);
        for family in Family::BOTH {
            site.network
                .director
                .forget_neighbours()
                .expect("no neighbours");
            // One datagram to each server: a lost one has no second.
            let load = UdpLoad {
                service: Network::service(family, DNS),
                questions: 2,
            };
            load.run(&site.network.client)
                .unwrap_or_else(|error| panic!("{mode} {family:?}: {error}"));
            site.network
                .director
                .forget_neighbours()
                .expect("no neighbours");
            curl(&site.network.client, &url(family, ""), 2)
                .unwrap_or_else(|error| panic!("{mode} {family:?}: {error}"));
        }
    }
}

#[test]
fn what_is_not_for_a_service_passes() {
    for mode in MODES {
        let site = Site::new(mode, Shape::TwoInterfaces);
        let server = &site.network.real_servers[0];
        for family in Family::BOTH {
            // Through the director by plain routing, to a port that is a service's elsewhere.
            let direct = format!("http://{}/", server.at(family, WEB));
            let answers = curl(&site.network.client, &direct, 3).expect("answers");
            assert_eq!(answers.of("real1"), 3, "{mode} {family:?}");
            let load = UdpLoad {
                service: server.at(family, DNS),
                questions: 3,
            };
            assert_eq!(
                load.run(&site.network.client).expect("answers").of("real1"),
                3,
                "{mode} {family:?}"
            );
            // To the director itself, at the service's address: another port.
            let line = format!("ping -c 1 -W 2 {}", family.virtual_address());
            site.network
                .client
                .run(&line)
                .unwrap_or_else(|error| panic!("{mode} {family:?}: {error}"));
        }
        assert_eq!(
            site.nginx[0].clients().len(),
            2,
            "{mode}: an address was changed on the way"
        );
        assert_eq!(
            site.ipvsadm("-Lnc").lines().count(),
            2,
            "{mode}: connections were made"
        );
    }
}

#[test]
fn a_service_without_real_servers_is_unreachable() {
    // Addresses that the director does not have: its kernel would refuse as well, but not with these answers.
    let addresses: [SocketAddr; 2] = [
        (Ipv4Addr::new(198, 51, 100, 10), 7).into(),
        (Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 0x10), 7).into(),
    ];
    for mode in MODES {
        let site = Site::without_services(mode, Shape::TwoInterfaces);
        for address in addresses {
            site.ipvsadm(&format!("-A -t {address} -s rr"));
            site.ipvsadm(&format!("-A -u {address} -s rr"));
            let (tcp, udp) = site
                .network
                .client
                .enter(|| (connect(address), ask(address)))
                .expect("a namespace");
            assert_eq!(tcp, ErrorKind::ConnectionRefused, "{mode} TCP {address}");
            assert_eq!(udp, ErrorKind::ConnectionRefused, "{mode} UDP {address}");
        }
    }
}

fn connect(address: SocketAddr) -> ErrorKind {
    TcpStream::connect_timeout(&address, Duration::from_secs(5))
        .expect_err("no real server")
        .kind()
}

fn ask(address: SocketAddr) -> ErrorKind {
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).expect("a socket");
    socket.connect(address).expect("a route");
    socket
        .set_read_timeout(Some(Duration::from_secs(5)))
        .expect("a timeout");
    socket.send(b"anybody?").expect("sent");
    socket
        .recv(&mut [0; 16])
        .expect_err("no real server")
        .kind()
}
