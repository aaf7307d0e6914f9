//! `weir ipvsadm`, and the same binary under the name `ipvsadm`: ipvsadm 1.31 on the management API.

use std::cell::RefCell;
use std::io::{self, BufRead, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use api::client::{self, Client};
use api::{Key, types};
use config::model::{Protocol, ServiceKey, Timeouts};
use ipvsadm::listing::{
    ConnectionListing, ConnectionProtocol, Counters, Header, Rates, ServerListing, ServiceListing,
};
use ipvsadm::{
    Director, ErrorCode, Forwarding, Invocation, Netmask, RealServer, Refused, SchedulerFlags,
    Service, Stream, TimeoutChange,
};
use weir_api as api;
use weir_config as config;
use weir_ipvsadm as ipvsadm;

use crate::exit;
use crate::names::SystemNames;

/// What the help of `weir` says of it.
pub const ABOUT: &str = "ipvsadm 1.31: the same options, listings and exit codes";

/// The version that every kernel's IPVS of today says it has.
const IPVS_VERSION: (u8, u8, u8) = (1, 2, 1);
/// The size that IPVS's connection table has by default. It says nothing of Weir's own tables
/// (`weir status` does), but scripts compare the line.
const IPVS_TABLE_SIZE: u32 = 4_096;
/// Connections asked for at once.
const PAGE: u32 = 10_000;

/// Runs ipvsadm with those arguments, without the program's name.
pub fn run(program: &str, arguments: &[String]) -> ExitCode {
    let socket = std::env::var_os(api::SOCKET_VARIABLE)
        .map_or_else(|| PathBuf::from(api::DEFAULT_SOCKET), PathBuf::from);
    let client = match Client::new(&socket) {
        Ok(client) => client,
        Err(error) => {
            exit::complain(&format!("{program}: {error}"));
            return ExitCode::from(CANNOT_INITIALIZE);
        }
    };
    let unreachable = RefCell::new(None);
    let mut director = RemoteDirector {
        client,
        unreachable: &unreachable,
    };
    // Once the director cannot be reached every further message would only say so again.
    let mut print = |stream, text: &str| {
        if unreachable.borrow().is_none() {
            write(stream, text);
        }
    };
    let mut invocation = Invocation {
        program,
        names: &SystemNames,
        director: &mut director,
        print: &mut print,
    };
    // A line that is not UTF-8 is refused for what it says; it must not end the input unseen.
    let lines = io::stdin().lock().split(b'\n').map_while(Result::ok);
    let mut input = lines.map(|line| String::from_utf8_lossy(&line).into_owned());
    let code = invocation.run(arguments, &mut input);
    match unreachable.take() {
        None => ExitCode::from(code),
        Some(message) => {
            exit::complain(&format!("Can't initialize ipvs: {message}"));
            ExitCode::from(CANNOT_INITIALIZE)
        }
    }
}

/// ipvsadm's exit code when there is no IPVS to talk to.
const CANNOT_INITIALIZE: u8 = 2;

/// The director at the other end of the socket.
struct RemoteDirector<'a> {
    client: Client,
    /// Why it cannot be reached, once that is so.
    unreachable: &'a RefCell<Option<String>>,
}

impl RemoteDirector<'_> {
    fn answer<T>(&self, answer: Result<T, client::Error>) -> Result<T, Refused> {
        answer.map_err(|error| match error {
            client::Error::Refused(refusal) => Refused {
                code: error_code(refusal.code),
                message: refusal.message,
            },
            error @ (client::Error::Unreachable { .. } | client::Error::Confused { .. }) => {
                self.unreachable.replace(Some(error.to_string()));
                Refused::new(ErrorCode::Failed)
            }
        })
    }
}

impl Director for RemoteDirector<'_> {
    fn add_service(&mut self, service: &Service) -> Result<(), Refused> {
        self.answer(self.client.add_service(&types::NewService {
            scheduler: Some(service.scheduler.clone()),
            ..types::NewService::new(Key(service.key))
        }))
    }

    fn edit_service(&mut self, service: &Service) -> Result<(), Refused> {
        let edit = types::ServiceEdit {
            scheduler: Some(service.scheduler.clone()),
            ..types::ServiceEdit::default()
        };
        self.answer(self.client.edit_service(service.key, &edit))
    }

    fn delete_service(&mut self, key: &ServiceKey) -> Result<(), Refused> {
        self.answer(self.client.delete_service(*key))
    }

    fn flush(&mut self) -> Result<(), Refused> {
        self.answer(self.client.flush())
    }

    fn zero(&mut self, key: Option<&ServiceKey>) -> Result<(), Refused> {
        self.answer(self.client.zero(key.copied()))
    }

    fn add_server(&mut self, key: &ServiceKey, server: &RealServer) -> Result<(), Refused> {
        let new = types::NewServer {
            address: server.address.to_string(),
            forwarding: Some(forwarding_name(server.forwarding).to_owned()),
            weight: Some(server.weight),
            ..Default::default()
        };
        self.answer(self.client.add_server(*key, &new))
    }

    fn edit_server(&mut self, key: &ServiceKey, server: &RealServer) -> Result<(), Refused> {
        let edit = types::ServerEdit {
            forwarding: Some(forwarding_name(server.forwarding).to_owned()),
            weight: Some(server.weight),
            ..Default::default()
        };
        self.answer(self.client.edit_server(*key, server.address, &edit))
    }

    fn delete_server(&mut self, key: &ServiceKey, server: SocketAddr) -> Result<(), Refused> {
        self.answer(self.client.delete_server(*key, server))
    }

    fn set_timeouts(&mut self, change: TimeoutChange) -> Result<(), Refused> {
        self.answer(self.client.set_timeouts(&types::Timeouts {
            tcp: change.tcp,
            tcp_fin: change.tcp_fin,
            udp: change.udp,
        }))
    }

    fn header(&mut self) -> Result<Header, Refused> {
        Ok(Header {
            version: IPVS_VERSION,
            connection_table_size: IPVS_TABLE_SIZE,
        })
    }

    fn services(&mut self) -> Result<Vec<ServiceListing>, Refused> {
        let services = self.answer(self.client.services())?.services;
        Ok(services.into_iter().map(service_listing).collect())
    }

    fn service(&mut self, key: &ServiceKey) -> Result<ServiceListing, Refused> {
        self.answer(self.client.service(*key)).map(service_listing)
    }

    fn connections(&mut self) -> Result<Vec<ConnectionListing>, Refused> {
        let mut query = types::ConnectionQuery {
            limit: Some(PAGE),
            ..types::ConnectionQuery::default()
        };
        let mut all = Vec::new();
        loop {
            let page = self.answer(self.client.connections(&query))?;
            all.extend(page.connections.into_iter().filter_map(connection_listing));
            match page.next {
                Some(next) => query.cursor = Some(next),
                None => return Ok(all),
            }
        }
    }

    fn timeouts(&mut self) -> Result<Timeouts, Refused> {
        Ok(self.answer(self.client.timeouts())?.into())
    }
}

fn write(stream: Stream, text: &str) {
    // Whoever reads it may have stopped reading (`| head`): no matter.
    let _ = match stream {
        Stream::Output => io::stdout().write_all(text.as_bytes()),
        Stream::Error => io::stderr().write_all(text.as_bytes()),
    };
}

/// What the management API calls it.
const fn forwarding_name(forwarding: Forwarding) -> &'static str {
    match forwarding {
        Forwarding::Nat => "nat",
        Forwarding::DirectRouting => "dr",
        Forwarding::Tunnel(_) => "tun",
        Forwarding::Local => "local",
    }
}

fn forwarding_of(name: &str) -> Forwarding {
    match name {
        "dr" => Forwarding::DirectRouting,
        _ => Forwarding::Nat,
    }
}

fn service_listing(service: types::Service) -> ServiceListing {
    ServiceListing {
        key: service.key.0,
        scheduler: service.scheduler,
        flags: SchedulerFlags::default(),
        persistent: None,
        netmask: match service.key.0.family() {
            config::model::Family::V4 => Netmask::V4(std::net::Ipv4Addr::BROADCAST),
            config::model::Family::V6 => Netmask::V6(128),
        },
        persistence_engine: None,
        one_packet: false,
        counters: counters(service.counters),
        rates: rates(service.rates),
        servers: service.servers.iter().map(server_listing).collect(),
    }
}

fn server_listing(server: &types::Server) -> ServerListing {
    ServerListing {
        address: server.address,
        forwarding: forwarding_of(&server.forwarding),
        weight: server.weight,
        active_connections: server.active_connections,
        inactive_connections: server.inactive_connections,
        persistent_connections: server.persistent_connections,
        upper_threshold: 0,
        lower_threshold: 0,
        counters: counters(server.counters),
        rates: rates(server.rates),
    }
}

/// A protocol that this version does not know is left out.
fn connection_listing(connection: types::Connection) -> Option<ConnectionListing> {
    Some(ConnectionListing {
        protocol: ConnectionProtocol::Transport(Protocol::from_name(&connection.protocol)?),
        expires: connection.expires,
        state: connection.state,
        client: connection.client,
        virtual_address: connection.r#virtual,
        destination: connection.server,
        engine_data: None,
    })
}

const fn counters(counters: types::Counters) -> Counters {
    Counters {
        connections: counters.connections,
        packets_in: counters.in_packets,
        packets_out: counters.out_packets,
        bytes_in: counters.in_bytes,
        bytes_out: counters.out_bytes,
    }
}

const fn rates(rates: types::Rates) -> Rates {
    Rates {
        connections: rates.connections,
        packets_in: rates.in_packets,
        packets_out: rates.out_packets,
        bytes_in: rates.in_bytes,
        bytes_out: rates.out_bytes,
    }
}

const fn error_code(code: api::Code) -> ErrorCode {
    match code {
        api::Code::ServiceExists => ErrorCode::ServiceExists,
        api::Code::ServiceNotFound => ErrorCode::ServiceNotFound,
        api::Code::ServerExists => ErrorCode::ServerExists,
        api::Code::ServerNotFound => ErrorCode::ServerNotFound,
        api::Code::SchedulerNotFound => ErrorCode::SchedulerNotFound,
        api::Code::Invalid => ErrorCode::Invalid,
        api::Code::OutOfRange => ErrorCode::OutOfRange,
        api::Code::NotSupported => ErrorCode::NotSupported,
        api::Code::PermissionDenied => ErrorCode::PermissionDenied,
        api::Code::TableFull => ErrorCode::TableFull,
        api::Code::NotFound
        | api::Code::MethodNotAllowed
        | api::Code::TooLarge
        | api::Code::Internal => ErrorCode::Failed,
    }
}
