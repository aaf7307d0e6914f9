//! Datagrams larger than a link: cut by the kernel, and cut by hand to come in the wrong order.
#![cfg(feature = "privileged")]

mod common;

use common::{DNS, MODES, Site, checksum};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;
use weir_lab::{Family, Namespace, Network, Shape};

/// As large as a datagram may be, with the echo's name in front of the answer.
const LARGE: usize = 60_000;

#[test]
fn large_datagrams_come_and_go() {
    for mode in MODES {
        let site = Site::new(mode, Shape::TwoInterfaces);
        for family in Family::BOTH {
            for length in [1465, 8000, LARGE] {
                let socket = socket(&site, family);
                let question = text(length);
                let service = Network::service(family, DNS);
                socket.send_to(&question, service).expect("sent");
                let (answer, from) = receive(&socket, mode);
                assert_eq!(from, service, "{mode}");
                assert!(answer.ends_with(&question), "{mode} {family:?} {length}");
            }
        }
        assert_eq!(lost(&site), 0, "{mode}");
    }
}

#[test]
fn fragments_wait_for_the_first_one() {
    for mode in MODES {
        let site = Site::new(mode, Shape::TwoInterfaces);
        for family in Family::BOTH {
            let client = &site.network.client;
            let socket = socket(&site, family);
            let here = socket.local_addr().expect("our address");
            let service = Network::service(family, DNS);
            let question = text(20_000);
            let gateway = link_address(&site.network.director, "clients");
            for order in [reversed, second_first, first_last] {
                let mut frames = fragments(here, service, &question);
                order(&mut frames);
                send(client, &gateway, &frames);
                let (answer, from) = receive(&socket, mode);
                assert_eq!(from, service, "{mode}");
                assert!(answer.ends_with(&question), "{mode} {family:?}");
            }
            // The same on the way back: the connection is there, and its real server answers in reverse.
            socket.send_to(b"short", service).expect("sent");
            let (answer, _) = receive(&socket, mode);
            let name = answer.split(|byte| *byte == b' ').next().expect("a name");
            let server = site
                .network
                .real_servers
                .iter()
                .find(|server| server.name.as_bytes() == name)
                .expect("one of ours");
            let mut frames = fragments(server.at(family, DNS), here, &question);
            reversed(&mut frames);
            let gateway = link_address(&site.network.director, "servers");
            send(&server.namespace, &gateway, &frames);
            let (answer, from) = receive(&socket, mode);
            assert_eq!(
                (from, answer == question),
                (service, true),
                "{mode} {family:?}"
            );
        }
        assert_eq!(lost(&site), 0, "{mode}");
    }
}

#[test]
fn fragments_of_others_pass() {
    for mode in MODES {
        let site = Site::new(mode, Shape::TwoInterfaces);
        let server = &site.network.real_servers[0];
        let gateway = link_address(&site.network.director, "clients");
        for family in Family::BOTH {
            // To a real server by plain routing: its address is known, so these do wait, and then pass.
            let socket = socket(&site, family);
            let here = socket.local_addr().expect("our address");
            let direct = server.at(family, DNS);
            let question = text(9000);
            let mut frames = fragments(here, direct, &question);
            for order in [|_: &mut [Frame]| {}, reversed as fn(&mut [Frame])] {
                order(&mut frames);
                send(&site.network.client, &gateway, &frames);
                let (answer, from) = receive(&socket, mode);
                assert_eq!(from, direct, "{mode}");
                assert!(answer.ends_with(&question), "{mode} {family:?}");
            }
        }
        assert_eq!(
            site.ipvsadm("-Lnc").lines().count(),
            2,
            "{mode}: connections were made"
        );
        assert_eq!(lost(&site), 0, "{mode}");
    }
}

/// A frame from its type on: the link addresses are the sender's.
type Frame = Vec<u8>;

fn reversed(frames: &mut [Frame]) {
    frames.reverse();
}

fn second_first(frames: &mut [Frame]) {
    frames.swap(0, 1);
}

fn first_last(frames: &mut [Frame]) {
    frames.rotate_left(1);
}

fn text(length: usize) -> Vec<u8> {
    (0..length).map(|number| (number % 251) as u8).collect()
}

fn socket(site: &Site, family: Family) -> UdpSocket {
    let socket = site
        .network
        .client
        .enter(|| UdpSocket::bind((family.client(), 0)))
        .expect("a namespace")
        .expect("a socket");
    socket
        .set_read_timeout(Some(Duration::from_secs(5)))
        .expect("a timeout");
    socket
}

fn receive(socket: &UdpSocket, mode: &str) -> (Vec<u8>, SocketAddr) {
    let mut answer = vec![0; 65_536];
    let (length, from) = socket
        .recv_from(&mut answer)
        .unwrap_or_else(|error| panic!("{mode}: no answer: {error}"));
    answer.truncate(length);
    (answer, from)
}

/// What `weir counters` says was lost.
fn lost(site: &Site) -> u64 {
    let said = site
        .director
        .weir(&["counters", "--json"])
        .expect("counters");
    let text = String::from_utf8(said.stdout).expect("text");
    let at = text.find("\"fragment-lost\"").expect("the reason");
    let rest = &text[at..];
    let packets = &rest[rest.find("\"packets\"").expect("a count")..];
    let digits: String = packets
        .chars()
        .skip_while(|c| !c.is_ascii_digit())
        .take_while(char::is_ascii_digit)
        .collect();
    digits.parse().expect("a number")
}

/// The fragments of a datagram, in order.
fn fragments(from: SocketAddr, to: SocketAddr, text: &[u8]) -> Vec<Frame> {
    // One more each time: what has waited is not what waits now.
    static IDENTIFICATION: std::sync::atomic::AtomicU16 = std::sync::atomic::AtomicU16::new(1);
    let number = IDENTIFICATION.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let length = u16::try_from(8 + text.len()).expect("a datagram");
    let mut udp = [
        from.port().to_be_bytes(),
        to.port().to_be_bytes(),
        length.to_be_bytes(),
        [0, 0],
    ]
    .concat();
    udp.extend_from_slice(text);
    let addresses: Vec<u8> = match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => [from.octets(), to.octets()].concat(),
        (IpAddr::V6(from), IpAddr::V6(to)) => [from.octets(), to.octets()].concat(),
        _ => unreachable!("two families"),
    };
    let pseudo = [&addresses[..], &[0, 17], &length.to_be_bytes(), &udp].concat();
    udp[6..8].copy_from_slice(&checksum(&pseudo));
    let piece = if from.is_ipv4() { 1480 } else { 1448 };
    let count = udp.len().div_ceil(piece);
    udp.chunks(piece)
        .enumerate()
        .map(|(place, bytes)| {
            let offset = (place * piece / 8) as u16;
            let more = u16::from(place + 1 != count);
            let mut frame = if from.is_ipv4() {
                let mut header = vec![0x45, 0];
                header.extend((20 + bytes.len() as u16).to_be_bytes());
                header.extend(number.to_be_bytes());
                header.extend((more << 13 | offset).to_be_bytes());
                header.extend([64, 17, 0, 0]);
                header.extend(&addresses);
                let sum = checksum(&header);
                header[10..12].copy_from_slice(&sum);
                [&[0x08, 0x00][..], &header].concat()
            } else {
                let mut header = vec![0x86, 0xdd, 0x60, 0, 0, 0];
                header.extend((8 + bytes.len() as u16).to_be_bytes());
                header.extend([44, 64]);
                header.extend(&addresses);
                header.extend([17, 0]);
                header.extend((offset << 3 | more).to_be_bytes());
                header.extend(u32::from(number).to_be_bytes());
                header
            };
            frame.extend_from_slice(bytes);
            frame
        })
        .collect()
}

fn link_address(namespace: &Namespace, interface: &str) -> Vec<u8> {
    let said = namespace
        .ip(&format!("-br link show {interface}"))
        .expect("an interface");
    let text = said.split_whitespace().nth(2).expect("a link address");
    text.split(':')
        .map(|byte| u8::from_str_radix(byte, 16).expect("a byte"))
        .collect()
}

/// Sends frames out of the namespace's `eth0`, in that order.
fn send(namespace: &Namespace, to: &[u8], frames: &[Frame]) {
    let own = link_address(namespace, "eth0");
    namespace
        .enter(|| {
            // SAFETY: calls with pointers to values that outlive them.
            unsafe {
                let socket = libc::socket(libc::AF_PACKET, libc::SOCK_RAW, 0);
                assert!(socket >= 0, "a packet socket");
                let mut place: libc::sockaddr_ll = std::mem::zeroed();
                place.sll_family = libc::AF_PACKET as u16;
                place.sll_ifindex = libc::if_nametoindex(c"eth0".as_ptr()) as i32;
                for frame in frames {
                    let frame = [to, &own, frame].concat();
                    let sent = libc::sendto(
                        socket,
                        frame.as_ptr().cast(),
                        frame.len(),
                        0,
                        (&raw const place).cast(),
                        size_of::<libc::sockaddr_ll>() as u32,
                    );
                    assert_eq!(sent, frame.len() as isize, "a frame sent");
                }
                libc::close(socket);
            }
        })
        .expect("a namespace");
}
