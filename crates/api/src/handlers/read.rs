//! From the texts and numbers of a request to values, or the reason why not.

use std::net::{IpAddr, SocketAddr};

use config::model::{Forwarding, Protocol, Scheduler, Weight};
use weir_config as config;

use crate::error::{Code, Error};
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

fn host(text: &str) -> Result<Host, Error> {
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

/// The scheduler of that name.
pub fn scheduler(name: &str) -> Result<Scheduler, Error> {
    Scheduler::from_name(name).ok_or_else(|| {
        let known: Vec<_> = Scheduler::ALL.iter().map(|s| s.name()).collect();
        Error::new(
            Code::SchedulerNotFound,
            format!("no scheduler {name:?}: there are {}", known.join(", ")),
        )
    })
}

/// The forwarding method of that name.
pub fn forwarding(name: &str) -> Result<Forwarding, Error> {
    match Forwarding::from_name(name) {
        Some(forwarding) => Ok(forwarding),
        None if ["dr", "tun", "fullnat"].contains(&name) => Err(Error::new(
            Code::NotSupported,
            format!("forwarding method {name} is still to come: use nat"),
        )),
        None => Err(Error::invalid(format!(
            "no forwarding method {name:?}: expected nat"
        ))),
    }
}

/// A weight in its range.
pub fn weight(value: u32) -> Result<Weight, Error> {
    Weight::new(value).ok_or_else(|| {
        Error::new(
            Code::OutOfRange,
            format!("weight is 0 to {}, not {value}", Weight::MAX),
        )
    })
}
