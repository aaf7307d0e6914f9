//! From the director's words to those of the API.

use abi::counters::Counters;
use abi::reason::{Outcome, Reason};
use api::{Code, Error, Key, types};
use config::model::Forwarding;
use control::{Director, ServerListing, ServiceListing};
use weir_abi as abi;
use weir_api as api;
use weir_config as config;
use weir_control as control;

use crate::plane::Plane;

/// A service with its real servers.
pub fn service(listing: &ServiceListing) -> types::Service {
    let service = &listing.service;
    let flags = service.flags.names(service.scheduler);
    types::Service {
        key: Key(service.key),
        scheduler: service.scheduler.name().to_owned(),
        scheduler_flags: flags.into_iter().map(str::to_owned).collect(),
        persistence: service.persistence.map(types::Persistence::from),
        engine: service.engine.map(|engine| engine.name().to_owned()),
        one_packet: service.one_packet,
        farewell: service.farewell,
        timeouts: service.timeouts.into(),
        refusal: service.refusal.name().to_owned(),
        local_addresses: service.local_addresses.iter().collect(),
        ports_exhausted: listing.ports_exhausted,
        counters: counters(listing.counters),
        rates: rates(listing.rates),
        servers: listing.servers.iter().map(server).collect(),
    }
}

/// Counted over everything.
pub fn totals<P: Plane>(director: &Director, plane: &P) -> Result<types::Totals, Error> {
    let processors = plane
        .processor_counters()
        .map_err(|error| refusal(control::Error::Tables(error)))?;
    let snapshot = director.snapshot(plane).map_err(refusal)?;
    let ever = snapshot.counters.plus(plane.settings().zeroed.load());
    Ok(types::Totals {
        counters: counters(snapshot.counters),
        rates: rates(snapshot.rates),
        processors: by_processor(processors, ever),
        reasons: reasons(plane)?,
    })
}

/// What each processor has counted since the tables were made. Of real servers that are gone only the
/// sum is known: the first processor gets it.
fn by_processor(mut processors: Vec<Counters>, ever: Counters) -> Vec<types::Counters> {
    let none = Counters::default();
    let here = processors.iter().fold(none, |sum, one| sum.plus(*one));
    if let Some(first) = processors.first_mut() {
        *first = first.plus(ever.minus(here));
    }
    processors.into_iter().map(counters).collect()
}

/// What became of every packet.
pub fn reasons<P: Plane>(plane: &P) -> Result<Vec<types::ReasonCount>, Error> {
    let counted = plane
        .reasons()
        .map_err(|error| refusal(control::Error::Tables(error)))?;
    Ok(counted.into_iter().map(reason).collect())
}

/// A refusal, with the code that tells ipvsadm what to print.
pub fn refusal<E: std::error::Error>(error: control::Error<E>) -> Error {
    let code = match &error {
        control::Error::ServiceExists(_) => Code::ServiceExists,
        control::Error::ServiceNotFound(_) => Code::ServiceNotFound,
        control::Error::ServerExists { .. } => Code::ServerExists,
        control::Error::ServerNotFound { .. } => Code::ServerNotFound,
        control::Error::Invalid(_) => Code::Invalid,
        control::Error::OutOfRange(_) => Code::OutOfRange,
        control::Error::NotSupported(_) => Code::NotSupported,
        control::Error::TableFull { .. } => Code::TableFull,
        control::Error::Tables(_) => Code::Internal,
    };
    Error::new(code, error.to_string())
}

fn server(listing: &ServerListing) -> types::Server {
    let server = &listing.server;
    types::Server {
        address: server.address,
        forwarding: server.forwarding.name().to_owned(),
        tunnel: match server.forwarding {
            Forwarding::Tunnel(tunnel) => Some(tunnel.into()),
            Forwarding::Nat | Forwarding::Direct | Forwarding::FullNat => None,
        },
        weight: server.weight.get(),
        upper_threshold: server.thresholds.upper(),
        lower_threshold: server.thresholds.lower(),
        overloaded: listing.overloaded,
        active_connections: listing.active,
        inactive_connections: listing.inactive,
        persistent_connections: listing.persistent,
        counters: counters(listing.counters),
        rates: rates(listing.rates),
    }
}

fn counters(counters: Counters) -> types::Counters {
    types::Counters {
        connections: counters.connections,
        in_packets: counters.in_packets,
        out_packets: counters.out_packets,
        in_bytes: counters.in_bytes,
        out_bytes: counters.out_bytes,
    }
}

fn rates(rates: control::Rates) -> types::Rates {
    types::Rates {
        connections: rates.connections,
        in_packets: rates.in_packets,
        out_packets: rates.out_packets,
        in_bytes: rates.in_bytes,
        out_bytes: rates.out_bytes,
    }
}

fn reason((reason, packets): (Reason, u64)) -> types::ReasonCount {
    types::ReasonCount {
        reason: reason.name().to_owned(),
        outcome: match reason.outcome() {
            Outcome::Forwarded => types::Outcome::Forwarded,
            Outcome::Answered => types::Outcome::Answered,
            Outcome::Passed => types::Outcome::Passed,
            Outcome::Dropped => types::Outcome::Dropped,
            Outcome::Held => types::Outcome::Held,
        },
        packets,
    }
}
