//! From the texts and numbers of a request to values, or the reason why not.

use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU16, NonZeroU32};

use config::model::{
    self, Engine, Family, Forwarding, GueChecksum, LocalAddresses, Netmask, Persistence, Protocol,
    RealServer, Scheduler, SchedulerFlags, Service, ServiceKey, ServiceTimeouts, Thresholds,
    Tunnel, Weight,
};
use weir_config as config;

use crate::edit::{ServerEdit, ServiceEdit, threshold_message};
use crate::error::{Code, Error};
use crate::key::parse_address;
use crate::management::{ConnectionFilter, Cursor, Host};
use crate::types;

/// Which connections are wanted.
pub fn filter(query: types::ConnectionQuery) -> Result<ConnectionFilter, Error> {
    let limit = query
        .limit
        .map_or(ConnectionFilter::DEFAULT_LIMIT, |limit| limit as usize);
    if limit == 0 || limit > ConnectionFilter::MAX_LIMIT {
        return Err(Error::new(
            Code::OutOfRange,
            format!("limit is 1 to {}", ConnectionFilter::MAX_LIMIT),
        ));
    }
    Ok(ConnectionFilter {
        protocol: query
            .protocol
            .map(|name| {
                Protocol::from_name(&name).ok_or_else(|| {
                    Error::invalid(format!("protocol is tcp, udp or sctp, not {name:?}"))
                })
            })
            .transpose()?,
        client: query.client.as_deref().map(host).transpose()?,
        virtual_address: query.r#virtual.as_deref().map(host).transpose()?,
        server: query.server.as_deref().map(host).transpose()?,
        state: query.state,
        limit,
        cursor: query.cursor.map_or(Ok(Cursor::Start), |text| {
            Cursor::from_text(&text)
                .ok_or_else(|| Error::invalid("cursor is the `next` of an earlier page"))
        })?,
    })
}

/// An address, with or without a port.
pub fn host(text: &str) -> Result<Host, Error> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(Host {
            address: address.ip(),
            port: Some(address.port()),
        });
    }
    match text.parse::<IpAddr>() {
        Ok(address) => Ok(Host {
            address,
            port: None,
        }),
        Err(_) => Err(Error::invalid(format!(
            "{text:?} is not an address: expected 192.0.2.10 or 192.0.2.10:80, \
             2001:db8::1 or [2001:db8::1]:80"
        ))),
    }
}

impl TryFrom<&types::NewService> for Service {
    type Error = Error;

    fn try_from(new: &types::NewService) -> Result<Self, Error> {
        new_service(new)
    }
}

impl TryFrom<&types::NewServer> for RealServer {
    type Error = Error;

    fn try_from(new: &types::NewServer) -> Result<Self, Error> {
        new_server(new)
    }
}

/// The service that is to be added.
pub fn new_service(new: &types::NewService) -> Result<Service, Error> {
    let key = new.key.0;
    let scheduler = new.scheduler.as_deref();
    Ok(Service {
        scheduler: scheduler.map_or(Ok(Scheduler::default()), self::scheduler)?,
        flags: flags(&new.scheduler_flags)?,
        persistence: new
            .persistence
            .as_ref()
            .map(|given| persistence(key, given))
            .transpose()?,
        engine: new.engine.as_deref().map(engine).transpose()?,
        one_packet: new.one_packet,
        farewell: new.farewell,
        timeouts: timeouts(new.timeouts)?,
        refusal: new
            .refusal
            .as_deref()
            .map_or(Ok(model::Refusal::default()), refusal)?,
        local_addresses: local_addresses(&new.local_addresses)?,
        key,
    })
}

/// What shall be different about the service of that key.
pub fn service_edit(key: ServiceKey, edit: &types::ServiceEdit) -> Result<ServiceEdit, Error> {
    let engine = |given: &Option<String>| given.as_deref().map(engine).transpose();
    let persistence = |given: &Option<types::Persistence>| {
        let given = given.as_ref();
        given.map(|given| persistence(key, given)).transpose()
    };
    Ok(ServiceEdit {
        scheduler: edit.scheduler.as_deref().map(scheduler).transpose()?,
        flags: edit.scheduler_flags.as_deref().map(flags).transpose()?,
        persistence: edit.persistence.as_ref().map(persistence).transpose()?,
        engine: edit.engine.as_ref().map(engine).transpose()?,
        one_packet: edit.one_packet,
        farewell: edit.farewell,
        timeouts: edit.timeouts.map(timeouts).transpose()?,
        refusal: edit.refusal.as_deref().map(refusal).transpose()?,
        local_addresses: edit
            .local_addresses
            .as_deref()
            .map(local_addresses)
            .transpose()?,
    })
}

/// The real server that is to be added.
pub fn new_server(new: &types::NewServer) -> Result<RealServer, Error> {
    let given = forwarding(new.forwarding.as_deref(), new.tunnel.as_ref())?;
    let (upper, lower) = (
        new.upper_threshold.unwrap_or(0),
        new.lower_threshold.unwrap_or(0),
    );
    Ok(RealServer {
        address: parse_address(&new.address)?,
        forwarding: given.unwrap_or(Forwarding::Nat),
        weight: new.weight.map_or(Ok(Weight::default()), weight)?,
        thresholds: thresholds(upper, lower)?,
    })
}

/// What shall be different about a real server.
pub fn server_edit(edit: &types::ServerEdit) -> Result<ServerEdit, Error> {
    if let (Some(upper), Some(lower)) = (edit.upper_threshold, edit.lower_threshold) {
        thresholds(upper, lower)?;
    }
    Ok(ServerEdit {
        forwarding: forwarding(edit.forwarding.as_deref(), edit.tunnel.as_ref())?,
        weight: edit.weight.map(weight).transpose()?,
        upper_threshold: edit.upper_threshold,
        lower_threshold: edit.lower_threshold,
    })
}

fn scheduler(name: &str) -> Result<Scheduler, Error> {
    Scheduler::from_name(name).ok_or_else(|| {
        let known: Vec<_> = Scheduler::ALL.iter().map(|s| s.name()).collect();
        Error::new(
            Code::SchedulerNotFound,
            format!("no scheduler {name:?}: there are {}", known.join(", ")),
        )
    })
}

fn flags<T: AsRef<str>>(names: &[T]) -> Result<SchedulerFlags, Error> {
    let mut flags = SchedulerFlags::NONE;
    for name in names.iter().map(AsRef::as_ref) {
        // Whatever the scheduler is: sh and mh have names for them.
        let mut known = [Scheduler::SourceHashing, Scheduler::MaglevHashing].into_iter();
        if !known.any(|scheduler| flags.set(scheduler, name)) {
            return Err(Error::invalid(format!(
                "no scheduler flag {name:?}: there are sh-fallback, sh-port, mh-fallback, mh-port, \
                 flag-1, flag-2, flag-3"
            )));
        }
    }
    Ok(flags)
}

fn persistence(key: ServiceKey, given: &types::Persistence) -> Result<Persistence, Error> {
    let family = key.family();
    let netmask = match &given.netmask {
        None => Netmask::whole(family),
        Some(text) => Netmask::of_text(text, family).ok_or_else(|| {
            Error::invalid(match family {
                Family::V4 => format!("netmask is one like 255.255.255.0, not {text:?}"),
                Family::V6 => format!("netmask is a prefix length from 1 to 128, not {text:?}"),
            })
        })?,
    };
    Ok(Persistence {
        timeout: given.timeout,
        netmask,
    })
}

fn engine(name: &str) -> Result<Engine, Error> {
    Engine::from_name(name).ok_or_else(|| {
        Error::new(
            Code::SchedulerNotFound,
            format!("no persistence engine {name:?}: there is sip"),
        )
    })
}

fn timeouts(given: types::ServiceTimeouts) -> Result<ServiceTimeouts, Error> {
    let timeout = |name: &str, seconds: Option<u32>| {
        let Some(seconds) = seconds else {
            return Ok(None);
        };
        let in_range = seconds <= Persistence::MAX_TIMEOUT;
        match NonZeroU32::new(seconds).filter(|_| in_range) {
            Some(seconds) => Ok(Some(seconds)),
            None => Err(Error::new(
                Code::OutOfRange,
                format!(
                    "timeout {name} is 1 to {} seconds, not {seconds}",
                    Persistence::MAX_TIMEOUT
                ),
            )),
        }
    };
    Ok(ServiceTimeouts {
        tcp: timeout("tcp", given.tcp)?,
        tcp_fin: timeout("tcp_fin", given.tcp_fin)?,
        udp: timeout("udp", given.udp)?,
    })
}

fn refusal(name: &str) -> Result<model::Refusal, Error> {
    model::Refusal::from_name(name).ok_or_else(|| {
        Error::invalid(format!(
            "refusal is unreachable, reset or silent, not {name:?}"
        ))
    })
}

fn local_addresses(given: &[IpAddr]) -> Result<LocalAddresses, Error> {
    let mut addresses = LocalAddresses::default();
    for address in given {
        if !addresses.add(*address) {
            return Err(Error::invalid(format!(
                "local addresses are at most {}, each once: {address} is one too many",
                LocalAddresses::MAX
            )));
        }
    }
    Ok(addresses)
}

fn forwarding(
    name: Option<&str>,
    tunnel: Option<&types::Tunnel>,
) -> Result<Option<Forwarding>, Error> {
    let named = name.map(|name| {
        Forwarding::from_name(name).ok_or_else(|| {
            Error::invalid(format!(
                "no forwarding method {name:?}: there are {}",
                Forwarding::NAMES.join(", ")
            ))
        })
    });
    match (named.transpose()?, tunnel) {
        (None | Some(Forwarding::Tunnel(_)), Some(tunnel)) => {
            Ok(Some(Forwarding::Tunnel(self::tunnel(tunnel)?)))
        }
        (Some(other), Some(_)) => Err(Error::invalid(format!(
            "a tunnel is for forwarding method tun, not {}",
            other.name()
        ))),
        (named, None) => Ok(named),
    }
}

fn tunnel(given: &types::Tunnel) -> Result<Tunnel, Error> {
    let name = given.checksum.as_deref();
    let checksum = name.map_or(Some(GueChecksum::None), GueChecksum::from_name);
    let checksum = checksum.ok_or_else(|| {
        Error::invalid("a tunnel's checksum is none, full or, of gue, remote".to_owned())
    })?;
    let port = given.port.and_then(NonZeroU16::new);
    match (given.r#type.as_str(), checksum) {
        ("ipip", GueChecksum::None) => Ok(Tunnel::Ipip),
        ("gue", checksum) => match port {
            Some(port) => Ok(Tunnel::Gue { port, checksum }),
            None => Err(Error::invalid("a tunnel of gue has a port, not 0")),
        },
        ("gre", GueChecksum::None) => Ok(Tunnel::Gre { checksum: false }),
        ("gre", GueChecksum::Full) => Ok(Tunnel::Gre { checksum: true }),
        ("ipip" | "gre", checksum) => Err(Error::invalid(format!(
            "a tunnel of {} has no {} checksum",
            given.r#type,
            checksum.name()
        ))),
        (other, _) => Err(Error::invalid(format!(
            "a tunnel is of ipip, gue or gre, not {other:?}"
        ))),
    }
}

fn weight(value: u32) -> Result<Weight, Error> {
    Weight::new(value).ok_or_else(|| {
        Error::new(
            Code::OutOfRange,
            format!("weight is 0 to {}, not {value}", Weight::MAX),
        )
    })
}

fn thresholds(upper: u32, lower: u32) -> Result<Thresholds, Error> {
    Thresholds::new(upper, lower)
        .ok_or_else(|| Error::new(Code::OutOfRange, threshold_message(upper, lower)))
}
