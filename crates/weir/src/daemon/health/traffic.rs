//! Checks that go the way of the traffic.

use std::io;
use std::net::IpAddr;
use std::os::fd::BorrowedFd;

use config::model::ServiceKey;
use control::CheckWay;
use dataplane::CheckWays;
use health::probe::Subject;
use weir_config as config;
use weir_control as control;
use weir_dataplane as dataplane;
use weir_health as health;
use weir_probe::Traffic;

/// Tells the packet path which way a socket's packets go.
pub(super) struct Carrier(pub(super) CheckWays);

impl Traffic for Carrier {
    fn carry(&self, socket: BorrowedFd<'_>, subject: &Subject) -> io::Result<()> {
        let Some(way) = virtual_address(&subject.service)
            .and_then(|address| CheckWay::of(address, &subject.server))
        else {
            return Ok(());
        };
        self.0.set(socket, &way).map_err(io::Error::other)
    }
}

fn virtual_address(key: &ServiceKey) -> Option<IpAddr> {
    match key {
        ServiceKey::Address { address, .. } => Some(address.ip()),
        ServiceKey::FirewallMark { .. } => None,
    }
}
