//! `ip_vs_conn` and `ip_vs_conn_sync`: a connection a line.

use std::net::SocketAddr;

use super::Hexadecimal;
use crate::listing::{ConnectionListing, ConnectionProtocol, protocol_name};

/// The first line of `ip_vs_conn`, or with `origin` of `ip_vs_conn_sync`.
pub const fn connection_title(origin: bool) -> &'static str {
    if origin {
        "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Origin Expires\n"
    } else {
        "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData\n"
    }
}

/// A connection's line there.
pub fn connection_line(connection: &ConnectionListing, origin: bool) -> String {
    let protocol = match connection.protocol {
        ConnectionProtocol::Transport(protocol) => protocol_name(protocol),
        ConnectionProtocol::Ip => "IP",
    };
    let (client, service, server) = (
        written(connection.client),
        written(connection.virtual_address),
        written(connection.destination),
    );
    let state = &connection.state;
    let start = format!("{protocol:<3} {client} {service} {server} {state:<11}");
    let expires = connection.expires;
    if origin {
        let origin = if connection.synced { "SYNC" } else { "LOCAL" };
        return format!("{start} {origin:<6} {expires:7}\n");
    }
    let engine = match &connection.engine_data {
        Some((engine, data)) => format!(" {engine} {data}"),
        None => String::new(),
    };
    format!("{start} {expires:7}{engine}\n")
}

fn written(address: SocketAddr) -> String {
    format!("{} {:04X}", Hexadecimal(address.ip()), address.port())
}
