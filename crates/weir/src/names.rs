//! Host and service names, as this machine's C library knows them: `/etc/hosts`, `/etc/services`,
//! DNS. ipvsadm asks the same library, so both give the same names.

use std::ffi::{CStr, CString};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};

use dns_lookup::{AddrInfoHints, getaddrinfo, getnameinfo};
use ipvsadm::Names;
use weir_config::model::Protocol;
use weir_ipvsadm as ipvsadm;

/// The C library's resolver.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemNames;

/// Held while the C library's one entry of `/etc/services` is asked for and read.
static ENTRY: Mutex<()> = Mutex::new(());

impl Names for SystemNames {
    fn address_of(&self, host: &str) -> Option<Ipv4Addr> {
        let hints = AddrInfoHints {
            address: libc::AF_INET,
            ..AddrInfoHints::default()
        };
        let found = getaddrinfo(Some(host), None, Some(hints)).ok()?;
        found.flatten().find_map(|one| match one.sockaddr.ip() {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        })
    }

    // `getaddrinfo` and `getnameinfo` know no services of SCTP.
    fn port_of(&self, service: &str, protocol: Protocol) -> Option<u16> {
        let service = CString::new(service).ok()?;
        let _held = ENTRY.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: both are texts that end in NUL and outlive the call.
        let entry = unsafe { libc::getservbyname(service.as_ptr(), c_name(protocol).as_ptr()) };
        // SAFETY: null, or an entry that stays as it is until the next question: the lock is held.
        let port = unsafe { entry.as_ref() }?.s_port;
        // Network byte order in the low half.
        Some(u16::from_be(port as u16))
    }

    fn host_of(&self, address: IpAddr) -> Option<String> {
        let (host, _) = getnameinfo(&SocketAddr::new(address, 0), libc::NI_NAMEREQD).ok()?;
        Some(host)
    }

    fn service_of(&self, port: u16, protocol: Protocol) -> Option<String> {
        let _held = ENTRY.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: a text that ends in NUL and outlives the call.
        let entry =
            unsafe { libc::getservbyport(i32::from(port.to_be()), c_name(protocol).as_ptr()) };
        // SAFETY: null, or an entry that stays as it is until the next question: the lock is held.
        let name = unsafe { entry.as_ref() }?.s_name;
        // SAFETY: an entry's name is a text that ends in NUL, and stays as long as the entry.
        let name = unsafe { CStr::from_ptr(name) };
        Some(name.to_string_lossy().into_owned())
    }
}

const fn c_name(protocol: Protocol) -> &'static CStr {
    match protocol {
        Protocol::Tcp => c"tcp",
        Protocol::Udp => c"udp",
        Protocol::Sctp => c"sctp",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn localhost_has_a_name_and_an_address() {
        assert_eq!(
            SystemNames.address_of("localhost"),
            Some(Ipv4Addr::LOCALHOST)
        );
        assert!(SystemNames.host_of(Ipv4Addr::LOCALHOST.into()).is_some());
    }

    #[test]
    fn a_port_without_a_name_has_none() {
        assert_eq!(SystemNames.service_of(64_999, Protocol::Tcp), None);
        assert_eq!(SystemNames.port_of("no-such-service", Protocol::Tcp), None);
        assert_eq!(SystemNames.port_of("a\0b", Protocol::Tcp), None);
    }

    #[test]
    fn a_service_is_one_of_a_protocol() {
        for protocol in Protocol::ALL {
            // Only where /etc/services names it can it be asked for.
            let Some(name) = SystemNames.service_of(3_868, protocol) else {
                continue;
            };
            assert_eq!(SystemNames.port_of(&name, protocol), Some(3_868), "{name}");
        }
    }
}
