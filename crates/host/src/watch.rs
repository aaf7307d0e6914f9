//! When the interfaces change.

use std::io;
use std::os::fd::AsFd;
use std::thread;

use netlink_sys::protocols::{NETLINK_GENERIC, NETLINK_ROUTE};
use netlink_sys::{Socket, SocketAddr};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use crate::netdev;

/// `RTNLGRP_LINK` of linux/rtnetlink.h.
const LINK_CHANGES: u32 = 1;

/// Calls `changed` whenever an interface came, went, got another address or other XDP abilities,
/// from a thread of its own, for as long as the process lives. What changed is to be asked anew:
/// the kernel may have dropped messages.
pub fn interfaces(changed: impl Fn() + Send + 'static) -> io::Result<()> {
    let mut sockets = vec![listen(NETLINK_ROUTE, LINK_CHANGES)?];
    if let Some(group) = netdev::family()?.and_then(|family| family.changes) {
        sockets.push(listen(NETLINK_GENERIC, group)?);
    }
    thread::Builder::new()
        .name("interfaces".to_owned())
        .spawn(move || {
            while wait(&sockets).is_ok() {
                changed();
            }
        })?;
    Ok(())
}

fn listen(protocol: isize, group: u32) -> io::Result<Socket> {
    let mut socket = Socket::new(protocol)?;
    socket.bind(&SocketAddr::new(0, 0))?;
    socket.add_membership(group)?;
    socket.set_non_blocking(true)?;
    Ok(socket)
}

/// Blocks until a message is there, and reads all there are.
fn wait(sockets: &[Socket]) -> io::Result<()> {
    let mut descriptors: Vec<_> = sockets
        .iter()
        .map(|socket| PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::IN))
        .collect();
    match poll(&mut descriptors, None) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    let mut buffer = Vec::with_capacity(64 << 10);
    for socket in sockets {
        loop {
            buffer.clear();
            match socket.recv(&mut buffer, 0) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // More changed than the socket holds: that, too, is a change.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}
