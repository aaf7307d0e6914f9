//! Both ends are told when a connection expires, where its service wants it, by every method.
#![cfg(feature = "privileged")]

mod common;
#[path = "common/prepared.rs"]
mod prepared;

use common::Site;
use prepared::Prepared;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use weir_lab::{Director, Family, Namespace, Network, Shape};

const PORT: u16 = 7007;
/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// How packets reach the real server.
#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    Nat,
    FullNat,
    OtherFamily,
    Direct,
    /// By that kind, with further words.
    Tunnel(&'static str, &'static str),
}

fn configure(director: &Director, network: &Network, how: How) {
    let mut text = String::new();
    for family in Family::BOTH {
        let inside = match (how, family) {
            (How::Nat | How::FullNat | How::Direct | How::Tunnel(..), family) => family,
            (How::OtherFamily, Family::V4) => Family::V6,
            (How::OtherFamily, Family::V6) => Family::V4,
        };
        let forward = match how {
            How::Nat => "forward = \"nat\"".to_owned(),
            How::Direct => "forward = \"dr\"".to_owned(),
            How::Tunnel(kind, more) => {
                format!("forward = \"tun\"\ntunnel = {{ type = \"{kind}\"{more} }}")
            }
            How::FullNat | How::OtherFamily => format!(
                "forward = \"fullnat\"\nlocal_addresses = [\"{}\"]",
                inside.gateway()
            ),
        };
        for protocol in ["tcp", "udp"] {
            text.push_str(&format!(
                "[[service]]\nlisten = [\"{protocol} {}\"]\nscheduler = \"rr\"\n{forward}\nfarewell = true\n\
                 timeouts = {{ {protocol} = 3 }}\nserver = [{{ address = \"{}\" }}]\n\n",
                Network::service(family, PORT),
                network.real_servers[0].at(inside, PORT),
            ));
        }
    }
    let file = network.lab().directory().join("farewell.toml");
    std::fs::write(&file, text).expect("a file");
    let file = file.display().to_string();
    let said = director.weir(&["apply", &file]).expect("a verb");
    assert!(said.status.success(), "{said:?}");
}

/// A server of TCP that says what ends its only connection, once it has had a word and answered.
fn serve_tcp(server: &Namespace, address: IpAddr) -> Receiver<ErrorKind> {
    let (told, heard) = channel();
    let listener = server
        .enter(|| TcpListener::bind((address, PORT)))
        .expect("a namespace")
        .expect("a socket");
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let mut word = [0; 5];
        stream.read_exact(&mut word).expect("a word");
        stream.write_all(&word).expect("an answer");
        let _ = told.send(end_of(stream.read(&mut word)));
    });
    heard
}

/// The same of UDP.
fn serve_udp(server: &Namespace, address: IpAddr) -> Receiver<ErrorKind> {
    let (told, heard) = channel();
    let socket = server
        .enter(|| UdpSocket::bind((address, PORT)))
        .expect("a namespace")
        .expect("a socket");
    std::thread::spawn(move || {
        let mut word = [0; 16];
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let (length, from) = socket.recv_from(&mut word).expect("a word");
        // Whoever is connected hears of errors.
        socket.connect(from).expect("an end");
        socket.send(&word[..length]).expect("an answer");
        let _ = told.send(end_of(socket.recv(&mut word)));
    });
    heard
}

fn end_of(read: std::io::Result<usize>) -> ErrorKind {
    match read {
        Ok(length) => panic!("{length} bytes instead of an end"),
        Err(error) => error.kind(),
    }
}

fn ask_tcp(client: &Namespace, service: SocketAddr) -> ErrorKind {
    let ask = || {
        let mut stream = TcpStream::connect_timeout(&service, PATIENCE).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.write_all(b"hello").expect("a word");
        let mut word = [0; 5];
        stream.read_exact(&mut word).expect("an answer");
        end_of(stream.read(&mut word))
    };
    client.enter(ask).expect("a namespace")
}

fn ask_udp(client: &Namespace, service: SocketAddr) -> ErrorKind {
    let ask = || {
        let any: IpAddr = match service {
            SocketAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((any, 0)).expect("a socket");
        socket.connect(service).expect("a route");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        socket.send(b"hello").expect("a word");
        let mut word = [0; 16];
        socket.recv(&mut word).expect("an answer");
        end_of(socket.recv(&mut word))
    };
    client.enter(ask).expect("a namespace")
}

fn both_are_told(mode: &str, how: How) {
    let site = Site::without_services(mode, Shape::TwoInterfaces);
    are_told(&site.director, &site.network, mode, how);
}

/// By real servers that have the virtual address, and answer past the director.
fn both_are_told_past_it(mode: &str, how: How) {
    let site = Prepared::new(mode, 1);
    are_told(&site.director, &site.network, mode, how);
}

fn are_told(director: &Director, network: &Network, mode: &str, how: How) {
    configure(director, network, how);
    let (client, server) = (&network.client, &network.real_servers[0].namespace);
    for family in Family::BOTH {
        let service = Network::service(family, PORT);
        let at = match how {
            How::Nat | How::FullNat | How::OtherFamily => Ipv6Addr::UNSPECIFIED.into(),
            How::Direct | How::Tunnel(..) => family.virtual_address(),
        };
        let heard = serve_tcp(server, at);
        let case = format!("{mode}, {how:?}, {family:?}");
        assert_eq!(
            ask_tcp(client, service),
            ErrorKind::ConnectionReset,
            "{case}"
        );
        let end = heard.recv_timeout(PATIENCE).expect("an end");
        assert_eq!(end, ErrorKind::ConnectionReset, "{case}");
        let heard = serve_udp(server, at);
        assert_eq!(
            ask_udp(client, service),
            ErrorKind::ConnectionRefused,
            "{case}"
        );
        let end = heard.recv_timeout(PATIENCE).expect("an end");
        assert_eq!(end, ErrorKind::ConnectionRefused, "{case}");
    }
}

#[test]
fn by_nat() {
    both_are_told("tc", How::Nat);
    both_are_told("xdp", How::Nat);
}

#[test]
fn by_fullnat() {
    both_are_told("tc", How::FullNat);
}

#[test]
fn between_the_families() {
    both_are_told("tc", How::OtherFamily);
}

#[test]
fn by_direct_routing() {
    both_are_told_past_it("tc", How::Direct);
    both_are_told_past_it("xdp", How::Direct);
}

#[test]
fn through_tunnels() {
    both_are_told_past_it("tc", How::Tunnel("ipip", ""));
    both_are_told_past_it("tc", How::Tunnel("gre", ", checksum = \"full\""));
    both_are_told_past_it(
        "xdp",
        How::Tunnel("gue", ", port = 6080, checksum = \"full\""),
    );
}
