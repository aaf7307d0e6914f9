//! Connections, one a line.

use std::net::SocketAddr;

use super::{ConnectionListing, ConnectionProtocol, protocol_name};
use crate::address;
use crate::names::Names;

/// What `-L -c` prints; `engine_data` is `--persistent-conn`.
pub fn connections(
    list: &[ConnectionListing],
    numeric: bool,
    engine_data: bool,
    names: &dyn Names,
) -> String {
    let names = (!numeric).then_some(names);
    let (state, client, service, server) = ("state", "source", "virtual", "destination");
    let mut text =
        format!("IPVS connection entries\npro expire {state:<11} {client:<18} {service:<18} ");
    text += &if engine_data {
        format!("{server:<18} {:<16} pe_data\n", "pe name")
    } else {
        format!("{server}\n")
    };
    for connection in list {
        text += &line(connection, engine_data, names);
    }
    text
}

fn line(connection: &ConnectionListing, engine_data: bool, names: Option<&dyn Names>) -> String {
    let (protocol, protocol_text) = match connection.protocol {
        ConnectionProtocol::Transport(protocol) => (Some(protocol), protocol_name(protocol)),
        ConnectionProtocol::Ip => (None, "IP"),
    };
    let written =
        |address: SocketAddr| address::written(address.ip(), address.port(), protocol, names);
    let expires = format!(
        "{:02}:{:02}",
        connection.expires / 60,
        connection.expires % 60
    );
    let start = format!(
        "{protocol_text:<3} {expires:<6} {:<11} {:<18} {:<18}",
        connection.state,
        written(connection.client),
        written(connection.virtual_address),
    );
    let server = written(connection.destination);
    match &connection.engine_data {
        // The server's column is narrower than its title's: so it is in ipvsadm.
        Some((engine, data)) if engine_data => {
            format!("{start} {server:<16} {engine:<18} {data}\n")
        }
        Some(_) | None => format!("{start} {server}\n"),
    }
}
