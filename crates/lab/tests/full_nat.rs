//! FULLNAT with real clients, and real servers that know no way to a client.
#![cfg(feature = "privileged")]

mod common;

use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use common::{DNS, Site, WEB, url};
use weir_lab::{
    BIG_FILE_BYTES, Family, Network, Nginx, RealServer, Shape, Wrk, curl, curl_hash, until,
};

/// One that leaves all packets to TC, and one that takes them before.
const MODES: [&str; 2] = ["tc", "xdp"];
const PATIENCE: Duration = Duration::from_secs(30);

/// The director's address that stands for clients.
fn local(family: Family) -> IpAddr {
    family.gateway()
}

/// Another one of its.
fn other_local(family: Family) -> IpAddr {
    match family {
        Family::V4 => "10.0.0.2".parse().expect("an address"),
        Family::V6 => "2001:db8:2::2".parse().expect("an address"),
    }
}

/// Two real servers without a route to the client, services on port 80 and 53.
fn site(mode: &str) -> Site {
    let site = Site::without_services(mode, Shape::TwoInterfaces);
    for server in &site.network.real_servers {
        for flag in ["-4", "-6"] {
            let line = format!("{flag} route del default");
            server.namespace.ip(&line).expect("a default route");
        }
    }
    let servers: Vec<&RealServer> = site.network.real_servers.iter().collect();
    apply(&site, local, &servers);
    site
}

/// Says which services there are: those of both families, with those real servers.
fn apply(site: &Site, local: fn(Family) -> IpAddr, servers: &[&RealServer]) {
    let mut text = String::new();
    for family in Family::BOTH {
        for (protocol, port) in [("tcp", WEB), ("udp", DNS)] {
            let service = Network::service(family, port);
            let servers: Vec<String> = servers
                .iter()
                .map(|server| format!("{{ address = \"{}\" }}", server.at(family, port)))
                .collect();
            text += &format!(
                "[[service]]\nlisten = [\"{protocol} {service}\"]\nscheduler = \"rr\"\nforward = \"fullnat\"\n\
                 local_addresses = [\"{}\"]\nserver = [{}]\n",
                local(family),
                servers.join(", ")
            );
        }
    }
    apply_text(site, &text);
}

fn apply_text(site: &Site, text: &str) {
    let file = site.network.lab().directory().join("full-nat.toml");
    fs::write(&file, text).expect("a file");
    let name = file.display().to_string();
    let said = site.director.weir(&["apply", &name]).expect("weir apply");
    let error = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success(), "{error}");
}

/// How many packets went that way.
fn counted(site: &Site, reason: &str) -> u64 {
    let said = said(site, &["counters"]);
    let mut lines = said.lines();
    let line = lines.find(|line| line.split_whitespace().any(|word| word == reason));
    let number = line.and_then(|line| line.split_whitespace().last());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn said(site: &Site, arguments: &[&str]) -> String {
    let said = site.director.weir(arguments).expect("a verb");
    String::from_utf8(said.stdout).expect("text")
}

#[test]
fn real_servers_without_a_route_to_the_client_answer() {
    for mode in MODES {
        let site = site(mode);
        Nginx::make_big_file(site.network.lab()).expect("a large file");
        for family in Family::BOTH {
            let tally = curl(&site.network.client, &url(family, ""), 6).expect("answers");
            assert_eq!((tally.of("real1"), tally.of("real2")), (3, 3), "{mode}");
            let hash = curl_hash(&site.network.client, &url(family, "big"), 100);
            // Asked by the director itself, which the real servers know.
            let beside = site.network.real_servers[0].at(family, WEB);
            let straight = curl_hash(&site.network.director, &format!("http://{beside}/big"), 100);
            let (hash, straight) = (hash.expect("a file"), straight.expect("the file"));
            assert_eq!(hash, straight, "{mode} {family:?}: {BIG_FILE_BYTES} bytes");
            // Many at once, each on a connection and port of its own.
            let wrk = Wrk {
                url: &url(family, ""),
                connections: 8,
                seconds: 2,
                close: true,
            };
            let report = wrk.run(&site.network.client).expect("a load");
            assert_eq!(report.errors, 0, "{mode} {family:?}: {report:?}");
            assert!(report.requests > 8, "{mode} {family:?}: {report:?}");
            for length in [1, 1400, 8000, 60_000] {
                echo(&site, family, length, mode);
            }
        }
        assert_eq!(counted(&site, "fragment-lost"), 0, "{mode}");
        let own = Family::BOTH.map(|family| local(family).to_string());
        for seen in site.nginx.iter().flat_map(|one| one.clients()) {
            assert!(own.contains(&seen), "{mode}: a real server saw {seen}");
        }
        let services = said(&site, &["services"]);
        assert!(services.contains(" of 64512"), "{mode}: {services}");
        let connections = said(&site, &["connections"]);
        assert!(connections.contains("10.0.0.1:10"), "{mode}: {connections}");
    }
}

/// A datagram that is sent back, whatever its size.
fn echo(site: &Site, family: Family, length: usize, mode: &str) {
    let socket = udp(site, family);
    let question: Vec<u8> = (0..length).map(|number| (number % 251) as u8).collect();
    let service = Network::service(family, DNS);
    socket.send_to(&question, service).expect("sent");
    let mut answer = vec![0; 65_536];
    let (got, from) = socket
        .recv_from(&mut answer)
        .unwrap_or_else(|error| panic!("{mode} {family:?} {length}: {error}"));
    assert_eq!(from, service, "{mode}");
    assert!(
        answer[..got].ends_with(&question),
        "{mode} {family:?} {length}"
    );
}

/// A client's socket.
fn udp(site: &Site, family: Family) -> UdpSocket {
    let socket = site
        .network
        .client
        .enter(|| UdpSocket::bind((family.client(), 0)))
        .expect("a namespace")
        .expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    socket
}

#[test]
fn a_real_server_is_a_client_of_its_own_service() {
    for mode in MODES {
        let site = site(mode);
        for family in Family::BOTH {
            for server in &site.network.real_servers {
                let (flag, length) = match family {
                    Family::V4 => ("-4", 32),
                    Family::V6 => ("-6", 128),
                };
                let vip = family.virtual_address();
                let line = format!("{flag} route add {vip}/{length} via {}", family.gateway());
                server.namespace.ip(&line).expect("a route");
                // By turns the other one and itself.
                let tally = curl(&server.namespace, &url(family, ""), 6).expect("answers");
                assert_eq!((tally.of("real1"), tally.of("real2")), (3, 3), "{mode}");
            }
        }
    }
}

#[test]
fn connections_keep_their_addresses_when_the_service_gets_others() {
    for mode in MODES {
        let site = site(mode);
        for family in Family::BOTH {
            let (flag, length) = match family {
                Family::V4 => ("-4", 24),
                Family::V6 => ("-6", 64),
            };
            let address = other_local(family);
            let line = format!("{flag} address add {address}/{length} dev servers");
            site.network.director.ip(&line).expect("an address");
        }
        let servers: Vec<&RealServer> = site.network.real_servers.iter().collect();
        let mut open: Vec<TcpStream> = Family::BOTH.map(|family| keep_alive(&site, family)).into();
        for stream in &mut open {
            ask(stream);
        }
        apply(&site, other_local, &servers);
        for family in Family::BOTH {
            open.push(keep_alive(&site, family));
        }
        for stream in &mut open {
            ask(stream);
        }
        let listed = said(&site, &["connections", "--state", "ESTABLISHED"]);
        for own in [
            "10.0.0.1:",
            "10.0.0.2:",
            "[2001:db8:2::1]:",
            "[2001:db8:2::2]:",
        ] {
            assert!(listed.contains(own), "{mode}: {own} is not in {listed}");
        }
    }
}

fn keep_alive(site: &Site, family: Family) -> TcpStream {
    let service = Network::service(family, WEB);
    let stream = site.network.client.enter(|| TcpStream::connect(service));
    let stream = stream.expect("a namespace").expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

/// Asks once more on a connection that stays open.
fn ask(stream: &mut TcpStream) {
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n")
        .expect("sent");
    let mut answer = [0; 4096];
    let length = stream.read(&mut answer).expect("an answer");
    assert!(answer[..length].starts_with(b"HTTP/1.1 200"));
}

/// A port whose connection the director knows no more and the real server still does: in TIME-WAIT, and ESTABLISHED.
#[test]
fn a_port_is_used_again_that_the_real_server_still_knows() {
    const PORT: u16 = 8080;
    for mode in MODES {
        let mut site = site(mode);
        let family = Family::V4;
        let address = site.network.real_servers[0].at(family, PORT);
        let listener = site.network.real_servers[0]
            .namespace
            .enter(|| TcpListener::bind(address))
            .expect("a namespace")
            .expect("a listener");
        let service = Network::service(family, PORT);
        let text = format!(
            "[[service]]\nlisten = [\"tcp {service}\"]\nscheduler = \"rr\"\nforward = \"fullnat\"\n\
             local_addresses = [\"{}\"]\nserver = [{{ address = \"{address}\" }}]\n",
            local(family),
        );
        let mut kept = Vec::new();
        for closes in [true, false, true] {
            apply_text(&site, &text);
            let client = site.network.client.enter(|| TcpStream::connect(service));
            let mut client = client.expect("a namespace").expect("a connection");
            // Who was refused before it came to be is not served.
            let (mut stream, from) = listener.accept().expect("a client");
            assert!([1024, 1025].contains(&from.port()), "{mode}: {from}");
            client.set_read_timeout(Some(PATIENCE)).expect("a timeout");
            stream.write_all(b"hello").expect("sent");
            let mut heard = [0; 5];
            client.read_exact(&mut heard).expect("heard");
            if closes {
                // First, so that the end is the real server's to remember.
                drop(stream);
                assert_eq!(client.read(&mut heard).expect("the end"), 0);
                drop(client);
            } else {
                kept.push((client, stream));
            }
            forget_everything(&mut site);
        }
    }
}

/// Lets the director begin with empty tables, and so with the first port.
fn forget_everything(site: &mut Site) {
    site.director.terminate().expect("an end");
    let bpffs = site.director.bpffs().display().to_string();
    let said = site
        .director
        .weir(&["detach", "--bpffs", &bpffs])
        .expect("weir detach");
    assert!(
        said.status.success(),
        "{}",
        String::from_utf8_lossy(&said.stderr)
    );
    site.director.start_again().expect("a director");
}

/// All ports of an address are claimed: what comes then is dropped, counted, and said.
#[test]
fn ports_run_out_and_that_is_seen() {
    const CLIENTS: u8 = 2;
    const PORTS: u64 = 64_512;
    for mode in MODES {
        let site = site(mode);
        let servers = [&site.network.real_servers[0]];
        apply(&site, local, &servers);
        let service = Network::service(Family::V4, DNS);
        // From 1024 on, from each of two addresses, until one port of ours is left for nobody.
        for client in 0..CLIENTS {
            flood(&site, [192, 0, 2, 50 + client], service);
        }
        until("all ports claimed", PATIENCE, || {
            counted(&site, "ports-exhausted") > 0
        })
        .expect("they run out");
        let services = said(&site, &["services"]);
        assert!(
            services.contains(&format!("{PORTS} of {PORTS}")),
            "{mode}: {services}"
        );
        assert!(
            services.contains("found no free port"),
            "{mode}: {services}"
        );
        let status = said(&site, &["status"]);
        for words in ["nearly no local ports left", "found no local port"] {
            assert!(status.contains(words), "{mode}: {status}");
        }
        // Others are served: another protocol, another family, another real server.
        let tally = curl(&site.network.client, &url(Family::V4, ""), 2).expect("answers");
        assert_eq!(tally.total(), 2, "{mode}");
        echo(&site, Family::V6, 100, mode);
    }
}

/// A datagram from each port of an address.
fn flood(site: &Site, from: [u8; 4], to: SocketAddr) {
    let IpAddr::V4(address) = to.ip() else {
        panic!("IPv4");
    };
    let mut packet = vec![0x45, 0, 0, 32, 0, 0, 0x40, 0, 64, 17, 0, 0];
    packet.extend(from);
    packet.extend(address.octets());
    packet.extend([0, 0]);
    packet.extend(to.port().to_be_bytes());
    packet.extend([0, 12, 0, 0]);
    packet.extend(b"more");
    site.network
        .client
        .enter(|| {
            // SAFETY: calls with pointers to values that outlive them.
            unsafe {
                let socket = libc::socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_RAW);
                assert!(socket >= 0, "a raw socket");
                let mut place: libc::sockaddr_in = std::mem::zeroed();
                place.sin_family = libc::AF_INET as u16;
                place.sin_addr.s_addr = u32::from_ne_bytes(address.octets());
                for port in 1024..=u16::MAX {
                    packet[20..22].copy_from_slice(&port.to_be_bytes());
                    let sent = libc::sendto(
                        socket,
                        packet.as_ptr().cast(),
                        packet.len(),
                        0,
                        (&raw const place).cast(),
                        size_of::<libc::sockaddr_in>() as u32,
                    );
                    assert_eq!(sent, packet.len() as isize, "a datagram sent");
                }
                libc::close(socket);
            }
        })
        .expect("a namespace");
}
