//! Receiving with what the IP header said beside the payload.

use std::io;
use std::mem::{self, MaybeUninit};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd;

use socket2::Socket;

/// What came with a payload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message {
    /// How much of the buffer is the payload.
    pub(crate) length: usize,
    /// From whom.
    pub(crate) source: IpAddr,
    /// To whom, where IPv6's packet information was asked for.
    pub(crate) destination: Option<Ipv6Addr>,
    /// The hop limit or time to live that was left, where it was asked for.
    pub(crate) hop_limit: Option<u8>,
}

/// Room for two control messages, aligned for their headers.
#[repr(align(8))]
struct Control([u8; 128]);

/// Receives a packet of an IP socket.
pub(crate) fn receive(socket: &Socket, buffer: &mut [u8]) -> io::Result<Message> {
    let mut control = Control([0; 128]);
    let mut part = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    let mut from = MaybeUninit::<libc::sockaddr_storage>::zeroed();
    // SAFETY: all of the structure is numbers and pointers, for which zero is a value.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_name = from.as_mut_ptr().cast();
    message.msg_namelen = mem::size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = control.0.len();
    // SAFETY: name, buffer and control are ours to write for the lengths that the message says.
    let length = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, 0) };
    let length = usize::try_from(length).map_err(|_| io::Error::last_os_error())?;
    // SAFETY: it was zeroed, which is a value of it, and the kernel wrote an address into it.
    let from = unsafe { from.assume_init() };
    let mut received = Message {
        length,
        source: source(&from),
        destination: None,
        hop_limit: None,
    };
    // SAFETY: the kernel has written the message's control part and its length.
    let mut next = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
    // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR return null or a header within the control part, which is
    // aligned for it.
    while let Some(header) = unsafe { next.as_ref() } {
        // SAFETY: as above; data follows the header.
        let data = unsafe { libc::CMSG_DATA(next) };
        match (header.cmsg_level, header.cmsg_type) {
            (libc::IPPROTO_IP, libc::IP_TTL) | (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT) => {
                // SAFETY: the kernel writes an int here (ip(7); RFC 3542, 6.3).
                let limit = unsafe { data.cast::<libc::c_int>().read_unaligned() };
                received.hop_limit = u8::try_from(limit).ok();
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                // SAFETY: the kernel writes an in6_pktinfo here (RFC 3542, 6.2).
                let info = unsafe { data.cast::<libc::in6_pktinfo>().read_unaligned() };
                received.destination = Some(info.ipi6_addr.s6_addr.into());
            }
            _ => {}
        }
        // SAFETY: as above.
        next = unsafe { libc::CMSG_NXTHDR(&raw const message, next) };
    }
    Ok(received)
}

fn source(from: &libc::sockaddr_storage) -> IpAddr {
    let at: *const libc::sockaddr_storage = from;
    if i32::from(from.ss_family) == libc::AF_INET6 {
        // SAFETY: the family says that it is one; the storage is large and aligned enough for it.
        let from = unsafe { &*at.cast::<libc::sockaddr_in6>() };
        return Ipv6Addr::from(from.sin6_addr.s6_addr).into();
    }
    // SAFETY: as above; sockets of IPv4 have no other.
    let from = unsafe { &*at.cast::<libc::sockaddr_in>() };
    Ipv4Addr::from_bits(u32::from_be(from.sin_addr.s_addr)).into()
}

/// Turns an option of a socket on.
pub(crate) fn switch_on(
    socket: &Socket,
    level: libc::c_int,
    option: libc::c_int,
) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the value is readable for its length; the descriptor is open while `socket` lives.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const on).cast(),
            mem::size_of_val(&on) as libc::socklen_t,
        )
    };
    match done {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
