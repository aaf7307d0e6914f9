//! The far end of a wire: frames in and out by hand.

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// A raw socket on one interface.
#[derive(Debug)]
pub struct Wire(OwnedFd);

impl Wire {
    /// Opens the interface of the namespace that the calling thread is in.
    pub fn open(interface: &str) -> io::Result<Wire> {
        let name = std::ffi::CString::new(interface)?;
        // SAFETY: the pointer is to a string that ends in a zero and lives through the call.
        let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
        if index == 0 {
            return Err(io::Error::last_os_error());
        }
        let every = u16::try_from(libc::ETH_P_ALL).unwrap_or(3).to_be();
        let kind = libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        // SAFETY: no pointers.
        let socket = unsafe { libc::socket(libc::AF_PACKET, kind, i32::from(every)) };
        if socket < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor has just been made and nobody else has it.
        let wire = Wire(unsafe { OwnedFd::from_raw_fd(socket) });
        // SAFETY: all-zero bytes are a valid address of this family.
        let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
        address.sll_family = u16::try_from(libc::AF_PACKET).unwrap_or(17);
        address.sll_protocol = every;
        address.sll_ifindex = index.cast_signed();
        let length = libc::socklen_t::try_from(mem::size_of_val(&address)).unwrap_or(0);
        // SAFETY: the pointer is to an address of the length that is said.
        let bound = unsafe { libc::bind(wire.0.as_raw_fd(), (&raw const address).cast(), length) };
        if bound != 0 {
            return Err(io::Error::last_os_error());
        }
        // What we send ourselves is no news (PACKET_IGNORE_OUTGOING).
        wire.set(libc::SOL_PACKET, 23, 1)?;
        wire.set(libc::SOL_SOCKET, libc::SO_RCVBUF, 1 << 20)?;
        Ok(wire)
    }

    fn set(&self, level: i32, option: i32, value: i32) -> io::Result<()> {
        let length = libc::socklen_t::try_from(mem::size_of_val(&value)).unwrap_or(0);
        // SAFETY: the pointer is to a value of the length that is said.
        let set = unsafe {
            libc::setsockopt(
                self.0.as_raw_fd(),
                level,
                option,
                (&raw const value).cast(),
                length,
            )
        };
        if set == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }

    /// Puts a frame on the wire.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        // SAFETY: pointer and length are those of the slice.
        let sent = unsafe { libc::send(self.0.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
        if sent < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        }
    }

    /// The next frame that has come, if one has.
    pub fn receive(&self) -> io::Result<Option<Vec<u8>>> {
        // No frame on these wires is longer.
        let mut buffer = [0; 9_216];
        // SAFETY: pointer and length are those of the buffer.
        let got = unsafe {
            libc::recv(
                self.0.as_raw_fd(),
                buffer.as_mut_ptr().cast(),
                buffer.len(),
                0,
            )
        };
        if let Ok(length) = usize::try_from(got) {
            return Ok(Some(buffer[..length].to_vec()));
        }
        match io::Error::last_os_error() {
            none if none.kind() == io::ErrorKind::WouldBlock => Ok(None),
            error => Err(error),
        }
    }

    /// Waits until a frame has come; false where none came in time.
    pub fn wait(&self, within: Duration) -> io::Result<bool> {
        let mut waiting = libc::pollfd {
            fd: self.0.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        let milliseconds = i32::try_from(within.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the pointer is to one entry, as is said.
        let ready = unsafe { libc::poll(&raw mut waiting, 1, milliseconds) };
        if ready < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(ready > 0)
        }
    }
}
