//! The director at the other end of the socket.

use std::net::SocketAddr;

use api::client::{self, Client};
use api::types;
use config::model::{ServiceKey, SyncDaemon, SyncRole, Timeouts};
use ipvsadm::listing::{ConnectionListing, Header, ServiceListing};
use ipvsadm::{Director, ErrorCode, RealServer, Refused, Service, TimeoutChange};
use weir_api as api;
use weir_config as config;
use weir_ipvsadm as ipvsadm;

use super::convert;

/// The version that every kernel's IPVS of today says it has, and the size that its connection table
/// has by default. That says nothing of Weir's own tables (`weir status` does), but scripts compare
/// the line.
pub const HEADER: Header = Header {
    version: (1, 2, 1),
    connection_table_size: 4_096,
};
/// Connections asked for at once.
const PAGE: u32 = 10_000;

/// The director at the other end of the socket.
pub struct RemoteDirector {
    client: Client,
}

impl RemoteDirector {
    /// The director that this client talks to.
    pub const fn new(client: Client) -> Self {
        Self { client }
    }
}

fn answer<T>(answer: Result<T, client::Error>) -> Result<T, Refused> {
    answer.map_err(|error| match error {
        client::Error::Refused(refusal) => Refused {
            code: convert::error_code(refusal.code),
            message: refusal.message,
        },
        error @ (client::Error::Unreachable { .. } | client::Error::Confused { .. }) => Refused {
            code: ErrorCode::Unreachable,
            message: error.to_string(),
        },
    })
}

impl Director for RemoteDirector {
    fn add_service(&mut self, service: &Service) -> Result<(), Refused> {
        answer(self.client.add_service(&convert::new_service(service)))
    }

    fn edit_service(&mut self, service: &Service) -> Result<(), Refused> {
        let edit = convert::service_edit(service);
        answer(self.client.edit_service(service.key, &edit))
    }

    fn delete_service(&mut self, key: &ServiceKey) -> Result<(), Refused> {
        answer(self.client.delete_service(*key))
    }

    fn flush(&mut self) -> Result<(), Refused> {
        answer(self.client.flush())
    }

    fn zero(&mut self, key: Option<&ServiceKey>) -> Result<(), Refused> {
        answer(self.client.zero(key.copied()))
    }

    fn add_server(&mut self, key: &ServiceKey, server: &RealServer) -> Result<(), Refused> {
        let new = convert::new_server(server);
        answer(self.client.add_server(*key, &new))
    }

    fn edit_server(&mut self, key: &ServiceKey, server: &RealServer) -> Result<(), Refused> {
        let edit = convert::server_edit(server);
        answer(self.client.edit_server(*key, server.address, &edit))
    }

    fn delete_server(&mut self, key: &ServiceKey, server: SocketAddr) -> Result<(), Refused> {
        answer(self.client.delete_server(*key, server))
    }

    fn set_timeouts(&mut self, change: TimeoutChange) -> Result<(), Refused> {
        answer(self.client.set_timeouts(&types::Timeouts {
            tcp: change.tcp,
            tcp_fin: change.tcp_fin,
            udp: change.udp,
        }))
    }

    fn header(&mut self) -> Result<Header, Refused> {
        Ok(HEADER)
    }

    fn services(&mut self) -> Result<Vec<ServiceListing>, Refused> {
        let services = answer(self.client.services())?.services;
        Ok(services.into_iter().map(convert::service_listing).collect())
    }

    fn service(&mut self, key: &ServiceKey) -> Result<ServiceListing, Refused> {
        answer(self.client.service(*key)).map(convert::service_listing)
    }

    fn connections(&mut self) -> Result<Vec<ConnectionListing>, Refused> {
        let mut all = Vec::new();
        let listed = each_connection(&self.client, |one| all.push(one));
        answer(listed)?;
        Ok(all)
    }

    fn timeouts(&mut self) -> Result<Timeouts, Refused> {
        Ok(answer(self.client.timeouts())?.into())
    }

    fn daemons(&mut self) -> Result<Vec<SyncDaemon>, Refused> {
        let running = answer(self.client.sync_daemons())?.daemons;
        Ok(running
            .into_iter()
            .filter_map(convert::sync_daemon)
            .collect())
    }

    fn start_daemon(&mut self, daemon: &SyncDaemon) -> Result<(), Refused> {
        answer(self.client.start_sync_daemon(&daemon.clone().into()))
    }

    fn stop_daemon(&mut self, role: SyncRole) -> Result<(), Refused> {
        answer(self.client.stop_sync_daemon(role))
    }
}

/// Shows all connections, as they come in.
pub fn each_connection(
    client: &Client,
    mut show: impl FnMut(ConnectionListing),
) -> Result<(), client::Error> {
    let mut query = types::ConnectionQuery {
        limit: Some(PAGE),
        ..types::ConnectionQuery::default()
    };
    loop {
        let page = client.connections(&query)?;
        page.connections
            .into_iter()
            .filter_map(convert::connection_listing)
            .for_each(&mut show);
        match page.next {
            Some(next) => query.cursor = Some(next),
            None => return Ok(()),
        }
    }
}
