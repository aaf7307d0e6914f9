//! Requests to the kernel.

use std::io;

use host::netlink::Asker;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::protocols::NETLINK_ROUTE;
use weir_host as host;

/// Changes addresses, routes, rules and links of this network namespace.
pub struct Netlink {
    asker: Asker,
}

impl Netlink {
    /// A socket for it.
    pub fn new() -> io::Result<Self> {
        let asker = Asker::new(NETLINK_ROUTE)?;
        Ok(Self { asker })
    }

    pub(crate) fn ask(
        &mut self,
        request: RouteNetlinkMessage,
        flags: u16,
    ) -> io::Result<Vec<RouteNetlinkMessage>> {
        self.asker.ask(request, flags)
    }
}

/// An error of these numbers is success.
pub fn unless<T>(done: io::Result<T>, fine: &[i32]) -> io::Result<()> {
    match done {
        Ok(_) => Ok(()),
        Err(error) if error.raw_os_error().is_some_and(|one| fine.contains(&one)) => Ok(()),
        Err(error) => Err(error),
    }
}
