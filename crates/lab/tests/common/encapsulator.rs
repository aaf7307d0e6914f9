//! A director that only tunnels: what is routed to its device leaves in a tunnel. Made of sockets, since not every kernel
//! has tunnel devices.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use weir_lab::Namespace;

use super::common::checksum;

pub const GUE_PORT: u16 = 6080;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tunnel {
    Ipip,
    Gre,
    GreWithChecksum,
    Gue,
    GueWithRemoteChecksum,
}

impl Tunnel {
    pub const ALL: [Tunnel; 5] = [
        Tunnel::Ipip,
        Tunnel::Gre,
        Tunnel::GreWithChecksum,
        Tunnel::Gue,
        Tunnel::GueWithRemoteChecksum,
    ];

    /// What the real server counts it as.
    pub fn counted_as(self) -> &'static str {
        match self {
            Tunnel::Ipip => "ipip",
            Tunnel::Gre | Tunnel::GreWithChecksum => "gre",
            Tunnel::Gue | Tunnel::GueWithRemoteChecksum => "gue",
        }
    }
}

/// Wraps what is routed to the device `tunnel` of its namespace; dropped, it ends, and the device goes.
pub struct Encapsulator {
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Encapsulator {
    pub const DEVICE: &str = "tunnel";

    /// To that real server; the device takes packets that fit into a tunnel.
    pub fn start(namespace: &Namespace, tunnel: Tunnel, to: IpAddr) -> Encapsulator {
        Self::start_with_mtu(namespace, tunnel, to, 1400)
    }

    /// As [`start`](Self::start), but the device takes packets of that size. What is larger than the link when it is
    /// wrapped goes in fragments.
    pub fn start_with_mtu(
        namespace: &Namespace,
        tunnel: Tunnel,
        to: IpAddr,
        mtu: u16,
    ) -> Encapsulator {
        let (mut device, sender) = namespace
            .enter(|| io::Result::Ok((open_device()?, Sender::new(tunnel, to)?)))
            .expect("a namespace")
            .expect("a device and a socket");
        for setting in [
            &format!("link set {} mtu {mtu} up", Self::DEVICE),
            &format!("-6 address add fe80::1/64 dev {} nodad", Self::DEVICE),
        ] {
            namespace.ip(setting).expect("a device");
        }
        let ends = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&ends);
        let thread = std::thread::spawn(move || {
            let mut packet = [0; 2048];
            while !ended.load(Ordering::Relaxed) {
                if !is_readable(&device) {
                    continue;
                }
                let length = device.read(&mut packet).expect("a packet");
                let packet = &packet[..length];
                // The kernel's own, such as multicast of IPv6.
                if is_for_a_service(packet) {
                    sender.send(packet);
                }
            }
        });
        Encapsulator {
            ends,
            thread: Some(thread),
        }
    }
}

impl Drop for Encapsulator {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        if let (Some(Err(panic)), false) = (ended, std::thread::panicking()) {
            std::panic::resume_unwind(panic);
        }
    }
}

fn is_for_a_service(packet: &[u8]) -> bool {
    match packet[0] >> 4 {
        4 => packet[16] < 224,
        _ => packet[24] != 0xff,
    }
}

fn is_readable(device: &File) -> bool {
    let mut poll = libc::pollfd {
        fd: device.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: one `pollfd`, which outlives the call.
    unsafe { libc::poll(&raw mut poll, 1, 20) == 1 }
}

fn open_device() -> io::Result<File> {
    let device = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/net/tun")?;
    // SAFETY: zeros are an `ifreq`.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (place, byte) in request
        .ifr_name
        .iter_mut()
        .zip(Encapsulator::DEVICE.bytes())
    {
        *place = byte as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short;
    // SAFETY: the request wants an `ifreq`, which outlives the call.
    let done = unsafe { libc::ioctl(device.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
    if done == 0 {
        Ok(device)
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Sockets that put the outer header around what they send.
struct Sender {
    tunnel: Tunnel,
    to: IpAddr,
    in4: OwnedFd,
    in6: OwnedFd,
    gre: OwnedFd,
    udp: UdpSocket,
}

impl Sender {
    fn new(tunnel: Tunnel, to: IpAddr) -> io::Result<Sender> {
        let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let udp = UdpSocket::bind(any)?;
        allow_fragments(udp.as_raw_fd(), to)?;
        Ok(Sender {
            tunnel,
            to,
            in4: raw_socket(to, libc::IPPROTO_IPIP)?,
            in6: raw_socket(to, libc::IPPROTO_IPV6)?,
            gre: raw_socket(to, libc::IPPROTO_GRE)?,
            udp,
        })
    }

    fn send(&self, packet: &[u8]) {
        let is_ipv6 = packet[0] >> 4 == 6;
        let protocol: u8 = if is_ipv6 { 41 } else { 4 };
        let kind: [u8; 2] = if is_ipv6 { [0x86, 0xdd] } else { [0x08, 0x00] };
        match self.tunnel {
            Tunnel::Ipip if is_ipv6 => self.send_raw(&self.in6, packet),
            Tunnel::Ipip => self.send_raw(&self.in4, packet),
            Tunnel::Gre => self.send_raw(&self.gre, &[&[0, 0], &kind[..], packet].concat()),
            Tunnel::GreWithChecksum => {
                let mut all = [&[0x80, 0], &kind[..], &[0; 4], packet].concat();
                let sum = checksum(&all);
                all[4..6].copy_from_slice(&sum);
                self.send_raw(&self.gre, &all);
            }
            Tunnel::Gue => self.send_gue(&[&[0, protocol, 0, 0], packet].concat()),
            Tunnel::GueWithRemoteChecksum => {
                let (unfinished, start, field) = unfinished(packet);
                let header = [2, protocol, 0, 1, 0x80, 0, 0, 0, 0, start, 0, field];
                self.send_gue(&[&header, &unfinished[..]].concat());
            }
        }
    }

    fn send_gue(&self, bytes: &[u8]) {
        let to = SocketAddr::new(self.to, GUE_PORT);
        self.udp.send_to(bytes, to).expect("sent");
    }

    fn send_raw(&self, socket: &OwnedFd, bytes: &[u8]) {
        let (length, address) = socket_address(self.to);
        // SAFETY: pointers to as many bytes as are said, which outlive the call.
        let sent = unsafe {
            libc::sendto(
                socket.as_raw_fd(),
                bytes.as_ptr().cast(),
                bytes.len(),
                0,
                (&raw const address).cast(),
                length,
            )
        };
        assert_eq!(sent, bytes.len() as isize, "{}", io::Error::last_os_error());
    }
}

fn raw_socket(to: IpAddr, protocol: libc::c_int) -> io::Result<OwnedFd> {
    let family = if to.is_ipv4() {
        libc::AF_INET
    } else {
        libc::AF_INET6
    };
    // SAFETY: a call without pointers.
    let socket = unsafe { libc::socket(family, libc::SOCK_RAW | libc::SOCK_CLOEXEC, protocol) };
    if socket < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given this descriptor to nobody else.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    allow_fragments(socket.as_raw_fd(), to)?;
    Ok(socket)
}

fn allow_fragments(socket: RawFd, to: IpAddr) -> io::Result<()> {
    let (level, option, value) = if to.is_ipv4() {
        (
            libc::IPPROTO_IP,
            libc::IP_MTU_DISCOVER,
            libc::IP_PMTUDISC_DONT,
        )
    } else {
        (
            libc::IPPROTO_IPV6,
            libc::IPV6_MTU_DISCOVER,
            libc::IPV6_PMTUDISC_DONT,
        )
    };
    let length = size_of_val(&value) as libc::socklen_t;
    // SAFETY: a number that outlives the call, and its length.
    let done =
        unsafe { libc::setsockopt(socket, level, option, (&raw const value).cast(), length) };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

fn socket_address(address: IpAddr) -> (libc::socklen_t, libc::sockaddr_storage) {
    // SAFETY: zeros are a `sockaddr_storage`.
    let mut storage: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
    let length = match address {
        IpAddr::V4(address) => {
            // SAFETY: the storage has room and alignment for every kind of address.
            let place = unsafe { &mut *(&raw mut storage).cast::<libc::sockaddr_in>() };
            place.sin_family = libc::AF_INET as libc::sa_family_t;
            place.sin_addr.s_addr = u32::from_ne_bytes(address.octets());
            size_of::<libc::sockaddr_in>()
        }
        IpAddr::V6(address) => {
            // SAFETY: as above.
            let place = unsafe { &mut *(&raw mut storage).cast::<libc::sockaddr_in6>() };
            place.sin6_family = libc::AF_INET6 as libc::sa_family_t;
            place.sin6_addr.s6_addr = address.octets();
            size_of::<libc::sockaddr_in6>()
        }
    };
    (length as libc::socklen_t, storage)
}

/// The packet with the sum of the pseudo header where TCP's checksum belongs, where TCP begins, and where that lies.
fn unfinished(packet: &[u8]) -> (Vec<u8>, u8, u8) {
    let (start, addresses) = match packet[0] >> 4 {
        4 => (20, &packet[12..20]),
        _ => (40, &packet[8..40]),
    };
    let length = (packet.len() - start) as u16;
    let pseudo = [
        addresses,
        &[0, libc::IPPROTO_TCP as u8],
        &length.to_be_bytes(),
    ]
    .concat();
    let sum = u16::from_be_bytes(checksum(&pseudo));
    let mut packet = packet.to_vec();
    packet[start + 16..start + 18].copy_from_slice(&(!sum).to_be_bytes());
    (packet, start as u8, start as u8 + 16)
}
