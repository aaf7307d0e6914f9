//! The special ways of a packet: unresolved neighbours, traffic that is not ours, services without real servers.
#![cfg(feature = "privileged")]

mod common;

use common::{DNS, MODES, Site, WEB, checksum, url};
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;
use weir_lab::{Family, Namespace, Network, Shape, UdpLoad, curl};

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

/// The frame is made by hand, for want of VLAN devices in some kernels; the answer comes untagged, since the director has none.
#[test]
fn tagged_frames_are_forwarded() {
    for mode in MODES {
        let site = Site::new(mode, Shape::TwoInterfaces);
        let client = &site.network.client;
        let director = mac(&site.network.director, "clients");
        let header = [director, mac(client, "eth0")].concat();
        for family in Family::BOTH {
            let service = Network::service(family, DNS);
            let socket = client
                .enter(|| UdpSocket::bind((family.client(), 0)))
                .expect("a namespace")
                .expect("a socket");
            socket
                .set_read_timeout(Some(Duration::from_secs(5)))
                .expect("a timeout");
            let port = socket.local_addr().expect("our address").port();
            for tags in [&[0x8100, 10][..], &[0x88a8, 20, 0x8100, 10]] {
                let tags = tags
                    .iter()
                    .flat_map(|word: &u16| word.to_be_bytes())
                    .collect::<Vec<u8>>();
                let frame = [header.clone(), tags, datagram(family, port, b"who?")].concat();
                let file = site.network.lab().directory().join("frame");
                std::fs::write(&file, frame).expect("a file");
                client
                    .run(&format!("socat -u OPEN:{} INTERFACE:eth0", file.display()))
                    .expect("a frame sent");
                let mut answer = [0; 64];
                let (length, from) = socket.recv_from(&mut answer).unwrap_or_else(|error| {
                    panic!("{mode} {family:?}: no answer to a tagged frame: {error}")
                });
                assert_eq!(from, service, "{mode}");
                assert!(answer[..length].ends_with(b" who?"), "{mode}");
            }
        }
    }
}

fn mac(namespace: &Namespace, interface: &str) -> Vec<u8> {
    let said = namespace
        .ip(&format!("-br link show {interface}"))
        .expect("an interface");
    let text = said.split_whitespace().nth(2).expect("a link address");
    text.split(':')
        .map(|byte| u8::from_str_radix(byte, 16).expect("a byte"))
        .collect()
}

/// Type, IP header and UDP header of a datagram from the client's `port` to the service.
fn datagram(family: Family, port: u16, text: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + text.len()).expect("a short text");
    let addresses: Vec<u8> = match (family.client(), family.virtual_address()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => [from.octets(), to.octets()].concat(),
        (IpAddr::V6(from), IpAddr::V6(to)) => [from.octets(), to.octets()].concat(),
        _ => unreachable!("two families"),
    };
    let mut udp = [
        port.to_be_bytes(),
        DNS.to_be_bytes(),
        length.to_be_bytes(),
        [0, 0],
    ]
    .concat();
    udp.extend_from_slice(text);
    let pseudo = [&addresses[..], &[0, 17], &length.to_be_bytes(), &udp].concat();
    udp[6..8].copy_from_slice(&checksum(&pseudo));
    let mut packet = match family {
        Family::V4 => {
            let mut header = [
                &[0x45, 0][..],
                &(20 + length).to_be_bytes(),
                &[0, 0, 0, 0, 64, 17, 0, 0],
                &addresses,
            ]
            .concat();
            let sum = checksum(&header);
            header[10..12].copy_from_slice(&sum);
            [&[0x08, 0x00][..], &header].concat()
        }
        Family::V6 => [
            &[0x86, 0xdd, 0x60, 0, 0, 0][..],
            &length.to_be_bytes(),
            &[17, 64],
            &addresses,
        ]
        .concat(),
    };
    packet.extend_from_slice(&udp);
    packet
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
