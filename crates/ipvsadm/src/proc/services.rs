//! `ip_vs`: services and real servers.

use weir_config::model::ServiceKey;

use super::endpoint;
use crate::command::Netmask;
use crate::listing::{Header, ServerListing, ServiceListing, forwarding_name, protocol_name};

/// `ip_vs`, in the order given, but services named by a mark come last. The kernel writes
/// persistence timeouts in its own ticks, of which there are `ticks_per_second` (its `HZ`).
pub fn services(header: Header, list: &[ServiceListing], ticks_per_second: u32) -> String {
    let (major, minor, patch) = header.version;
    let size = header.connection_table_size.cast_signed();
    let mut text = format!(
        "IP Virtual Server version {major}.{minor}.{patch} (size={size})\n\
         Prot LocalAddress:Port Scheduler Flags\n  -> RemoteAddress:Port Forward Weight ActiveConn InActConn\n"
    );
    let (marks, addresses): (Vec<_>, Vec<_>) = list
        .iter()
        .partition(|service| matches!(service.key, ServiceKey::FirewallMark { .. }));
    for service in addresses.into_iter().chain(marks) {
        text += &name(service);
        text += &persistence(service, ticks_per_second);
        text.push('\n');
        service
            .servers
            .iter()
            .for_each(|server| text += &server_line(server));
    }
    text
}

fn name(service: &ServiceListing) -> String {
    let scheduler = &service.scheduler;
    let one_packet = if service.one_packet { "ops " } else { "" };
    match service.key {
        ServiceKey::Address { protocol, address } => {
            let (protocol, place) = (protocol_name(protocol), endpoint(address));
            if address.is_ipv4() {
                format!("{protocol}  {place} {scheduler} {one_packet} ")
            } else {
                // One-packet scheduling is not told of IPv6.
                format!("{protocol}  {place} {scheduler} ")
            }
        }
        // The family is not told.
        ServiceKey::FirewallMark { mark, .. } => {
            format!("FWM  {mark:08X} {scheduler} {one_packet}")
        }
    }
}

fn persistence(service: &ServiceListing, ticks_per_second: u32) -> String {
    let Some(seconds) = service.persistent else {
        return String::new();
    };
    let mask = match service.netmask {
        Netmask::V4(mask) => mask.to_bits(),
        // A number that is turned as if it were an address.
        Netmask::V6(length) => u32::from(length).swap_bytes(),
    };
    let ticks = seconds.wrapping_mul(ticks_per_second).cast_signed();
    format!("persistent {ticks} {mask:08X}")
}

fn server_line(server: &ServerListing) -> String {
    let (place, method) = (endpoint(server.address), forwarding_name(server.forwarding));
    let (weight, active, inactive) = (
        server.weight.cast_signed(),
        server.active_connections.cast_signed(),
        server.inactive_connections.cast_signed(),
    );
    format!("  -> {place}      {method:<7} {weight:<6} {active:<10} {inactive:<10}\n")
}
