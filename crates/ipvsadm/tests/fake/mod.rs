//! A director that keeps what it is told, with the kernel's refusals.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use weir_config::model::{ServiceKey, SyncDaemon, SyncRole, Timeouts};
use weir_ipvsadm::listing::{
    ConnectionListing, Counters, Header, Rates, ServerListing, ServiceListing,
};
use weir_ipvsadm::{Director, ErrorCode, RealServer, Refused, Service, TimeoutChange};

const SCHEDULERS: &[&str] = &[
    "rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh", "twos",
    "none",
];

/// Has everything that IPVS has, except packets.
#[derive(Default)]
pub struct FakeDirector {
    pub services: Vec<ServiceListing>,
    pub connections: Vec<ConnectionListing>,
    timeouts: Timeouts,
    daemons: BTreeMap<u8, SyncDaemon>,
}

impl FakeDirector {
    fn find(&mut self, key: &ServiceKey) -> Result<&mut ServiceListing, Refused> {
        self.services
            .iter_mut()
            .find(|service| service.key == *key)
            .ok_or(Refused::new(ErrorCode::ServiceNotFound))
    }

    fn find_server(
        &mut self,
        key: &ServiceKey,
        address: SocketAddr,
    ) -> Result<&mut ServerListing, Refused> {
        self.find(key)?
            .servers
            .iter_mut()
            .find(|server| server.address == address)
            .ok_or(Refused::new(ErrorCode::ServerNotFound))
    }
}

impl Director for FakeDirector {
    fn add_service(&mut self, service: &Service) -> Result<(), Refused> {
        if self.find(&service.key).is_ok() {
            return Err(Refused::new(ErrorCode::ServiceExists));
        }
        check_service(service)?;
        self.services.push(listing(service));
        Ok(())
    }

    fn edit_service(&mut self, service: &Service) -> Result<(), Refused> {
        let found = self.find(&service.key)?;
        check_service(service)?;
        let servers = std::mem::take(&mut found.servers);
        *found = ServiceListing {
            servers,
            ..listing(service)
        };
        Ok(())
    }

    fn delete_service(&mut self, key: &ServiceKey) -> Result<(), Refused> {
        self.find(key)?;
        self.services.retain(|service| service.key != *key);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Refused> {
        self.services.clear();
        Ok(())
    }

    fn zero(&mut self, key: Option<&ServiceKey>) -> Result<(), Refused> {
        match key {
            Some(key) => self.find(key).map(|_| ()),
            None => Ok(()),
        }
    }

    fn add_server(&mut self, key: &ServiceKey, server: &RealServer) -> Result<(), Refused> {
        self.find(key)?;
        check_thresholds(server)?;
        if self.find_server(key, server.address).is_ok() {
            return Err(Refused::new(ErrorCode::ServerExists));
        }
        if !is_unicast(server.address.ip()) {
            return Err(Refused::new(ErrorCode::Invalid));
        }
        self.find(key)?.servers.insert(0, server_listing(server));
        Ok(())
    }

    fn edit_server(&mut self, key: &ServiceKey, server: &RealServer) -> Result<(), Refused> {
        self.find(key)?;
        check_thresholds(server)?;
        *self.find_server(key, server.address)? = server_listing(server);
        Ok(())
    }

    fn delete_server(&mut self, key: &ServiceKey, address: SocketAddr) -> Result<(), Refused> {
        self.find_server(key, address)?;
        self.find(key)?
            .servers
            .retain(|server| server.address != address);
        Ok(())
    }

    fn set_timeouts(&mut self, change: TimeoutChange) -> Result<(), Refused> {
        let now = &mut self.timeouts;
        for (now, new) in [
            (&mut now.tcp, change.tcp),
            (&mut now.tcp_fin, change.tcp_fin),
            (&mut now.udp, change.udp),
        ] {
            if new != 0 {
                *now = new;
            }
        }
        Ok(())
    }

    fn header(&mut self) -> Result<Header, Refused> {
        Ok(Header {
            version: (1, 2, 1),
            connection_table_size: 4096,
        })
    }

    fn services(&mut self) -> Result<Vec<ServiceListing>, Refused> {
        Ok(self.services.clone())
    }

    fn service(&mut self, key: &ServiceKey) -> Result<ServiceListing, Refused> {
        self.find(key).cloned()
    }

    fn connections(&mut self) -> Result<Vec<ConnectionListing>, Refused> {
        Ok(self.connections.clone())
    }

    fn timeouts(&mut self) -> Result<Timeouts, Refused> {
        Ok(self.timeouts)
    }

    fn daemons(&mut self) -> Result<Vec<SyncDaemon>, Refused> {
        Ok(self.daemons.values().cloned().collect())
    }

    fn start_daemon(&mut self, daemon: &SyncDaemon) -> Result<(), Refused> {
        if daemon.interface != "lo" {
            return Err(Refused::new(ErrorCode::NoSuchDevice));
        }
        if self.daemons.contains_key(&place(daemon.role)) {
            return Err(Refused::new(ErrorCode::DaemonExists));
        }
        let group = daemon.group.unwrap_or(IpAddr::from([224, 0, 0, 81]));
        // The kernel's defaults and bounds, on the loopback interface.
        let daemon = SyncDaemon {
            group: Some(group),
            max_length: match (daemon.max_length, group) {
                (Some(length), _) => Some(length.max(1024)),
                (None, IpAddr::V4(_)) => Some(1472),
                (None, IpAddr::V6(_)) => Some(65_487),
            },
            port: daemon.port.or(Some(8848)),
            ttl: daemon.ttl.or(Some(1)),
            ..daemon.clone()
        };
        self.daemons.insert(place(daemon.role), daemon);
        Ok(())
    }

    fn stop_daemon(&mut self, role: SyncRole) -> Result<(), Refused> {
        match self.daemons.remove(&place(role)) {
            Some(_) => Ok(()),
            None => Err(Refused::new(ErrorCode::DaemonNotFound)),
        }
    }
}

const fn place(role: SyncRole) -> u8 {
    match role {
        SyncRole::Master => 0,
        SyncRole::Backup => 1,
    }
}

fn check_service(service: &Service) -> Result<(), Refused> {
    let engine_known = service
        .persistence_engine
        .as_ref()
        .is_none_or(|engine| engine == "sip");
    if SCHEDULERS.contains(&service.scheduler.as_str()) && engine_known {
        Ok(())
    } else {
        Err(Refused::new(ErrorCode::SchedulerNotFound))
    }
}

fn check_thresholds(server: &RealServer) -> Result<(), Refused> {
    if server.lower_threshold > server.upper_threshold {
        return Err(Refused::new(ErrorCode::OutOfRange));
    }
    Ok(())
}

fn is_unicast(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !(v4.is_unspecified() || v4.is_multicast() || v4.is_broadcast()),
        IpAddr::V6(v6) => {
            !(v6.is_unspecified()
                || v6.is_multicast()
                || v6.is_unicast_link_local()
                || v6.to_ipv4_mapped().is_some())
        }
    }
}

/// A service just added.
fn listing(service: &Service) -> ServiceListing {
    ServiceListing {
        key: service.key,
        scheduler: service.scheduler.clone(),
        flags: service.flags,
        persistent: service.persistent,
        netmask: service.netmask,
        persistence_engine: service.persistence_engine.clone(),
        one_packet: service.one_packet,
        counters: Counters::default(),
        rates: Rates::default(),
        servers: Vec::new(),
    }
}

fn server_listing(server: &RealServer) -> ServerListing {
    ServerListing {
        address: server.address,
        forwarding: server.forwarding,
        weight: server.weight,
        active_connections: 0,
        inactive_connections: 0,
        persistent_connections: 0,
        upper_threshold: server.upper_threshold,
        lower_threshold: server.lower_threshold,
        counters: Counters::default(),
        rates: Rates::default(),
    }
}
