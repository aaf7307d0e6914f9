//! The name of an interface's driver, by the one ethtool question that has no netlink form.

use std::ffi::CStr;
use std::mem;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;

/// `ETHTOOL_GDRVINFO` of linux/ethtool.h.
const GET_DRIVER_INFO: u32 = 3;

/// `struct ethtool_drvinfo`.
#[repr(C)]
struct DriverInfo {
    command: u32,
    driver: [u8; 32],
    rest: [u8; 160],
}

/// The driver's name, or nothing when the interface has none or is gone.
pub fn driver(interface: &str) -> Option<String> {
    let socket = UnixDatagram::unbound().ok()?;
    let mut info = DriverInfo {
        command: GET_DRIVER_INFO,
        driver: [0; 32],
        rest: [0; 160],
    };
    // SAFETY: `ifreq` is made of integers, byte arrays and pointers: all zeros is a value.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    let name = interface.as_bytes();
    if name.len() >= request.ifr_name.len() {
        return None;
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name) {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_data = (&raw mut info).cast();
    // SAFETY: the descriptor is open; `request` names an interface and points to `info`, which is
    // as large as the kernel's `ethtool_drvinfo` (asserted below) and outlives the call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL, &raw mut request) };
    if result != 0 {
        return None;
    }
    let driver = CStr::from_bytes_until_nul(&info.driver)
        .ok()?
        .to_str()
        .ok()?;
    (!driver.is_empty()).then(|| driver.to_owned())
}

const _: () = assert!(mem::size_of::<DriverInfo>() == 196);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_has_no_driver() {
        assert_eq!(driver("no-such-if"), None);
        assert_eq!(driver("a name that is too long to be one"), None);
    }
}
